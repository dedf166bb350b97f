"""Plots as inline SVG: axes, lines, legends, and nothing that a browser would have to fetch. Colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

WIDTH: Final = 460
HEIGHT: Final = 210
_LEFT: Final = 56
_RIGHT: Final = 12
_TOP: Final = 14
_BOTTOM: Final = 30

_Scale = Callable[[float], float]


class Line(NamedTuple):
    """One line: its name for the legend, and its points as (x, y); a y of None interrupts it."""

    name: str
    points: Sequence[tuple[float, float | None]]


class Band(NamedTuple):
    """A part of the x axis with a name: a phase."""

    name: str
    start: float
    end: float


def plot(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str = "seconds",
    unit: str = "",
    bands: Sequence[Band] = (),
    ticks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """A figure with its legend. ``ticks``: names at places of the x axis, instead of numbers. Empty when there are no points."""
    lines = [line for line in lines if any(y is not None for _, y in line.points)]
    if not lines:
        return Markup()
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points if y is not None]
    first, last = min([*xs, *(band.start for band in bands)]), max([*xs, *(band.end for band in bands)])
    top = nice_top(max(ys) * 1.05)
    across = (WIDTH - _LEFT - _RIGHT) / (last - first if last > first else 1.0)
    down = (HEIGHT - _TOP - _BOTTOM) / top

    def x_of(x: float) -> float:
        return _LEFT + (x - first) * across

    def y_of(y: float) -> float:
        return HEIGHT - _BOTTOM - y * down

    parts = [_bands(bands, x_of), _y_axis(top, y_of, unit), _x_axis(first, last, x_of, ticks)]
    for number, line in enumerate(lines):
        parts.append(Markup('<path class="line c{}" d="{}"/>').format(number % 4, _path(line, x_of, y_of)))
    legend = Markup("").join(
        Markup('<span class="key"><i class="c{}"></i>{}</span>').format(number % 4, line.name)
        for number, line in enumerate(lines)
    )
    said = f"{title}: " + ", ".join(
        f"{line.name} up to {max(y for _, y in line.points if y is not None):,.4g} {unit}" for line in lines
    )
    return Markup(
        '<figure><figcaption><b>{}</b> {}</figcaption><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
        '<text class="axis" x="{}" y="{}" text-anchor="end">{}</text></svg></figure>'
    ).format(title, legend, WIDTH, HEIGHT, said.strip(), Markup("").join(parts), WIDTH - _RIGHT, HEIGHT - 2, x_label)


def nice_top(value: float) -> float:
    """The end of an axis: a round number (1, 2, 2.5, 4, 5, 8 times a power of ten) that is not below ``value``."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 2.5, 4, 5, 8, 10) if step * power >= value * (1 - 1e-9)), 10 * power)


def short(value: float) -> str:
    """A number for an axis."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):g}{sign}"
    return f"{value:g}"


def _bands(bands: Sequence[Band], x_of: _Scale) -> Markup:
    parts = []
    for number, band in enumerate(bands):
        left, right = x_of(band.start), x_of(band.end)
        parts.append(
            Markup('<rect class="band b{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"><title>{}</title></rect>').format(
                number % 2, left, _TOP, max(0.0, right - left), HEIGHT - _TOP - _BOTTOM, band.name
            )
        )
        if (right - left) > 6 * len(band.name):
            parts.append(Markup('<text class="axis" x="{:.1f}" y="{}">{}</text>').format(left + 3, _TOP + 10, band.name))
    return Markup("").join(parts)


def _y_axis(top: float, y_of: _Scale, unit: str) -> Markup:
    parts = []
    for step in range(5):
        value = top * step / 4
        y = y_of(value)
        label = f"{short(value)} {unit}".strip() if step == 4 else short(value)
        parts.append(
            Markup(
                '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
                '<text class="axis" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
            ).format(_LEFT, WIDTH - _RIGHT, y, _LEFT - 4, y + 4, label)
        )
    return Markup("").join(parts)


def _x_axis(first: float, last: float, x_of: _Scale, ticks: Sequence[tuple[float, str]]) -> Markup:
    if not ticks:
        step = nice_top((last - first) / 6)
        start = math.ceil(first / step)
        ticks = [(number * step, short(number * step)) for number in range(start, math.floor(last / step + 1e-9) + 1)]
    return Markup("").join(
        Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            x_of(x), HEIGHT - _BOTTOM + 13, name
        )
        for x, name in ticks
    )


def _path(line: Line, x_of: _Scale, y_of: _Scale) -> str:
    """The commands of a path; a single point becomes a short dash, so that it can be seen."""
    commands: list[str] = []
    pen_down = False
    for x, y in line.points:
        if y is None:
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{x_of(x):.1f} {y_of(y):.1f}")
        pen_down = True
    if len(commands) == 1:
        commands.append("h3")
    return str(escape("".join(commands)))
