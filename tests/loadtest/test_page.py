"""Reports as pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from loadtest import page
from loadtest.comparing import Comparison
from tests.loadtest.scenario_files import point, result, span, untrue


class Loads(HTMLParser):
    """Everything that a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe", "object"} or {"src", "href"} & dict(attrs).keys():
            self.found.append(tag)


def test_nothing_is_fetched() -> None:
    """Neither page has a script, a link or anything of another file."""
    for text in (page.render(result()), page.render_comparison(Comparison.of(result(), result()))):
        parser = Loads()
        parser.feed(text)
        assert parser.found == []
        assert not re.search(r"url\(|@import|https?://(?!127\.0\.0\.1:1\b)", text)


def test_a_sound_run() -> None:
    """The verdict, the thresholds with what was found, plots, figures, phases and notes stand on the page."""
    text = page.render(result())
    for part in (
        "Sound: all 1 thresholds", ">holds", "not judged", "at most 100 ms", "at least 10 /s", "50 ms", "Delivery latency",
        "Latency by percentile", "Server, resident memory", "3.30%", "A note.", "refused: overloaded", "its process",
    ):  # fmt: skip
        assert part in text
    assert "Events in gaps" not in text
    assert "Events in gaps" in page.render(result(course=[point(0.1, gap_events=4)]))


def test_a_broken_and_untrue_run() -> None:
    """Broken thresholds and broken rules are named, and what they quote is escaped."""
    text = page.render(result(figures={"p99_ms": 200.0}, violations=untrue()))
    assert ">broken" in text
    assert "Broken 1 times: a viewer misses nothing but what a gap announced." in text
    assert "said so &lt;b&gt;" in text


def test_an_invalid_run() -> None:
    """A run of a saturated generator shows why, and no time at all."""
    text = page.render(result(doubts=["all: the generator used 99% of a core"], cost_source="none"))
    assert "the generator used 99% of a core: what was timed is withheld" in text
    assert "<svg" not in text


def test_steps_with_doubts() -> None:
    """A step at which the generator was the limit has no figures."""
    text = page.render(result(spans=[span("ramp", 0, 1, step=3, doubts=["late"])]))
    assert "ramp 4" in text
    assert 'class="text doubt">late' in text


@pytest.mark.parametrize(
    ("name", "value", "label", "text"),
    [
        ("p99_9_ms", 1234.5, "p99.9", "1,234 ms"),
        ("refused_share", 0.5, "refused share", "50%"),
        ("rss_slope_mb_per_h", 3.21, "rss slope", "3.21 MB/h"),
        ("deliveries_per_cpu_s", 250_000.0, "deliveries", "250,000 per CPU-second"),
        ("loss", 0.0, "loss", "0"),
        ("server_rss_mb", None, "server rss", "not measured"),
    ],
)
def test_names_and_units(name: str, value: float | None, label: str, text: str) -> None:
    """A figure's unit stands beside its number."""
    assert page.label(name) == label
    assert page.shown(name, value) == text


def test_a_comparison() -> None:
    """Ratios, what became better or worse, and doubts about comparing stand on the page."""
    slower = result(figures={"p99_ms": 150.0, "accepted_per_s": 90.0}, scale=0.5)
    text = page.render_comparison(Comparison.of(result(), slower))
    assert "3.00" in text
    assert ">worse" in text
    assert ">better" in text
    assert "The scale differs: 1.0 and 0.5." in text
