"""server/accounts/book.py"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from sqlalchemy import Executable, Table, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from server.accounts import tables
from server.accounts.book import Accounts, Letter, Transaction, new_id, newest_entry, read_entries, read_standing
from server.accounts.events import Consented, ConsentWithdrawn, Counted, Erased, LessonTaken, Signed
from server.accounts.standing import Standing
from server.errors import ConfigError, Refusal, StoreUnavailable, StoreUnknown
from tests.support.accounts import DAY_MS, Clock, add_person, book, letters, person, standing, verify


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        yield found


def lesson(tx: Transaction, account: str = "a-1", version: str = "1") -> None:
    tx.append(account, LessonTaken(version=version), actor=account, role="person")


def count(accounts: Accounts, table: Table) -> int:
    query = select(func.count()).select_from(table)
    return accounts.read_now(lambda connection: connection.execute(query).scalar() or 0)


def run(accounts: Accounts, statement: Executable) -> None:
    accounts.write_now(lambda tx: tx.sql.execute(statement))


def lesson_of(account: str, version: str = "1") -> Callable[[Transaction], None]:
    return lambda tx: lesson(tx, account, version)


def person_of(account: str) -> Callable[[Transaction], str]:
    return lambda tx: person(tx, account)


def damage(folder: Path, statement: str) -> None:
    """Change the file behind the server's back, as no part of the program can."""
    with sqlite3.connect(folder / "accounts.db") as connection:
        connection.execute("DROP TRIGGER IF EXISTS ledger_no_update")
        connection.execute(statement)
    connection.close()


# Transactions


def test_a_transaction_is_there_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    """Entries, rows, letters and access records of a committed transaction survive."""
    with book(tmp_path, clock) as first:

        def work(tx: Transaction) -> str:
            person(tx)
            tx.tell("a-1", "greeting", {"n": 1})
            tx.log_access("staff:x", "operator", "look", "a-1", "why")
            return "result"

        assert first.write_now(work) == "result"
        before = standing(first, "a-1")
    with book(tmp_path, clock) as again:
        assert standing(again, "a-1") == before
        assert before.opened_ms == clock.now_ms
        assert letters(again, "a-1") == [("greeting", {"n": 1})]
        row = again.read_now(lambda connection: connection.execute(select(tables.access_log)).mappings().one())
        assert (row["actor"], row["action"], row["subject"], row["detail"]) == ("staff:x", "look", "a-1", "why")


def test_every_commit_is_on_the_disk(accounts: Accounts) -> None:
    """The writer's connections sync at each commit, and refuse references to what is not there."""

    def pragmas(tx: Transaction) -> tuple[int, int, str]:
        asked = [tx.sql.execute(text(f"PRAGMA {name}")).scalar() for name in ("synchronous", "foreign_keys", "journal_mode")]
        return (int(asked[0] or 0), int(asked[1] or 0), str(asked[2]))

    assert accounts.write_now(pragmas) == (2, 1, "wal")


def test_work_that_raises_undoes_everything(accounts: Accounts) -> None:
    """A refusal in the middle leaves no entry, no row, no letter, and comes out as it was raised."""

    def work(tx: Transaction) -> NoReturn:
        person(tx)
        tx.tell("a-1", "greeting", {})
        tx.log_access("x", "y", "z")
        raise Refusal("bad_measure", "why")

    with pytest.raises(Refusal, match="bad_measure: why"):
        accounts.write_now(work)
    assert [count(accounts, each) for each in (tables.accounts, tables.ledger, tables.letters, tables.access_log)] == [0] * 4
    assert accounts.standings.get("a-1") is None


def test_an_account_is_opened_once(accounts: Accounts) -> None:
    """Opening tells whether the account is new, and records it by itself unless another actor is named."""

    def work(tx: Transaction) -> list[bool]:
        return [tx.open("a-1"), tx.open("a-1"), tx.open("h-1", origin="host", actor="host", role="host")]

    assert accounts.write_now(work) == [True, False, True]
    entries = accounts.read_now(lambda connection: read_entries(connection, "a-1") + read_entries(connection, "h-1"))
    assert [(each.account, each.actor, each.role) for each in entries] == [("a-1", "a-1", "person"), ("h-1", "host", "host")]
    assert standing(accounts, "h-1").origin == "host"


