"""The statements of the SQL store, with the decoders of their answers. Every answer is one JSON value (see sqlite.py)."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Select, and_, bindparam, case, func, or_, select, update

from server.store import plan
from server.store.base import ReportRecord, RoomInfo, ScreenedRecord
from server.store.schema import connections, events, keys, reports, rooms, screened
from server.store.sqlite import BulkInsert, Query, as_arrays, as_objects, json_rows, json_values
from server.wire import SAID, Event, Mode

INSERT_COMMENTS: Final = BulkInsert(events, plan.COMMENT_COLUMNS)
INSERT_OTHERS: Final = BulkInsert(events, plan.OTHER_COLUMNS)
INSERT_KEYS: Final = BulkInsert(keys, plan.KEY_COLUMNS)
INSERT_SCREENED: Final = BulkInsert(screened, plan.SCREENED_COLUMNS)
INSERT_REPORTS: Final = BulkInsert(reports, plan.REPORT_COLUMNS)
UPSERT_CONNECTIONS: Final = BulkInsert(
    connections, plan.CONNECTION_COLUMNS, "ON CONFLICT (id) DO UPDATE SET closed_ms = excluded.closed_ms"
)


# What rooms() and read() tell.


def _head() -> Any:
    newest = select(func.max(events.c.seq)).where(events.c.room_id == rooms.c.id).correlate(rooms).scalar_subquery()
    return func.coalesce(newest, 0).label("head")


def _rooms() -> Select[Any]:
    columns = [column for column in rooms.c if column.name != "id"]
    return select(*columns, _head()).order_by(rooms.c.name)


def _events() -> Select[Any]:
    """Events as readers see them: ``why`` is the removal of a comment, ``comment`` that of a restoration."""
    why, comment = events.alias("why"), events.alias("comment")
    restored = events.c.kind == "restoration"

    def shown(name: str) -> Any:
        return case((restored, comment.c[name]), else_=events.c[name])

    hidden = shown("removed_by").is_not(None)

    def open_text(name: str) -> Any:
        return case((hidden, ""), else_=func.coalesce(shown(name), "")).label(name)

    def reason(name: str) -> Any:
        return func.coalesce(why.c[name], events.c[name]).label(name)

    return (
        select(
            events.c.seq,
            events.c.kind,
            events.c.at_ms,
            *(shown(name).label(name) for name in ("pos_ms", "mode", "color", "size")),
            *(open_text(name) for name in SAID),
            func.coalesce(events.c.target, 0).label("target"),
            *(reason(name) for name in ("code", "basis", "role")),
            func.coalesce(events.c.removed_by, 0).label("removed_by"),
            events.c.notice,
            events.c.room_mode,
            events.c.until_ms,
            events.c.slow_ms,
        )
        .select_from(
            events.outerjoin(why, and_(why.c.room_id == events.c.room_id, why.c.seq == events.c.removed_by)).outerjoin(
                comment, and_(restored, comment.c.room_id == events.c.room_id, comment.c.seq == events.c.target)
            )
        )
        .where(
            events.c.room_id == select(rooms.c.id).where(rooms.c.name == bindparam("room")).scalar_subquery(),
            events.c.seq > bindparam("after"),
        )
        .order_by(events.c.seq)
        .limit(bindparam("limit"))
    )


ROOMS: Final = Query(as_objects(_rooms()), RoomInfo, strict=False)  # SQLite has no truth values
EVENTS: Final = Query(as_objects(_events()), Event)


def _author() -> Select[Any]:
    return select(events.c.author).where(
        events.c.room_id == select(rooms.c.id).where(rooms.c.name == bindparam("room")).scalar_subquery(),
        events.c.seq == bindparam("seq"),
    )


ACTOR: Final = Query(as_arrays(_author()), tuple[str])
AUTHOR: Final = Query(as_arrays(_author().where(events.c.kind == "comment")), tuple[str])


# What screened() and reports() tell.


class _Screened(msgspec.Struct, frozen=True, gc=False, array_like=True):
    id: int
    room: str
    author: str
    key: str
    at_ms: int
    action: str
    code: str
    verdict: str  # hexadecimal: JSON has no bytes
    text: str
    pos_ms: int
    mode: Mode
    color: str
    size: int
    author_id: str
    author_name: str
    connection: str
    region: str
    label: str
    label_kind: str


def screened_record(row: _Screened) -> ScreenedRecord:
    """The record as the contract has it."""
    return ScreenedRecord(**{**msgspec.structs.asdict(row), "verdict": bytes.fromhex(row.verdict)})


def _screened() -> Select[Any]:
    s = screened.c
    return (
        select(
            s.id,
            rooms.c.name,
            s.author,
            s.key,
            s.at_ms,
            s.action,
            s.code,
            func.hex(s.verdict),
            s.text,
            s.pos_ms,
            s.mode,
            s.color,
            s.size,
            s.author_id,
            s.author_name,
            s.connection,
            s.region,
            s.label,
            s.label_kind,
        )
        .select_from(screened.join(rooms, rooms.c.id == s.room_id))
        .where(s.id > bindparam("after"), or_(bindparam("action") == "", s.action == bindparam("action")))
        .order_by(s.id)
        .limit(bindparam("limit"))
    )


def _reports() -> Select[Any]:
    r = reports.c
    return (
        select(r.id, r.receipt, rooms.c.name.label("room"), r.seq, r.at_ms, r.reason, r.text, r.account)
        .select_from(reports.join(rooms, rooms.c.id == r.room_id))
        .where(r.id > bindparam("after"))
        .order_by(r.id)
        .limit(bindparam("limit"))
    )


SCREENED: Final = Query(as_arrays(_screened()), _Screened)
REPORTS: Final = Query(as_objects(_reports()), ReportRecord)


# What a batch refers to. ``given`` is a JSON array: of names, or of arrays of the values named in each comment.

_names, (_name,) = json_values(bindparam("given"))
_pairs, (_one, _two) = json_rows(bindparam("given"), 2)
_changes, (_room_id, _seq, _removed_by) = json_rows(bindparam("given"), 3)

HEADS: Final = Query(
    as_arrays(select(rooms.c.name, rooms.c.id, _head(), rooms.c.news).select_from(_names.join(rooms, rooms.c.name == _name))),
    tuple[str, int, int, int],
)

# (author, key)
KEYS: Final = Query(
    as_arrays(
        select(keys.c.author, keys.c.key, keys.c.room_id, keys.c.seq).select_from(
            _pairs.join(keys, and_(keys.c.key == _two, keys.c.author == _one))
        )
    ),
    tuple[str, str, int, int | None],
)

# (author, key)
FIRST_SCREENED: Final = Query(
    as_arrays(
        select(
            screened.c.author, screened.c.key, screened.c.room_id, screened.c.text, screened.c.action, screened.c.code
        ).select_from(_pairs.join(screened, and_(screened.c.key == _two, screened.c.author == _one)))
    ),
    plan.FirstScreened,
)

# (room_id, seq)
ROWS: Final = Query(as_arrays(
    select(*(func.coalesce(events.c[n], 0) if n in ("target", "removed_by") else events.c[n] for n in plan.Row.__struct_fields__))
    .select_from(_pairs.join(events, and_(events.c.room_id == _one, events.c.seq == _two)))
), plan.Row)  # fmt: skip

RECEIPTS: Final = Query(
    as_arrays(select(reports.c.receipt).select_from(_names.join(reports, reports.c.receipt == _name))), tuple[str]
)

CONNECTIONS: Final = Query(
    as_arrays(
        select(connections.c.id, connections.c.closed_ms).select_from(_names.join(connections, connections.c.id == _name))
    ),
    tuple[str, int],
)

ROOM_EXISTS: Final = Query(as_arrays(select(rooms.c.id).where(rooms.c.name == bindparam("room"))), tuple[int])

# (room_id, seq, removed_by or null)
SET_REMOVED: Final = (
    update(events)
    .where(events.c.room_id == _room_id, events.c.seq == _seq)
    .values(removed_by=_removed_by)
)  # fmt: skip
