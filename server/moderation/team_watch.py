"""Looks after the load of the review team, and alarms (duty P5(7))."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from server.errors import StoreError
from server.moderation import team
from server.moderation.book import ReviewBook
from server.moderation.team import Figures
from server.settings import Settings

LOOK_S: Final = 30.0
RECENT_MS: Final = 30_000
AGAIN_MS: Final = 3_600_000
"""An alarm that goes on is logged again after this time."""

log = structlog.get_logger("team")


class TeamWatch:
    """Belongs to the event loop. ``figures`` are those of the last look; None: there was none yet."""

    def __init__(self, settings: Settings, book: ReviewBook, clock_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._book = book
        self._clock_ms = clock_ms
        self._told: dict[str, int] = {}
        self.figures: Figures | None = None

    @property
    def load(self) -> float:
        """Utilisation of the desk, for metrics: -1 while nobody has planned seats or shifts."""
        utilisation = self.figures.desk.utilisation if self.figures is not None else None
        return -1.0 if utilisation is None else utilisation

    @property
    def overloaded(self) -> int:
        """Queues, or the desk, above the threshold."""
        return len(self.figures.overloaded) if self.figures is not None else 0

    @property
    def absent(self) -> int:
        """Shifts under way in which nobody is seen."""
        return len(self.figures.absent) if self.figures is not None else 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.error("the load of the team cannot be read", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def recent(self) -> Figures:
        """The figures, some seconds old at most. Raises StoreError."""
        found = self.figures
        return found if found is not None and 0 <= self._clock_ms() - found.at_ms < RECENT_MS else await self.look()

    async def look(self) -> Figures:
        """Read the figures, and log what is to be done now: once when it begins, and every hour while it goes on. Raises
        StoreError."""
        now_ms = self._clock_ms()
        found = await self._book.read(lambda connection: team.figures(connection, self._settings, now_ms))
        self.figures = found
        alarms: dict[str, tuple[str, dict[str, object]]] = {}
        for load in found.overloaded:
            about: dict[str, object] = {"queue": load.queue or "all", "utilisation": load.utilisation,
                     "needed": round(load.needed, 2), "capacity": load.capacity, "waiting": load.waiting}  # fmt: skip
            alarms[f"load:{load.queue}"] = ("more work arrives than the reviewers on shift can do", about)
        for shift in found.absent:
            alarms[f"shift:{shift.id}"] = ("nobody is seen in a shift", {"shift": shift.id, "member": shift.member})
        for name, (event, about) in alarms.items():
            if now_ms - self._told.get(name, -AGAIN_MS) >= AGAIN_MS:
                self._told[name] = now_ms
                log.error(event, **about)
        for name in self._told.keys() - alarms.keys():
            del self._told[name]
            log.info("an alarm of the team is over", alarm=name)
        return found
