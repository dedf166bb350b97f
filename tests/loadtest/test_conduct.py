"""Scenarios are played against a small server, sound and faulty: the tool does not lie."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from loadtest.acts import Acts
from loadtest.arena import Arena
from loadtest.conduct import Conductor, Snapshot
from loadtest.spec import Phase, Thresholds
from tests.loadtest.scenario_files import play, small
from tests.loadtest.support import fake_in_thread, secret_file
from tests.support.fake_barrage import FakeBarrage, Faults


async def test_a_sound_run(tmp_path: Path) -> None:
    """Every comment is counted once, in figures, in the course and by percentile; the run is shown as it goes on."""
    shown: list[Snapshot] = []
    async with FakeBarrage() as server:
        scenario = small(thresholds=Thresholds(loss=0, absent=0, p99_ms=5000))
        async with Arena(scenario, server.url, token_secret_file=secret_file(tmp_path)) as arena:
            result = await Conductor(arena, None, shown.append).run("small", server.url)
    assert result.true
    assert result.counts["acknowledged"] == result.counts["sent"] == 30
    assert result.counts["events received"] == 180
    assert shown[-1].sent > 0
    if result.valid:  # a busy machine may saturate the generator: then figures are withheld
        assert result.exit_code == 0
        assert result.figures["sent_per_s"] == pytest.approx(60, rel=0.1)
        assert result.figures["loss"] == result.figures["absent"] == 0
        assert sum(point.sent_per_s * 0.5 for point in result.course) == pytest.approx(30, rel=0.1)
        assert result.percentiles[0].delivery_ms <= result.percentiles[-1].delivery_ms


async def test_one_dropped_delivery_is_found(tmp_path: Path) -> None:
    """One event that one viewer does not get makes the run untrue, whatever its speed."""
    async with FakeBarrage(Faults(drop={7}), tick_s=0.05) as server:
        result = await play(small(drain_s=0.3), server.url, tmp_path)
    assert result.broken_rules.keys() & {"stream_hole", "stream_short"}
    assert result.exit_code == 99
    assert "Untrue" in result.verdict


async def test_a_slow_server_is_shown_in_full(tmp_path: Path) -> None:
    """Deliveries that the server delays appear with all of the delay, also those that waited behind others."""
    scenario = small([Phase(name="all", seconds=0.8, rate=20)], thresholds=Thresholds(p99_ms=150))
    async with FakeBarrage(Faults(delay_s=0.3)) as server:
        result = await play(scenario, server.url, tmp_path)
    if result.valid:
        assert (result.figures["p50_ms"] or 0) >= 295
        assert (result.figures["p99_ms"] or 0) >= 320
        assert result.exit_code == 99


async def test_a_frozen_server_is_seen_by_all_comments_that_were_due(tmp_path: Path) -> None:
    """While a server hangs, comments stay due: a third of all waits long, where a meter that waits itself would see one."""
    with fake_in_thread() as server:
        assert server.loop is not None
        scenario = small([Phase(name="all", seconds=1.2, rate=100)])
        async with Arena(scenario, server.url, token_secret_file=secret_file(tmp_path)) as arena:
            asyncio.get_running_loop().call_later(0.3, server.loop.call_soon_threadsafe, time.sleep, 0.6)
            conductor = Conductor(arena, None)
            result = await conductor.run("small", server.url)
            late = [each.answered_s - each.intended_s for room in arena.rooms for each in room.ledger]
    assert len(late) == 120
    assert sum(seconds > 0.1 for seconds in late) >= 40
    assert max(late) >= 0.5
    if result.valid:
        assert (result.figures["ack_p99_ms"] or 0) >= 500


async def test_an_overloaded_generator_is_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that had no time of its own says so, withholds everything that was timed, and judges nothing."""
    say = Acts._say

    def slow(self: Acts, number: int, due_s: float) -> None:
        say(self, number, due_s)
        end_s = time.perf_counter() + 0.03
        while time.perf_counter() < end_s:
            pass

    monkeypatch.setattr(Acts, "_say", slow)
    async with FakeBarrage() as server:
        result = await play(small(thresholds=Thresholds(p99_ms=1)), server.url, tmp_path)
    assert not result.valid
    assert (result.figures, result.course, result.judgements, result.exit_code) == ({}, [], [], 3)
    assert any("late" in doubt for doubt in result.doubts)
    assert result.counts["sent"] == 30


