"""Findings for authorities: filed with evidence, delivered, acknowledged, or alarmed (duties P5(5), P8, T5, T8).

A finding says what was found, under which code, on which basis, and names its evidence: decisions, comments and accounts by ids.
Personal data are in it only where the law asks for them; they come from the vault by its own two-person access
(:mod:`server.accounts.vault_access`), are kept encrypted with the vault's key, and are gone from here once the finding has ended.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from server.bounds import Whole
from server.errors import Refusal
from server.moderation import tables
from server.moderation.authorities import Way
from server.moderation.book import Transaction, find_decision
from server.reasons import REASONS, REMOVAL_CODES
from static_mirror.layout import page_name, page_of

FORMAT: Final = "barrage-finding/1"
TITLE_MAX_CHARS: Final = 120
SUMMARY_MAX_CHARS: Final = 2000
EVIDENCE_MAX: Final = 200
"""Decisions, comments and accounts of one finding, each."""
FIRST_WAIT_MS: Final = 30_000
LONGEST_WAIT_MS: Final = 3_600_000
ATTEMPTS_MAX: Final = 40
"""More than a day of attempts. After that somebody has to look, and to send it again by hand."""
POLL_MS: Final = 60_000
"""How often the folder of an authority is looked into for an acknowledgement."""
REPORT_CODE: Final = "E2"

State = Literal["open", "sent", "acknowledged", "withdrawn"]
How = Literal["answer", "file", "hand"]

_COMMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,63})#([1-9][0-9]{0,15})\Z", re.ASCII)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a finding rests on: decisions by id, comments as ``ROOM#NUMBER``, accounts by id."""

    decisions: tuple[Whole, ...] = ()
    comments: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as it stands; columns as in :data:`server.moderation.tables.findings`."""

    id: str
    authority: str
    title: str
    summary: str
    code: str
    basis: str
    evidence: Evidence
    sealed: bytes
    actor: str
    role: str
    at_ms: int
    due_ms: int
    state: State
    attempts: int
    next_ms: int
    sent_ms: int
    trouble: str
    ended_ms: int
    ended_by: str
    how: str
    reference: str
    alarmed_ms: int

    def overdue(self, now_ms: int) -> bool:
        """Nobody has acknowledged it, and its time is over."""
        return not self.ended_ms and now_ms >= self.due_ms


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to deliver, or one print."""

    id: int
    finding: str
    at_ms: int
    way: str
    done: bool
    detail: str
    digest: str


def file(
    tx: Transaction, authority: str, title: str, summary: str, code: str, basis: str, evidence: Evidence, *, acknowledge_ms: int,
    way: Way, actor: str, role: str, sealed: bytes = b"", name: str = "",
) -> str:  # fmt: skip
    """File a finding; its id (``name``, where :func:`new_name` made it beforehand, for ``sealed`` is bound to it). It is delivered by
    the outbox, or printed by hand.

    Raises Refusal ``bad_message`` (title, summary, evidence), ``bad_code`` (code or basis).
    """
    title, summary = " ".join(title.split()), summary.strip()
    if not 1 <= len(title) <= TITLE_MAX_CHARS or not title.isprintable():
        raise Refusal("bad_message", f"title: 1 to {TITLE_MAX_CHARS} printable characters")
    if not 1 <= len(summary) <= SUMMARY_MAX_CHARS:
        raise Refusal("bad_message", f"summary: 1 to {SUMMARY_MAX_CHARS} characters")
    if code not in REMOVAL_CODES or code[0] == "U":
        raise Refusal("bad_code", "code: what was found, by a code of removals")
    _check(tx.sql, evidence)
    finding = name or new_name()
    detail = {"act": "finding.file", "finding": finding, "authority": authority, "code": code}
    tx.decide("record", REPORT_CODE, " ".join(basis.split()), actor=actor, role=role, detail=detail)
    tx.sql.execute(
        insert(tables.findings).values(
            id=finding, authority=authority, title=title, summary=summary, code=code, basis=" ".join(basis.split()),
            evidence=msgspec.json.encode(evidence), sealed=sealed, actor=actor, role=role, at_ms=tx.now_ms,
            due_ms=tx.now_ms + acknowledge_ms, next_ms=0 if way == "print" else tx.now_ms,
        )
    )  # fmt: skip
    return finding


