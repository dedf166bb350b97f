"""server/core/batch.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.batch import Tick


def test_a_room_that_was_quiet_is_flushed_at_once() -> None:
    """After a pause of at least one tick there is nothing to wait for."""
    tick = Tick(50, 200, 0)
    assert tick.delay_ms(last_flush_ms=1000, now_ms=1050) == 0
    assert tick.delay_ms(last_flush_ms=-1e9, now_ms=0) == 0


def test_a_busy_room_waits_for_the_rest_of_its_tick() -> None:
    """The time since the last flush counts."""
    tick = Tick(50, 200, 0)
    assert tick.delay_ms(last_flush_ms=1000, now_ms=1000) == 50
    assert tick.delay_ms(last_flush_ms=1000, now_ms=1030) == 20


def test_the_tick_grows_under_load_up_to_its_maximum() -> None:
    """A loop that spends over half its time on flushing flushes more rarely, within the bound."""
    tick = Tick(50, 200, 0)
    seen = []
    for second in range(1, 6):
        tick.spent(300)
        tick.spent(201)
        tick.adapt(1000.0 * second)
        seen.append(tick.current_ms)
    assert seen == [75, 112.5, 168.75, 200, 200]


def test_the_tick_shrinks_when_the_load_is_gone() -> None:
    """Below a quarter of the loop's time the tick returns to its minimum; in between it stays."""
    tick = Tick(50, 200, 0)
    tick.spent(900)
    tick.adapt(1000)
    tick.spent(900)
    tick.adapt(2000)
    assert tick.current_ms == 112.5
    tick.spent(300)
    tick.adapt(3000)
    assert tick.current_ms == 112.5
    tick.spent(240)
    tick.adapt(4000)
    assert tick.current_ms == 75
    tick.adapt(5000)
    tick.adapt(6000)
    assert tick.current_ms == 50


def test_the_share_is_that_of_the_time_since_the_last_look() -> None:
    """Work is not counted twice, and a look without time in between changes nothing and forgets nothing."""
    tick = Tick(50, 200, 0)
    tick.spent(600)
    tick.adapt(0)
    assert tick.current_ms == 50
    tick.adapt(1000)
    assert tick.current_ms == 75
    tick.adapt(2000)
    assert tick.current_ms == 50


def test_a_maximum_below_the_minimum_means_a_fixed_tick() -> None:
    """The minimum wins."""
    tick = Tick(50, 10, 0)
    tick.spent(1000)
    tick.adapt(1000)
    assert tick.current_ms == 50


@given(st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 2000))), st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_tick_never_leaves_its_bounds(steps: list[tuple[float, float]], last: float, now: float) -> None:
    """Whatever the load, the tick is within minimum and maximum, and no delay is negative or longer than the tick."""
    tick = Tick(50, 200, 0)
    at = 0.0
    for busy, elapsed in steps:
        tick.spent(busy)
        at += elapsed
        tick.adapt(at)
        assert 50 <= tick.current_ms <= 200
    assert 0 <= tick.delay_ms(min(last, now), now) <= tick.current_ms
    assert tick.delay_ms(now, now) == pytest.approx(tick.current_ms)


def strained_tick(frame_bytes: int) -> Tick:
    """A tick at its maximum, after a second in which the flushing took all of the time."""
    tick = Tick(50, 75, 0)
    for second in (1, 2):
        tick.spent(1000, frame_bytes)
        tick.adapt(1000.0 * second)
    return tick


def test_when_the_longest_tick_does_not_help_the_budgets_shrink() -> None:
    """Half as much for each second that was too busy, with a bound; not while there is a longer tick to try."""
    tick = Tick(50, 75, 0)
    seen = []
    for second in range(1, 12):
        tick.spent(501, 100_000)
        tick.adapt(1000.0 * second)
        seen.append((tick.current_ms, tick.share))
    assert seen[:4] == [(75, 1), (75, 0.5), (75, 0.25), (75, 0.125)]
    assert seen[-1] == (75, 1 / 64)


def test_small_frames_are_not_made_smaller() -> None:
    """A write of few bytes costs the same as one of none: where frames are small leaving comments out would win nothing."""
    assert strained_tick(16_384).share == 1
    assert strained_tick(16_385).share == 0.5


def test_budgets_recover_before_the_tick_does() -> None:
    """Comments are worth more than milliseconds."""
    tick = strained_tick(100_000)
    assert tick.strained
    seen = []
    for second in range(3, 6):
        tick.spent(100, 100_000)
        tick.adapt(1000.0 * second)
        seen.append((tick.current_ms, tick.share))
    assert seen == [(75, 1), (50, 1), (50, 1)]
    assert not tick.strained


def test_a_longer_tick_is_a_strain_by_itself() -> None:
    """What can wait does so as soon as the usual pace is not kept."""
    tick = Tick(50, 200, 0)
    assert not tick.strained
    tick.spent(600)
    tick.adapt(1000)
    assert tick.strained
