"""When a room is flushed: at once after a pause, else once per tick; the tick grows under load and shrinks again.

A flush may come early when the one after it comes later for that. Commits come in a beat that is a little longer than a tick; so each
flush soon follows its commit at once, wherever in a tick that beat began, and nobody waits for the rest of a tick.

When the longest tick does not help, what is left is to send less: the rooms' budgets of live comments shrink
(:mod:`server.core.sampling`). They recover before the tick does.
"""

from __future__ import annotations

import math
from typing import Final

_AIM: Final = 0.72
"""The part of the time that flushing may take, where all else needs little: for many viewers a short tick is worth the processor."""
_AIM_LEAST: Final = 0.3
_ALL: Final = 0.9
"""What flushing and all else together may take."""
_BAND: Final = 1.1
_SHRINK_STEP: Final = 1.5
_SHARE_LEAST: Final = 1 / 64
_SHARE_STEP: Final = 2.0
_LARGE_BYTES: Final = 16_384
"""Up to about this size a write costs the same, whatever it carries: to leave something out of smaller frames would win nothing."""
_BEHIND: Final = 1.2
"""A flush that follows its commit late does so by a fifth of a tick less each time."""


class Pace:
    """When the next flush of a room is due. On the average there is one in a period; one may come a whole period early."""

    __slots__ = ("_due_ms",)

    def __init__(self) -> None:
        self._due_ms = -math.inf

    def delay_ms(self, period_ms: float, now_ms: float) -> float:
        """How long to wait from now on; 0: no longer."""
        return max(0.0, self._due_ms - period_ms - now_ms)

    def flushed(self, period_ms: float, now_ms: float) -> None:
        """A flush begins. The period is that from beginning to beginning: what a flush takes is part of it."""
        self._due_ms = max(self._due_ms, now_ms) + period_ms


class Tick:
    """The pace of flushing, shared by all rooms of a process. Times are milliseconds of any monotonic clock.

    ``share`` is the part of the rooms' budgets of live comments that is in force.
    """

    __slots__ = (
        "_busy_ms", "_cpu_ms", "_largest", "_max_ms", "_min_ms", "_parts", "_since_ms", "_turn_ms", "current_ms", "share",
    )  # fmt: skip

    def __init__(self, min_ms: float, max_ms: float, now_ms: float) -> None:
        self._min_ms = min_ms
        self._max_ms = max(min_ms, max_ms)
        self.current_ms = self._turn_ms = min_ms
        self.share = 1.0
        self._busy_ms = self._cpu_ms = 0.0
        self._largest = 0
        self._parts = 1
        self._since_ms = now_ms

    @property
    def strained(self) -> bool:
        """The process has more to send than it can at its usual pace: what is least needed can wait."""
        return self.current_ms > self._min_ms or self.share < 1

    @property
    def beat_ms(self) -> float:
        """The best time between two commits while many write, by the room which had most flushes of late. Where it has one in a tick:
        a little more than that, or a flush that has fallen behind its commit would stay behind it. Where its flushes are paced by
        the turns of its viewers: as long as between two of them, which adds little to the waiting for one's own."""
        return self._turn_ms * _BEHIND if self._turn_ms >= self.current_ms else self._turn_ms

    def spent(self, busy_ms: float, frame_bytes: int = 0, parts: int = 1) -> None:
        """A flush took ``busy_ms`` of the loop's time, for a frame of ``frame_bytes``; it was one of ``parts`` in a tick."""
        self._busy_ms += busy_ms
        self._largest = max(self._largest, frame_bytes)
        self._parts = max(self._parts, parts)

    def adapt(self, now_ms: float, cpu_ms: float = 0.0) -> None:
        """Called about once a second: a loop that spends most of its time on flushing, or too much beside all else that it does,
        gets a longer tick, then smaller frames. ``cpu_ms`` is the processor time that the loop has used so far.

        A flush takes as long in a longer tick, so that the tick which leaves enough time for all else is known at once; and so is
        the one that is longer than it need be.
        """
        elapsed = now_ms - self._since_ms
        if elapsed <= 0:
            return
        busy = self._busy_ms / elapsed
        others = max(0.0, (cpu_ms - self._cpu_ms) / elapsed - busy)
        aim = min(_AIM, max(_AIM_LEAST, _ALL - others))
        if busy > aim * _BAND:
            if self.current_ms < self._max_ms:
                self.current_ms = min(self._max_ms, self.current_ms * busy / aim)
            elif self._largest > _LARGE_BYTES:
                self.share = max(_SHARE_LEAST, self.share / _SHARE_STEP)
        elif busy < aim / _BAND:
            if self.share < 1:
                self.share = min(1.0, self.share * _SHARE_STEP)
            else:
                self.current_ms = max(self._min_ms, self.current_ms * max(busy / aim, 1 / _SHRINK_STEP))
        self._turn_ms = self.current_ms / self._parts
        self._busy_ms = 0.0
        self._cpu_ms = cpu_ms
        self._largest = 0
        self._parts = 1
        self._since_ms = now_ms
