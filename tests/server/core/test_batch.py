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
