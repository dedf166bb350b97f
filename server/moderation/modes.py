"""Decisions on modes: of a room, of the whole site, and emergency terms (duty P5(5)). Plain functions over the desk's book.

A mode of a room is a decision with a notice for the room's log as its effect. The mode of the site is a decision alone: the newest
one is in force, and :mod:`server.moderation.mode_keeper` tells every room. So are emergency terms, whose text stands in the
decision. What each mode means, and which of several is in force, is told in :mod:`server.core.modes`.

Who may what: staff and operators set any mode. The owner of a room sets any that is at least as strict as what staff have set and
not taken back (:func:`floor`), so nobody opens what staff have closed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select, update

from server.core.modes import Term, at_least
from server.errors import Refusal
from server.moderation import deciding, tables, wording
from server.moderation.book import Decision, Transaction, decision_of
from server.store.base import NoticeDraft, RoomInfo, RoomMode

TERM_MAX_MS: Final = 31 * 86_400_000
SLOW_MAX_MS: Final = 3_600_000
UPLOADER: Final = "uploader"
SYSTEM: Final[dict[str, Any]] = {"actor": "system", "role": "system", "automated": True}
BACK: Final = "E5"
_SPREAD: Final = "site_mode"

_d: Final = tables.decisions.c


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A mode and its term: ``until_ms`` is Unix time, 0: for good. ``slow_ms`` is the pace of the slow mode, 0: as it was."""

    mode: RoomMode
    until_ms: int = 0
    slow_ms: int = 0

    def check(self, now_ms: int) -> None:
        """Raises Refusal ``bad_message``."""
        if self.until_ms and not now_ms < self.until_ms <= now_ms + TERM_MAX_MS:
            raise Refusal("bad_message", f"until_ms: in the future, within {TERM_MAX_MS // 86_400_000} days")
        if not 0 <= self.slow_ms <= SLOW_MAX_MS:
            raise Refusal("bad_message", f"slow_ms: 0 to {SLOW_MAX_MS}")


# ---------------------------------------------------------------------------------------------------------------------
# A room


def set_room(
    tx: Transaction, room: RoomInfo, wish: Wish, code: str, basis: str, *, actor: str, role: str, automated: bool = False,
    reverses: int = 0, request: str = "",
) -> Decision:  # fmt: skip
    """Decide the mode of a room. Raises Refusal ``bad_code``, ``bad_message``, ``key_reused``, and ``forbidden`` when the owner asks
    for less than staff have set."""
    if not (request and deciding.requested(tx.sql, actor, request)):
        wish.check(tx.now_ms)
        least = floor(tx.sql, room.name, tx.now_ms)
        if role == UPLOADER and not at_least(wish.mode, least):
            raise Refusal("forbidden", f"staff have set this room to {least}")
    draft = NoticeDraft(
        room=room.name, author="", key="", at_ms=0, notice="mode", room_mode=wish.mode, code=code, basis=basis.strip(), role=role,
        until_ms=wish.until_ms, slow_ms=wish.slow_ms,
    )  # fmt: skip
    detail: dict[str, Any] = {"mode": wish.mode}
    if wish.slow_ms:
        detail["slow_ms"] = wish.slow_ms
    return deciding.notice(
        tx, "mode", draft, code, basis, actor=actor, role=role, request=request, automated=automated, until_ms=wish.until_ms,
        reverses=reverses, detail=detail,
    )  # fmt: skip


def fall_back(tx: Transaction, room: RoomInfo) -> Decision | None:
    """The term of the room's mode is over: its standing mode holds again. None: that is decided already, or there was no decision of
    it within its term (then the log alone knows of it, and the standing mode is decided anew)."""
    newest = newest_of(tx.sql, room.name)
    if newest is not None and not newest.until_ms:
        return None  # its effect is on the way
    if newest is not None and newest.until_ms > tx.now_ms:
        return None
    ended = wording.term_over(newest.id if newest is not None else 0)
    # A shorter term, by the owner, does not end the one that staff have set before.
    least, until_ms = _staff(tx.sql, room.name, tx.now_ms)
    wish = Wish(mode=room.standing) if at_least(room.standing, least) else Wish(mode=least, until_ms=until_ms)
    return set_room(tx, room, wish, BACK, ended, reverses=newest.id if newest is not None else 0, **SYSTEM)


def newest_of(connection: Connection, room: str) -> Decision | None:
    """The newest decision on a room's mode."""
    found = of_room(connection, room, 1)
    return found[0] if found else None


def of_room(connection: Connection, room: str, limit: int) -> list[Decision]:
    """Decisions on a room's mode, the newest first."""
    query = select(tables.decisions).where(_d.room == room, _d.seq == 0, _d.what == "mode").order_by(_d.id.desc()).limit(limit)
    return [decision_of(row) for row in connection.execute(query).mappings()]


