"""The search of staff through the log and through what was screened (:mod:`server.store.found`).

Records are in the order of writing, and their times all but follow it; so what a time stands for is found by halving, and the text
is compared within a bounded window of places alone. No index on texts: it would cost at each comment, and staff search seldom.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Integer, Select, func, literal_column, or_, select

from server.store.found import LOOKED_MAX, Found, Hit, Search
from server.store.schema import events, rooms, screened

_SLACK_MS: Final = 60_000
"""By how much a record may stand before an older one: commits are in groups, and clocks are set."""


class _Log(NamedTuple):
    """A sequence of records: its rows, the place of each, its time, and the condition that its rows meet."""

    rows: FromClause
    place: ColumnElement[int]
    at_ms: ColumnElement[int]
    within: tuple[ColumnElement[bool], ...]


def find(connection: Connection, wanted: Search, limit: int, looked_max: int = LOOKED_MAX) -> Found:
    """At most ``limit`` hits from at most ``looked_max`` records. An unknown room has none."""
    room = connection.scalar(select(rooms.c.id).where(rooms.c.name == wanted.room)) if wanted.room else None
    if wanted.room and room is None:
        return Found(hits=[], next=0, looked=0, oldest_ms=0)
    log = _log(wanted, room)
    low, high = _places(connection, log, wanted)
    first = max(low, high - looked_max)
    if high <= first:
        return Found(hits=[], next=0, looked=0, oldest_ms=0)
    window = (*log.within, log.place >= first, log.place < high)
    query = (_published if wanted.what == "published" else _screened)(log, wanted, window)
    rows = connection.execute(query.order_by(log.place.desc()).limit(limit)).all()
    if len(rows) == limit:  # there may be more in the window
        first = int(rows[-1][0])
    oldest_ms = connection.scalar(select(log.at_ms).select_from(log.rows).where(*log.within, log.place >= first)
                                  .order_by(log.place).limit(1))  # fmt: skip
    return Found(
        hits=[_hit(row) for row in rows], next=first if first > low else 0, looked=high - first, oldest_ms=oldest_ms or 0
    )


def window(connection: Connection, wanted: Search) -> tuple[ColumnElement[int], int, int]:
    """The place of an event among those of all rooms, and the places that the times of ``wanted`` leave, from the first (included) to
    the last (excluded): events beside it may be of that time as well only by a slip of the clock."""
    log = _log(wanted, None)
    low, high = _places(connection, log, wanted)
    return log.place, low, high


def _log(wanted: Search, room: int | None) -> _Log:
    if wanted.what == "screened":
        within = (screened.c.room_id == room,) if room is not None else ()
        return _Log(screened, screened.c.id, screened.c.at_ms, within)
    if room is not None:
        return _Log(events, events.c.seq, events.c.at_ms, (events.c.room_id == room,))
    return _Log(events, literal_column("events.rowid", Integer), events.c.at_ms, ())


def _places(connection: Connection, log: _Log, wanted: Search) -> tuple[int, int]:
    """The places that the times leave: from the first (included) to the last (excluded). Places count from 1."""
    newest = connection.scalar(select(log.place).select_from(log.rows).where(*log.within).order_by(log.place.desc()).limit(1))
    end = int(newest or 0) + 1
    high = _place_of(connection, log, wanted.until_ms + _SLACK_MS, end) if wanted.until_ms else end
    low = _place_of(connection, log, wanted.from_ms - _SLACK_MS, end) if wanted.from_ms else 1
    return low, min(high, wanted.before) if wanted.before else high


def _place_of(connection: Connection, log: _Log, at_ms: int, end: int) -> int:
    """The place of the first record that is not older than ``at_ms``; ``end`` when all are."""
    low, high = 1, end
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(log.place, log.at_ms).select_from(log.rows).where(*log.within, log.place >= middle, log.place < high)
            .order_by(log.place).limit(1)
        ).first()  # fmt: skip
        if row is None or row[1] >= at_ms:
            high = middle
        else:
            low = int(row[0]) + 1
    return low


def _published(log: _Log, wanted: Search, window: tuple[ColumnElement[bool], ...]) -> Select[Any]:
    e, why = events.c, events.alias("why")
    # Subqueries, not joins: the planner must not begin elsewhere than in the window.
    code = select(why.c.code).where(why.c.room_id == e.room_id, why.c.seq == e.removed_by).scalar_subquery()
    conditions = [e.kind == "comment", *_common(e, wanted)]
    if wanted.code:
        conditions += [e.removed_by.is_not(None), code == wanted.code]
    columns = (
        log.place, _room_of(events), e.seq, e.at_ms, e.author, e.author_id, e.author_name, func.coalesce(e.text, ""),
        func.iif(e.removed_by.is_(None), "public", "removed"), func.coalesce(code, ""),
    )  # fmt: skip
    return select(*columns).where(*window, *conditions)


def _screened(log: _Log, wanted: Search, window: tuple[ColumnElement[bool], ...]) -> Select[Any]:
    s = screened.c
    conditions = list(_common(s, wanted))
    if wanted.code:
        conditions.append(s.code == wanted.code)
    columns = (
        log.place, _room_of(screened), literal_column("0", Integer), s.at_ms, s.author, s.author_id, s.author_name, s.text,
        s.action, s.code,
    )  # fmt: skip
    return select(*columns).where(*window, *conditions)


def _room_of(table: Any) -> Any:
    return select(rooms.c.name).where(rooms.c.id == table.c.room_id).scalar_subquery()


def _common(c: Any, wanted: Search) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.text:
        found.append(c.text.contains(wanted.text, autoescape=True))
    if wanted.author:
        found.append(or_(c.author == wanted.author, c.author_id == wanted.author))
    if wanted.from_ms:
        found.append(c.at_ms >= wanted.from_ms)
    if wanted.until_ms:
        found.append(c.at_ms < wanted.until_ms)
    return found


def _hit(row: Any) -> Hit:
    _, room, seq, at_ms, author, author_id, author_name, text, state, code = row
    return Hit(
        room=room, seq=seq, at_ms=at_ms, author=author, author_id=author_id, author_name=author_name, text=text, state=state,
        code=code,
    )  # fmt: skip
