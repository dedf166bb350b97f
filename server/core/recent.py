"""Comments that were let through a short while ago, by author and key, so that a retry is not judged as a second comment.

A client that lost the answer sends the same comment again with the same key. Screening it again would charge its author's rates
twice and take it for a repetition of itself; the store knows the key and gives the first answer, so it only has to get there.
"""

from __future__ import annotations

from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """What was let through, by ``(author, key)``, together with room and text: another text under the same key is no retry.

    Bound: ``size`` entries. Overflow action: the oldest of 256 parts is forgotten, one entry at least, and their retries are judged
    like new comments. (Several, since each look at the first entry of a dictionary goes over the holes that others left.)
    """

    __slots__ = ("_entries", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[tuple[str, str], tuple[str, str, T]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, author: str, key: str, room: str, text: str, passed: T) -> None:
        """Remember what the comment became."""
        entries = self._entries
        entries[author, key] = (room, text, passed)
        if len(entries) > self._size:
            for oldest in list(islice(entries, 1 + self._size // 256)):
                del entries[oldest]

    def find(self, author: str, key: str, room: str, text: str) -> T | None:
        """What this very comment became when it came first; None when it is new, or was forgotten."""
        entry = self._entries.get((author, key))
        return entry[2] if entry is not None and entry[:2] == (room, text) else None
