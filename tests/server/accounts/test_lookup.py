"""server/accounts/lookup.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from server.accounts import lookup, tables
from server.accounts.book import Accounts, Transaction
from tests.support.accounts import book, person


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    def work(tx: Transaction) -> None:
        for account, nickname in (("a-1", "小明"), ("a-2", "小明明"), ("a-3", "100%"), ("a-4", "")):
            person(tx, account)
            row = tables.accounts.c.id == account
            tx.sql.execute(update(tables.accounts).where(row).values(nickname=nickname))
            tx.log_access("staff:ann", "reviewer", "accounts.view", account)

    with book(tmp_path) as found:
        found.write_now(work)
        yield found


@pytest.mark.parametrize(
    ("text", "ids"),
    [("小明", ["a-1", "a-2"]), ("a-4", ["a-4"]), ("%", []), ("100%", ["a-3"]), ("_", []), ("", ["a-1", "a-2", "a-3", "a-4"])],
)
def test_accounts_are_found_by_id_or_the_begin_of_the_nickname(accounts: Accounts, text: str, ids: list[str]) -> None:
    """Nothing in the text is taken for a pattern; an empty one gives the newest."""
    assert [found.id for found in accounts.read_now(lambda c: lookup.search(c, text))] == ids


def test_one_account_is_found_exactly(accounts: Accounts) -> None:
    """By id or by the whole nickname; an empty nickname is nobody's."""
    by_id = accounts.read_now(lambda c: lookup.find(c, "a-1"))
    assert by_id is not None
    assert accounts.read_now(lambda c: lookup.of_nickname(c, "小明")) == by_id
    assert accounts.read_now(lambda c: lookup.of_nickname(c, "小")) is None
    assert accounts.read_now(lambda c: lookup.of_nickname(c, "")) is None
    assert accounts.read_now(lambda c: lookup.find(c, "小明")) is None


def test_the_access_log_is_read_from_its_end(accounts: Accounts) -> None:
    """All of it or what is about a subject, in pages."""
    newest = accounts.read_now(lambda c: lookup.accesses(c, limit=2))
    assert [line.subject for line in newest] == ["a-4", "a-3"]
    older = accounts.read_now(lambda c: lookup.accesses(c, before=newest[-1].id))
    assert [line.subject for line in older] == ["a-2", "a-1"]
    assert [line.action for line in accounts.read_now(lambda c: lookup.accesses(c, "a-2"))] == ["accounts.view"]
