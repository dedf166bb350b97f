"""Whether the static pages hold what the log holds: ``barrage verify-pages``.

The pages are read by the independent reader of ``static_mirror.verify``; the log comes from the running server's history, or from
the store itself when no server runs. Nothing is repaired here, so that what is wrong is seen.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from server.operations import Operations
from server.store.base import Store
from server.wire import Event
from static_mirror import verify
from static_mirror.labels import CATEGORIES
from static_mirror.layout import comments_folder

CHUNK_EVENTS: Final = 3 * 256
"""Whole pages: no page is read before the log of a later chunk."""
TRIES: Final = 3
_PROBLEMS: Final = 20
_RETRY_GAP_S: Final = 0.5


class Expected(NamedTuple):
    """What a row must show of an event: of a removed comment nothing but that it was removed. ``label`` goes with its category."""

    seq: int
    kind: str
    text: str
    removed: bool
    region: str = ""
    label: tuple[str, str] = ("", "")


class RoomCheck(NamedTuple):
    """The outcome for one room; the pages are good when there are no problems."""

    room: str
    head: int
    pages: int
    rows: int
    problems: list[str]


Read = Callable[[int, int], Awaitable[Sequence[Expected]]]
"""Events after a number, at most so many, in order, as they are now."""


def expected_of(event: dict[str, Any]) -> Expected:
    """From an event of the history interface."""
    shows_text = event["kind"] in {"comment", "notice"}
    label = event.get("label", {})
    return Expected(
        event["seq"], event["kind"], event.get("text", "") if shows_text else "", "removed" in event,
        event.get("region", ""), _label(label.get("kind", ""), label.get("text", "")),
    )  # fmt: skip


def served(operations: Operations, room: str) -> Read:
    """The log of a room as a running server hands it out."""

    async def read(after: int, limit: int) -> Sequence[Expected]:
        return [expected_of(event) for event in await operations.history(room, after, limit)]

    return read


def stored(store: Store, room: str) -> Read:
    """The log of a room as the store has it."""

    async def read(after: int, limit: int) -> Sequence[Expected]:
        events = await asyncio.to_thread(store.read, room, after, limit)
        return [_expected(event) for event in events]

    return read


def _expected(event: Event) -> Expected:
    if event.kind not in {"comment", "notice"}:  # a restoration carries its comment, which its row does not show
        return Expected(event.seq, event.kind, "", removed=False)
    return Expected(
        event.seq, event.kind, event.text, bool(event.removed_by), event.region, _label(event.label_kind, event.label)
    )  # fmt: skip


def _label(kind: str, text: str) -> tuple[str, str]:
    """As a page shows it: under a category that is known, or as that of some public account."""
    return (kind if kind in CATEGORIES else "other", text) if text else ("", "")


async def check_room(pages_dir: Path, room: str, read: Read, tries: int = 1) -> RoomCheck:
    """Compare the pages of a room with its log, row by row.

    While a server runs, a removal may come between reading the one and the other: with ``tries`` above 1 a difference counts
    only when it is still there on looking again.
    """
    for attempt in range(tries):
        if attempt:
            await asyncio.sleep(_RETRY_GAP_S)
        check = await _check_once(comments_folder(pages_dir, room), room, read)
        if not check.problems:
            break
    return check


async def _check_once(folder: Path, room: str, read: Read) -> RoomCheck:
    report = await asyncio.to_thread(verify.verify, folder)
    problems = list(report.problems)
    rows = verify.read_rows(folder)
    head = 0
    # The log first: what it shows by then is static by then, so rows that came later are no fault.
    while chunk := await read(head, CHUNK_EVENTS):
        head = chunk[-1].seq
        if not problems:
            problems = await asyncio.to_thread(_differences, rows, chunk)
    return RoomCheck(room, head, report.pages, report.rows, problems[:_PROBLEMS])


def _differences(rows: Iterator[verify.Row], expected: Sequence[Expected]) -> list[str]:
    """What the next rows show otherwise than the log."""
    problems = []
    shown = 0
    try:
        for row, event in zip(itertools.islice(rows, len(expected)), expected, strict=False):
            shown += 1
            text = row.text if row.kind in {"comment", "notice"} and not row.removed else ""
            if (row.seq, row.kind, row.removed) != (event.seq, event.kind, event.removed):
                problems.append(f"#{event.seq} is not the {event.kind} that the log has")
            elif text != event.text:
                problems.append(f"#{event.seq} has another text than the log")
            elif row.region != event.region:
                problems.append(f"#{event.seq} has another region than the log")
            elif (row.label_kind, row.label) != event.label:
                problems.append(f"#{event.seq} has another label than the log")
    except verify.PageFault as fault:
        return [str(fault)]
    if shown < len(expected):
        problems.append(f"#{expected[shown].seq} and what follows is missing on the pages")
    return problems
