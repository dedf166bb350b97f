"""Brings what the screening, and reports of the public, show of groups before people: see :mod:`server.moderation.swarms`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from filters.swarm import Swarm
from server.errors import StoreError
from server.moderation import swarms
from server.moderation.book import ReviewBook

EVERY_S: Final = 2.0
REPORTERS_MAX: Final = 20_000
"""Reporters of the last minutes that are remembered."""

log = structlog.get_logger("swarms")


class SwarmWatch:
    """Belongs to the event loop. ``comments`` gives the memory of the screening in force; reports have one of their own.

    Bound: findings wait in the two memories, :data:`filters.swarm.MAX_FOUND` each; the oldest are dropped for new ones.
    """

    def __init__(self, book: ReviewBook, comments: Callable[[], Swarm], clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds, and is never set back."""
        self._book = book
        self._comments = comments
        self._clock = clock
        self._reports = Swarm(max_accounts=REPORTERS_MAX)

    def reported(self, who: str, room: str, target: str) -> None:
        """Somebody reported something. ``who`` is an account or a pseudonym, ``target`` what was reported."""
        self._reports.act(who, room, target, round(self._clock() * 1000))

    async def note(self) -> None:
        """Record what was found since the last call. Raises StoreError; what was taken is lost then, and found again while
        the group goes on."""
        comments, reports = self._comments().take(), self._reports.take()
        if comments or reports:
            await self._book.write(lambda tx: (swarms.note(tx, "comments", comments), swarms.note(tx, "reports", reports)))

    async def run(self) -> None:
        """Until cancelled: note findings every few seconds."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.note()
            except StoreError as error:
                log.warning("what shows a group is not recorded", reason=str(error))
            except Exception:  # a fault of ours: the next finding must not wait for a restart
                log.exception("what shows a group cannot be recorded")
