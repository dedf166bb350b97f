"""The closed model: each sender always has some comments under way."""

from __future__ import annotations

import os
from pathlib import Path

from loadtest.scenarios.ingest import ingest
from loadtest.stage import Stage
from tests.loadtest.support import small_plan
from tests.support.fake_barrage import FakeBarrage


async def test_windows_stay_full(tmp_path: Path) -> None:
    """Comments are sent as fast as they are answered; all are accounted for at the end."""
    async with FakeBarrage() as server:
        plan = small_plan(server.url, tmp_path, in_flight=2, server_pid=os.getpid())
        stage = Stage(plan)
        async with stage:
            figures = await ingest(stage)
            assert await stage.judge() == []
    assert figures["drained"]
    assert figures["accepted_per_s"] > 50
    assert figures["server_cpu_us_per_comment"] > 0
    assert stage.ledger.count("open") == 0
    # No sender ever had more than its window under way, and each was refilled many times.
    assert len(stage.ledger) > 3 * 3 * 2


async def test_a_sender_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    """The others go on."""
    async with FakeBarrage() as server:
        stage = Stage(small_plan(server.url, tmp_path, in_flight=2))
        async with stage:
            stage.people[0].client = None
            figures = await ingest(stage)
    assert figures["accepted_per_s"] > 50