def floor(connection: Connection, room: str, now_ms: int) -> RoomMode:
    """The loosest mode that the owner of a room may set: the strictest of the mode that staff have set for good, and of one with a
    term that is not over."""
    return _staff(connection, room, now_ms)[0]


def _staff(connection: Connection, room: str, now_ms: int) -> tuple[RoomMode, int]:
    """What staff have set, and its end (0: none)."""
    query = (
        select(tables.decisions)
        .where(_d.room == room, _d.seq == 0, _d.what == "mode", _d.role.not_in((UPLOADER, "system")))
        .order_by(_d.id.desc())
    )
    newest = connection.execute(query.limit(1)).mappings().first()
    standing = connection.execute(query.where(_d.until_ms == 0).limit(1)).mappings().first()
    least: RoomMode = mode_of(decision_of(standing)) if standing is not None else "open"
    if newest is not None and newest["until_ms"] > now_ms:
        termed = mode_of(decision_of(newest))
        if not at_least(least, termed):
            return termed, int(newest["until_ms"])
    return least, 0


def mode_of(decision: Decision) -> RoomMode:
    """The mode that a decision of kind ``mode`` or ``site_mode`` sets."""
    mode: RoomMode = decision.detail["mode"]
    return mode


# ---------------------------------------------------------------------------------------------------------------------
# The site


def set_site(
    tx: Transaction, wish: Wish, code: str, basis: str, *, actor: str, role: str, automated: bool = False, reverses: int = 0,
    request: str = "",
) -> Decision:  # fmt: skip
    """Decide the mode of the whole site. Raises Refusal ``bad_code``, ``bad_message``, ``key_reused``."""
    again = deciding.requested(tx.sql, actor, request)
    if again is not None:
        if again.what != "site_mode":
            raise Refusal("key_reused")
        return again
    wish.check(tx.now_ms)
    standing = site_term(tx.sql).standing if wish.until_ms else wish.mode
    return tx.decide(
        "site_mode", code, basis.strip(), actor=actor, role=role, automated=automated, until_ms=wish.until_ms, reverses=reverses,
        request=request, detail={"mode": wish.mode, "standing": standing},
    )  # fmt: skip


def site_term(connection: Connection) -> Term:
    """The mode of the site, as decided last."""
    decision = newest_site(connection)
    if decision is None:
        return Term()
    return Term(mode_of(decision), decision.until_ms, decision.detail["standing"])


def newest_site(connection: Connection) -> Decision | None:
    """The decision on the site's mode that is in force."""
    found = of_site(connection, 1)
    return found[0] if found else None


def of_site(connection: Connection, limit: int) -> list[Decision]:
    """Decisions on the mode of the site, the newest first."""
    query = select(tables.decisions).where(_d.what == "site_mode").order_by(_d.id.desc()).limit(limit)
    return [decision_of(row) for row in connection.execute(query).mappings()]


def site_fall_back(tx: Transaction) -> Decision | None:
    """The term of the site's mode is over; None: it is not, or that is decided already."""
    newest = newest_site(tx.sql)
    if newest is None or not 0 < newest.until_ms <= tx.now_ms:
        return None
    wish = Wish(mode=newest.detail["standing"])
    return set_site(tx, wish, BACK, wording.term_over(newest.id), reverses=newest.id, **SYSTEM)


def told(connection: Connection) -> int:
    """Up to which decision on the site's mode all rooms were told."""
    return connection.execute(select(tables.places.c.place).where(tables.places.c.name == _SPREAD)).scalar() or 0


def all_told(tx: Transaction, decision: int) -> None:
    """All rooms were told of the site's mode."""
    if not tx.sql.execute(update(tables.places).where(tables.places.c.name == _SPREAD).values(place=decision)).rowcount:
        tx.sql.execute(tables.places.insert().values(name=_SPREAD, place=decision))


# ---------------------------------------------------------------------------------------------------------------------
# Emergency terms


def emergency(
    tx: Transaction, source: str, terms: int, code: str, basis: str, *, actor: str, role: str, request: str = ""
) -> Decision:  # fmt: skip
    """Decide the emergency terms: ``source`` is the text of a rule file (empty: none any more), ``terms`` how many are in it. Raises
    Refusal ``bad_code``, ``key_reused``."""
    again = deciding.requested(tx.sql, actor, request)
    if again is not None:
        if again.what != "emergency":
            raise Refusal("key_reused")
        return again
    return tx.decide(
        "emergency", code, basis.strip(), actor=actor, role=role, request=request, detail={"source": source, "terms": terms}
    )


def of_emergency(connection: Connection, limit: int) -> list[Decision]:
    """Decisions on emergency terms, the newest first; those of the first are in force."""
    query = select(tables.decisions).where(_d.what == "emergency").order_by(_d.id.desc()).limit(limit)
    return [decision_of(row) for row in connection.execute(query).mappings()]