def new_name() -> str:
    """The id of a finding that is still to be filed."""
    return f"f-{secrets.token_hex(10)}"


def delivered(
    tx: Transaction, finding: str, way: Way, digest: str, detail: str = "", reference: str | None = None
) -> None:  # fmt: skip
    """The authority has it. ``reference`` not None: its answer acknowledges it, under this number of its own. What was sent by SFTP
    is asked after until there is an acknowledgement. A finding that has ended meanwhile stays as it is."""
    found = need(tx.sql, finding)
    _deliver(tx, found, way, True, detail, digest)
    if found.ended_ms:
        return
    _set(tx, found, state="sent", sent_ms=tx.now_ms, trouble="", next_ms=tx.now_ms + POLL_MS if way == "sftp" else 0)
    if reference is not None:
        _end(tx, found, "acknowledged", "answer", reference, f"authority:{found.authority}")


def failed(tx: Transaction, finding: str, way: Way, why: str) -> None:
    """It could not be delivered: again after a while, twice as long each time, :data:`ATTEMPTS_MAX` times."""
    found = need(tx.sql, finding)
    _deliver(tx, found, way, False, why[:300], "")
    if found.ended_ms:
        return
    attempts = found.attempts + 1
    next_ms = tx.now_ms + wait_after(attempts) if attempts < ATTEMPTS_MAX else 0
    _set(tx, found, attempts=attempts, trouble=why[:300], next_ms=next_ms)


def attach(tx: Transaction, finding: str, sealed: bytes, way: Way) -> None:
    """Put personal data, which were granted for it, into a finding that was filed to wait for them (as if to be printed), and let it
    go its way."""
    found = _open(tx.sql, finding)
    _set(tx, found, sealed=sealed, next_ms=0 if way == "print" else tx.now_ms)


def reseal(tx: Transaction, anew: Callable[[str, bytes], bytes]) -> int:
    """Replace the personal data of findings that have not ended by what ``anew`` makes of them, given the finding's id and the sealed
    data, where it is something else. How many there were."""
    table, count = tables.findings.c, 0
    tx.sql.exec_driver_sql("PRAGMA secure_delete=ON")  # of this connection, which ends with the transaction
    for found in _rows(tx.sql, table.ended_ms == 0, table.sealed != b""):
        sealed = anew(found.id, found.sealed)
        if sealed != found.sealed:
            _set(tx, found, sealed=sealed)
            count += 1
    return count


def wait_after(attempts: int) -> int:
    """How long to wait after so many failed attempts."""
    return min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(attempts - 1, 16))


def asked_after(tx: Transaction, finding: str, reference: str | None, why: str = "") -> None:
    """The authority's folder was looked into: there is an acknowledgement with this reference, or (None) not yet."""
    found = need(tx.sql, finding)
    if found.ended_ms:
        return
    if reference is None:
        _set(tx, found, next_ms=tx.now_ms + POLL_MS, trouble=why[:300])
    else:
        _end(tx, found, "acknowledged", "file", reference, f"authority:{found.authority}")


def printed(tx: Transaction, finding: str, digest: str, *, actor: str, role: str) -> Finding:
    """Somebody prints it, to be handed over: a delivery like any other. Raises Refusal ``not_found``."""
    found = need(tx.sql, finding)
    _deliver(tx, found, "print", True, actor, digest)
    tx.log_view(actor, role, "finding.print", found.id)
    if found.state == "open" and not found.next_ms:
        _set(tx, found, state="sent", sent_ms=tx.now_ms)
    return need(tx.sql, finding)


