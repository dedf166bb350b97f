"""Schedules and their pacing."""

from __future__ import annotations

import asyncio
import time

import pytest

from loadtest.arrivals import Pacer, poisson, steady


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
