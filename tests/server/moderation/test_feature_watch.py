"""server/moderation/feature_watch.py"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from server.errors import StoreUnavailable
from server.moderation import feature_watch
from server.moderation.feature_watch import AGAIN_MS, FeatureWatch
from tests.server.moderation.test_features import FLAGGED, assess
from tests.support.accounts import DAY_MS, START_MS, Clock
from tests.support.review import book
from tests.support.waiting import PATIENCE_S


async def test_duty_p4_an_assessment_that_ends_while_the_server_runs_is_alarmed(tmp_path: Path) -> None:
    """Each day that it ends soon; an error when it has ended, again every hour, and a line when it is in force again. What needs
    none, or is off, is not told of."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        assess(desk, until_ms=START_MS + 3 * DAY_MS)
        watch = FeatureWatch(FLAGGED, desk, clock)
        with structlog.testing.capture_logs() as logs:
            seen = []
            for step in (60_000, DAY_MS, 60_000, 2 * DAY_MS, 60_000, AGAIN_MS):
                clock.now_ms += step
                await watch.look()
                seen.append((len(logs), [feature.name for feature in watch.missing]))
            on = ["embedding"]
            assert seen == [(0, []), (1, []), (1, []), (2, on), (2, on), (3, on)]
            assess(desk, assessed_ms=clock.now_ms - 1, until_ms=clock.now_ms + 40 * DAY_MS)
            await watch.look()
        assert watch.missing == ()
        assert [each["log_level"] for each in logs] == ["warning", "error", "error", "info"]
        assert {each["feature"] for each in logs} == {"embedding"}


async def test_a_fault_of_the_book_is_logged_and_looked_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look comes."""
    monkeypatch.setattr(feature_watch, "LOOK_S", 0.001)
    clock = Clock()
    with book(tmp_path, clock) as desk:
        watch = FeatureWatch(FLAGGED, desk, clock)
        look, faults, looked = watch.look, 2, asyncio.Event()

        async def failing() -> None:
            nonlocal faults
            if faults:
                faults -= 1
                raise StoreUnavailable("the disk")
            await look()
            looked.set()

        monkeypatch.setattr(watch, "look", failing)
        with structlog.testing.capture_logs() as logs:
            task = asyncio.create_task(watch.run())
            async with asyncio.timeout(PATIENCE_S):
                await looked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert [each["event"] for each in logs][:2] == ["the assessments of features cannot be read"] * 2
        assert [feature.name for feature in watch.missing] == ["embedding"]
