"""What the server keeps of a person, over both databases: given back, taken away, and purged when its term is over.

The rules are in :mod:`server.accounts.privacy` and :mod:`server.accounts.retention`; here they meet the room log. An erased account's
comments are removed, where the person wishes so, like any recall: through the log, one removal each, visible as tombstones. Which of
them are done stands in ``withdrawals``, so that a crash in between costs no more than doing the last few again, which does nothing.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
import structlog

from server.accounts import privacy, retention, vault
from server.accounts.book import Transaction
from server.accounts.people import People
from server.bases import ERASED
from server.errors import Refusal, StoreError
from server.reasons import BY_AUTHOR
from server.settings import Settings
from server.store.base import Draft, Outcome, RemovalDraft, ReportRecord, Store
from server.store.found import Found, Search

_T = TypeVar("_T")

PURGE_EVERY_S: Final = 6 * 3600.0
FIRST_PURGE_S: Final = 60.0
"""After a start the server has other things to do first."""
BATCH: Final = 500
"""Rows of one transaction of the log's writer: authors wait for it."""
PAUSE_S: Final = 0.5
COMMENTS_MAX: Final = 100_000
"""Comments of one export; the newest connections likewise. Beyond it the export says that there is more."""
SOME: Final = 1_000
"""Records of one reading of an export."""
TOGETHER: Final = 50
"""Removals under way at once: less than a room's authors bring in a moment."""


log = structlog.get_logger("custody")


