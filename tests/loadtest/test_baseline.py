"""The comparing of steps with the stored baseline."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import baseline
from loadtest.baseline import Baseline, compare, ratio_of, slower

RATIOS = st.floats(1e-6, 1e3)


def test_a_step_that_became_slower_is_found() -> None:
    """Above the tolerance it is slower, below its inverse faster, in between as before; both ends are still as before."""
    now = {"a": (1.0, 1.31), "b": (1.0, 1.3), "c": (1.0, 1 / 1.3), "d": (1.0, 0.76), "e": (1.0, 1.0)}
    rows = compare(now, dict.fromkeys("abcde", 1.0), 1.3)
    assert [row.state for row in rows] == ["slower", "as before", "as before", "faster", "as before"]
    assert slower(rows) == ["a"]
    assert [row.change for row in rows] == [1.31, 1.3, 1 / 1.3, 0.76, 1.0]


def test_steps_that_one_side_does_not_have_are_no_regression() -> None:
    """A new step and one that is gone are told, the latter last, and make nothing slower."""
    rows = compare({"new": (2.0, 0.5)}, {"old": 0.1})
    assert [(row.name, row.state, row.change) for row in rows] == [("new", "new", None), ("old", "gone", None)]
    assert slower(rows) == []


@given(step=RATIOS, stored=RATIOS, machine=st.floats(0.01, 100), tolerance=st.floats(1.01, 5))
def test_a_slower_machine_changes_nothing(step: float, stored: float, machine: float, tolerance: float) -> None:
    """Only the ratio is compared: the same ratio in other microseconds is judged alike."""
    here = compare({"a": (step, step)}, {"a": stored}, tolerance)[0]
    there = compare({"a": (step * machine, step)}, {"a": stored}, tolerance)[0]
    assert (here.state, here.change) == (there.state, there.change)
    assert (here.state == "slower") == (step / stored > tolerance)


@given(st.lists(st.floats(1e-6, 1), min_size=1), st.lists(st.floats(1e-6, 1), min_size=1), st.floats(0, 1))
def test_what_disturbs_single_rounds_does_not_matter(took: list[float], reference: list[float], delay: float) -> None:
    """Rounds that something else made longer change the ratio of the least times in no way."""
    longer = [*took, *(each + delay for each in took)]
    assert ratio_of(longer, reference) == ratio_of(took, reference) == min(took) / min(reference)


@pytest.mark.parametrize(("took", "reference"), [([], [1.0]), ([1.0], []), ([0.0], [1.0]), ([1.0], [1.0, 0.0])])
def test_times_of_nothing_have_no_ratio(took: list[float], reference: list[float]) -> None:
    """No rounds, or a clock that stood still, is an error and not a ratio."""
    with pytest.raises(ValueError, match="above 0"):
        ratio_of(took, reference)


def test_a_tolerance_leaves_room() -> None:
    """A tolerance of 1 would call every run slower or faster."""
    with pytest.raises(ValueError, match="above 1"):
        compare({}, {}, 1.0)


def test_a_baseline_is_kept_in_a_file(tmp_path: Path) -> None:
    """What was saved is read again."""
    kept = Baseline(made="2026-11-22", machine="a machine", ratios={"a": 0.5})
    baseline.save(kept, tmp_path / "b.json")
    assert baseline.load(tmp_path / "b.json") == kept


@pytest.mark.parametrize(
    ("text", "says"), [(None, "--save"), ("{", "is no baseline"), ('{"made":"","machine":"","ratios":{"a":0}}', "above 0")]
)
def test_a_file_that_is_no_baseline_says_so(tmp_path: Path, text: str | None, says: str) -> None:
    """Missing, unreadable or without sense: the error names the file and what to do."""
    path = tmp_path / "b.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=says):
        baseline.load(path)


def test_the_shipped_baseline_can_be_read() -> None:
    """The file that comes with the tool holds a ratio for each step."""
    assert baseline.load().ratios
