"""Newcomers one after the other, a little in each turn of the loop: a thousand who come at once must not keep the others waiting.

After a network came back everybody connects within moments, and a handshake with its join costs as much as a comment. Served as
they come, they would fill one turn of the event loop, in which no comment of any room moves. So a turn gives them a share of time;
the others wait in line, in the order in which they came.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

TURN_S: Final = 0.004
"""How long a turn of the loop serves newcomers: about ten of them."""


class Doorway:
    """The line. ``later`` calls back in the loop's next turn. Bound: whoever waits holds a place of an open HTTP connection.

    What is served must not raise.
    """

    def __init__(self, later: Callable[[Callable[[], None]], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._later = later
        self._clock = clock
        self._line: deque[Callable[[], None]] = deque()
        self._spent_s = 0.0
        self._turning = False

    @property
    def waiting(self) -> int:
        """Newcomers in the line."""
        return len(self._line)

    def enter(self, serve: Callable[[], None]) -> None:
        """Serve a newcomer: at once when the turn has time left and nobody waits, else later."""
        self._line.append(serve)
        if not self._turning:
            self._turning = True
            self._later(self._turn)
            self._serve()
        elif len(self._line) == 1:
            self._serve()

    def _serve(self) -> None:
        while self._line and self._spent_s < TURN_S:
            serve = self._line.popleft()
            started = self._clock()
            serve()
            self._spent_s += self._clock() - started

    def _turn(self) -> None:
        """A new turn of the loop has begun."""
        self._spent_s = 0.0
        self._turning = bool(self._line)
        if self._turning:
            self._later(self._turn)
            self._serve()
