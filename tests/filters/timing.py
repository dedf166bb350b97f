"""Processor time of a piece of work, for tests of bounds: fair on a machine that does much else."""

from __future__ import annotations

import time
from collections.abc import Callable


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
