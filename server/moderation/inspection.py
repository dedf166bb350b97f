"""Inspections: a case number, a scope, two people, an end; and a record of every view (duties P3, P5(8)).

Somebody asks for an inspection under the authority's case number and says what it covers and who of the inspectors may look; somebody
else decides. From then until its end, or until it is revoked, those see what the scope covers and nothing else. A scope narrows:
each of its lists that is not empty must be met, and so must the time span.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from server.bounds import Whole
from server.errors import Refusal
from server.moderation import tables
from server.moderation.book import Transaction
from server.reasons import REASONS

CASE_MAX_CHARS: Final = 64
REASON_MAX_CHARS: Final = 300
LIST_MAX: Final = 50
"""Names in one list of a scope."""
DAY_MS: Final = 86_400_000
DECIDE_MS: Final = 7 * DAY_MS
"""An inspection that nobody has decided by then is void."""
LONGEST_MS: Final = 90 * DAY_MS
"""For longer, another one is asked for."""
ORDER_CODE: Final = "E2"

State = Literal["asked", "void", "refused", "active", "expired", "revoked"]

_ROOM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}\Z", re.ASCII)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What an inspection covers: a time span (Unix ms, the end excluded) and, where they are not empty, these rooms, accounts and
    reason codes alone. At least one of the three is given."""

    since_ms: Whole
    until_ms: Whole
    rooms: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    def covers(self, at_ms: int, room: str = "", account: str = "", codes: Iterable[str] = ()) -> bool:
        """Whether something is within the scope, by when it was, where, about whose account, and under which codes.

        What belongs to no room (a measure, say) is within a scope of rooms only if the scope names its account too.
        """
        if not self.since_ms <= at_ms < self.until_ms or (self.accounts and account not in self.accounts):
            return False
        if self.rooms and room not in self.rooms and (room or not self.accounts):
            return False
        return not self.codes or not set(self.codes).isdisjoint(codes)


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """An inspection as it stands. ``inspectors`` are names of members of staff; people who act are ``staff:NAME`` or
    ``operator:NAME``; times are Unix ms, 0: not yet."""

    id: str
    case_number: str
    reason: str
    scope: Scope
    inspectors: tuple[str, ...]
    asked_by: str
    asked_ms: int
    decided_by: str
    decided_ms: int
    granted: bool
    expires_ms: int
    revoked_by: str
    revoked_ms: int

    def state(self, now_ms: int) -> State:
        """How it stands at this moment; only ``active`` shows anything."""
        if not self.decided_ms:
            return "asked" if now_ms < min(self.asked_ms + DECIDE_MS, self.expires_ms) else "void"
        if not self.granted:
            return "refused"
        if self.revoked_ms:
            return "revoked"
        return "active" if now_ms < self.expires_ms else "expired"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the record of views under a case number."""

    id: int
    at_ms: int
    actor: str
    role: str
    action: str
    subject: str
    detail: str


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was made. ``manifest_sha256`` is the digest of its manifest's bytes."""

    id: int
    inspection: str
    at_ms: int
    actor: str
    role: str
    manifest_sha256: str
    records: int


