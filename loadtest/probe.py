"""What the server costs, second by second: read from /proc when it runs on this machine, else from its ``/metrics``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

import httpx

from loadtest.processes import sample

TIMEOUT_S: Final = 2.0
_LINE: Final = re.compile(r"^(process_cpu_seconds_total|process_resident_memory_bytes|process_open_fds) (\S+)$", re.MULTILINE)


class Cost(NamedTuple):
    """A server at a moment: processor time since its start, resident memory, open descriptors."""

    at_s: float
    cpu_s: float
    rss_mb: float
    descriptors: int


def descriptors(pid: int, proc: Path = Path("/proc")) -> int:
    """Open descriptors of a process. Raises OSError when it is gone."""
    folder = proc / str(pid) / "fd"
    # Since Linux 6.2 the folder's size is the number; counting thousands of entries would cost the generator time.
    return folder.stat().st_size or len(os.listdir(folder))


class Probe:
    """Reads one server. ``source`` says where from: ``process``, ``metrics``, or ``none`` when neither answers."""

    def __init__(self, pid: int | None, http: httpx.AsyncClient) -> None:
        self._pid = pid
        self._http = http
        self.source = "none"

    async def read(self) -> Cost | None:
        """The cost now; None when it cannot be told."""
        cost = self._from_process(self._pid) if self._pid is not None else await self._from_metrics()
        if cost is not None:
            self.source = "process" if self._pid is not None else "metrics"
        return cost

    @staticmethod
    def _from_process(pid: int) -> Cost | None:
        try:
            now = sample(pid)
            return Cost(now.at_s, now.cpu_s, now.rss_bytes / 1e6, descriptors(pid))
        except OSError:
            return None

    async def _from_metrics(self) -> Cost | None:
        try:
            answer = await self._http.get("/metrics", timeout=TIMEOUT_S)
        except httpx.HTTPError:
            return None
        found = dict(_LINE.findall(answer.text)) if answer.status_code == httpx.codes.OK else {}
        try:
            return Cost(
                perf_counter(),
                float(found["process_cpu_seconds_total"]),
                float(found["process_resident_memory_bytes"]) / 1e6,
                int(float(found["process_open_fds"])),
            )
        except (KeyError, ValueError):
            return None
