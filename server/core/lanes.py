"""What waits for a commit: two lanes, of which the urgent one overtakes when there is more than a batch takes."""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Waiting(NamedTuple, Generic[T]):
    """One that waits, and since when (seconds of a monotonic clock)."""

    work: T
    since_s: float
    urgent: bool


class Lanes(Generic[T]):
    """The queue. Who puts into it bounds it, by :attr:`urgent` and :attr:`ordinary`."""

    __slots__ = ("_queue", "urgent")

    def __init__(self) -> None:
        self._queue: deque[_Waiting[T]] = deque()
        self.urgent = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def ordinary(self) -> int:
        """How many wait that are not urgent."""
        return len(self._queue) - self.urgent

    @property
    def oldest_s(self) -> float:
        """Since when the next one waits; infinite: nobody does."""
        return self._queue[0].since_s if self._queue else math.inf

    def put(self, work: T, now_s: float, *, urgent: bool) -> None:
        """Wait at the end of the lane."""
        self.urgent += urgent
        self._queue.append(_Waiting(work, now_s, urgent))

    def take(self, most: int) -> deque[T]:
        """The next ones, at most ``most``: in their order, but with the urgent before all others when not everybody comes along."""
        waiting = self._queue
        if self.urgent and len(waiting) > most:
            # The sort is stable, and rare: it takes an operator and an overload.
            self._queue = waiting = deque(sorted(waiting, key=lambda each: not each.urgent))
        batch = [waiting.popleft() for _ in range(min(len(waiting), most))]
        self.urgent -= sum(each.urgent for each in batch)
        return deque(each.work for each in batch)
