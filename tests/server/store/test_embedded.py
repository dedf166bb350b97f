"""The embedded database beside the room log: transactions, what follows a commit, faults. The book of accounts tests the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from server.accounts import tables
from server.accounts.book import SCRIPTS
from server.errors import StoreUnavailable
from server.store.embedded import Embedded


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Embedded]:
    """A database of accounts without what lies over it."""
    found = Embedded(tmp_path / "one.db", "one", tables.REVISION, SCRIPTS)
    yield found
    found.close()


def add(connection: Connection) -> str:
    """Add an account, and say who it is."""
    connection.execute(text("INSERT INTO accounts (id, created_ms) VALUES ('a-1', 1)"))
    return "a-1"


def count(connection: Connection) -> int:
    """How many accounts there are."""
    found: int = connection.execute(text("SELECT count(*) FROM accounts")).scalar_one()
    return found


async def test_what_follows_a_commit_sees_it_and_gives_the_result(file: Embedded) -> None:
    """``after`` gets what the work returned, once the transaction can be read by others."""
    seen: list[tuple[str, int]] = []

    def after(account: str) -> int:
        seen.append((account, file.read_now(count)))
        return len(seen)

    assert await file.write(add, after) == 1
    assert seen == [("a-1", 1)]


async def test_work_that_raises_changes_nothing(file: Embedded) -> None:
    """What it raises is raised, nothing follows, and nothing stays."""

    def work(connection: Connection) -> None:
        add(connection)
        raise LookupError("no")

    with pytest.raises(LookupError):
        await file.write(work, lambda found: pytest.fail("nothing was committed"))
    assert await file.read(count) == 0
    assert file.trouble == ""


async def test_a_closed_file_says_that_the_server_stops(file: Embedded) -> None:
    """Who comes after the end is refused as while a database is away."""
    file.close()
    with pytest.raises(StoreUnavailable, match="stopping"):
        await file.read(count)


async def test_a_replaced_file_takes_nothing(file: Embedded, tmp_path: Path) -> None:
    """Another database in its place is told, not written to."""
    (tmp_path / "one.db").rename(tmp_path / "two.db")
    with pytest.raises(StoreUnavailable, match="restart"):
        await file.write(add, str)
    assert "restart" in file.trouble
