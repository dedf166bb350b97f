"""The WebSocket edge: handshake, frames, UTF-8, closing, and the transport's back pressure.

One :class:`Connection` per socket, made by uvicorn's ``ws=`` hook; no task and no queue stands behind it. The Sans-I/O core
(:mod:`server.ws_core`) parses frames and keeps the closing handshake. What it leaves to us is done here, to the letter of RFC 6455
and 7692: text is checked as UTF-8 frame by frame, also inside fragmented and compressed messages (1007); the number of fragments is
bounded (1009) and so is the rate of frames (4002); an unknown version gets 426 with ``Sec-WebSocket-Version``; nothing is sent before
the 101. Inflating is bounded by the core (it never yields more than ``frame_max_bytes``).

Two ways to close. A peer that broke the protocol or a bound is *failed* (RFC 6455, 7.1.7): close frame, end of stream, and nothing of
what it sends is looked at any more. Any other is asked: close frame, then its own close frame is awaited, then the end of stream. In
both cases the timer wheel cuts the transport when the peer does not end it.

Outgoing frames of the hot path are built once for all viewers (:mod:`server.core.frames`) and written to the transport directly.
"""

from __future__ import annotations

import asyncio
import codecs
import socket
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from websockets.exceptions import InvalidHeader, InvalidMessage
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN

from server.core import frames
from server.core.address import client_address
from server.errors import CLOSES
from server.ws_core import Core

if TYPE_CHECKING:
    from server.accounts.identity import Identity
    from server.accounts.permit import Permit
    from server.accounts.standing import Standing
    from server.conversation import Conversation
    from server.core.room import Room
    from server.errors import Refusal
    from server.store.base import Draft, Outcome

_CLOSE_WAIT_S: Final = 5
"""How long the peer has for its part of the closing handshake before the transport is cut."""
_FAILING: Final = frozenset({"protocol_error", "invalid_utf8", "too_big", "too_many_frames", "internal_error"})
"""Closes after which the peer is not listened to any more; see the module's text."""
_CLOSE_NAMES: Final = {close.code: close.name for close in CLOSES.values()}
_SLICE: Final = 2048
"""Bytes parsed at once. A large read may hold 40,000 empty frames; most of them must not cost more than their bytes."""

log = structlog.get_logger("ws")


