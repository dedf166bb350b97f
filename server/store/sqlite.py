"""Everything that only SQLite needs: connections, bulk statements, rows as JSON, the meaning of its errors.

Python's ``sqlite3`` releases the interpreter lock around every step of a statement, that is for every row in and out, and
beside a busy thread each re-take may wait a whole switch interval (5 ms). So the store passes many rows in one step: in as one
``VALUES`` list, out as one JSON value. ``loadtest/micro_store.py`` measures it.

SQLAlchemy has the connections and the transactions, and makes the text of each statement, once. The driver runs the statements of
the log: run by SQLAlchemy, one costs 0.1 ms more, and three times that where a thousand socket writes lie between two of them.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec
import orjson
from sqlalchemy import Connection, Engine, FromClause, Select, Table, create_engine, event, func, select
from sqlalchemy.dialects.sqlite.pysqlite import dialect as Dialect  # noqa: N812 - a class
from sqlalchemy.pool import NullPool, QueuePool

from server.errors import ConfigError, StoreError, StoreUnavailable, StoreUnknown

T = TypeVar("T")

LEAST_VERSION: Final = (3, 38, 0)  # STRICT tables, JSON functions always there

_DIALECT: Final = Dialect(paramstyle="named")
_MAX_PARAMETERS: Final = 32_766  # SQLite's default; some builds allow more
_CACHE_KIB: Final = 16_384
_CHECKPOINT_PAGES: Final = 4_000  # 16 MiB: half the writes of the default, still a few milliseconds
_WAL_LIMIT_BYTES: Final = 64 * 2**20  # a longer file is cut back when it has been copied
_READERS: Final = 4
_READER_OVERFLOW: Final = 12

CHANGE_NOTHING: Final = "PRAGMA user_version=0"
"""Writes a page to the disk and changes nothing; an update of a row to what it is would write nothing."""


def writer_engine(path: Path, busy_ms: int, *, create: bool = False) -> Engine:
    """An engine without a pool whose transactions take the write lock at their begin and are durable at their end.

    ``create`` false: a missing file is an error rather than a new, empty database.
    """

    def connect() -> sqlite3.Connection:
        if create:
            _make_private(path)
        return _connect(path, "rw", busy_ms, "synchronous=FULL", f"cache_size=-{_CACHE_KIB}",
                        f"wal_autocheckpoint={_CHECKPOINT_PAGES}", f"journal_size_limit={_WAL_LIMIT_BYTES}")  # fmt: skip

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def reader_engine(path: Path, busy_ms: int) -> Engine:
    """An engine with a bounded pool of connections that cannot write; a caller waits at most ``busy_ms`` for one."""

    def connect() -> sqlite3.Connection:
        return _connect(path, "rw", busy_ms, "query_only=ON")

    return create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=_READERS,
        max_overflow=_READER_OVERFLOW,
        pool_timeout=busy_ms / 1000,
        skip_autocommit_rollback=True,
    )


def _make_private(path: Path) -> None:
    """Accounts and source addresses are in it: a new database is for its owner only (SQLite gives its other files the same rights).

    What goes wrong here goes wrong again when SQLite opens the file, and is explained there.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _connect(path: Path, mode: str, busy_ms: int, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=busy_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        (journal,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if journal != "wal":
            raise ConfigError(f"the file system of {path} does not take a write-ahead log; put the data folder on a local disk")
        for pragma in ("foreign_keys=ON", *pragmas):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin_immediate(connection: Connection) -> None:
    driver(connection).execute("BEGIN IMMEDIATE")


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, which takes part in the transaction of ``connection``."""
    found: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment] # that is the driver here
    return found


class Query(Generic[T]):
    """A statement that gives its rows as one JSON value (:func:`as_arrays`, :func:`as_objects`): its text, and what it gives rows of.

    ``strict`` false: numbers stand for truth values.
    """

    def __init__(self, statement: Select[str], row: type[T], *, strict: bool = True) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.text: Final = str(compiled)
        self.constants: Final = compiled.params
        self._decoder: Final = msgspec.json.Decoder(list[row], strict=strict)  # type: ignore[valid-type] # known at run time

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[T]:
        """The rows for these parameters. Raises sqlite3.Error; UnreadableRowError is one."""
        (text,) = driver(connection).execute(self.text, {**self.constants, **values}).fetchone()
        try:
            return self._decoder.decode(text)
        except (msgspec.DecodeError, ValueError) as error:
            raise UnreadableRowError(str(error)) from error

    def join(self, connection: Connection, given: Sequence[Any]) -> list[T]:
        """The rows for those ``given``, which it takes as JSON (:func:`json_values`, :func:`json_rows`): one step either way. Raises
        UnicodeError for NUL as well."""
        text = orjson.dumps(given)
        if b"\\u0000" in text and _has_nul(given):  # the bytes alone may be a backslash that the text itself has
            raise UnicodeError("NUL ends a text in SQLite's JSON functions")
        return self.run(connection, {"given": text.decode()})


def _has_nul(given: Sequence[Any]) -> bool:
    rows = (row if isinstance(row, tuple) else (row,) for row in given)
    return any("\0" in value for row in rows for value in row if isinstance(value, str))


class UnreadableRowError(sqlite3.DatabaseError):
    """SQLite gave rows that this server never wrote: they are damaged, though the pages they stand on are not."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class BulkInsert:
    """Inserts rows in few statements, with the texts of statements for a few sizes kept.

    A statement has room for a few more rows than it is given, less than an eighth; what is left of it is filled with NULLs that
    ``LIMIT`` cuts off. (To bind a row that is not there costs a third of inserting one.) ``suffix`` is an ON CONFLICT clause.
    """

    def __init__(self, table: Table, columns: Sequence[str], suffix: str = "") -> None:
        self.width: Final = len(columns)
        names = ", ".join(f'"{table.c[name].name}"' for name in columns)
        self._head = f"INSERT INTO {table.name} ({names}) SELECT * FROM (VALUES "  # noqa: S608 - names of the schema
        self._tail = f") LIMIT ?{' ' + suffix if suffix else ''}"
        self._row = f"({', '.join('?' * self.width)})"
        self._texts: dict[int, str] = {}
        most = 1
        while most * 2 * self.width < _MAX_PARAMETERS:
            most *= 2
        self._most = most

    def run(self, connection: Connection, values: list[Any]) -> None:
        """Insert ``len(values) / width`` rows, given as one flat list, in order."""
        step = self._most * self.width
        for start in range(0, len(values), step):
            part = values[start : start + step] if len(values) > step else values
            rows = len(part) // self.width
            size = self.size(rows)
            text = self._texts.get(size)
            if text is None:
                text = self._texts[size] = self._head + ", ".join([self._row] * size) + self._tail
            driver(connection).execute(text, (*part, *itertools.repeat(None, (size - rows) * self.width), rows))

    def size(self, rows: int) -> int:
        """Rows that the statement for ``rows`` rows has room for."""
        step: int = max(1, (1 << (rows - 1).bit_length()) // 16)
        return -(-rows // step) * step


def as_arrays(query: Select[Any]) -> Select[str]:
    """The rows of ``query`` as one JSON array of arrays."""
    inner = query.subquery()
    return select(func.json_group_array(func.json_array(*inner.c)))


def as_objects(query: Select[Any]) -> Select[str]:
    """The rows of ``query`` as one JSON array of objects named after its columns."""
    inner = query.subquery()
    pairs = itertools.chain.from_iterable((column.name, column) for column in inner.c)
    return select(func.json_group_array(func.json_object(*pairs)))


def json_values(parameter: Any) -> tuple[FromClause, list[Any]]:
    """A source of rows of one column, and that column, from a JSON array of values."""
    rows = func.json_each(parameter).table_valued("value").alias("given")
    return rows, [rows.c.value]


def json_rows(parameter: Any, width: int) -> tuple[FromClause, list[Any]]:
    """A source of rows of ``width`` columns, and the columns, from a JSON array of arrays."""
    rows, (value,) = json_values(parameter)
    return rows, [func.json_extract(value, f"$[{index}]") for index in range(width)]


def identity(path: Path) -> tuple[int, int] | None:
    """What tells the database file from another one of the same name; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: free space; recording then goes on by itself",
    sqlite3.SQLITE_IOERR_SHMSIZE: "the disk is full: free space; recording then goes on by itself",
    sqlite3.SQLITE_READONLY: "the database cannot be written: its folder and files must belong to the server's user,"
    " and the file system must not be mounted read-only",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: its folder and file must exist and belong to the server's user",
    sqlite3.SQLITE_PERM: "the database cannot be opened: check the rights of its folder and files",
    sqlite3.SQLITE_BUSY: "the database is locked by another process: find it with fuser and end it;"
    " recording then goes on by itself",
    sqlite3.SQLITE_CORRUPT: "the database is damaged: stop the server, keep the damaged files, put the last backup in their"
    " place (or what `sqlite3 FILE .recover` saves), start again",
    sqlite3.SQLITE_NOTADB: "this is not a database: stop the server, keep the file, put the last backup in its place,"
    " start again",
    sqlite3.SQLITE_IOERR: "the disk reports an error: see the kernel's log; if it goes on, replace the disk and restore the"
    " last backup",
}

_NOT_UTF8: Final = "Could not decode to UTF-8"  # said by Python's module, without a code

# Errors of a commit after which the batch cannot be in the log: the commit frame, the last to be written, is not there.
_NOT_COMMITTED: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY})


def failure(error: BaseException, path: Path, *, committing: bool = False) -> StoreError:
    """What an error of the database means for the caller, with advice for the operator.

    ``committing``: it came from the COMMIT itself, which may or may not have become durable.
    """
    cause = getattr(error, "orig", None) or error
    extended = getattr(cause, "sqlite_errorcode", 0)
    if not extended and str(cause).startswith(_NOT_UTF8):
        extended = sqlite3.SQLITE_CORRUPT
    code = extended & 0xFF
    name = getattr(cause, "sqlite_errorname", "") or type(cause).__name__
    advice = _ADVICE.get(extended) or _ADVICE.get(code, "see the server's log")
    text = f"{path}: {advice} [{name}: {cause}]"
    if committing and code not in _NOT_COMMITTED:
        return StoreUnknown(text)
    return StoreUnavailable(text)
