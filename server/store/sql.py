"""The store in a SQL database, by SQLAlchemy Core: SQLite, embedded, in one file.

One connection writes, a small pool reads. A batch is one transaction: gather what the drafts refer to, decide
(:mod:`server.store.plan`), write, commit. After any error the writing connection and everything remembered about the
database are dropped, and the next append starts from the database again; so a fault that ended needs no restart.

What only SQLite needs is in :mod:`server.store.sqlite`.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import orjson
from sqlalchemy import Connection, exists, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.errors import ConfigError, Refusal, StoreUnavailable
from server.store import drafts, migrate, people, queries, schema, search, sqlite, tally
from server.store import plan as planning
from server.store.base import (
    CommentDraft,
    ConnectionDraft,
    ConnectionRecord,
    Draft,
    Outcome,
    OwnComment,
    Rejected,
    RemovalDraft,
    ReportDraft,
    ReportRecord,
    RestorationDraft,
    RoomInfo,
    RoomKind,
    ScreenedRecord,
)
from server.store.found import Found, Search
from server.store.plan import Known, Place, Plan, Room
from server.store.tallies import Tally
from server.wire import Event

T = TypeVar("T")

_DATABASE_ERRORS: Final = (SQLAlchemyError, sqlite3.Error)
_UNSTORABLE: Final = (UnicodeError, OverflowError, orjson.JSONEncodeError)
_HEADS: Final = 65_536  # rooms remembered by the writer; beyond that it forgets all of them


class SqlStore:
    """See :class:`server.store.base.Store`. Made by :meth:`open`."""

    def __init__(self, path: Path, busy_ms: int) -> None:
        self._path: Final = path
        self._closed = False
        self._readers: Final = sqlite.reader_engine(path, busy_ms)
        # The writer's own; the lock only keeps close() out of a running append.
        self._lock: Final = threading.Lock()
        self._writers: Final = sqlite.writer_engine(path, busy_ms)
        self._writer: Connection | None = None
        self._file = sqlite.identity(path)
        self._heads: dict[str, tuple[int, int, bool]] = {}  # id, head, whether it is a room of news

    @classmethod
    def open(cls, path: str | Path, *, busy_ms: int = 2_000) -> SqlStore:
        """Open the database file ``path``, or make it, and bring it to the newest schema.

        ``busy_ms`` is how long an append waits for another process that holds the write lock, and a read for a connection.
        Raises ConfigError for an address or a database that this server cannot use, StoreUnavailable for one that it cannot
        reach or read.
        """
        file = _file_of(path)
        if sqlite3.sqlite_version_info < sqlite.LEAST_VERSION:
            raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old; install Python with at least 3.38")
        engine = sqlite.writer_engine(file, busy_ms, create=True)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with engine.begin() as connection:
                migrate.ensure(connection, str(file))
        except OSError as error:
            raise StoreUnavailable(f"{file.parent}: the data folder cannot be made [{error}]") from error
        except _DATABASE_ERRORS as error:
            raise sqlite.failure(error, file) from error
        finally:
            engine.dispose()
        return cls(file, busy_ms)

    def close(self) -> None:
        """Release everything; idempotent. Waits for a running append."""
        with self._lock:
            self._closed = True
            self._drop()
        self._readers.dispose()

    # ------------------------------------------------------------------------------------------------------- reading

    def rooms(self) -> list[RoomInfo]:
        """All rooms with their heads, by name."""
        return self._read(queries.ROOMS)

    def read(self, room: str, after: int, limit: int) -> list[Event]:
        """Events after ``after`` as they are now. Raises Refusal ``room_not_found``."""
        found = self._read(queries.EVENTS, room=room, after=after, limit=max(limit, 0))
        if not found and not self._read(queries.ROOM_EXISTS, room=room):
            raise Refusal("room_not_found", room)
        return found

    def actor(self, room: str, seq: int) -> str:
        """The account that wrote an event; empty: no such event."""
        found = self._read(queries.ACTOR, room=room, seq=seq)
        return found[0][0] if found else ""

    def author(self, room: str, seq: int) -> str:
        """The account behind a comment; empty: no such comment."""
        found = self._read(queries.AUTHOR, room=room, seq=seq)
        return found[0][0] if found else ""

    def screened(self, after: int, limit: int, action: str = "") -> list[ScreenedRecord]:
        """Held and refused comments after ``after``."""
        found = self._read(queries.SCREENED, after=after, limit=max(limit, 0), action=action)
        return [queries.screened_record(row) for row in found]

    def reports(self, after: int, limit: int) -> list[ReportRecord]:
        """Reports after ``after``."""
        return self._read(queries.REPORTS, after=after, limit=max(limit, 0))

    def comments_of(self, author: str, after: int, limit: int) -> list[OwnComment]:
        """Comments of an account after ``after``, in the order of writing."""
        found = self._read(people.COMMENTS, author=author, after=after, limit=max(limit, 0))
        return [people.own_comment(row) for row in found]

    def connections_of(self, author: str, limit: int) -> list[ConnectionRecord]:
        """The newest connections of an account, newest first."""
        return self._read(people.CONNECTIONS, author=author, limit=max(limit, 0))

    def search(self, wanted: Search, limit: int) -> Found:
        """Comments as staff look for them, newest first."""
        return self._on_reader(lambda connection: search.find(connection, wanted, limit))

    def tally(self, since_ms: int, until_ms: int) -> list[Tally]:
        """Events of a time, counted."""
        return self._on_reader(lambda connection: tally.count(connection, since_ms, until_ms))

    def _read(self, query: sqlite.Query[T], **values: str | int) -> list[T]:
        """Run one statement, which sees one state of the database, on a connection of the pool."""
        return self._on_reader(lambda connection: query.run(connection, values))

    def _on_reader(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a connection of the pool. Raises StoreUnavailable."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            with self._readers.connect() as connection:
                try:
                    return work(connection)
                except BaseException:
                    connection.invalidate()  # it may be the connection that is broken
                    raise
        except PoolTimeout as error:
            raise StoreUnavailable("too many reads at once; try again") from error
        except _DATABASE_ERRORS as error:
            raise sqlite.failure(error, self._path) from error

    # ------------------------------------------------------------------------------------------------------- writing

    def create_room(
        self, name: str, title: str, kind: RoomKind, at_ms: int, video_url: str = "", *, news: bool = False, owner: str = ""
    ) -> RoomInfo:
        """Create a room with a new random epoch. Raises Refusal ``room_exists``."""
        info = RoomInfo(
            name=name,
            title=title,
            kind=kind,
            mode="open",
            epoch=secrets.token_hex(8),
            created_ms=at_ms,
            started_ms=at_ms if kind == "live" else 0,
            head=0,
            video_url=video_url,
            news=news,
            owner=owner,
        )
        values = {**msgspec.structs.asdict(info), "news": int(news)}
        del values["head"]
        with self._transaction() as connection:
            if connection.scalar(select(exists().where(schema.rooms.c.name == name))):
                raise Refusal("room_exists", name)
            connection.execute(insert(schema.rooms).values(values))
        return info

    def set_owner(self, room: str, owner: str) -> None:
        """Name the account whose room it is. Raises Refusal ``room_not_found``."""
        with self._transaction() as connection:
            rooms = schema.rooms
            if not connection.execute(update(rooms).where(rooms.c.name == room).values(owner=owner)).rowcount:
                raise Refusal("room_not_found", room)

    def append(self, batch: Sequence[Draft]) -> list[Outcome]:
        """Write a batch in one durable transaction; one outcome for each draft."""
        if not batch:
            with self._transaction() as connection:
                connection.exec_driver_sql(sqlite.CHANGE_NOTHING)
            return []
        try:
            return self._append(batch)
        except _UNSTORABLE:
            # Nothing was written. Draft by draft is too slow for every batch, so only one that failed is looked through.
            codes = [drafts.fault(draft) for draft in batch]
            if not any(codes):
                raise
        good = iter(self.append([draft for draft, code in zip(batch, codes, strict=True) if not code]))
        return [Rejected(code) if code else next(good) for code in codes]

    def _append(self, batch: Sequence[Draft]) -> list[Outcome]:
        with self._transaction() as connection:
            known = self._gather(connection, batch)
            plan = planning.make(batch, known)
            self._write(connection, plan)
        if len(self._heads) > _HEADS:
            self._heads.clear()
        for name, room in known.rooms.items():
            self._heads[name] = (room.id, room.head, room.news)
        return plan.outcomes

    def _gather(self, connection: Connection, batch: Sequence[Draft]) -> Known:
        """What the database has of the things that ``batch`` names."""
        names: set[str] = set()
        keys: list[tuple[str, str]] = []
        decisions: list[RemovalDraft | RestorationDraft] = []
        receipts: list[str] = []
        connections: list[str] = []
        for draft in batch:
            if isinstance(draft, CommentDraft):
                names.add(draft.room)
                keys.append((draft.author, draft.key))
            elif isinstance(draft, ConnectionDraft):
                connections.append(draft.id)
            else:
                names.add(draft.room)
                if isinstance(draft, ReportDraft):
                    receipts.append(draft.receipt)
                    continue
                keys.append((draft.author, draft.key))
                if isinstance(draft, RemovalDraft | RestorationDraft):
                    decisions.append(draft)
        known = Known(self._rooms(connection, names))
        screened, places = self._first(connection, known, keys)
        for decision in decisions:
            room = known.rooms.get(decision.room)
            if room is not None and 0 < decision.target <= room.base:
                places.add((room.id, decision.target))
        if screened:
            for row in queries.FIRST_SCREENED.join(connection, screened):
                known.first[row.author, row.key] = row
        self._events(connection, known, places)
        if receipts:
            known.receipts.update(row[0] for row in queries.RECEIPTS.join(connection, receipts))
        if connections:
            rows = queries.CONNECTIONS.join(connection, connections)
            known.connections = dict(rows)
        return known

    def _rooms(self, connection: Connection, names: set[str]) -> dict[str, Room]:
        missing = [name for name in names if name not in self._heads]
        found = self._heads
        if missing:
            found = dict(self._heads)
            for name, room_id, head, news in queries.HEADS.join(connection, missing):
                found[name] = (room_id, head, bool(news))
        return {name: Room(id_, head, head, news) for name in names if name in found for id_, head, news in (found[name],)}

    def _first(
        self, connection: Connection, known: Known, keys: list[tuple[str, str]]
    ) -> tuple[list[tuple[str, str]], set[Place]]:
        """Look up the keys: those of screened comments, and the places of the events of the others."""
        screened: list[tuple[str, str]] = []
        places: set[Place] = set()
        if keys:
            for author, key, room_id, seq in queries.KEYS.join(connection, keys):
                if seq is None:
                    screened.append((author, key))
                else:
                    known.first[author, key] = (room_id, seq)
                    places.add((room_id, seq))
        return screened, places

    def _events(self, connection: Connection, known: Known, places: set[Place]) -> None:
        """Load events and, in at most three more rounds, those that they refer to."""
        while places:
            rows = queries.ROWS.join(connection, sorted(places))
            known.events.update({(row.room_id, row.seq): row for row in rows})
            linked = {(row.room_id, seq) for row in rows for seq in (row.target, row.removed_by) if seq}
            places = linked - known.events.keys()

    def _write(self, connection: Connection, plan: Plan) -> None:
        for bulk, values in (
            (queries.INSERT_COMMENTS, plan.comments),
            (queries.INSERT_OTHERS, plan.others),
            (queries.INSERT_KEYS, plan.keys),
            (queries.INSERT_SCREENED, plan.screened),
            (queries.INSERT_REPORTS, plan.reports),
        ):
            if values:
                bulk.run(connection, values)
        if plan.connections:
            queries.UPSERT_CONNECTIONS.run(connection, [value for row in plan.connections.values() for value in row])
        if plan.removed:
            removed = [(*place, removed_by) for place, removed_by in plan.removed.items()]
            connection.execute(queries.SET_REMOVED, {"given": orjson.dumps(removed).decode()})
        for room_id, changes in plan.modes.items():
            connection.execute(update(schema.rooms).where(schema.rooms.c.id == room_id).values(changes))

    def purge(self, records_ms: int, decisions_ms: int, keep: Sequence[str], limit: int) -> int:
        """Delete records whose term has run out, at most ``limit`` of each kind; how many there were."""
        found = self._on_reader(lambda connection: people.due(connection, records_ms, decisions_ms, keep, limit))
        if not any(found):
            return 0
        with self._transaction() as connection:
            return people.purge(connection, found)

    # -------------------------------------------------------------------------------------------------- transactions

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """One durable transaction on the writing connection; errors come out as the contract names them.

        Before the COMMIT every error means that nothing was written, whatever its kind. An error of the COMMIT itself means
        that nobody knows, but for the few that SQLite gives only when the last page of the log was not written.
        """
        with self._lock:
            connection = self._connection()
            try:
                transaction = connection.begin()
                yield connection
            except Refusal:
                with suppress(*_DATABASE_ERRORS):
                    transaction.rollback()
                raise
            except BaseException as error:
                self._drop()
                if isinstance(error, _DATABASE_ERRORS):
                    raise sqlite.failure(error, self._path) from error
                raise
            try:
                transaction.commit()
            except BaseException as error:
                self._drop()
                if isinstance(error, _DATABASE_ERRORS):
                    raise sqlite.failure(error, self._path, committing=True) from error
                raise

    def _connection(self) -> Connection:
        """The writing connection, made again when it was dropped or another file stands in the place of the database."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        file = sqlite.identity(self._path)
        if file is None:
            # The connection stays: the file may have been moved away, and may come back.
            raise StoreUnavailable(
                f"{self._path}: the database is gone: put it back in its place (a backup only while the server is stopped)"
            )
        if file != self._file:
            self._drop()
            self._readers.dispose()
            self._file = file
        if self._writer is None:
            try:
                self._writer = self._writers.connect()
                with self._writer.begin():
                    found = migrate.revision(self._writer)
            except _DATABASE_ERRORS as error:
                self._drop()
                raise sqlite.failure(error, self._path) from error
            if found != schema.REVISION:
                self._drop()
                raise StoreUnavailable(f"{self._path} has schema {found or 'none'}, not {schema.REVISION}: restart the server")
        return self._writer

    def _drop(self) -> None:
        """Forget the writing connection, its transaction, and what was remembered of the database."""
        self._heads.clear()
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):
                writer.invalidate()
            with suppress(Exception):
                writer.close()


def _file_of(path: str | Path) -> Path:
    text = str(path)
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    elif "://" in text:
        raise ConfigError(f"{text.split('://')[0]}: this server keeps its log in SQLite; give the path of a file")
    if text in ("", ":memory:"):
        raise ConfigError("the store needs a file; give its path")
    return Path(text)
