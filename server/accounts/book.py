"""The book of accounts: ``accounts.db``, its ledger, and the standings in memory that follow it.

One thread writes, one transaction at a time; readers see either all of a transaction or nothing. What a transaction appends
to the ledger reaches :class:`Standings`, and the listeners, on the event loop right after its commit and before its caller goes
on. Between the commit and that moment a crash loses nothing: standings are folded from the ledger anew.

Parts of the domain (measures, agreement, privacy, ...) are functions that take a :class:`Transaction`; they know no loop and no
thread.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, RowMapping, func, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.accounts import events, standing, tables
from server.accounts.events import (
    AccountEvent,
    AccountKind,
    ConsentWithdrawn,
    Entry,
    Erased,
    Opened,
    Origin,
    PublicStep,
    VerificationWithdrawn,
)
from server.accounts.standing import Standing
from server.errors import Refusal, StoreError, StoreUnavailable
from server.store import migrate, sqlite

_T = TypeVar("_T")

SCRIPTS: Final = Path(__file__).parent / "migrations"
BUSY_MS: Final = 2_000
CACHED_STANDINGS: Final = 65_536
"""Standings kept in memory; the longest unused is dropped and folded anew when it is wanted. Those of open connections are
held by these."""

OWN_ENTRIES: Final = 200
OWN_ENTRIES_MS: Final = 86_400_000
"""So many entries of its ledger can an account, or its platform's token, cause within a day: the ledger is folded whole and nothing
is ever taken out of it, so who gives and takes back a consent all day would slow down everybody's transactions."""
_BY_ITSELF: Final = ("person", "platform")

log = structlog.get_logger("accounts")


