"""server/moderation/swarm_watch.py"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from filters.swarm import MAX_FOUND, Evidence, Swarm
from server.errors import StoreUnavailable
from server.moderation import swarm_watch, swarms
from server.moderation.queue import of_source
from server.moderation.swarm_watch import SwarmWatch
from tests.filters.test_swarm import CAMPAIGN, play
from tests.support.review import book
from tests.support.waiting import PATIENCE_S


async def test_duty_p7_a_simulated_campaign_reaches_the_queue(tmp_path: Path) -> None:
    """What the screening's memory names is recorded and put before people; each finding once."""
    memory = Swarm()
    with book(tmp_path) as desk:
        watch = SwarmWatch(desk, lambda: memory)
        assert len(play(memory, 10, CAMPAIGN, 3)) >= 9
        await watch.note()
        item = await desk.read(lambda sql: of_source(sql, "swarm", "w:1"))
        assert item is not None
        assert item.text.endswith("texts in 3 rooms")
        assert (await desk.read(lambda sql: len(swarms.members(sql, 1)))) >= 9
        await watch.note()
        assert await desk.read(lambda sql: of_source(sql, "swarm", "w:2")) is None


async def test_it_goes_on_after_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A book that cannot be written, or a fault of ours, stops nothing."""
    monkeypatch.setattr(swarm_watch, "EVERY_S", 0)
    memory, calls = Swarm(), 0
    with book(tmp_path) as desk:
        watch = SwarmWatch(desk, lambda: memory)
        done = asyncio.Event()

        async def fails() -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise StoreUnavailable("review.db")
            if calls == 2:
                raise RuntimeError("ours")
            done.set()

        monkeypatch.setattr(watch, "note", fails)
        task = asyncio.create_task(watch.run())
        await asyncio.wait_for(done.wait(), PATIENCE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert calls >= 3


def test_findings_that_nobody_takes_are_bounded() -> None:
    """The oldest go first."""
    memory = Swarm()
    for number in range(MAX_FOUND + 10):
        memory._name(Evidence(f"a{number}", (), 3, 2, 0), [], set())
    found = memory.take()
    assert (len(found), found[0].account) == (MAX_FOUND, "a10")
    assert memory.take() == []
