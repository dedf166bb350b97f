"""Looking into the vault: by role, for a reason, with the consent of a second person, once, and recorded.

Somebody of the staff with the role :data:`VAULT_ROLE` asks for named fields of one account and says why; somebody else with that role
decides; then the first one reads, once, within :data:`GRANT_MS`. Each step is a line of the access log, which cannot be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from server.accounts.book import Transaction, new_id
from server.accounts.fields import VAULT
from server.accounts.tables import accounts, vault_requests
from server.accounts.vault import Vault
from server.errors import Refusal

VAULT_ROLE: Final = "privacy"
REASON_MAX_CHARS: Final = 500
DECIDE_MS: Final = 24 * 3_600_000
"""A request that nobody has decided by then is void."""
GRANT_MS: Final = 30 * 60_000
"""For how long after the decision the fields may be read."""


class AccessRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it stands. ``asked_by`` and ``decided_by`` are actors (``staff:NAME``); ``read_ms`` 0: not read."""

    id: str
    account: str
    fields: tuple[str, ...]
    reason: str
    asked_by: str
    asked_ms: int
    decided_by: str
    decided_ms: int
    granted: bool
    read_ms: int


def request_access(tx: Transaction, account: str, fields: Sequence[str], *, reason: str, actor: str, role: str) -> str:
    """Ask for fields of an account; the request's id. Raises Refusal ``forbidden`` (role), ``account_not_found``, ``bad_message``."""
    _need(role)
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= REASON_MAX_CHARS:
        raise Refusal("bad_message", f"reason: 1 to {REASON_MAX_CHARS} characters")
    if not fields or not VAULT.issuperset(fields):
        raise Refusal("bad_message", "fields: names of fields")
    if tx.sql.execute(select(accounts.c.id).where(accounts.c.id == account)).first() is None:
        raise Refusal("account_not_found")
    request = new_id("v")
    names = " ".join(dict.fromkeys(fields))
    row = {"id": request, "account": account, "fields": names, "reason": reason, "asked_by": actor, "asked_ms": tx.now_ms}
    tx.sql.execute(insert(vault_requests).values(**row))
    tx.log_access(actor, role, "vault.request", account, f"{request}: {names}")
    return request


def decide_access(tx: Transaction, request: str, granted: bool, *, actor: str, role: str) -> None:
    """Grant or deny a request, as somebody else than who asked. Raises Refusal ``forbidden``, ``not_found``,
    ``second_person_required``, ``bad_step`` (decided already, or void)."""
    _need(role)
    found = _get(tx.sql, request)
    if actor == found.asked_by:
        raise Refusal("second_person_required")
    if found.decided_ms or tx.now_ms >= found.asked_ms + DECIDE_MS:
        raise Refusal("bad_step", "decided already, or asked too long ago")
    values = {"decided_by": actor, "decided_ms": tx.now_ms, "granted": int(granted)}
    tx.sql.execute(update(vault_requests).where(vault_requests.c.id == request).values(**values))
    tx.log_access(actor, role, "vault.grant" if granted else "vault.deny", found.account, request)


def read_granted(tx: Transaction, vault: Vault, request: str, *, actor: str, role: str) -> dict[str, str | None]:
    """The fields that were granted, None for one that is not kept; once. The values leave this function only when the record of it
    is committed. Raises Refusal ``forbidden``, ``not_found``, ``second_person_required`` (nobody has granted it), ``bad_step`` (read
    already, or too late), VaultError."""
    _need(role)
    found = _get(tx.sql, request)
    if actor != found.asked_by:
        raise Refusal("forbidden", "who asked may read")
    if not found.granted:
        raise Refusal("second_person_required")
    if found.read_ms or tx.now_ms >= found.decided_ms + GRANT_MS:
        raise Refusal("bad_step", "read already, or granted too long ago")
    tx.sql.execute(update(vault_requests).where(vault_requests.c.id == request).values(read_ms=tx.now_ms))
    tx.log_access(actor, role, "vault.read", found.account, f"{request}: {' '.join(found.fields)}")
    return {field: vault.read(tx.sql, found.account, field) for field in found.fields}


def open_requests(connection: Connection, now_ms: int) -> list[AccessRequest]:
    """Requests that wait for a decision, oldest first."""
    waiting = (vault_requests.c.decided_ms == 0, vault_requests.c.asked_ms > now_ms - DECIDE_MS)
    rows = connection.execute(select(vault_requests).where(*waiting).order_by(vault_requests.c.asked_ms)).mappings()
    return [_request(row) for row in rows]


def readable(connection: Connection, actor: str, now_ms: int) -> list[AccessRequest]:
    """What was granted to ``actor`` and can still be read."""
    granted = (vault_requests.c.asked_by == actor, vault_requests.c.granted == 1, vault_requests.c.read_ms == 0)
    query = select(vault_requests).where(*granted, vault_requests.c.decided_ms > now_ms - GRANT_MS)
    return [_request(row) for row in connection.execute(query.order_by(vault_requests.c.asked_ms)).mappings()]


def _get(connection: Connection, request: str) -> AccessRequest:
    row = connection.execute(select(vault_requests).where(vault_requests.c.id == request)).mappings().first()
    if row is None:
        raise Refusal("not_found", "no such request")
    return _request(row)


def _request(row: Any) -> AccessRequest:
    return AccessRequest(**{**row, "fields": tuple(row["fields"].split()), "granted": bool(row["granted"])})


def _need(role: str) -> None:
    if role != VAULT_ROLE:
        raise Refusal("forbidden", f"this takes the role {VAULT_ROLE}")