def test_what_an_account_begins_itself_is_bounded(accounts: Accounts, clock: Clock) -> None:
    """Two hundred entries of its own within a day: then it is told how long to wait. What ends something goes on, and so does what
    others write."""

    def consent(tx: Transaction) -> None:
        tx.append("a-1", Consented(purpose="guardian", version="1"), actor="a-1", role="person")

    def withdraw(tx: Transaction) -> None:
        tx.append("a-1", ConsentWithdrawn(purpose="guardian"), actor="a-1", role="person")

    def fill(tx: Transaction) -> None:
        person(tx)
        for _ in range(99):
            consent(tx)
            withdraw(tx)

    accounts.write_now(fill)  # with Opened and Signed these are 200
    with pytest.raises(Refusal, match="too_many_attempts") as refused:
        accounts.write_now(consent)
    assert refused.value.retry_after_ms == DAY_MS
    accounts.write_now(withdraw)
    accounts.write_now(lambda tx: verify(tx, "a-1"))
    accounts.write_now(lambda tx: tx.append("a-1", Erased(), actor="a-1", role="person"))
    accounts.write_now(lambda tx: person(tx, "a-2"))
    clock.forward(days=1)
    accounts.write_now(consent)


def test_a_transaction_sees_what_it_appended(accounts: Accounts) -> None:
    """Inside the transaction standing and entries hold its own events, at its one moment."""

    def work(tx: Transaction) -> tuple[Standing, set[int]]:
        person(tx)
        lesson(tx)
        return tx.standing("a-1"), {each.at_ms for each in tx.entries_of("a-1")}

    found, moments = accounts.write_now(work)
    assert found.lesson == "1"
    assert moments == {Clock().now_ms}
    assert accounts.standings.get("a-1") == found


@pytest.mark.parametrize("table", [tables.ledger, tables.access_log], ids=lambda table: str(table))
def test_the_ledger_is_append_only(accounts: Accounts, table: Table) -> None:
    """Triggers of the database refuse every change and every deletion, whoever asks."""

    def fill(tx: Transaction) -> None:
        person(tx)
        tx.log_access("x", "y", "z")

    accounts.write_now(fill)
    replace = text(f"REPLACE INTO {table.name} SELECT * FROM {table.name}")
    for statement in (update(table).values(actor="somebody else"), delete(table), replace):
        with pytest.raises(IntegrityError, match="append-only"):
            run(accounts, statement)
    rows = accounts.read_now(lambda connection: connection.execute(select(table.c.actor)).scalars().all())
    assert "somebody else" not in rows
    assert len(rows) >= 1


def test_an_entry_needs_its_account(accounts: Accounts) -> None:
    """An event of an account that was never opened fails, as the mistake of the program that it is: no advice on disks."""
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        accounts.write_now(lesson)


def test_wrong_sql_is_no_trouble_of_the_storage(accounts: Accounts) -> None:
    """A statement that does not fit the schema comes out as it is, from writing and from reading."""
    with pytest.raises(OperationalError, match="no such table"):
        accounts.write_now(lambda tx: tx.sql.execute(text("SELECT * FROM missing")))
    with pytest.raises(OperationalError, match="no such table"):
        accounts.read_now(lambda connection: connection.execute(text("SELECT * FROM missing")))


def test_readers_cannot_write(accounts: Accounts) -> None:
    """What is handed to a reading refuses statements that change something."""
    add_person(accounts)
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        accounts.read_now(lambda connection: connection.execute(delete(tables.letters)))


# Faults


