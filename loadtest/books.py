"""Figures of a run, taken from what its people and its server left behind, for any part of its time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from loadtest.acts import Act, Acts
from loadtest.arena import Arena
from loadtest.ledger import Submission
from loadtest.outcome import PERCENTILES, Figures, Percentile, Point, RoomsFigures
from loadtest.probe import Cost
from loadtest.processes import Sample
from loadtest.stats import Histogram, Timeline, Window, delivered_over, slope_per_h

SLOTS_MAX: Final = 120
SLOPE_MIN_S: Final = 120.0
"""A shorter time says nothing about a leak: every server takes memory while it warms up."""
SETTLING_SHARE: Final = 0.5
"""Part of the time at the beginning that does not count for slopes: bounded memories fill until then, a leak does not end."""


class Tick(NamedTuple):
    """What is sampled about once a second. ``gap_events`` and ``viewers`` are of those who are meant to keep up."""

    at_s: float
    cost: Cost | None
    own: Sample
    gap_events: int
    viewers: int


class Part(NamedTuple):
    """One step of a phase that was played; ``counts`` says whether it is part of the figures of the whole run."""

    window: Window
    counts: bool


class Books:
    """Reads figures out of a run. ``parts`` in order; what was due outside of them is in none."""

    def __init__(self, arena: Arena, acts: Acts, ticks: Sequence[Tick], parts: Sequence[Part], end_s: float) -> None:
        self._arena = arena
        self._acts = acts
        self._ticks = ticks
        self._end_s = end_s
        self._submissions = [each for room in arena.rooms for each in room.ledger]
        self.parts = list(parts)
        self.edges, self._slots = _edges(self.parts)
        self._delivery = Timeline(self.edges)
        self._by_rooms = {rooms.name: Timeline(self.edges) for rooms in arena.scenario.rooms}
        self._removal = Timeline(self.edges)
        self._arrived = [0] * (len(self.edges) - 1)
        self._left_out = [0] * (len(self.edges) - 1)
        for room in arena.rooms:
            due_s = room.due_times()
            self._delivery.add(room.feed.batches, due_s)
            if len(self._by_rooms) > 1:
                self._by_rooms[room.rooms.name].add(room.feed.batches, due_s)
            if room.removal_due:
                self._removal.add(room.feed.batches, room.removal_due)
            for slot, count in enumerate(delivered_over(room.feed.batches, self.edges)):
                self._arrived[slot] += count
            for slot, count in enumerate(delivered_over(room.feed.batches, self.edges, lambda batch: len(batch.left_out))):
                self._left_out[slot] += count

    # -- figures ------------------------------------------------------------------------------------------------------

    def figures(self, chosen: Iterable[int]) -> Figures:
        """Figures of these parts, by the names of thresholds and some more. Latencies count from when things were due."""
        parts = list(chosen)
        windows = [self.parts[part].window for part in parts]
        inside = _inside(windows)
        sent = [each for each in self._submissions if inside(each.intended_s)]
        delivery = self._together(self._delivery, parts)
        acks = self._ack_histogram(sent)
        seconds = sum(end - start for start, end in windows)
        deliveries = sum(self._arrived[slot] for part in parts for slot in self._slots[part])
        left_out = sum(self._left_out[slot] for part in parts for slot in self._slots[part])
        gap_events = sum(self._gap_events(window) for window in windows)
        cpu_s = self._cpu_s(windows)
        reads = [read for read in self._acts.reads if inside(read.due_s)]
        removals = [act for act in self._acts.removals if inside(act.due_s)]
        returns = [took for person in self._arena.people for back_s, took in person.absences if inside(back_s)]
        raided = [each for room in self._arena.rooms for each in room.raid if inside(each.intended_s)]
        rss = [tick.cost.rss_mb for tick in self._ticks if tick.cost is not None and inside(tick.at_s)]
        refused = sum(each.outcome == "refused" for each in sent)
        return {
            "p50_ms": _ms(delivery, 50), "p99_ms": _ms(delivery, 99), "p99_9_ms": _ms(delivery, 99.9), "max_ms": _ms(delivery, 100),
            "ack_p50_ms": _ms(acks, 50), "ack_p99_ms": _ms(acks, 99),
            "removal_p99_ms": _ms(self._together(self._removal, parts), 99),
            "removal_failures": float(sum(not act.good for act in removals)) if removals else None,
            "page_p99_ms": _ms(_of_acts(reads), 99),
            "page_error_share": _share(sum(not read.good for read in reads), len(reads)),
            "page_reads_per_s": len(reads) / seconds if reads else None,
            "return_p99_ms": _ms(_of_seconds(returns), 99),
            "sent_per_s": len(sent) / seconds,
            "accepted_per_s": sum(inside(each.answered_s) for each in self._submissions if each.outcome == "acked") / seconds,
            "refused_share": _share(refused, len(sent)),
            "unanswered_share": _share(sum(each.outcome == "open" for each in sent), len(sent)),
            "raid_passed_share": _share(sum(each.outcome == "acked" for each in raided), len(raided)),
            "deliveries_per_s": deliveries / seconds,
            "left_out_share": _share(left_out, deliveries + left_out),
            "gap_share": _share(gap_events, deliveries + gap_events),
            "server_cpu_share": None if cpu_s is None else cpu_s / seconds,
            "deliveries_per_cpu_s": deliveries / cpu_s if cpu_s and deliveries else None,
            "server_rss_mb": max(rss, default=None),
        }  # fmt: skip

    def whole(self) -> Figures:
        """Figures of all parts that count, and those that only a whole run has."""
        parts = [number for number, part in enumerate(self.parts) if part.counts]
        if not parts:
            return {}
        here = self._arena.people
        return {
            **self.figures(parts),
            "absent": float(sum(not person.present for person in here)),
            "join_p99_ms": _ms(self._arena.joining, 99),
            **self._growth(parts),
        }

    def by_rooms(self, names: Sequence[str]) -> list[RoomsFigures]:
        """Deliveries by kind of rooms, where there are several; ``names`` are those of the phases, one for each part."""
        if len(self._by_rooms) < 2:
            return []
        made = []
        for rooms in self._arena.scenario.rooms:
            timeline = self._by_rooms[rooms.name]
            counted = [number for number, part in enumerate(self.parts) if part.counts]
            phases = {
                name: _delivered(self._together(timeline, [number for number in counted if names[number] == name]))
                for name in dict.fromkeys(names[number] for number in counted)
            }
            p99s = [found["p99_ms"] for found in phases.values() if found["p99_ms"]]
            figures = _delivered(self._together(timeline, counted))
            figures["p99_rise"] = max(p99s) / p99s[0] if p99s else None
            made.append(RoomsFigures(name=rooms.name, rooms=rooms.count, figures=figures, phases=phases))
        return made

    def percentiles(self) -> list[Percentile]:
        """Latency by percentile over all parts that count."""
        parts = [number for number, part in enumerate(self.parts) if part.counts]
        inside = _inside([self.parts[part].window for part in parts])
        delivery = self._together(self._delivery, parts)
        acks = self._ack_histogram([each for each in self._submissions if inside(each.intended_s)])
        return [Percentile(at, delivery.ms(at), acks.ms(at)) for at in PERCENTILES] if delivery.count or acks.count else []

    def course(self) -> list[Point]:
        """The run over time, one point for each slot of each part."""
        slots = len(self.edges) - 1
        sent, acked, refused = [0] * slots, [0] * slots, [0] * slots
        acks = [Histogram() if slots <= SLOTS_MAX * 2 else None for _ in range(slots)]
        for each in self._submissions:
            due = self._slot(each.intended_s)
            if due is not None:
                sent[due] += 1
                histogram = acks[due]
                if histogram is not None:
                    histogram.record_s(self._answer_s(each))
            answered = self._slot(each.answered_s) if each.answered_s else None
            if answered is not None:
                acked[answered] += each.outcome == "acked"
                refused[answered] += each.outcome == "refused"
        points = []
        for slot in sorted(slot for slots_of in self._slots for slot in slots_of):
            start_s, end_s = self.edges[slot], self.edges[slot + 1]
            seconds, latency, histogram = end_s - start_s, self._delivery.histogram(slot, slot + 1), acks[slot]
            tick = self._tick_at(end_s)
            points.append(
                Point(
                    at_s=round((start_s + end_s) / 2 - self.edges[0], 3),
                    sent_per_s=sent[slot] / seconds,
                    acked_per_s=acked[slot] / seconds,
                    refused_per_s=refused[slot] / seconds,
                    p50_ms=latency.ms(50),
                    p99_ms=latency.ms(99),
                    ack_p99_ms=histogram.ms(99) if histogram is not None else 0.0,
                    deliveries_per_s=self._arrived[slot] / seconds,
                    left_out_per_s=self._left_out[slot] / seconds,
                    gap_events=self._gap_events((start_s, end_s)),
                    viewers=tick.viewers if tick is not None else 0,
                    server_cpu=self._cpu_share(start_s, end_s),
                    server_rss_mb=tick.cost.rss_mb if tick is not None and tick.cost is not None else None,
                    descriptors=tick.cost.descriptors if tick is not None and tick.cost is not None else None,
                    generator_cpu=self._own_share(start_s, end_s),
                )
            )
        return points

    # -- parts of them ------------------------------------------------------------------------------------------------

    def _answer_s(self, each: Submission) -> float:
        """From due time to the answer; one that never came counts with all the time that has passed."""
        return (each.answered_s or self._end_s) - each.intended_s

    def _ack_histogram(self, submissions: Iterable[Submission]) -> Histogram:
        """Acknowledged and unanswered ones: what was refused or held was answered, but with no acknowledgement."""
        return _of_seconds(self._answer_s(each) for each in submissions if each.outcome in {"acked", "open"})

    def _together(self, timeline: Timeline, parts: Iterable[int]) -> Histogram:
        merged = Timeline([0.0, 1.0])
        for part in parts:
            for slot in self._slots[part]:
                merged.slots[0].update(timeline.slots[slot])
        return merged.histogram()

    def _slot(self, at_s: float) -> int | None:
        slot = bisect_right(self.edges, at_s) - 1
        return slot if 0 <= slot < len(self.edges) - 1 else None

    def _around(self, window: Window) -> list[Tick]:
        """Ticks of a window, with the one before it and the one after it: a short window lies between two."""
        first = max(0, bisect_right(self._ticks, window[0], key=lambda tick: tick.at_s) - 1)
        last = bisect_left(self._ticks, window[1], key=lambda tick: tick.at_s)
        return list(self._ticks[first : last + 1])

    def _tick_at(self, at_s: float) -> Tick | None:
        number = bisect_right(self._ticks, at_s, key=lambda tick: tick.at_s)
        return self._ticks[max(0, number - 1)] if self._ticks else None

    def _gap_events(self, window: Window) -> int:
        first, last = self._tick_at(window[0]), self._tick_at(window[1])
        return last.gap_events - first.gap_events if first is not None and last is not None else 0

    def _cpu_s(self, windows: Iterable[Window]) -> float | None:
        total = 0.0
        for window in windows:
            share = self._cpu_share(*window)
            if share is None:
                return None
            total += share * (window[1] - window[0])
        return total

    def _cpu_share(self, start_s: float, end_s: float) -> float | None:
        costs = [tick.cost for tick in self._around((start_s, end_s)) if tick.cost is not None]
        if len(costs) < 2 or costs[-1].at_s <= costs[0].at_s:
            return None
        return (costs[-1].cpu_s - costs[0].cpu_s) / (costs[-1].at_s - costs[0].at_s)

    def _own_share(self, start_s: float, end_s: float) -> float:
        ticks = self._around((start_s, end_s))
        if len(ticks) < 2:
            return 0.0
        first, last = ticks[0].own, ticks[-1].own
        return (last.cpu_s - first.cpu_s) / max(last.at_s - first.at_s, 1e-9)

    def _growth(self, parts: Sequence[int]) -> Figures:
        """Slopes of memory and descriptors, and how much slower the last third is than the first; None: too short a time."""
        start_s, end_s = self.parts[parts[0]].window[0], self.parts[parts[-1]].window[1]
        if end_s - start_s < SLOPE_MIN_S:
            return {"rss_slope_mb_per_h": None, "descriptor_slope_per_h": None, "p99_drift": None}
        from_s = start_s + (end_s - start_s) * SETTLING_SHARE
        costs = [tick.cost for tick in self._ticks if tick.cost is not None and from_s <= tick.at_s <= end_s]
        slots = [slot for part in parts for slot in self._slots[part]]
        third = len(slots) // 3
        early, late = (self._p99_of(chosen) for chosen in (slots[:third], slots[len(slots) - third :]))
        return {
            "rss_slope_mb_per_h": slope_per_h([(cost.at_s, cost.rss_mb) for cost in costs]) if costs else None,
            "descriptor_slope_per_h": slope_per_h([(cost.at_s, cost.descriptors) for cost in costs]) if costs else None,
            "p99_drift": late / early if early and late else None,
        }

    def _p99_of(self, slots: Iterable[int]) -> float:
        merged = Timeline([0.0, 1.0])
        for slot in slots:
            merged.slots[0].update(self._delivery.slots[slot])
        return merged.histogram().ms(99)


def _delivered(latency: Histogram) -> Figures:
    return {name: _ms(latency, at) for name, at in (("p50_ms", 50), ("p99_ms", 99), ("p99_9_ms", 99.9), ("max_ms", 100))}


def _edges(parts: Sequence[Part]) -> tuple[list[float], list[list[int]]]:
    """Slots of even length within each part, and which slots belong to which part; between two parts lies one of none."""
    seconds = sum(part.window[1] - part.window[0] for part in parts)
    width = max(0.5, seconds / SLOTS_MAX)
    edges: list[float] = []
    slots: list[list[int]] = []
    for part in parts:
        start_s, end_s = part.window
        if not edges or start_s > edges[-1]:
            edges.append(start_s)
        number = max(1, round((end_s - start_s) / width))
        first = len(edges) - 1
        edges += [start_s + (end_s - start_s) * step / number for step in range(1, number + 1)]
        slots.append(list(range(first, first + number)))
    return edges, slots


def _inside(windows: Sequence[Window]) -> Callable[[float], bool]:
    return lambda at_s: any(start <= at_s < end for start, end in windows)


def _of_seconds(times: Iterable[float]) -> Histogram:
    histogram = Histogram()
    for seconds in times:
        histogram.record_s(seconds)
    return histogram


def _of_acts(acts: Iterable[Act]) -> Histogram:
    return _of_seconds(act.seconds for act in acts)


def _ms(histogram: Histogram, percentile: float) -> float | None:
    return histogram.ms(percentile) if histogram.count else None


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
