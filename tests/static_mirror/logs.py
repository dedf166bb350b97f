"""A room's log in memory, for tests of its pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from server.wire import Event
from static_mirror import Mirror, repair, seal

ROOM = "demo"
TITLE = "New Year's <Concert> 演唱会"
START_MS = 1_735_566_011_123


class Log:
    """Events of one room, as they are now; numbers from 1."""

    def __init__(self, comments: int = 0) -> None:
        self.events: list[Event] = []
        self._texts: dict[int, Event] = {}
        self.comment(comments)

    @property
    def head(self) -> int:
        """Number of the newest event."""
        return len(self.events)

    def read(self, after: int, limit: int) -> Sequence[Event]:
        """As ``rebuild.Read``."""
        return self.events[after : after + limit]

    def comment(self, count: int = 1, text: str = "") -> list[Event]:
        """Append comments, each with a text of its own where none is given."""
        return [
            self._add(
                Event(seq=0, kind="comment", at_ms=0, pos_ms=seq * 1000, text=text or f"text {seq}", author_name=f"nick{seq}")
            )
            for seq in range(self.head + 1, self.head + 1 + count)
        ]

    def remove(self, seq: int, code: str = "L5", role: str = "reviewer") -> Event:
        """Append a removal and make its target a tombstone."""
        record = self._add(Event(seq=0, kind="removal", at_ms=0, target=seq, code=code, basis="第七条", role=role))
        was = self.events[seq - 1]
        self._texts[seq] = was
        self.events[seq - 1] = msgspec.structs.replace(
            was, text="", author_name="", removed_by=record.seq, code=code, basis="第七条", role=role
        )
        return record

    def restore(self, seq: int) -> Event:
        """Append a restoration, which carries the comment's text as the log's does, and give its target its text back."""
        was = self._texts[seq]
        record = Event(
            seq=0, kind="restoration", at_ms=0, target=seq, code="U2", basis="appeal", role="operator", text=was.text
        )
        self.events[seq - 1] = was
        return self._add(record)

    def notice(self, notice: str = "announcement", text: str = "", room_mode: str = "") -> Event:
        """Append a notice."""
        return self._add(Event(seq=0, kind="notice", at_ms=0, notice=notice, text=text, room_mode=room_mode))

    def _add(self, event: Event) -> Event:
        seq = self.head + 1
        event = msgspec.structs.replace(event, seq=seq, at_ms=START_MS + seq * 1713)
        self.events.append(event)
        return event


def folder_of(root: Path) -> Path:
    """The folder of the room's pages."""
    return root / "rooms" / ROOM / "comments"


def page_path(root: Path, page: int) -> Path:
    """The file of a page."""
    return folder_of(root) / f"{page}.html"


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file below the folder with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def started(root: Path, log: Log | None = None, *, max_open: int = 8) -> Mirror:
    """A mirror whose room is repaired up to the log's head."""
    mirror = Mirror(root, max_open=max_open)
    log = log or Log()
    repair(mirror, ROOM, TITLE, log.head, log.read)
    return mirror


def catch_up(mirror: Mirror, log: Log, batch: int = 100) -> None:
    """Append what the log has and the pages have not, in batches, and seal what becomes full."""
    position = mirror.position(ROOM)
    assert position is not None
    for after in range(position, log.head, batch):
        full = mirror.append(ROOM, log.read(after, batch))
        if full:
            seal(mirror, ROOM, full, log.read)
