"""The client's side of RFC 6455 and 7692, as little as a load generator needs. Pure: bytes in, bytes out.

Client frames must be masked (RFC 6455, 5.3). A key of zeros is a mask like any other, leaves the payload as it is, and costs
the generator nothing; the server unmasks it with the same work. A random key can be asked for.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from typing import Final, NamedTuple

TEXT: Final = 0x1
BINARY: Final = 0x2
CONTINUATION: Final = 0x0
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

ZERO_MASK: Final = b"\0\0\0\0"
MAX_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes of one message, inflated, above which the generator takes the server to be out of order."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OFFER: Final = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


class ProtocolError(Exception):
    """The server broke RFC 6455 or 7692, or the connection's own protocol."""


class HandshakeError(Exception):
    """The server did not upgrade. ``status`` is that of its answer, ``body`` what it said (at most 1,000 bytes)."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"no upgrade: HTTP {status} {body[:200].decode(errors='replace')}")
        self.status = status
        self.body = body[:1000]


class Handshake:
    """One opening handshake: :attr:`request` goes out, :meth:`answer` judges what comes back."""

    __slots__ = ("_accept", "request")

    def __init__(self, host: str, target: str, *, origin: str, deflate: bool) -> None:
        key = base64.b64encode(os.urandom(16))
        self._accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key.decode()}",
            "Sec-WebSocket-Version: 13",
            f"Origin: {origin}",
        ]
        if deflate:
            lines.append(f"Sec-WebSocket-Extensions: {_OFFER}")
        self.request = "\r\n".join([*lines, "", ""]).encode()

    def answer(self, data: bytes) -> int:
        """Length of the server's answer in ``data``; 0: not complete yet.

        Raises HandshakeError when it is no upgrade, ProtocolError when the upgrade is not right.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > 65536:
                raise ProtocolError("an endless answer to the handshake")
            return 0
        head, *fields = data[:end].split(b"\r\n")
        parts = head.split(b" ", 2)
        if len(parts) < 2 or not parts[1].isdigit():
            raise ProtocolError("the answer to the handshake is not HTTP")
        if parts[1] != b"101":
            raise HandshakeError(int(parts[1]), data[end + 4 :])
        headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}
        if headers.get(b"sec-websocket-accept") != self._accept:
            raise ProtocolError("wrong Sec-WebSocket-Accept")
        extensions = headers.get(b"sec-websocket-extensions", b"")
        if extensions and b"server_no_context_takeover" not in extensions:
            raise ProtocolError("permessage-deflate with context takeover, which was not offered")
        return end + 4


class Header(NamedTuple):
    """A frame's header. ``size`` is that of the header, ``length`` that of the payload, in bytes."""

    fin: bool
    deflated: bool
    opcode: int
    size: int
    length: int


def header(data: bytes | bytearray, pos: int, end: int) -> Header | None:
    """The header of the frame at ``pos``; None: not complete before ``end``. Raises ProtocolError."""
    if end - pos < 2:
        return None
    first, second = data[pos], data[pos + 1]
    if first & 0x30 or second & 0x80:
        raise ProtocolError("a server's frame with a mask or with reserved bits")
    length, size = second, 2
    if length == 126:
        size = 4
    elif length == 127:
        size = 10
    if size > 2:
        if end - pos < size:
            return None
        length = int.from_bytes(data[pos + 2 : pos + size], "big")
    if length > MAX_MESSAGE:
        raise ProtocolError(f"a frame of {length} bytes")
    opcode = first & 0x0F
    if opcode >= CLOSE and (length > 125 or not first & 0x80):
        raise ProtocolError("a control frame that is long or fragmented")
    return Header(bool(first & 0x80), bool(first & 0x40), opcode, size, length)


def frame(payload: bytes, opcode: int = TEXT, mask: bytes = ZERO_MASK) -> bytes:
    """A whole masked frame of a client."""
    length = len(payload)
    if length < 126:
        start = bytes((0x80 | opcode, 0x80 | length))
    elif length < 65536:
        start = bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        start = bytes((0x80 | opcode, 0x80 | 127)) + length.to_bytes(8, "big")
    if mask != ZERO_MASK:
        key = (mask * (length // 4 + 1))[:length]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
    return start + mask + payload


def inflate(payload: bytes) -> bytes:
    """Undo permessage-deflate without context takeover (RFC 7692, 7.2.2). Raises ProtocolError."""
    decoder = zlib.decompressobj(-15)
    try:
        data = decoder.decompress(payload + b"\x00\x00\xff\xff", MAX_MESSAGE)
    except zlib.error as error:
        raise ProtocolError(f"a deflated message that does not inflate: {error}") from None
    if decoder.unconsumed_tail:
        raise ProtocolError("a deflated message that is too large")
    return data


def close_code(payload: bytes) -> int:
    """The code of a close frame; 1005 when it has none (RFC 6455, 7.1.5)."""
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
