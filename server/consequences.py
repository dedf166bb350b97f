"""What is decided on a comment counts for its author: removals and restorations, read from the room logs into the book of accounts.

The log is first: a removal is in force when it is committed there, whatever happens to accounts. This part follows the logs, room by
room; the place up to which a room was read stands in ``accounts.db`` (:mod:`server.accounts.followed`).

Crash windows. After the log's commit and before the accounts': the place is behind the decision, and the next start reads on from
there. After the accounts' commit: the place is past it. A fault of either database is waited out while the server runs, and caught up
with at the next start otherwise. Logs that are older than the book itself are not read back: what they decided is not counted anew.

Of two databases either may be a backup. An older book is caught up from the logs. Logs that end before the places of the book bring
these back to their ends (:func:`server.accounts.followed.fit`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

import structlog

from server.accounts import followed
from server.accounts.book import Accounts
from server.core.hub import Hub
from server.errors import Refusal, StoreError
from server.flush import Viewer
from server.store.base import Store
from server.wire import Event

_ROWS: Final = 1000
_PENDING: Final = 1000
_PAUSE_S: Final = 1.0
_DECISIONS: Final = frozenset({"removal", "restoration"})
_T = TypeVar("_T")

log = structlog.get_logger("consequences")


class Consequences:
    """See the module's text. Belongs to the event loop; one task works, and only while there is something to count.

    Bound: :data:`_PENDING` decisions wait. Overflow action: their room is read from its log instead.
    """

    def __init__(self, store: Store, hub: Hub[Viewer], book: Accounts, readers: Executor) -> None:
        self._store = store
        self._hub = hub
        self._book = book
        self._readers = readers
        self._places: dict[str, int] = {}
        self._behind: dict[str, int] = {}
        self._pending: deque[tuple[str, Event]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin to follow, and catch up in the background with what a crash left. The rooms are loaded. Raises StoreError."""
        heads = {room.name: room.head for room in self._hub.rooms.values()}
        await self._book.write(lambda tx: followed.begin(tx, heads))
        for room in await self._book.write(lambda tx: followed.fit(tx, heads)):
            log.warning("the log of a room is older than the accounts know it, as after restoring a backup", room=room)
        self._places = await self._book.read(followed.places)
        self._behind = {name: head for name, head in heads.items() if head > self._places.get(name, 0)}
        self._work()

    def decided(self, room: str, event: Event) -> None:
        """A removal or restoration was committed. Called for each of them, in the order of the room's log."""
        if room in self._behind or len(self._pending) >= _PENDING:
            self._behind[room] = event.seq
        else:
            self._pending.append((room, event))
        self._work()

    def _work(self) -> None:
        if self._task is None and not self._stopping and (self._pending or self._behind):
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """What waits comes before the rooms that are behind: of a room, it is the older."""
        try:
            while self._pending or self._behind:
                try:
                    if self._pending:
                        await self._count(*self._pending[0])
                        self._pending.popleft()
                    else:
                        await self._catch_up(next(iter(self._behind)))
                except StoreError as error:
                    log.error("a decision is not counted yet", error=str(error))
                except Exception:  # a fault of ours: the next ones must not wait in silence
                    log.exception("a decision cannot be counted")
                else:
                    continue
                if self._stopping:
                    return
                await asyncio.sleep(_PAUSE_S)
        finally:
            self._task = None

    async def _catch_up(self, room: str) -> None:
        """Read the room's log from its place as far as it is behind."""
        while (place := self._places.get(room, 0)) < self._behind[room]:
            events = await self._read(lambda: self._store.read(room, place, _ROWS))  # awaited here
            for event in events:
                if event.kind in _DECISIONS:
                    await self._count(room, event)
            await self._move({room: events[-1].seq})
        del self._behind[room]

    async def _count(self, room: str, event: Event) -> None:
        author = await self._read(lambda: self._store.author(room, event.target))
        actor = await self._read(lambda: self._store.actor(room, event.seq))
        try:
            await self._book.write(lambda tx: followed.count(tx, room, event, author, actor))
        except Refusal as refusal:
            # Such as a measure against an erased account. The decision stands in the log; it counts for nobody.
            log.warning("a decision does not count", room=room, seq=event.seq, reason=str(refusal))
            await self._move({room: event.seq})
        self._places[room] = event.seq

    async def _move(self, places: dict[str, int]) -> None:
        await self._book.write(lambda tx: [followed.move(tx, room, seq) for room, seq in places.items()])
        self._places.update(places)

    async def _read(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    async def drain(self) -> None:
        """All is counted, and the places stand at the heads, so that the next start has nothing to read; what a fault prevents is
        left to that start. No decision comes any more."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._pending or self._behind:
            return
        ahead = {room.name: room.head for room in self._hub.rooms.values() if room.head > self._places.get(room.name, 0)}
        if ahead:
            try:
                await self._move(ahead)
            except StoreError as error:
                log.error("the places in the logs are not noted; the next start reads on from older ones", error=str(error))
