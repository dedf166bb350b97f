"""The consent of a guardian."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.accounts import guardians, privacy, verifications
from server.accounts.book import Accounts
from server.accounts.guardians import Guardian
from server.errors import Refusal
from server.settings import Settings
from tests.support.accounts import Clock, add_person, book, standing
from tests.support.vaults import vault

KEEPER = vault()
NOTICE = privacy.notice(Settings())
CHILD, PARENT = "+8613912345678", "+8613800000000"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with book(tmp_path, Clock()) as found:
        add_person(found, "a-1")
        found.write_now(lambda tx: KEEPER.claim(tx, "a-1", "phone", CHILD))
        yield found


def _consent(accounts: Accounts, account: str = "a-1", phone: str = PARENT) -> None:
    guardian = Guardian(name="王大明", phone=phone)
    accounts.write_now(lambda tx: guardians.consent(tx, KEEPER, account, guardian, NOTICE))


def test_a_guardian_consents_and_can_be_reached(accounts: Accounts) -> None:
    """Both consents stand in the ledger as the guardian's, name and number in the vault and nowhere else; twice does no harm."""
    _consent(accounts)
    _consent(accounts)
    assert set(standing(accounts, "a-1").consents) == set(guardians.CONSENTS)
    assert accounts.write_now(lambda tx: verifications.has_guardian(tx, "a-1"))
    assert accounts.read_now(lambda connection: KEEPER.read(connection, "a-1", "guardian_phone")) == PARENT
    assert accounts.read_now(lambda connection: KEEPER.read(connection, "a-1", "guardian_name")) == "王大明"
    entries = accounts.write_now(lambda tx: tx.entries_of("a-1"))
    assert {entry.actor for entry in entries[-2:]} == {"guardian:a-1"}
    assert PARENT not in str(entries)
    assert "王" not in repr(Guardian(name="王大明", phone=PARENT))


@pytest.mark.parametrize(
    ("account", "phone", "code"), [("a-1", CHILD, "identity_refused"), ("a-9", PARENT, "account_not_found")]
)
def test_nobody_is_ones_own_guardian(accounts: Accounts, account: str, phone: str, code: str) -> None:
    """The account's own number is no guardian's, and an account that is not there has none."""
    with pytest.raises(Refusal) as caught:
        _consent(accounts, account, phone)
    assert caught.value.code.name == code
    assert not standing(accounts, "a-1").consents


def test_an_erased_account_has_no_guardian(accounts: Accounts) -> None:
    """After erasure nothing is recorded any more."""
    accounts.write_now(lambda tx: privacy.erase(tx, KEEPER, "a-1", actor="a-1", role="person"))
    with pytest.raises(Refusal):
        _consent(accounts)
