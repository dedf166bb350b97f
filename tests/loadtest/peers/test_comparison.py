"""Cells, duties and the status of a run."""

from __future__ import annotations

import os

import msgspec
import pytest

from loadtest import report
from loadtest.peers.comparison import Cell, Comparison, best, median_of, scheduling, verdicts
from tests.loadtest.peers.support import cell


def comparison(*cells: Cell) -> Comparison:
    """A run that found these cells."""
    return Comparison(
        started="2026-01-02T03:04:05+00:00", command="python -m loadtest peers", commit="abc", machine=report.machine(),
        scheduling="ordinary scheduling", load=(0.5, 1.5), viewers=1000, seconds=10.0, rounds=1, read_every_ms=20.0, server_cpu=0,
        cells=list(cells), missing={"nchan": "no nginx"}, verdicts=verdicts(list(cells)),
    )  # fmt: skip


def test_the_best_variant_is_the_one_that_costs_least() -> None:
    """Each server is judged by its best settings; a cell without figures does not count."""
    plain, deflate = cell("bun", 50.0, 100.0), cell("bun", 50.0, 120.0, "deflate")
    doubtful = Cell(server="bun", variant="fast", rate=50.0, doubts=["late"])
    assert best([plain, deflate, doubtful], "bun", 50.0) is deflate
    assert best([doubtful], "bun", 50.0) is None
    assert best([plain], "bun", 500.0) is None


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([cell("barrage", 50.0, 100.0), cell("bun", 50.0, 100.0)], [True, True, True]),
        ([cell("barrage", 50.0, 99.0), cell("bun", 50.0, 100.0)], [False, True, True]),
        ([cell("barrage", 500.0, 1000.0), cell("bun", 500.0, 200.0), cell("nchan", 500.0, 101.0)], [True, False, True, True]),
        ([cell("barrage", 500.0, 999.0), cell("bun", 500.0, 200.0), cell("nchan", 500.0, 99.0)], [False, True, True, True]),
        ([cell("barrage", 50.0, 9.0, kb_per_viewer=6.1, p99_ms=100.0), cell("bun", 50.0, 9.0)], [True, False, False]),
        ([cell("bun", 50.0, 9.0)], []),
    ],
)
def test_duties(cells: list[Cell], expected: list[bool]) -> None:
    """What must hold against which peer at which rate; memory and p99 besides; nothing is said of what was not measured."""
    assert [verdict.holds for verdict in verdicts(cells)] == expected


def test_a_server_that_does_not_keep_up_is_saturated() -> None:
    """A core that is full, or comments that do not arrive, tell so; a doubtful cell tells nothing."""
    assert cell("bun", 50.0, 1.0, cpu_share=0.95).saturated
    assert cell("bun", 50.0, 1.0, loss_share=0.02).saturated
    assert not cell("bun", 50.0, 1.0).saturated
    assert not Cell(server="bun", variant="plain", rate=50.0, doubts=["late"]).saturated


def test_several_rounds_are_one_cell_of_medians() -> None:
    """Each figure by itself; a round that has none is told but counts for nothing, and a broken rule stays broken."""
    doubtful = Cell(server="bun", variant="plain", rate=50.0, doubts=["late"], broken_rules={"stream_double": 1})
    one, two, three = (
        cell("bun", 50.0, 90.0, p99_ms=30.0),
        cell("bun", 50.0, 100.0, p99_ms=10.0),
        cell("bun", 50.0, 70.0, p99_ms=20.0),
    )
    found = median_of([one, doubtful, two, three])
    assert found.valid
    assert (found.figures["deliveries_per_cpu_s"], found.figures["p99_ms"]) == (90.0, 20.0)
    assert (found.spread("deliveries_per_cpu_s"), found.spread("p99_ms")) == ((70.0, 100.0), (10.0, 30.0))
    assert found.broken_rules == {"stream_double": 1}
    assert found.rounds == [one, doubtful, two, three]
    assert median_of([one]) is one
    assert one.spread("p99_ms") is None


def test_rounds_without_any_figures_give_none() -> None:
    """Why not is told once."""
    late = Cell(server="bun", variant="plain", rate=50.0, doubts=["late"])
    found = median_of([late, late])
    assert not found.valid
    assert found.doubts == ["late"]


def test_exit_status() -> None:
    """Broken truth is worse than missing figures, and these are worse than a duty that does not hold."""
    sound = [cell("barrage", 50.0, 100.0), cell("bun", 50.0, 100.0)]
    assert comparison(*sound).exit_code == 0
    assert comparison(cell("barrage", 50.0, 99.0), sound[1]).exit_code == 99
    assert comparison(*sound, Cell(server="ws", variant="plain", rate=50.0, doubts=["late"])).exit_code == 3
    assert comparison(*sound, msgspec.structs.replace(sound[1], broken_rules={"stream_double": 1})).exit_code == 1


def test_the_report_as_json() -> None:
    """The report names command, commit, machine, load and every cell."""
    found = msgspec.json.decode(comparison(cell("bun", 50.0, 100.0)).json())
    assert (found["command"], found["commit"], found["load"]) == ("python -m loadtest peers", "abc", [0.5, 1.5])
    assert found["machine"]["cpus"] == os.cpu_count()
    assert found["cells"][0]["figures"]["deliveries_per_cpu_s"] == 100.0


def test_scheduling_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether other load could disturb the run is part of the report."""
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: os.SCHED_FIFO)
    monkeypatch.setattr(os, "sched_getparam", lambda pid: os.sched_param(10))
    assert scheduling() == "SCHED_FIFO 10"
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: 77)
    monkeypatch.setattr(os, "sched_getparam", lambda pid: os.sched_param(0))
    assert scheduling() == "policy 77"
