"""Looks after the assessments of features that are switched on: one that ends while the server runs is told and alarmed (duty P4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from server.errors import StoreError
from server.moderation import features
from server.moderation.book import ReviewBook
from server.moderation.features import WARN_MS, Feature
from server.settings import Settings

LOOK_S: Final = 60.0
AGAIN_MS: Final = 3_600_000
"""A feature that goes on without an assessment is logged again after this time."""
SOON_MS: Final = 86_400_000
"""So often it is told that an assessment ends soon; the start of a server has told it as well."""

log = structlog.get_logger("features")


class FeatureWatch:
    """Belongs to the event loop. ``missing`` are the features that the settings switch on without an assessment in force, as of the
    last look. They are not switched off: a server that runs goes on, and does not start again."""

    def __init__(self, settings: Settings, book: ReviewBook, clock_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._book = book
        self._clock_ms = clock_ms
        self._began_ms = clock_ms()
        self._told: dict[str, int] = {}
        self._soon: dict[str, int] = {}
        self.missing: tuple[Feature, ...] = ()

    async def run(self) -> None:
        """Until cancelled. The start itself has just looked."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except StoreError as error:
                log.error("the assessments of features cannot be read", error=str(error))

    async def look(self) -> None:
        """See how the features stand, and log what is to be done: when it begins, and again while it goes on. Raises StoreError."""
        now_ms = self._clock_ms()
        found = await self._book.read(lambda connection: features.standings(connection, self._settings, now_ms))
        on = [each for each in found if each.needed and each.on]
        self.missing = tuple(each.feature for each in on if each.assessment is None)
        names = {feature.name for feature in self.missing}
        for name in sorted(names):
            if now_ms - self._told.get(name, -AGAIN_MS) >= AGAIN_MS:
                self._told[name] = now_ms
                log.error("a feature is switched on without a security assessment in force", feature=name)
        for name in self._told.keys() - names:
            del self._told[name]
            log.info("a feature is assessed again, or switched off", feature=name)
        for feature, assessment in [(each.feature.name, each.assessment) for each in on]:
            ends = assessment is not None and assessment.until_ms < now_ms + WARN_MS
            if assessment is not None and ends and now_ms - self._soon.get(feature, self._began_ms) >= SOON_MS:
                self._soon[feature] = now_ms
                log.warning("a security assessment ends soon", feature=feature, until_ms=assessment.until_ms)
