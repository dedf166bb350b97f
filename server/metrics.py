"""What the running server counts, and how Prometheus reads it.

The parts of the hot path count in plain attributes of one :class:`Stats`, made by ``server.app`` and owned by the event loop;
:class:`Exposition` reads them when a scrape comes. Times are observed in seconds, as Prometheus asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, Literal

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from server import __version__

FAST_S: Final = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1)
LATENCY_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)

Verdict = Literal["accepted", "masked", "held", "refused"]


class Histogram:
    """Counts of values in fixed buckets; ``counts[i]`` are those up to ``bounds[i]``, the last one those above all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count ``value``, ``times`` times (for a batch of equals)."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Buckets as Prometheus wants them: each counts all values up to its bound."""
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class Stats:
    """The counters of one process. Everything starts at 0 and only grows, but for those listed as gauges in this module."""

    __slots__ = (
        "ack_s", "acks", "batch_drafts", "bytes_in", "bytes_out", "cases_overdue", "closes", "comments", "commit_s", "commits",
        "commits_failed", "commits_unknown", "connections", "connections_refused", "connections_total", "deliveries", "desk_ready",
        "errors", "events", "features_unassessed", "findings_overdue", "findings_waiting", "flush_s", "flushes", "frames_in",
        "gap_events", "gaps", "left_out", "loop_lag_s", "page_errors",
        "page_lag_s",
        "pages_rebuilt", "queued", "ready", "records_dropped", "records_thinned", "rooms", "screen_s", "slow_closes", "stalled",
        "streams", "team_absent", "team_load", "team_overloaded", "viewers",
    )  # fmt: skip

    def __init__(self) -> None:
        # Gauges: set or moved both ways by their owner.
        self.ready = 0
        self.desk_ready = 0
        self.connections = 0
        self.viewers = 0
        self.stalled = 0
        self.streams = 0
        self.rooms = 0
        self.queued = 0
        self.findings_waiting = 0
        self.findings_overdue = 0
        self.cases_overdue = 0
        self.features_unassessed = 0
        self.team_load = -1.0
        self.team_overloaded = 0
        self.team_absent = 0
        # Counters.
        self.connections_total = 0
        self.frames_in = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.deliveries = 0
        self.flushes = 0
        self.gaps = 0
        self.gap_events = 0
        self.left_out = 0
        self.slow_closes = 0
        self.acks = 0
        self.events = 0
        self.commits = 0
        self.commits_failed = 0
        self.commits_unknown = 0
        self.records_dropped = 0
        self.records_thinned = 0
        self.page_errors = 0
        self.pages_rebuilt = 0
        # Counters by label. The keys are names of server.errors and literals, so their number is bounded.
        self.comments: dict[tuple[Verdict, str], int] = {}
        self.closes: dict[str, int] = {}
        self.connections_refused: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        # Histograms.
        self.screen_s = Histogram(FAST_S)
        self.commit_s = Histogram(LATENCY_S)
        self.batch_drafts = Histogram(SIZES)
        self.ack_s = Histogram(LATENCY_S)
        self.flush_s = Histogram(LATENCY_S)
        self.page_lag_s = Histogram(LATENCY_S)
        self.loop_lag_s = Histogram(LATENCY_S)

    def comment(self, verdict: Verdict, code: str = "") -> None:
        """Count a comment that was screened or refused; ``code`` is the refusal code."""
        self.comments[verdict, code] = self.comments.get((verdict, code), 0) + 1

    def close(self, name: str) -> None:
        """Count a connection that the server closed, by the name of ``server.errors.CLOSES``."""
        self.closes[name] = self.closes.get(name, 0) + 1

    def error(self, code: str) -> None:
        """Count an ``error`` message to a client (for anything but a comment), by refusal code."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def refuse_connection(self, code: str) -> None:
        """Count a handshake that was refused, by refusal code."""
        self.connections_refused[code] = self.connections_refused.get(code, 0) + 1


# Attribute of Stats, name of the metric, help. A test fails when an attribute is in no table.
_GAUGES: Final = (
    ("ready", "barrage_ready", "1 while traffic is welcome, as `/readyz` says: alarm on 0."),
    ("desk_ready", "barrage_desk_ready", "1 while the review desk can write its book: alarm on 0."),
    ("connections", "barrage_connections", "Open WebSocket connections."),
    ("viewers", "barrage_viewers", "Joins of connections to rooms in force."),
    ("stalled", "barrage_viewers_stalled", "Viewers whose connection does not take more at the moment."),
    ("streams", "barrage_streams", "Open event streams (SSE)."),
    ("rooms", "barrage_rooms", "Rooms in memory."),
    ("queued", "barrage_queue_drafts", "Drafts that wait for a commit."),
    ("findings_waiting", "barrage_findings_waiting", "Findings that no authority has acknowledged yet."),
    (
        "findings_overdue",
        "barrage_findings_overdue",
        "Findings whose time for an acknowledgement is over: alarm on more than 0.",
    ),
    ("cases_overdue", "barrage_cases_overdue", "Open cases past their deadlines: alarm on more than 0."),
    (
        "features_unassessed",
        "barrage_features_unassessed",
        "Features that are on without a security assessment in force: alarm on more than 0.",
    ),
    (
        "team_load",
        "barrage_team_load_ratio",
        "Review work that arrives over what those on shift can do; -1: nothing is planned.",
    ),
    (
        "team_overloaded",
        "barrage_team_overloaded",
        "Queues, or the desk, with more work than their team: alarm on more than 0.",
    ),
    ("team_absent", "barrage_team_absent", "Shifts of the review team in which nobody is seen: alarm on more than 0."),
)
_COUNTERS: Final = (
    ("connections_total", "barrage_connections_opened", "WebSocket connections since the start."),
    ("frames_in", "barrage_frames_in", "Messages from clients."),
    ("bytes_in", "barrage_bytes_in", "Payload bytes from clients."),
    ("bytes_out", "barrage_bytes_out", "Bytes handed to the transports of viewers."),
    ("deliveries", "barrage_deliveries", "Events handed to viewers: events times viewers."),
    ("flushes", "barrage_flushes", "Flushes of rooms (page written, then sent)."),
    ("gaps", "barrage_gaps", "Gap messages to viewers that fell behind."),
    ("gap_events", "barrage_gap_events", "Events that stood in those gaps."),
    ("left_out", "barrage_left_out", "Comments that live frames left out for the room's budget; pages and history have them."),
    ("slow_closes", "barrage_slow_closes", "Connections closed because they stayed behind."),
    ("acks", "barrage_acks", "Comments acknowledged to their authors."),
    ("events", "barrage_events", "Events appended to the logs of rooms."),
    ("commits", "barrage_commits", "Commits that are durable."),
    ("commits_failed", "barrage_commits_failed", "Commits of which nothing was written."),
    ("commits_unknown", "barrage_commits_unknown", "Commits whose outcome was not known at once."),
    ("records_dropped", "barrage_records_dropped", "Records beside the log that did not fit the queue."),
    ("records_thinned", "barrage_records_thinned", "Refusals for pace or length left out of the records."),
    ("page_errors", "barrage_page_errors", "Failed writes of static pages."),
    ("pages_rebuilt", "barrage_pages_rebuilt", "Static pages made again from the log."),
)
_HISTOGRAMS: Final = (
    ("screen_s", "barrage_screening_seconds", "Time to screen one comment."),
    ("commit_s", "barrage_commit_seconds", "Time of one commit in the store."),
    ("batch_drafts", "barrage_commit_drafts", "Drafts in one commit."),
    ("ack_s", "barrage_ack_seconds", "Time from the arrival of a comment to its acknowledgement."),
    ("flush_s", "barrage_flush_seconds", "Time of one flush of one room."),
    ("page_lag_s", "barrage_page_lag_seconds", "Time from the commit of an event to its standing on the static page."),
    ("loop_lag_s", "barrage_loop_lag_seconds", "By how much the event loop was late."),
)


class Exposition(Collector):
    """Shows a :class:`Stats` in the Prometheus text format, beside the figures of the process."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """The answer to a scrape."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Read all counters; called by the registry."""
        stats = self._stats
        build = GaugeMetricFamily("barrage_build_info", "Version of the server.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        for attribute, name, text in _GAUGES:
            yield GaugeMetricFamily(name, text, value=getattr(stats, attribute))
        for attribute, name, text in _COUNTERS:
            yield CounterMetricFamily(name, text, value=getattr(stats, attribute))
        comments = CounterMetricFamily("barrage_comments", "Comments by verdict and refusal code.", labels=["verdict", "code"])
        for (verdict, code), count in sorted(stats.comments.items()):
            comments.add_metric([verdict, code], count)
        yield comments
        yield _by_name("barrage_closes", "Connections closed by the server.", "reason", stats.closes)
        yield _by_name("barrage_errors", "Messages of clients that could not be served.", "code", stats.errors)
        yield _by_name("barrage_connections_refused", "Handshakes refused.", "code", stats.connections_refused)
        for attribute, name, text in _HISTOGRAMS:
            histogram: Histogram = getattr(stats, attribute)
            yield HistogramMetricFamily(name, text, buckets=histogram.cumulative(), sum_value=histogram.total)


def _by_name(name: str, text: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in sorted(counts.items()):
        family.add_metric([key], count)
    return family
