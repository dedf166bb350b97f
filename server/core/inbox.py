"""What connections sent and nobody has looked at yet: while many speak, what comes within a beat is looked at together.

A comment that is screened and recorded by itself finds the processor's caches full of the thousand writes before it, and costs twice
what it costs in the company of others. So it waits for them here, and nowhere else: what is read together is committed together
(:mod:`server.publish`) and goes live at once (:mod:`server.core.batch`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

C = TypeVar("C")

FULL: Final = 64
FULL_BYTES: Final = 262_144


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Inbox(Generic[C]):
    """The order is that of arrival. ``serve`` looks at one message and must not raise; ``later`` calls back after some seconds.

    ``beat_s`` is asked for the seconds of a beat. Who speaks alone, or after a pause, waits for nothing. Bounds: ``FULL`` messages or
    ``FULL_BYTES``, then all are looked at now.
    """

    __slots__ = ("_beat_s", "_bytes", "_clock", "_crowd_s", "_last", "_later", "_serve", "_served_s", "_timer", "_waiting")

    def __init__(
        self,
        serve: Callable[[C, bytes], None],
        later: Callable[[float, Callable[[], None]], _Timer],
        clock: Callable[[], float],
        beat_s: Callable[[], float],
    ) -> None:
        self._serve = serve
        self._later = later
        self._clock = clock
        self._beat_s = beat_s
        self._waiting: list[tuple[C, bytes]] = []
        self._bytes = 0
        self._last: C | None = None  # who spoke last
        self._crowd_s = self._served_s = -math.inf  # when somebody else spoke; when messages were last looked at
        self._timer: _Timer | None = None

    def put(self, who: C, data: bytes) -> None:
        """Something came."""
        now_s = self._clock()
        if who is not self._last:
            if self._last is not None:
                self._crowd_s = now_s
            self._last = who
        self._waiting.append((who, data))
        self._bytes += len(data)
        if len(self._waiting) >= FULL or self._bytes >= FULL_BYTES:
            self.drain()
        elif self._timer is None:
            beat_s = self._beat_s()
            wait_s = self._served_s + beat_s - now_s
            if wait_s <= 0 or now_s - self._crowd_s > beat_s:
                self.drain()
            else:
                self._timer = self._later(wait_s, self.drain)

    def drain(self) -> None:
        """Look at all that waits now: the beat is over, or somebody leaves."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        self._served_s = self._clock()
        batch, self._waiting = self._waiting, []
        self._bytes = 0
        for who, data in batch:
            self._serve(who, data)

    def forget(self, who: C) -> None:
        """They left; what they sent before is looked at first."""
        self.drain()
        if self._last is who:
            self._last = None
