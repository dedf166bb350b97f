"""Schedules and their pacing."""

from __future__ import annotations

import asyncio
import time

import pytest

from loadtest.arrivals import Pacer, Segment, poisson, steady, varying


def test_steady() -> None:
    """Arrivals are evenly spaced, and as many as the rate says."""
    assert list(steady(4, 1.0)) == [0.0, 0.25, 0.5, 0.75]
    assert list(steady(2, 1.0, start_s=3.0)) == [3.0, 3.5]


def test_poisson() -> None:
    """A seed repeats its schedule; arrivals are in order, within the time, and about as many as the rate says."""
    arrivals = list(poisson(1000, 2.0, seed=7))
    assert arrivals == list(poisson(1000, 2.0, seed=7))
    assert arrivals != list(poisson(1000, 2.0, seed=8))
    assert arrivals == sorted(arrivals)
    assert arrivals[0] > 0
    assert arrivals[-1] < 2.0
    assert len(arrivals) == pytest.approx(2000, rel=0.15)


async def test_pacer_keeps_the_times() -> None:
    """Each arrival is fired once, in order, with its due time, and not before it."""
    fired: list[tuple[int, float, float]] = []
    pacer = Pacer()
    start_s = time.perf_counter()
    await pacer.run(steady(200, 0.1), lambda number, due_s: fired.append((number, due_s, time.perf_counter())), start_s)
    assert [number for number, _, _ in fired] == list(range(20))
    assert [due_s - start_s for _, due_s, _ in fired] == pytest.approx(list(steady(200, 0.1)))
    assert all(at_s >= due_s - 0.0006 for _, due_s, at_s in fired)
    assert (pacer.fired, pacer.lateness.count) == (20, 20)


async def test_pacer_behind_its_schedule() -> None:
    """A generator that fell behind fires everything, late, says how late, and lets others run meanwhile."""
    pacer = Pacer()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await pacer.run(steady(1000, 0.2), lambda number, due_s: None, time.perf_counter() - 1.0)
    task.cancel()
    assert pacer.fired == 200
    assert pacer.lateness.ms(50) > 700
    assert turns >= 5


def test_a_rate_that_changes() -> None:
    """As many arrivals come in each part as the area under its rate; evenly spaced ones are the same every time."""
    segments = [Segment(2, 10, 10), Segment(2, 10, 30), Segment(1, 0, 0), Segment(1, 100, 0)]
    offsets = list(varying(segments, None))
    assert offsets == sorted(offsets)
    assert [sum(start <= at < end for at in offsets) for start, end in ((0, 2), (2, 4), (4, 5), (5, 6))] == [20, 40, 0, 50]
    assert offsets[:3] == [0.0, 0.1, 0.2]
    # At twice the mean rate of a rising part, half of its arrivals lie in its last third or so.
    rising = [at for at in offsets if 2 <= at < 4]
    assert rising[20] > 3.1


def test_independent_arrivals_at_a_changing_rate() -> None:
    """Independent arrivals follow the rate, and repeat with their seed."""
    segments = [Segment(10, 0, 200), Segment(10, 50, 50)]
    offsets = list(varying(segments, 7))
    assert offsets == list(varying(segments, 7))
    assert offsets != list(varying(segments, 8))
    assert sum(at < 10 for at in offsets) == pytest.approx(1000, rel=0.1)
    assert sum(at >= 10 for at in offsets) == pytest.approx(500, rel=0.15)
    assert max(offsets) < 20