class Connection(asyncio.Protocol):
    """One WebSocket connection.

    ``write`` is the transport's own method: the hub calls it with ready frames. ``rooms`` are the rooms joined. ``answers``
    collects what a commit has to say to this connection, so that it goes out in one write. All fields belong to the loop.
    """

    __slots__ = (
        "_core",
        "_fragments",
        "_text",
        "_utf8",
        "_waiting",
        "address",
        "answers",
        "author_id",
        "closing",
        "conversation",
        "deflate",
        "id",
        "identity",
        "opened_s",
        "permit",
        "port",
        "rate_tat",
        "rooms",
        "seen_s",
        "session_ms",
        "stalled_s",
        "stalled_since_s",
        "standing",
        "strikes",
        "transport",
        "write",
    )

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._core: Core | None = None
        self._fragments = 0
        self._utf8: codecs.IncrementalDecoder | None = None
        self._text: list[bytes] | None = None
        self._waiting: deque[Frame | bytes] | None = None
        self.address = ""
        self.port = 0
        self.answers: list[bytes] = []
        self.author_id = ""
        self.closing = False
        self.deflate = False
        self.id = ""
        self.identity: Identity | None = None
        self.opened_s = 0
        self.permit: Permit | None = None
        self.rate_tat = 0.0
        self.rooms: tuple[Room[Any], ...] = ()
        self.seen_s = 0
        self.session_ms = 0
        self.stalled_s = 0
        self.stalled_since_s = 0
        self.standing: Standing | None = None
        self.strikes = 0

    # -- transport ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The request has been read by the HTTP side; the transport is ours from now on."""
        self.transport = cast(asyncio.Transport, transport)
        # The HTTP side does this after the handshake only; what the handshake sends may fill the buffer already.
        self.transport.set_protocol(self)
        self.write: Callable[[bytes], object] = self.transport.write
        settings = self.conversation.settings
        self.transport.set_write_buffer_limits(high=settings.write_high_bytes, low=settings.write_low_bytes)
        self._bound_kernel_buffer(settings.write_low_bytes)
        self._core = Core(settings.frame_max_bytes, deflate=settings.deflate)

    def _bound_kernel_buffer(self, unsent_bytes: int) -> None:
        """Without it the kernel would hold megabytes for each viewer that stopped reading, and deliver them stale."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection everywhere; called once, whatever ended it. What it sent before counts."""
        self.conversation.inbox.forget(self)
        self.closing = True
        self.conversation.left(self)
        self._core = None
        self._text = self._utf8 = None

    def eof_received(self) -> bool:
        """The peer will send no more. Who ends in order has said so before, in a closing frame; to others nothing is left to say."""
        self.conversation.inbox.drain()
        if self._core is None:
            return False
        self.closing = True
        if self.transport.get_write_buffer_size():
            self.conversation.closing(self, _CLOSE_WAIT_S)
            return False  # the transport closes when its buffer is empty, or is cut
        self._core = None
        self.conversation.lost(self)
        return True  # closed by that

    def pause_writing(self) -> None:
        """The transport's buffer is over its bound: no more live frames until it has drained."""
        self.conversation.stalled(self)

    def resume_writing(self) -> None:
        """The buffer drained: tell the exact gap and go on."""
        self.conversation.resumed(self)

    # -- reading ------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """The request's head first (from the HTTP side, whole), at once; then frames, which wait for those of others a little."""
        core = self._core
        if core is None:
            return
        if core.state is CONNECTING:
            self.serve(data)
        else:
            self.conversation.inbox.put(self, data)

    def serve(self, data: bytes) -> None:
        """Look at what was received. A fault of ours ends this connection and no other."""
        core = self._core
        if core is None:
            return
        try:
            if core.state is CONNECTING and not self.closing:
                self._on_head(core, data)
            elif self._waiting is not None:
                self._waiting.append(data)
            elif len(data) <= _SLICE:
                self._receive(core, data)
            else:
                self._receive_slices(core, data)
        except Exception:
            log.exception("a connection could not be served", connection=self.id)
            self.fault()

    def _receive_slices(self, core: Core, data: bytes) -> None:
        for start in range(0, len(data), _SLICE):
            if self._waiting is not None:
                self._waiting.append(data[start:])
                return
            if self._core is not None:
                self._receive(core, data[start : start + _SLICE])

    def _receive(self, core: Core, data: bytes) -> None:
        self.seen_s = self.conversation.now_s
        if not self.closing and (text := core.whole_text(data)) is not None:
            self._on_whole_text(text)
            return
        core.receive_data(data)
        frames = cast("list[Frame]", core.events_received())
        for number, frame in enumerate(frames, 1):
            self._on_frame(frame)
            if self._waiting is not None:
                self._waiting.extend(frames[number:])
                break
        if core.writes:
            self._flush_core()

    def hold(self) -> None:
        """Serve no further message until :meth:`release`. Nothing more is read from the socket: what waits is bounded by what was
        read already, and the rest waits with the sender."""
        if self._waiting is None:
            self._waiting = deque()
            self.transport.pause_reading()

    def release(self) -> None:
        """Serve what waits, in its order, and read on; one of these messages may hold the connection again."""
        queue, self._waiting = self._waiting, None
        if queue is None:
            return
        try:
            while queue and not self._held() and self._core is not None:
                part = queue.popleft()
                if isinstance(part, Frame):
                    self._on_frame(part)
                elif len(part) <= _SLICE:
                    self._receive(self._core, part)
                else:
                    self._receive_slices(self._core, part)
        except Exception:
            log.exception("a connection could not be served", connection=self.id)
            self.fault()
        if self._held():
            cast("deque[Frame | bytes]", self._waiting).extend(queue)
        elif self._core is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _held(self) -> bool:
        return self._waiting is not None

    def origin(self) -> str:
        """The id of the record of this sign-in; see :class:`server.posting.Speaker`."""
        return f"{self.id}-{self.session_ms}"

    def _on_whole_text(self, data: bytes) -> None:
        """A message in one frame; nothing is being closed."""
        if not self._admit():
            self.close("too_many_frames")
        elif data.isascii() or _is_utf8(data):
            self.conversation.on_message(self, data)
        else:
            self.close("invalid_utf8")

    def _on_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if self.closing:
            self._bound_closing()
        elif opcode is Opcode.TEXT and frame.fin:
            self._on_whole_text(bytes(frame.data))
        elif not self._admit():
            self.close("too_many_frames")
        elif opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if frame.fin:
                self.conversation.on_error(self, "binary_unsupported")
            else:
                self._fragments = 1
                if opcode is Opcode.TEXT:
                    self._utf8 = codecs.getincrementaldecoder("utf-8")()
                    self._text = []
                    self._on_fragment(frame)
        elif opcode is Opcode.CONT:
            self._fragments += 1
            if self._fragments > self.conversation.settings.fragments_max:
                self.close("too_big", "too many fragments")
            elif self._text is not None:
                self._on_fragment(frame)
            elif frame.fin:
                self.conversation.on_error(self, "binary_unsupported")
        elif opcode is Opcode.CLOSE:
            self.closing = True
            self.conversation.stats.close("normal")
            self.conversation.closing(self, _CLOSE_WAIT_S)

    def _bound_closing(self) -> None:
        """A frame that came after our closing frame is ignored; too many of them are the end."""
        if self._core is not None and not self._core.eof_sent and not self._admit():
            self.abort()

    def _on_fragment(self, frame: Frame) -> None:
        """A part of a text message: its UTF-8 and the size so far are checked at once."""
        assert self._utf8 is not None
        assert self._text is not None
        data = bytes(frame.data)
        if not _is_utf8_so_far(self._utf8, data, frame.fin):
            self.close("invalid_utf8")
            return
        self._text.append(data)
        if sum(map(len, self._text)) > self.conversation.settings.frame_max_bytes:
            self.close("too_big")
        elif frame.fin:
            message = b"".join(self._text)
            self._text = self._utf8 = None
            self.conversation.on_message(self, message)

    def _admit(self) -> bool:
        """Bound on the rate of frames, control frames included (GCRA over one stored time)."""
        settings = self.conversation.settings
        now = time.monotonic()
        interval = 1.0 / settings.frames_per_s
        tat = max(now, self.rate_tat)
        if tat - now > interval * settings.frames_burst:
            return False
        self.rate_tat = tat + interval
        return True

    # -- handshake ----------------------------------------------------------------------------------------------------

    def _on_head(self, core: Core, head: bytes) -> None:
        core.receive_data(head)
        events = core.events_received()
        if events:
            self._on_request(core, cast(Request, events[0]))
            return
        # The core cannot read it. Too long a line it has answered itself, to all else it would only end the stream.
        if isinstance(core.handshake_exc, InvalidMessage):
            self.write(core.reject(HTTPStatus.BAD_REQUEST, "This is not a request for a WebSocket.\n").serialize())
        self._flush_core()

    def _on_request(self, core: Core, request: Request) -> None:
        peer = self.transport.get_extra_info("peername") or ("", 0)
        forwarded = request.headers.get_all("X-Forwarded-For")
        self.address, self.port = client_address(peer[0], peer[1], forwarded, self.conversation.trusted_proxies)
        refused = self.conversation.admit(self, request)
        if refused is not None:
            status, text = refused
            response = core.reject(status, text)
        else:
            response = core.accept(request)
        if isinstance(core.handshake_exc, InvalidHeader) and core.handshake_exc.name == "Sec-WebSocket-Version":
            response = core.reject(HTTPStatus.UPGRADE_REQUIRED, "This server speaks version 13 of the WebSocket protocol.\n")
            response.headers["Connection"] = "Upgrade"
            response.headers["Upgrade"] = "websocket"
            response.headers["Sec-WebSocket-Version"] = "13"
        if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = "5"
        core.send_response(response)
        self._flush_core()
        if core.state is OPEN:
            self.deflate = bool(core.extensions)
            self.conversation.opened(self, request.path)
        # The core's parser holds the request for as long as the connection lasts: two kilobytes that nobody reads again.
        request.headers.clear()

    # -- writing ------------------------------------------------------------------------------------------------------

    def send(self, payload: bytes) -> None:
        """Send one text message to this connection alone."""
        if not (self.closing or (self.stalled_s and self._overfull())):
            self.write(frames.text_frame(payload))

    def answer(self, draft: Draft, outcome: Outcome | Refusal) -> None:
        """The fate of a draft that this connection submitted (duty of a ``publish.Sink``)."""
        self.conversation.on_outcome(self, draft, outcome)

    def collect(self, payload: bytes) -> None:
        """Collect an answer; :meth:`send_answers` writes all of them at once."""
        self.answers.append(frames.text_frame(payload))

    def send_answers(self) -> None:
        """Write the collected answers."""
        data = b"".join(self.answers)
        self.answers.clear()
        if not (self.closing or (self.stalled_s and self._overfull())):
            self.write(data)

    def _overfull(self) -> bool:
        """Is this one that asks and never reads? Four times the bound of the transport's buffer is the end, without a close frame.

        Asked before writing, so that one large answer, as to a resume, does not count against a client that is only slow.
        """
        if self.transport.get_write_buffer_size() <= 4 * self.conversation.settings.write_high_bytes:
            return False
        self.conversation.stats.close("too_slow")
        self.abort()
        return True

    def close(self, name: str, reason: str = "") -> None:
        """Close with a code of :data:`server.errors.CLOSES`; see the module's text for the two ways."""
        core = self._core
        if core is None or self.closing:
            return
        self.closing = True
        self.conversation.stats.close(name)
        entry = CLOSES[name]
        if name in _FAILING:
            core.fail(entry.code, reason or entry.name)
        elif core.state is OPEN:
            core.send_close(entry.code, reason or entry.name)
        self._flush_core()
        self.conversation.closing(self, _CLOSE_WAIT_S)

    def fault(self) -> None:
        """A fault of ours, logged by the caller: end the connection with 1011, or at once where no frame can be sent."""
        if self._core is not None and self._core.state is OPEN:
            self.close("internal_error")
        else:
            self.abort()

    def abort(self) -> None:
        """Cut the transport; what is in its buffer is lost."""
        self.closing = True
        self._core = None
        self.transport.abort()

    def _flush_core(self) -> None:
        """Write what the core has to say: the handshake, pongs, closing frames, the end of the stream."""
        core = self._core
        if core is None:
            return
        for data in core.data_to_send():
            if data:
                self.write(data)
            else:
                if not self.closing and core.close_sent is not None:  # the core failed the connection
                    self.conversation.stats.close(_CLOSE_NAMES[core.close_sent.code])
                self.closing = True
                self.conversation.closing(self, _CLOSE_WAIT_S)
                if self.transport.can_write_eof():
                    self.transport.write_eof()
                else:
                    self.transport.close()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8_so_far(decoder: codecs.IncrementalDecoder, data: bytes, final: bool) -> bool:
    """Can what ``decoder`` has seen, with ``data``, still become UTF-8?"""
    try:
        decoder.decode(data, final)
    except UnicodeDecodeError:
        return False
    # CPython waits for the third byte of a surrogate, though ED A0 can begin no character.
    held = decoder.getstate()[0]
    return not (held[:1] == b"\xed" and held[1:2] > b"\x9f")
