"""server/core/wheel.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.core.wheel import Wheel

SIZE = 8


def test_an_item_comes_due_once_in_its_second() -> None:
    """An item is yielded when its second is reached, not before, and not again."""
    wheel: Wheel[str] = Wheel(100, SIZE)
    wheel.put("a", 3)
    assert list(wheel.advance(102)) == []
    assert len(wheel) == 1
    assert list(wheel.advance(103)) == ["a"]
    assert list(wheel.advance(200)) == []
    assert len(wheel) == 0


def test_putting_again_moves_an_item() -> None:
    """An item stands in one slot only."""
    wheel: Wheel[str] = Wheel(0, SIZE)
    wheel.put("a", 2)
    wheel.put("a", 5)
    assert len(wheel) == 1
    assert list(wheel.advance(4)) == []
    assert list(wheel.advance(5)) == ["a"]


def test_a_removed_item_never_comes_due() -> None:
    """Removing forgets an item; removing what is not there does nothing."""
    wheel: Wheel[str] = Wheel(0, SIZE)
    wheel.put("a", 1)
    wheel.remove("a")
    wheel.remove("a")
    assert list(wheel.advance(20)) == []


@pytest.mark.parametrize(("delay", "due"), [(0, 1), (-5, 1), (1, 1), (7, 7), (8, 7), (1000, 7)])
def test_delays_are_cut_to_the_wheel(delay: int, due: int) -> None:
    """A delay is at least one second and at most one less than the wheel's size."""
    wheel: Wheel[str] = Wheel(50, SIZE)
    wheel.put("a", delay)
    assert list(wheel.advance(50 + due - 1)) == []
    assert list(wheel.advance(50 + due)) == ["a"]


def test_items_come_in_the_order_of_their_seconds() -> None:
    """One advance over several seconds yields earlier items first."""
    wheel: Wheel[int] = Wheel(0, SIZE)
    for delay in (5, 1, 3):
        wheel.put(delay, delay)
    assert list(wheel.advance(6)) == [1, 3, 5]


def test_a_long_sleep_finds_every_item_once() -> None:
    """A process that slept longer than a turn of the wheel gets each item, and the wheel goes on from the present."""
    wheel: Wheel[int] = Wheel(0, SIZE)
    for delay in range(1, SIZE):
        wheel.put(delay, delay)
    assert sorted(wheel.advance(1_000_003)) == list(range(1, SIZE))
    wheel.put(0, 2)
    assert list(wheel.advance(1_000_004)) == []
    assert list(wheel.advance(1_000_005)) == [0]


def test_a_clock_that_stands_or_goes_back_yields_nothing() -> None:
    """Advancing to the present or the past is harmless."""
    wheel: Wheel[str] = Wheel(10, SIZE)
    wheel.put("a", 1)
    assert list(wheel.advance(10)) == []
    assert list(wheel.advance(3)) == []
    assert list(wheel.advance(11)) == ["a"]


def test_an_item_may_be_put_again_while_iterating() -> None:
    """The usual loop: look at an item and put it again."""
    wheel: Wheel[str] = Wheel(0, SIZE)
    wheel.put("a", 1)
    seen = []
    for second in range(1, 10):
        for item in wheel.advance(second):
            seen.append(second)
            wheel.put(item, 3)
    assert seen == [1, 4, 7]


def test_items_may_be_removed_or_moved_while_iterating() -> None:
    """An item of the same second that is removed or put off by another's handler does not come due."""
    wheel: Wheel[str] = Wheel(0, SIZE)
    for item in "abc":
        wheel.put(item, 1)
    due = wheel.advance(1)
    first = next(due)
    second, third = sorted(set("abc") - {first})
    wheel.remove(second)
    wheel.put(third, 2)
    assert list(due) == []
    assert list(wheel.advance(3)) == [third]


def test_a_handler_that_fails_costs_nobody_their_turn() -> None:
    """When the loop over due items is left early, the others are not lost: they come due with the next second."""
    wheel: Wheel[int] = Wheel(0, SIZE)
    for item in range(5):
        wheel.put(item, 1)
    wheel.put(5, 2)
    due = wheel.advance(1)
    first = next(due)
    due.close()  # type: ignore[attr-defined] # an iterator of ours is a generator
    assert len(wheel) == 5
    assert sorted([first, *wheel.advance(2)]) == [0, 1, 2, 3, 4, 5]


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 12)), max_size=40))
def test_nothing_comes_late_or_early_when_seconds_are_skipped(steps: list[tuple[int, int]]) -> None:
    """However the clock jumps, an item is yielded by the first advance that reaches its second."""
    wheel: Wheel[int] = Wheel(0, SIZE)
    due: dict[int, int] = {}
    now = 0
    for item, (jump, delay) in enumerate(steps):
        wheel.put(item, delay)
        due[item] = now + max(1, min(delay, SIZE - 1))
        now += jump
        expected = {number for number, at in due.items() if at <= now}
        assert set(wheel.advance(now)) == expected
        for number in expected:
            del due[number]
        assert len(wheel) == len(due)


class Turning(RuleBasedStateMachine):
    """The wheel against a dictionary of due times, second by second."""

    def __init__(self) -> None:
        super().__init__()
        self.wheel: Wheel[int] = Wheel(7, SIZE)
        self.now = 7
        self.due: dict[int, int] = {}

    @rule(item=st.integers(0, 9), delay=st.integers(-1, 12))
    def put(self, item: int, delay: int) -> None:
        self.wheel.put(item, delay)
        self.due[item] = self.now + max(1, min(delay, SIZE - 1))

    @rule(item=st.integers(0, 9))
    def remove(self, item: int) -> None:
        self.wheel.remove(item)
        self.due.pop(item, None)

    @rule(again=st.dictionaries(st.integers(0, 9), st.integers(0, 9)))
    def advance(self, again: dict[int, int]) -> None:
        self.now += 1
        found = []
        for item in self.wheel.advance(self.now):
            found.append(item)
            if item in again:
                self.wheel.put(item, again[item])
        assert sorted(found) == sorted(item for item, at in self.due.items() if at == self.now)
        for item in found:
            del self.due[item]
            if item in again:
                self.due[item] = self.now + max(1, min(again[item], SIZE - 1))

    @invariant()
    def holds_each_item_once(self) -> None:
        assert len(self.wheel) == len(self.due)


TestTurning = Turning.TestCase
