"""server/core/batch.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.batch import Pace, Tick


def test_a_room_that_was_quiet_is_flushed_at_once() -> None:
    """At first, and after a pause, there is nothing to wait for."""
    pace = Pace()
    assert pace.delay_ms(50, 0) == 0
    pace.flushed(50, 1000)
    assert pace.delay_ms(50, 1050) == 0


def test_a_flush_may_come_early_and_the_next_one_comes_later_for_it() -> None:
    """A whole period early; after that there is one in each period again."""
    pace = Pace()
    pace.flushed(100, 0)
    assert pace.delay_ms(100, 10) == 0
    pace.flushed(100, 10)
    assert pace.delay_ms(100, 10) == 90
    pace.flushed(100, 100)
    assert pace.delay_ms(100, 100) == 100


def test_commits_in_a_beat_of_the_same_period_are_flushed_as_they_come() -> None:
    """Whatever the place in the period at which the beat begins."""
    for offset in range(0, 100, 5):
        pace = Pace()
        pace.flushed(100, 0)
        waits = []
        for beat in range(1, 5):
            now = (beat - 1) * 100.0 + offset
            waits.append(pace.delay_ms(100, now))
            pace.flushed(100, now + waits[-1])
        assert waits == [0, 0, 0, 0]


@given(st.lists(st.floats(0, 300), max_size=60))
def test_on_the_average_there_is_one_flush_in_a_period(pauses: list[float]) -> None:
    """However it is asked: between any two flushes there are no more than that, and the early one."""
    pace, now, flushes = Pace(), 0.0, list[float]()
    for pause in pauses:
        now += pause
        wait = pace.delay_ms(100, now)
        assert 0 <= wait < 100.01
        now += wait
        pace.flushed(100, now)
        flushes.append(now)
    for number, begin in enumerate(flushes):
        for more, end in enumerate(flushes[number:]):
            assert more <= (end - begin) / 100 + 1.0001


def test_the_tick_grows_under_load_up_to_its_maximum() -> None:
    """A loop that spends over seven tenths of its time on flushing flushes more rarely, within the bound."""
    tick = Tick(50, 200, 0)
    seen = []
    for second in range(1, 7):
        tick.spent(400)
        tick.spent(320)
        tick.adapt(1000.0 * second)
        seen.append(tick.current_ms)
    assert seen == pytest.approx([60, 72, 86.4, 103.68, 124.416, 149.2992])
    tick.spent(10_000)
    tick.adapt(7000)
    assert tick.current_ms == 200


def test_the_tick_becomes_as_long_as_it_has_to_be() -> None:
    """A flush of 80 ms has a tick of 133 ms after one second, and keeps it."""
    tick = Tick(100, 200, 0)
    seen = []
    for second in range(1, 4):
        tick.spent(80 * 1000 / tick.current_ms)
        tick.adapt(1000.0 * second)
        seen.append(tick.current_ms)
    assert seen == pytest.approx([133.33] * 3, abs=0.01)


def test_the_tick_shrinks_when_the_load_is_gone() -> None:
    """Below about a third of the loop's time the tick returns to its minimum; in between it stays."""
    tick = Tick(50, 200, 0)
    tick.spent(1200)
    tick.adapt(1000)
    assert tick.current_ms == 100
    tick.spent(360)
    tick.adapt(2000)
    assert tick.current_ms == 100
    tick.spent(340)
    tick.adapt(3000)
    assert tick.current_ms == pytest.approx(66.67, abs=0.01)
    tick.adapt(4000)
    assert tick.current_ms == 50


def test_the_share_is_that_of_the_time_since_the_last_look() -> None:
    """Work is not counted twice, and a look without time in between changes nothing and forgets nothing."""
    tick = Tick(50, 200, 0)
    tick.spent(900)
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


@given(st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 2000))))
def test_the_tick_never_leaves_its_bounds(steps: list[tuple[float, float]]) -> None:
    """Whatever the load, the tick is within minimum and maximum."""
    tick = Tick(50, 200, 0)
    at = 0.0
    for busy, elapsed in steps:
        tick.spent(busy)
        at += elapsed
        tick.adapt(at)
        assert 50 <= tick.current_ms <= 200


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
        tick.spent(900, 100_000)
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
    tick.spent(800)
    tick.adapt(1000)
    assert tick.strained
