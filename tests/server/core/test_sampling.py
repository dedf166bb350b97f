"""server/core/sampling.py"""

from __future__ import annotations

import inspect
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from server.core.sampling import Bucket, Sampler, draw_fairly


def test_a_room_within_its_budget_leaves_nothing_out() -> None:
    """An even stream below the budget passes whole, whatever the tick."""
    sampler, bucket = Sampler(1000), Bucket()
    assert [sampler.too_many(50, bucket, 1.0, 50.0 * tick) for tick in range(100)] == [0] * 100
    assert [sampler.too_many(200, bucket, 1.0, 10_000 + 200.0 * tick) for tick in range(100)] == [0] * 100


def test_a_burst_of_one_second_passes_and_then_the_budget_counts() -> None:
    """A quiet room may send a second's worth at once; after that it has what comes in by the budget."""
    sampler, bucket = Sampler(1000), Bucket()
    assert sampler.too_many(1000, bucket, 1.0, 0) == 0
    assert sampler.too_many(300, bucket, 1.0, 100) == 200
    assert sampler.too_many(300, bucket, 1.0, 100) == 300
    assert sampler.too_many(1500, bucket, 1.0, 60_000) == 500


def test_a_smaller_share_is_a_smaller_budget() -> None:
    """When the process cannot keep up all rooms have less: what a room had saved is cut as well."""
    sampler, bucket = Sampler(1000), Bucket()
    assert sampler.too_many(0, bucket, 1.0, 0) == 0
    assert sampler.too_many(400, bucket, 0.25, 50) == 150
    assert sampler.too_many(100, bucket, 0.25, 250) == 50


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    """No budget comes from a clock that is set back."""
    sampler, bucket = Sampler(100), Bucket()
    assert sampler.too_many(100, bucket, 1.0, 1000) == 0
    assert sampler.too_many(5, bucket, 1.0, 500) == 5


@given(
    budget=st.integers(10, 5000),
    flushes=st.lists(st.tuples(st.integers(0, 400), st.floats(0, 300)), min_size=1, max_size=60),
)
def test_no_time_gets_more_than_its_budget_and_a_second(budget: int, flushes: list[tuple[int, float]]) -> None:
    """Whatever comes when, what passes is at most the budget of that time and one second more; and nothing is left out that fits."""
    sampler, bucket = Sampler(budget), Bucket()
    now = passed = 0.0
    for events, pause in flushes:
        now += pause
        surplus = sampler.too_many(events, bucket, 1.0, now)
        assert 0 <= surplus <= events
        passed += events - surplus
        assert passed <= budget * (now / 1000 + 1) + 1e-6
        if surplus:
            assert passed >= budget - 1


def test_what_is_left_out_are_comments_and_as_many_as_asked() -> None:
    """Positions of other events cannot be drawn; where there are not enough comments all of them are left out."""
    sampler = Sampler(1)
    comments = [0, 2, 3, 7, 9]
    for number in range(1, 5):
        left_out = sampler.leave_out(comments, number)
        assert len(left_out) == number
        assert left_out < set(comments)
    assert sampler.leave_out(comments, 5) == sampler.leave_out(comments, 50) == set(comments)


def test_each_comment_of_a_flush_has_the_same_chance() -> None:
    """Neither place nor neighbours matter: over many draws each position is left out equally often, and so is each pair."""
    rounds, comments = 6000, list(range(10, 18))
    sampler = Sampler(1)
    single: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for _ in range(rounds):
        chosen = sorted(sampler.leave_out(comments, 3))
        single.update(chosen)
        pairs.update((one, other) for one in chosen for other in chosen if one < other)
    for counts, number, chance in ((single, 8, 3 / 8), (pairs, 28, 3 / 28)):
        assert len(counts) == number
        bound = 6 * (rounds * chance * (1 - chance)) ** 0.5  # six standard deviations: once in 10^9 runs by chance
        assert all(abs(count - rounds * chance) < bound for count in counts.values())


def test_a_flood_gets_no_more_than_its_part() -> None:
    """An account that sends nine of ten comments has nine of ten of those that go live, not more and not fewer."""
    live: Counter[str] = Counter()
    sampler = Sampler(1)
    authors = ["flood"] * 90 + ["quiet"] * 10
    for _ in range(400):
        left_out = sampler.leave_out(range(100), 80)
        live.update(author for position, author in enumerate(authors) if position not in left_out)
    assert sum(live.values()) == 400 * 20
    assert abs(live["quiet"] / 8000 - 0.1) < 0.02


def test_the_choice_sees_nothing_that_an_author_controls() -> None:
    """What decides gets counts, a share and a clock reading: neither an event nor its author, and no seed."""
    assert list(inspect.signature(Sampler.leave_out).parameters) == ["self", "comments", "number"]
    assert list(inspect.signature(Sampler.too_many).parameters) == ["self", "events", "bucket", "share", "now_ms"]
    assert sorted(draw_fairly(5, 5)) == [0, 1, 2, 3, 4]
    assert len({tuple(draw_fairly(1000, 10)) for _ in range(50)}) == 50
