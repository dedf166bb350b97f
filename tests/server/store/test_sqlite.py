"""The parts that only SQLite needs."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, bindparam, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from server.errors import ConfigError, StoreUnavailable, StoreUnknown
from server.store import sqlite
from server.store.sql import SqlStore

THINGS = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text), sqlite_strict=True)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A writer's connection with an empty table."""
    engine = sqlite.writer_engine(tmp_path / "a b.db", 100, create=True)
    with engine.connect() as made:
        THINGS.create(made)
        yield made
    engine.dispose()


def pragma(connection: Connection, name: str) -> Any:
    """The value of a setting of the connection."""
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_the_writer_is_durable(connection: Connection) -> None:
    """The log is written ahead, synced at every commit, with foreign keys checked."""
    settings = [
        pragma(connection, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
    ]
    assert settings == ["wal", 2, 1, 100, 0]


def test_transactions_take_the_write_lock_at_their_begin(connection: Connection, tmp_path: Path) -> None:
    """A second writer waits its time and fails before it did anything."""
    with sqlite.writer_engine(tmp_path / "a b.db", 10).connect() as second:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            second.begin()


def test_readers_cannot_write(connection: Connection, tmp_path: Path) -> None:
    """The reading connections refuse to write, and read while a transaction is open."""
    connection.commit()
    connection.execute(THINGS.insert().values(id=1, name="x"))
    engine = sqlite.reader_engine(tmp_path / "a b.db", 100)
    with engine.connect() as reader:
        assert reader.scalar(select(THINGS.c.name)) is None
        with pytest.raises(OperationalError, match="readonly"):
            reader.execute(THINGS.delete())
    engine.dispose()


def test_a_missing_file_is_not_made_again(tmp_path: Path) -> None:
    """Only opening a store makes a file: a lost database must not come back empty."""
    with pytest.raises(OperationalError, match="unable to open"):
        sqlite.writer_engine(tmp_path / "none.db", 10).connect()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_shared_memory_is_refused(tmp_path: Path) -> None:
    """Where a write-ahead log cannot be, the message says what to do."""
    with pytest.raises(ConfigError, match="put the data folder on a local disk"):
        sqlite._connect(tmp_path / "a.db", "rwc&vfs=unix-dotfile", 10)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5, 6, 7, 12, 13, 100, 385, 500, 8191, 8192, 8193, 20_000])
def test_bulk_inserts_insert_every_row_once(connection: Connection, rows: int) -> None:
    """Any number of rows arrives, in order, with no row of the padding."""
    bulk = sqlite.BulkInsert(THINGS, ["id", "name"])
    bulk.run(connection, [value for number in range(rows) for value in (number, f"n{number}")])
    found = connection.execute(select(THINGS.c.id, THINGS.c.name).order_by(THINGS.c.id)).all()
    assert [tuple(row) for row in found] == [(number, f"n{number}") for number in range(rows)]


def test_bulk_inserts_need_few_texts(connection: Connection) -> None:
    """The number of different statements is bounded, so that the driver's cache of 128 holds them; a ninth is padding at most."""
    bulk = sqlite.BulkInsert(THINGS, ["id", "name"])
    sizes = [bulk.size(rows) for rows in range(1, 8193)]
    assert len(set(sizes[:512])) == 16 + 5 * 8
    assert all(rows <= size < rows * 9 / 8 for rows, size in enumerate(sizes, 1))


def test_bulk_inserts_resolve_conflicts(connection: Connection) -> None:
    """The suffix says what happens with rows that are there already."""
    bulk = sqlite.BulkInsert(THINGS, ["id", "name"], "ON CONFLICT (id) DO UPDATE SET name = excluded.name")
    bulk.run(connection, [1, "a", 2, "b"])
    bulk.run(connection, [2, "c", 3, "d", 4, "e"])
    assert connection.execute(select(THINGS.c.name).order_by(THINGS.c.id)).scalars().all() == ["a", "c", "d", "e"]


def test_rows_travel_as_json(connection: Connection) -> None:
    """Rows come out as arrays or objects, and go in as arrays, with any characters."""
    name = 'a"\\\u2028\x01\x7f😀'
    connection.execute(THINGS.insert(), [{"id": 1, "name": name}, {"id": 2, "name": None}])
    query = select(THINGS.c.id, THINGS.c.name).order_by(THINGS.c.id.desc())
    assert connection.scalar(sqlite.as_arrays(query)) == '[[2,null],[1,"a\\"\\\\\u2028\\u0001\x7f😀"]]'
    assert connection.scalar(sqlite.as_objects(query.where(THINGS.c.id == 2))) == '[{"id":2,"name":null}]'
    rows, (first, second) = sqlite.json_rows(bindparam("given"), 2)
    given = {"given": '[[5,"x\\"\\\\😀"],[9223372036854775807,null]]'}
    assert connection.execute(select(first, second).select_from(rows), given).all() == [(5, 'x"\\😀'), (2**63 - 1, None)]


