"""Viewers that stop reading, beside others that do not."""

from __future__ import annotations

import os
from pathlib import Path

from loadtest.scenarios.stall import STALLED, choose_stalled, stall
from loadtest.stage import Stage
from tests.loadtest.support import small_plan
from tests.support.fake_barrage import FakeBarrage


async def test_stalled_viewers_catch_up(tmp_path: Path) -> None:
    """Those who stop reading get everything in the end, the others meanwhile, and their latencies are told apart."""
    async with FakeBarrage() as server:
        plan = small_plan(server.url, tmp_path, stalled=2, stall_s=0.3, server_pid=os.getpid())
        stage = Stage(plan, groups=2)
        choose_stalled(stage)
        assert [person.group for person in stage.people] == [0, 0, 0, 0, STALLED, STALLED]
        async with stage:
            figures = await stall(stage)
            assert await stage.judge() == []
    assert figures["drained"]
    assert (figures["stalled"], figures["stalled_still_there"], figures["others_gaps"]) == (2, 2, 0)
    assert figures["others_during"]["count"] > 0
    late = [arrived for batch in stage.feed.batches for arrived in batch.arrivals[STALLED]]
    assert len(late) == 2 * len({batch.first for batch in stage.feed.batches})
    assert figures["server_rss_max_mb_during"] > 0
    assert "kernel_tcp_max_mb_during" in figures


async def test_senders_do_not_stall(tmp_path: Path) -> None:
    """However many are to stall, those who post go on reading; one who is gone is left alone."""
    async with FakeBarrage() as server:
        stage = Stage(small_plan(server.url, tmp_path, stalled=99, stall_s=0.1, seconds=0.1), groups=2)
        assert len(choose_stalled(stage)) == 3
        async with stage:
            stage.people[-1].cut()
            figures = await stall(stage)
    assert figures["stalled_still_there"] == 2
