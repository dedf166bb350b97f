"""The client's framing, held against the Sans-I/O core of websockets."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from loadtest import frames
from loadtest.frames import Handshake, HandshakeError, ProtocolError
from server.core.frames import deflated_frame, text_frame

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepted(handshake: Handshake, extra: bytes = b"") -> bytes:
    """The answer that this handshake waits for."""
    key = next(
        line.split(b":")[1].strip() for line in handshake.request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key")
    )
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n" + extra + b"\r\n"


def shake(*, deflate: bool = False) -> Handshake:
    return Handshake("127.0.0.1:1", "/ws?room=demo", origin="http://127.0.0.1:1", deflate=deflate)


def test_handshake_is_taken_by_a_real_server() -> None:
    """The request is one that websockets accepts, with the compression that was offered, and its answer is understood."""
    server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory(server_no_context_takeover=True)])
    handshake = shake(deflate=True)
    server.receive_data(handshake.request)
    request = server.events_received()[0]
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    answer = b"".join(server.data_to_send())
    assert handshake.answer(answer[:-1]) == 0
    assert handshake.answer(answer + b"\x81\x00") == len(answer)
    assert server.extensions


def test_handshake_offers_compression_only_when_asked() -> None:
    """Without ``deflate`` no extension is offered."""
    assert b"permessage-deflate" not in shake().request
    assert b"permessage-deflate; server_no_context_takeover" in shake(deflate=True).request


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\nlater", HandshakeError, "503 later"),
        (b"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: x\r\n\r\n", ProtocolError, "Accept"),
        (b"nonsense\r\n\r\n", ProtocolError, "not HTTP"),
        (b"x" * 70_000, ProtocolError, "endless"),
    ],
)
def test_bad_answers_to_the_handshake(answer: bytes, error: type[Exception], says: str) -> None:
    """An answer that is no upgrade is a HandshakeError with its status; one that is not right is a ProtocolError."""
    with pytest.raises(error, match=says):
        shake().answer(answer)


def test_handshake_refuses_context_takeover() -> None:
    """Compression with a context per connection was not offered, and would make equal bytes mean different things."""
    handshake = shake(deflate=True)
    with pytest.raises(ProtocolError, match="takeover"):
        handshake.answer(accepted(handshake, b"Sec-WebSocket-Extensions: permessage-deflate\r\n"))
    good = accepted(handshake, b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n")
    assert handshake.answer(good) == len(good)


@given(st.binary(max_size=70_000), st.sampled_from([frames.ZERO_MASK, b"\x01\xff\x10\x80"]))
def test_frames_arrive_as_they_were_sent(payload: bytes, mask: bytes) -> None:
    """Any payload under any mask is read back by websockets."""
    reader = StreamReader()
    reader.feed_data(frames.frame(payload, frames.BINARY, mask))
    with pytest.raises(StopIteration) as end:
        next(Frame.parse(reader.read_exact, mask=True))
    assert end.value.value.data == payload


@given(st.binary(max_size=70_000), st.integers(0, 20))
def test_headers_of_any_length(payload: bytes, offset: int) -> None:
    """A server's frame is found at any offset, and is not taken before its header is whole."""
    data = bytes(offset) + text_frame(payload)
    header = frames.header(data, offset, len(data))
    assert header is not None
    assert header == (True, False, frames.TEXT, len(data) - offset - len(payload), len(payload))
    for end in range(offset, offset + header.size):
        assert frames.header(data, offset, end) is None


@pytest.mark.parametrize("data", [b"\xa1\x00", b"\x81\x80", b"\x89\x7e\x00\x80", b"\x09\x00", b"\x81\x7f" + b"\x7f" * 8])
def test_bad_headers(data: bytes) -> None:
    """Reserved bits, masks, long or fragmented control frames and endless frames break the protocol."""
    with pytest.raises(ProtocolError):
        frames.header(data, 0, len(data))


def test_inflate() -> None:
    """What the server deflates inflates to the same; damage and bombs break the protocol."""
    payload = "前方高能".encode() * 100
    frame = deflated_frame(payload, 6)
    header = frames.header(frame, 0, len(frame))
    assert header is not None
    assert header.deflated
    assert frames.inflate(frame[header.size :]) == payload
    with pytest.raises(ProtocolError, match="does not inflate"):
        frames.inflate(b"\xff\xff\xff")


def test_inflating_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small message that would become a huge one is not inflated."""
    monkeypatch.setattr(frames, "MAX_MESSAGE", 1000)
    encoder = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = (encoder.compress(bytes(100_000)) + encoder.flush(zlib.Z_SYNC_FLUSH))[:-4]
    with pytest.raises(ProtocolError, match="too large"):
        frames.inflate(bomb)


def test_close_code() -> None:
    """The code is the first two bytes of a close frame; 1005 stands for none."""
    assert frames.close_code(b"\x03\xf4restarting") == 1012
    assert frames.close_code(b"") == 1005
