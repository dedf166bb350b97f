"""What people do besides commenting."""

from __future__ import annotations

from pathlib import Path

from loadtest.spec import Phase
from tests.loadtest.scenario_files import play, small
from tests.support.fake_barrage import FakeBarrage, Faults


async def test_a_page_without_what_was_live(tmp_path: Path) -> None:
    """A newest page that lacks what viewers have already seen is found while the run goes on."""
    phases = [Phase(name="all", seconds=0.6, rate=60, page_reads_per_s=60)]
    async with FakeBarrage(Faults(unpaged=set(range(5, 60)))) as server:
        result = await play(small(phases, pages=False), server.url, tmp_path)
    assert result.broken_rules.keys() == {"live_not_static"}
