"""Work on static pages that blocks: reading the log and writing whole pages. Runs in worker threads only.

What keeps two of these calls from meeting on one room is the flusher: it runs them one at a time per room, and those that touch the
open page only while nothing is appended to it (see :mod:`server.flush`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import structlog

from server.errors import Refusal, StoreError, StoreUnavailable
from server.store.base import RoomInfo, Store
from server.wire import Event
from static_mirror import Mirror, MirrorError, RebuildReport, differing, layout, rebuild, remake, repair, seal

log = structlog.get_logger("pages")


class PageWork:
    """Binds the mirror to the log. ``infos`` are the stored rooms by name; it is only read here."""

    def __init__(self, mirror: Mirror, store: Store, infos: Mapping[str, RoomInfo]) -> None:
        self._mirror = mirror
        self._store = store
        self._infos = infos

    def last_page(self, visible: int) -> int:
        """The open page of a room whose newest event is ``visible``."""
        return layout.open_page(visible)

    def rewrite(self, room: str, numbers: Iterable[int], last: int) -> None:
        """Make these pages again, as they stand with ``last`` as newest event, in ascending order. Raises MirrorError, StoreError."""
        for number in sorted(numbers):
            remake(self._mirror, room, number, last, self._reader(room))
        self._mirror.write_index(room)

    def repair(self, room: str, last: int) -> RebuildReport:
        """Make again what is damaged or missing up to ``last``; cheap when nothing is. Raises MirrorError, StoreError."""
        return repair(self._mirror, room, self._infos[room].title, last, self._reader(room))

    def repair_all(self, rooms: Iterable[str]) -> int:
        """For the start: repair every room up to its head; returns how many pages were written. Raises MirrorError, StoreError."""
        written = 0
        for room in rooms:
            report = self.repair(room, self._infos[room].head)
            if report.written or report.removed:
                log.info("pages repaired", room=room, written=report.written, removed=report.removed)
            written += report.written
        return written

    def differing(self, room: str, numbers: Iterable[int], last: int) -> list[int]:
        """Those of these pages that are not what the log makes of them; changes nothing. Raises MirrorError, StoreError."""
        return differing(self._mirror, room, numbers, last, self._reader(room))

    def seal(self, room: str, numbers: Iterable[int]) -> None:
        """Give full pages their final form and list them in the index. Raises MirrorError, StoreError."""
        seal(self._mirror, room, numbers, self._reader(room))

    def rebuild(self, room: str, last: int) -> RebuildReport:
        """Make all pages up to ``last`` again and remove those beyond. Raises MirrorError, StoreError."""
        return rebuild(self._mirror, room, self._infos[room].title, last, self._reader(room))

    def _reader(self, room: str) -> _Reader:
        return _Reader(self._store, room)


class _Reader:
    """The log of one room, as the mirror reads it."""

    def __init__(self, store: Store, room: str) -> None:
        self._store = store
        self._room = room

    def __call__(self, after: int, limit: int) -> Sequence[Event]:
        try:
            return self._store.read(self._room, after, limit)
        except Refusal as refusal:  # room_not_found: another database stands in the place of the one that had it
            raise StoreUnavailable(f"room {self._room} is not in the database any more: restart the server") from refusal


PAGE_FAULTS = (MirrorError, StoreError)
"""What work on pages may raise."""
