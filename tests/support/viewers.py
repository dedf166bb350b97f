"""Viewers as plain objects: they read their frames at once, and note everything that no viewer should see."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from server.core.room import Room


def read_frame(frame: bytes) -> dict[str, Any]:
    """The message in one text frame of a server, plain or compressed."""
    start = {126: 4, 127: 10}.get(frame[1], 2)
    length = int.from_bytes(frame[2:start], "big") if start > 2 else frame[1]
    payload = frame[start:]
    assert len(payload) == length, "not exactly one frame"
    if frame[0] == 0xC1:
        payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
    else:
        assert frame[0] == 0x81, "not a text frame"
    message: dict[str, Any] = json.loads(payload)
    return message


class Piece(NamedTuple):
    """Numbers ``first`` to ``last`` of the log, as events or as a gap."""

    first: int
    last: int
    gap: bool


class FakeViewer:
    """A viewer of one room at a time.

    It does with the room what a connection does: joins with the place it reached, leaves the hot set after ``patience`` frames
    (None: never) until :meth:`drain`. ``look`` is called with the events of each frame before they count as received,
    ``look_back`` with those of a resume.
    ``faults`` tells what was wrong: events that do not follow, or repeat, and frames that do not say exactly what they leave out.
    What they leave out counts as ``skipped``, but for own comments (those of ``author_id``) that came as an echo.
    """

    def __init__(self, *, deflate: bool = False, patience: int | None = None, author_id: str = "") -> None:
        self.author_id = author_id
        self.echoes: list[dict[str, Any]] = []
        self.deflate = deflate
        self.patience = patience
        self.room: Room[Any] | None = None
        self.begin: int | None = None
        self.position = 0
        self.pieces: list[Piece] = []
        self.events: dict[int, dict[str, Any]] = {}
        self.left_out: list[int] = []
        self.frames: list[bytes] = []
        self.faults: list[str] = []
        self.look: Callable[[list[dict[str, Any]]], None] = lambda events: None
        self.look_back: Callable[[list[dict[str, Any]]], None] = lambda events: None

    # -- what a connection does -------------------------------------------------------------------------------------------

    def join(self, room: Room[Any], *, fresh: bool = False, recent: int = 50, most: int = 1000) -> None:
        """Join from the place reached, or afresh."""
        after = None if fresh or self.begin is None else self.position
        resume = room.resume(after, recent, most)
        if after is None:
            self.begin = self.position = resume.head - len(resume.events)
            self.pieces.clear()
        if resume.missing is not None:
            self._skip(resume.missing)
        events = [json.loads(data) for data in resume.events]
        self.look_back(events)
        self._take(events)
        if self.position != resume.head:
            self.faults.append(f"joined at {resume.head} with events up to {self.position}")
        self.room = room
        room.enter(self)

    def leave(self) -> None:
        """Disconnect."""
        if self.room is not None:
            self.room.exit(self)
            self.room = None

    def stall(self) -> None:
        """The transport's buffer is full."""
        if self.room is not None:
            self.room.cool(self)

    def drain(self) -> None:
        """The transport's buffer is empty again."""
        gap = self.room.thaw(self) if self.room is not None else None
        if gap is not None:
            self._skip(gap)

    def write(self, frame: bytes) -> None:
        """Receive a live frame."""
        self.frames.append(frame)
        message = read_frame(frame)
        if message["op"] == "echo":
            self._hear(message["events"])
        elif message["op"] == "events":
            self.look(message["events"])
            self._take_frame(message)
        if self.patience is not None:
            self.patience -= 1
            if self.patience <= 0:
                self.patience = None
                self.stall()

    # -- what it has ------------------------------------------------------------------------------------------------------

    @property
    def received(self) -> list[int]:
        """Numbers of the events received live or by resume, in order of arrival."""
        return [seq for piece in self.pieces if not piece.gap for seq in range(piece.first, piece.last + 1)]

    @property
    def skipped(self) -> list[int]:
        """Numbers announced as gaps."""
        return [seq for piece in self.pieces if piece.gap for seq in range(piece.first, piece.last + 1)]

    @property
    def texts(self) -> list[str]:
        """Texts of the received events, in the log's order; empty for what has none."""
        return [self.events[seq].get("text", "") for seq in sorted(self.events)]

    def _hear(self, events: list[dict[str, Any]]) -> None:
        if self.echoes or any(event["author"]["id"] != self.author_id for event in events):
            self.faults.append(f"an echo of {[event['seq'] for event in events]} is not of what comes next, or not one's own")
        self.look(events)
        self.echoes = events

    def _take_frame(self, message: dict[str, Any]) -> None:
        """The events of a frame, together with the echoes before it, and what it leaves out."""
        echoes, self.echoes = self.echoes, []
        events = sorted(message["events"] + echoes, key=lambda event: event["seq"])
        if "left_out" not in message:
            if echoes:
                self.faults.append("an echo of what is not left out")
            self._take(events)
            return
        first, last, left_out = message["first"], message["last"], message["left_out"] - len(echoes)
        missing = sorted(set(range(first, last + 1)) - {event["seq"] for event in events})
        self.left_out += missing
        for event in events:
            if event["seq"] > self.position + 1:
                self._skip((self.position + 1, event["seq"] - 1))
            self._take([event])
        if self.position < last:
            self._skip((self.position + 1, last))
        if (
            left_out != len(missing)
            or self.position != last
            or (events and events[0]["seq"] < first)
            or message["left_out"] < 1
        ):
            self.faults.append(f"a frame of {first} to {last} that says to leave out {message['left_out']} leaves out others")

    def _take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self._follow(event["seq"], event["seq"], gap=False)
            self.events[event["seq"]] = event

    def _skip(self, gap: tuple[int, int]) -> None:
        self._follow(*gap, gap=True)

    def _follow(self, first: int, last: int, *, gap: bool) -> None:
        if first != self.position + 1 or last < first:
            self.faults.append(f"{'gap' if gap else 'event'} {first}-{last} after {self.position}")
        self.position = last
        self.pieces.append(Piece(first, last, gap))
