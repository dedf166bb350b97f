"""How peers want to be spoken to. Pure: bytes in, bytes out.

A comment is the JSON text that a client of this server sends as well (``say``), of about a hundred bytes; its key ends in its
number, counted from 1. The peers hand on that text as it is, or in a wrapping of their own.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from loadtest.frames import ProtocolError

Word = Literal["open", "joined", "ping", "other"]
"""What a peer says beside comments: the connection may be greeted, the room is joined, a sign of life is wanted, anything else."""

_NUMBER: Final = re.compile(rb'"key":"[0-9a-f]+-(\d+)"')
_encode: Final = msgspec.json.Encoder().encode


def comment(room: str, run: str, number: int, text: str) -> bytes:
    """The JSON text of a comment."""
    return _encode({"op": "say", "room": room, "key": f"{run}-{number}", "text": text, "color": "#ffffff"})


class Dialect(NamedTuple):
    """``wrapping``: what stands before and after a comment, towards the server and towards viewers. ``greets``: the room is joined
    only after an exchange of messages, not with the handshake."""

    sends: tuple[bytes, bytes] = (b"", b"")
    receives: tuple[bytes, bytes] = (b"", b"")
    greets: bool = False
    query: str = ""

    def address(self, room: str, *, publishes: bool) -> str:
        """Path and query of a connection."""
        if self.greets:
            return f"/ws/?room={quote(room)}{self.query}" + ("&publishes=1" if publishes else "")
        return f"{'/publish' if publishes else '/ws'}?room={quote(room)}"

    def write(self, text: bytes) -> bytes:
        """The message that publishes a comment."""
        return self.sends[0] + text + self.sends[1]

    def read(self, message: bytes) -> tuple[int, bytes] | Word:
        """A comment's number and text, or what else is said. Raises ProtocolError for a comment in a wrong wrapping."""
        found = _NUMBER.search(message)
        if found is None:
            return self._word(message)
        before, after = self.receives
        if not (message.startswith(before) and message.endswith(after)):
            raise ProtocolError("a comment in a wrapping that was not expected")
        return int(found[1]), message[len(before) : len(message) - len(after)]

    def _word(self, message: bytes) -> Word:
        if not self.greets:
            return "other"
        if message.startswith(b"40"):
            return "joined"
        return {b"0": "open", b"2": "ping"}.get(message[:1], "other")  # type: ignore[return-value] # Word's own members


PLAIN: Final = Dialect()
"""The text is the message."""

SOCKET_IO: Final = Dialect(
    sends=(b'42["say",', b"]"), receives=(b'42["comment",', b"]"), greets=True, query="&EIO=4&transport=websocket"
)
"""Engine.IO 4, Socket.IO 5. Packet types are digits: ``40`` enters the namespace, ``42`` is an event, ``2`` pings, ``3`` answers."""

GREETING: Final = b"40"
SIGN_OF_LIFE: Final = b"3"
