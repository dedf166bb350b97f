"""Purging: what its term has run out for is deleted, once a day, in small transactions; never under a legal hold.

The terms are those of :mod:`server.accounts.fields`. Records of connections and the source addresses of reports stand in the
room log's database; its store deletes them (:meth:`server.store.base.Store.purge`) with the cut-off times given here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Table, delete, select, update

from server.accounts import holds, privacy, tables
from server.accounts.book import Transaction
from server.accounts.fields import PURPOSES, vault_fields
from server.accounts.vault import Vault
from server.settings import Settings

DAY_MS: Final = 86_400_000
BATCH: Final = 500
"""Rows (accounts) of one transaction: a sign-up never waits for a long one."""
SHORT_MS: Final = DAY_MS
"""Codes and logins under way are of no use after minutes; for a day they bound the rate of attempts."""


class Cutoffs(msgspec.Struct, frozen=True, kw_only=True):
    """What is older than these moments (Unix ms) is deleted; ``keep`` are accounts under a hold. ``everything``:
    a hold covers all, and nothing is deleted."""

    records_ms: int
    decisions_ms: int
    keep: tuple[str, ...]
    everything: bool


def cutoffs(tx: Transaction, settings: Settings) -> Cutoffs:
    """The cut-off times of this moment, and what is held."""
    held = [hold.scope for hold in holds.in_force(tx.sql)]
    return Cutoffs(
        records_ms=tx.now_ms - settings.records_days * DAY_MS,
        decisions_ms=tx.now_ms - settings.decisions_days * DAY_MS,
        keep=tuple(sorted({scope for scope in held if scope != holds.EVERYTHING})),
        everything=holds.EVERYTHING in held,
    )


def purge(tx: Transaction, found: Cutoffs) -> dict[str, int]:
    """Delete one batch from each table; the rows by table. Call it again until all are 0."""
    counts = {
        "codes": _drop(tx, tables.codes, tables.codes.c.created_ms < tx.now_ms - SHORT_MS),
        "logins": _drop(tx, tables.logins, tables.logins.c.expires_ms < tx.now_ms - SHORT_MS),
        "sessions": _drop(tx, tables.sessions, tables.sessions.c.expires_ms <= tx.now_ms),
    }
    if found.everything:
        return counts
    letters, appeals = tables.letters, tables.appeals
    counts["letters"] = _drop(tx, letters, letters.c.at_ms < found.decisions_ms, letters.c.account.not_in(found.keep))
    old = [appeals.c.decided_ms > 0, appeals.c.decided_ms < found.decisions_ms, appeals.c.words != ""]
    ids = tx.sql.execute(select(appeals.c.id).where(*old, appeals.c.account.not_in(found.keep)).limit(BATCH)).scalars().all()
    tx.sql.execute(update(appeals).where(appeals.c.id.in_(ids)).values(words=""))
    counts["appeals"] = len(ids)
    ended = [tables.blacklist.c.until_ms > 0, tables.blacklist.c.until_ms <= tx.now_ms]
    counts["blacklist"] = _drop(tx, tables.blacklist, *ended)
    return counts


def sweep_erased(tx: Transaction, vault: Vault) -> int:
    """Delete what is left of accounts that were erased under a hold that has ended since; how many there were in this batch."""
    accounts, keys = tables.accounts.c, tables.vault_keys.c
    left = (
        select(accounts.id)
        .where(accounts.erased_ms > 0)
        .where((accounts.nickname_key.is_not(None)) | (keys.account.is_not(None)))
    )
    joined = left.select_from(tables.accounts.outerjoin(tables.vault_keys, keys.account == accounts.id)).order_by(accounts.id)
    swept = 0
    for account in tx.sql.execute(joined).scalars().all():
        if swept < BATCH and privacy.sweep(tx, vault, account):
            swept += 1
    return swept


def sweep_withdrawn(tx: Transaction, vault: Vault) -> int:
    """Delete what was kept for a purpose whose consent ended under a hold; how many accounts there were in this batch.

    Nothing is kept without a consent (:func:`server.accounts.privacy.require`), so only accounts that have ever withdrawn one are
    looked at: those are few, and fewer of them have anything left.
    """
    items, ledger = tables.vault_items.c, tables.ledger.c
    withdrew = select(ledger.account).where(ledger.kind == "consent_withdrawn")
    swept = 0
    for purpose in PURPOSES:
        if not purpose.consent:
            continue
        left = items.field.in_(vault_fields(purpose.name)), items.account.in_(withdrew)
        for account in tx.sql.execute(select(items.account).where(*left).distinct().order_by(items.account)).scalars().all():
            if swept < BATCH and purpose.name not in tx.standing(account).consents and privacy.sweep(tx, vault, account):
                swept += 1
    return swept


def _drop(tx: Transaction, table: Table, *conditions: Any) -> int:
    """Delete one batch of rows; how many there were."""
    (key,) = table.primary_key.columns if len(table.primary_key.columns) == 1 else (None,)
    if key is None:
        return tx.sql.execute(delete(table).where(*conditions)).rowcount
    ids = tx.sql.execute(select(key).where(*conditions).limit(BATCH)).scalars().all()
    tx.sql.execute(delete(table).where(key.in_(ids)))
    return len(ids)
