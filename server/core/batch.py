"""When a room is flushed: at once after a pause, else once per tick; the tick grows under load and shrinks again."""

from __future__ import annotations

from typing import Final

_GROW_ABOVE: Final = 0.5
_SHRINK_BELOW: Final = 0.25
_STEP: Final = 1.5


class Tick:
    """The pace of flushing, shared by all rooms of a process. Times are milliseconds of any monotonic clock."""

    __slots__ = ("_busy_ms", "_max_ms", "_min_ms", "_since_ms", "current_ms")

    def __init__(self, min_ms: float, max_ms: float, now_ms: float) -> None:
        self._min_ms = min_ms
        self._max_ms = max(min_ms, max_ms)
        self.current_ms = min_ms
        self._busy_ms = 0.0
        self._since_ms = now_ms

    def delay_ms(self, last_flush_ms: float, now_ms: float) -> float:
        """How long a room that was flushed at ``last_flush_ms`` has to wait from now on; 0 after a pause."""
        return max(0.0, self.current_ms - (now_ms - last_flush_ms))

    def spent(self, busy_ms: float) -> None:
        """A flush took ``busy_ms`` of the loop's time."""
        self._busy_ms += busy_ms

    def adapt(self, now_ms: float) -> None:
        """Called about once a second: a loop that spends over half its time on flushing gets a longer tick."""
        elapsed = now_ms - self._since_ms
        if elapsed <= 0:
            return
        share = self._busy_ms / elapsed
        if share > _GROW_ABOVE:
            self.current_ms = min(self._max_ms, self.current_ms * _STEP)
        elif share < _SHRINK_BELOW:
            self.current_ms = max(self._min_ms, self.current_ms / _STEP)
        self._busy_ms = 0.0
        self._since_ms = now_ms