async def test_refusals_and_silence(tmp_path: Path) -> None:
    """What a server refuses for longer than people wait is refused; the share is judged."""
    scenario = small(patience_s=0.05, thresholds=Thresholds(refused_share=0.1), drain_s=0.5)
    async with FakeBarrage(Faults(busy=9999, wait_ms=40)) as server:
        result = await play(scenario, server.url, tmp_path)
    assert result.counts["refused"] == 30
    assert result.refusals["overloaded"] >= 30
    if result.valid:
        assert [each.holds for each in result.judgements] == [False]


async def test_storm_slow_viewers_churn_raid_and_pages(tmp_path: Path) -> None:
    """People who are cut come back, slow ones read again, raiders are counted apart, page reads are checked and timed."""
    phases = [
        Phase(name="few", seconds=0.2, rate=50, present=0.5),
        Phase(name="storm", seconds=0.6, rate=50, cut_share=1.0, slow_share=0.2, raid_per_s=30, page_reads_per_s=60),
        Phase(name="churn", seconds=0.5, rate=50, cut_every_s=1.0, away_max_s=0.1, slow_share=0.2),
    ]
    async with FakeBarrage() as server:
        result = await play(small(phases, viewers=20, raiders=2, drain_s=3.0), server.url, tmp_path)
    assert result.true, result.violations
    counts = result.counts
    assert counts["connections cut"] >= 10
    assert counts["returns"] == counts["connections cut"]
    assert counts["raid comments"] == pytest.approx(18, abs=9)
    assert counts["page reads"] == pytest.approx(36, abs=15)
    if result.valid:
        assert result.figures["raid_passed_share"] == 1.0
        assert result.figures["absent"] == 0
        assert (result.figures["return_p99_ms"] or 0) > 0
        # The small server has no page of the room itself: two of ten reads.
        assert result.figures["page_error_share"] == pytest.approx(0.2, abs=0.1)


@pytest.mark.parametrize(("delay_s", "capacity"), [(0.0, 40.0), (0.3, 0.0)])
async def test_ramp(tmp_path: Path, delay_s: float, capacity: float) -> None:
    """Steps go on until a threshold breaks; the capacity is the last rate at which all held, 0 when none did."""
    phase = Phase(name="ramp", seconds=0.6, rate=20, to_rate=40, steps=3, until_broken=True, thresholds=Thresholds(p99_ms=250))
    async with FakeBarrage(Faults(delay_s=delay_s)) as server:
        result = await play(small([phase], thresholds=Thresholds(capacity_per_s=30)), server.url, tmp_path)
    assert result.valid
    if not any("generator" in note for note in result.notes):
        assert result.figures["capacity_per_s"] == capacity
        assert result.exit_code == (0 if capacity else 99)
        assert len(result.spans) == (3 if capacity else 1)


async def test_a_generator_that_is_the_limit_of_a_ramp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the generator gives out first, the ramp ends there and says so; that step is no figure of the server."""
    monkeypatch.setattr("loadtest.processes.LATE_P99_MAX_MS", -1.0)
    phase = Phase(name="ramp", seconds=0.4, rate=20, to_rate=40, steps=2, until_broken=True, thresholds=Thresholds(p99_ms=250))
    async with FakeBarrage() as server:
        result = await play(small([phase]), server.url, tmp_path)
    assert result.valid
    assert "the generator was the limit" in result.notes[0]
    assert len(result.spans) == 1


async def test_what_does_not_end(tmp_path: Path) -> None:
    """When answers do not come, the run says so, and the waiting counts in the acknowledgements' times."""
    async with FakeBarrage(Faults(busy=9999, wait_ms=60_000)) as server:
        result = await play(small(drain_s=0.2, patience_s=100), server.url, tmp_path)
    assert result.counts["unanswered"] == 30
    assert "still unanswered" in result.notes[0]
    if result.valid:
        assert (result.figures["ack_p50_ms"] or 0) >= 400
