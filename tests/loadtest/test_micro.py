"""The micro-benchmarks: every step runs, and one that is made slower is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest import baseline
from loadtest.micro import Step, all_steps, judge, measure, micro, reference


def test_every_step_runs_and_has_a_stored_ratio(tmp_path: Path) -> None:
    """Each can be done again and again, and the shipped baseline has exactly these."""
    with all_steps(tmp_path) as steps:
        found = measure(steps, 2)
        names = [step.name for step in steps]
    assert list(found) == names == list(baseline.load().ratios)
    assert all(us > 0 and ratio > 0 for us, ratio in found.values())


def times(number: int) -> Callable[[], None]:
    """The reference computation so many times."""

    def work() -> None:
        for _ in range(number):
            reference()

    return work


def test_a_step_that_was_made_slower_is_found() -> None:
    """A step that does three times its work is slower by about three, one that does its work is as before."""
    stored = {name: ratio for name, (_, ratio) in measure([Step("honest", times(2)), Step("slowed", times(2))], 10).items()}
    told: list[str] = []
    steps = [Step("honest", times(2)), Step("slowed", times(6))]
    rows = {row.name: row for row in judge(steps, stored, 10, 1.6, told.append)}
    assert (rows["honest"].state, rows["slowed"].state) == ("as before", "slower")
    assert rows["slowed"].change == pytest.approx(3, rel=0.4)
    assert sum("again" in text for text in told) == 20, "what seems slower is measured twice more"


def test_what_is_slow_once_is_measured_again() -> None:
    """A step that is disturbed in the first measurement is no regression."""
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        times(6 if len(calls) <= 6 else 1)()

    (row,) = judge([Step("unlucky", work)], {"unlucky": 0.01}, 5, 1.9, lambda text: None)
    assert row.state == "as before"
    assert len(calls) > 6


def test_the_command_stores_and_compares(tmp_path: Path) -> None:
    """--save writes a baseline; against one that it passes the status is 0, against a stricter past 99; part of it can be chosen."""
    file = tmp_path / "b.json"
    given = ["--rounds", "2", "--file", str(file), "--json"]
    assert CliRunner().invoke(micro, [*given, "--only", "decode"]).exit_code == 2  # there is none yet
    assert CliRunner().invoke(micro, [*given, "--save"]).exit_code == 0
    assert CliRunner().invoke(micro, [*given, "--only", "decode", "--save"]).exit_code == 0
    kept = baseline.load(file)
    assert len(kept.ratios) > 5
    assert CliRunner().invoke(micro, [*given, "--only", "encode", "--tolerance", "50"]).exit_code == 0
    faster = {name: ratio / 1000 for name, ratio in kept.ratios.items()}
    baseline.save(baseline.Baseline(made="", machine="", ratios=faster), file)
    done = CliRunner().invoke(micro, [*given, "--only", "decode", "--only", "frame"])
    assert done.exit_code == 99
    assert [(row["name"], row["state"]) for row in json.loads(done.stdout)] == [("decode", "slower"), ("frame", "slower")]
    assert CliRunner().invoke(micro, [*given, "--only", "nothing"]).exit_code == 2


def test_the_table_is_for_people(tmp_path: Path) -> None:
    """Without --json it shows a row for each step."""
    done = CliRunner().invoke(micro, ["--rounds", "1", "--file", str(tmp_path / "b.json"), "--save"])
    assert done.exit_code == 0
    assert "page rows" in done.output
