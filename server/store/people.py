"""Statements about one account's records, and about records whose term has run out. Rare: written for plainness, not for speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Integer, Select, bindparam, delete, literal_column, select, update

from server.store.base import ConnectionRecord, OwnComment
from server.store.schema import connections, events, reports, rooms, screened
from server.store.sqlite import Query, as_objects

_ROW: Final = literal_column("events.rowid", Integer)
"""The order of writing over all rooms: rows of the log are never deleted, so it only grows."""


def _comments() -> Select[Any]:
    removed = (events.c.removed_by.is_not(None)).label("removed")
    columns = (
        _ROW.label("id"),
        rooms.c.name.label("room"),
        events.c.seq,
        events.c.at_ms,
        events.c.text,
        events.c.region,
        removed,
    )
    mine = (events.c.author == bindparam("author"), events.c.kind == "comment", bindparam("after") < _ROW)
    return select(*columns).select_from(events.join(rooms, rooms.c.id == events.c.room_id)).where(*mine).order_by(_ROW)


class _OwnComment(msgspec.Struct, frozen=True):
    id: int
    room: str
    seq: int
    at_ms: int
    text: str | None
    region: str
    removed: int


COMMENTS: Final = Query(as_objects(_comments().limit(bindparam("limit"))), _OwnComment)

_c = connections.c
CONNECTIONS: Final = Query(
    as_objects(
        select(_c.id, _c.address, _c.port, _c.opened_ms, _c.closed_ms)
        .where(_c.author == bindparam("author"))
        .order_by(_c.opened_ms.desc(), _c.id)
        .limit(bindparam("limit"))
    ),
    ConnectionRecord,
)


def own_comment(row: _OwnComment) -> OwnComment:
    """The record as the contract has it; a text that was erased is empty."""
    return OwnComment(
        id=row.id, room=row.room, seq=row.seq, at_ms=row.at_ms, text=row.text or "", removed=bool(row.removed),
        region=row.region,
    )  # fmt: skip


class Due(NamedTuple):
    """Ids of records whose term has run out."""

    connections: list[str]
    reports: list[int]
    screened: list[int]
    words: list[int]
    """Reports whose text goes; of :attr:`reports`, the address."""


def due(connection: Connection, records_ms: int, decisions_ms: int, keep: Sequence[str], limit: int) -> Due:
    """What :meth:`server.store.base.Store.purge` is to delete. No index leads to it, since each would cost at every sign-in and
    refusal: it looks through the tables, so it is no work for the writer (0.3 s for a million connections)."""
    c, r, s = connections.c, reports.c, screened.c
    kept = (s.text != "") | (s.author_name != "") | (s.region != "")
    queries = (
        select(c.id).where(c.opened_ms < records_ms, c.author.not_in(keep)),
        select(r.id).where(r.at_ms < records_ms, r.address != ""),
        select(s.id).where(s.at_ms < decisions_ms, s.author.not_in(keep), kept),
        select(r.id).where(r.at_ms < decisions_ms, r.text != ""),
    )
    return Due(*(list(connection.execute(query.limit(limit)).scalars()) for query in queries))


def purge(connection: Connection, found: Due) -> int:
    """Delete what :func:`due` has found; how many there were."""
    c, r, s = connections.c, reports.c, screened.c
    count = connection.execute(delete(connections).where(c.id.in_(found.connections))).rowcount
    count += connection.execute(update(reports).where(r.id.in_(found.reports)).values(address="", port=0)).rowcount
    count += connection.execute(update(reports).where(r.id.in_(found.words)).values(text="")).rowcount
    emptied = {"text": "", "author_name": "", "region": ""}
    count += connection.execute(update(screened).where(s.id.in_(found.screened)).values(**emptied)).rowcount
    return int(count)
