"""Older events for joins, resumes and the history interface: from the ring, else from the store in whole pages.

A reconnect storm asks for the same events a thousand times. What is older than the ring is read page by page, the same page at
most once at a time (single flight), and full pages stay in a bounded cache (overflow: the longest unused page is dropped). A
removal changes what a page says, so each cached page carries the room's count of changes at the time of reading; with
another count it is read again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import structlog

from server.core.hub import Hub
from server.core.room import Room
from server.errors import Refusal, StoreError
from server.flush import Viewer
from server.store.base import Store
from server.wire import PAGE_ROWS, Event, encode_event, page_number

T = TypeVar("T")

_PAGES_MAX = 256
_ATTEMPTS = 4
_TROUBLE_S = 5.0
"""For how long a reading that failed counts as trouble. Damage may meet some readings only, so that one good one says little."""

log = structlog.get_logger("history")


class History:
    """Belongs to the event loop; ``readers`` runs the store's reading."""

    def __init__(self, store: Store, hub: Hub[Viewer], readers: Executor) -> None:
        self._store = store
        self._hub = hub
        self._readers = readers
        self._pages: OrderedDict[tuple[str, int], tuple[int, list[bytes]]] = OrderedDict()
        self._flights: dict[tuple[str, int, int, int], asyncio.Future[list[bytes]]] = {}
        self._warming: dict[str, list[Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._trouble = ""
        self._failed_s = 0.0

    @property
    def trouble(self) -> str:
        """Why the log could not be read a short while ago; empty when it could."""
        return self._trouble if time.monotonic() - self._failed_s < _TROUBLE_S else ""

    async def read(self, call: Callable[[], T]) -> T:
        """Run a reading call of the store in a reader thread. Raises Refusal ``storage_unavailable``."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, call)
        except StoreError as error:
            if not self.trouble:
                log.error("the log cannot be read; readers of older comments are refused until it can", error=str(error))
            self._trouble, self._failed_s = str(error), time.monotonic()
            raise Refusal("storage_unavailable", retry_after_ms=1000) from error

    async def run(self, call: Callable[[], T]) -> T:
        """Run any call of the store in a reader's thread; what it raises is the caller's matter."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    async def events(self, room: Room[Viewer], after: int, limit: int) -> list[bytes]:
        """Encoded visible events after ``after``, in order, at most ``limit``. Raises Refusal ``storage_unavailable``."""
        for _ in range(_ATTEMPTS):
            changes = room.changes
            found = await self._collect(room, max(0, after), limit)
            if room.changes == changes:
                return found
        raise Refusal("overloaded", "the room changes too fast to be read; try again", 1000)

    async def _collect(self, room: Room[Viewer], after: int, limit: int) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < limit:
            entries = room.slice(after, limit - len(found))
            if entries is not None:
                found.extend(entry.data for entry in entries)
                break
            number = page_number(after + 1)
            page = await self._page(room, number)
            part = page[after - number * PAGE_ROWS :][: limit - len(found)]
            if not part:
                break
            found.extend(part)
            after += len(part)
        return found

    async def _page(self, room: Room[Viewer], number: int) -> list[bytes]:
        """All visible events of a page."""
        key = (room.name, number)
        cached = self._pages.get(key)
        if cached is not None and cached[0] == room.changes:
            self._pages.move_to_end(key)
            return cached[1]
        # A reading is shared by those only who see the room as it was when the reading began: one that began before a removal
        # may hold the text, one that began before a flush ends too early.
        rows = min(PAGE_ROWS, room.visible - number * PAGE_ROWS)
        wanted = (room.name, number, rows, room.changes)
        flight = self._flights.get(wanted)
        if flight is None:
            flight = self._flights[wanted] = asyncio.ensure_future(self._load(room, number, rows))
            flight.add_done_callback(lambda _: self._flights.pop(wanted, None))
        return await asyncio.shield(flight)

    async def _load(self, room: Room[Viewer], number: int, rows: int) -> list[bytes]:
        changes = room.changes
        events = await self.read(lambda: self._store.read(room.name, number * PAGE_ROWS, rows))
        page = [encode_event(event) for event in events]
        if len(page) == PAGE_ROWS and room.changes == changes:
            self._pages[room.name, number] = (changes, page)
            if len(self._pages) > _PAGES_MAX:
                self._pages.popitem(last=False)
        return page

    # -- the ring as a cache ------------------------------------------------------------------------------------------

    async def newest(self, room: Room[Viewer], limit: int) -> list[Event]:
        """The newest visible events, oldest first."""
        wanted = min(limit, room.visible)
        if room.visible - room.first + 1 >= wanted:
            return [entry.event for entry in room.newest(limit)]
        for _ in range(_ATTEMPTS):
            changes, last = room.changes, room.visible
            events = await self.read(lambda: self._store.read(room.name, last - wanted, wanted))  # noqa: B023 # awaited here
            if room.changes == changes:
                room.warm(events)
                return events
        raise Refusal("overloaded", "the room changes too fast to be read; try again", 1000)

    def warm(self, room: Room[Viewer], then: Callable[[], None]) -> None:
        """Fill an empty ring once for all who ask meanwhile, then call them back; also when the store cannot be read."""
        waiting = self._warming.get(room.name)
        if waiting is not None:
            waiting.append(then)
            return
        self._warming[room.name] = [then]
        task = asyncio.get_running_loop().create_task(self._fill(room))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill(self, room: Room[Viewer]) -> None:
        try:
            await self.newest(room, PAGE_ROWS)
        except Refusal:
            pass  # they join with an empty ring, and hear of a gap that the pages fill
        finally:
            for then in self._warming.pop(room.name):
                try:
                    then()
                except Exception:
                    log.exception("a viewer could not join", room=room.name)
