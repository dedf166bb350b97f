"""Figures of processes, and when the generator's own are not to be believed."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from loadtest.processes import Sample, Usage, Watch, doubts, sample, tcp_memory_bytes
from loadtest.stats import Histogram


def test_sample_reads_proc(tmp_path: Path) -> None:
    """Processor time, memory and waiting come from /proc, whatever the command's name is."""
    folder = tmp_path / "7"
    (folder / "task" / "7").mkdir(parents=True)
    (folder / "task" / "8").mkdir()
    (folder / "stat").write_text("7 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0")
    (folder / "statm").write_text("900 100 50 1 0 1 0")
    (folder / "task" / "7" / "schedstat").write_text("5 2000000000 1")
    found = sample(7, tmp_path)
    assert found.cpu_s == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))
    assert found.rss_bytes == 100 * os.sysconf("SC_PAGE_SIZE")
    assert found.wait_s == 2.0
    with pytest.raises(OSError, match="stat"):
        sample(8, tmp_path)


def test_tcp_memory(tmp_path: Path) -> None:
    """The kernel's buffers come from /proc; without it they count as none."""
    (tmp_path / "net").mkdir()
    assert tcp_memory_bytes(tmp_path) == 0
    (tmp_path / "net" / "sockstat").write_text(
        "sockets: used 4\nTCP: inuse 5 orphan 0 tw 0 alloc 10 mem 3\nUDP: inuse 0 mem 9\n"
    )
    assert tcp_memory_bytes(tmp_path) == 3 * os.sysconf("SC_PAGE_SIZE")


def test_usage() -> None:
    """Shares are in cores, over the time between the samples."""
    usage = Usage.of([Sample(10.0, 1.0, 5_000_000, 0.0), Sample(11.0, 1.2, 9_000_000, 0.1), Sample(12.0, 2.0, 6_000_000, 1.0)])
    assert usage == Usage(2.0, 1.0, 0.5, 0.5, 5.0, 9.0, 6.0)


async def test_watch_sees_work_and_lag() -> None:
    """The generator's processor time is seen, and so is a loop that stands still."""
    async with Watch(os.getpid(), every_s=0.05) as watch:
        await asyncio.sleep(0.1)
        start_s = time.process_time()
        while time.process_time() < start_s + 0.2:
            pass
        await asyncio.sleep(0.02)
    assert Usage.of(watch.own).cpu_s >= 0.15
    assert watch.lag.ms(100) >= 150
    between = watch.between(watch.own[0].at_s, watch.own[-1].at_s)
    assert between is not None
    assert between.cpu_s >= 0.15
    assert watch.between(0.0, 1.0) is None


def test_doubts() -> None:
    """A busy core, a late loop and late comments each make the figures doubtful; a generator at ease none."""
    calm, late = Histogram(), Histogram()
    calm.record_s(0.001)
    late.record_s(0.2)
    easy = Usage(1.0, 0.5, 0.5, 0.0, 1.0, 1.0, 1.0)
    assert doubts(easy, calm, calm) == []
    assert doubts(easy, calm, None) == []
    found = doubts(easy._replace(cpu_share=0.99), late, late)
    assert [text.split()[1] for text in found] == ["generator", "generator's", "were"]
