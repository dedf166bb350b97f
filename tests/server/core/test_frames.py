"""server/core/frames.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from server.core.frames import PING, WINDOW_BITS, deflated_frame, text_frame


def parse(data: bytes, *, deflate: bool) -> Frame:
    """The one frame in ``data``, as a client of another implementation reads it."""
    extensions = [PerMessageDeflate(True, True, WINDOW_BITS, WINDOW_BITS)] if deflate else []
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    steps = Frame.parse(reader.read_exact, mask=False, extensions=extensions)
    with pytest.raises(StopIteration) as end:
        next(steps)
    frame: Frame = end.value.value
    assert bytes(reader.buffer) == b"", "there is more than one frame"
    return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_plain_frames_are_read_back_at_every_length_of_header(size: int) -> None:
    """A text frame is final, unmasked, and holds its payload, in each of the three forms of length."""
    payload = b"x" * size
    data = text_frame(payload)
    frame = parse(data, deflate=False)
    assert (frame.opcode, frame.fin, frame.rsv1, bytes(frame.data)) == (Opcode.TEXT, True, False, payload)
    assert len(data) == size + (2 if size < 126 else 4 if size < 65_536 else 10)


@given(st.binary(max_size=3000), st.integers(1, 9))
def test_deflated_frames_inflate_to_the_payload(payload: bytes, level: int) -> None:
    """A compressed message is the plain one to whoever negotiated compression without context takeover."""
    frame = parse(deflated_frame(payload, level), deflate=True)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, payload)


def test_large_deflated_frames_inflate_to_the_payload() -> None:
    """Messages of more than a window of 32 KB are compressed across it."""
    payload = "".join(f'{{"seq":{number},"text":"第 {number * 7919 % 10007} 条"}}' for number in range(20_000)).encode()
    data = deflated_frame(payload, 6)
    assert len(data) < len(payload) / 3
    assert bytes(parse(data, deflate=True).data) == payload


def test_deflated_frames_do_not_depend_on_each_other() -> None:
    """One frame serves all viewers: each can be read without any frame before it, and is always the same."""
    first = deflated_frame(b"same " * 50, 6)
    deflated_frame(b"other " * 40, 6)
    second = deflated_frame(b"same " * 50, 6)
    assert first == second
    assert bytes(parse(second, deflate=True).data) == b"same " * 50


def test_the_ping_is_an_empty_ping_frame() -> None:
    """Pings carry nothing."""
    frame = parse(PING, deflate=False)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.PING, True, b"")
