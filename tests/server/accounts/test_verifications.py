"""The record of verifications and the event that goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from server.accounts import tables, verifications
from server.accounts.book import Accounts
from server.accounts.events import Consented, ConsentWithdrawn
from tests.support.accounts import Clock, add_person, book, standing


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with book(tmp_path, Clock()) as found:
        add_person(found, "a-1", verified="")
        yield found


def _record(accounts: Accounts, method: str, strength: int) -> tuple[str, int]:
    accounts.write_now(lambda tx: verifications.record(tx, "a-1", method, strength))
    found = standing(accounts, "a-1")
    return found.verified, found.strength


def test_the_surest_verification_counts(accounts: Accounts) -> None:
    """A surer one takes the place of a weaker one, not the other way round; strength 0 verifies nobody; all are on record."""
    assert _record(accounts, "oidc", 0) == ("", 0)
    assert _record(accounts, "phone", 1) == ("phone", 1)
    assert _record(accounts, "id_number", 2) == ("id_number", 2)
    assert _record(accounts, "phone", 1) == ("id_number", 2)
    rows = accounts.read_now(lambda connection: connection.execute(select(tables.verifications)).mappings().all())
    assert [(row["method"], row["result"], row["strength"]) for row in rows] == [
        ("oidc", "passed", 0), ("phone", "passed", 1), ("id_number", "passed", 2), ("phone", "passed", 1),
    ]  # fmt: skip


def test_the_ledger_hears_of_what_is_new(accounts: Accounts) -> None:
    """The same verification again is no event."""
    _record(accounts, "phone", 1)
    before = len(accounts.write_now(lambda tx: tx.entries_of("a-1")))
    _record(accounts, "phone", 1)
    assert len(accounts.write_now(lambda tx: tx.entries_of("a-1"))) == before


def test_a_guardians_consent(accounts: Accounts) -> None:
    """Only one that a guardian gave, for whatever purpose, and that was not taken back."""

    def has(*events: Consented | ConsentWithdrawn) -> bool:
        for event in events:
            accounts.write_now(lambda tx, event=event: tx.append("a-1", event, actor="a-1", role="person"))  # type: ignore[misc]
        return accounts.write_now(lambda tx: verifications.has_guardian(tx, "a-1"))

    assert not has()
    assert not has(Consented(purpose="guardian", version="1"))
    assert has(Consented(purpose="guardian", version="1", guardian=True))
    assert has(ConsentWithdrawn(purpose="other"))
    assert not has(ConsentWithdrawn(purpose="guardian"))
