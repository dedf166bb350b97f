"""Plays a scenario: phase after phase, sampled and judged; what comes out is a :class:`~loadtest.outcome.Result`."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final, NamedTuple

from loadtest import outcome
from loadtest.acts import Act, Acts
from loadtest.arena import Arena, Person, Seen
from loadtest.arrivals import Pacer, Segment
from loadtest.books import Books, Part, Tick
from loadtest.outcome import Figures, Result, Span
from loadtest.probe import Cost, Probe
from loadtest.processes import Usage, Watch, doubts, sample
from loadtest.scenarios.stall import STALLED
from loadtest.spec import Phase, Scenario
from loadtest.stats import Histogram
from loadtest.truth import Violation

SAMPLE_EVERY_S: Final = 1.0
LOSSES: Final = frozenset(
    {
        "ack_lost",
        "log_hole",
        "page_missing",
        "live_not_static",
        "live_not_in_log",
        "stream_hole",
        "stream_short",
        "removal_lost",
        "echo_lost",
        "sample_unfair",
    }
)
"""Rules of truth whose violations count as ``loss``: something that was promised is not there."""


class Snapshot(NamedTuple):
    """What to show while a run goes on. Counts are since the start; ``ack_p99_ms`` is of the last second or so."""

    phase: str
    elapsed_s: float
    total_s: float
    sent: int
    acked: int
    refused: int
    waiting: int
    viewers: int
    ack_p99_ms: float
    gap_events: int
    server_cpu: float | None
    server_rss_mb: float | None
    generator_cpu: float


class _Step(NamedTuple):
    phase: Phase
    number: int
    start_s: float
    end_s: float
    rate_per_s: float
    doubts: list[str]
    broken: list[str]
    """Thresholds of the phase that did not hold, as far as could be told at once; only asked of those that go on until it breaks."""


class Gathered(NamedTuple):
    """All that one process of a run has to tell. ``generator``: its share of a core, lag and lateness (p99, ms), at their worst."""

    rooms: list[Seen]
    reads: list[Act]
    removals: list[Act]
    cuts: list[float]
    ticks: list[Tick]
    steps: list[_Step]
    notes: list[str]
    violations: list[Violation]
    begin_s: float
    end_s: float
    generator: tuple[float, float, float]
    source: str


class Conductor:
    """One run in an arena that is open. ``show`` is told how it stands, about once a second."""

    def __init__(
        self,
        arena: Arena,
        server_pid: int | None,
        show: Callable[[Snapshot], None] = lambda snapshot: None,
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._arena = arena
        self._scenario: Scenario = arena.scenario
        self._show = show
        self._notify = notify
        self._acts = Acts(arena)
        self._probe = Probe(server_pid, arena.http)
        self._ticks: list[Tick] = []
        self._steps: list[_Step] = []
        self._notes: list[str] = []
        self._phase = ""
        self._begin_s = 0.0
        self._lag = Histogram()
        self._late_ms = self._lag_ms = self._share = 0.0
        self._end_s = 0.0
        self._violations: list[Violation] = []

    async def run(self, name: str, url: str, scale: float = 1.0) -> Result:
        """Play all phases, let the server catch up, read everything back, and judge. Raises ReadbackError."""
        await self.play()
        return self.result(name, url, scale)

    async def play(self, others_ready: Callable[[], Awaitable[None]] | None = None) -> None:
        """All of :meth:`run` but the result. ``others_ready`` waits, after the last phase, for what other processes have to say."""
        self._begin_s = perf_counter()
        async with self._sampling():
            for phase in self._scenario.phases:
                await self._play(phase)
            self._notify("waiting for the last answers and deliveries")
            await self._acts.finish(self._scenario.drain_s)
            if others_ready is not None:
                await others_ready()
            drained = await self._arena.drain()
        if not drained:
            self._notes.append(
                f"After {self._scenario.drain_s:g} s some comments were still unanswered or not delivered, or people not back."
            )
        self._end_s = perf_counter()
        self._violations = [*await self._arena.judge(), *self._acts.violations]
        self._notify("counting")

    def gather(self) -> Gathered:
        """What was played, for another process to make the result of."""
        rooms = [
            Seen(
                room=room.site.room, base=room.base, batches=room.feed.batches, ledger=room.ledger, raid=room.raid,
                removal_due=room.removal_due, parsed=room.feed.parsed,
                people=[
                    Person(each.name, each.group, each.present, each.losses, each.absences, each.stream)
                    for each in room.people[: room.present]
                ],
            )
            for room in self._arena.rooms
        ]  # fmt: skip
        return Gathered(
            rooms=rooms, reads=self._acts.reads, removals=self._acts.removals, cuts=self._acts.cuts, ticks=self._ticks,
            steps=self._steps, notes=self._notes, violations=self._violations, begin_s=self._begin_s, end_s=self._end_s,
            generator=(self._share, self._lag_ms, self._late_ms), source=self._probe.source,
        )  # fmt: skip

    def take(self, gathered: Sequence[Gathered]) -> None:
        """Put what several processes played in the place of what this one would have; the first of them led. Then :meth:`result`."""
        lead = gathered[0]
        self._begin_s, self._probe.source = lead.begin_s, lead.source
        self._end_s = max(each.end_s for each in gathered)
        self._notes = list(dict.fromkeys(note for each in gathered for note in each.notes))
        self._violations = [violation for each in gathered for violation in each.violations]
        self._share, self._lag_ms, self._late_ms = (
            max(values) for values in zip(*(each.generator for each in gathered), strict=True)
        )
        for each in gathered:
            self._acts.reads += each.reads
            self._acts.removals += each.removals
            self._acts.cuts += each.cuts
        self._ticks = [_tick_of_all(tick, gathered) for tick in lead.ticks]
        self._steps = [
            step._replace(doubts=[text for each in gathered for text in each.steps[number].doubts])
            for number, step in enumerate(lead.steps)
        ]
        rooms = {room.site.room: room for room in self._arena.rooms}
        for room in rooms.values():
            room.people.clear()
        for each in gathered:
            for seen in each.rooms:
                rooms[seen.room].take(seen)

    # -- playing ------------------------------------------------------------------------------------------------------

    async def _play(self, phase: Phase) -> None:
        steps = phase.segments()
        for number, segments in enumerate(steps):
            self._phase = phase.name if len(steps) == 1 else f"{phase.name} {number + 1}/{len(steps)}"
            step = await self._play_step(phase, number, segments)
            self._steps.append(step)
            if phase.until_broken and step.doubts:
                self._notes.append(
                    f"{self._phase}: at {step.rate_per_s:,.0f} comments/s the generator was the limit"
                    f" ({'; '.join(step.doubts)}); the server's limit is higher than what was measured."
                )
                return
            if step.broken:
                self._notes.append(f"{self._phase}: at {step.rate_per_s:,.0f} comments/s this broke: {'; '.join(step.broken)}.")
                return

    async def _play_step(self, phase: Phase, number: int, segments: list[Segment]) -> _Step:
        seconds = sum(segment.seconds for segment in segments)
        watch, pacer = Watch(None), Pacer()
        start_s = perf_counter()
        async with watch:
            await self._acts.play(phase, number, segments, pacer, start_s)
        end_s = perf_counter()
        rate = sum((low + high) / 2 * length for length, low, high in segments) / seconds
        usage = Usage.of(watch.own)
        self._late_ms = max(self._late_ms, pacer.lateness.ms(99))
        self._lag_ms = max(self._lag_ms, watch.lag.ms(99))
        self._share = max(self._share, usage.cpu_share)
        found = doubts(usage, watch.lag, pacer.lateness)
        broken: list[str] = []
        if phase.until_broken and not found:
            drained = await self._arena.drain()
            self._tick(await self._probe.read())
            books = Books(self._arena, self._acts, self._ticks, [Part((start_s, end_s), counts=True)], perf_counter())
            figures = {**books.figures([0]), "loss": 0.0 if drained else 1.0}
            broken = [each.text for each in outcome.judge(phase.thresholds, figures) if each.holds is False]
            if not drained:
                broken.append("comments were still unanswered or not delivered when the waiting ended")
        return _Step(phase, number, start_s, end_s, rate, found, broken)

    # -- sampling -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _sampling(self) -> AsyncIterator[None]:
        self._tick(await self._probe.read())
        task = asyncio.create_task(self._sample_now_and_then())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._tick(await self._probe.read())

    async def _sample_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(min(SAMPLE_EVERY_S, self._scenario.seconds / 10))
            self._tick(await self._probe.read())
            self._show(self._snapshot())

    def _tick(self, cost: Cost | None) -> None:
        people = [person for person in self._arena.people if person.group != STALLED]
        gap_events = sum(last - first + 1 for person in people for first, last in person.stream.gaps)
        viewers = sum(person.present for person in people)
        self._ticks.append(Tick(perf_counter(), cost, sample(os.getpid()), gap_events, viewers))

    def _snapshot(self) -> Snapshot:
        before, now = self._ticks[-2], self._ticks[-1]
        ledgers = [room.ledger for room in self._arena.rooms]
        recent = Histogram()
        for each in self._lately(before.at_s):
            recent.record_s(each)
        seconds = max(now.at_s - before.at_s, 1e-9)
        cpu = None if now.cost is None or before.cost is None else (now.cost.cpu_s - before.cost.cpu_s) / seconds
        return Snapshot(
            phase=self._phase,
            elapsed_s=now.at_s - self._begin_s,
            total_s=self._scenario.seconds,
            sent=sum(len(ledger) for ledger in ledgers),
            acked=sum(ledger.count("acked") for ledger in ledgers),
            refused=sum(ledger.count("refused") for ledger in ledgers),
            waiting=sum(ledger.count("open") for ledger in ledgers),
            viewers=now.viewers,
            ack_p99_ms=recent.ms(99),
            gap_events=now.gap_events,
            server_cpu=cpu,
            server_rss_mb=None if now.cost is None else now.cost.rss_mb,
            generator_cpu=(now.own.cpu_s - before.own.cpu_s) / seconds,
        )

    def _lately(self, since_s: float) -> Iterator[float]:
        """How long the answers took that came since then; of a busy room its newest comments alone are looked at."""
        for room in self._arena.rooms:
            for each in room.ledger.newest(2000):
                if each.outcome == "acked" and each.answered_s >= since_s:
                    yield each.answered_s - each.intended_s

    # -- the result ---------------------------------------------------------------------------------------------------

    def result(self, name: str, url: str, scale: float = 1.0) -> Result:
        """The result of what was played."""
        violations, end_s = self._violations, self._end_s
        parts = [
            Part((step.start_s, step.end_s), counts=not step.phase.warm_up and not (step.phase.until_broken and step.doubts))
            for step in self._steps
        ]
        books = Books(self._arena, self._acts, self._ticks, parts, end_s)
        figures: Figures = books.whole()
        figures["loss"] = float(sum(each.rule in LOSSES for each in violations))
        spans = [
            Span(
                name=step.phase.name,
                step=step.number,
                start_s=round(step.start_s - self._begin_s, 3),
                end_s=round(step.end_s - self._begin_s, 3),
                rate_per_s=step.rate_per_s,
                doubts=step.doubts,
                figures=books.figures([number]),
            )
            for number, step in enumerate(self._steps)
        ]
        if any(phase.until_broken for phase in self._scenario.phases):
            figures["capacity_per_s"] = self._capacity()
        return outcome.make(
            self._scenario,
            name=name,
            url=url,
            cost_source=self._probe.source,
            scale=scale,
            doubts=self._doubts(),
            notes=self._notes,
            violations=violations,
            counts=self._counts(),
            refusals=self._refusals(),
            figures=figures,
            generator={
                "cpu_share": self._share,
                "loop_lag_p99_ms": self._lag_ms,
                "sent_late_p99_ms": self._late_ms,
                "rss_mb": max(tick.own.rss_bytes for tick in self._ticks) / 1e6,
                "frames_parsed": float(sum(room.feed.parsed for room in self._arena.rooms)),
            },
            spans=spans,
            course=books.course(),
            percentiles=books.percentiles(),
            by_rooms=books.by_rooms([step.phase.name for step in self._steps]),
        )

    def _doubts(self) -> list[str]:
        """Of every step but the last ones of phases that go on until something breaks: there the generator may be that."""
        return [f"{step.phase.name}: {text}" for step in self._steps if not step.phase.until_broken for text in step.doubts]

    def _capacity(self) -> float:
        """The highest rate of a step at which everything held; 0 when not even the first did."""
        return max(
            (step.rate_per_s for step in self._steps if step.phase.until_broken and not step.broken and not step.doubts),
            default=0.0,
        )

    def _counts(self) -> dict[str, int]:
        ledgers = [room.ledger for room in self._arena.rooms]
        raids = [room.raid for room in self._arena.rooms]
        people = self._arena.people
        counts = {
            "sent": sum(len(ledger) for ledger in ledgers),
            "acknowledged": sum(ledger.count("acked") for ledger in ledgers),
            "held": sum(ledger.count("held") for ledger in ledgers),
            "refused": sum(ledger.count("refused") for ledger in ledgers),
            "unanswered": sum(ledger.count("open") for ledger in ledgers),
            "sent again": sum(each.tries > 1 for ledger in ledgers for each in ledger),
            "events received": sum(
                batch.count * len(came) for room in self._arena.rooms for batch in room.feed.batches for came in batch.arrivals
            ),
            "left out of live frames": sum(len(batch.left_out) for room in self._arena.rooms for batch in room.feed.batches),
            "gaps": sum(len(person.stream.gaps) for person in people),
            "events in gaps": sum(last - first + 1 for person in people for first, last in person.stream.gaps),
            "connections cut": len(self._acts.cuts),
            "connections lost": sum(len(person.losses) for person in people),
            "returns": sum(len(person.absences) for person in people),
            "page reads": len(self._acts.reads),
            "removals": len(self._acts.removals),
            "raid comments": sum(len(raid) for raid in raids),
            "raid comments passed": sum(raid.count("acked") for raid in raids),
        }
        return {
            key: count for key, count in counts.items() if count or key in {"sent", "acknowledged", "refused", "unanswered"}
        }

    def _refusals(self) -> dict[str, int]:
        """By code, also temporary ones that a later try overcame, and those of raiders."""
        total: Counter[str] = Counter()
        for room in self._arena.rooms:
            total += room.ledger.refusals + room.raid.refusals
        return dict(total.most_common())


def _tick_of_all(tick: Tick, gathered: Sequence[Gathered]) -> Tick:
    """A sample of the leading process, with the people of the others as they were at about that time."""
    gap_events, viewers = tick.gap_events, tick.viewers
    for each in gathered[1:]:
        near = min(each.ticks, key=lambda other: abs(other.at_s - tick.at_s))
        gap_events += near.gap_events
        viewers += near.viewers
    return tick._replace(gap_events=gap_events, viewers=viewers)