class Letter(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something that a person is told: in the account's screen, and over live connections. ``data`` is what the words are
    made of."""

    account: str
    at_ms: int
    kind: str
    data: dict[str, Any]


class Transaction:
    """One transaction in the writer's thread, and what it will have changed. ``now_ms`` is Unix time, the same throughout."""

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self.sql: Final = connection
        self.now_ms: Final = now_ms
        self.entries: list[Entry] = []
        self.letters: list[Letter] = []

    def open(
        self, account: str, *, kind: AccountKind = "private", origin: Origin = "local", actor: str = "", role: str = ""
    ) -> bool:
        """Make the account, unless it is there. Returns whether it is new. ``actor`` empty: the account itself."""
        if self.sql.execute(select(tables.accounts.c.id).where(tables.accounts.c.id == account)).first() is not None:
            return False
        self.sql.execute(insert(tables.accounts).values(id=account, kind=kind, origin=origin, created_ms=self.now_ms))
        self.append(account, Opened(account_kind=kind, origin=origin), actor=actor or account, role=role or "person")
        return True

    def append(self, account: str, event: AccountEvent, *, actor: str, role: str) -> Entry:
        """Append to the ledger. The account must be there (:meth:`open`), or the transaction fails.

        Raises Refusal ``too_many_attempts`` for what an account begins itself, beyond :data:`OWN_ENTRIES`.
        """
        if role in _BY_ITSELF and not _ends(event):
            self._bound_own(account)
        data = events.encode(event)
        tag: str = type(event).__struct_config__.tag  # type: ignore[assignment] # every event has one
        row = {"account": account, "at_ms": self.now_ms, "actor": actor, "role": role, "kind": tag, "data": data}
        found = self.sql.execute(insert(tables.ledger).values(**row)).inserted_primary_key
        assert found is not None
        entry = Entry(id=int(found[0]), account=account, at_ms=self.now_ms, actor=actor, role=role, event=event)
        self.entries.append(entry)
        return entry

    def _bound_own(self, account: str) -> None:
        ledger = tables.ledger.c
        own = select(ledger.at_ms).where(ledger.account == account, ledger.role.in_(_BY_ITSELF)).order_by(ledger.id.desc())
        oldest_ms = self.sql.execute(own.offset(OWN_ENTRIES - 1).limit(1)).scalar()
        if oldest_ms is not None and oldest_ms > self.now_ms - OWN_ENTRIES_MS:
            raise Refusal("too_many_attempts", "changes of one's own", retry_after_ms=oldest_ms + OWN_ENTRIES_MS - self.now_ms)

    def standing(self, account: str) -> Standing:
        """The account's standing, what this transaction appended included."""
        return read_standing(self.sql, account)

    def entries_of(self, account: str) -> list[Entry]:
        """The account's ledger, oldest first."""
        return read_entries(self.sql, account)

    def tell(self, account: str, kind: str, data: dict[str, Any]) -> None:
        """Put a letter into the account's box. It is sent over the account's connections after the commit."""
        letter = Letter(account=account, at_ms=self.now_ms, kind=kind, data=data)
        row = {"account": account, "at_ms": self.now_ms, "kind": kind, "data": msgspec.json.encode(data)}
        self.sql.execute(insert(tables.letters).values(**row))
        self.letters.append(letter)

    def log_access(self, actor: str, role: str, action: str, subject: str = "", detail: str = "") -> None:
        """Record who looked at or did something that the ledger does not say."""
        row = {"at_ms": self.now_ms, "actor": actor, "role": role, "action": action, "subject": subject, "detail": detail}
        self.sql.execute(insert(tables.access_log).values(**row))


Listener = Callable[[Standing, list[Letter]], None]
"""Called on the loop after a commit, once for each account that it touched, with the new standing and the letters to it."""


class Accounts:
    """The book, opened. Methods that are coroutines are called on the event loop; ``*_now`` ones from a command without a loop."""

    def __init__(self, path: Path, clock_ms: Callable[[], int]) -> None:
        """``path`` is the database file, made when missing; ``clock_ms`` gives Unix time. Raises ConfigError, StoreUnavailable."""
        self._path = path
        self._clock_ms = clock_ms
        engine = sqlite.writer_engine(path, BUSY_MS, create=True)
        with _faults(path), engine.begin() as connection:
            migrate.ensure(connection, str(path), tables.REVISION, SCRIPTS)
        engine.dispose()
        self._identity = sqlite.identity(path)
        self._writers = sqlite.writer_engine(path, BUSY_MS)
        self._readers = sqlite.reader_engine(path, BUSY_MS)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="accounts-writer")
        self._reader = ThreadPoolExecutor(2, thread_name_prefix="accounts-reader")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listeners: list[Listener] = []
        self._closed = False
        self.standings = Standings(self)
        self.trouble = ""
        """Why the last transaction or reading failed, for the operator; empty: it did not."""

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called after each commit that touched an account."""
        self._listeners.append(listener)

    async def write(self, work: Callable[[Transaction], _T]) -> _T:
        """Run ``work`` as one durable transaction in the writer's thread; what it raises undoes all of it and is raised here.

        A caller that is cancelled meanwhile does not undo it: the transaction ends, and its standings are told.
        Raises StoreUnavailable, StoreUnknown.
        """
        task = asyncio.ensure_future(self._write(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _write(self, work: Callable[[Transaction], _T]) -> _T:
        result, found, letters = await self._in_thread(self._writer, lambda: self._transact(work))
        for each in found:
            self.standings.put(each)
            mine = [letter for letter in letters if letter.account == each.account]
            for listener in self._listeners:
                try:
                    listener(each, mine)
                except Exception:
                    log.exception("a listener of the accounts failed")
        return result

    def write_now(self, work: Callable[[Transaction], _T]) -> _T:
        """As :meth:`write`, in the caller's thread, where no loop runs."""
        result, found, _ = self._transact(work)
        for each in found:
            self.standings.put(each)
        return result

    def _transact(self, work: Callable[[Transaction], _T]) -> tuple[_T, list[Standing], list[Letter]]:
        if sqlite.identity(self._path) != self._identity:
            raise StoreUnavailable(f"{self._path}: the file was replaced or moved away under the server: restart it")
        with _faults(self._path):
            connection = self._writers.connect()
            try:
                connection.begin()
                book = Transaction(connection, self._clock_ms())
                result = work(book)
                touched = dict.fromkeys(
                    [*(entry.account for entry in book.entries), *(letter.account for letter in book.letters)]
                )
                found = [read_standing(connection, account) for account in touched]
                try:
                    connection.commit()
                except (SQLAlchemyError, sqlite3.Error) as error:
                    raise sqlite.failure(error, self._path, committing=True) from error
            finally:
                connection.close()
        return result, found, book.letters

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run ``work`` on a connection that cannot write, in a reader's thread. Raises StoreUnavailable."""
        return await self._in_thread(self._reader, lambda: self.read_now(work))

    async def _in_thread(self, executor: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        """Run ``work`` there, and keep in mind whether the database served it; what else it raises is the work's own matter."""
        if self._closed:
            raise StoreUnavailable(f"{self._path}: the server is stopping")
        try:
            result = await asyncio.get_running_loop().run_in_executor(executor, work)
        except StoreError as error:
            if self.trouble != str(error):
                log.error("the accounts cannot be served", error=str(error))
            self.trouble = str(error)
            raise
        self.trouble = ""
        return result

    def read_now(self, work: Callable[[Connection], _T]) -> _T:
        """As :meth:`read`, in the caller's thread."""
        with _faults(self._path), self._readers.connect() as connection:
            return work(connection)

    async def drain(self) -> None:
        """Wait for transactions under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Release threads and the file; idempotent."""
        self._closed = True
        for executor in (self._writer, self._reader):
            executor.shutdown(wait=True)
        self._readers.dispose()
        self._writers.dispose()


class Standings:
    """The standings in memory, the newest of each account that is there. Belongs to the event loop."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._found: OrderedDict[str, Standing] = OrderedDict()
        self._loading: Counter[str] = Counter()  # readings under way; what is here is not dropped from memory

    def get(self, account: str) -> Standing | None:
        """The account's standing if it is in memory."""
        found = self._found.get(account)
        if found is not None:
            self._found.move_to_end(account)
        return found

    async def load(self, account: str) -> Standing:
        """The account's standing, folded from the ledger if need be. Raises StoreUnavailable."""
        found = self.get(account)
        if found is None:
            self._loading[account] += 1
            try:
                self.put(await self._accounts.read(lambda connection: read_standing(connection, account)))
                found = self._found[account]
            finally:
                self._loading -= Counter((account,))
        return found

    def put(self, found: Standing) -> None:
        """Take a standing in, unless a newer one is there: a read may end after a write that began later."""
        old = self._found.get(found.account)
        if old is None or found.last >= old.last:
            self._found[found.account] = found
            self._found.move_to_end(found.account)
        if len(self._found) > CACHED_STANDINGS:
            # A newer standing that was dropped while an older one is being read would be forgotten.
            oldest = next((each for each in self._found if each not in self._loading), None)
            if oldest is not None:
                del self._found[oldest]


def read_entries(connection: Connection, account: str, after: int = 0) -> list[Entry]:
    """Entries of one account with ids after ``after``, oldest first."""
    ledger = tables.ledger.c
    query = select(tables.ledger).where(ledger.account == account, ledger.id > after).order_by(ledger.id)
    return [entry_of(row) for row in connection.execute(query).mappings()]


def read_standing(connection: Connection, account: str) -> Standing:
    """The standing that the ledger gives; that of an account without entries is the default one."""
    return standing.fold(account, read_entries(connection, account))


def newest_entry(connection: Connection) -> int:
    """The id of the ledger's newest entry; 0: it is empty."""
    return connection.execute(select(func.max(tables.ledger.c.id))).scalar() or 0


def _ends(event: AccountEvent) -> bool:
    """Whether an event takes something away that one before it gave: that is possible at any time, and once for each."""
    if isinstance(event, PublicStep):
        return event.state == "revoked"
    return isinstance(event, Erased | ConsentWithdrawn | VerificationWithdrawn)


def entry_of(row: RowMapping) -> Entry:
    """An entry from its row. Raises StoreUnavailable for one that this version of the server cannot read."""
    try:
        event = events.decode(row["data"])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreUnavailable(
            f"accounts.db: entry {row['id']} of the ledger cannot be read ({error}): either a newer version of the server wrote it"
            " (start that version), or it is damaged (put the last backup in its place)"
        ) from error
    return Entry(id=row["id"], account=row["account"], at_ms=row["at_ms"], actor=row["actor"], role=row["role"], event=event)


def new_id(prefix: str) -> str:
    """A random id, 80 bits, that begins with ``prefix`` and a hyphen."""
    return f"{prefix}-{secrets.token_hex(10)}"


# A broken constraint, or a statement that does not fit the schema, is a mistake of the program: no advice on disks helps.
_MISTAKES: Final = (IntegrityError, InterfaceError, ProgrammingError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
_MISTAKE_CODES: Final = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE})


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Errors of the database as StoreUnavailable with advice; what the work itself raises passes, its wrong SQL too."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable(f"{path}: all connections are busy") from error
    except (DBAPIError, sqlite3.Error) as error:
        code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0)
        if isinstance(error, _MISTAKES) or code & 0xFF in _MISTAKE_CODES:
            raise
        raise sqlite.failure(error, path) from error
