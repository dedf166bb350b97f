"""Two results side by side."""

from __future__ import annotations

import pytest

from loadtest.comparing import Comparison
from tests.loadtest.scenario_files import result


@pytest.mark.parametrize(
    ("name", "before", "after", "ratio", "change"),
    [
        ("p99_ms", 100.0, 200.0, 2.0, "worse"),
        ("p99_ms", 100.0, 50.0, 0.5, "better"),
        ("p99_ms", 100.0, 109.0, 1.09, "alike"),
        ("accepted_per_s", 100.0, 200.0, 2.0, "better"),
        ("loss", 0.0, 3.0, None, "worse"),
        ("loss", 0.0, 0.0, None, "alike"),
        ("accepted_per_s", 0.0, 5.0, None, "better"),
        ("sent_per_s", 10.0, 20.0, 2.0, ""),
        ("page_p99_ms", None, 20.0, None, ""),
    ],
)
def test_changes(name: str, before: float | None, after: float | None, ratio: float | None, change: str) -> None:
    """Less is better but for rates of work; a tenth is no change; what one run has not is no change either."""
    [row] = Comparison.of(result(figures={name: before}), result(figures={name: after})).rows
    assert (row.ratio if row.ratio is None else round(row.ratio, 3), row.change) == (ratio, change)
    assert (row.ratio_text == "") == (ratio is None)
    assert (row.before_text == "") == (before is None)


def test_what_neither_has() -> None:
    """A figure that neither run could measure is left out."""
    assert Comparison.of(result(figures={"p99_ms": None}), result(figures={})).rows == []


def test_notes() -> None:
    """Runs that failed, and runs of different sizes, are said to be so."""
    notes = Comparison.of(result(), result(figures={"p99_ms": 1e6}, scale=2.0)).notes
    assert notes == ["Second run: Broken: 1 of 2 thresholds do not hold.", "The scale differs: 1.0 and 2.0."]
