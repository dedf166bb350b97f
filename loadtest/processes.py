"""What processes cost, read from /proc, and whether the generator's own figures can be believed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple, Self

from loadtest.stats import Histogram

CPU_SHARE_MAX: Final = 0.92
"""Share of a core from which on the generator counts as saturated."""
LATE_P99_MAX_MS: Final = 25.0
"""How late the generator may send, 99th percentile."""
LAG_P99_MAX_MS: Final = 50.0
"""How late the generator's loop may run, 99th percentile."""
HEARTBEAT_S: Final = 0.01

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    """A process at a moment. ``wait_s``: time in which its threads could run and got no core (other load on the machine)."""

    at_s: float
    cpu_s: float
    rss_bytes: int
    wait_s: float


def sample(pid: int, proc: Path = Path("/proc")) -> Sample:
    """Read a process. Raises OSError when it is gone."""
    folder = proc / str(pid)
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    rss_pages = int((folder / "statm").read_text().split()[1])
    wait_ns = 0
    for task in (folder / "task").iterdir():
        with suppress(OSError):  # a thread may end meanwhile; without schedstat the wait is unknown
            wait_ns += int((task / "schedstat").read_text().split()[1])
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return Sample(perf_counter(), cpu_s, rss_pages * _PAGE_BYTES, wait_ns / 1e9)


def tcp_memory_bytes(proc: Path = Path("/proc")) -> int:
    """What the kernel holds in the buffers of all TCP connections of this machine; 0 where that cannot be told.

    A server's unsent bytes stand here, not in its own memory.
    """
    with suppress(OSError):
        for line in (proc / "net" / "sockstat").read_text().splitlines():
            words = line.split()
            if words[:1] == ["TCP:"] and "mem" in words:
                return int(words[words.index("mem") + 1]) * _PAGE_BYTES
    return 0


class Usage(NamedTuple):
    """A process between two samples. ``cpu_share`` and ``wait_share`` are in cores (1.0: one whole core)."""

    seconds: float
    cpu_s: float
    cpu_share: float
    wait_share: float
    rss_first_mb: float
    rss_max_mb: float
    rss_last_mb: float

    @classmethod
    def of(cls, samples: list[Sample]) -> Usage:
        """From at least two samples, oldest first."""
        first, last = samples[0], samples[-1]
        seconds = max(last.at_s - first.at_s, 1e-9)
        cpu_s = last.cpu_s - first.cpu_s
        sizes = [each.rss_bytes / 1e6 for each in samples]
        return cls(seconds, cpu_s, cpu_s / seconds, (last.wait_s - first.wait_s) / seconds, sizes[0], max(sizes), sizes[-1])


class Watch:
    """Samples processes while it runs: the generator, and the server when its id is known. An asynchronous context manager.

    ``lag`` is how late the generator's loop ran its heartbeat, ``tcp`` the kernel's buffers over time.
    """

    def __init__(self, server_pid: int | None, every_s: float = 0.5) -> None:
        self.server_pid = server_pid
        self.lag = Histogram()
        self.own: list[Sample] = []
        self.server: list[Sample] = []
        self.tcp: list[tuple[float, int]] = []
        self._every_s = every_s
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._sample()
        self._tasks = [asyncio.create_task(self._sampling()), asyncio.create_task(self._beating())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sample()

    def _sample(self) -> None:
        self.own.append(sample(os.getpid()))
        if self.server_pid is not None:
            self.server.append(sample(self.server_pid))
        self.tcp.append((perf_counter(), tcp_memory_bytes()))

    async def _sampling(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            self._sample()

    async def _beating(self) -> None:
        while True:
            due_s = perf_counter() + HEARTBEAT_S
            await asyncio.sleep(HEARTBEAT_S)
            self.lag.record_s(max(0.0, perf_counter() - due_s))

    def between(self, start_s: float, end_s: float) -> Usage | None:
        """The server's usage in a window of the monotonic clock; None when it was not watched there."""
        inside = [each for each in self.server if start_s - self._every_s <= each.at_s <= end_s + self._every_s]
        return Usage.of(inside) if len(inside) > 1 else None


def doubts(own: Usage, lag: Histogram, lateness: Histogram | None) -> list[str]:
    """Why the generator's figures cannot be believed; empty: they can."""
    checks: list[tuple[bool, Callable[[], str]]] = [
        (own.cpu_share > CPU_SHARE_MAX, lambda: f"the generator used {own.cpu_share:.0%} of a core"),
        (lag.ms(99) > LAG_P99_MAX_MS, lambda: f"the generator's loop ran {lag.ms(99):.0f} ms late (p99)"),
    ]
    if lateness is not None:
        checks.append((lateness.ms(99) > LATE_P99_MAX_MS, lambda: f"comments were sent {lateness.ms(99):.0f} ms late (p99)"))
    return [text() for failed, text in checks if failed]
