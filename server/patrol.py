"""The patrol over static pages: whatever is done to the files, they become again what the log says, by themselves.

It goes over the rooms without end and does two things. The *look* is cheap and finds what is missing, cut or replaced among names,
the open page and the newest sealed ones. The *comparison* reads the log and finds any other byte: an edit in place, an old copy that
somebody put back. It takes the open page and a few sealed ones of one room, so that old pages have their turn later; what it costs
is bounded by ``_COMPARE_S`` and ``_PAGES_AT_ONCE``, whatever the number of rooms and pages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from server.core.hub import Hub
from server.core.room import Room
from server.flush import Flusher, Viewer
from server.metrics import Stats
from server.pages import PAGE_FAULTS, PageWork

_LOOK_S: Final = 0.05
"""Least time between two looks."""
_COMPARE_S: Final = 0.5
"""Least time between two comparisons."""
_PAGES_AT_ONCE: Final = 4

log = structlog.get_logger("patrol")


class Patrol:
    """See the module's text. Belongs to the event loop; each room is looked at about every ``every_s``."""

    def __init__(self, hub: Hub[Viewer], flusher: Flusher, pages: PageWork, stats: Stats, *, every_s: float) -> None:
        self._hub = hub
        self._flusher = flusher
        self._pages = pages
        self._stats = stats
        self._every_s = every_s
        # Comparisons keep an order of their own: less frequent than looks, they would else meet the same rooms again and again.
        self._turns: list[Room[Viewer]] = []
        self._compared_s = 0.0
        self._next: dict[str, int] = {}
        self._failed: dict[tuple[str, str], str] = {}

    async def run(self) -> None:
        """Go over the rooms, until cancelled."""
        while True:
            rooms = list(self._hub.rooms.values())
            for room in rooms:
                await asyncio.sleep(max(_LOOK_S, self._every_s / len(rooms)))
                if not self._in_hand(room):
                    await self._go_on(self._look, room)
                if time.monotonic() - self._compared_s >= _COMPARE_S:
                    self._turns = self._turns or rooms[::-1]
                    room = self._turns.pop()
                    if not self._in_hand(room):
                        await self._go_on(self._compare, room)
                    self._compared_s = time.monotonic()
            if not rooms:
                await asyncio.sleep(self._every_s)

    async def _go_on(self, work: Callable[[Room[Viewer]], Awaitable[None]], room: Room[Viewer]) -> None:
        """Do one thing for one room. A fault of our own is told once, until it is another or gone, and the round goes on."""
        key = room.name, work.__name__
        try:
            await work(room)
        except Exception as error:
            if self._failed.get(key) != repr(error):
                log.exception("static pages cannot be looked after", room=room.name)
            self._failed[key] = repr(error)
        else:
            self._failed.pop(key, None)

    def _in_hand(self, room: Room[Viewer]) -> bool:
        """What is being sealed is about to be written anyway, and a blocked room is tried by the flusher itself."""
        return self._flusher.sealing(room.name) or self._flusher.blocked(room.name)

    async def _look(self, room: Room[Viewer]) -> None:
        try:
            report = await self._flusher.exclusive(room, lambda last: self._pages.repair(room.name, last))
        except PAGE_FAULTS as error:
            log.error("static pages cannot be repaired", room=room.name, error=str(error))
            self._flusher.complain(room.name, str(error))
            return
        self._flusher.complain(room.name, "")
        if report.written or report.removed:
            self._stats.pages_rebuilt += report.written
            log.warning("static pages were damaged and are made again from the log", room=room.name, written=report.written)

    async def _compare(self, room: Room[Viewer]) -> None:
        changes = room.changes
        if any(event.target for event, _ in room.batch()):
            return  # a removal that is on its way to its page is no damage
        try:
            bad = await self._differing(room)
            if not bad or room.changes != changes:
                return
            await self._flusher.exclusive(room, lambda last: self._pages.rewrite(room.name, bad, last))
        except PAGE_FAULTS as error:
            log.error("static pages cannot be compared with the log", room=room.name, error=str(error))
            return
        self._stats.pages_rebuilt += len(bad)
        log.warning("static pages were not as the log has them, and are made again", room=room.name, pages=bad)

    async def _differing(self, room: Room[Viewer]) -> list[int]:
        """The pages of this visit that differ from the log."""
        head = room.visible
        sealed = self._pages.last_page(head)
        first = self._next.get(room.name, 0)
        turn = [(first + step) % sealed for step in range(min(_PAGES_AT_ONCE, sealed))]
        if turn:
            self._next[room.name] = (turn[-1] + 1) % sealed
        bad = await self._flusher.beside(room, lambda: self._pages.differing(room.name, turn, head))
        return bad + await self._flusher.exclusive(
            room, lambda last: self._pages.differing(room.name, [self._pages.last_page(last)], last)
        )
