"""Comings and goings one after the other, a little in each turn of the loop: a thousand at once must not keep the others waiting.

When a network fails and comes back, everybody is lost and comes again within moments. A handshake, a join, the closing of a socket
cost as much as a comment each; done as they come, they would fill one turn of the event loop, in which no comment of any room
moves. So a turn gives them a share of time; the others wait in line, in the order in which they came.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

TURN_S: Final = 0.004
"""How long a turn of the loop serves those who come and go: about ten newcomers."""
TURN_MAX: Final = 100
"""How many it serves at most. To close a socket costs nothing when it is asked for, and 20 us when it is done in the next turn."""


class Doorway:
    """The line. ``later`` calls back in the loop's next turn. Bound: three entries for each open connection, which are its
    handshake, a join behind which its messages wait, and its end.

    What is served must not raise. It may enter somebody itself, who is served after it.
    """

    def __init__(self, later: Callable[[Callable[[], None]], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._later = later
        self._clock = clock
        self._line: deque[Callable[[], None]] = deque()
        self._spent_s = 0.0
        self._served = 0
        self._turning = False
        self._serving = False

    @property
    def waiting(self) -> int:
        """How many are in the line."""
        return len(self._line)

    @property
    def free(self) -> bool:
        """Would somebody who enters now be served at once?"""
        return not self._line and not self._serving and self._has_time()

    def _has_time(self) -> bool:
        return self._spent_s < TURN_S and self._served < TURN_MAX

    def enter(self, serve: Callable[[], None]) -> None:
        """Serve somebody: at once when the turn has time left and nobody waits, else later."""
        self._line.append(serve)
        if not self._turning:
            self._turning = True
            self._later(self._turn)
        if len(self._line) == 1 and not self._serving:
            self._serve()

    def _serve(self) -> None:
        self._serving = True
        try:
            while self._line and self._has_time():
                serve = self._line.popleft()
                self._served += 1
                started = self._clock()
                serve()
                self._spent_s += self._clock() - started
        finally:
            self._serving = False

    def _turn(self) -> None:
        """A new turn of the loop has begun."""
        self._spent_s = 0.0
        self._served = 0
        self._turning = bool(self._line)
        if self._turning:
            self._later(self._turn)
            self._serve()
