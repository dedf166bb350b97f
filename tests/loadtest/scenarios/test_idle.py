"""Viewers that do nothing."""

from __future__ import annotations

import os
from pathlib import Path

from loadtest import scenarios
from tests.loadtest.support import small_plan
from tests.support.fake_barrage import FakeBarrage


async def test_idle_viewers(tmp_path: Path) -> None:
    """Memory per viewer and processor time are told; without the server's process only the number of viewers."""
    async with FakeBarrage() as server:
        report = await scenarios.run("idle", small_plan(server.url, tmp_path, senders=0, server_pid=os.getpid()))
        without = await scenarios.run("idle", small_plan(server.url, tmp_path, senders=0))
    assert report.true
    assert without.true
    if report.valid and without.valid:
        assert report.figures["viewers"] == without.figures["viewers"] == 6
        assert "rss_kb_per_viewer" in report.figures["server"]
        assert "server" not in without.figures
