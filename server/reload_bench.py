"""How long the event loop stands still while rules are exchanged: measured from within, on the server's own way of doing it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from filters import STARTER_PACK
from filters.bench import made_comments, made_terms
from filters.config import ScreeningConfig
from filters.importers import to_toml
from filters.verdict import Candidate
from server.screening import Screening

TICK_S: Final = 0.001
COMMENTS_A_TICK: Final = 2
RELOADS: Final = 3


class Lateness(msgspec.Struct, frozen=True):
    """How much later than asked the loop came back to a task that sleeps a millisecond; milliseconds, by the clock."""

    longest: float
    p999: float
    over_10: int
    ticks: int


class Watchdog:
    """A task that asks the loop for a millisecond again and again, and screens a few comments each time, as live traffic would."""

    def __init__(self, screening: Screening, texts: list[str]) -> None:
        self._screening = screening
        self._texts = texts
        self._late: list[float] = []

    async def run(self) -> None:
        """Until it is cancelled. The screening's own work counts as lateness of nobody."""
        number = 0
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self._late.append(1e3 * (time.perf_counter() - asked - TICK_S))
            for _ in range(COMMENTS_A_TICK):
                number += 1
                candidate = Candidate(text=self._texts[number % len(self._texts)], room="r", author=f"a{number}")
                self._screening.current().screen(candidate, number)

    def take(self) -> Lateness:
        """What was seen since the last time."""
        late, self._late = sorted(self._late), []
        return Lateness(late[-1], late[int(len(late) * 0.999)], sum(one > 10 for one in late), len(late))


async def measure(folder: Path, terms: int, *, alone_s: float = 5.0, reloads: int = RELOADS) -> AsyncIterator[str]:
    """The report, line by line: the loop left alone, then with rules of so many terms coming into force, several times."""
    screening = Screening(folder, STARTER_PACK, ScreeningConfig())
    watchdog = Watchdog(screening, made_comments(3_000))
    task = asyncio.create_task(watchdog.run())
    # As the server does once it has started.
    gc.collect()
    gc.freeze()
    try:
        await asyncio.sleep(0.1 * alone_s)
        watchdog.take()
        await asyncio.sleep(alone_s)
        yield _line(f"loop left alone, {alone_s:g} s", watchdog.take())
        for number in range(reloads):
            listed = await asyncio.to_thread(made_terms, terms, number)
            source = to_toml(listed, "bench.list", "list", "measurement", f"List {number}")
            await asyncio.sleep(0.1)
            watchdog.take()
            started = time.perf_counter()
            await screening.reload(source, "bench")
            seconds = time.perf_counter() - started
            await asyncio.sleep(0.5)
            yield _line(f"reload of {terms} terms, {seconds:.1f} s", watchdog.take())
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        yield f"load of the machine: {load} on {os.cpu_count()} processors"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _line(name: str, seen: Lateness) -> str:
    return (
        f"{name:<34} longest pause {seen.longest:6.1f} ms   99.9 % {seen.p999:6.1f} ms   "
        f"over 10 ms: {seen.over_10} of {seen.ticks}"
    )
