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
    """A loop that spends over four fifths of its time on flushing flushes more rarely, within the bound."""
    tick = Tick(50, 200, 0)
    seen = []
    for second in range(1, 7):
        tick.spent(500)
        tick.spent(364)
        tick.adapt(1000.0 * second)
        seen.append(tick.current_ms)
    assert seen == pytest.approx([60, 72, 86.4, 103.68, 124.416, 149.2992])
    tick.spent(10_000)
    tick.adapt(7000)
    assert tick.current_ms == 200


def test_the_tick_becomes_as_long_as_it_has_to_be() -> None:
    """A flush of 90 ms has a tick of 125 ms after one second, and keeps it."""
    tick = Tick(100, 200, 0)
    seen = []
    for second in range(1, 4):
        tick.spent(90 * 1000 / tick.current_ms)
        tick.adapt(1000.0 * second)
        seen.append(tick.current_ms)
    assert seen == pytest.approx([125] * 3, abs=0.01)


def test_what_all_else_needs_is_left_to_it() -> None:
    """Where comments take half of the processor a flush of 40 ms has a tick of 100 ms, where they take nothing it has the least."""
    seen = []
    for others_ms in (0, 300, 500, 2000):
        tick, cpu_ms = Tick(60, 200, 0), 0.0
        for second in range(1, 9):
            busy_ms = 40 * 1000 / tick.current_ms
            cpu_ms += busy_ms + others_ms
            tick.spent(busy_ms)
            tick.adapt(1000.0 * second, cpu_ms)
        seen.append(tick.current_ms)
    assert seen == pytest.approx([60, 66.7, 100, 133.3], abs=0.1)


def test_the_beat_is_that_of_the_room_with_most_turns() -> None:
    """While it has them: half of the time between two turns; where there are none it is longer than a tick."""
    tick = Tick(50, 200, 0)
    assert tick.beat_ms == 60
    for parts in (1, 4, 2):
        tick.spent(1, parts=parts)
    tick.adapt(1000)
    assert tick.beat_ms == 50 / 4
    tick.adapt(2000)
    assert tick.beat_ms == 60


def test_flushes_that_fell_behind_their_commits_catch_up() -> None:
    """After a crowd of commits the flushes wait for their time; in a beat that is a little longer they soon wait for nothing."""
    pace = Pace()
    for now in (0.0, 1.0, 2.0):
        pace.flushed(50, now + pace.delay_ms(50, now))
    waits = []
    for beat in range(1, 10):
        now = 3 + beat * 60.0
        waits.append(pace.delay_ms(50, now))
        pace.flushed(50, now + waits[-1])
    assert waits[0] > 30
    assert waits[-4:] == [0, 0, 0, 0]
    assert sorted(waits, reverse=True) == waits


def test_the_tick_shrinks_when_the_load_is_gone() -> None:
    """To its minimum, by a third each second at most."""
    tick = Tick(50, 200, 0)
    tick.spent(1440)
    tick.adapt(1000)
    assert tick.current_ms == 100
    tick.adapt(2000)
    assert tick.current_ms == pytest.approx(66.67, abs=0.01)
    tick.adapt(3000)
    assert tick.current_ms == 50


def test_the_tick_is_no_longer_than_it_need_be() -> None:
    """A flush of 72 ms, by whatever tick it began, comes to one of 100 ms; where it is about right it stays."""
    tick = Tick(50, 200, 0)
    tick.spent(10_000)
    tick.adapt(1000)
    assert tick.current_ms == 200
    for second in (2, 3):
        tick.spent(72 * 1000 / tick.current_ms)
        tick.adapt(1000.0 * second)
    assert tick.current_ms == pytest.approx(100)
    for second, busy in enumerate((660, 790), 4):
        tick.spent(busy)
        tick.adapt(1000.0 * second)
        assert tick.current_ms == pytest.approx(100)


def test_the_share_is_that_of_the_time_since_the_last_look() -> None:
    """Work is not counted twice, and a look without time in between changes nothing and forgets nothing."""
    tick = Tick(50, 200, 0)
    tick.spent(1080)
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
        tick.spent(2000, frame_bytes)
        tick.adapt(1000.0 * second)
    return tick


def test_when_the_longest_tick_does_not_help_the_budgets_shrink() -> None:
    """Half as much for each second that was too busy, with a bound; not while there is a longer tick to try."""
    tick = Tick(50, 75, 0)
    seen = []
    for second in range(1, 12):
        tick.spent(2000, 100_000)
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
    tick.spent(900)
    tick.adapt(1000)
    assert tick.strained
