"""Viewers that are cut off and come back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.scenarios.churn import churn, fill_gaps, uncovered
from loadtest.stage import Stage
from tests.loadtest.support import small_plan
from tests.support.fake_barrage import FakeBarrage


async def test_everybody_ends_with_everything(tmp_path: Path) -> None:
    """However often viewers are cut off, what they received and what the history fills in is the whole log."""
    async with FakeBarrage(resume_max=5) as server:
        plan = small_plan(server.url, tmp_path, seconds=1.0, cut_every_s=0.2, away_max_s=0.2)
        stage = Stage(plan)
        async with stage:
            figures = await churn(stage)
            assert await stage.judge() == []
    assert figures["cuts"] >= 5
    assert figures["all_came_back"]
    assert figures["drained"]
    assert figures["gaps"] > 0
    assert figures["gap_events"] == figures["gap_events_filled"]


async def test_a_gap_that_cannot_be_filled_is_found(tmp_path: Path) -> None:
    """An event that neither came nor stands in the history is a hole."""
    async with FakeBarrage() as server:
        stage = Stage(small_plan(server.url, tmp_path))
        async with stage:
            stage.people[0].stream.gap(1, 3)
            filled = await fill_gaps(stage)
    assert filled == 0
    assert [violation.rule for violation in stage.people[0].stream.violations] == ["stream_hole"]


@pytest.mark.parametrize(
    ("runs", "missing"),
    [
        ([], [(1, 9)]),
        ([(1, 9)], []),
        ([(0, 99)], []),
        ([(3, 4), (1, 1)], [(2, 2), (5, 9)]),
        ([(1, 5), (2, 3), (7, 20)], [(6, 6)]),
        ([(12, 15)], [(1, 9)]),
    ],
)
def test_uncovered(runs: list[tuple[int, int]], missing: list[tuple[int, int]]) -> None:
    """What no run covers is told as runs."""
    assert uncovered(runs, 1, 9) == missing


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8))))
def test_uncovered_is_the_complement(pieces: list[tuple[int, int]]) -> None:
    """Covered and uncovered numbers together are all numbers, and none is both."""
    runs = [(start, start + length) for start, length in pieces]
    covered = {number for start, end in runs for number in range(start, end + 1)}
    missing = {number for start, end in uncovered(runs, 3, 15) for number in range(start, end + 1)}
    assert missing == set(range(3, 16)) - covered
