"""The report as one HTML file that needs nothing else: no script, no request, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loadtest.comparing import Comparison
from loadtest.outcome import Point, Result
from loadtest.plots import Band, Line, plot
from loadtest.spec import MINIMA
from loadtest.truth import RULES

UNITS: Final = {"_ms": "ms", "_mb": "MB", "_per_s": "/s", "_per_cpu_s": "per CPU-second", "_mb_per_h": "MB/h", "_per_h": "/h"}
"""Units by the ends of names, the longest that fits counts."""

_environment: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def render(result: Result) -> str:
    """The report of one run."""
    return _environment.get_template("report.html").render(
        result=result,
        plots=[figure for figure in _plots(result) if figure],
        value=shown,
        label=label,
        minima=MINIMA,
        rules=RULES,
        tone={0: "good", 3: "doubt"}.get(result.exit_code, "bad"),
    )


def render_comparison(both: Comparison) -> str:
    """Two runs side by side, with their courses over each other."""
    figures = [
        plot(
            title,
            [Line("first", _points(both.before, read)), Line("second", _points(both.after, read))],
            unit=unit,
        )
        for title, unit, read in (
            ("Delivery p99", "ms", lambda point: point.p99_ms or None),
            ("Acknowledgement p99", "ms", lambda point: point.ack_p99_ms or None),
            ("Deliveries per second", "", lambda point: point.deliveries_per_s),
            ("Server, share of a core", "", lambda point: point.server_cpu),
            ("Server, resident memory", "MB", lambda point: point.server_rss_mb),
        )
    ]
    return _environment.get_template("comparison.html").render(both=both, plots=[figure for figure in figures if figure])


def label(name: str) -> str:
    """A figure's name for people: without its unit, which stands beside the number."""
    unit = _unit_end(name)
    name = name.replace("p99_9", "p99.9")
    return name.removesuffix(unit).replace("_", " ") if unit else name.replace("_", " ")


def shown(name: str, value: float | None) -> str:
    """A figure with its unit."""
    if value is None:
        return "not measured"
    if name.endswith("_share"):
        return f"{value:.2%}" if value < 0.1 else f"{value:.0%}"
    number = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.3g}"
    return f"{number} {UNITS.get(_unit_end(name), '')}".strip()


def _unit_end(name: str) -> str:
    return max((end for end in UNITS if name.endswith(end)), key=len, default="")


def _points(result: Result, read: Callable[[Point], float | None]) -> list[tuple[float, float | None]]:
    return [(point.at_s, read(point)) for point in result.course]


def _plots(result: Result) -> list[Markup]:
    bands = [
        Band(span.name if not span.step else f"{span.rate_per_s:,.0f}/s", span.start_s, span.end_s) for span in result.spans
    ]

    def over_time(title: str, unit: str, **lines: Callable[[Point], float | None]) -> Markup:
        drawn = [Line(name.replace("_", " "), _points(result, read)) for name, read in lines.items()]
        return plot(title, drawn, unit=unit, bands=bands)

    return [
        over_time("Delivery latency", "ms", p50=lambda p: p.p50_ms or None, p99=lambda p: p.p99_ms or None),
        plot(
            "Latency by percentile",
            [
                Line("delivery", [(float(n), p.delivery_ms or None) for n, p in enumerate(result.percentiles)]),
                Line("acknowledgement", [(float(n), p.ack_ms or None) for n, p in enumerate(result.percentiles)]),
            ],
            x_label="percent of all",
            unit="ms",
            ticks=[(float(n), f"{p.percentile:g}") for n, p in enumerate(result.percentiles)],
        ),
        over_time("Acknowledgement latency", "ms", p99=lambda p: p.ack_p99_ms or None),
        over_time(
            "Comments per second",
            "",
            due=lambda p: p.sent_per_s,
            acknowledged=lambda p: p.acked_per_s,
            refused=lambda p: p.refused_per_s,
        ),
        over_time("Deliveries per second", "", deliveries=lambda p: p.deliveries_per_s),
        over_time("Left out of live frames, per second", "", events_times_viewers=lambda p: p.left_out_per_s)
        if any(p.left_out_per_s for p in result.course)
        else Markup(),
        over_time("Processor, share of a core", "", server=lambda p: p.server_cpu, generator=lambda p: p.generator_cpu),
        over_time("Server, resident memory", "MB", memory=lambda p: p.server_rss_mb),
        over_time("Server, open descriptors", "", descriptors=lambda p: p.descriptors),
        over_time("Viewers", "", viewers=lambda p: p.viewers),
        over_time("Events in gaps", "", events=lambda p: p.gap_events)
        if any(p.gap_events for p in result.course)
        else Markup(),
    ]
