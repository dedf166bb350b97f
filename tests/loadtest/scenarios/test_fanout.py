"""The steady load, and what the meter must find while it runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from loadtest import scenarios
from loadtest.scenarios.fanout import fanout
from loadtest.stage import Stage
from tests.loadtest.support import small_plan
from tests.support.fake_barrage import FakeBarrage, Faults


async def test_a_sound_run(tmp_path: Path) -> None:
    """Every comment is acknowledged and delivered to every viewer, and the figures say so."""
    async with FakeBarrage() as server:
        report = await scenarios.run("fanout", small_plan(server.url, tmp_path, seconds=0.5))
    assert (report.true, report.exit_code if report.valid else 0) == (True, 0)
    assert report.violations == []
    if report.valid:
        figures = report.figures
        assert figures["acknowledged"] == figures["sent"] == 55
        assert figures["drained"]
        assert figures["delivery"]["count"] == figures["acknowledgement"]["count"] * 6
        assert figures["deliveries_per_s"] == pytest.approx(600, rel=0.2)
        assert figures["bytes_per_delivery"] > 100


async def test_poisson_arrivals_and_texts_of_a_file(tmp_path: Path) -> None:
    """Arrivals may be random, and comments real ones; masks of the screening are then no lie."""
    path = tmp_path / "texts.txt"
    path.write_text("主队加油\n前方高能\n")
    async with FakeBarrage() as server:
        report = await scenarios.run("fanout", small_plan(server.url, tmp_path, arrivals="poisson", texts=path, deflate=True))
    assert report.true


@pytest.mark.parametrize(
    ("faults", "rule"),
    [
        (Faults(drop={7}), "stream_hole"),
        (Faults(double={7}), "stream_double"),
        (Faults(swap=set(range(1, 40))), "stream_hole"),
        (Faults(garble={7}), "live_differs"),
        (Faults(unpaged={7}), "live_not_static"),
        (Faults(mispaged={7}), "page_differs"),
    ],
)
async def test_one_wrong_delivery_is_found(tmp_path: Path, faults: Faults, rule: str) -> None:
    """One event that is dropped, doubled, swapped or altered for one viewer, or wrong on its page, makes the run untrue."""
    async with FakeBarrage(faults, tick_s=0.05) as server:
        report = await scenarios.run("fanout", small_plan(server.url, tmp_path, drain_s=0.5))
    assert rule in report.broken_rules
    assert report.exit_code == 1


async def test_lost_and_doubled_comments_are_found(tmp_path: Path) -> None:
    """A comment that is acknowledged and not recorded, or recorded twice, makes the run untrue."""
    for faults, rule in ((Faults(), "ack_lost"), (Faults(), "log_doubled")):
        async with FakeBarrage(faults) as server:
            plan = small_plan(server.url, tmp_path, seconds=0.2)
            text = Stage(plan).texts
            chosen = {next(text) for _ in range(3)}
            (faults.forget if rule == "ack_lost" else faults.twice).update(chosen)
            report = await scenarios.run("fanout", plan)
        assert report.broken_rules.keys() & {rule, "ack_altered"}
        assert report.exit_code == 1


async def test_latency_is_reported_in_full(tmp_path: Path) -> None:
    """A server that is slow on purpose is seen to be as slow as it is, waiting in line included."""
    async with FakeBarrage(Faults(delay_s=0.3)) as server:
        stage = Stage(small_plan(server.url, tmp_path, rate=20.0, seconds=0.8))
        async with stage:
            figures = await fanout(stage)
    assert figures["delivery"]["p50_ms"] >= 295
    assert figures["delivery"]["p99_ms"] >= 320


async def test_an_overloaded_generator_is_invalid(tmp_path: Path) -> None:
    """A generator that had no time of its own says so, and withholds every figure."""
    async with FakeBarrage() as server:
        stage_fire = Stage.fire

        def slow(self: Stage, number: int, due_s: float) -> None:
            stage_fire(self, number, due_s)
            end_s = time.perf_counter() + 0.03
            while time.perf_counter() < end_s:
                pass

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Stage, "fire", slow)
            report = await scenarios.run("fanout", small_plan(server.url, tmp_path))
    assert not report.valid
    assert report.figures == {}
    assert any("late" in doubt for doubt in report.doubts)
    assert report.exit_code == 3
