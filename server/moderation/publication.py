"""The public figures, month by month: made once for a month that is over and kept as a file, made anew now and then for this one."""

from __future__ import annotations

import asyncio
import zoneinfo
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from server.errors import Refusal, StoreError
from server.moderation import transparency
from server.moderation.book import ReviewBook
from server.settings import Settings
from server.store.tallies import Tally

FRESH_MS: Final = 10 * 60_000
"""For so long the figures of the month that goes on are good: counting them reads a month of the logs."""

log = structlog.get_logger("publication")


class Publication:
    """Belongs to the event loop. ``tally`` counts the room logs from a moment to another one; ``since_ms`` is when the site began.

    A month that is over is counted when it is asked for first; its file (``transparency/2026-11.json`` of the data folder) is what
    everybody gets from then on, also when the term of what it was counted from is over.
    """

    def __init__(
        self,
        settings: Settings,
        book: ReviewBook,
        tally: Callable[[int, int], Awaitable[list[Tally]]],
        since_ms: Callable[[], int],
        clock_ms: Callable[[], int],
    ) -> None:
        self.zone: Final = zoneinfo.ZoneInfo(settings.time_zone)
        self._folder = settings.data_dir / "transparency"
        self._book = book
        self._tally = tally
        self._since_ms = since_ms
        self._clock_ms = clock_ms
        self._made: dict[str, tuple[int, dict[str, Any]]] = {}
        self._counting = asyncio.Lock()
        self.checking: Final = asyncio.Lock()
        """Held while a draw of the second review is put together for the public: one at a time, whoever asks."""

    async def months(self) -> list[str]:
        """The months that there are figures of, newest first. Raises Refusal ``storage_unavailable``."""
        try:
            first_ms = await self._book.read(transparency.first_decision_ms)
        except StoreError as error:
            raise Refusal("storage_unavailable", "figures cannot be counted", retry_after_ms=1000) from error
        began = [each for each in (first_ms, self._since_ms()) if each]
        return transparency.months(min(began, default=self._clock_ms()), self._clock_ms(), self.zone)

    async def figures(self, month: str) -> dict[str, Any]:
        """The figures of a month. Raises Refusal ``not_found``, ``storage_unavailable``."""
        if not transparency.is_month(month) or month not in await self.months():
            raise Refusal("not_found", "no figures of this month")
        known = self._known(month)
        if known is not None:
            return known
        async with self._counting:  # one month of the logs is read at a time, whoever asks
            known = self._known(month)
            if known is None:
                known = await self._count(month)
            return known

    def _known(self, month: str) -> dict[str, Any] | None:
        at_ms, found = self._made.get(month, (0, {}))
        fresh = found and (found["complete"] or self._clock_ms() < at_ms + FRESH_MS)
        return found if fresh else None

    async def _count(self, month: str) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        path = self._folder / f"{month}.json"
        found = await loop.run_in_executor(None, _read, path)
        if found is None:
            since_ms, until_ms = transparency.span_of(month, self.zone)
            now_ms = self._clock_ms()
            try:
                tallies = await self._tally(since_ms, until_ms)
                found = await self._book.read(lambda sql: transparency.compile_month(sql, tallies, month, self.zone, now_ms))
            except StoreError as error:
                raise Refusal("storage_unavailable", "figures cannot be counted", retry_after_ms=1000) from error
            if found["complete"]:
                await loop.run_in_executor(None, _write, path, found)
        self._made[month] = (self._clock_ms(), found)
        return found


def _read(path: Path) -> dict[str, Any] | None:
    """The figures of the file; None: there is none, or it is damaged (then it is made again)."""
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError) as error:
        log.warning("published figures cannot be read and are counted again", file=path.name, reason=str(error))
        return None
    return found if isinstance(found, dict) and found.get("complete") else None


def _write(path: Path, found: dict[str, Any]) -> None:
    """Keep the figures; where that fails they are counted again the next time."""
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        temporary.replace(path)
    except OSError as error:
        log.warning("published figures cannot be kept", file=path.name, reason=str(error))