def ask(
    tx: Transaction, case_number: str, reason: str, scope: Scope, inspectors: Iterable[str], expires_ms: int, *, actor: str,
    role: str,
) -> str:  # fmt: skip
    """Ask for an inspection; its id. Raises Refusal ``bad_message`` (the detail names the field), ``bad_code`` (the reason)."""
    case_number = " ".join(case_number.split())
    if not 1 <= len(case_number) <= CASE_MAX_CHARS or not case_number.isprintable():
        raise Refusal("bad_message", f"case_number: 1 to {CASE_MAX_CHARS} printable characters")
    _check(scope)
    names = tuple(dict.fromkeys(inspectors))
    if not 1 <= len(names) <= LIST_MAX or not all(_NAME.match(name) for name in names):
        raise Refusal("bad_message", "inspectors: names of members of staff, at least one")
    if not tx.now_ms < expires_ms <= tx.now_ms + LONGEST_MS:
        raise Refusal("bad_message", f"expires: within {LONGEST_MS // DAY_MS} days")
    inspection = f"i-{secrets.token_hex(10)}"
    reason = " ".join(reason.split())
    tx.decide(
        "record", ORDER_CODE, reason, actor=actor, role=role,
        detail={"act": "inspection.ask", "inspection": inspection, "case_number": case_number, "scope": msgspec.to_builtins(scope)},
    )  # fmt: skip
    tx.sql.execute(
        insert(tables.inspections).values(
            id=inspection, case_number=case_number, reason=reason, scope=msgspec.json.encode(scope), inspectors=" ".join(names),
            asked_by=actor, asked_ms=tx.now_ms, expires_ms=expires_ms,
        )
    )  # fmt: skip
    return inspection


def decide(tx: Transaction, inspection: str, granted: bool, basis: str, *, actor: str, role: str) -> Inspection:
    """Approve or refuse what somebody else asked for. Raises Refusal ``not_found``, ``second_person_required``, ``forbidden`` (to who
    would look), ``bad_step`` (decided already, or void), ``bad_code`` (the basis)."""
    found = need(tx.sql, inspection)
    if actor == found.asked_by:
        raise Refusal("second_person_required")
    if granted and actor.removeprefix("staff:") in found.inspectors:
        raise Refusal("forbidden", "who looks does not approve it")
    if found.state(tx.now_ms) != "asked":
        raise Refusal("bad_step", "decided already, or asked too long ago")
    act = "inspection.approve" if granted else "inspection.refuse"
    _record(tx, found, act, basis, actor=actor, role=role)
    return _set(tx, found, decided_by=actor, decided_ms=tx.now_ms, granted=int(granted))


def revoke(tx: Transaction, inspection: str, basis: str, *, actor: str, role: str) -> Inspection:
    """End an inspection now. Raises Refusal ``not_found``, ``bad_step`` (it shows nothing any more), ``bad_code``."""
    found = need(tx.sql, inspection)
    if found.state(tx.now_ms) not in {"asked", "active"}:
        raise Refusal("bad_step", "it has ended already")
    _record(tx, found, "inspection.revoke", basis, actor=actor, role=role)
    if not found.decided_ms:  # taken back before anybody decided
        return _set(tx, found, decided_by=actor, decided_ms=tx.now_ms)
    return _set(tx, found, revoked_by=actor, revoked_ms=tx.now_ms)


def look(tx: Transaction, inspection: str, part: str, detail: str = "", *, actor: str, role: str) -> Inspection:
    """Record a view, and give the inspection whose scope bounds what may be shown. Nothing is shown before this is committed.

    Raises Refusal ``not_found``, ``forbidden`` (it is not in force, or does not name the one who asks).
    """
    found = need(tx.sql, inspection)
    if found.state(tx.now_ms) != "active":
        raise Refusal("forbidden", "the inspection is not in force")
    if not may_look(found, actor, role):
        raise Refusal("forbidden", "the inspection names others")
    tx.log_view(actor, role, f"inspection.{part}", found.id, found.case_number, detail)
    return found


def may_look(found: Inspection, actor: str, role: str) -> bool:
    """Whether this one may see the inspection, and what it covers while it is in force: who answers for it here, and, once it was
    approved, the inspectors that it names."""
    return role in {"compliance", "operator"} or (found.granted and actor.removeprefix("staff:") in found.inspectors)


