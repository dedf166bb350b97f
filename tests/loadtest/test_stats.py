"""Histograms, and latencies from batches and arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.feed import Batch
from loadtest.stats import Histogram, Timeline, Traffic, delivered, delivered_over, deliveries, slope_per_h


def batch(first: int, last: int, *arrivals: list[float], frame: bytes = b"x" * 10) -> Batch:
    made = Batch(first, last, frame, len(arrivals))
    for group, times in enumerate(arrivals):
        made.arrivals[group].extend(times)
    return made


def test_histogram() -> None:
    """Times keep three digits; extremes are held at the ends of the range; an empty one says zero."""
    histogram = Histogram()
    assert (histogram.count, histogram.ms(99)) == (0, 0.0)
    for value in (0.001, 0.002, 0.010):
        histogram.record_s(value)
    histogram.record_s(-1.0)
    histogram.record_s(9999.0, 2)
    assert histogram.count == 6
    assert histogram.ms(50) == pytest.approx(2.0, rel=0.002)
    assert histogram.ms(100) == pytest.approx(600_000, rel=0.002)
    assert histogram.summary()["count"] == 6


@given(
    st.lists(st.floats(100, 101), min_size=1, max_size=5),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_deliveries_are_every_pair(due: list[float], delays: list[float]) -> None:
    """Each event at each viewer counts once, with its own latency, to a bin's width."""
    last = max(due)
    arrivals = [last + delay for delay in delays]
    histogram = deliveries([batch(1, len(due), arrivals)], dict(enumerate(due, 1)))
    expected = sorted(arrived - at for arrived in arrivals for at in due)
    assert histogram.count == len(expected)
    assert histogram.ms(100) / 1000 == pytest.approx(expected[-1], abs=3e-4, rel=2e-3)
    assert histogram.ms(0.0001) / 1000 == pytest.approx(expected[0], abs=3e-4, rel=2e-3)


def test_deliveries_of_a_group_and_a_window() -> None:
    """Only events that were due in the window, at viewers of the group, count; unknown events do not."""
    batches = [batch(1, 3, [10.5], [11.0, 11.0]), batch(4, 4, [], [])]
    due = {1: 10.0, 2: 10.4, 4: 10.0}
    assert deliveries(batches, due).count == 2
    assert deliveries(batches, due, group=1).count == 4
    late = deliveries(batches, due, group=1, window=(10.4, 99.0))
    assert late.count == 2
    assert late.ms(50) == pytest.approx(600, rel=0.01)


def test_what_a_frame_leaves_out_was_not_delivered() -> None:
    """It has no latency and is no delivery; it can be counted by itself."""
    made = Batch(1, 4, b"frame", 1, frozenset({2, 3}))
    made.arrivals[0].extend([10.5, 11.5])
    due = dict.fromkeys(range(1, 5), 10.0)
    assert deliveries([made], due).count == 4
    timeline = Timeline([0.0, 20.0])
    timeline.add([made], due)
    assert timeline.histogram().count == 4
    assert delivered([made]).deliveries == 4
    assert delivered_over([made], [10.0, 11.0, 12.0]) == [2, 2]
    assert delivered_over([made], [10.0, 11.0, 12.0], lambda each: len(each.left_out)) == [2, 2]


def test_delivered() -> None:
    """Deliveries, frames and bytes are counted over all groups, by time of arrival."""
    batches = [batch(1, 3, [1.0, 2.0], [3.0]), batch(4, 4, [5.0], [])]
    assert delivered(batches) == Traffic(10, 4, 40)
    assert delivered(batches, (2.0, 5.0)) == Traffic(6, 2, 20)


def test_timeline() -> None:
    """Slots hold what was due in them; put together they are what the whole is; what was due outside counts nowhere."""
    batches = [batch(1, 3, [10.5, 10.6]), batch(4, 4, [12.1]), batch(5, 5, [])]
    due = {1: 10.0, 2: 10.4, 3: 11.0, 4: 12.0, 5: 12.0, 9: 1.0}
    timeline = Timeline([10.0, 11.0, 12.0, 13.0])
    timeline.add(batches, due)
    assert [timeline.histogram(slot, slot + 1).count for slot in range(3)] == [4, 2, 1]
    assert timeline.histogram().count == deliveries(batches, due).count
    assert timeline.histogram().ms(100) == deliveries(batches, due).ms(100) == pytest.approx(600, rel=0.01)
    assert timeline.histogram(2).ms(50) == pytest.approx(100, rel=0.01)
    outside = Timeline([20.0, 21.0])
    outside.add(batches, due)
    assert outside.histogram().count == 0


def test_deliveries_by_slot() -> None:
    """Each delivery counts in the slot in which it arrived; those before and after count nowhere."""
    batches = [batch(1, 3, [9.0, 10.5, 10.6, 11.0, 13.5]), batch(4, 4, [12.1, 12.2])]
    assert delivered_over(batches, [10.0, 11.0, 12.0, 13.0]) == [6, 3, 2]


def test_slopes() -> None:
    """A slope is by how much a value grows in an hour; nothing is known from one point or one moment."""
    assert slope_per_h([(0.0, 5.0), (10.0, 6.0), (20.0, 7.0)]) == pytest.approx(360)
    assert slope_per_h([(0.0, 5.0)]) == slope_per_h([(1.0, 5.0), (1.0, 9.0)]) == 0.0
