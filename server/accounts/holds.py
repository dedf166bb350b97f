"""Legal holds: while one is in force, nothing that it covers is erased or purged (duties P11, P12, T9).

A hold covers one account, or everything (``*``). It is placed and released by staff under a case number; both are in the access log.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from server.accounts.book import Transaction, new_id
from server.accounts.tables import accounts, holds
from server.errors import Refusal

EVERYTHING: Final = "*"
REASON_MAX_CHARS: Final = 500
CASE_MAX_CHARS: Final = 64


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as it stands. ``scope`` is an account or ``*``; ``released_ms`` 0: in force."""

    id: str
    scope: str
    reason: str
    case_number: str
    by: str
    at_ms: int
    released_ms: int
    released_by: str


def place(tx: Transaction, scope: str, reason: str, case_number: str, *, actor: str, role: str) -> str:
    """Put a hold on an account, or on everything; the hold's id. Raises Refusal ``account_not_found``, ``bad_message``."""
    reason = _line("reason", reason, REASON_MAX_CHARS)
    case_number = _line("case_number", case_number, CASE_MAX_CHARS)
    if scope != EVERYTHING and tx.sql.execute(select(accounts.c.id).where(accounts.c.id == scope)).first() is None:
        raise Refusal("account_not_found")
    hold = new_id("h")
    row = {"id": hold, "scope": scope, "reason": reason, "case_number": case_number, "by": actor, "at_ms": tx.now_ms}
    tx.sql.execute(insert(holds).values(**row))
    tx.log_access(actor, role, "hold.place", scope, f"{hold}: case {case_number}")
    return hold


def release(tx: Transaction, hold: str, *, actor: str, role: str) -> Hold:
    """End a hold. What it kept is swept by the caller (:func:`server.accounts.privacy.sweep`) or the next purge.

    Raises Refusal ``not_found``, ``bad_step`` (released already).
    """
    row = tx.sql.execute(select(holds).where(holds.c.id == hold)).mappings().first()
    if row is None:
        raise Refusal("not_found", "no such hold")
    if row["released_ms"]:
        raise Refusal("bad_step", "released already")
    tx.sql.execute(update(holds).where(holds.c.id == hold).values(released_ms=tx.now_ms, released_by=actor))
    tx.log_access(actor, role, "hold.release", row["scope"], hold)
    return Hold(**{**row, "released_ms": tx.now_ms, "released_by": actor})


def in_force(connection: Connection) -> list[Hold]:
    """Holds that were not released, oldest first."""
    rows = connection.execute(select(holds).where(holds.c.released_ms == 0).order_by(holds.c.at_ms, holds.c.id)).mappings()
    return [Hold(**row) for row in rows]


def covers(connection: Connection, account: str) -> bool:
    """Whether a hold keeps this account's data."""
    query = select(holds.c.id).where(holds.c.released_ms == 0, holds.c.scope.in_((account, EVERYTHING)))
    return connection.execute(query.limit(1)).first() is not None


def _line(name: str, text: str, most: int) -> str:
    text = " ".join(text.split())
    if not 1 <= len(text) <= most or not text.isprintable():
        raise Refusal("bad_message", f"{name}: 1 to {most} printable characters")
    return text