class Custody:
    """Belongs to the event loop. ``read`` and ``write`` run a call of the store in a reader's thread, ``write`` one that
    deletes (the store's own lock keeps it and the writer apart; what it raises is a StoreError). ``submit`` is the one path into
    the log."""

    def __init__(
        self,
        settings: Settings,
        people: People,
        store: Store,
        *,
        read: Callable[[Callable[[], Any]], Awaitable[Any]],
        write: Callable[[Callable[[], Any]], Awaitable[Any]],
        submit: Callable[[Draft], Awaitable[Outcome]],
        clock_ms: Callable[[], int],
        purge_desk: Callable[[], Awaitable[dict[str, int]]] | None = None,
    ) -> None:
        """``purge_desk`` deletes from the review desk's book what its term has run out for; how much, by table."""
        self._settings = settings
        self._people = people
        self._store = store
        self._read = read
        self._write = write
        self._submit = submit
        self._clock_ms = clock_ms
        self._purge_desk = purge_desk
        self._wake = asyncio.Event()

    async def export(self, account: str) -> dict[str, Any]:
        """Everything that is kept of an account: see :func:`server.accounts.privacy.export`, with ``comments``, those that were held
        or refused as ``unpublished``, ``reports`` made while signed in, ``connections`` and ``complete`` (false: there is more than
        an export holds). Raises Refusal ``account_not_found``, ``storage_unavailable``."""
        found = await self._booked(self._people.book.read(lambda sql: privacy.export(sql, self._people.vault, account)))
        comments = await self._read(lambda: self._store.comments_of(account, 0, COMMENTS_MAX + 1))
        connections = await self._read(lambda: self._store.connections_of(account, COMMENTS_MAX + 1))
        # In a reader's thread like the reading: so many objects would keep the loop, and everybody on it, waiting.
        found["comments"] = await self._read(lambda: [msgspec.structs.asdict(each) for each in comments[:COMMENTS_MAX]])
        found["connections"] = await self._read(lambda: [msgspec.structs.asdict(each) for each in connections[:COMMENTS_MAX]])
        unpublished, reports = await self._unpublished(account), await self._reports(account)
        found["unpublished"], found["reports"] = unpublished[:COMMENTS_MAX], reports[:COMMENTS_MAX]
        found["complete"] = max(map(len, (comments, connections, unpublished, reports))) <= COMMENTS_MAX
        return found

    async def _unpublished(self, account: str) -> list[dict[str, Any]]:
        """What was held or refused of an account, newest first. No index leads to it: many short readings, for an export is rare."""
        mine: list[dict[str, Any]] = []
        wanted = Search(what="screened", author=account)
        while len(mine) <= COMMENTS_MAX:
            some: Found = await self._read(functools.partial(self._store.search, wanted, SOME))
            mine += [
                {"room": hit.room, "at_ms": hit.at_ms, "state": hit.state, "code": hit.code, "text": hit.text}
                for hit in some.hits
            ]
            if not some.next:
                break
            wanted = msgspec.structs.replace(wanted, before=some.next)
        return mine

    async def _reports(self, account: str) -> list[dict[str, Any]]:
        """The reports that an account made, oldest first; read as :meth:`_unpublished`."""
        mine: list[dict[str, Any]] = []
        after = 0
        while len(mine) <= COMMENTS_MAX:
            some: list[ReportRecord] = await self._read(functools.partial(self._store.reports, after, SOME))
            if not some:
                break
            after = some[-1].id
            mine += [
                {
                    "receipt": each.receipt, "room": each.room, "seq": each.seq, "at_ms": each.at_ms, "reason": each.reason,
                    "text": each.text,
                }
                for each in some
                if each.account == account
            ]  # fmt: skip
        return mine

    async def erase(self, account: str, *, remove_comments: bool, actor: str, role: str) -> bool:
        """Close an account and delete what is kept of the person; with ``remove_comments`` its comments are removed as
        well, which goes on in the background. Returns False when a legal hold defers the deletion. Raises Refusal
        ``account_not_found``, ``account_closed``, ``storage_unavailable``."""

        def work(tx: Transaction) -> bool:
            if remove_comments:
                privacy.withdraw_comments(tx, account)
            return privacy.erase(tx, self._people.vault, account, actor=actor, role=role)

        erased = await self._booked(self._people.book.write(work))
        await self._booked(self._people.book.read(vault.scrub))
        self._wake.set()
        return erased

    async def run(self) -> None:
        """Until cancelled: remove the comments of erased accounts, and purge a few times a day."""
        due_s = FIRST_PURGE_S
        loop = asyncio.get_running_loop()
        next_s = loop.time() + due_s
        self._wake.set()
        while True:
            try:
                async with asyncio.timeout(max(0.0, next_s - loop.time())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.finish_withdrawals()
                if loop.time() >= next_s:
                    next_s = loop.time() + PURGE_EVERY_S
                    await self.purge()
            except (Refusal, StoreError) as error:
                log.warning("what a term has run out for, or an author withdrew, could not be deleted yet", reason=str(error))
            except Exception:  # such as an item of the vault that was changed: the rest is to be deleted in time all the same
                log.exception("deleting what a term has run out for failed")
            else:
                continue
            next_s = min(next_s, loop.time() + FIRST_PURGE_S)
            await asyncio.sleep(PAUSE_S)

    async def finish_withdrawals(self) -> int:
        """Remove the comments of erased accounts, in the order of writing; how many were removed. Raises Refusal, StoreError."""
        count = 0
        for account, after in await self._people.book.read(privacy.open_withdrawals):
            position = after
            while True:
                start = position
                found = await self._read(lambda: self._store.comments_of(account, start, TOGETHER))  # noqa: B023 - awaited at once
                if not found:
                    break
                outcomes = await asyncio.gather(
                    *(self._submit(self._removal(account, each.room, each.seq)) for each in found if not each.removed)
                )
                count += len(outcomes)
                position = found[-1].id
                await self._people.book.write(lambda tx: privacy.withdrawn_up_to(tx, account, position))  # noqa: B023
            await self._people.book.write(lambda tx: privacy.withdrawal_done(tx, account))  # noqa: B023
            log.info("comments of an erased account were removed", comments=count)
        return count

    def _removal(self, account: str, room: str, seq: int) -> RemovalDraft:
        """The author's own removal, without a limit of time. The key makes the same removal of the same comment once only."""
        return RemovalDraft(
            room=room, author=account, key=f" {room} erase-{seq}", at_ms=self._clock_ms(), target=seq, code=BY_AUTHOR,
            basis=ERASED.recorded, role="author", owner=account, not_before_ms=0,
        )  # fmt: skip

    async def purge(self) -> dict[str, int]:
        """Delete whatever its term has run out for, in small transactions; how much, by table. Raises StoreError, Refusal."""
        book, keys = self._people.book, self._people.vault
        totals: dict[str, int] = {}
        cut = await book.write(lambda tx: retention.cutoffs(tx, self._settings))
        while True:
            counts = await book.write(lambda tx: retention.purge(tx, cut))
            counts["erased"] = await book.write(lambda tx: retention.sweep_erased(tx, keys))
            counts["withdrawn"] = await book.write(lambda tx: retention.sweep_withdrawn(tx, keys))
            counts["records"] = 0
            if not cut.everything:
                counts["records"] = await self._write(
                    lambda: self._store.purge(cut.records_ms, cut.decisions_ms, cut.keep, BATCH)
                )
            for name, number in counts.items():
                totals[name] = totals.get(name, 0) + number
            if not any(counts.values()):
                break
            await asyncio.sleep(PAUSE_S)
        if any(totals.values()):
            await book.read(vault.scrub)
        if self._purge_desk is not None:
            totals |= await self._purge_desk()
        if any(totals.values()):
            log.info("purged", **{name: number for name, number in totals.items() if number})
        return totals

    @staticmethod
    async def _booked(work: Awaitable[_T]) -> _T:
        try:
            return await work
        except StoreError as error:
            raise Refusal("storage_unavailable", "accounts", retry_after_ms=1000) from error
