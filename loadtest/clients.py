"""One WebSocket connection of the generator: reads into a buffer that all connections share, parses as little as it can.

The buffer may be shared because the loop fills it and calls :meth:`Client.buffer_updated` for one connection at a time. What
is not consumed by then (the beginning of a frame) is carried by the connection itself, or, when it is the beginning of the
frame that must come next, by no more than the count of its bytes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol, cast

from loadtest import frames
from loadtest.feed import Batch, Feed
from loadtest.frames import Handshake, HandshakeError, ProtocolError
from loadtest.messages import Ack, Answer, Echo, Events, Fault, Gap, Held, Joined, Left, Refused, ServerMessage
from loadtest.truth import Stream

_RECEIVED: Final = bytearray(512 * 1024)
"""Where every connection of this process reads into; valid during one ``buffer_updated``."""


class Owner(Protocol):
    """Who uses a connection. The methods are called on the event loop and must not block."""

    @property
    def stream(self) -> Stream: ...

    def on_open(self, client: Client) -> None:
        """The handshake is over."""

    def on_joined(self, client: Client, message: Joined) -> None:
        """The room was joined; the stream has taken the events already."""

    def on_answer(self, client: Client, message: Answer, now_s: float) -> None:
        """A comment was answered."""

    def on_fault(self, client: Client, message: Fault) -> None:
        """The server could not serve a message."""

    def on_lost(self, client: Client, error: Exception | None) -> None:
        """The connection ended; called once. ``error`` says why it was no orderly end, ``client.close_code`` its code."""


class Client(asyncio.BufferedProtocol):
    """One connection to one room.

    ``close_code`` is that of the server's close frame (0: none came). ``random_mask``: mask each frame with a fresh key.
    """

    __slots__ = (
        "_batch",
        "_carry",
        "_error",
        "_fragments",
        "_handshake",
        "_matched",
        "_open",
        "_owner",
        "close_code",
        "feed",
        "group",
        "random_mask",
        "stream",
        "transport",
        "write",
    )

    def __init__(self, owner: Owner, feed: Feed, handshake: Handshake, *, group: int = 0, random_mask: bool = False) -> None:
        self._owner = owner
        self._handshake = handshake
        self._open = False
        self._error: Exception | None = None
        self._carry = b""
        self._fragments: tuple[bool, list[bytes]] | None = None
        self._batch: Batch | None = None
        self._matched = 0  # bytes of _batch's frame that came already; then _carry is empty
        self.close_code = 0
        self.feed = feed
        self.group = group
        self.random_mask = random_mask
        self.stream = owner.stream
        self.transport: asyncio.Transport | None = None

    # -- transport ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request at once."""
        self.transport = cast(asyncio.Transport, transport)
        self.write: Callable[[bytes], object] = self.transport.write
        self.write(self._handshake.request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on why it ended."""
        self.stream.cut()
        self._owner.on_lost(self, self._error or exc)

    def get_buffer(self, sizehint: int) -> bytearray:
        """The shared buffer."""
        return _RECEIVED

    def buffer_updated(self, nbytes: int) -> None:
        """``nbytes`` came."""
        now_s = perf_counter()
        data: bytes | bytearray = _RECEIVED
        pos, end = 0, nbytes
        if self._matched:
            batch, matched = cast(Batch, self._batch), self._matched
            rest = batch.size - matched
            if rest <= nbytes and data.startswith(batch.view[matched:]):
                self._matched = 0
                pos = rest
                self.stream.next = batch.last + 1
                if batch.left_out:
                    self.stream.missed(batch.left_out)
                batch.arrivals[self.group].append(now_s)
            elif rest > nbytes and data.startswith(batch.view[matched : matched + nbytes]):
                self._matched += nbytes
                return
            else:
                self._matched = 0
                data = batch.frame[:matched] + _RECEIVED[:nbytes]
                end = len(data)
        elif self._carry:
            data = self._carry + _RECEIVED[:nbytes]
            end = len(data)
            self._carry = b""
        try:
            if not self._open:
                pos = self._on_handshake(data[:end])
            if self._open:
                self._consume(data, pos, end, now_s)
        except HandshakeError as error:
            self._error = error
            self.abort()
        except (ProtocolError, ValueError) as error:
            self.stream.violate("protocol_broken", str(error))
            self._error = error
            self.abort()

    def eof_received(self) -> bool:
        """The server will send no more: close."""
        return False

    # -- reading ------------------------------------------------------------------------------------------------------

    def _on_handshake(self, data: bytes | bytearray) -> int:
        size = self._handshake.answer(bytes(data))
        if size:
            self._open = True
            self._owner.on_open(self)
        else:
            self._carry = bytes(data)
        return size

    def _consume(self, data: bytes | bytearray, pos: int, end: int, now_s: float) -> None:
        """Take the frames of ``data[pos:end]``. The hot path: a known batch is compared, not parsed."""
        stream, expected = self.stream, self.feed.expected
        while pos < end:
            for batch in expected.get(stream.next, ()) if self._fragments is None else ():
                if pos + batch.size <= end:
                    if data.startswith(batch.frame, pos):
                        pos += batch.size
                        stream.next = batch.last + 1
                        if batch.left_out:
                            stream.missed(batch.left_out)
                        batch.arrivals[self.group].append(now_s)
                        break
                elif data.startswith(batch.view[: end - pos], pos):
                    self._batch, self._matched = batch, end - pos
                    return
            else:
                size = self._take_frame(data, pos, end, now_s)
                if not size:
                    self._carry = bytes(data[pos:end])
                    return
                pos += size

    def _take_frame(self, data: bytes | bytearray, pos: int, end: int, now_s: float) -> int:
        """Take the frame at ``pos``; returns its size, 0 when it is not complete. Raises ProtocolError, ValueError."""
        header = frames.header(data, pos, end)
        if header is None or pos + header.size + header.length > end:
            return 0
        size = header.size + header.length
        payload = bytes(data[pos + header.size : pos + size])
        if header.opcode >= frames.CLOSE:
            self._on_control(header.opcode, payload)
        elif self.close_code:
            raise ProtocolError("a message after the close frame")
        elif header.opcode == frames.CONTINUATION or not header.fin:
            self._on_fragment(header, payload, now_s)
        elif header.opcode != frames.TEXT or self._fragments is not None:
            raise ProtocolError("a binary frame, or a new message inside a fragmented one")
        else:
            message = self.feed.decode(payload, deflated=header.deflated)
            self._on_message(message, bytes(data[pos : pos + size]) if isinstance(message, Events) else b"", now_s)
        return size

    def _on_fragment(self, header: frames.Header, payload: bytes, now_s: float) -> None:
        if header.opcode != frames.CONTINUATION:
            if self._fragments is not None or header.opcode != frames.TEXT:
                raise ProtocolError("a binary frame, or a new message inside a fragmented one")
            self._fragments = (header.deflated, [payload])
            return
        if self._fragments is None or header.deflated:
            raise ProtocolError("a continuation of nothing")
        deflated, parts = self._fragments
        parts.append(payload)
        if sum(map(len, parts)) > frames.MAX_MESSAGE:
            raise ProtocolError("an endless message")
        if header.fin:
            self._fragments = None
            self._on_message(self.feed.decode(b"".join(parts), deflated=deflated), b"", now_s)

    def _on_control(self, opcode: int, payload: bytes) -> None:
        if opcode == frames.PING:
            self._send(payload, frames.PONG)
        elif opcode == frames.CLOSE:
            self.close_code = frames.close_code(payload)
            self._send(payload[:2], frames.CLOSE)
        elif opcode != frames.PONG:
            raise ProtocolError(f"opcode {opcode}")

    def _on_message(self, message: ServerMessage, frame: bytes, now_s: float) -> None:
        if isinstance(message, Ack | Held | Refused):
            self._owner.on_answer(self, message, now_s)
            return
        if isinstance(message, Fault):
            self._owner.on_fault(self, message)
            return
        if isinstance(message, Events | Echo | Joined | Gap | Left) and message.room != self.feed.room:
            raise ProtocolError(f"a message of room {message.room}")
        if isinstance(message, Events):
            for batch in self.feed.batch(message, frame):
                self.stream.receive(batch.first, batch.last)
                if batch.left_out:
                    self.stream.missed(batch.left_out)
                batch.arrivals[self.group].append(now_s)
        elif isinstance(message, Echo):
            for event in message.events:
                self.stream.echo(event.seq, event.author.name)
        elif isinstance(message, Gap):
            self.stream.gap(message.first, message.last)
        elif isinstance(message, Joined):
            numbers = [event.seq for event in message.events]
            if numbers and numbers != list(range(numbers[0], numbers[-1] + 1)):
                raise ProtocolError("the events of a joined message are not contiguous")
            first, last = (numbers[0], numbers[-1]) if numbers else (0, 0)
            self.stream.joined(message.epoch, message.head, first, last)
            self._owner.on_joined(self, message)

    # -- writing ------------------------------------------------------------------------------------------------------

    def send(self, payload: bytes) -> None:
        """Send one text message."""
        self._send(payload, frames.TEXT)

    def _send(self, payload: bytes, opcode: int) -> None:
        self.write(frames.frame(payload, opcode, os.urandom(4) if self.random_mask else frames.ZERO_MASK))

    def close(self) -> None:
        """Begin an orderly end: the server answers the close frame and ends the connection."""
        self._send((1000).to_bytes(2, "big"), frames.CLOSE)

    def abort(self) -> None:
        """Cut the connection at once; nothing happens where there is none."""
        if self.transport is not None:
            self.transport.abort()
