"""The Sans-I/O core of the websockets library, as :mod:`server.ws` uses it: with the one form of permessage-deflate that shared
frames have, and with a short way for what nearly every read brings: one whole text message, and nothing else.

The core takes a frame apart in a generator, piece by piece, since any byte may be the last one so far. A comment comes in one
segment, all of it at once: to read it there costs a third. Whatever is not exactly that goes through the core, and whatever is wrong
with it is told by the core alone: the short way finds no fault, it only declines.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from typing import Final

from websockets.exceptions import NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined] # the fastest, as the library chooses it
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import ExtensionParameter

from server.core import frames

_CONTROL_MAX: Final = 125
_HEAD_END: Final = b"\r\n\r\n"

_TEXT: Final = 0x81  # FIN, opcode 1
_TEXT_DEFLATED: Final = 0xC1  # FIN, RSV1, opcode 1
_MASKED: Final = 0x80
_TAIL: Final = b"\x00\x00\xff\xff"
"""What a sender leaves out at the end of a compressed message (RFC 7692, 7.2.1)."""
_SHORT: Final = 2044
"""Payloads from here on are left to the core: it inflates the tail by itself then. Hardly any comment is as long."""

_quiet = logging.getLogger("server.ws.core")
_quiet.setLevel(logging.ERROR)  # the core logs each opening and closing; our metrics count them


class _SharedDeflate(ServerPerMessageDeflateFactory):
    """Agrees to the one form of permessage-deflate that shared frames have: no context takeover, windows of 32 KiB.

    An offer that demands a smaller window of the server is declined (RFC 7692, 7.1.2.1); the client's next offer, or plain frames,
    serve as well. A client's hint at its own window is not taken up (7.1.2.2): it may use any, since ours for inflating is full.
    """

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        window = str(frames.WINDOW_BITS)
        if any(name == "server_max_window_bits" and value != window for name, value in params):
            raise NegotiationError(f"server_max_window_bits: {window} only")
        agreed, _ = super().process_request_params(params, accepted_extensions)
        agreed = [(name, value) for name, value in agreed if name != "client_max_window_bits"]
        return agreed, PerMessageDeflate(True, True, frames.WINDOW_BITS, frames.WINDOW_BITS)


_DEFLATE: Final = [_SharedDeflate(server_no_context_takeover=True, client_no_context_takeover=True)]


class Core(ServerProtocol):
    """The core of one connection, for messages up to ``size_max`` bytes (inflated); ``deflate``: compression is offered.

    One thing is other than in the library: a closing frame between the fragments of a message is legal (RFC 6455, 5.4) and ends both.
    """

    __slots__ = ("_between", "_size_max")  # beside the library's attributes

    def __init__(self, size_max: int, *, deflate: bool) -> None:
        # The core counts the control frames inside a fragmented message for its size; the room for one is given on top, and
        # Connection._on_fragment keeps the exact bound.
        super().__init__(extensions=_DEFLATE if deflate else None, max_size=(size_max + _CONTROL_MAX, size_max), logger=_quiet)
        self._size_max = size_max
        self._between = False  # the parser stands between two messages, and has received nothing of the next one

    def receive_data(self, data: bytes | bytearray) -> None:
        """See the library. What is received moves the parser on; :meth:`recv_frame` is told where a frame ends."""
        # A request's head with nothing behind it is the one thing besides a frame after which the first frame may begin.
        self._between = self.state is CONNECTING and 0 <= data.find(_HEAD_END) == len(data) - len(_HEAD_END)
        super().receive_data(data)

    def recv_frame(self, frame: Frame) -> None:
        """See the library; called by the parser when it has taken the whole frame from the buffer."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)
        self._between = not self.reader.buffer and self.current_size is None

    def whole_text(self, data: bytes) -> bytes | None:
        """The payload of the text message (not checked as UTF-8) that ``data`` is, if it comes between two messages and is exactly
        one frame within the bounds. None: it is something else, of which nothing was looked at, and :meth:`receive_data` is due.

        When it gives a payload, receiving ``data`` would have had the one event with this payload, and no other effect.
        """
        if not self._between or self.state is not OPEN or len(data) < 6:
            return None
        first, length, start = data[0], data[1] - _MASKED, 6  # start: of the payload; the mask stands before it
        if length == 126:
            length, start = data[2] << 8 | data[3], 8
        elif length == 127:
            return None
        if len(data) - start != length or length >= _SHORT or length > self._size_max:  # without a mask: a length below 0
            return None
        if first == _TEXT:
            return apply_mask(data[start:], data[start - 4 : start])
        if first == _TEXT_DEFLATED and self.extensions:
            return self._inflated(apply_mask(data[start:], data[start - 4 : start]))
        return None

    def _inflated(self, payload: bytes) -> bytes | None:
        """As the core inflates a message, never beyond the bound; None where it would fail the connection."""
        decoder = zlib.decompressobj(-frames.WINDOW_BITS)
        try:
            text = decoder.decompress(payload + _TAIL, self._size_max)
        except zlib.error:
            return None
        return None if decoder.unconsumed_tail else text
