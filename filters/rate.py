"""Rates by the generic cell rate algorithm (GCRA): one stored timestamp per key, no timers, no clock of its own.

The timestamp of a key is its *theoretical arrival time*: the moment at which its allowance would be whole again. A request is
allowed while that moment lies no further ahead of now than the burst permits, and moves it one interval on.
"""

from __future__ import annotations

from typing import Literal

Overflow = Literal["forget_oldest", "refuse_new"]


class Gcra:
    """A bounded number of keys, each with ``burst`` requests at once and one more every ``interval_ms``.

    When ``max_keys`` keys hold a timestamp that still matters, ``overflow`` says what happens to a key that is not among them:
    ``forget_oldest`` drops the key that was allowed longest ago (which then starts afresh: fails open), ``refuse_new`` refuses
    the new key until an old one expires (fails closed). Keys whose allowance is whole again are dropped first: nothing is lost.

    Not safe for use by several threads at once. A ``now_ms`` earlier than the last one makes waits longer, never shorter.
    """

    __slots__ = ("_arrival_ms", "_interval_ms", "_max_keys", "_overflow", "_tolerance_ms")

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
        if self._interval_ms == 0:
            return 0
        held = self._arrival_ms
        arrival_ms = held.get(key, 0)
        wait_ms = arrival_ms - self._tolerance_ms - now_ms
        if wait_ms > 0:
            return wait_ms
        if arrival_ms:
            del held[key]
        elif len(held) >= self._max_keys:
            wait_ms = self._make_room(now_ms)
            if wait_ms > 0:
                return wait_ms
        held[key] = max(now_ms, arrival_ms) + self._interval_ms * weight
        return 0

    def _make_room(self, now_ms: int) -> int:
        """Drop expired keys from the front (each key is dropped once: constant time per request); 0 when there is room."""
        held = self._arrival_ms
        while held:
            oldest = next(iter(held))
            wait_ms = held[oldest] - now_ms
            if wait_ms > 0:
                if self._overflow == "refuse_new":
                    return wait_ms if len(held) >= self._max_keys else 0
                if len(held) < self._max_keys:
                    return 0
            del held[oldest]
        return 0
