"""Milliseconds of the server's time for a decision by keys: ``python -m loadtest.micro_review [--held N] [--decisions N]``.

A desk with N held comments in its queue (in a folder of its own, removed afterwards) is asked as the script of the queue's pages asks
it, through the whole HTTP application: the next item, claimed and rendered, and then the decision on it, durable in the book. No
browser and no network: what is measured is what the server adds to a reviewer's key, by the clock and in time of the processor (of
all threads; it remains comparable on a machine that has other work too). The page of the queue is measured at that size as well,
whole and with filters that little or nothing fits.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from server.accounts import sessions, staff
from server.http.routes import web_app
from server.moderation import queue, tables
from server.moderation.book import Transaction
from server.parts import build
from server.settings import load
from server.store.base import CommentDraft

_ROOMS: Final = 20
_AHEAD: Final = 4
_BASE: Final = 500
_FILTERS: Final = ("author=p-none", "code=L1", "severity=99", "older=1440", "room=room-3&author=p-7")
_VERDICT: Final = (
    b'{"rules":"0","action":"hold","reasons":[{"action":2,"code":"held_for_review","rule":"ads.contact","basis":"house rule",'
    b'"category":"advertising","term":"wx","start":0,"end":2}]}'
)


class Row(NamedTuple):
    """What was measured, and the times in milliseconds: by the clock, and of the processor."""

    name: str
    times: list[float]
    busy: list[float]


def fill(tx: Transaction, held: int) -> None:
    """Held comments of many authors, a tenth of them equal to others, of different gravity: some are added as the intake adds them,
    the rest are copies with texts of their own."""
    for number in range(min(held, _BASE)):
        room, author, text = f"room-{number % _ROOMS}", f"a-{number % 3_000}", f"held comment {number if number % 10 else 0}"
        draft = CommentDraft(
            room=room, author=author, key="", at_ms=0, pos_ms=number, text=text, mode="scroll", color="#ffffff", size=25,
            author_id=f"p-{number % 3_000}", author_name="name",
        )  # fmt: skip
        queue.add(tx, queue.New(
            queue="held", source=f"s:{number + 1}", room=room, account=author, author_id=draft.author_id, author_name="name",
            text=text, code="held_for_review", rule="0", verdict=_VERDICT, draft=draft,
            severity=30 + number % 60, reach=number % 5_000,
        ))  # fmt: skip
    names = [name for name in tables.items.c.keys() if name not in ("id", "source", "text", "digest")]  # noqa: SIM118
    tx.sql.exec_driver_sql(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) "  # noqa: S608 - names of our own table
        f"INSERT INTO items (source, text, digest, {', '.join(names)}) "
        f"SELECT source || '.' || n, text || '.' || n, digest || n, {', '.join(names)} FROM n, items LIMIT ?",
        (held // _BASE, max(0, held - _BASE)),
    )


async def timed(row: Row, work: Callable[[], Awaitable[httpx.Response]]) -> Any:
    """Do it, note how long it took, and give its JSON where it has any."""
    started, busy = time.perf_counter(), time.process_time()
    answer = await work()
    row.times.append((time.perf_counter() - started) * 1000)
    row.busy.append((time.process_time() - busy) * 1000)
    if answer.status_code != 200:
        raise SystemExit(f"{answer.url}: {answer.status_code} {answer.text[:300]}")
    return answer.json() if "json" in answer.headers["content-type"] else None


async def measure(client: httpx.AsyncClient, decisions: int) -> list[Row]:
    """Work as the page's script does: some items at hand, one decision after the other, every third one published."""
    names = ("next", "decide", "next + decide", "page of the queue", "page, filtered")
    nexts, decides, both, pages, filtered = (Row(name, [], []) for name in names)
    at_hand: list[Any] = []
    for number in range(decisions):
        have = [each["id"] for each in at_hand]
        body = {"queue": "held", "number": 1 if at_hand else _AHEAD, "have": have}
        at_hand += (await timed(nexts, lambda: client.post("/staff/desk/next", json=body)))["items"]  # noqa: B023
        item = at_hand.pop(0)
        act = {"item": item["id"], "version": item["version"], "act": "stop" if number % 3 else "allow", "code": "S1"}
        await timed(decides, lambda: client.post("/staff/desk/decide", json=act))  # noqa: B023
        both.times.append(nexts.times[-1] + decides.times[-1])
        both.busy.append(nexts.busy[-1] + decides.busy[-1])
    for _ in range(max(10, decisions // 20)):
        await timed(pages, lambda: client.get("/staff/queue"))
        for chosen in _FILTERS:
            await timed(filtered, lambda: client.get(f"/staff/queue?{chosen}"))  # noqa: B023
    return [nexts, decides, both, pages, filtered]


async def run(held: int, decisions: int, folder: Path) -> list[Row]:
    """The rows of the table."""
    settings = load({}, None, {"data_dir": str(folder)})
    async with build(settings) as parts:
        for number in range(_ROOMS):
            await parts.site.create_room(f"room-{number}", f"Room {number}", "live")
        await parts.moderation.write(lambda tx: fill(tx, held))
        people = parts.people
        await people.book.write(
            lambda tx: staff.add(tx, "bench", ("reviewer",), people.vault, actor="operator:bench", role="operator")
        )
        cookie = await people.book.write(lambda tx: sessions.begin(tx, "staff:bench", people.desk.policy))
        headers = {"X-Barrage-Form-Token": sessions.form_token(people.form_key, cookie), "Cookie": f"barrage_staff={cookie}"}
        transport = httpx.ASGITransport(web_app(parts.site))
        async with httpx.AsyncClient(transport=transport, base_url="http://bench.example", headers=headers) as client:
            await measure(client, 20)  # templates and statements are compiled
            rows = await measure(client, decisions)
        await parts.drain()
        return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.micro_review", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--held", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=1_000)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="barrage-review-") as folder:
        rows = asyncio.run(run(given.held, given.decisions, Path(folder)))
    load_1 = os.getloadavg()[0]
    print(
        f"{given.held:,} held comments, {given.decisions:,} decisions, CPython {platform.python_version()}, load {load_1:.1f}"
    )
    for name, times, busy in rows:
        (half, most), (half_busy, most_busy) = (
            (statistics.median(each), statistics.quantiles(each, n=100)[98]) for each in (times, busy)
        )
        print(f"{name:<18} clock: {half:7.2f} ms, p99 {most:7.2f} ms   processor: {half_busy:6.2f} ms, p99 {most_busy:6.2f} ms")


if __name__ == "__main__":
    main()
