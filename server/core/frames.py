"""Server-side WebSocket frames, built once and shared by every viewer of the same encoding.

Frames of a server are not masked (RFC 6455, 5.1), so one buffer serves all. Without context takeover (RFC 7692, 7.1.1) a
compressed message does not depend on the connection either, so that one deflated frame serves all who negotiated it.
"""

from __future__ import annotations

import zlib
from typing import Final

_TEXT: Final = 0x81  # FIN, opcode 1
_TEXT_DEFLATED: Final = 0xC1  # FIN, RSV1, opcode 1
PING: Final = b"\x89\x00"

WINDOW_BITS: Final = 15
"""LZ77 window of the shared encoder; extension parameters offered to clients must allow it."""


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def text_frame(payload: bytes) -> bytes:
    """One unfragmented text frame; ``payload`` is UTF-8."""
    return _header(_TEXT, len(payload)) + payload


def deflated_frame(payload: bytes, level: int) -> bytes:
    """One unfragmented text frame, compressed by permessage-deflate without context takeover at zlib ``level`` (1-9)."""
    encoder = zlib.compressobj(level, zlib.DEFLATED, -WINDOW_BITS, 8)
    data = encoder.compress(payload) + encoder.flush(zlib.Z_SYNC_FLUSH)
    data = data[:-4]  # RFC 7692, 7.2.1: the trailing empty block is left out
    return _header(_TEXT_DEFLATED, len(data)) + data
