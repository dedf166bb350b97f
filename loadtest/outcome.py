"""What a run of a scenario came to: figures, judged thresholds, and a course over time; as JSON it can be read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from loadtest import report
from loadtest.report import EXIT_INVALID, VIOLATIONS_MAX, Machine
from loadtest.spec import MINIMA, Scenario, given
from loadtest.truth import Violation, summary

EXIT_BROKEN: Final = 99
PERCENTILES: Final = (0, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100)

Figures = dict[str, float | None]
"""By name; None: could not be measured."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold. ``where`` is a phase's name, or empty for the whole run; ``holds`` None: there was nothing to judge by."""

    where: str
    name: str
    limit: float
    value: float | None
    holds: bool | None

    @property
    def text(self) -> str:
        """For people: what was found, and what is asked."""
        value = "not measured" if self.value is None else f"{self.value:,.4g}"
        place = f" in {self.where}" if self.where else ""
        return f"{self.name}{place}: {value}, asked {'at least' if self.name in MINIMA else 'at most'} {self.limit:,.4g}"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a phase: from when to when (seconds since the first phase began), and what was measured there."""

    name: str
    step: int
    start_s: float
    end_s: float
    rate_per_s: float
    doubts: list[str]
    figures: Figures


class RoomsFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries in the rooms of one kind: over the whole run, and phase by phase (in the order in which they were played)."""

    name: str
    rooms: int
    figures: Figures
    phases: dict[str, Figures]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the course: ``at_s`` is the middle of a slot; rates are per second, shares are of a core.

    Latencies are 0 where nothing was due. What concerns the server is None when it could not be read.
    """

    at_s: float
    sent_per_s: float
    acked_per_s: float
    refused_per_s: float
    p50_ms: float
    p99_ms: float
    ack_p99_ms: float
    deliveries_per_s: float
    gap_events: int
    viewers: int
    server_cpu: float | None
    server_rss_mb: float | None
    descriptors: int | None
    generator_cpu: float
    left_out_per_s: float = 0.0


class Percentile(msgspec.Struct, frozen=True):
    """Latency at one percentile."""

    percentile: float
    delivery_ms: float
    ack_ms: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``valid`` false: the generator was saturated, ``doubts`` says how, and everything that was timed is withheld."""

    title: str
    scenario: str
    about: str
    started: str
    command: str
    commit: str
    machine: Machine
    url: str
    cost_source: str
    scale: float
    seconds: float
    viewers: int
    rooms: int
    workers: int = 1
    valid: bool
    doubts: list[str]
    notes: list[str]
    broken_rules: dict[str, int]
    violations: list[Violation]
    judgements: list[Judgement]
    counts: dict[str, int]
    refusals: dict[str, int]
    figures: Figures
    generator: dict[str, float]
    spans: list[Span]
    course: list[Point]
    percentiles: list[Percentile]
    by_rooms: list[RoomsFigures] = []

    @property
    def true(self) -> bool:
        """No rule of truth is broken."""
        return not self.broken_rules

    @property
    def broken(self) -> list[Judgement]:
        """Thresholds that do not hold."""
        return [each for each in self.judgements if each.holds is False]

    @property
    def exit_code(self) -> int:
        """0: sound. 99: a rule of truth or a threshold is broken. 3: the generator was saturated, so that times say nothing."""
        if self.broken_rules:
            return EXIT_BROKEN
        if not self.valid:
            return EXIT_INVALID
        return EXIT_BROKEN if self.broken else 0

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        if self.broken_rules:
            return "Untrue: something that was acknowledged or shown is not as it must be."
        if not self.valid:
            return "Invalid: the generator was saturated; this run says nothing about the server's speed."
        if self.broken:
            return f"Broken: {len(self.broken)} of {len(self.judgements)} thresholds do not hold."
        unknown = sum(each.holds is None for each in self.judgements)
        judged = (
            f"all {len(self.judgements) - unknown} thresholds that could be judged hold" if self.judgements else "no thresholds"
        )
        return f"Sound: {judged}" + (f"; {unknown} could not be." if unknown else ".")

    def json(self) -> bytes:
        """The result as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def load(path: Path) -> Result:
    """A result that was saved. Raises ValueError that says what is wrong with the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no result of `run --json`: {error}.") from None


def judge(thresholds: msgspec.Struct, figures: Mapping[str, float | None], where: str = "") -> list[Judgement]:
    """Hold figures against thresholds."""
    judged = []
    for name, limit in given(thresholds).items():
        value = figures.get(name)
        holds = None if value is None else value >= limit if name in MINIMA else value <= limit
        judged.append(Judgement(where=where, name=name, limit=limit, value=value, holds=holds))
    return judged


def make(
    scenario: Scenario,
    *,
    name: str,
    url: str,
    cost_source: str,
    scale: float,
    doubts: Sequence[str],
    notes: Sequence[str],
    violations: Sequence[Violation],
    counts: dict[str, int],
    refusals: dict[str, int],
    figures: Figures,
    generator: dict[str, float],
    spans: list[Span],
    course: list[Point],
    percentiles: list[Percentile],
    by_rooms: list[RoomsFigures],
) -> Result:
    """The result of a run that ends now. What was timed by a saturated generator is left out; counts and truth stay."""
    valid = not doubts
    judgements = judge(scenario.thresholds, figures)
    for phase in scenario.phases:
        spans_of = [span for span in spans if span.name == phase.name]
        if not phase.until_broken:
            judgements += [each for span in spans_of for each in judge(phase.thresholds, span.figures, phase.name)]
    figures_of = {each.name: each.figures for each in by_rooms}
    for rooms in scenario.rooms:
        judgements += judge(rooms.thresholds, figures_of.get(rooms.name, {}), f"rooms {rooms.name}")
    return Result(
        title=scenario.title,
        scenario=name,
        about=scenario.about.strip(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=report.command(),
        commit=report.commit(),
        machine=report.machine(),
        url=url,
        cost_source=cost_source,
        scale=scale,
        seconds=round(scenario.seconds, 3),
        viewers=scenario.viewers,
        rooms=sum(rooms.count for rooms in scenario.rooms),
        valid=valid,
        doubts=list(doubts),
        notes=list(notes),
        broken_rules=summary(violations),
        violations=list(violations[:VIOLATIONS_MAX]),
        judgements=judgements if valid else [],
        counts=counts,
        refusals=refusals,
        figures=figures if valid else {},
        generator=generator,
        spans=spans if valid else [],
        course=course if valid else [],
        percentiles=percentiles if valid else [],
        by_rooms=by_rooms if valid else [],
    )
