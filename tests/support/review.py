"""The desk's book for tests: opened in a folder, with a clock set by hand, and things that wait in it."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import select

from server.moderation import intake, queue, tables
from server.moderation.book import Decision, ReviewBook, decision_of
from server.moderation.queue import Item, New
from server.store import drafts
from server.store.base import ReportRecord, ScreenedRecord
from server.wire import Event
from tests.support.accounts import START_MS, Clock
from tests.support.drafts import held

ANN: Final[dict[str, Any]] = {"actor": "staff:ann", "role": "reviewer"}
BEN: Final[dict[str, Any]] = {"actor": "staff:ben", "role": "reviewer"}
BOSS: Final[dict[str, Any]] = {"actor": "staff:boss", "role": "senior"}
"""Who decides, as ``**ANN`` in calls of the desk's functions."""


@contextmanager
def book(folder: Path, clock: Clock | None = None) -> Iterator[ReviewBook]:
    """``review.db`` of a folder, opened (made when missing) and closed at the end. Opening it twice is a restart."""
    found = open_book(folder, clock or Clock())
    try:
        yield found
    finally:
        found.close()


def open_book(folder: Path, clock_ms: Callable[[], int]) -> ReviewBook:
    """As :func:`book`; whoever calls closes it."""
    path = folder / "review.db"
    if not path.exists():
        path.write_bytes(_empty())
    return ReviewBook(path, clock_ms)


@functools.cache
def _empty() -> bytes:
    """A new database, migrated once for all tests of the process."""
    with tempfile.TemporaryDirectory() as folder:
        ReviewBook(Path(folder) / "review.db", Clock()).close()
        return (Path(folder) / "review.db").read_bytes()


def screened(number: int = 1, **fields: Any) -> ScreenedRecord:
    """The record of a held comment of account ``ann`` in room ``a``."""
    return drafts.screened(number, held(f"h{number}", **({"at_ms": START_MS} | fields)))


def hold(book: ReviewBook, number: int = 1, **fields: Any) -> Item:
    """A held comment that waits; returns its item. ``fields`` as of a ScreenedDraft."""
    record = screened(number, **fields)
    book.write_now(lambda tx: intake.take_held(tx, [record], {record.room: 10}, 600_000))
    found = book.read_now(lambda connection: queue.of_source(connection, "held", f"s:{number}"))
    return found or book.read_now(lambda connection: _must(queue.of_source(connection, "news", f"s:{number}")))


def report(
    book: ReviewBook, number: int = 1, seq: int = 1, *, room: str = "a", reason: str = "S1", account: str = "", author: str = "ann",
    text: str = "a reported text", weight: float = queue.NEUTRAL,
) -> Item:  # fmt: skip
    """A report, with the receipt ``R{number}``, on a comment (``seq`` 0: on the room) that waits; returns the item."""
    record = ReportRecord(
        id=number, receipt=f"R{number}", room=room, seq=seq, at_ms=START_MS, reason=reason, text="", account=account or None
    )
    event = Event(seq=seq, kind="comment", at_ms=1, text=text, author_id=f"p-{author}", author_name="安") if seq else None
    about = intake.Reported(record, event, author if seq else "", weight)
    book.write_now(lambda tx: intake.take_reports(tx, [about], {room: 10}, 86_400_000))
    source = f"c:{room}:{seq}" if seq else f"r:{room}"
    return book.read_now(lambda connection: _must(queue.of_source(connection, "report", source)))


def put(book: ReviewBook, **fields: Any) -> Item:
    """Anything that waits; ``fields`` as of :class:`server.moderation.queue.New`."""
    new = New(**({"queue": "held", "source": "s:1"} | fields))
    item = book.write_now(lambda tx: queue.add(tx, new))
    return at(book, item)


def at(book: ReviewBook, item: int) -> Item:
    """The item as it is now."""
    return book.read_now(lambda connection: queue.get(connection, item))


def decisions(book: ReviewBook) -> list[Decision]:
    """The decision log, oldest first."""
    query = select(tables.decisions).order_by(tables.decisions.c.id)
    return book.read_now(lambda connection: [decision_of(row) for row in connection.execute(query).mappings()])


def effects(book: ReviewBook) -> list[dict[str, Any]]:
    """What decisions do in the room logs, oldest first; ``draft`` decoded."""
    query = select(tables.effects).order_by(tables.effects.c.decision)
    rows = book.read_now(lambda connection: [dict(row) for row in connection.execute(query).mappings()])
    return [{**row, "draft": msgspec.json.decode(row["draft"])} for row in rows]


def receipts(book: ReviewBook) -> dict[str, dict[str, Any]]:
    """The reports by their receipts."""
    return book.read_now(
        lambda connection: {row["receipt"]: dict(row) for row in connection.execute(select(tables.receipts)).mappings()}
    )


def _must(item: Item | None) -> Item:
    assert item is not None
    return item
