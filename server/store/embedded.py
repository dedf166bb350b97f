"""An embedded database beside the room log: one thread writes, one transaction at a time, and readers see all of one or nothing.

The book of accounts and the desk's book lie over it. Work is a plain function over a connection; it knows no loop and no thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.errors import StoreError, StoreUnavailable
from server.store import migrate, sqlite

_T = TypeVar("_T")
_R = TypeVar("_R")

BUSY_MS: Final = 2_000
_READING_THREADS: Final = 2


class Embedded:
    """The database file, opened. Methods that are coroutines are called on the event loop; ``*_now`` ones from a command without a
    loop. ``name`` is what threads and log lines are called by."""

    def __init__(self, path: Path, name: str, revision: str, scripts: Path) -> None:
        """``path`` is made when missing, and brought to ``revision`` by the migrations in ``scripts``. Raises ConfigError,
        StoreUnavailable."""
        self.path: Final = path
        self._log = structlog.get_logger(name)
        engine = sqlite.writer_engine(path, BUSY_MS, create=True)
        with faults(path), engine.begin() as connection:
            migrate.ensure(connection, str(path), revision, scripts)
        engine.dispose()
        self._identity = sqlite.identity(path)
        self._writers = sqlite.writer_engine(path, BUSY_MS)
        self._readers = sqlite.reader_engine(path, BUSY_MS)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-writer")
        self._reader = ThreadPoolExecutor(_READING_THREADS, thread_name_prefix=f"{name}-reader")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.trouble = ""
        """Why the last transaction or reading failed, for the operator; empty: it did not."""

    async def write(self, work: Callable[[Connection], _T], after: Callable[[_T], _R]) -> _R:
        """Run ``work`` as one durable transaction in the writer's thread; what it raises undoes all of it and is raised here.
        ``after`` runs on the loop, right after the commit and before the caller goes on; what it returns is the result.

        A caller that is cancelled meanwhile does not undo it: the transaction ends, and ``after`` runs.
        Raises StoreUnavailable, StoreUnknown.
        """
        task = asyncio.ensure_future(self._write(work, after))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _write(self, work: Callable[[Connection], _T], after: Callable[[_T], _R]) -> _R:
        return after(await self._in_thread(self._writer, lambda: self.write_now(work)))

    def write_now(self, work: Callable[[Connection], _T]) -> _T:
        """As :meth:`write`, in the caller's thread, where no loop runs."""
        if sqlite.identity(self.path) != self._identity:
            raise StoreUnavailable(f"{self.path}: the file was replaced or moved away under the server: restart it")
        with faults(self.path):
            connection = self._writers.connect()
            try:
                connection.begin()
                result = work(connection)
                try:
                    connection.commit()
                except (SQLAlchemyError, sqlite3.Error) as error:
                    raise sqlite.failure(error, self.path, committing=True) from error
            finally:
                connection.close()
        return result

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run ``work`` on a connection that cannot write, in a reader's thread. Raises StoreUnavailable."""
        return await self._in_thread(self._reader, lambda: self.read_now(work))

    def read_now(self, work: Callable[[Connection], _T]) -> _T:
        """As :meth:`read`, in the caller's thread."""
        with faults(self.path), self._readers.connect() as connection:
            return work(connection)

    async def _in_thread(self, executor: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        """Run ``work`` there, and keep in mind whether the database served it; what else it raises is the work's own matter."""
        if self._closed:
            raise StoreUnavailable(f"{self.path}: the server is stopping")
        try:
            result = await asyncio.get_running_loop().run_in_executor(executor, work)
        except StoreError as error:
            if self.trouble != str(error):
                self._log.error("the database cannot be served", error=str(error))
            self.trouble = str(error)
            raise
        self.trouble = ""
        return result

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


# A broken constraint, or a statement that does not fit the schema, is a mistake of the program: no advice on disks helps.
_MISTAKES: Final = (IntegrityError, InterfaceError, ProgrammingError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
_MISTAKE_CODES: Final = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE})


@contextmanager
def faults(path: Path) -> Iterator[None]:
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
