"""The book of accounts: ``accounts.db``, its ledger, and the standings in memory that follow it.

One thread writes, one transaction at a time; readers see either all of a transaction or nothing. What a transaction appends
to the ledger reaches :class:`Standings`, and the listeners, on the event loop right after its commit and before its caller goes
on. Between the commit and that moment a crash loses nothing: standings are folded from the ledger anew.

Parts of the domain (measures, agreement, privacy, ...) are functions that take a :class:`Transaction`; they know no loop and no
thread.
"""

from __future__ import annotations

import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, ParamSpec, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, RowMapping, func, insert, select

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
from server.errors import Refusal, StoreUnavailable
from server.store.embedded import Embedded

_T = TypeVar("_T")
_P = ParamSpec("_P")

SCRIPTS: Final = Path(__file__).parent / "migrations"
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
        self.ended: dict[str, set[str]] = {}

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

    def end_session(self, holder: str, session: str) -> None:
        """A session was taken out of the table: who is connected by it is told after the commit."""
        self.ended.setdefault(holder, set()).add(session)

    def log_access(self, actor: str, role: str, action: str, subject: str = "", detail: str = "") -> None:
        """Record who looked at or did something that the ledger does not say."""
        row = {"at_ms": self.now_ms, "actor": actor, "role": role, "action": action, "subject": subject, "detail": detail}
        self.sql.execute(insert(tables.access_log).values(**row))


Listener = Callable[[Standing, list[Letter]], None]
"""Called on the loop after a commit, once for each account that it touched, with the new standing and the letters to it."""

EndListener = Callable[[str, set[str]], None]
"""Called on the loop after a commit, once for each holder of whom it ended sessions, with the holder and the sessions' ids."""


class _Written(NamedTuple, Generic[_T]):
    """What a transaction returned, and what it changed."""

    result: _T
    standings: list[Standing]
    letters: list[Letter]
    ended: dict[str, set[str]]


class Accounts:
    """The book, opened. Methods that are coroutines are called on the event loop; ``*_now`` ones from a command without a loop."""

    def __init__(self, path: Path, clock_ms: Callable[[], int]) -> None:
        """``path`` is the database file, made when missing; ``clock_ms`` gives Unix time. Raises ConfigError, StoreUnavailable."""
        self._file = Embedded(path, "accounts", tables.REVISION, SCRIPTS)
        self._clock_ms = clock_ms
        self._listeners: list[Listener] = []
        self._end_listeners: list[EndListener] = []
        self.standings = Standings(self)

    @property
    def trouble(self) -> str:
        """Why the last transaction or reading failed, for the operator; empty: it did not."""
        return self._file.trouble

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called after each commit that touched an account."""
        self._listeners.append(listener)

    def listen_ends(self, listener: EndListener) -> None:
        """Have ``listener`` called after each commit that ended sessions."""
        self._end_listeners.append(listener)

    async def write(self, work: Callable[[Transaction], _T]) -> _T:
        """Run ``work`` as one durable transaction in the writer's thread; what it raises undoes all of it and is raised here.

        A caller that is cancelled meanwhile does not undo it: the transaction ends, and its standings are told.
        Raises StoreUnavailable, StoreUnknown.
        """
        return await self._file.write(lambda connection: self._transact(connection, work), self._tell)

    def write_now(self, work: Callable[[Transaction], _T]) -> _T:
        """As :meth:`write`, in the caller's thread, where no loop runs."""
        written = self._file.write_now(lambda connection: self._transact(connection, work))
        for each in written.standings:
            self.standings.put(each)
        return written.result

    def _transact(self, connection: Connection, work: Callable[[Transaction], _T]) -> _Written[_T]:
        book = Transaction(connection, self._clock_ms())
        result = work(book)
        touched = dict.fromkeys([*(entry.account for entry in book.entries), *(letter.account for letter in book.letters)])
        return _Written(result, [read_standing(connection, account) for account in touched], book.letters, book.ended)

    def _tell(self, written: _Written[_T]) -> _T:
        for each in written.standings:
            self.standings.put(each)
            mine = [letter for letter in written.letters if letter.account == each.account]
            for listener in self._listeners:
                _call(listener, each, mine)
        for holder, ids in written.ended.items():
            for end_listener in self._end_listeners:
                _call(end_listener, holder, ids)
        return written.result

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run ``work`` on a connection that cannot write, in a reader's thread. Raises StoreUnavailable."""
        return await self._file.read(work)

    def read_now(self, work: Callable[[Connection], _T]) -> _T:
        """As :meth:`read`, in the caller's thread."""
        return self._file.read_now(work)

    async def drain(self) -> None:
        """Wait for transactions under way."""
        await self._file.drain()

    def close(self) -> None:
        """Release threads and the file; idempotent."""
        self._file.close()


def _call(listener: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
    try:
        listener(*args, **kwargs)
    except Exception:
        log.exception("a listener of the accounts failed")


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


def read_kinds(connection: Connection, after: int, kinds: Sequence[str], limit: int) -> list[Entry]:
    """Entries of all accounts, of these kinds, with ids after ``after``, oldest first."""
    ledger = tables.ledger.c
    query = select(tables.ledger).where(ledger.id > after, ledger.kind.in_(kinds)).order_by(ledger.id).limit(limit)
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