def exported(tx: Transaction, inspection: str, manifest_sha256: str, records: int, *, actor: str, role: str) -> None:
    """Record that a bundle was made; to be committed before anybody gets it. Raises as :func:`look`."""
    found = look(tx, inspection, "export", manifest_sha256, actor=actor, role=role)
    row = {"inspection": found.id, "at_ms": tx.now_ms, "actor": actor, "role": role}
    tx.sql.execute(insert(tables.exports).values(**row, manifest_sha256=manifest_sha256, records=records))


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def find(connection: Connection, inspection: str) -> Inspection | None:
    """One inspection by its id."""
    row = connection.execute(select(tables.inspections).where(tables.inspections.c.id == inspection)).mappings().first()
    return _inspection(row) if row is not None else None


def need(connection: Connection, inspection: str) -> Inspection:
    """One inspection by its id. Raises Refusal ``not_found``."""
    found = find(connection, inspection)
    if found is None:
        raise Refusal("not_found", "no such inspection")
    return found


def listed(connection: Connection, limit: int = 200) -> list[Inspection]:
    """Inspections, newest first."""
    query = select(tables.inspections).order_by(tables.inspections.c.asked_ms.desc(), tables.inspections.c.id)
    return [_inspection(row) for row in connection.execute(query.limit(limit)).mappings()]


def views_of(connection: Connection, case_number: str, limit: int = 200) -> list[View]:
    """Who looked at what under a case number, newest first."""
    view = tables.views.c
    columns = [view[name] for name in View.__struct_fields__]
    query = select(*columns).where(view.case_number == case_number).order_by(view.id.desc()).limit(limit)
    return [View(**row) for row in connection.execute(query).mappings()]


def exports_of(connection: Connection, inspection: str) -> list[Export]:
    """Bundles that were made of an inspection, newest first."""
    query = select(tables.exports).where(tables.exports.c.inspection == inspection).order_by(tables.exports.c.id.desc())
    return [Export(**row) for row in connection.execute(query).mappings()]


def waiting(connection: Connection, now_ms: int) -> int:
    """How many wait for a second person."""
    table = tables.inspections.c
    query = select(func.count()).select_from(tables.inspections)
    found = query.where(table.decided_ms == 0, table.asked_ms > now_ms - DECIDE_MS, table.expires_ms > now_ms)
    return int(connection.execute(found).scalar_one())


# ---------------------------------------------------------------------------------------------------------------------


def _check(scope: Scope) -> None:
    """Raises Refusal ``bad_message``."""
    if not 0 <= scope.since_ms < scope.until_ms:
        raise Refusal("bad_message", "until: after since")
    if not (scope.rooms or scope.accounts or scope.codes):
        raise Refusal("bad_message", "scope: rooms, accounts or codes")
    for name, given in (("rooms", scope.rooms), ("accounts", scope.accounts), ("codes", scope.codes)):
        if len(given) > LIST_MAX:
            raise Refusal("bad_message", f"{name}: at most {LIST_MAX}")
    if not all(_ROOM.match(room) for room in scope.rooms):
        raise Refusal("bad_message", "rooms: names of rooms")
    if not all(0 < len(account) <= 128 and account.isprintable() for account in scope.accounts):
        raise Refusal("bad_message", "accounts: their ids")
    if not all(code in REASONS for code in scope.codes):
        raise Refusal("bad_message", "codes: reason codes of the table")


def _record(tx: Transaction, found: Inspection, act: str, basis: str, *, actor: str, role: str) -> None:
    detail = {"act": act, "inspection": found.id, "case_number": found.case_number}
    tx.decide("record", ORDER_CODE, " ".join(basis.split()), actor=actor, role=role, detail=detail)


def _set(tx: Transaction, found: Inspection, **values: Any) -> Inspection:
    tx.sql.execute(update(tables.inspections).where(tables.inspections.c.id == found.id).values(**values))
    return need(tx.sql, found.id)


def _inspection(row: RowMapping) -> Inspection:
    return Inspection(
        **{
            **row, "scope": msgspec.json.decode(row["scope"], type=Scope), "inspectors": tuple(row["inspectors"].split()),
            "granted": bool(row["granted"]),
        }
    )  # fmt: skip
