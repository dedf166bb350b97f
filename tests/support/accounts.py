"""Books of accounts for tests: opened in a folder, with a clock that is set by hand, and people in any state."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import select

from server.accounts import tables
from server.accounts.book import Accounts, Transaction, read_standing
from server.accounts.events import AccountKind, Origin, Signed, Verified
from server.accounts.standing import Standing

SECOND_MS: Final = 1_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
START_MS: Final = 1_790_000_000_000
"""21 September 2026, some minutes past 14:00 UTC: no boundary of anything."""


class Clock:
    """Unix time in milliseconds that moves when told so; give it as ``clock_ms``."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def forward(self, *, days: float = 0, hours: float = 0, seconds: float = 0, ms: int = 0) -> None:
        """Let time pass."""
        self.now_ms += round(days * DAY_MS + hours * HOUR_MS + seconds * SECOND_MS) + ms


@contextmanager
def book(folder: Path, clock: Clock | None = None) -> Iterator[Accounts]:
    """``accounts.db`` of a folder, opened (made when missing) and closed at the end. Opening it twice is a restart."""
    path = folder / "accounts.db"
    if not path.exists():
        path.write_bytes(_empty())
    found = Accounts(path, clock or Clock())
    try:
        yield found
    finally:
        found.close()


@functools.cache
def _empty() -> bytes:
    """A new database, migrated once for all tests of the process."""
    with tempfile.TemporaryDirectory() as folder:
        Accounts(Path(folder) / "accounts.db", Clock()).close()
        return (Path(folder) / "accounts.db").read_bytes()


def person(
    tx: Transaction,
    account: str = "a-1",
    *,
    kind: AccountKind = "private",
    origin: Origin = "local",
    verified: str = "phone",
    strength: int = 1,
    agreement: str = "1",
    privacy: str = "",
) -> str:
    """Open an account, verified and signed as asked (an empty text: not), and return its id."""
    tx.open(account, kind=kind, origin=origin)
    if verified:
        verify(tx, account, verified, strength)
    if agreement:
        sign(tx, account, agreement)
    if privacy:
        tx.append(
            account, Signed(document="privacy", version=privacy, sha256="0" * 64, language="en"), actor=account, role="person"
        )
    return account


def add_person(accounts: Accounts, account: str = "a-1", *, verified: str = "phone", agreement: str = "1") -> Standing:
    """:func:`person` in a transaction of its own, where no loop runs; gives the standing."""

    def work(tx: Transaction) -> Standing:
        return tx.standing(person(tx, account, verified=verified, agreement=agreement))

    return accounts.write_now(work)


def verify(tx: Transaction, account: str, method: str = "phone", strength: int = 1) -> None:
    """Record that somebody real is behind the account."""
    tx.append(account, Verified(method=method, strength=strength), actor="system", role="verifier")


def sign(tx: Transaction, account: str, version: str = "1") -> None:
    """Record a signature on a version of the agreement, whatever its text."""
    signed = Signed(document="agreement", version=version, sha256="0" * 64, language="en")
    tx.append(account, signed, actor=account, role="person")


def standing(accounts: Accounts, account: str) -> Standing:
    """The standing that the ledger gives, by a new read."""
    return accounts.read_now(lambda connection: read_standing(connection, account))


def letters(accounts: Accounts, account: str) -> list[tuple[str, dict[str, object]]]:
    """What the account was told, oldest first: kind and data."""
    query = select(tables.letters.c.kind, tables.letters.c.data).where(tables.letters.c.account == account)
    rows = accounts.read_now(lambda connection: connection.execute(query.order_by(tables.letters.c.id)).all())
    return [(kind, msgspec.json.decode(data, type=dict[str, object])) for kind, data in rows]
