"""How many comments of a room go live when more come than anybody could read or a network carry; which ones is left to chance.

Each room has a budget of events a second, kept as a bucket that holds one second's worth: a short burst passes whole. What is
over it is left out of the live frame alone. The log, the pages, the history and every resume have it, the frame says how many it
leaves out, and an author's own comment reaches its author in any case.

The choice is neutral. It knows of an event no more than whether it is a comment, gives each comment of a flush the same chance, and
draws from the system's source of randomness: no author can steer it, and nobody can foresee it. Removals, restorations and notices
are never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Final

_DEPTH_S: Final = 1.0

Draw = Callable[[int, int], list[int]]
"""``draw(n, k)``: ``k`` different numbers below ``n``, each set of them as likely as any other."""

_system: Final = SystemRandom()


def draw_fairly(number: int, drawn: int) -> list[int]:
    """See :data:`Draw`."""
    return _system.sample(range(number), drawn)


class Bucket:
    """What a room may send at once. Times are milliseconds of any monotonic clock."""

    __slots__ = ("_at_ms", "_tokens")

    def __init__(self) -> None:
        self._tokens = -1.0  # full; how much that is, is known when it is used
        self._at_ms = 0.0

    def take(self, wanted: int, per_s: float, now_ms: float) -> int:
        """Take up to ``wanted`` tokens of a bucket that fills with ``per_s`` a second; returns how many there were."""
        depth = per_s * _DEPTH_S
        if self._tokens < 0:
            self._tokens = depth
        else:
            self._tokens = min(depth, self._tokens + max(0.0, now_ms - self._at_ms) / 1000 * per_s)
        self._at_ms = now_ms
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken


class Sampler:
    """Decides what goes live, for all rooms of a process: ``per_s`` events a second of each. ``draw`` may be given by tests."""

    __slots__ = ("_draw", "_per_s")

    def __init__(self, per_s: float, draw: Draw = draw_fairly) -> None:
        self._per_s = per_s
        self._draw = draw

    def too_many(self, events: int, bucket: Bucket, share: float, now_ms: float) -> int:
        """By how much a flush of ``events`` is over its room's budget; ``share`` is the part of it that is in force (0 to 1)."""
        return events - bucket.take(events, self._per_s * share, now_ms)

    def leave_out(self, comments: Sequence[int], number: int) -> frozenset[int]:
        """``number`` of ``comments`` (the positions of a flush's comments) that do not go live; all when there are no more."""
        if number >= len(comments):
            return frozenset(comments)
        return frozenset(comments[index] for index in self._draw(len(comments), number))
