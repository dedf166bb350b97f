"""Open-model arrivals: when comments are due does not depend on how fast the server is.

A schedule gives due times as offsets from the start. The pacer fires each at its time; when the generator itself falls
behind, it fires late but never less, and keeps account of how late. Latency is counted from the due time, so that neither a
slow server nor a slow generator can make it look better than it was.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import NamedTuple

from loadtest.stats import Histogram

_YIELD_EVERY = 32
"""Fired in one go when behind, before the loop gets its turn."""


def steady(per_s: float, seconds: float, start_s: float = 0.0) -> Iterator[float]:
    """One arrival every ``1 / per_s`` seconds."""
    for number in range(round(per_s * seconds)):
        yield start_s + number / per_s


def poisson(per_s: float, seconds: float, seed: int) -> Iterator[float]:
    """Independent arrivals: the gaps are exponential."""
    dice = random.Random(seed)  # noqa: S311 -- a repeatable schedule is meant
    offset_s = dice.expovariate(per_s)
    while offset_s < seconds:
        yield offset_s
        offset_s += dice.expovariate(per_s)


class Segment(NamedTuple):
    """A time in which the rate moves evenly from one value to another, both in arrivals per second."""

    seconds: float
    from_per_s: float
    to_per_s: float


def varying(segments: Sequence[Segment], seed: int | None) -> Iterator[float]:
    """Arrivals at a rate that changes; ``seed`` None: evenly spaced, else independent of each other.

    Arrivals of rate 1 are stretched: one comes where the area under the rate has grown by its gap.
    """
    dice = None if seed is None else random.Random(seed)  # noqa: S311 -- a repeatable schedule is meant
    needed = 0.0 if dice is None else dice.expovariate(1.0)
    start_s = area = 0.0
    for seconds, low, high in segments:
        slope = (high - low) / seconds
        end = area + (low + high) / 2 * seconds
        while needed < end:
            rest = needed - area
            # rest = low * t + slope * t * t / 2, solved in the form that is exact for a slope of 0 too.
            yield start_s + 2 * rest / (low + math.sqrt(max(0.0, low * low + 2 * slope * rest))) if rest else start_s
            needed += 1.0 if dice is None else dice.expovariate(1.0)
        start_s, area = start_s + seconds, end


class Pacer:
    """Fires arrivals at their times. ``lateness`` is how late they were fired, ``fired`` how many."""

    def __init__(self) -> None:
        self.lateness = Histogram()
        self.fired = 0

    async def run(self, offsets_s: Iterable[float], fire: Callable[[int, float], None], start_s: float | None = None) -> None:
        """Call ``fire(number, due_s)`` for each offset, in order; ``due_s`` is a time of the monotonic clock."""
        if start_s is None:
            start_s = perf_counter()
        in_one_go = 0
        for number, offset_s in enumerate(offsets_s):
            due_s = start_s + offset_s
            early_s = due_s - perf_counter()
            if early_s > 0.0005:
                await asyncio.sleep(early_s)
                in_one_go = 0
            elif (in_one_go := in_one_go + 1) >= _YIELD_EVERY:
                await asyncio.sleep(0)
                in_one_go = 0
            fire(number, due_s)
            self.fired += 1
            self.lateness.record_s(perf_counter() - due_s)
