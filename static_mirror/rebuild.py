"""Pages made again from the log: after a crash, after any doubt, and whenever a row that stands already changes.

``read(after, limit)`` gives the events of the room's log with numbers after ``after``, in order, at most ``limit``, as they are
*now*: a removed comment is a tombstone. What it raises passes through. All functions block and belong into a worker thread; at
most one page of rows is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from static_mirror import layout
from static_mirror.files import MirrorError
from static_mirror.layout import PAGE_ROWS
from static_mirror.rows import PageEvent
from static_mirror.writer import Mirror

Read = Callable[[int, int], Sequence[PageEvent]]


class RebuildReport(NamedTuple):
    """What was done: pages written, their rows, and pages removed because they lay beyond the log's head."""

    written: int
    rows: int
    removed: int


def remake(mirror: Mirror, room: str, page: int, head: int, read: Read) -> Sequence[PageEvent]:
    """Make one page again, as it is when ``head`` is the newest event; return its rows.

    When it is the open page or a newer one, the caller keeps ``append`` of this room from running meanwhile. Raises MirrorError.
    """
    with mirror.exclusive(room):
        rows = _rows(room, page, head, read)
        mirror.write_page(room, page, rows)
    return rows


def seal(mirror: Mirror, room: str, pages: Iterable[int], read: Read) -> None:
    """Give full pages their final form and list them in the index. May run beside ``append`` of this room.

    A page whose rows the mirror keeps is sealed from them, unless the log says that one of them is to change; any other is made
    again from the log. Raises MirrorError; the pages not sealed then stay valid and complete as they are, and ``repair`` seals them.
    """
    for page in pages:
        with mirror.exclusive(room):
            if mirror.keeps(room, page) and not _is_to_change(mirror, room, page, read):
                mirror.seal(room, page)
            else:
                remake(mirror, room, page, (page + 1) * PAGE_ROWS, read)
    mirror.write_index(room)


def _is_to_change(mirror: Mirror, room: str, page: int, read: Read) -> bool:
    """Whether the log has decisions about rows of the page that were not carried out yet, or may have.

    What was decided by an event whose row stands on a page was carried out before that row was appended; then the page was written
    anew, and its rows are not kept. So it is enough to look at events that are on no page yet.
    """
    position = mirror.position(room)
    if position is None:
        return True
    coming = read(position, PAGE_ROWS)
    return len(coming) == PAGE_ROWS or any(row.target and layout.page_of(row.target) == page for row in coming)


def repair(mirror: Mirror, room: str, title: str, head: int, read: Read, *, deep: bool = False) -> RebuildReport:
    """Make again what :meth:`Mirror.check` finds damaged, so that the pages are whole up to ``head`` and rows can be appended.

    For every start and after every doubt: cheap for a room that is fine. The caller keeps ``append`` of this room from running
    meanwhile. Raises MirrorError; then it is to be called again.
    """
    mirror.add_room(room, title)
    mirror.write_style()
    with mirror.exclusive(room):
        bad = mirror.check(room, head, deep=deep)
        removed = mirror.clean(room, head)
        done: set[int] = set()
        count = 0
        for page in (page for page in bad if page <= layout.open_page(head)):
            rows = _rows(room, page, head, read)
            # A removal without a row may not have been carried out. Its target goes first, as always, so that this can be
            # cut off at any moment and done again.
            targets = {layout.page_of(row.target) for row in rows if row.kind in {"removal", "restoration"} and row.target > 0}
            for target in sorted(targets - done - {page}):
                count += len(remake(mirror, room, target, head, read))
            mirror.write_page(room, page, rows)
            count += len(rows)
            done |= {page} | targets
        mirror.write_index(room)
    return RebuildReport(len(done), count, removed)


def differing(mirror: Mirror, room: str, pages: Iterable[int], head: int, read: Read) -> list[int]:
    """Those of the pages that are not byte by byte what the log makes of them. Changes nothing.

    Finds what :meth:`Mirror.check` does not: a page that was edited in place, or in whose place an old copy was put. A removal that
    is in the log and not yet on its page is found as well. May run beside ``append`` when the open page is not among them.
    """
    found = []
    for page in pages:
        with mirror.exclusive(room):
            if not mirror.stands(room, page, _rows(room, page, head, read)):
                found.append(page)
    return found


def rebuild(mirror: Mirror, room: str, title: str, head: int, read: Read, *, open_page: bool = True) -> RebuildReport:
    """Make all pages up to ``head`` and the index again, page by page, and remove pages beyond it.

    Without ``open_page`` the open page and the index's place for it are left alone, and so the room may be live: ``append`` goes
    on, and sealing and removals come in between two pages. With it, the caller keeps ``append`` of this room from running.
    Raises MirrorError.
    """
    mirror.add_room(room, title)
    newest = layout.open_page(head)
    removed = mirror.clean(room, head) if open_page else 0
    pages = newest + 1 if open_page else newest
    count = sum(len(remake(mirror, room, page, head, read)) for page in range(pages))
    mirror.write_index(room, fresh=True)
    return RebuildReport(pages, count, removed)


def _rows(room: str, page: int, head: int, read: Read) -> Sequence[PageEvent]:
    limit = min(PAGE_ROWS, head - page * PAGE_ROWS)
    if limit < 0:
        raise ValueError(f"page {page} of room {room} lies beyond event {head}")
    rows = read(page * PAGE_ROWS, limit) if limit else ()
    if len(rows) != limit:
        raise MirrorError(f"The log of room {room} has {len(rows)} of {limit} events of page {page}. Check the log.")
    return rows
