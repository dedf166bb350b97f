"""Latency as histograms (HDR), and what the batches' arrival times say of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from loadtest.feed import Batch

HIGHEST_US: Final = 600_000_000
DIGITS: Final = 3
BIN_S: Final = 1e-4
"""Resolution of delivery latencies: arrivals and due times are counted in bins of this width."""


Window = tuple[float, float]
"""From and until, in seconds of the monotonic clock."""
ALWAYS: Final[Window] = (float("-inf"), float("inf"))


class Histogram:
    """Times from 1 us to 10 minutes with three significant digits; longer ones count as 10 minutes."""

    def __init__(self) -> None:
        self._hdr: Any = HdrHistogram(1, HIGHEST_US, DIGITS)

    def record_s(self, seconds: float, count: int = 1) -> None:
        """Count a time in seconds; negative ones (clocks never are) count as the shortest."""
        self._hdr.record_value(min(HIGHEST_US, max(1, round(seconds * 1e6))), count)

    @property
    def count(self) -> int:
        """Recorded times."""
        return int(self._hdr.get_total_count())

    def ms(self, percentile: float) -> float:
        """The time in milliseconds that ``percentile`` percent of the recorded ones do not exceed; 0 when there are none."""
        return float(self._hdr.get_value_at_percentile(percentile)) / 1000 if self.count else 0.0

    def summary(self) -> dict[str, float | int]:
        """Percentiles in milliseconds, for reports."""
        return {
            "count": self.count,
            "p50_ms": self.ms(50),
            "p90_ms": self.ms(90),
            "p99_ms": self.ms(99),
            "p99_9_ms": self.ms(99.9),
            "max_ms": self.ms(100),
        }


def deliveries(
    batches: Iterable[Batch],
    due_s: Mapping[int, float],
    group: int = 0,
    window: Window = ALWAYS,
) -> Histogram:
    """Latency from due time to arrival of every event at every viewer of ``group``.

    ``due_s`` maps event numbers to due times; events that are not in it, or were due outside ``window``, do not count. Each
    batch is a cross product of its events and its arrivals, taken over bins of :data:`BIN_S`: exact counts, times to 0.1 ms.
    """
    totals: Counter[int] = Counter()
    for batch in batches:
        arrivals = batch.arrivals[group]
        due = [due_s[seq] for seq in batch.numbers if seq in due_s]
        due = [at for at in due if window[0] <= at < window[1]]
        if not due or not arrivals:
            continue
        base = min(due)
        ages = Counter(int((at - base) / BIN_S) for at in due)
        for arrived, viewers in Counter(int((at - base) / BIN_S) for at in arrivals).items():
            for age, events in ages.items():
                totals[arrived - age] += viewers * events
    histogram = Histogram()
    for bins, count in totals.items():
        histogram.record_s((bins + 0.5) * BIN_S, count)
    return histogram


class Timeline:
    """Delivery latencies by the time at which events were due: ``edges`` (ascending) bound the slots, one fewer than edges.

    Times are counted in bins of :data:`BIN_S`, so that slots can be put together without loss; any number of rooms is added.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = list(edges)
        self.slots: list[Counter[int]] = [Counter() for _ in range(len(self.edges) - 1)]

    def add(self, batches: Iterable[Batch], due_s: Mapping[int, float], group: int = 0) -> None:
        """Count every event of ``due_s`` at every viewer of ``group`` that got it."""
        for batch in batches:
            arrivals = batch.arrivals[group]
            due = [due_s[seq] for seq in batch.numbers if seq in due_s] if arrivals else []
            if not due:
                continue
            base = min(due)
            came = Counter(int((at - base) / BIN_S) for at in arrivals)
            ages = Counter((bisect_right(self.edges, at) - 1, int((at - base) / BIN_S)) for at in due)
            for (slot, age), events in ages.items():
                if 0 <= slot < len(self.slots):
                    totals = self.slots[slot]
                    for arrived, viewers in came.items():
                        totals[arrived - age] += viewers * events

    def histogram(self, first: int = 0, last: int | None = None) -> Histogram:
        """The slots from ``first`` up to but without ``last`` (None: to the end), as one histogram."""
        histogram = Histogram()
        for slot in self.slots[first:last]:
            for bins, count in slot.items():
                histogram.record_s((bins + 0.5) * BIN_S, count)
        return histogram


def slope_per_h(points: Sequence[tuple[float, float]]) -> float:
    """By how much a value grows in an hour: the least-squares line through (seconds, value); 0 with fewer than two points."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread * 3600 if spread else 0.0


class Traffic(NamedTuple):
    """What viewers received live: ``deliveries`` are events times viewers, ``size`` bytes of frames with their headers."""

    deliveries: int
    frames: int
    size: int


def delivered(batches: Iterable[Batch], window: Window = ALWAYS) -> Traffic:
    """What all viewers received within ``window``."""
    deliveries = frames = size = 0
    for batch in batches:
        for arrivals in batch.arrivals:
            viewers = bisect_left(arrivals, window[1]) - bisect_left(arrivals, window[0])
            deliveries += viewers * batch.count
            frames += viewers
            size += viewers * batch.size
    return Traffic(deliveries, frames, size)


def delivered_over(
    batches: Iterable[Batch], edges: Sequence[float], worth: Callable[[Batch], int] = lambda batch: batch.count
) -> list[int]:
    """Deliveries (events times viewers) by the slot in which they arrived; see :class:`Timeline` for ``edges``.

    ``worth``: what a batch at one viewer counts.
    """
    counts = [0] * (len(edges) - 1)
    for batch in batches:
        value = worth(batch)
        for arrivals in batch.arrivals if value else ():
            at = 0
            while at < len(arrivals):
                slot = bisect_right(edges, arrivals[at]) - 1
                if slot + 1 >= len(edges):
                    break
                after = bisect_left(arrivals, edges[slot + 1], at)
                if slot >= 0:
                    counts[slot] += (after - at) * value
                at = max(after, at + 1)
    return counts
