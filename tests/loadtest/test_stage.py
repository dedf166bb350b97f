"""What scenarios share."""

from __future__ import annotations

import os
from pathlib import Path

from loadtest.processes import Usage
from loadtest.stage import Stage
from tests.loadtest.support import eventually, small_plan
from tests.support.fake_barrage import FakeBarrage, Faults


async def test_people_come_and_go(tmp_path: Path) -> None:
    """All people are in the room while the stage is open; the first ones can post; what was there before is the base."""
    told: list[str] = []
    async with FakeBarrage() as server:
        async with Stage(small_plan(server.url, tmp_path, server_pid=os.getpid()), told.append) as stage:
            assert len(server.viewers) == 6
            assert [person.token is not None for person in stage.people] == [True] * 3 + [False] * 3
            assert stage.senders == stage.people[:3]
            stage.fire(4, 1.0)
            await eventually(lambda: stage.ledger.count("acked") == 1)
            assert next(iter(stage.ledger)).author == stage.people[1].name
            assert await stage.drain()
            assert stage.server_full_bytes >= stage.server_empty_bytes > 0
        assert told[:6] == [f"{number} of 6 viewers have entered" for number in range(1, 7)]
        async with Stage(small_plan(server.url, tmp_path)) as later:
            assert later.base == 1
            later.fire(0, 1.0)
            assert await later.drain()
            assert await later.judge() == []
        await eventually(lambda: not server.viewers)


async def test_more_senders_than_viewers(tmp_path: Path) -> None:
    """Each sender is a viewer, so there are at least as many."""
    async with FakeBarrage() as server:
        assert len(Stage(small_plan(server.url, tmp_path, viewers=1, senders=4)).people) == 4


async def test_draining_has_an_end(tmp_path: Path) -> None:
    """When answers or deliveries do not come, draining gives up and says so."""
    async with FakeBarrage(Faults(busy=9999)) as server, Stage(small_plan(server.url, tmp_path, drain_s=0.1)) as stage:
        stage.fire(0, 1.0)
        assert not await stage.drain()
        assert stage.comment_figures()["unanswered"] == 1


async def test_pages_may_be_left_out(tmp_path: Path) -> None:
    """Without ``pages`` the pages are not read."""
    async with FakeBarrage(Faults(unpaged={1})) as server, Stage(small_plan(server.url, tmp_path, pages=False)) as stage:
        stage.fire(0, 1.0)
        await stage.drain()
        assert await stage.judge() == []


async def test_server_figures_without_growth(tmp_path: Path) -> None:
    """Memory per viewer is told only where it was measured."""
    stage = Stage(small_plan("http://127.0.0.1:1", tmp_path))
    assert "rss_kb_per_viewer" not in stage.server_figures(Usage(1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0))