def test_a_locked_database_is_unavailable(accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that holds the write lock makes writing fail with advice; reading goes on, and writing comes back."""
    add_person(accounts)
    with sqlite3.connect(tmp_path / "accounts.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            accounts.write_now(lesson)
        assert standing(accounts, "a-1").verified == "phone"
        other.execute("ROLLBACK")
    other.close()
    accounts.write_now(lesson)
    assert standing(accounts, "a-1").lesson == "1"


def test_a_replaced_file_is_refused(accounts: Accounts, tmp_path: Path) -> None:
    """A database put in place of the open one, or none at all, is not written to: the message says to restart."""
    path = tmp_path / "accounts.db"
    path.rename(tmp_path / "moved.db")
    with pytest.raises(StoreUnavailable, match="replaced or moved away under the server: restart it"):
        add_person(accounts)
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreUnavailable, match="replaced"):
        add_person(accounts)


def test_a_folder_that_is_not_there_and_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Opening fails with advice, and a foreign database is left alone."""
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        Accounts(tmp_path / "missing" / "accounts.db", Clock())
    (tmp_path / "accounts.db").write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        Accounts(tmp_path / "accounts.db", Clock())
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    with pytest.raises(ConfigError, match="another program"):
        Accounts(other, Clock())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"kind":"promoted"}', "Invalid value 'promoted'"),
        ('{"kind":"verified"}', "missing required field `method`"),
        ('{"kind":', "truncated"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named(tmp_path: Path, data: str, said: str) -> None:
    """An unknown kind, a wrong shape and damaged bytes give one clear error with the entry's number, in reading and writing."""
    with book(tmp_path) as accounts:
        add_person(accounts)
    damage(tmp_path, f"UPDATE ledger SET data = CAST('{data}' AS BLOB) WHERE id = 2")
    with book(tmp_path) as accounts:
        with pytest.raises(StoreUnavailable, match=f"entry 2 of the ledger .*{said}.*newer version"):
            standing(accounts, "a-1")
        with pytest.raises(StoreUnavailable, match="entry 2 of the ledger"):
            accounts.write_now(lesson)
        assert count(accounts, tables.ledger) == 3
        add_person(accounts, "a-2")


def test_a_commit_that_fails_in_between_is_unknown(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the COMMIT itself meets an error of the disk, nobody can say whether it is there; the error says so."""
    from sqlalchemy import Connection

    def fail(self: Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise OperationalError("COMMIT", None, error)

    monkeypatch.setattr(Connection, "commit", fail)
    with pytest.raises(StoreUnknown, match="disk reports an error"):
        add_person(accounts)


def test_a_reading_that_gets_no_connection_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all connections are taken for too long, the answer is that they are busy."""
    monkeypatch.setattr("server.store.embedded.BUSY_MS", 20)
    with book(tmp_path) as accounts, ExitStack() as held:
        for _ in range(16):
            held.enter_context(accounts._file._readers.connect())
        with pytest.raises(StoreUnavailable, match="all connections are busy"):
            standing(accounts, "a-1")


# On the loop


async def test_trouble_is_kept_in_mind_until_it_is_over(accounts: Accounts, tmp_path: Path) -> None:
    """Why the database does not serve is logged once and can be asked for; the next transaction that succeeds clears it."""
    path, moved = tmp_path / "accounts.db", tmp_path / "moved.db"
    path.rename(moved)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await accounts.write(person)
    assert "restart" in accounts.trouble
    assert [each["event"] for each in logs] == ["the database cannot be served"]
    moved.rename(path)
    await accounts.write(person)
    assert accounts.trouble == ""


async def test_a_write_tells_standings_and_listeners_before_its_caller_goes_on(accounts: Accounts) -> None:
    """Each touched account is told once, with its new standing and its own letters; one that fails stops nobody."""
    told: list[tuple[Standing, list[Letter]]] = []

    def broken(found: Standing, mine: list[Letter]) -> None:
        raise RuntimeError("a listener's own trouble")

    accounts.listen(broken)
    accounts.listen(lambda found, mine: told.append((found, mine)))

    def work(tx: Transaction) -> None:
        person(tx, "a-1")
        person(tx, "a-2")
        tx.tell("a-2", "greeting", {})
        tx.tell("a-2", "greeting", {})

    with structlog.testing.capture_logs() as logs:
        await accounts.write(work)
    assert [(found.account, found.verified, len(mine)) for found, mine in told] == [("a-1", "phone", 0), ("a-2", "phone", 2)]
    assert accounts.standings.get("a-2") is told[1][0]
    assert [each["event"] for each in logs] == ["a listener of the accounts failed"] * 2


async def test_a_cancelled_caller_does_not_undo_the_transaction(accounts: Accounts) -> None:
    """The caller may go away while the transaction runs: it is committed, and standings and listeners learn of it."""
    told: list[str] = []
    accounts.listen(lambda found, mine: told.append(found.account))
    begun, go = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        begun.set()
        go.wait(60)
        person(tx)

    task = asyncio.ensure_future(accounts.write(work))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == []
    go.set()
    await accounts.drain()
    assert told == ["a-1"]
    found = accounts.standings.get("a-1")
    assert found is not None
    assert found == standing(accounts, "a-1")


async def test_writes_are_told_in_their_order(accounts: Accounts) -> None:
    """Many transactions at once are one after the other; the standings in memory end as the ledger does."""
    await accounts.write(person)
    lasts: list[int] = []
    accounts.listen(lambda found, mine: lasts.append(found.last))
    await asyncio.gather(*(accounts.write(lesson_of("a-1", str(n))) for n in range(30)))
    assert lasts == sorted(lasts)
    assert len(lasts) == 30
    found = accounts.standings.get("a-1")
    assert found is not None
    assert found.last == accounts.read_now(newest_entry)
    assert found == standing(accounts, "a-1")


async def test_a_reading_that_ends_after_a_newer_write_does_not_put_the_older_standing_back(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that read before a commit and ends after it gives the newer standing, even if memory has room for one only."""
    monkeypatch.setattr("server.accounts.book.CACHED_STANDINGS", 1)
    await accounts.write(lambda tx: [person(tx, "a-1"), person(tx, "a-2")])
    await accounts.standings.load("a-2")  # drops a-1 from memory
    assert accounts.standings.get("a-1") is None
    begun, go = threading.Event(), threading.Event()
    plain = read_standing

    def slow(connection: object, account: str) -> Standing:
        found = plain(connection, account)  # type: ignore[arg-type] # a connection
        if threading.current_thread().name.startswith("accounts-reader"):
            begun.set()
            go.wait(60)
        return found

    monkeypatch.setattr("server.accounts.book.read_standing", slow)
    loading = asyncio.ensure_future(accounts.standings.load("a-1"))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    await accounts.write(lesson)
    await accounts.write(lambda tx: lesson(tx, "a-2"))  # would drop a-1 again
    go.set()
    assert (await loading).lesson == "1"
    found = accounts.standings.get("a-1")
    assert found is not None
    assert found.lesson == "1"


async def test_memory_holds_a_bounded_number_of_standings(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest unused standing is dropped, and folded anew when it is wanted."""
    monkeypatch.setattr("server.accounts.book.CACHED_STANDINGS", 3)
    names = [f"a-{n}" for n in range(4)]
    for name in names[:3]:
        await accounts.write(person_of(name))
    assert accounts.standings.get("a-0") is not None  # used just now
    await accounts.write(lambda tx: person(tx, "a-3"))
    there = {name for name in names if accounts.standings.get(name)}
    assert there == {"a-0", "a-2", "a-3"}
    assert (await accounts.standings.load("a-1")).verified == "phone"


async def test_an_account_without_entries_has_the_default_standing(accounts: Accounts) -> None:
    """Whoever never did anything here is known of by the host platform alone: no agreement, no verification of ours."""
    assert await accounts.standings.load("nobody") == Standing(account="nobody")


async def test_after_closing_nothing_is_served(tmp_path: Path) -> None:
    """A request that comes while the server stops gets a clear error; closing twice is fine."""
    with book(tmp_path) as accounts:
        await accounts.write(person)
    accounts.close()
    with pytest.raises(StoreUnavailable, match="stopping"):
        await accounts.write(person)
    with pytest.raises(StoreUnavailable, match="stopping"):
        await accounts.read(newest_entry)


async def test_a_failed_work_on_the_loop_leaves_memory_alone(accounts: Accounts) -> None:
    """What is raised in the writer's thread arrives at the caller, and no standing changes."""
    await accounts.write(person)
    before = accounts.standings.get("a-1")

    def work(tx: Transaction) -> NoReturn:
        tx.append("a-1", Counted(what="removal.L", ref="x"), actor="system", role="system")
        raise Refusal("forbidden")

    with pytest.raises(Refusal, match="forbidden"):
        await accounts.write(work)
    assert accounts.standings.get("a-1") is before


def test_entries_after_a_number(accounts: Accounts) -> None:
    """A reader can go on where it was: entries after an id, of one account, oldest first."""
    accounts.write_now(lambda tx: [person(tx, "a-1"), person(tx, "a-2")])
    ids = accounts.read_now(lambda connection: [each.id for each in read_entries(connection, "a-2")])
    assert ids == [4, 5, 6]
    later = accounts.read_now(lambda connection: read_entries(connection, "a-2", after=4))
    assert [each.id for each in later] == [5, 6]
    assert isinstance(later[1].event, Signed)


def test_ids_of_the_ledger_are_never_used_again(accounts: Accounts) -> None:
    """A transaction that was undone leaves no number that could mean two entries (AUTOINCREMENT counts committed ones up)."""
    add_person(accounts)

    def work(tx: Transaction) -> NoReturn:
        lesson(tx)
        raise Refusal("forbidden")

    with pytest.raises(Refusal):
        accounts.write_now(work)
    accounts.write_now(lesson)
    assert accounts.read_now(newest_entry) == 4
    row = {"account": "a-1", "at_ms": 0, "actor": "x", "role": "x", "kind": "erased", "data": b'{"kind":"erased"}'}
    accounts.write_now(lambda tx: tx.sql.execute(insert(tables.ledger).values(**row)))
    assert accounts.read_now(newest_entry) == 5


def test_random_ids_have_a_prefix() -> None:
    """Ids cannot be guessed and say what they are of."""
    made = {new_id("m") for _ in range(100)}
    assert len(made) == 100
    assert all(each.startswith("m-") and len(each) == 22 for each in made)
