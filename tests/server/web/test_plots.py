"""server/web/plots.py"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from server.web.plots import Series, Tie, bars, brief, graph, lines, nice_top, rows

PLOTS = {
    "bars": bars("t<", "d&", ["a<", "b", "c"], [Series("x<", [1, 0, 3]), Series("y", [2, 5, None])]),
    "lines": lines("t<", "d&", ["a<", "b", "c", "d"], [Series("x<", [1, None, 3, 4]), Series("y", [0, 0, 0, 0])]),
    "rows": rows("t<", "d&", ["a<", "b"], [Series("x<", [1, 0]), Series("y", [3, None])]),
    "no rows": rows("t<", "d&", [], []),
    "graph": graph("t<", "d&", [["a<", "b"], ["c"]], [Tie(0, 1, 0.2), Tie(0, 2)]),
    "nothing": bars("t<", "d&", [], []),
    "no groups": graph("t<", "d&", [], []),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_well_formed_named_and_without_style(name: str) -> None:
    """It is a picture with title and description; what comes from outside is escaped; no inline style, whatever the plot."""
    figure = ET.fromstring(str(PLOTS[name]))
    svg = figure.find("svg")
    assert svg is not None
    assert svg.get("role") == "img"
    title, description = svg.find("title"), svg.find("desc")
    assert title is not None
    assert description is not None
    assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert (title.text, description.text) == ("t<", "d&")
    assert " style=" not in PLOTS[name]


def test_bars_stand_upon_one_another() -> None:
    """The parts of a bar touch but for a thin line, and their heights are as their values."""
    heights = [(float(y), float(h)) for y, h in re.findall(r'<rect[^>]* y="([\d.]+)"[^>]* height="([\d.]+)"', PLOTS["bars"])]
    assert len(heights) == 4
    (first_y, first), (second_y, second) = heights[:2]
    assert second_y + second == pytest.approx(first_y, abs=1)
    assert second == pytest.approx(2 * first, abs=2)


def test_lying_bars_have_their_sum_at_their_end() -> None:
    """The longest fills the width; the parts of one lie behind one another."""
    assert re.findall(r'class="end"[^>]*>([^<]+)<', PLOTS["rows"]) == ["4", "0"]
    (first, x), (second, _) = (
        (float(w), float(x)) for x, w in re.findall(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', PLOTS["rows"])
    )
    assert second == pytest.approx(3 * first, abs=2)
    assert x == 0


def test_a_line_is_interrupted_where_nothing_is_known() -> None:
    """A gap is no zero."""
    paths = re.findall(r'class="line s0" d="([^"]+)"', PLOTS["lines"])
    assert [re.sub(r"[\d. ]+", "", path) for path in paths] == ["MML"]


def test_a_legend_is_there_when_there_are_several() -> None:
    """With the names of the series."""
    assert PLOTS["bars"].count('class="key') == 2
    assert "x&lt;" in PLOTS["bars"]
    assert "legend" not in bars("t", "d", ["a"], [Series("x", [1])])


def test_labels_are_as_many_as_there_is_room_for() -> None:
    """Evenly apart, with the last one."""
    labels = [str(number) for number in range(24)]
    shown = re.findall(r'class="label[^"]*"[^>]*>(\d+)<', lines("t", "d", labels, [Series("x", [0.0] * 24)]))
    assert len(shown) <= 6
    assert shown[-1] == "23"


@pytest.mark.parametrize(("value", "top"), [(0, 4), (3, 4), (5, 8), (9, 12), (13, 20), (41, 80), (100, 100), (1234, 2000)])
def test_axes_end_at_round_numbers(value: float, top: float) -> None:
    """And each of their four steps is one."""
    assert nice_top(value) == top
    assert nice_top(value) >= value


def test_numbers_of_axes_are_brief() -> None:
    """Thousands and millions by a letter."""
    assert [brief(each) for each in (0, 2.5, 999, 1000, 12_500, 2_000_000)] == ["0", "2.5", "999", "1k", "12.5k", "2M"]


def test_a_graph_has_a_point_for_each_name_and_a_line_for_each_tie() -> None:
    """The closer, the stronger the line."""
    assert PLOTS["graph"].count("<circle") == 3
    assert re.findall(r'class="tie (w\d)"', PLOTS["graph"]) == ["w1", "w3"]
