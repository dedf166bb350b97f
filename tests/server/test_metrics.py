"""server/metrics.py"""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.metrics import LATENCY_S, Exposition, Histogram, Stats


def families(stats: Stats) -> dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
    text = Exposition(stats).render().decode()
    return {
        family.name: {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_histogram_puts_a_value_into_the_bucket_of_its_bound() -> None:
    """A value equal to a bound counts in that bound's bucket; one above all bounds counts in the last."""
    histogram = Histogram((1, 2, 5))
    for value in (0.5, 1, 1.5, 5, 6):
        histogram.observe(value)
    assert histogram.counts == [2, 1, 1, 1]
    assert histogram.cumulative() == [("1.0", 2), ("2.0", 3), ("5.0", 4), ("+Inf", 5)]
    assert histogram.total == 14
    assert histogram.count == 5


def test_histogram_counts_equal_values_of_a_batch_at_once() -> None:
    """Observing with ``times`` is the same as observing that often."""
    histogram = Histogram((1, 2))
    histogram.observe(1.5, times=4)
    assert (histogram.counts, histogram.total) == ([0, 4, 0], 6)


def test_histogram_agrees_with_counting_by_hand() -> None:
    """Buckets over many values equal a plain count of those up to each bound."""
    values = [0.0003 * step**1.7 for step in range(300)]
    histogram = Histogram(LATENCY_S)
    for value in values:
        histogram.observe(value)
    by_hand = [sum(value <= bound for value in values) for bound in LATENCY_S]
    assert [count for _, count in histogram.cumulative()] == [*by_hand, len(values)]


def test_every_counter_is_exposed() -> None:
    """Each attribute of Stats, raised by one, shows in the exposition: none is forgotten in the tables."""
    for attribute in Stats.__slots__:
        stats = Stats()
        before = families(stats)
        value = getattr(stats, attribute)
        if isinstance(value, Histogram):
            value.observe(0.5)
        elif isinstance(value, dict):
            value["held", "x"] = 1
            if attribute != "comments":
                value.clear()
                value["x"] = 1
        else:
            setattr(stats, attribute, value + 1)
        after = families(stats)
        changed = [name for name in after if name.startswith("barrage_") and after[name] != before[name]]
        assert len(changed) == 1, attribute


def test_comments_are_counted_by_verdict_and_code() -> None:
    """``comment`` counts per verdict and refusal code."""
    stats = Stats()
    stats.comment("accepted")
    stats.comment("accepted")
    stats.comment("refused", "too_fast")
    samples = families(stats)["barrage_comments"]
    assert samples["barrage_comments_total", (("code", ""), ("verdict", "accepted"))] == 2
    assert samples["barrage_comments_total", (("code", "too_fast"), ("verdict", "refused"))] == 1


def test_closes_errors_and_refused_connections_are_counted_by_name() -> None:
    """``close``, ``error`` and ``refuse_connection`` count per name."""
    stats = Stats()
    stats.close("too_slow")
    stats.close("too_slow")
    stats.error("bad_json")
    stats.refuse_connection("too_many_connections")
    shown = families(stats)
    assert shown["barrage_closes"]["barrage_closes_total", (("reason", "too_slow"),)] == 2
    assert shown["barrage_errors"]["barrage_errors_total", (("code", "bad_json"),)] == 1
    assert shown["barrage_connections_refused"]["barrage_connections_refused_total", (("code", "too_many_connections"),)] == 1


def test_stats_take_no_unknown_counter() -> None:
    """A misspelt counter is an error, not a silent new attribute."""
    with pytest.raises(AttributeError):
        setattr(Stats(), "conections", 1)  # noqa: B010 -- mypy would refuse the plain assignment


def test_names_follow_the_conventions() -> None:
    """Names are lower case with our prefix, base units are seconds and bytes, and each family has a help text."""
    text = Exposition(Stats()).render().decode()
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        if family.name.startswith("barrage"):
            assert re.fullmatch(r"barrage_[a-z_]+", family.name)
            assert not family.name.endswith(("_ms", "_s", "_kb"))


def test_figures_of_the_process_are_exposed() -> None:
    """Memory and CPU of the process stand beside our own figures."""
    assert "process_resident_memory_bytes" in families(Stats())
