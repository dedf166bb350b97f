"""server/ws_core.py: the short way for whole messages is the core's way, shortened."""

from __future__ import annotations

import os
import random
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from structlog.testing import capture_logs
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from server.settings import Settings
from server.ws import Connection
from server.ws_core import Core
from tests.support.connections import connection
from tests.support.wsclient import BINARY, CLOSE, CONT, PING, PONG, RSV1, TEXT, close_frame, deflate, fragments, frame, request

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
SIZE = 4096
SHORT = 2044
OFFER = [("Sec-WebSocket-Extensions", "permessage-deflate")]
MESSAGE = '{"op":"say","text":"前方高能"}'.encode()
WHOLE = frame(TEXT, MESSAGE)
PACKED = frame(TEXT, deflate(MESSAGE), rsv=RSV1)


def opened(*, packs: bool = True, size: int = SIZE) -> Core:
    """A core whose handshake is done; ``packs``: with compression."""
    core = Core(size, deflate=True)
    core.receive_data(request(headers=OFFER if packs else ()))
    (event,) = core.events_received()
    assert isinstance(event, Request)
    core.send_response(core.accept(event))
    core.data_to_send()
    return core


def received(core: Core, data: bytes) -> list[Any]:
    """What the core makes of these bytes."""
    core.receive_data(data)
    return core.events_received()


# -- what goes the short way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 255, 256, 2000, SHORT - 1])
@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\x37\xfa\x21\x3d", b"\xff\xfe\xfd\xfc"])
def test_a_whole_message_is_unmasked(size: int, mask: bytes) -> None:
    """One plain frame gives its payload, whatever its length and mask, from the first one after the handshake on."""
    core = opened(packs=False)
    payload = random.Random(size).randbytes(size)
    for _ in range(2):
        assert core.whole_text(frame(TEXT, payload, mask=mask)) == payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000, SIZE - 1, SIZE])
