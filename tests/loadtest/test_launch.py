"""What commands share."""

from __future__ import annotations

import gc
import os

import click
import pytest

from loadtest.launch import collect_rarely, finish, pin, settings_of
from loadtest.local import UNBOUND
from loadtest.readback import ReadbackError


def test_settings() -> None:
    """Limits are lifted, the scenario's settings come over them, and what is given by hand over those."""
    settings = settings_of(("TICK_MS=20", "x=1=2"), {"tick_ms": "50", "joins_per_s": "7"})
    assert settings == {**UNBOUND, "tick_ms": "20", "x": "1=2", "joins_per_s": "7"}
    with pytest.raises(click.BadParameter, match="give NAME=VALUE"):
        settings_of(("tick_ms",))


def test_pinning() -> None:
    """A process runs on the core that it is given; without one it stays where it is."""
    before = os.sched_getaffinity(0)
    pin(None)
    assert os.sched_getaffinity(0) == before
    pin(min(before))
    assert os.sched_getaffinity(0) == {min(before)}


def test_the_collector_looks_at_a_little_and_seldom_at_all() -> None:
    """A full collection comes after no less than a hundred million objects more, one of the youngest after ten thousand."""
    collect_rarely()
    youngest, middle, old = gc.get_threshold()
    assert youngest == 10_000
    assert youngest * middle * old >= 100_000_000


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ReadbackError("no log"), "no log"),
        (ConnectionResetError(), "ConnectionResetError"),
        (ValueError("x"), "x"),
        (TimeoutError(), "within 30 s"),
    ],
)
def test_what_does_not_work(error: Exception, says: str) -> None:
    """An error that was to be expected becomes one sentence."""

    async def fail() -> None:
        raise error

    with pytest.raises(click.ClickException) as caught:
        finish(fail())
    assert says in caught.value.message
