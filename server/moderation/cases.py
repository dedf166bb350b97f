"""Cases: incidents, rectifications and penalties, from their opening to the evidence that closes them (duties P5(6), P11, P12, T9).

A case has a source (an authority's order, the platform's own discovery, a complaint), a deadline, and steps that cannot be changed.
Evidence is a decision of the desk by its number, or a file by its SHA-256: the file itself stays where the operator keeps papers.
Nothing but evidence closes a case. One that is open past its deadline is alarmed.
"""

from __future__ import annotations

import re
import secrets
from typing import Any, Final, Literal, get_args

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from server.errors import Refusal
from server.moderation import tables
from server.moderation.book import Transaction, find_decision

Kind = Literal["incident", "rectification", "penalty"]
Source = Literal["authority", "own", "complaint"]
StepKind = Literal["note", "evidence", "penalty", "deadline", "closed", "reopened"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

TITLE_MAX_CHARS: Final = 120
WORDS_MAX_CHARS: Final = 2000
LONGEST_MS: Final = 3 * 366 * 86_400_000
_CODES: Final[dict[Source, str]] = {"authority": "E2", "own": "E4", "complaint": "E4"}
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case as it stands; columns as in :data:`server.moderation.tables.cases`."""

    id: str
    kind: Kind
    source: Source
    reference: str
    title: str
    facts: str
    opened_by: str
    opened_ms: int
    due_ms: int
    closed_ms: int
    closed_by: str
    alarmed_ms: int

    def late(self, now_ms: int) -> bool:
        """It is open, and its deadline is past."""
        return not self.closed_ms and now_ms >= self.due_ms


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. ``decision`` or ``sha256`` is the evidence of a step that gives some; ``due_ms`` a deadline that it sets."""

    id: int
    case_id: str
    at_ms: int
    actor: str
    role: str
    kind: StepKind
    words: str
    decision: int
    sha256: str
    due_ms: int


def begin(
    tx: Transaction, kind: str, source: str, title: str, facts: str, due_ms: int, *, actor: str, role: str, reference: str = ""
) -> str:  # fmt: skip
    """Open a case; its id. Raises Refusal ``bad_message``: an authority's order and a complaint have a reference."""
    for name, given, known in (("kind", kind, KINDS), ("source", source, SOURCES)):
        if given not in known:
            raise Refusal("bad_message", f"{name}: one of {', '.join(known)}")
    title, reference = " ".join(title.split()), " ".join(reference.split())
    if not 1 <= len(title) <= TITLE_MAX_CHARS or not title.isprintable():
        raise Refusal("bad_message", f"title: 1 to {TITLE_MAX_CHARS} printable characters")
    if len(reference) > TITLE_MAX_CHARS or not reference.isprintable() or (source != "own" and not reference):
        raise Refusal("bad_message", "reference: the number of the order or complaint")
    _deadline(tx, due_ms)
    case = f"k-{secrets.token_hex(10)}"
    row = {"id": case, "kind": kind, "source": source, "reference": reference, "title": title, "facts": _words(facts)}
    tx.sql.execute(insert(tables.cases).values(**row, opened_by=actor, opened_ms=tx.now_ms, due_ms=due_ms))
    _record(tx, source, f"opened: {title}", case, "case.open", actor, role)
    return case


def note(tx: Transaction, case: str, words: str, *, actor: str, role: str) -> None:
    """What was done or found out. Raises Refusal ``not_found``, ``bad_step``, ``bad_message``."""
    _step(tx, _open(tx.sql, case), "note", _words(words), actor=actor, role=role)


def penalise(tx: Transaction, case: str, words: str, *, actor: str, role: str, decision: int = 0, sha256: str = "") -> None:
    """A penalty was imposed on the platform, or by it: what, by whom, with its paper or decision where there is one."""
    found = _open(tx.sql, case)
    if decision or sha256:
        _check_evidence(tx.sql, decision, sha256)
    _step(tx, found, "penalty", _words(words), actor=actor, role=role, decision=decision, sha256=sha256)


def give_evidence(
    tx: Transaction, case: str, words: str, *, actor: str, role: str, decision: int = 0, sha256: str = ""
) -> None:
    """Evidence: a decision, or a file's SHA-256, and what it shows. Raises Refusal as :func:`note`."""
    found = _open(tx.sql, case)
    _check_evidence(tx.sql, decision, sha256)
    _step(tx, found, "evidence", _words(words), actor=actor, role=role, decision=decision, sha256=sha256)


def extend(tx: Transaction, case: str, due_ms: int, words: str, *, actor: str, role: str) -> None:
    """Another deadline, with the reason. It alarms anew. Raises Refusal as :func:`note`."""
    found = _open(tx.sql, case)
    _deadline(tx, due_ms)
    _step(tx, found, "deadline", _words(words), actor=actor, role=role, due_ms=due_ms)
    _set(tx, found, due_ms=due_ms, alarmed_ms=0)


def close(tx: Transaction, case: str, words: str, *, actor: str, role: str) -> Case:
    """Close a case, which takes evidence given since it was opened (again). Raises Refusal ``evidence_required``, and as
    :func:`note`."""
    found = _open(tx.sql, case)
    steps = steps_of(tx.sql, case)
    since = max((step.id for step in steps if step.kind == "reopened"), default=0)
    if not any(step.kind == "evidence" and step.id > since for step in steps):
        raise Refusal("evidence_required", "a case closes with evidence")
    _step(tx, found, "closed", _words(words), actor=actor, role=role)
    _record(tx, found.source, f"closed: {found.title}", case, "case.close", actor, role)
    _set(tx, found, closed_ms=tx.now_ms, closed_by=actor)
    return need(tx.sql, case)


def reopen(tx: Transaction, case: str, due_ms: int, words: str, *, actor: str, role: str) -> Case:
    """It was not over: with a deadline anew. Raises Refusal ``bad_step``, and as :func:`note`."""
    found = need(tx.sql, case)
    if not found.closed_ms:
        raise Refusal("bad_step", "it is open")
    _deadline(tx, due_ms)
    _step(tx, found, "reopened", _words(words), actor=actor, role=role, due_ms=due_ms)
    _set(tx, found, closed_ms=0, closed_by="", due_ms=due_ms, alarmed_ms=0)
    return need(tx.sql, case)


def alarm(tx: Transaction) -> list[Case]:
    """Cases past their deadlines, each once."""
    late = [case for case in overdue(tx.sql, tx.now_ms) if not case.alarmed_ms]
    for case in late:
        _set(tx, case, alarmed_ms=tx.now_ms)
    return late


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def need(connection: Connection, case: str) -> Case:
    """One case. Raises Refusal ``not_found``."""
    row = connection.execute(select(tables.cases).where(tables.cases.c.id == case)).mappings().first()
    if row is None:
        raise Refusal("not_found", "no such case")
    return _case(row)


def listed(connection: Connection, *, closed: bool, limit: int = 100) -> list[Case]:
    """Open cases, those that are due first; or the closed ones, newest first."""
    table = tables.cases.c
    order = table.closed_ms.desc() if closed else table.due_ms
    query = select(tables.cases).where(table.closed_ms > 0 if closed else table.closed_ms == 0).order_by(order, table.id)
    return [_case(row) for row in connection.execute(query.limit(limit)).mappings()]


def overdue(connection: Connection, now_ms: int) -> list[Case]:
    """Open cases past their deadlines, the oldest deadline first."""
    table = tables.cases.c
    query = select(tables.cases).where(table.closed_ms == 0, table.due_ms <= now_ms).order_by(table.due_ms, table.id)
    return [_case(row) for row in connection.execute(query).mappings()]


def counts(connection: Connection, now_ms: int) -> tuple[int, int]:
    """How many cases are open, and how many of them past their deadlines."""
    table = tables.cases.c
    late = func.coalesce(func.sum(table.due_ms <= now_ms), 0)
    waiting, behind = connection.execute(select(func.count(), late).where(table.closed_ms == 0)).one()
    return int(waiting), int(behind)


def steps_of(connection: Connection, case: str) -> list[Step]:
    """The steps of a case, in order."""
    table = tables.case_steps
    query = select(table).where(table.c.case_id == case).order_by(table.c.id)
    return [Step(**row) for row in connection.execute(query).mappings()]


# ---------------------------------------------------------------------------------------------------------------------


def _open(connection: Connection, case: str) -> Case:
    found = need(connection, case)
    if found.closed_ms:
        raise Refusal("bad_step", "it is closed")
    return found


def _words(words: str) -> str:
    words = words.strip()
    if not 1 <= len(words) <= WORDS_MAX_CHARS:
        raise Refusal("bad_message", f"words: 1 to {WORDS_MAX_CHARS} characters")
    return words


def _deadline(tx: Transaction, due_ms: int) -> None:
    if not tx.now_ms < due_ms <= tx.now_ms + LONGEST_MS:
        raise Refusal("bad_message", "due: a moment to come, within three years")


def _check_evidence(connection: Connection, decision: int, sha256: str) -> None:
    if bool(decision) == bool(sha256):
        raise Refusal("bad_message", "evidence: a decision or a file")
    if decision and find_decision(connection, decision) is None:
        raise Refusal("bad_message", "decision: a number of the decision log")
    if sha256 and not _SHA256.match(sha256):
        raise Refusal("bad_message", "sha256: 64 hexadecimal digits")


def _step(tx: Transaction, found: Case, kind: StepKind, words: str, *, actor: str, role: str, **more: Any) -> None:
    row = {"case_id": found.id, "at_ms": tx.now_ms, "actor": actor, "role": role, "kind": kind, "words": words, **more}
    tx.sql.execute(insert(tables.case_steps).values(**row))


def _record(tx: Transaction, source: Any, basis: str, case: str, act: str, actor: str, role: str) -> None:
    tx.decide("record", _CODES[source], basis[:300], actor=actor, role=role, detail={"act": act, "case": case})


def _set(tx: Transaction, found: Case, **values: Any) -> None:
    tx.sql.execute(update(tables.cases).where(tables.cases.c.id == found.id).values(**values))


def _case(row: RowMapping) -> Case:
    return Case(**row)
