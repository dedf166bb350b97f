"""Small scenarios and results for the tests of ``run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest import outcome
from loadtest.arena import Arena
from loadtest.conduct import Conductor
from loadtest.outcome import Percentile, Point, Result, Span
from loadtest.spec import Phase, Rooms, Scenario, Thresholds
from loadtest.truth import Violation
from tests.loadtest.support import secret_file

SMALL = """
title = "Small"
drain_s = 2
arrivals = "steady"

[[rooms]]
name = "demo"
viewers = 6
senders = 3

[[phases]]
name = "all"
seconds = 0.5
rate = 60

[thresholds]
loss = 0
absent = 0
p99_ms = 5000
"""


def small_file(folder: Path, text: str = SMALL) -> str:
    """A scenario file."""
    path = folder / "small.toml"
    path.write_text(text)
    return str(path)


def small(phases: Sequence[Phase] = (), *, viewers: int = 6, raiders: int = 0, **fields: Any) -> Scenario:
    """A scenario of half a second in the room of the fake server."""
    base: dict[str, Any] = {
        "title": "Small", "arrivals": "steady", "drain_s": 2.0,
        "rooms": [Rooms(name="demo", viewers=viewers, senders=3, raiders=raiders)],
        "phases": list(phases) or [Phase(name="all", seconds=0.5, rate=60)],
    }  # fmt: skip
    return Scenario(**(base | fields))


async def play(scenario: Scenario, url: str, folder: Path) -> Result:
    """Play a scenario against a server."""
    async with Arena(scenario, url, token_secret_file=secret_file(folder)) as arena:
        return await Conductor(arena, None).run("small", url)


def result(*, figures: outcome.Figures | None = None, **fields: Any) -> Result:
    """A result as a run leaves it behind."""
    scenario = small(thresholds=Thresholds(p99_ms=100, capacity_per_s=10))
    usual: outcome.Figures = {"p99_ms": 50.0, "refused_share": 0.033, "accepted_per_s": 60.0, "p99_drift": None}
    base: dict[str, Any] = {
        "name": "small", "url": "http://127.0.0.1:1", "cost_source": "process", "scale": 1.0, "doubts": [], "notes": ["A note."],
        "violations": [], "counts": {"sent": 30, "refused": 1}, "refusals": {"overloaded": 1},
        "figures": usual if figures is None else figures,
        "generator": {"cpu_share": 0.2}, "spans": [span("all", 0.0, 0.5)],
        "course": [point(0.25, p99_ms=50.0), point(0.75, p99_ms=40.0, server_cpu=None)],
        "percentiles": [Percentile(50, 30.0, 4.0), Percentile(100, 60.0, 9.0)], "by_rooms": [],
    }  # fmt: skip
    return outcome.make(scenario, **(base | fields))


def span(name: str, start_s: float, end_s: float, **fields: Any) -> Span:
    """One step with figures."""
    names = (
        "accepted_per_s",
        "p50_ms",
        "p99_ms",
        "ack_p99_ms",
        "refused_share",
        "deliveries_per_s",
        "server_cpu_share",
        "server_rss_mb",
    )
    base: dict[str, Any] = {"step": 0, "rate_per_s": 60.0, "doubts": [], "figures": dict.fromkeys(names, 1.5)}
    return Span(name=name, start_s=start_s, end_s=end_s, **(base | fields))


def point(at_s: float, **fields: Any) -> Point:
    """One moment of a course."""
    base: dict[str, Any] = {
        "sent_per_s": 60.0, "acked_per_s": 59.0, "refused_per_s": 1.0, "p50_ms": 30.0, "p99_ms": 50.0, "ack_p99_ms": 9.0,
        "deliveries_per_s": 360.0, "gap_events": 0, "viewers": 6, "server_cpu": 0.1, "server_rss_mb": 90.0, "descriptors": 20,
        "generator_cpu": 0.1,
    }  # fmt: skip
    return Point(at_s=at_s, **(base | fields))


def untrue() -> list[Violation]:
    """One violation."""
    return [Violation("stream_hole", "viewer-1: 7 to 7 never came, and no gap said so <b>")]
