"""What a server costs, read from its process or from its metrics."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from loadtest.probe import Probe, descriptors

METRICS = (
    "# HELP process_cpu_seconds_total Time.\nprocess_cpu_seconds_total 12.5\nprocess_resident_memory_bytes 2.5e+08\n"
    "process_open_fds 321.0\nbarrage_viewers 5.0\n"
)


def answering(status: int = 200, text: str = METRICS) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url="http://x", transport=httpx.MockTransport(lambda request: httpx.Response(status, text=text))
    )


async def test_from_its_process() -> None:
    """A process of this machine is read from /proc; one that is gone costs nothing that could be told."""
    async with answering(404) as http:
        probe = Probe(os.getpid(), http)
        cost = await probe.read()
        assert cost is not None
        assert cost.cpu_s > 0
        assert cost.rss_mb > 1
        assert cost.descriptors > 2
        assert probe.source == "process"
        gone = Probe(2**22 + 1, http)
        assert await gone.read() is None
        assert gone.source == "none"


async def test_from_metrics() -> None:
    """Without a process the metrics are read."""
    async with answering() as http:
        probe = Probe(None, http)
        cost = await probe.read()
    assert cost is not None
    assert cost[1:] == (12.5, 250.0, 321)
    assert probe.source == "metrics"


@pytest.mark.parametrize(("status", "text"), [(404, ""), (200, "process_open_fds 1\n"), (200, METRICS.replace("12.5", "much"))])
async def test_metrics_that_say_nothing(status: int, text: str) -> None:
    """Metrics that are closed, short or no numbers tell nothing."""
    async with answering(status, text) as http:
        assert await Probe(None, http).read() is None


async def test_no_answer() -> None:
    """A server that does not answer tells nothing."""
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1") as http:
        assert await Probe(None, http).read() is None


def test_descriptors_of_older_systems(tmp_path: Path) -> None:
    """Where the folder's size tells nothing its entries are counted."""
    folder = tmp_path / "7" / "fd"
    folder.mkdir(parents=True)
    (folder / "0").touch()
    assert descriptors(7, tmp_path) >= 1
