"""Drafts per second of the store: ``python -m loadtest.micro_store [--drafts N] [--batch N] [--rooms N] [--folder DIR]``.

Each figure is taken alone and beside a thread that never lets go of the interpreter lock unless asked to, the worst neighbour
that a busy event loop could be. Python's ``sqlite3`` releases that lock around every step of a statement, so what counts
there is the number of steps; the ways of inserting rows are compared first, then the whole store: appending (with keys that
begin with the time, and with random ones), reading.

Folders on a disk that is in use by others give other figures: a batch ends with an fsync.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from server.store.base import CommentDraft, Draft
from server.store.sql import SqlStore

AUTHORS = 3_118
WIDTH = 16


@contextmanager
def busy_thread() -> Iterator[None]:
    """A thread that computes in Python for as long as the block runs."""
    done: list[bool] = []

    def burn() -> None:
        count = 0
        while not done:
            count += 1

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        done.append(True)
        thread.join()


def make_batches(drafts: int, batch: int, rooms: int, *, ordered: bool) -> list[list[Draft]]:
    """Comments of 20 Chinese characters by 3,118 authors; keys of 32 digits that begin with the time, or random ones."""
    text = "这一段太好看了哈哈哈前方高能请注意不要"
    made: list[Draft] = [
        CommentDraft(
            room=f"room{index % rooms}",
            author=f"account-{index * 7919 % AUTHORS:06d}",
            key=(f"{1_700_000_000_000 + index // 10:012x}" if ordered else "") + os.urandom(10 if ordered else 16).hex(),
            at_ms=1_700_000_000_000 + index // 10,
            pos_ms=index * 37 % 3_600_000,
            text=f"{text}{index % 10}",
            mode="scroll",
            color="#ffffff",
            size=25,
            author_id=f"{index * 7919 % AUTHORS:016x}",
            author_name=f"观众{index * 7919 % AUTHORS}",
            verdict=b'{"action":0,"rules":"0123456789abcdef"}',
            connection=f"connection-{index * 7919 % AUTHORS:06d}",
        )
        for index in range(drafts)
    ]
    return [made[start : start + batch] for start in range(0, drafts, batch)]


def timed(name: str, batches: int, each: int, run: Callable[[int], object]) -> str:
    """Call ``run`` for every batch of ``each`` things; one line of the report."""
    seconds = []
    wall, cpu = time.perf_counter(), time.thread_time()
    for index in range(batches):
        started = time.perf_counter()
        run(index)
        seconds.append(time.perf_counter() - started)
    wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
    seconds.sort()
    median, most = seconds[len(seconds) // 2] * 1e3, seconds[-1] * 1e3
    things = batches * each
    return f"{name:<46} {things / wall:>9,.0f}/s {things / cpu:>9,.0f}/s of CPU, each {median:7.1f} ms, at most {most:7.1f} ms"


def compare_inserts(batch: int, rounds: int, folder: Path) -> Iterator[str]:
    """The ways to insert ``batch`` rows of 16 columns in one transaction: row by row, one VALUES list, one JSON value."""
    columns = ", ".join(f"c{index}" for index in range(WIDTH))
    row = f"({', '.join('?' * WIDTH)})"
    one = f"INSERT INTO t ({columns}) VALUES {row}"  # noqa: S608
    values = f"INSERT INTO t ({columns}) VALUES {', '.join([row] * batch)}"  # noqa: S608
    extracts = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(WIDTH))
    by_json = f"INSERT INTO t ({columns}) SELECT {extracts} FROM json_each(?)"  # noqa: S608
    rows: list[list[Any]] = [
        [*range(100, 108), "account-000123", "这一段太好看了哈哈哈前方高能请注意不要", *"abcdef"] for _ in range(batch)
    ]

    ways: Sequence[tuple[str, Callable[[sqlite3.Connection], object]]] = (
        ("executemany, a step for each row", lambda c: c.executemany(one, rows)),
        ("one VALUES list", lambda c: c.execute(values, [value for row in rows for value in row])),
        ("one JSON value", lambda c: c.execute(by_json, (orjson.dumps(rows).decode(),))),
    )
    for name, way in ways:
        connection = sqlite3.connect(folder / "t.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(f"CREATE TABLE t ({columns})")

        def insert(_: int, connection: sqlite3.Connection = connection, way: Callable[..., object] = way) -> None:
            connection.execute("BEGIN IMMEDIATE")
            way(connection)
            connection.commit()

        yield timed(f"insert, {name}", rounds, batch, insert)
        connection.close()


def measure_store(drafts: int, batch: int, rooms: int, path: Path, *, ordered: bool) -> Iterator[str]:
    """Append fresh comments, in batches and one by one, and read them back."""
    store = SqlStore.open(path)
    for index in range(rooms):
        store.create_room(f"room{index}", "Benchmark", "live", 0)
    batches = make_batches(drafts, batch, rooms, ordered=ordered)
    keys = "time first" if ordered else "random"
    yield timed(f"append, batches of {batch}, keys {keys}", len(batches), batch, lambda index: store.append(batches[index]))
    singles = make_batches(50, 1, rooms, ordered=ordered)
    yield timed(f"append, batches of 1, keys {keys}", len(singles), 1, lambda index: store.append(singles[index]))
    for limit in (256, 10_000):
        rows = len(store.read("room0", 0, limit))
        yield timed(f"read {rows} events", 10, rows, partial(_read, store, limit))
    store.close()


def _read(store: SqlStore, limit: int, _: int) -> object:
    return store.read("room0", 0, limit)


def lines(given: argparse.Namespace, folder: Path, label: str, *, share: int) -> Iterator[str]:
    """All measurements; ``share`` divides their length."""
    yield from compare_inserts(given.batch, max(40 // share, 2), folder)
    for ordered in (True, False):
        path = folder / f"{label}-{ordered}.db"
        yield from measure_store(given.drafts // share, given.batch, given.rooms, path, ordered=ordered)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.micro_store", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--drafts", type=int, default=120_000, help="how many comments to append (default 120000)")
    parser.add_argument("--batch", type=int, default=500, help="comments in a batch (default 500)")
    parser.add_argument("--rooms", type=int, default=20, help="rooms that they go to (default 20)")
    parser.add_argument("--folder", type=Path, help="where to put the databases (default: the folder for temporary files)")
    given = parser.parse_args(arguments)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{given.drafts} drafts, {given.rooms} rooms"
    )
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        print("alone")
        for line in lines(given, Path(scratch), "alone", share=1):
            print("  " + line, flush=True)
        print("beside a busy thread")
        with busy_thread():
            for line in lines(given, Path(scratch), "busy", share=10):
                print("  " + line, flush=True)


if __name__ == "__main__":
    main()
