"""Reports for people and for programs."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from loadtest import report
from loadtest.plan import Plan
from loadtest.report import Report
from loadtest.truth import Violation

PLAN = Plan(url="http://127.0.0.1:1", data_dir=Path("data"))


def made(*, doubts: list[str] | None = None, violations: list[Violation] | None = None) -> Report:
    return report.make(
        "fanout",
        PLAN,
        doubts=doubts or [],
        violations=violations or [],
        figures={"sent": 12345, "delivery": {"p50_ms": 1.2345, "p99_ms": 123.45}, "drained": True, "rate": 5432.1},
        generator={"cpu_share": 0.25},
    )


def shown(found: Report) -> str:
    out = StringIO()
    report.show(found, Console(file=out, width=100))
    return out.getvalue()


def test_a_sound_report() -> None:
    """A sound run shows its figures, the command, the commit and the machine."""
    found = made()
    text = shown(found)
    assert (found.valid, found.true, found.exit_code) == (True, True, 0)
    for part in (
        "fanout",
        "12,345",
        "delivery p50_ms",
        "1.23",
        "123.5",
        "True",
        "5,432",
        "cpu_share",
        found.commit,
        "rules hold",
    ):
        assert part in text


def test_an_invalid_report_withholds_its_figures() -> None:
    """When the generator was saturated no figure is told, in either form."""
    found = made(doubts=["the generator was busy"])
    assert (found.exit_code, found.figures) == (3, {})
    text = shown(found)
    assert "12,345" not in text
    assert "the generator was busy; the figures are withheld" in text


def test_an_untrue_report_names_the_rules() -> None:
    """Broken rules are told in words with their first cases; this weighs more than doubts."""
    violations = [Violation("log_hole", f"case {number}") for number in range(60)]
    found = made(doubts=["busy"], violations=violations)
    assert (found.exit_code, found.broken_rules, len(found.violations)) == (1, {"log_hole": 60}, 50)
    text = shown(found)
    assert "broken 60 times: the log's numbers are contiguous and in order" in text
    assert "case 4" in text
    assert "case 5" not in text


def test_json() -> None:
    """The report as JSON has everything, paths as text."""
    data = msgspec.json.decode(made(violations=[Violation("log_hole", "case")]).json())
    assert data["plan"]["data_dir"] == "data"
    assert data["violations"] == [["log_hole", "case"]]
    assert data["machine"]["cpus"] > 0


def test_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is told without folders of this machine."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/loadtest/__main__.py", "bench", "fanout"])
    assert report.command() == "python -m loadtest bench fanout"
    monkeypatch.setattr(sys, "argv", ["/somewhere/pytest"])
    assert report.command() == "pytest"


def test_commit_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git or the history is missing the commit is empty."""
    monkeypatch.setenv("PATH", "")
    assert report.commit() == ""


def test_machine_without_proc(tmp_path: Path) -> None:
    """A system without /proc still has a name and a number of cores."""
    machine = report.machine(tmp_path)
    assert machine.cpus > 0
    assert machine.memory_gb == 0
    assert "CPython" in machine.python