def test_a_whole_message_is_inflated(size: int) -> None:
    """One compressed frame gives what was compressed, up to the bound, and nothing of it stays for the next."""
    core = opened()
    text = b"la" * (size // 2) + b"!" * (size % 2)
    for _ in range(2):
        assert core.whole_text(frame(TEXT, deflate(text), rsv=RSV1)) == text
        assert core.whole_text(frame(TEXT, text[:125])) == text[:125], "plain ones may stand between"


@pytest.mark.parametrize(
    "before",
    [
        [WHOLE],
        [WHOLE + PACKED],
        [frame(PING, b"x")],
        [frame(PONG)],
        [frame(BINARY, b"\xff")],
        fragments([b"a", b"b", b"c"]),
        [b"".join(fragments([b"a", b""])) + WHOLE],
        fragments([deflate(MESSAGE)[:4], deflate(MESSAGE)[4:]], rsv=RSV1),
        [WHOLE[:1], WHOLE[1:]],
        [WHOLE[:2], WHOLE[2:] + frame(PING)],
    ],
)
def test_the_short_way_is_open_again_when_all_was_read(before: Sequence[bytes]) -> None:
    """Behind whatever the core has read to its end, the next message goes the short way."""
    core = opened()
    for data in before:
        assert received(core, data) or data != before[-1]
    assert core.whole_text(WHOLE) == MESSAGE
    assert core.whole_text(PACKED) == MESSAGE


def test_a_compressed_message_may_look_far_back() -> None:
    """Our window is as large as any that a sender may use; it is needed where zlib gives what it inflates in several blocks."""
    noise = random.Random(1).randbytes(1000)
    text = b" " * 14_000 + noise + b" " * 25_000 + noise
    assert opened(size=100_000).whole_text(frame(TEXT, deflate(text), rsv=RSV1)) == text


# -- what does not ----------------------------------------------------------------------------------------------------

final = zlib.compressobj(wbits=-15)
OTHERS = {
    "nothing": b"",
    "a part of a head": WHOLE[:5],
    "all but a byte": WHOLE[:-1],
    "a byte too many": WHOLE + b"\x81",
    "two messages": WHOLE + WHOLE,
    "no mask": frame(TEXT, MESSAGE, mask=None),
    "no mask, nothing in it": frame(TEXT, mask=None) + b"\0\0\0\0",
    "not the last fragment": frame(TEXT, MESSAGE, fin=False),
    "a continuation": frame(CONT, MESSAGE),
    "binary": frame(BINARY, MESSAGE),
    "a ping": frame(PING, MESSAGE),
    "a pong": frame(PONG, MESSAGE),
    "a close": frame(CLOSE),
    "RSV2": frame(TEXT, MESSAGE, rsv=2),
    "RSV3": frame(TEXT, MESSAGE, rsv=1),
    "all of RSV": frame(TEXT, deflate(MESSAGE), rsv=7),
    "a length of eight bytes": b"\x81\xff" + len(MESSAGE).to_bytes(8, "big") + b"\0\0\0\0" + MESSAGE,
    "the begin of a length of eight bytes": b"\x81\xff" + b"\0" * (4 + 127),
    "a length beyond what is there": frame(TEXT, MESSAGE, length=126),
    "long": frame(TEXT, b"x" * SHORT),
    "no deflate data": frame(TEXT, b"\xff\xff\xff\xff", rsv=RSV1),
    "a window from before": frame(TEXT, b"\x02\x13\x00\x00", rsv=RSV1),
    "a byte too much inflated": frame(TEXT, deflate(b" " * (SIZE + 1)), rsv=RSV1),
    "a bomb": frame(TEXT, deflate(b" " * 1_000_000), rsv=RSV1),
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS.keys())
def test_all_else_is_left_to_the_core(data: bytes) -> None:
    """What is not one whole text message in order, the core has to look at."""
    assert opened().whole_text(data) is None


def test_compression_that_was_not_agreed_is_left_to_the_core() -> None:
    """Without the extension RSV1 is a fault, which the core finds."""
    core = opened(packs=False)
    assert core.whole_text(PACKED) is None
    assert received(core, PACKED) == []
    assert core.close_sent is not None
    assert core.close_sent.code == 1002


def test_the_bound_of_the_settings_holds() -> None:
    """A plain message of the size that is allowed goes the short way, one that is longer does not."""
    core = opened(size=512)
    assert core.whole_text(frame(TEXT, b"x" * 512)) == b"x" * 512
    assert core.whole_text(frame(TEXT, b"x" * 513)) is None


@pytest.mark.parametrize(
    "before",
    [
        *(WHOLE[:size] for size in range(1, len(WHOLE))),
        WHOLE + WHOLE[:2],
        frame(PING) + b"\x81",
        frame(TEXT, b"", fin=False),
        frame(BINARY, b"x", fin=False),
        frame(TEXT, deflate(MESSAGE)[:4], fin=False, rsv=RSV1),
        frame(TEXT, b"x", fin=False) + frame(PING),
        frame(TEXT, b"x", fin=False) + frame(CONT, b"x", fin=False),
        b"\xff",
        close_frame(1000),
        frame(TEXT, b"x", fin=False) + close_frame(1000),
    ],
)
def test_nothing_goes_the_short_way_in_the_middle(before: bytes) -> None:
    """Inside a frame or a fragmented message, and once it is closed, the core reads on by itself."""
    core = opened()
    received(core, before)
    assert core.whole_text(WHOLE) is None


def test_nothing_goes_the_short_way_before_the_handshake_and_after_our_close() -> None:
    """The connection must be open."""
    core = Core(SIZE, deflate=True)
    assert core.whole_text(WHOLE) is None
    received(core, request())
    assert core.whole_text(WHOLE) is None
    core = opened()
    core.send_close(1001)
    assert core.whole_text(WHOLE) is None


@pytest.mark.parametrize("behind", [b"\x81\xff" + b"\0" * 8, WHOLE[:2], WHOLE[:7], b"\r\n"])
def test_bytes_behind_a_request_are_seen(behind: bytes) -> None:
    """When the head brings the begin of a frame with it, what comes next is not the begin of one."""
    core = Core(SIZE, deflate=True)
    core.receive_data(request() + behind)
    (event,) = core.events_received()
    assert isinstance(event, Request)
    if core.state is State.CONNECTING:
        core.send_response(core.accept(event))
    assert core.whole_text(WHOLE) is None


# -- the same as the core ---------------------------------------------------------------------------------------------

HOLD, CLOSE_IT, ABORT, FAULT = b"hold", b"close", b"abort", b"fault"
"""Messages upon which the conversation does what it does for a join, a fault of theirs, one that never reads, a fault of ours."""


def act(conn: Connection, data: bytes) -> None:
    """Answer, and do what the message says."""
    conn.send(data[:10])
    if data == HOLD:
        conn.hold()
    elif data == CLOSE_IT:
        conn.close("restarting")
    elif data == ABORT:
        conn.abort()
    elif data == FAULT:
        raise RuntimeError("a fault of ours")


class Unshortened(Core):
    """The core without the short way."""

    def whole_text(self, data: bytes) -> None:
        """Never."""


class Pair:
    """Two connections that get the same; one of them goes without the short way."""

    def __init__(self, settings: Settings, *, packs: bool) -> None:
        self.taken = 0
        ones = [connection(settings, act) for _ in range(2)]
        self.conns = [conn for conn, _ in ones]
        self._logs = [log for _, log in ones]
        self.conns[1]._core = Unshortened(settings.frame_max_bytes, deflate=settings.deflate)
        for conn, log in ones:
            conn.serve(request(headers=OFFER if packs else ()))
            assert conn.deflate is packs
            log.clear()  # the answer tells the time

    def serve(self, data: bytes) -> None:
        """Give both these bytes; they do the same."""
        core = self.conns[0]._core
        self.taken += core is not None and not self.conns[0].closing and core.whole_text(data) is not None
        for conn in self.conns:
            conn.conversation.now_s += 1
            conn.serve(data)
        self._compare()

    def do(self, doing: Callable[[Connection], object]) -> None:
        """Do this with both."""
        for conn in self.conns:
            doing(conn)
        self._compare()

    def _compare(self) -> None:
        seen = [self._of(conn, log) for conn, log in zip(self.conns, self._logs, strict=True)]
        assert seen[0] == seen[1]
        for log in self._logs:
            log.clear()

    @staticmethod
    def _of(conn: Connection, log: list[Any]) -> dict[str, Any]:
        core = conn._core
        return {
            "log": log,
            "closing": conn.closing,
            "seen": conn.seen_s,
            "closes": conn.conversation.stats.closes,
            # Frames are let in one in a thousand seconds, so that this counts them, whatever the clock does meanwhile.
            "admitted": conn.rate_tat and round((conn.rate_tat - time.monotonic()) / 1000),
            "held": conn._waiting is not None
            and [bytes(part.data if isinstance(part, Frame) else part) for part in conn._waiting],
            "core": core and (core.state, core.current_size, bytes(core.reader.buffer), core.close_sent, core.close_rcvd),
        }


texts = st.sampled_from(
    [b"", b"{}", MESSAGE, "弹幕".encode(), HOLD, *(b"x" * size for size in (124, 125, 126, 127, 128, 511, 512))]
)
odd_texts = st.sampled_from(
    [CLOSE_IT, ABORT, FAULT, b"\xff", b'"\xe5\xbc', *(b"x" * size for size in (513, SHORT - 1, SHORT, SHORT + 1, 3000, 3001))]
)
tails = st.sampled_from([b"\x00", b"\x00\x00\xff\xff", b"\x03\x00", b"\x03\x00more", b"\x00\x01\x00"])
masks = st.binary(min_size=4, max_size=4)


@st.composite
def packed(draw: st.DrawFn) -> bytes:
    """What stands in a compressed message: mostly in order, else cut, with more behind it, finished, or noise."""
    kind = draw(st.integers(0, 15))
    if kind == 1:
        return draw(st.binary(max_size=20))
    data = deflate(draw(odd_texts if kind == 2 else texts), draw(st.integers(9, 15)))
    if kind == 3:
        return data[: draw(st.integers(0, len(data)))]
    return data + draw(tails) if kind == 4 else data


@st.composite
def odd(draw: st.DrawFn) -> bytes:
    """A frame with any bits, and a true or a false length in any of the three forms; or one that the conversation minds."""
    mask = draw(masks)
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return frame(TEXT, draw(odd_texts), mask=mask)
    payload = draw(texts | packed())
    if kind == 1:
        long = draw(st.booleans())
        size = draw(st.just(len(payload)) | st.sampled_from([125, 126, 127, 512, 513]))
        return bytes((0x81, 0xFF if long else 0xFE)) + size.to_bytes(8 if long else 2, "big") + mask + payload
    return frame(
        draw(st.sampled_from(list(Opcode))),
        payload,
        fin=draw(st.booleans()),
        rsv=draw(st.integers(0, 7)),
        mask=draw(st.none() | st.just(mask)),
        length=draw(st.none() | st.sampled_from([0, 1, 126, 512, 513])),
    )


@st.composite
def broken_up(draw: st.DrawFn) -> bytes:
    """A message in fragments, perhaps with a frame between them, perhaps without its end."""
    rsv = draw(st.sampled_from([0, RSV1]))
    data = draw(packed() if rsv else texts)
    cut = draw(st.integers(0, len(data)))
    parts = fragments([data[:cut], b"", data[cut:]], opcode=draw(st.sampled_from([TEXT, TEXT, BINARY])), rsv=rsv)
    parts.insert(draw(st.integers(1, 3)), draw(st.just(b"") | st.just(frame(PING, b"?")) | odd()))
    return b"".join(parts[: draw(st.integers(1, 4) | st.just(4))])


plain_frames = st.builds(lambda text, mask: frame(TEXT, text, mask=mask), texts, masks)
packed_frames = st.builds(lambda data, mask: frame(TEXT, data, rsv=RSV1, mask=mask), packed(), masks)
controls = st.builds(frame, st.sampled_from([PING, PONG]), st.sampled_from([b"", b"?" * 125]))
closes = st.builds(close_frame, st.none() | st.sampled_from([1000, 1005, 4000]))
RELEASE, CLOSE_NOW, END = "release", "close", "end"
DOINGS: dict[str, Callable[[Connection], object]] = {
    RELEASE: Connection.release,
    CLOSE_NOW: lambda conn: conn.close("idle"),
    END: Connection.eof_received,
}


@st.composite
def doings(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> list[bytes | str]:
    """What comes read by read, and what is done meanwhile. Reads are mostly whole frames; some are cut, some are glued together."""
    out: list[bytes | str] = []
    left = b""
    others = st.one_of(controls, broken_up(), odd(), closes)
    for number in draw(st.lists(st.integers(0, 11), min_size=1, max_size=12)):
        data = left + draw(others if number == 1 else whole)
        cut = len(data)
        if number in (2, 3):
            cut = draw(st.integers(0, len(data)))
            out.append(data[:cut])
        if number in (3, 4):
            left = data[cut:] if number == 3 else data
            continue
        left = b""
        out.append(data[cut:] if number == 2 else data)
        if number == 5:
            out.append(draw(st.sampled_from([RELEASE, RELEASE, CLOSE_NOW, END])))
    return [*out, left, RELEASE, WHOLE]


cases = st.one_of(
    st.tuples(st.just(False), doings(plain_frames)),
    st.tuples(st.just(True), doings(plain_frames | packed_frames)),
    st.tuples(st.booleans(), doings(plain_frames | packed_frames | odd())),
)


@profile(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    case=cases,
    size=st.sampled_from([512, 3000]),
    burst=st.sampled_from([3, 1000, 1000]),
    fragments_max=st.sampled_from([2, 64]),
)
@example((True, [b"\x81\xff" + b"\0" * (4 + 127)]), 512, 1000, 64)
@example((True, [b"\x81\x00\0\0\0\0"]), 512, 1000, 64)
@example((True, [frame(TEXT, deflate(b"x" * 512), rsv=RSV1), frame(TEXT, deflate(b"x" * 513), rsv=RSV1)]), 512, 1000, 64)
@example((True, [frame(TEXT, deflate(b"x" * 3000), rsv=RSV1), frame(TEXT, deflate(b"x" * 3001), rsv=RSV1)]), 3000, 1000, 64)
@example((True, [frame(TEXT, b"x" * 513)]), 512, 1000, 64)
@example((True, [frame(TEXT, b"x", fin=False)]), 512, 1000, 64)
@example((True, [frame(BINARY, b"x")]), 512, 1000, 64)
@example((True, [WHOLE + b"\x81\xa3", WHOLE]), 512, 1000, 64)
@example((True, [frame(TEXT, HOLD), WHOLE, END, RELEASE]), 512, 1000, 64)
@example((True, [frame(TEXT, HOLD), WHOLE + frame(TEXT, b"x", fin=False), WHOLE, RELEASE, WHOLE]), 512, 1000, 64)
@example((True, [frame(TEXT, HOLD) + close_frame(1000), WHOLE, RELEASE, WHOLE]), 512, 1000, 64)
@example((True, [WHOLE, WHOLE, WHOLE, WHOLE, frame(PING)]), 512, 3, 64)
def test_with_and_without_the_short_way_a_connection_does_the_same(
    case: tuple[bool, list[bytes | str]], size: int, burst: int, fragments_max: int
) -> None:
    """Whatever comes, in whatever pieces: messages, answers, errors, closes, what is let in and what waits are the same, in order."""
    packs, doing = case
    settings = Settings(frame_max_bytes=size, frames_burst=burst, frames_per_s=0.001, fragments_max=fragments_max)
    pair = Pair(settings, packs=packs)
    with capture_logs() as logged:
        for each in doing:
            if isinstance(each, bytes):
                pair.serve(each)
            else:
                pair.do(DOINGS[each])
    event(f"short: {min(pair.taken, 3)}")
    assert all(entry["event"] == "a connection could not be served" for entry in logged)


def test_what_usually_comes_goes_the_short_way() -> None:
    """Messages that come one by one, plain or compressed, all do, and one that comes in pieces does not keep the next from it."""
    pair = Pair(Settings(frames_per_s=0.001), packs=True)
    for _ in range(5):
        for data in (WHOLE, PACKED, WHOLE[:9], WHOLE[9:], frame(PING, b"?"), PACKED):
            pair.serve(data)
    assert pair.taken == 15
