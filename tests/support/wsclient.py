"""A raw WebSocket client: sends any bytes, parses what comes back strictly, and trusts nothing.

Blocking, with a deadline for each read, so that a test that waits for what never comes fails instead of hanging.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import time
import zlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from tests.support.waiting import PATIENCE_S

TEXT: Final = 1
BINARY: Final = 2
CONT: Final = 0
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
RSV1: Final = 4

KEY: Final = base64.b64encode(bytes(range(16))).decode()
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TAIL: Final = b"\x00\x00\xff\xff"


class Frame(NamedTuple):
    """A frame as it came; ``rsv`` holds the three reserved bits (RSV1 is 4)."""

    fin: bool
    rsv: int
    opcode: int
    payload: bytes


class Answer(NamedTuple):
    """The answer to a handshake. Names of ``headers`` are in lower case, in their order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The values of a header, joined by commas; empty when there is none."""
        return ", ".join(value for key, value in self.headers if key == name)


# -- what a client sends ----------------------------------------------------------------------------------------------


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    length: int | None = None,
) -> bytes:
    """A client's frame; ``mask`` None leaves it unmasked, ``length`` is what the header claims instead of the truth."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def text(message: str | dict[str, Any]) -> bytes:
    """A text frame with a string, or with a message as JSON."""
    return frame(TEXT, (message if isinstance(message, str) else json.dumps(message)).encode())


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    """A closing frame; without a code it is empty."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def fragments(parts: Sequence[bytes], *, opcode: int = TEXT, rsv: int = 0) -> list[bytes]:
    """The frames of one message in these parts; ``rsv`` is set on the first one, as compression does."""
    last = len(parts) - 1
    return [
        frame(CONT if index else opcode, part, fin=index == last, rsv=0 if index else rsv) for index, part in enumerate(parts)
    ]


def deflate(payload: bytes, window_bits: int = 15) -> bytes:
    """The payload of a compressed message (RFC 7692, 7.2.1)."""
    encoder = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
    data = encoder.compress(payload) + encoder.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(_TAIL)
    return data[:-4]


def inflate(payload: bytes, window_bits: int = 15) -> bytes:
    """A compressed message without context takeover (RFC 7692, 7.2.2)."""
    return zlib.decompressobj(-window_bits).decompress(payload + _TAIL)


def request(
    target: str = "/ws?room=demo",
    *,
    method: str = "GET",
    protocol: str = "HTTP/1.1",
    headers: Sequence[tuple[str, str]] = (),
    without: Sequence[str] = (),
) -> bytes:
    """The head of a handshake; ``headers`` are added, or take the place of those that ``without`` names."""
    usual = [
        ("Host", "localhost"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
    lines = [f"{method} {target} {protocol}"]
    lines += [f"{name}: {value}" for name, value in [*(item for item in usual if item[0] not in without), *headers]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


# -- the client -------------------------------------------------------------------------------------------------------


class RawClient:
    """One connection. ``timeout_s`` bounds every read; ``receive_buffer`` makes the kernel hold little for a stalled client."""

    def __init__(self, port: int, *, timeout_s: float = PATIENCE_S, receive_buffer: int = 0) -> None:
        self.timeout_s = timeout_s
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(timeout_s)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def local_port(self) -> int:
        """Our port: what the server sees as the peer's."""
        port: int = self._socket.getsockname()[1]
        return port

    # -- sending ------------------------------------------------------------------------------------------------------

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are, in one piece."""
        self._socket.sendall(b"".join(parts))

    def send_text(self, message: str | dict[str, Any]) -> None:
        """Send a text frame with a string, or with a message as JSON."""
        self.send(text(message))

    def end(self) -> None:
        """Send no more, and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection without a goodbye (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self._socket.close()

    # -- the handshake ------------------------------------------------------------------------------------------------

    def handshake(
        self, target: str = "/ws?room=demo", *, extensions: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """Open the WebSocket; the answer must be a 101 that fits the key."""
        added = [("Sec-WebSocket-Extensions", extensions)] if extensions else []
        self.send(request(target, headers=[*added, *headers]))
        answer = self.answer()
        assert answer.status == 101, answer
        accept = base64.b64encode(hashlib.sha1(KEY.encode() + _GUID, usedforsecurity=False).digest()).decode()
        assert answer.header("sec-websocket-accept") == accept
        assert answer.header("upgrade").lower() == "websocket"
        assert answer.header("connection").lower() == "upgrade"
        return answer

    def answer(self) -> Answer:
        """The server's answer to a request."""
        head = bytes(self._until(b"\r\n\r\n"))
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 "), first
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        size = next((int(value) for name, value in headers if name == "content-length"), 0)
        return Answer(int(first.split(" ")[1]), headers, self._exactly(size))

    # -- receiving ----------------------------------------------------------------------------------------------------

    def read_frame(self) -> Frame:
        """The next frame; that of a server is not masked."""
        first, second = self._exactly(2)
        assert not second & 0x80, "a server's frame is not masked"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        return Frame(bool(first & 0x80), first >> 4 & 7, first & 15, self._exactly(size))

    def read(self) -> dict[str, Any]:
        """The next message, whatever its encoding; pings and pongs are passed over."""
        while True:
            got = self.read_frame()
            if got.opcode in (PING, PONG):
                continue
            assert got.opcode == TEXT, got
            assert got.fin, got
            message: dict[str, Any] = json.loads(inflate(got.payload) if got.rsv & RSV1 else got.payload)
            return message

    def read_until(self, *ops: str) -> dict[str, Any]:
        """The next message with one of these ``op``; others are passed over."""
        while True:
            message = self.read()
            if message["op"] in ops:
                return message

    def ask(self, message: str | dict[str, Any], *ops: str) -> dict[str, Any]:
        """Send a message, and read up to the answer with one of these ``op`` (none: the next message)."""
        self.send_text(message)
        return self.read_until(*ops) if ops else self.read()

    def follow(self, last: int) -> list[dict[str, Any]]:
        """Read events up to number ``last``, each the next after the one before."""
        events: list[dict[str, Any]] = []
        while not events or events[-1]["seq"] < last:
            events += self.read_until("events")["events"]
        numbers = [event["seq"] for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
        return events

    def read_close(self) -> tuple[int, str]:
        """Pass over messages up to the closing frame: its code (1005: it was empty) and reason. Nothing but the end follows."""
        while True:
            got = self.read_frame()
            if got.opcode == CLOSE:
                break
        code, reason = (int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode()) if got.payload else (1005, "")
        return code, reason

    def expect_close(self, code: int) -> str:
        """The server fails the connection with ``code``, and ends the stream by itself; returns the reason."""
        got, reason = self.read_close()
        assert got == code, (got, reason)
        self.expect_end()
        return reason

    def expect_end(self) -> None:
        """The server ended the stream, and sent nothing more."""
        assert self.ended(), bytes(self._buffer[:100])

    def expect_cut(self) -> None:
        """The server does not even read any more: what we send is answered with a reset."""
        deadline = time.monotonic() + self.timeout_s
        try:
            while time.monotonic() < deadline:
                self.send(frame(PING))
                time.sleep(0.01)
        except ConnectionError:
            return
        raise AssertionError("the transport is still there")

    def ended(self) -> bool:
        """Wait for the next byte or the end; True when the stream is at its end (a reset counts)."""
        if self._buffer:
            return False
        try:
            self._fill()
        except ConnectionError:
            return True
        return False

    def silent(self, for_s: float = 0.1) -> bool:
        """Nothing comes within this time."""
        if self._buffer:
            return False
        self._socket.settimeout(for_s)
        try:
            self._fill()
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(self.timeout_s)
        return False

    def drain(self, deadline_s: float = PATIENCE_S) -> Iterator[Frame]:
        """All frames up to the end of the stream."""
        deadline = time.monotonic() + deadline_s
        while not self.ended():
            assert time.monotonic() < deadline
            yield self.read_frame()

    def rest(self) -> bytes:
        """What has arrived and was not read."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _fill(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError("the server ended the stream")
        self._buffer += data

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._fill()
        return self._exactly(self._buffer.index(end) + len(end))
