"""Appeals: one second look at each measure, by somebody else than who took it (duty P8).

The words of an appeal are the person's own and may hold anything; they stand in the row alone, are shown to the person and to
whoever decides, and :func:`forget` empties them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, insert, select, update

from server.accounts import measures, tables
from server.accounts.book import Transaction, new_id
from server.accounts.events import AppealDecided, Appealed
from server.errors import Refusal
from server.reasons import check_removal, check_restoration

WORDS_MAX_CHARS: Final = 1_000
DUE_MS: Final = 7 * 86_400_000
"""An appeal is decided within this time; what takes longer is in :func:`overdue`."""


class Appeal(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal with the measure that it is about. ``decided_ms`` 0: it waits."""

    id: str
    account: str
    at_ms: int
    words: str
    due_ms: int
    decided_ms: int
    decided_by: str
    upheld: bool
    code: str
    basis: str
    measure: measures.Record


def file(tx: Transaction, account: str, measure: str, words: str) -> str:
    """File an appeal against a measure of one's own; returns its id.

    Raises Refusal ``measure_not_found`` (also for somebody else's, and for one that was lifted), ``appeal_exists``,
    ``bad_message`` (no words, too many, or control characters).
    """
    words = words.replace("\r\n", "\n").strip()
    if not words or len(words) > WORDS_MAX_CHARS or not words.replace("\n", "").isprintable():
        raise Refusal("bad_message", f"words: 1 to {WORDS_MAX_CHARS} printable characters")
    found = measures.find(tx.sql, measure)
    if found is None or found.account != account:
        raise Refusal("measure_not_found")
    if tx.sql.execute(select(tables.appeals.c.id).where(tables.appeals.c.measure == measure)).first() is not None:
        raise Refusal("appeal_exists")
    if found.ended_ms:
        raise Refusal("measure_not_found")
    appeal = new_id("p")
    row = {"id": appeal, "measure": measure, "account": account, "at_ms": tx.now_ms, "words": words}
    tx.sql.execute(insert(tables.appeals).values(**row, due_ms=tx.now_ms + DUE_MS))
    tx.append(account, Appealed(appeal=appeal, measure=measure), actor=account, role="person")
    tx.tell(account, "appeal_filed", {"appeal": appeal, "measure": measure, "due_ms": tx.now_ms + DUE_MS})
    return appeal


def decide(
    tx: Transaction, appeal: str, upheld: bool, code: str, basis: str, *, actor: str, role: str
) -> measures.Record:  # fmt: skip
    """Decide an appeal; upheld, the measure is lifted. Returns the measure as it was: whoever calls restores a deleted comment.

    ``code`` is of family R when upheld, and otherwise the reason code that stands. Raises Refusal ``appeal_decided``,
    ``second_person_required`` (who took the measure does not decide), ``forbidden``, ``measure_not_found``, ``bad_code``.
    """
    if upheld:
        check_restoration(code, basis)
    else:
        check_removal(code, basis)
    row = tables.appeals.c
    found = tx.sql.execute(select(tables.appeals).where(row.id == appeal)).mappings().first()
    if found is None:
        raise Refusal("measure_not_found", "appeal: there is none of this id")
    if found["decided_ms"]:
        raise Refusal("appeal_decided")
    measure = measures.find(tx.sql, found["measure"])
    assert measure is not None  # by the foreign key
    if role not in measures.LIFTERS:
        raise Refusal("forbidden", f"role {role or 'none'} may not decide appeals")
    if actor in (measure.actor, measure.account):
        raise Refusal("second_person_required")
    decided = update(tables.appeals).where(row.id == appeal)
    tx.sql.execute(decided.values(decided_ms=tx.now_ms, decided_by=actor, upheld=int(upheld), code=code, basis=basis))
    outcome: dict[str, Any] = {"appeal": appeal, "measure": measure.id, "upheld": upheld, "code": code, "basis": basis}
    tx.append(measure.account, AppealDecided(**outcome), actor=actor, role=role)
    if upheld:
        measures.lift(tx, measure.id, code, basis, actor=actor, role=role, how="appeal")
    tx.tell(measure.account, "appeal_decided", outcome)
    return measure


def open_list(connection: Connection, limit: int = 100) -> list[Appeal]:
    """Appeals that wait, the oldest first."""
    row = tables.appeals.c
    return _read(connection, select(tables.appeals).where(row.decided_ms == 0).order_by(row.at_ms, row.id).limit(limit))


def overdue(connection: Connection, now_ms: int) -> list[Appeal]:
    """Appeals that wait for longer than they should, the oldest first."""
    row = tables.appeals.c
    late = select(tables.appeals).where(row.decided_ms == 0, row.due_ms < now_ms)
    return _read(connection, late.order_by(row.at_ms, row.id))


def of_account(connection: Connection, account: str) -> list[Appeal]:
    """All appeals of an account, newest first."""
    row = tables.appeals.c
    return _read(connection, select(tables.appeals).where(row.account == account).order_by(row.at_ms.desc(), row.id))


def forget(tx: Transaction, account: str) -> None:
    """Empty the words of the account's appeals: part of its erasure."""
    tx.sql.execute(update(tables.appeals).where(tables.appeals.c.account == account).values(words=""))


def _read(connection: Connection, query: Select[Any]) -> list[Appeal]:
    return [_appeal(connection, dict(row)) for row in connection.execute(query).mappings()]


def _appeal(connection: Connection, row: dict[str, Any]) -> Appeal:
    measure = measures.find(connection, row["measure"])
    assert measure is not None  # by the foreign key
    return Appeal(**{**row, "measure": measure, "upheld": bool(row["upheld"])})
