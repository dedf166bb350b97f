"""Plots of staff's and public pages as inline SVG: bars, lines, and a graph of who goes with whom.

A plot is a picture with a title and a description for those who do not see it; the figures themselves stand in a table beside it,
which is the page's to make. Titles on one page differ: the parts of a plot are named by its own. Colours, fonts and lines come from
``plots.css``: nothing is styled inline, so the pages' policy needs no exception. All words come from the caller, in the reader's
language.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

SERIES_MAX: Final = 8
"""So many colours there are; what is beyond belongs to a last series, "others"."""

_WIDTH: Final = 520
_HEIGHT: Final = 220
_LEFT: Final = 46
_RIGHT: Final = 10
_TOP: Final = 12
_BOTTOM: Final = 34
_TICKS: Final = 4
_LABELS: Final = 6
_ROW: Final = 44


class Series(NamedTuple):
    """One row of figures, one for each label of the plot. ``values`` may have None in a plot of lines: the line is interrupted."""

    name: str
    values: Sequence[float | None]


class Tie(NamedTuple):
    """Two nodes of a graph, by their places in its list, and how close they are (0 to 1)."""

    one: int
    other: int
    weight: float = 1.0


def bars(title: str, description: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """Bars that stand for the sums over the series, each a part of its own colour; with a legend when there are several."""
    _check(labels, series)
    top = nice_top(max((sum(each.values[at] or 0 for each in series) for at in range(len(labels))), default=0))
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    wide = max(1.0, step * 0.72)
    parts = [_grid(top)]
    for at in range(len(labels)):
        low = 0.0
        for number, each in enumerate(series):
            value = each.values[at] or 0
            if value > 0:
                high = low + value
                tall = _y(low, top) - _y(high, top)
                parts.append(
                    f'<rect class="s{number}" x="{_LEFT + at * step + (step - wide) / 2:.1f}" y="{_y(high, top):.1f}" '
                    f'width="{wide:.1f}" height="{max(0.8, tall - (0.8 if low else 0)):.1f}"/>'
                )
                low = high
    parts.append(_labels(labels, lambda at: _LEFT + (at + 0.5) * step))
    return _figure(title, description, parts, series if len(series) > 1 else ())


def rows(title: str, description: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """Bars that lie, one below the other, each with its label above it and its sum at its end: for labels that are long."""
    _check(labels, series)
    sums = [sum(each.values[at] or 0 for each in series) for at in range(len(labels))]
    most = max(sums, default=0) or 1
    parts = []
    for at, label in enumerate(labels):
        y, left = at * _ROW + _TOP, 0.0
        parts.append(f'<text class="name" x="0" y="{y + 10}">{escape(label)}</text>')
        for number, each in enumerate(series):
            wide = (each.values[at] or 0) / most * (_WIDTH - _LEFT)
            if wide > 0:
                parts.append(
                    f'<rect class="s{number}" x="{left:.1f}" y="{y + 17}" width="{max(1.0, wide - 0.8):.1f}" height="12" rx="2"/>'
                )
                left += wide
        parts.append(f'<text class="end" x="{left + 6:.1f}" y="{y + 23}" dy="0.32em">{sums[at]:,g}</text>')
    return _figure(title, description, parts, series if len(series) > 1 else (), max(_ROW, len(labels) * _ROW) + _TOP)


def lines(title: str, description: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """A line for each series over the labels, which are evenly apart; with a legend when there are several."""
    _check(labels, series)
    top = nice_top(max((value for each in series for value in each.values if value is not None), default=0))
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels) - 1)
    parts = [_grid(top)]
    for number, each in enumerate(series):
        pen, path = "M", []
        for at, value in enumerate(each.values):
            if value is None:
                pen = "M"
            else:
                path.append(f"{pen}{_LEFT + at * step:.1f} {_y(value, top):.1f}")
                pen = "L"
        parts.append(f'<path class="line s{number}" d="{"".join(path)}"/>')
    parts.append(_labels(labels, lambda at: _LEFT + at * step, edge=True))
    return _figure(title, description, parts, series if len(series) > 1 else ())


def graph(title: str, description: str, groups: Sequence[Sequence[str]], ties: Sequence[Tie]) -> Markup:
    """Who goes with whom: the members of each group on a circle of its own, ties between them; a name is shown on its point.

    ``ties`` count the members of all groups through, in their order.
    """
    places: list[tuple[float, float]] = []
    parts: list[str] = []
    columns = max(1, math.ceil(math.sqrt(len(groups) * 2)))
    rows = max(1, math.ceil(len(groups) / columns))
    wide, tall = _WIDTH / columns, _HEIGHT / rows
    dots: list[str] = []
    for number, members in enumerate(groups):
        x, y = (number % columns + 0.5) * wide, (number // columns + 0.5) * tall
        radius = max(4.0, min(wide, tall) / 2 - 12)
        for at, name in enumerate(members):
            angle = 2 * math.pi * at / max(1, len(members)) - math.pi / 2
            places.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
            dots.append(
                f'<circle class="s{number % SERIES_MAX}" cx="{places[-1][0]:.1f}" cy="{places[-1][1]:.1f}" r="4.5">'
                f"<title>{escape(name)}</title></circle>"
            )
    for tie in ties:
        (x1, y1), (x2, y2) = places[tie.one], places[tie.other]
        strength = min(3, max(1, math.ceil(tie.weight * 3)))
        parts.append(f'<path class="tie w{strength}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>')
    return _figure(title, description, [*parts, *dots], ())


def nice_top(value: float) -> float:
    """The upper end of an axis: a round number of which a quarter is round as well, at least 4."""
    if value <= _TICKS:
        return float(_TICKS)
    step = value / _TICKS
    power = 10.0 ** math.floor(math.log10(step))
    nice = next(each for each in (1, 2, 2.5, 5, 10) if each * power >= step * 0.999_999)
    if nice == 2.5 and power < 10:  # no halves on the axes of small numbers
        nice = 3 if 3 * power >= step else 5
    return nice * power * _TICKS


def brief(value: float) -> str:
    """A number for an axis: thousands as k, millions as M."""
    for size, sign in ((1_000_000, "M"), (1000, "k")):
        if abs(value) >= size:
            return f"{value / size:.2f}".rstrip("0").rstrip(".") + sign
    return f"{value:g}"


def _check(labels: Sequence[str], series: Sequence[Series]) -> None:
    assert len(series) <= SERIES_MAX
    assert all(len(each.values) == len(labels) for each in series)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP)


def _grid(top: float) -> str:
    found = []
    for number in range(_TICKS + 1):
        value = top * number / _TICKS
        y = _y(value, top)
        found.append(f'<path class="{"grid" if number else "axis"}" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        found.append(f'<text class="value" x="{_LEFT - 6}" y="{y:.1f}" dy="0.32em">{brief(value)}</text>')
    return "".join(found)


def _labels(labels: Sequence[str], x: Callable[[int], float], *, edge: bool = False) -> str:
    """As many as there is room for, evenly apart, the last one among them; ``edge``: that one stands at the edge."""
    every = max(1, math.ceil(len(labels) / _LABELS))
    shown = [at for at in range(len(labels)) if (len(labels) - 1 - at) % every == 0]
    y = _HEIGHT - _BOTTOM + 18
    return "".join(
        f'<text class="{"label last" if edge and at == len(labels) - 1 else "label"}" x="{x(at):.1f}" y="{y}">'
        f"{escape(labels[at])}</text>"
        for at in shown
    )


def _figure(
    title: str, description: str, parts: Sequence[str], legend: Sequence[Series], height: int = _HEIGHT
) -> Markup:  # fmt: skip
    id_ = f"p{zlib.crc32(title.encode()):08x}"
    keys = "".join(f'<li><span class="key s{place}"></span>{escape(each.name)}</li>' for place, each in enumerate(legend))
    below = f'<ul class="legend">{keys}</ul>' if keys else ""
    # All that comes from outside is escaped where it is put in.
    return Markup(  # noqa: S704
        f'<figure class="plot"><svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{id_}t {id_}d">'
        f'<title id="{id_}t">{escape(title)}</title><desc id="{id_}d">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>{below}</figure>"
    )
