"""server/moderation/team_watch.py"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from server.errors import StoreUnavailable
from server.moderation import team, team_watch
from server.moderation.team_watch import AGAIN_MS, TeamWatch
from server.settings import Settings
from tests.support.accounts import START_MS, Clock
from tests.support.review import BOSS, book, put


async def test_duty_p5_7_an_alarm_is_logged_when_it_begins_hourly_and_when_it_ends(tmp_path: Path) -> None:
    """Too much work and an empty shift each have a line of their own, and metrics tell the same."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        watch = TeamWatch(Settings(), desk, clock)
        assert (watch.load, watch.overloaded, watch.absent) == (-1.0, 0, 0)
        await watch.look()
        assert watch.load == -1.0
        desk.write_now(lambda tx: team.plan(tx, "staff:ann", START_MS, START_MS + 2 * AGAIN_MS, **BOSS))
        clock.now_ms += 20 * 60_000
        for number in range(200):
            put(desk, source=f"s:{number}")
        seen = []
        with structlog.testing.capture_logs() as logs:
            for step in (0, 60_000, AGAIN_MS - 120_000, 60_000, 2 * AGAIN_MS):
                clock.now_ms += step
                await watch.look()
                seen.append((len(logs), watch.overloaded, watch.absent))
        assert seen == [(2, 1, 1), (2, 1, 1), (2, 1, 1), (4, 0, 1), (5, 0, 0)]
        assert [(each["event"], each["log_level"]) for each in logs[:2]] == [
            ("more work arrives than the reviewers on shift can do", "error"), ("nobody is seen in a shift", "error"),
        ]  # fmt: skip
        assert logs[0]["queue"] == "all"
        assert logs[1]["member"] == "staff:ann"
        assert watch.load == 0.0


async def test_a_fault_of_the_book_is_logged_and_looked_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look comes."""
    monkeypatch.setattr(team_watch, "LOOK_S", 0.001)
    clock = Clock()
    with book(tmp_path, clock) as desk:
        watch = TeamWatch(Settings(), desk, clock)
        look, faults, looked = watch.look, 2, asyncio.Event()

        async def failing() -> team.Figures:
            nonlocal faults
            if faults:
                faults -= 1
                raise StoreUnavailable("the disk")
            found = await look()
            looked.set()
            return found

        monkeypatch.setattr(watch, "look", failing)
        with structlog.testing.capture_logs() as logs:
            running = asyncio.ensure_future(watch.run())
            await asyncio.wait_for(looked.wait(), 30)
            running.cancel()
        assert len(logs) == 2