def acknowledge(tx: Transaction, finding: str, reference: str, *, actor: str, role: str) -> Finding:
    """Somebody has the authority's receipt in hand: its number is recorded. Raises Refusal ``not_found``, ``bad_step``,
    ``bad_message``."""
    found = _open(tx.sql, finding)
    reference = " ".join(reference.split())
    if not 1 <= len(reference) <= TITLE_MAX_CHARS or not reference.isprintable():
        raise Refusal("bad_message", "reference: the authority's own number or words")
    _end(tx, found, "acknowledged", "hand", reference, actor)
    tx.log_view(actor, role, "finding.acknowledge", found.id, detail=reference)
    return need(tx.sql, finding)


def withdraw(tx: Transaction, finding: str, basis: str, *, actor: str, role: str) -> Finding:
    """It was filed by mistake, and is not to be sent (again). Raises Refusal ``not_found``, ``bad_step``, ``bad_code``."""
    found = _open(tx.sql, finding)
    detail = {"act": "finding.withdraw", "finding": found.id, "authority": found.authority}
    tx.decide("record", REPORT_CODE, " ".join(basis.split()), actor=actor, role=role, detail=detail)
    _end(tx, found, "withdrawn", "hand", "", actor)
    return need(tx.sql, finding)


def send_again(tx: Transaction, finding: str, *, actor: str, role: str) -> Finding:
    """Try at once, with all attempts before it. Raises Refusal ``not_found``, ``bad_step``."""
    found = _open(tx.sql, finding)
    _set(tx, found, state="open", attempts=0, next_ms=tx.now_ms)
    tx.log_view(actor, role, "finding.send", found.id)
    return need(tx.sql, finding)


def alarm(tx: Transaction) -> list[Finding]:
    """Findings whose time for an acknowledgement is over, each once: whoever is in charge is to be told."""
    table = tables.findings.c
    late = _rows(tx.sql, table.ended_ms == 0, table.due_ms <= tx.now_ms, table.alarmed_ms == 0)
    for found in late:
        _set(tx, found, alarmed_ms=tx.now_ms)
    return late


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def find(connection: Connection, finding: str) -> Finding | None:
    """One finding."""
    return next(iter(_rows(connection, tables.findings.c.id == finding)), None)


def need(connection: Connection, finding: str) -> Finding:
    """One finding. Raises Refusal ``not_found``."""
    found = find(connection, finding)
    if found is None:
        raise Refusal("not_found", "no such finding")
    return found


def due(connection: Connection, now_ms: int, limit: int = 20) -> list[Finding]:
    """What is to be sent, or asked after, now."""
    return _rows(connection, tables.findings.c.next_ms > 0, tables.findings.c.next_ms <= now_ms)[:limit]


def listed(connection: Connection, *, ended: bool, limit: int = 100) -> list[Finding]:
    """Findings that wait for an acknowledgement, those that are due first; or the others, newest first."""
    table = tables.findings.c
    order = table.at_ms.desc() if ended else table.due_ms
    query = select(tables.findings).where(table.ended_ms > 0 if ended else table.ended_ms == 0).order_by(order, table.id)
    return [_finding(row) for row in connection.execute(query.limit(limit)).mappings()]


def counts(connection: Connection, now_ms: int) -> tuple[int, int]:
    """How many findings wait for an acknowledgement, and how many of them too long."""
    table = tables.findings.c
    late = func.coalesce(func.sum(table.due_ms <= now_ms), 0)
    waiting, overdue = connection.execute(select(func.count(), late).where(table.ended_ms == 0)).one()
    return int(waiting), int(overdue)


def deliveries_of(connection: Connection, finding: str) -> list[Delivery]:
    """Each attempt, oldest first."""
    table = tables.deliveries
    query = select(table).where(table.c.finding == finding).order_by(table.c.id)
    return [Delivery(**{**row, "done": bool(row["done"])}) for row in connection.execute(query).mappings()]


