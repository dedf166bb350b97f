"""Keeps the second review going: begins each day's draw, draws days that are over, and brings what was chosen into the queue."""

from __future__ import annotations

import asyncio
import datetime as dt
import zoneinfo
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from server.errors import Refusal, StoreError
from server.moderation import second
from server.moderation.book import Decision, ReviewBook
from server.settings import Settings

EVERY_S: Final = 30.0
BATCH: Final = 100
DUE_MS: Final = 7 * 24 * 3_600_000

log = structlog.get_logger("second")


class SecondReview:
    """Belongs to the event loop. ``text_of`` gives the text of a public or removed comment from the room log, empty when it is
    gone."""

    def __init__(
        self,
        settings: Settings,
        book: ReviewBook,
        text_of: Callable[[str, int], Awaitable[str]],
        clock_ms: Callable[[], int],
    ) -> None:
        self._share = settings.second_review_share
        self._zone = zoneinfo.ZoneInfo(settings.time_zone)
        self._book = book
        self._text_of = text_of
        self._clock_ms = clock_ms

    async def step(self) -> int:
        """Do what is due; how many items were made. Raises StoreError, Refusal (of reading a text)."""
        now_ms = self._clock_ms()
        today = second.day_of(now_ms, self._zone)
        if await self._book.read(lambda sql: second.find(sql, today)) is None:
            tomorrow = dt.date.fromisoformat(today) + dt.timedelta(days=1)
            log.info("a day of the second review begins", day=today, until=tomorrow.isoformat(), share=self._share)
            await self._book.write(lambda tx: second.begin(tx, today, self._share))
        for day in await self._book.read(lambda sql: second.undrawn(sql, today)):
            start_ms, end_ms = second.span_of(day, self._zone)
            if now_ms < end_ms + second.GRACE_MS:
                continue
            done = await self._book.write(lambda tx: second.draw(tx, day, start_ms, end_ms))  # noqa: B023 - awaited here
            log.info("second review drawn", day=day, decisions=done.decisions, chosen=done.chosen)
        made = 0
        while chosen := await self._book.read(lambda sql: second.without_item(sql, BATCH)):
            ready = [(each.decision, each.text or await self._text(each.decision)) for each in chosen]
            due_ms = now_ms + DUE_MS
            await self._book.write(lambda tx: [second.make_item(tx, *each, due_ms) for each in ready])  # noqa: B023
            made += len(ready)
        return made

    async def _text(self, decision: Decision) -> str:
        return await self._text_of(decision.room, decision.seq) if decision.seq else ""

    async def run(self) -> None:
        """Until cancelled: do what is due, twice a minute."""
        while True:
            try:
                await self.step()
            except (StoreError, Refusal) as error:
                log.warning("the second review waits", reason=str(error))
            except Exception:  # a fault of ours: the next day is to be drawn all the same
                log.exception("the second review failed")
            await asyncio.sleep(EVERY_S)
