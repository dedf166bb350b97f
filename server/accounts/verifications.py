"""The record of verifications: each attempt with its result, nothing of the evidence; and the event that the person is known."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, insert, select, update

from server.accounts import privacy
from server.accounts.book import Transaction, new_id
from server.accounts.events import Consented, ConsentWithdrawn, Verified
from server.accounts.tables import claims, verifications
from server.accounts.vault import Vault
from server.accounts.verify import Adapter, Answer
from server.errors import Refusal

DAY_MS: Final = 86_400_000
PASSED_PER_DAY: Final = 5
"""Each is paid for, and nobody has so many papers."""
FAILED_PER_DAY: Final = 5
"""Refused attempts of one account within a day: a service that says yes or no must not serve for guessing names."""
ASKED_PER_DAY: Final = 20


def record(tx: Transaction, account: str, method: str, strength: int) -> None:
    """Record a verification that has passed. The ledger hears of it unless a surer one is known; strength 0 verifies nobody."""
    row = {
        "id": new_id("y"),
        "account": account,
        "method": method,
        "at_ms": tx.now_ms,
        "result": "passed",
        "strength": strength,
    }
    tx.sql.execute(insert(verifications).values(**row))
    _tell_ledger(tx, account, method, strength)


def begin(tx: Transaction, account: str, adapter: Adapter, *, under_14: bool) -> str:
    """Take one of the account's attempts, before anybody is asked; its id. It stands as ``unavailable`` until it is answered.

    Raises Refusal ``account_not_found``, ``consent_required``, ``guardian_required``, ``too_many_attempts``.
    """
    standing = tx.standing(account)
    if not standing.opened_ms or standing.erased:
        raise Refusal("account_not_found")
    privacy.require(standing, adapter.purpose)
    if under_14 and not has_guardian(tx, account):
        raise Refusal("guardian_required")
    recent = (
        verifications.c.account == account,
        verifications.c.at_ms > tx.now_ms - DAY_MS,
    )
    rows = tx.sql.execute(
        select(verifications.c.result, func.count(), func.min(verifications.c.at_ms)).where(*recent).group_by("result")
    )
    counts = {result: (count, first_ms) for result, count, first_ms in rows}
    for result, most in (("passed", PASSED_PER_DAY), ("failed", FAILED_PER_DAY), ("unavailable", ASKED_PER_DAY)):
        count, first_ms = counts.get(result, (0, 0))
        if count >= most:
            raise Refusal("too_many_attempts", retry_after_ms=first_ms + DAY_MS - tx.now_ms)
    attempt = new_id("y")
    row = {"id": attempt, "account": account, "method": adapter.method, "at_ms": tx.now_ms, "result": "unavailable"}
    tx.sql.execute(insert(verifications).values(**row))
    return attempt


def finish(tx: Transaction, vault: Vault, attempt: str, account: str, answer: Answer, adapter: Adapter) -> Refusal | None:
    """Write down what the service said, and keep what is to be kept.

    A refusal is returned, not raised, since the attempt is to be committed: ``identity_refused``, ``consent_required`` (withdrawn
    meanwhile), ``guardian_required``, ``identity_taken``, ``blacklisted``, ``account_not_found`` (erased meanwhile).
    """
    refusal = _refusal(tx, vault, account, answer, adapter.purpose)
    values = {
        "result": "failed" if refusal else "passed",
        "strength": 0 if refusal else adapter.strength,
        "reference": answer.reference,
    }
    tx.sql.execute(update(verifications).where(verifications.c.id == attempt).values(**values))
    if refusal is None:
        for field, value in answer.fields.items():
            vault.put(tx, account, field, value)
        _tell_ledger(tx, account, adapter.method, adapter.strength)
    return refusal


def _refusal(tx: Transaction, vault: Vault, account: str, answer: Answer, purpose: str) -> Refusal | None:
    standing = tx.standing(account)
    if standing.erased:  # meanwhile: nothing of the person is kept any more
        return Refusal("account_not_found")
    if not answer.passed:
        return Refusal("identity_refused")
    if answer.under_14 and not has_guardian(tx, account):
        return Refusal("guardian_required")
    try:
        privacy.require(standing, purpose)
        if answer.claim is not None:
            if _is_another(tx, vault, account, *answer.claim):
                return Refusal("identity_refused", "the account is another person's")
            vault.claim(tx, account, *answer.claim)
    except Refusal as refusal:
        return refusal
    return None


def _is_another(tx: Transaction, vault: Vault, account: str, kind: str, value: str) -> bool:
    """Whether the account has claimed to be somebody else before. Who could be several people, one after the other, would keep each
    of them from an account of their own."""
    rows = select(claims.c.value).where(claims.c.account == account, claims.c.kind == kind)
    held = set(tx.sql.execute(rows).scalars())
    return bool(held) and held.isdisjoint(mark for mark, _ in vault.marks(kind, value))


def has_guardian(tx: Transaction, account: str) -> bool:
    """Whether a guardian has consented to something of this account and has not taken it back."""
    given: set[str] = set()
    for entry in tx.entries_of(account):
        match entry.event:
            case Consented(purpose=purpose, guardian=True):
                given.add(purpose)
            case ConsentWithdrawn(purpose=purpose):
                given.discard(purpose)
    return bool(given)


def _tell_ledger(tx: Transaction, account: str, method: str, strength: int) -> None:
    standing = tx.standing(account)
    if strength and strength >= standing.strength and (standing.verified, standing.strength) != (method, strength):
        tx.append(account, Verified(method=method, strength=strength), actor="system", role="verifier")
