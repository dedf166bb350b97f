"""Processor time of a piece of work, for tests of bounds: fair on a machine that does much else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

TRACED: Final = 20
"""A run that counts which lines are reached takes many times as long: bounds are then for what never ends, not for what is slow."""


def bound(seconds: float) -> float:
    """The bound as it stands, or a far one while a tracer (coverage) counts every line."""
    return seconds * TRACED if sys.gettrace() is not None else seconds


def best_of(times: int, work: Callable[[], object], enough: float) -> float:
    """The least processor time of this thread, in seconds, that ``work`` took in so many runs; runs end once it is ``enough``."""
    best = float("inf")
    for _ in range(times):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
        if best < enough:
            break
    return best
