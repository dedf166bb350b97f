"""The letters to a person: what :meth:`Transaction.tell` put into the account's box."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select, update

from server.accounts import tables
from server.accounts.book import Transaction

_rows: Final = tables.letters.c


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A letter in the box. ``id`` counts up; ``data`` holds ids, codes and times, no sentences; ``read_ms`` 0: not seen yet."""

    id: int
    at_ms: int
    kind: str
    data: dict[str, Any]
    read_ms: int


def listed(connection: Connection, account: str, *, limit: int, before: int = 0) -> list[Stored]:
    """The newest letters, at most ``limit``, newest first; ``before`` (an id) goes on from an earlier list."""
    query = select(_rows.id, _rows.at_ms, _rows.kind, _rows.data, _rows.read_ms).where(_rows.account == account)
    if before:
        query = query.where(_rows.id < before)
    rows = connection.execute(query.order_by(_rows.id.desc()).limit(limit)).mappings()
    return [Stored(**{**row, "data": msgspec.json.decode(row["data"])}) for row in rows]


def mark_read(tx: Transaction, account: str, through: int) -> int:
    """The person has seen letters up to this id; returns how many of them were new."""
    fresh = (_rows.account == account) & (_rows.id <= through) & (_rows.read_ms == 0)
    return tx.sql.execute(update(tables.letters).where(fresh).values(read_ms=tx.now_ms)).rowcount