def test_a_statement_runs_within_the_transaction(connection: Connection) -> None:
    """The driver runs it in SQLAlchemy's transaction: it sees what that wrote, and what it wrote is undone with it."""
    names = sqlite.Query(sqlite.as_arrays(select(THINGS.c.name).where(THINGS.c.id > bindparam("after"))), tuple[str])
    connection.commit()
    connection.execute(THINGS.insert().values(id=1, name="x"))
    sqlite.BulkInsert(THINGS, ["id", "name"]).run(connection, [2, "y"])
    assert names.run(connection, {"after": 0}) == [("x",), ("y",)]
    assert names.run(connection, {"after": 1}) == [("y",)]
    connection.rollback()
    assert names.run(connection, {"after": 0}) == []


def test_a_statement_holds_nothing_after_its_answer(connection: Connection, tmp_path: Path) -> None:
    """No reading stays open behind an answer, or the log written ahead could never be copied and would grow for ever."""
    connection.commit()
    engine = sqlite.reader_engine(tmp_path / "a b.db", 100)
    with engine.connect() as reader:
        names = sqlite.Query(sqlite.as_arrays(select(THINGS.c.name)), tuple[str])
        assert names.run(reader, {}) == []
        connection.execute(THINGS.insert().values(id=1, name="x"))
        connection.commit()
        other = sqlite3.connect(tmp_path / "a b.db", timeout=0)
        (busy, *_) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        other.close()
        assert not busy
        assert names.run(reader, {}) == [("x",)]
    engine.dispose()


def test_rows_that_are_not_as_written_are_damage(connection: Connection) -> None:
    """A row of another form than the statement's is reported as SQLite reports a damaged page."""
    connection.execute(THINGS.insert().values(id=1))
    names = sqlite.Query(sqlite.as_arrays(select(THINGS.c.name)), tuple[str])
    with pytest.raises(sqlite.UnreadableRowError, match="Expected `str`, got `null`") as caught:
        names.run(connection, {})
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_CORRUPT


def test_rows_that_are_given_hold_no_nul(connection: Connection) -> None:
    """SQLite's JSON functions would cut a text there; a backslash before ``u0000`` is no NUL."""
    given, (name,) = sqlite.json_values(bindparam("given"))
    same = sqlite.Query(sqlite.as_arrays(select(name).select_from(given)), tuple[str])
    assert same.join(connection, ["a", "\\u0000"]) == [("a",), ("\\u0000",)]
    with pytest.raises(UnicodeError, match="NUL"):
        same.join(connection, ["a", "b\0c"])


def test_a_file_has_an_identity(tmp_path: Path) -> None:
    """Another file of the same name is told apart; no file has none."""
    path = tmp_path / "x"
    assert sqlite.identity(path) is None
    path.write_text("1")
    first = sqlite.identity(path)
    (tmp_path / "y").write_text("2")
    (tmp_path / "y").replace(path)
    assert first is not None
    assert sqlite.identity(path) not in (None, first)


def error(code: int) -> DBAPIError:
    """An error of SQLite as SQLAlchemy hands it on."""
    cause = sqlite3.OperationalError("cause")
    cause.sqlite_errorcode = code
    cause.sqlite_errorname = "SQLITE_X"
    return DBAPIError("COMMIT", None, cause)


@pytest.mark.parametrize(
    ("code", "advice", "unknown"),
    [
        (sqlite3.SQLITE_FULL, "disk is full: free space", False),
        (sqlite3.SQLITE_READONLY, "cannot be written", False),
        (sqlite3.SQLITE_BUSY, "locked by another process", False),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened", True),
        (sqlite3.SQLITE_PERM, "check the rights", True),
        (sqlite3.SQLITE_CORRUPT, "put the last backup", True),
        (sqlite3.SQLITE_NOTADB, "not a database", True),
        (sqlite3.SQLITE_IOERR_FSYNC, "the disk reports an error", True),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "disk is full: free space", True),
        (sqlite3.SQLITE_INTERNAL, "see the server's log", True),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, code: int, advice: str, unknown: bool) -> None:
    """Each error names the file, the remedy and SQLite's name; a failed COMMIT is unknown unless nothing can be there."""
    before = sqlite.failure(error(code), tmp_path / "b.db")
    assert isinstance(before, StoreUnavailable)
    assert advice in str(before)
    assert str(tmp_path / "b.db") in str(before)
    assert "[SQLITE_X: cause]" in str(before)
    assert isinstance(sqlite.failure(error(code), tmp_path, committing=True), StoreUnknown if unknown else StoreUnavailable)


def test_errors_without_a_code_are_named_by_their_class(tmp_path: Path) -> None:
    """An error of the driver has no code of SQLite."""
    assert "[ProgrammingError: odd]" in str(sqlite.failure(sqlite3.ProgrammingError("odd"), tmp_path))
    assert "[ValueError: odd]" in str(sqlite.failure(ValueError("odd"), tmp_path))


def test_begin_is_ours(connection: Connection) -> None:
    """SQLAlchemy's transaction is SQLite's: a rollback undoes what came after its begin."""
    connection.commit()
    connection.execute(THINGS.insert().values(id=1))
    connection.rollback()
    assert connection.execute(text("SELECT count(*) FROM things")).scalar() == 0


def test_a_new_database_is_for_its_owner_only(tmp_path: Path) -> None:
    """Nobody else may read accounts and addresses: neither the database nor the files that SQLite puts beside it."""
    store = SqlStore.open(tmp_path / "log.db")
    try:
        store.create_room("demo", "Demo", "live", 1)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        assert modes == {"log.db": 0o600, "log.db-wal": 0o600, "log.db-shm": 0o600}
    finally:
        store.close()
