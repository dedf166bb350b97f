"""Small makers that the tests of the load tool share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.ledger import Ledger, Submission
from loadtest.messages import Ack, Author, LogEvent, PageRow, Removed
from loadtest.plan import Plan
from server.wire import page_number
from tests.support.fake_barrage import FakeBarrage, Faults

SECRET = "a secret of forty characters for testing"


def comment(seq: int, text: str = "", author: str = "ann", **fields: Any) -> LogEvent:
    """Comment ``seq``; its text names its number unless given."""
    return LogEvent(
        seq=seq, kind="comment", at_ms=1000 + seq, text=text or f"text {seq}", author=Author(author, author), **fields
    )


def tombstone(event: LogEvent, by: int) -> LogEvent:
    """What remains of a comment."""
    return LogEvent(seq=event.seq, kind="comment", at_ms=event.at_ms, removed=Removed(by=by))


def row(event: LogEvent) -> PageRow:
    """The row that shows this event."""
    return PageRow(page_number(event.seq), event.seq, event.text, event.author.name, event.removed is not None)


def acked(ledger: Ledger, seq: int, text: str = "", author: str = "ann") -> Submission:
    """A comment that was sent and acknowledged."""
    submission = ledger.add(author, f"key-{seq}", text or f"text {seq}")
    ledger.sent(submission, 1.0)
    ledger.answer(Ack("demo", submission.key, seq), 2.0)
    return submission


def secret_file(folder: Path) -> Path:
    """A file with the secret that tokens are signed with."""
    path = folder / "token.key"
    path.write_text(SECRET)
    return path


def small_plan(url: str, folder: Path, **fields: Any) -> Plan:
    """A run of a fraction of a second with few people."""
    base: dict[str, Any] = {
        "url": url, "token_secret_file": secret_file(folder), "viewers": 6, "senders": 3, "rate": 100.0, "seconds": 0.3,
        "warmup_s": 0.05, "drain_s": 2.0,
    }  # fmt: skip
    return Plan(**(base | fields))


@contextmanager
def fake_in_thread(faults: Faults | None = None) -> Iterator[FakeBarrage]:
    """A fake server with a loop of its own, for code that runs its own loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    fake = FakeBarrage(faults)
    asyncio.run_coroutine_threadsafe(fake.__aenter__(), loop).result(60)
    try:
        yield fake
    finally:
        asyncio.run_coroutine_threadsafe(fake.__aexit__(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


async def eventually(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until the condition holds; fail when it does not."""
    end = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        if asyncio.get_running_loop().time() > end:
            pytest.fail("it did not come to pass")
        await asyncio.sleep(0.005)
