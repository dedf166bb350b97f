"""Modes of a room and of the whole site: what each means, and which of several is in force. Pure; callers pass the clock reading.

From the loosest to the strictest, each with all that those before it ask for:

=========  ===================================================================================================
open       everybody posts as their account may
slow       and each author waits between two comments of theirs
shield     and comments of authors below :data:`SHIELD_LEVEL` wait for review, and their pace is that of a raid
review     all comments wait for review
read_only  nobody posts for now
closed     nobody posts any more
=========  ===================================================================================================

In force is the strictest of the room's own mode, the site's, and a mode that is on its way into the room's log: that one counts
for what comes in from the moment it was submitted, so that no comment that it stops stands behind its notice. A mode with a term
holds until that ends; then, until the notice that says so stands in the log, the stricter of it and the standing mode does: a
server that was down, or a desk that cannot write, lets nothing in that neither of them allows.
"""

from __future__ import annotations

from typing import Final, NamedTuple, get_args

from server.store.base import RoomMode

ORDER: Final[tuple[RoomMode, ...]] = get_args(RoomMode)
SHIELD_LEVEL: Final = 2
"""Authors below this credit level, newcomers among them, are those that a shield holds back."""

_RANK: Final[dict[str, int]] = {mode: rank for rank, mode in enumerate(ORDER)}
_PACED: Final = _RANK["slow"]


def strictest(first: RoomMode, *others: RoomMode) -> RoomMode:
    """The strictest of them."""
    found = first
    for mode in others:
        if _RANK[mode] > _RANK[found]:
            found = mode
    return found


def at_least(mode: RoomMode, other: RoomMode) -> bool:
    """Is ``mode`` as strict as ``other``, or stricter?"""
    return _RANK[mode] >= _RANK[other]


def paced(mode: RoomMode) -> bool:
    """Do authors wait between two comments in this mode?"""
    return _RANK[mode] >= _PACED


class Demands(NamedTuple):
    """What a mode asks for: a pace of each author, that comments of low levels wait for review, that all do."""

    pace: bool
    shield: bool
    review: bool


DEMANDS: Final[dict[RoomMode, Demands]] = {
    mode: Demands(paced(mode), at_least(mode, "shield"), at_least(mode, "review")) for mode in ORDER
}


class Term(NamedTuple):
    """A mode until a moment (Unix milliseconds; 0: for good), and the mode that it falls back to."""

    mode: RoomMode = "open"
    until_ms: int = 0
    standing: RoomMode = "open"

    def at(self, now_ms: int) -> RoomMode:
        """The mode in force; see the module's text on the time after the end."""
        return self.mode if not self.until_ms or now_ms < self.until_ms else strictest(self.mode, self.standing)

    def over(self, now_ms: int) -> bool:
        """Is it time to fall back?"""
        return 0 < self.until_ms <= now_ms
