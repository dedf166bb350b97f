"""What the server says, as typed values: live messages, the history interface, and rows of static pages.

Only what the tests need is named; unknown fields pass, so that a newer server can be measured by an older tool.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Author(msgspec.Struct, frozen=True, gc=False):
    """Public id and nickname of a comment's author."""

    id: str = ""
    name: str = ""


class Removed(msgspec.Struct, frozen=True, gc=False):
    """Why a comment is a tombstone; ``by`` is the number of the removal."""

    by: int
    code: str = ""
    basis: str = ""
    role: str = ""


class Restored(msgspec.Struct, frozen=True, gc=False):
    """The comment that a restoration brings back."""

    text: str = ""
    pos_ms: int = 0
    mode: str = ""
    color: str = ""
    size: int = 0
    author: Author = Author()


class LogEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a room's log, as live frames and the history interface show it. Times are Unix milliseconds."""

    seq: int
    kind: str
    at_ms: int
    pos_ms: int = 0
    text: str = ""
    mode: str = ""
    color: str = ""
    size: int = 0
    author: Author = Author()
    target: int = 0
    code: str = ""
    basis: str = ""
    role: str = ""
    removed: Removed | None = None
    comment: Restored | None = None
    notice: str = ""


class PageRow(msgspec.Struct, frozen=True, gc=False):
    """One row of a static page, as a reader sees it; ``page`` is the number of the page that it stands on."""

    page: int
    seq: int
    text: str
    author: str
    removed: bool


# ---------------------------------------------------------------------------------------------------------------------
# Live messages


class Hello(msgspec.Struct, frozen=True, tag_field="op", tag="hello"):
    """First message of a connection."""

    version: int


class RoomState(msgspec.Struct, frozen=True, gc=False):
    """What a viewer is told of a room. In a ``live`` room a comment's position is the present one."""

    kind: str = "live"
    viewers: int = 0


class Joined(msgspec.Struct, frozen=True, tag_field="op", tag="joined"):
    """The room's newest events follow; ``head`` is the newest number that the client has after this message."""

    room: str
    epoch: str
    head: int
    state: RoomState = RoomState()
    events: list[LogEvent] = []


class Events(msgspec.Struct, frozen=True, tag_field="op", tag="events"):
    """A batch of new events. With ``left_out`` it stands for ``first`` to ``last``, and so many comments are not in it."""

    room: str
    events: list[LogEvent]
    first: int = 0
    last: int = 0
    left_out: int = 0


class Echo(msgspec.Struct, frozen=True, tag_field="op", tag="echo"):
    """The receiver's own comments among those that the next batch leaves out."""

    room: str
    events: list[LogEvent]


class Gap(msgspec.Struct, frozen=True, tag_field="op", tag="gap"):
    """Events ``first`` to ``last`` (both included) were not sent."""

    room: str
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    page: str = ""


class Ack(msgspec.Struct, frozen=True, tag_field="op", tag="ack"):
    """The comment is recorded as number ``seq``."""

    room: str
    key: str
    seq: int


class Held(msgspec.Struct, frozen=True, tag_field="op", tag="held"):
    """The comment waits for review."""

    room: str
    key: str
    code: str


class Refused(msgspec.Struct, frozen=True, tag_field="op", tag="refused"):
    """The comment was not published. ``temporary``: the same request with the same key may succeed later."""

    room: str
    key: str
    code: str
    temporary: bool = False
    retry_after_ms: int = 0


class Fault(msgspec.Struct, frozen=True, tag_field="op", tag="error"):
    """A message other than ``say`` could not be served."""

    code: str
    detail: str = ""
    temporary: bool = False


class State(msgspec.Struct, frozen=True, tag_field="op", tag="state"):
    """Mode of the room and number of its viewers."""

    room: str


class Left(msgspec.Struct, frozen=True, tag_field="op", tag="left"):
    """Answer to ``leave``."""

    room: str


class Pong(msgspec.Struct, frozen=True, tag_field="op", tag="pong"):
    """Answer to ``ping``."""


class Letter(msgspec.Struct, frozen=True, tag_field="op", tag="letter"):
    """The account was told something; of no matter to a load test."""

    kind: str


ServerMessage = Hello | Joined | Events | Echo | Gap | Ack | Held | Refused | Fault | State | Left | Letter | Pong
Answer = Ack | Held | Refused

_message: Final[msgspec.json.Decoder[ServerMessage]] = msgspec.json.Decoder(ServerMessage)


def decode(payload: bytes) -> ServerMessage:
    """One text frame's payload. Raises ValueError for what is no message of the protocol."""
    try:
        return _message.decode(payload)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a message of the protocol: {error}") from None


class History(msgspec.Struct, frozen=True):
    """One answer of the history interface."""

    events: list[LogEvent]
    epoch: str = ""
    head: int = 0


_history: Final[msgspec.json.Decoder[History]] = msgspec.json.Decoder(History)


def decode_history(body: bytes) -> History:
    """Raises ValueError for what is no answer of the history interface."""
    try:
        return _history.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"not an answer of the history interface: {error}") from None
