"""Rates by the generic cell rate algorithm (GCRA): one stored timestamp per key, no timers, no clock of its own.

The timestamp of a key is its *theoretical arrival time*: the moment at which its allowance would be whole again. A request is
allowed while that moment lies no further ahead of now than the burst permits, and moves it one interval on.
"""

from __future__ import annotations

from itertools import islice
from math import inf
from typing import Any, Final, Literal

Overflow = Literal["forget_oldest", "refuse_new"]

ENOUGH: Final = 4_096
"""So many keys are held without a look at which of them are not needed any more."""


def step_of(max_keys: int) -> int:
    """How many new keys may come between two looks at the oldest ones."""
    return 64 + max_keys // 256


def drop_first(held: dict[str, Any], most: int, last: Any) -> None:
    """Drop what was put first, at most so many, up to the first value beyond ``last``.

    Of many, never one by one: each look at the first key of a dictionary goes over the holes that dropped ones left before it,
    which would make a pause of seconds of 200,000 keys.
    """
    for key, value in list(islice(held.items(), most)):
        if value > last:
            break
        del held[key]


class Gcra:
    """A bounded number of keys, each with ``burst`` requests at once and one more every ``interval_ms``.

    When ``max_keys`` keys hold a timestamp that still matters, ``overflow`` says what happens to a key that is not among them:
    ``forget_oldest`` drops the keys that were allowed longest ago, one for each 256 that there are room for, and one at least
    (which then start afresh: fails open), ``refuse_new`` refuses the new key until an old one expires (fails closed). Keys whose
    allowance is whole again are dropped first: nothing is lost. Beyond ``ENOUGH`` keys they are dropped in any case.

    Not safe for use by several threads at once. A ``now_ms`` earlier than the last one makes waits longer, never shorter.
    """

    __slots__ = ("_arrival_ms", "_interval_ms", "_look_at", "_max_keys", "_overflow", "_tolerance_ms")

    def __init__(self, interval_ms: int, burst: int, max_keys: int, overflow: Overflow = "forget_oldest") -> None:
        """``interval_ms`` 0 allows everything. Raises ValueError on a negative interval, or a burst or key bound below 1."""
        if interval_ms < 0 or burst < 1 or max_keys < 1:
            raise ValueError(
                f"a rate needs interval_ms >= 0, burst >= 1, max_keys >= 1, not {interval_ms}, {burst}, {max_keys}"
            )
        self._interval_ms = interval_ms
        self._tolerance_ms = interval_ms * (burst - 1)
        self._max_keys = max_keys
        self._overflow = overflow
        # In the order in which keys were last allowed, so that the first entry is the one to drop.
        self._arrival_ms: dict[str, int] = {}
        # So many keys are held when the oldest are looked at next.
        self._look_at = min(ENOUGH, max_keys)

    def __len__(self) -> int:
        """Number of keys held; never more than ``max_keys``."""
        return len(self._arrival_ms)

    def peek(self, key: str, now_ms: int) -> int:
        """0: :meth:`allow` would allow this key now; else milliseconds after which it would. Changes nothing."""
        wait_ms = self._arrival_ms.get(key, 0) - self._tolerance_ms - now_ms
        return max(0, wait_ms)

    def allow(self, key: str, now_ms: int, weight: int = 1) -> int:
        """Take one request of ``key``: 0 when it is allowed, else milliseconds after which to try again (nothing is taken).

        ``weight`` is what the request costs, in intervals: 2 halves the rate for an account of low credit.
        """
        interval_ms = self._interval_ms
        if interval_ms == 0:
            return 0
        held = self._arrival_ms
        arrival_ms = held.get(key)
        if arrival_ms is None:
            if len(held) >= self._look_at and (wait_ms := self._make_room(now_ms)):
                return wait_ms
            held[key] = now_ms + interval_ms * weight
            return 0
        wait_ms = arrival_ms - self._tolerance_ms - now_ms
        if wait_ms > 0:
            return wait_ms
        del held[key]
        if arrival_ms < now_ms:
            arrival_ms = now_ms
        held[key] = arrival_ms + interval_ms * weight
        return 0

    def give_back(self, key: str, weight: int = 1) -> None:
        """Undo the newest :meth:`allow` of ``key``, which allowed it: what was taken together with this was refused."""
        if self._interval_ms:
            self._arrival_ms[key] -= self._interval_ms * weight

    def _make_room(self, now_ms: int) -> int:
        """Drop the oldest keys: 0 when there is room for one more, else milliseconds until there is. Twice as many as came since the
        last time, so that expired ones never pile up: constant time per request."""
        held, max_keys = self._arrival_ms, self._max_keys
        step = step_of(max_keys)
        drop_first(held, 2 * step, now_ms)
        if len(held) >= max_keys:
            if self._overflow == "refuse_new":
                return next(iter(held.values())) - now_ms
            drop_first(held, max(1, max_keys // 256), inf)
        self._look_at = min(max_keys, max(ENOUGH, len(held) + step))
        return 0
