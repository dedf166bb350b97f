"""Raids noticed: many newcomers come into a room at once, and say what is refused or what others of them say (duty P5(5)).

A crowd alone is no raid: a famous guest brings newcomers too. Of the last window of :data:`WINDOW_MS` a room is raided when all hold:

* at least :data:`LEAST` different authors below :data:`server.core.modes.SHIELD_LEVEL` spoke,
* they were at least :data:`SHARE` of all who spoke, and
* :data:`TIMES` times as many as such authors usually are there (a decaying average of the windows before), and
* at least :data:`BAD` of what they said was refused, held, or one text that many said.

Pure: callers pass the clock reading. Bounded: :data:`MAX_ROOMS` rooms and :data:`MAX_AUTHORS` authors of each; overflow action:
the room that was quiet for longest is forgotten, further authors are not told apart.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from server.core.modes import SHIELD_LEVEL

WINDOW_MS: Final = 10_000
LEAST: Final = 30
SHARE: Final = 0.6
TIMES: Final = 4.0
BAD: Final = 0.3
MAX_ROOMS: Final = 10_000
MAX_AUTHORS: Final = 5_000
_DECAY: Final = 0.2
_USUAL_LEAST: Final = 3.0


class Raid(NamedTuple):
    """What was noticed: authors of low level among all who spoke in the window, and the share of their comments that was bad."""

    room: str
    at_ms: int
    newcomers: int
    authors: int
    bad: float


class _Watched:
    __slots__ = ("authors", "bad", "newcomers", "said", "since_ms", "told_ms", "usual")

    def __init__(self, now_ms: int) -> None:
        self.usual = 0.0
        self.told_ms = -(10**9)
        self.begin(now_ms)

    def begin(self, now_ms: int) -> None:
        self.since_ms = now_ms
        self.authors: set[str] = set()
        self.newcomers: set[str] = set()
        self.said = self.bad = 0


class Raids:
    """Watches comments as they come in. Used by one thread (the event loop)."""

    def __init__(self, quiet_ms: int = 120_000) -> None:
        """``quiet_ms``: a raid of a room is told once in this time."""
        self._quiet_ms = quiet_ms
        self._rooms: OrderedDict[str, _Watched] = OrderedDict()
        self._noticed: list[Raid] = []

    def __len__(self) -> int:
        """Number of rooms that are watched."""
        return len(self._rooms)

    def note(self, room: str, author: str, level: int, bad: bool, now_ms: int) -> None:
        """A comment came in: who said it, of which credit level, and whether it was refused, held or one of many alike."""
        watched = self._rooms.get(room)
        if watched is None:
            watched = self._rooms[room] = _Watched(now_ms)
            if len(self._rooms) > MAX_ROOMS:
                self._rooms.popitem(last=False)
        elif now_ms - watched.since_ms >= WINDOW_MS:
            self._turn(watched, now_ms)
            self._rooms.move_to_end(room)
        if len(watched.authors) < MAX_AUTHORS:
            watched.authors.add(author)
        if level >= SHIELD_LEVEL:
            return
        newcomers = watched.newcomers
        if len(newcomers) < MAX_AUTHORS:
            newcomers.add(author)
        watched.said += 1
        watched.bad += bad
        if len(newcomers) >= LEAST and _raided(watched) and now_ms - watched.told_ms >= self._quiet_ms:
            watched.told_ms = now_ms
            share = watched.bad / watched.said
            self._noticed.append(Raid(room, now_ms, len(newcomers), len(watched.authors), round(share, 2)))

    def _turn(self, watched: _Watched, now_ms: int) -> None:
        """A window ended; windows in which nobody spoke count as well."""
        windows = (now_ms - watched.since_ms) // WINDOW_MS
        if not _raided(watched):  # what a raid brings is not usual
            watched.usual += _DECAY * (len(watched.newcomers) - watched.usual)
        watched.usual *= (1 - _DECAY) ** min(windows - 1, 100)
        watched.begin(now_ms)

    def noticed(self) -> list[Raid]:
        """Raids since the last call."""
        found, self._noticed = self._noticed, []
        return found


def _raided(watched: _Watched) -> bool:
    if watched.bad < BAD * watched.said:  # so it is of nearly all rooms, and quick to tell
        return False
    newcomers = len(watched.newcomers)
    return (
        newcomers >= LEAST
        and newcomers >= SHARE * len(watched.authors)
        and newcomers >= TIMES * max(watched.usual, _USUAL_LEAST)
    )