def document(connection: Connection, found: Finding, site: str, personal: dict[str, Any] | None = None) -> dict[str, Any]:
    """What an authority gets, as plain data: the finding with its evidence written out. ``site`` is the site's address."""
    decisions = [find_decision(connection, each) for each in found.evidence.decisions]
    reason = REASONS[found.code]
    body: dict[str, Any] = {
        "format": FORMAT, "id": found.id, "site": site, "authority": found.authority, "filed_ms": found.at_ms,
        "filed_by": found.actor, "title": found.title, "summary": found.summary, "code": found.code, "code_zh": reason.zh,
        "code_en": reason.en, "basis": found.basis,
        "decisions": [msgspec.to_builtins(each) for each in decisions if each is not None],
        "comments": [{"comment": each, "page": site + page_of_comment(each)} for each in found.evidence.comments],
        "accounts": list(found.evidence.accounts),
    }  # fmt: skip
    return body | ({"personal": personal} if personal else {})


def is_comment(text: str) -> bool:
    """Whether it has the form ``ROOM#NUMBER``."""
    return _COMMENT.match(text) is not None


def page_of_comment(comment: str) -> str:
    """The static page on which ``ROOM#NUMBER`` stands, as a path."""
    room, _, number = comment.partition("#")
    return f"/rooms/{room}/comments/{page_name(page_of(int(number)))}#c{number}"


# ---------------------------------------------------------------------------------------------------------------------


def _check(connection: Connection, evidence: Evidence) -> None:
    if not (evidence.decisions or evidence.comments or evidence.accounts):
        raise Refusal("bad_message", "evidence: decisions, comments or accounts")
    if max(map(len, (evidence.decisions, evidence.comments, evidence.accounts))) > EVIDENCE_MAX:
        raise Refusal("bad_message", f"evidence: at most {EVIDENCE_MAX} of each kind")
    if not all(map(is_comment, evidence.comments)):
        raise Refusal("bad_message", "comments: ROOM#NUMBER")
    if not all(0 < len(each) <= 128 and each.isprintable() for each in evidence.accounts):
        raise Refusal("bad_message", "accounts: their ids")
    if not all(find_decision(connection, each) for each in evidence.decisions):
        raise Refusal("bad_message", "decisions: numbers of the decision log")


def _open(connection: Connection, finding: str) -> Finding:
    found = need(connection, finding)
    if found.ended_ms:
        raise Refusal("bad_step", "it has ended already")
    return found


def _end(tx: Transaction, found: Finding, state: State, how: How, reference: str, actor: str) -> None:
    tx.sql.exec_driver_sql("PRAGMA secure_delete=ON")  # of this connection, which ends with the transaction
    _set(tx, found, state=state, ended_ms=tx.now_ms, ended_by=actor, how=how, reference=reference[:TITLE_MAX_CHARS], next_ms=0,
         sealed=b"", trouble="")  # fmt: skip


def _deliver(tx: Transaction, found: Finding, way: Way, done: bool, detail: str, digest: str) -> None:
    row = {"finding": found.id, "at_ms": tx.now_ms, "way": way, "done": int(done), "detail": detail, "digest": digest}
    tx.sql.execute(insert(tables.deliveries).values(**row))


def _set(tx: Transaction, found: Finding, **values: Any) -> None:
    tx.sql.execute(update(tables.findings).where(tables.findings.c.id == found.id).values(**values))


def _rows(connection: Connection, *conditions: Any) -> list[Finding]:
    query = select(tables.findings).where(*conditions).order_by(tables.findings.c.due_ms, tables.findings.c.id)
    return [_finding(row) for row in connection.execute(query).mappings()]


def _finding(row: RowMapping) -> Finding:
    return Finding(**{**row, "evidence": msgspec.json.decode(row["evidence"], type=Evidence)})
