"""Receipts: what the sender of a report may know of it, with nothing but its number.

The intake writes a receipt when it has read the report from the log's database, a moment after it was recorded; deciding the
item that the report belongs to tells it the outcome.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import Connection, func, select

from server.moderation.tables import decisions, items, receipts

Outcome = Literal["", "upheld", "unfounded", "malicious"]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a report stands. ``outcome`` empty: it waits, until ``due_ms`` at the latest (as far as that was kept).

    ``room`` and ``seq`` (0: the room itself) say what it is about (both empty: a comment that was removed before), ``reason``
    what its sender chose, ``code`` what was decided; ``together`` counts the reports that are decided with it; ``reversed``: the
    decision was taken back since.
    """

    receipt: str
    at_ms: int
    due_ms: int
    reason: str
    room: str
    seq: int
    together: int
    outcome: Outcome
    code: str
    decided_ms: int
    reversed: bool

    def late(self, now_ms: int) -> bool:
        """Whether the promised time has passed without an outcome."""
        return not self.decided_ms and now_ms > self.due_ms


def find(connection: Connection, receipt: str) -> Status | None:
    """The report of this number; None: no such report, or one that the intake has not read yet."""
    columns = (
        receipts.c.receipt, receipts.c.at_ms, receipts.c.due_ms, receipts.c.reason, receipts.c.outcome, receipts.c.code,
        receipts.c.decided_ms, receipts.c.decision, func.coalesce(items.c.room, "").label("room"),
        func.coalesce(items.c.seq, 0).label("seq"), func.coalesce(items.c.reports, 1).label("reports"),
    )  # fmt: skip
    # What was removed before the report came has no item.
    query = select(*columns).outerjoin(items, items.c.id == receipts.c.item).where(receipts.c.receipt == receipt)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    fields = {**row, "together": row["reports"], "reversed": _was_reversed(connection, row["decision"])}
    del fields["reports"], fields["decision"]
    return Status(**fields)


def waiting_of(connection: Connection, account: str, room: str, seq: int) -> str:
    """The receipt of the account's report about the same thing that waits still; empty: there is none."""
    query = (
        select(receipts.c.receipt)
        .join(items, items.c.id == receipts.c.item)
        .where(receipts.c.account == account, receipts.c.decided_ms == 0, items.c.room == room, items.c.seq == seq)
    )
    found = connection.execute(query.limit(1)).scalar()
    return str(found) if found is not None else ""


def _was_reversed(connection: Connection, decision: int) -> bool:
    if not decision:
        return False
    return connection.execute(select(decisions.c.id).where(decisions.c.reverses == decision).limit(1)).first() is not None
