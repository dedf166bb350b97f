"""Histograms, and latencies from batches and arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.feed import Batch
from loadtest.stats import Histogram, Traffic, delivered, deliveries


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


def test_delivered() -> None:
    """Deliveries, frames and bytes are counted over all groups, by time of arrival."""
    batches = [batch(1, 3, [1.0, 2.0], [3.0]), batch(4, 4, [5.0], [])]
    assert delivered(batches) == Traffic(10, 4, 40)
    assert delivered(batches, (2.0, 5.0)) == Traffic(6, 2, 20)
