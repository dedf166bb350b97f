"""Microseconds per row of the static pages: ``python -m loadtest.micro_pages [--rows N] [--folder DIR]``.

Measures what the event loop pays for :meth:`Mirror.append` at several batch sizes, rendering and the write included, and what
a worker thread pays to seal a page. Each figure is the best and the median of several rounds; the texts are 20 Chinese
characters, positions and nicknames differ from row to row and the clock goes on.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from server.wire import Event
from static_mirror import Mirror, repair, seal

BATCHES = (1, 10, 100, 1000)
ROUNDS = 7
ROOM = "bench"


def make_log(rows: int) -> list[Event]:
    """A room's log of so many comments, about 1,000 a second."""
    text = "这一段太好看了哈哈哈前方高能请注意不要眨眼"
    return [
        Event(
            seq=seq,
            kind="comment",
            at_ms=1_700_000_000_000 + seq,
            pos_ms=seq * 37 % 3_600_000,
            text=f"{text[seq % 5 :]}{seq % 10}",
            author_id="0123456789abcdef",
            author_name=f"观众{seq % 3118}",
        )
        for seq in range(1, rows + 1)
    ]


def time_appends(log: Sequence[Event], batch: int, folder: Path) -> float:
    """Seconds per row to append a whole log in batches; pages are left unsealed."""
    mirror = Mirror(folder)
    repair(mirror, ROOM, "Benchmark", 0, lambda after, limit: log[after : after + limit])
    batches = [log[start : start + batch] for start in range(0, len(log), batch)]
    started = time.perf_counter()
    for rows in batches:
        mirror.append(ROOM, rows)
    seconds = time.perf_counter() - started
    mirror.close()
    return seconds / len(log)


def time_seals(log: Sequence[Event], folder: Path) -> float:
    """Seconds per page to write full pages with their seals and the index, synced to disk."""
    mirror = Mirror(folder)
    pages = len(log) // 256
    repair(mirror, ROOM, "Benchmark", 0, lambda after, limit: log[after : after + limit])
    mirror.append(ROOM, log)
    started = time.perf_counter()
    for page in range(pages):
        seal(mirror, ROOM, [page], lambda after, limit: log[after : after + limit])
    seconds = time.perf_counter() - started
    mirror.close()
    return seconds / pages


def report(rows: int, folder: Path | None) -> str:
    """Run everything; the lines to print. ``rows`` is at least 256, so that a page is full."""
    log = make_log(rows)
    lines = [f"{platform.machine()}, Python {platform.python_version()}, {rows} rows, best and median of {ROUNDS} rounds"]

    def measure(name: str, unit: str, scale: float, run: Callable[[Path], float]) -> None:
        seconds = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                seconds.append(run(Path(scratch)))
        lines.append(f"{name:<28} {min(seconds) * scale:8.2f} {statistics.median(seconds) * scale:8.2f} {unit}")

    for batch in BATCHES:
        measure(f"append, batches of {batch}", "us/row", 1e6, partial(time_appends, log, batch))
    measure("seal and index", "ms/page", 1e3, partial(time_seals, log))
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.micro_pages", description="Microseconds per row of the static pages."
    )
    parser.add_argument("--rows", type=int, default=10_240, help="rows in a round, at least 256 (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to write, to measure a certain disk (default: the temporary folder)")
    arguments = parser.parse_args()
    if arguments.rows < 256:
        parser.error("--rows must be at least 256, one page")
    print(report(arguments.rows, arguments.folder))


if __name__ == "__main__":
    main()
