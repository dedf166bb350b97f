"""Tests of filters.rate."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.rate import ENOUGH, Gcra, drop_first, step_of


def test_burst_then_one_per_interval() -> None:
    """A key gets its burst at once, then a wait that is exact to the millisecond."""
    rate = Gcra(1000, 3, 10)
    assert [rate.allow("a", 5000) for _ in range(4)] == [0, 0, 0, 1000]
    assert rate.allow("a", 5999) == 1
    assert rate.allow("a", 6000) == 0
    assert rate.allow("a", 6000) == 1000


def test_refusals_take_nothing() -> None:
    """Asking while refused, or peeking, does not push the next allowed moment away."""
    rate = Gcra(1000, 1, 10)
    assert rate.allow("a", 0) == 0
    assert [rate.allow("a", 500), rate.peek("a", 500), rate.peek("a", 500)] == [500, 500, 500]
    assert rate.allow("a", 1000) == 0


def test_weight_slows_a_key() -> None:
    """A weight of two halves the rate."""
    rate = Gcra(1000, 1, 10)
    assert rate.allow("a", 0, 2) == 0
    assert rate.allow("a", 1000, 2) == 1000


def test_what_is_given_back_was_never_taken() -> None:
    """A request that is undone leaves the key as it was, for any later moment."""
    rate = Gcra(1000, 2, 10)
    for at_ms in (0, 10):
        assert rate.allow("a", at_ms, 2) == 0
        rate.give_back("a", 2)
    assert [rate.allow("a", 20) for _ in range(3)] == [0, 0, 1000]
    Gcra(0, 1, 1).give_back("a")


def test_interval_of_zero_is_off() -> None:
    """An interval of zero allows everything and holds no keys."""
    rate = Gcra(0, 1, 1)
    assert not any(rate.allow(str(number), 0) or rate.peek(str(number), 0) for number in range(50))
    assert len(rate) == 0


def test_expired_keys_make_room() -> None:
    """Keys whose allowance is whole again are dropped when the bound is met."""
    rate = Gcra(1000, 1, 2, "refuse_new")
    assert [rate.allow("a", 0), rate.allow("b", 500), rate.allow("c", 1000)] == [0, 0, 0]
    assert len(rate) == 2
    assert rate.allow("b", 1000) == 500


def test_overflow_refuses_new_keys() -> None:
    """With refuse_new a new key waits for the first held one to expire."""
    rate = Gcra(1000, 1, 2, "refuse_new")
    assert [rate.allow("a", 0), rate.allow("b", 0), rate.allow("c", 0)] == [0, 0, 1000]


def test_overflow_forgets_the_oldest() -> None:
    """With forget_oldest the key allowed longest ago starts afresh, the others do not."""
    rate = Gcra(1000, 1, 2)
    assert [rate.allow("a", 0), rate.allow("b", 1), rate.allow("c", 2)] == [0, 0, 0]
    assert len(rate) == 2
    assert rate.allow("c", 3) == 999
    assert rate.allow("a", 3) == 0


def test_expired_keys_do_not_pile_up() -> None:
    """Where many are held, keys that are used once are dropped soon after their time, whatever there is room for."""
    rate = Gcra(1000, 1, 100_000)
    assert all(rate.allow(str(number), 10 * number) == 0 for number in range(20_000))
    assert len(rate) <= ENOUGH + step_of(100_000)


def test_dropping_takes_short_steps() -> None:
    """When thousands of keys expire at once, no request pays for all of them."""
    rate = Gcra(1000, 1, 20_000)
    for number in range(20_000):
        rate.allow(str(number), 0)
    left = [len(rate)]
    for number in range(30_000):
        rate.allow(f"late {number}", 5_000 + number)
        left.append(len(rate))
    assert max(before - after for before, after in pairwise(left)) <= 2 * step_of(20_000)
    assert left[-1] <= ENOUGH + step_of(20_000)


def test_overflow_of_many_keys() -> None:
    """Of many keys those allowed longest ago are dropped some at a time, and never too many."""
    rate = Gcra(1000, 1, 1_024)
    for number in range(1_025):
        assert rate.allow(str(number), 0) == 0
    assert len(rate) == 1_021
    assert [rate.peek(str(number), 0) for number in (3, 4, 1_024)] == [0, 1000, 1000]


def test_what_was_put_first_is_dropped() -> None:
    """No more than asked for, and nothing from the first value on that lies beyond the last one unwanted."""
    held = {"a": 1, "b": 2, "c": 9, "d": 3}
    drop_first(held, 1, 5)
    assert list(held) == ["b", "c", "d"]
    drop_first(held, 3, 5)
    assert list(held) == ["c", "d"]


@pytest.mark.parametrize("bad", [(-1, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_senseless_bounds(bad: tuple[int, int, int]) -> None:
    """Bounds that make no sense are refused when the rate is made."""
    with pytest.raises(ValueError, match="a rate needs"):
        Gcra(*bad)


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 500), st.integers(1, 5))
def test_never_more_than_the_rate(gaps: list[int], interval_ms: int, burst: int) -> None:
    """In any window the number allowed is at most the burst plus one for each interval of it, and a stated wait is enough."""
    rate = Gcra(interval_ms, burst, 5)
    now_ms, allowed = 10, []
    for gap in gaps:
        now_ms += gap
        wait_ms = rate.allow("k", now_ms)
        if wait_ms:
            assert rate.peek("k", now_ms + wait_ms) == 0
            assert rate.peek("k", now_ms + wait_ms - 1) > 0
        else:
            allowed.append(now_ms)
    for first, start in enumerate(allowed):
        for last in range(first, len(allowed)):
            assert last - first + 1 <= burst + (allowed[last] - start) / interval_ms
