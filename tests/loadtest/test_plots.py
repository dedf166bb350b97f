"""Plots."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.plots import Band, Line, nice_top, plot, short


@given(st.floats(1e-6, 1e12))
def test_axes_end_at_round_numbers(value: float) -> None:
    """An axis ends at or above the highest value, and leaves at most about half of itself empty."""
    top = nice_top(value)
    assert value * (1 - 1e-6) <= top <= value * 2.01


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (2.5, "2.5"), (9000, "9000"), (80_000, "80k"), (2_500_000, "2.5M"), (4e9, "4G")]
)
def test_numbers_of_axes(value: float, text: str) -> None:
    """Numbers are short."""
    assert short(value) == text


def test_a_plot() -> None:
    """A plot is well-formed, names its lines and bands, escapes what it is given, and says in words what it shows."""
    lines = [Line("p99 <b>", [(0, 5), (1, None), (2, 80), (3, 70)]), Line("flat", [(1, 0)])]
    drawn = str(plot("Latency & more", lines, unit="ms", bands=[Band("storm", 0, 3), Band("after the storm", 3, 3.1)]))
    root = ET.fromstring(drawn)
    assert [path.get("d", "").count("M") for path in root.iter("path")] == [2, 1]
    image = root.find("svg")
    assert image is not None
    assert image.get("aria-label") == "Latency & more: p99 <b> up to 80 ms, flat up to 0 ms"
    texts = ["".join(element.itertext()) for element in root.iter("text")]
    assert "storm" in texts
    assert "after the storm" not in texts
    assert "100 ms" in texts


def test_nothing_to_plot() -> None:
    """Without a value there is no figure."""
    assert plot("x", [Line("a", [(0, None)])]) == plot("x", []) == ""


def test_named_ticks() -> None:
    """Places of the x axis may have names; values that are all zero still have an axis."""
    drawn = str(plot("x", [Line("a", [(0, 0), (1, 0)])], ticks=[(0, "50"), (1, "99.9")]))
    assert ">99.9<" in drawn
