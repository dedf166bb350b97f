"""One timer wheel for pings, idle checks and deadlines of all connections, instead of a timer or a task each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Items come due in whole seconds. Each item stands in at most one slot: putting it again moves it.

    Bound: one entry per item; delays longer than the wheel are cut to its size (the caller looks again then).
    """

    __slots__ = ("_at", "_now", "_slots")

    def __init__(self, now_s: int, size: int = 128) -> None:
        self._slots: list[set[T]] = [set() for _ in range(size)]
        self._at: dict[T, int] = {}
        self._now = now_s

    def __len__(self) -> int:
        return len(self._at)

    def put(self, item: T, delay_s: int) -> None:
        """Let ``item`` come due in ``delay_s`` seconds (at least 1)."""
        self.remove(item)
        slot = (self._now + max(1, min(delay_s, len(self._slots) - 1))) % len(self._slots)
        self._slots[slot].add(item)
        self._at[item] = slot

    def remove(self, item: T) -> None:
        """Forget ``item``; nothing happens if it is not there."""
        slot = self._at.pop(item, None)
        if slot is not None:
            self._slots[slot].discard(item)

    def advance(self, now_s: int) -> Iterator[T]:
        """Yield what came due up to ``now_s``. Items may be put again while iterating.

        When the caller stops early, what it did not get comes due at the next call.
        """
        # The present second is looked at again: its slot is empty unless a caller stopped early. A process that slept longer
        # than one turn finds every slot due once.
        first = max(self._now, now_s - len(self._slots) + 1)
        for second in range(first, now_s + 1):
            self._now = second
            slot = self._slots[second % len(self._slots)]
            while slot:
                item = slot.pop()
                del self._at[item]
                yield item
