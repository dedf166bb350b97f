"""One connection of the generator, fed bytes in every possible cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import frames
from loadtest.clients import Client
from loadtest.feed import Feed
from loadtest.frames import Handshake, HandshakeError, ProtocolError
from loadtest.messages import Answer, Fault, Joined
from loadtest.truth import Stream
from server.core.frames import PING, deflated_frame, text_frame
from server.wire import (
    Event,
    encode_ack,
    encode_echo,
    encode_error,
    encode_event,
    encode_events,
    encode_gap,
    encode_joined,
    encode_left,
    encode_sampled,
)
from tests.loadtest.test_frames import accepted


class Transport:
    """Takes what the client writes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


class Person:
    """Notes what a client tells its owner."""

    def __init__(self) -> None:
        self.stream = Stream("v")
        self.told: list[object] = []
        self.errors: list[Exception | None] = []

    def on_open(self, client: Client) -> None:
        self.told.append("open")

    def on_joined(self, client: Client, message: Joined) -> None:
        self.told.append(message.head)

    def on_answer(self, client: Client, message: Answer, now_s: float) -> None:
        self.told.append(message.key)

    def on_fault(self, client: Client, message: Fault) -> None:
        self.told.append(message.code)

    def on_lost(self, client: Client, error: Exception | None) -> None:
        self.errors.append(error)


class Wire:
    """A client without a network."""

    def __init__(self, feed: Feed | None = None, *, join: bool = True, random_mask: bool = False) -> None:
        self.feed = feed or Feed("demo")
        self.person = Person()
        self.transport = Transport()
        handshake = Handshake("h", "/ws", origin="http://h", deflate=True)
        self.client = Client(self.person, self.feed, handshake, random_mask=random_mask)
        self.client.connection_made(cast(asyncio.Transport, self.transport))
        if join:
            self.feed_bytes(accepted(handshake) + text_frame(encode_joined("demo", "e", 0, {}, [], "/p")))
        self.handshake = handshake

    def feed_bytes(self, data: bytes, cuts: list[int] | None = None) -> None:
        """Let these bytes arrive, in pieces that end at ``cuts``."""
        positions = [0, *sorted({cut % (len(data) + 1) for cut in cuts or []}), len(data)]
        for start, end in pairwise(positions):
            piece = data[start:end]
            if piece:
                self.client.get_buffer(-1)[: len(piece)] = piece
                self.client.buffer_updated(len(piece))

    @property
    def rules(self) -> list[str]:
        return [violation.rule for violation in self.person.stream.violations]


def events(*numbers: int) -> bytes:
    encoded = [encode_event(Event(seq=seq, kind="comment", at_ms=1, text=f"text {seq}")) for seq in numbers]
    return encode_events("demo", encoded)


CONVERSATION = b"".join(
    [
        text_frame(events(1, 2, 3)),
        text_frame(encode_ack("demo", "k1", 2)),
        deflated_frame(events(*range(4, 60)), 6),
        PING,
        text_frame(encode_ack("demo", "k2", 9)),
        text_frame(events(60)),
        text_frame(encode_gap("demo", 61, 70, "/p")),
        text_frame(events(71, 72)),
    ]
)


@given(st.lists(st.lists(st.integers(0, 3000), max_size=12), min_size=1, max_size=4))
def test_bytes_may_be_cut_anywhere(cuts: list[list[int]]) -> None:
    """However the network cuts the stream, each viewer of a feed sees the same, and counts the arrival of every batch."""
    feed = Feed("demo")
    for viewer in cuts:
        wire = Wire(feed)
        wire.feed_bytes(CONVERSATION, viewer)
        assert wire.rules == []
        assert wire.person.told == ["open", 0, "k1", "k2"]
        assert wire.person.stream.received == [(1, 60), (71, 72)]
        assert wire.person.stream.gaps == [(61, 70)]
        assert wire.transport.written[1:] == [frames.frame(b"", frames.PONG)]
    assert [(batch.first, batch.last, len(batch.arrivals[0])) for batch in feed.batches] == [
        (1, 3, len(cuts)), (4, 59, len(cuts)), (60, 60, len(cuts)), (71, 72, len(cuts)),
    ]  # fmt: skip


def thinned(first: int, last: int, left_out: int, *numbers: int) -> bytes:
    encoded = [encode_event(Event(seq=seq, kind="comment", at_ms=1, text=f"text {seq}")) for seq in numbers]
    return encode_sampled("demo", first, last, left_out, encoded)


@given(st.lists(st.lists(st.integers(0, 3000), max_size=12), min_size=1, max_size=4))
def test_what_frames_leave_out_is_known_to_every_viewer(cuts: list[list[int]]) -> None:
    """A frame that says what it leaves out is one batch, recognised by bytes like any other; echoes are kept apart."""
    own = encode_event(Event(seq=4, kind="comment", at_ms=1, text="text 4", author_name="person"))
    conversation = b"".join(
        [
            text_frame(events(1, 2)),
            text_frame(encode_echo("demo", [own])),
            text_frame(thinned(3, 8, 4, 5, 8)),
            deflated_frame(thinned(9, 90, 82), 6),
            text_frame(events(91)),
        ]
    )
    feed = Feed("demo")
    for viewer in cuts:
        wire = Wire(feed)
        wire.person.stream.name = "person"
        wire.feed_bytes(conversation, viewer)
        stream = wire.person.stream
        assert wire.rules == []
        assert (stream.received, stream.echoes) == ([(1, 91)], {4})
        assert stream.left_out == [{3, 4, 6, 7}, set(range(9, 91))]
    assert [(batch.first, batch.last, batch.count, len(batch.arrivals[0])) for batch in feed.batches] == [
        (1, 2, 2, len(cuts)), (3, 8, 2, len(cuts)), (9, 90, 0, len(cuts)), (91, 91, 1, len(cuts)),
    ]  # fmt: skip
    assert list(feed.batches[1].numbers) == [5, 8]


@pytest.mark.parametrize(
    ("first", "last", "left_out", "numbers"),
    [
        (1, 8, 5, (2, 8)),
        (1, 8, 7, (2, 8)),
        (1, 8, 6, (8, 2)),
        (1, 8, 6, (2, 9)),
        (3, 8, 5, (2, 8)),
        (1, 8, 7, (2, 2)),
        (5, 4, 1, ()),
    ],
)
def test_a_frame_that_does_not_count_exactly_is_found(first: int, last: int, left_out: int, numbers: tuple[int, ...]) -> None:
    """Too few, too many, out of order, out of its bounds or doubled: whoever gets it must be able to count."""
    wire = Wire()
    wire.feed_bytes(text_frame(thinned(first, last, left_out, *numbers)))
    assert wire.rules == ["protocol_broken"]


def test_known_frames_are_not_parsed_again() -> None:
    """The second viewer of a room parses no events, be they whole or in pieces."""
    feed = Feed("demo")
    Wire(feed).feed_bytes(CONVERSATION)
    parsed = feed.parsed
    Wire(feed).feed_bytes(CONVERSATION)
    Wire(feed).feed_bytes(CONVERSATION, [50, 100, 150])
    assert feed.parsed == parsed


def test_several_frames_may_begin_alike() -> None:
    """A server that sends to parts of its viewers in turn: each frame is parsed once, however it is cut."""
    feed = Feed("demo")
    frames_ = [text_frame(events(*range(1, last))) for last in (3, 4, 6)]
    for frame in frames_:
        Wire(feed).feed_bytes(frame)
    parsed = feed.parsed
    for frame in frames_:
        for cuts in ([], [1], [3], [len(frame) - 4], [2, 60]):
            wire = Wire(feed)
            wire.feed_bytes(frame, cuts)
            wire.feed_bytes(text_frame(events(wire.person.stream.next)))
            assert wire.rules == []
    assert feed.parsed == parsed + 3, "those that came after them, once each"


def test_a_frame_that_only_begins_like_the_known_one() -> None:
    """Bytes that differ late in a frame are noticed: they are parsed and held against what others saw."""
    other = text_frame(events(1, 2, 3).replace(b"text 3", b"text 4"))
    for cuts in ([], [len(other) - 8], [len(other) - 8, len(other) - 4], [5]):
        feed = Feed("demo")
        Wire(feed).feed_bytes(text_frame(events(1, 2, 3)))
        wire = Wire(feed)
        wire.feed_bytes(other, cuts)
        assert [violation.rule for violation in feed.contents.violations] == ["live_differs"]
        assert wire.person.stream.received == [(1, 3)]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_fragmented_messages(size: int) -> None:
    """A message in fragments is put together, controls between them are served."""
    payload = events(1, 2)
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    data = b""
    for number, part in enumerate(parts):
        first = (0x01 if number == 0 else 0x00) | (0x80 if number == len(parts) - 1 else 0)
        data += bytes((first, 126)) + len(part).to_bytes(2, "big") + part + (PING if number < len(parts) - 1 else b"")
    wire = Wire()
    wire.feed_bytes(data)
    assert wire.person.stream.received == [(1, 2)]
    assert len(wire.transport.written) == len(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\x01x",  # binary
        b"\x02\x01x",  # a binary fragment
        b"\x80\x01x",  # a continuation of nothing
        b"\x01\x01x\x01\x01x",  # a message inside a message
        b"\x01\x01x\x81\x01x",
        b"\x01\x01x\xc0\x01x",  # a compressed continuation
        b"\x8b\x00",  # an unknown control
        b"\x88\x02\x03\xe8" + text_frame(events(1)),  # a message after the close frame
        text_frame(b"{}"),
        text_frame(encode_left("other")),
        text_frame(encode_events("other", [])),
        text_frame(
            encode_joined("demo", "e", 5, {}, [encode_event(Event(seq=seq, kind="comment", at_ms=1)) for seq in (1, 3)], "")
        ),
        b"\xc1\x03\xff\xff\xff",  # does not inflate
    ],
)
def test_broken_protocol(data: bytes) -> None:
    """A server that breaks the protocol is cut off, and found out."""
    wire = Wire()
    wire.feed_bytes(data)
    assert wire.transport.aborted
    assert wire.rules == ["protocol_broken"]
    wire.client.connection_lost(None)
    assert isinstance(wire.person.errors[0], ProtocolError | ValueError)


def test_endless_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that never ends is not collected for ever."""
    wire = Wire()
    monkeypatch.setattr(frames, "MAX_MESSAGE", 10)
    wire.feed_bytes(b"\x01\x08" + bytes(8) + b"\x00\x08" + bytes(8))
    assert wire.rules == ["protocol_broken"]


def test_refused_handshake() -> None:
    """A refusal to upgrade is no breach of the protocol; the owner hears the status."""
    wire = Wire(join=False)
    wire.feed_bytes(b"HTTP/1.1 503 Busy\r\n\r\n", [5])
    assert wire.transport.aborted
    assert wire.rules == []
    wire.client.connection_lost(None)
    [error] = wire.person.errors
    assert isinstance(error, HandshakeError)
    assert error.status == 503


def test_handshake_in_pieces() -> None:
    """The answer to the handshake may be cut anywhere, and frames may follow it at once."""
    wire = Wire(join=False)
    data = accepted(wire.handshake) + text_frame(encode_joined("demo", "e", 7, {}, [], ""))
    wire.feed_bytes(data, list(range(len(data))))
    assert wire.person.told == ["open", 7]


def test_close_is_answered() -> None:
    """The server's close code is noted and echoed; the end is orderly."""
    wire = Wire()
    wire.feed_bytes(b"\x88\x02" + (1012).to_bytes(2, "big"))
    assert wire.client.close_code == 1012
    assert wire.transport.written[-1] == frames.frame((1012).to_bytes(2, "big"), frames.CLOSE)
    assert wire.client.eof_received() is False
    wire.client.connection_lost(None)
    assert wire.person.errors == [None]


def test_what_is_sent() -> None:
    """Texts and the close frame are masked frames; a fresh key masks each when asked."""
    wire = Wire()
    wire.client.send(b"hello")
    wire.client.close()
    assert wire.transport.written[1:] == [
        b"\x81\x85" + frames.ZERO_MASK + b"hello",
        b"\x88\x82" + frames.ZERO_MASK + b"\x03\xe8",
    ]
    masked = Wire(random_mask=True)
    masked.client.send(b"hello")
    masked.client.send(b"hello")
    assert masked.transport.written[1] != masked.transport.written[2]


def test_faults_and_pongs_reach_the_owner() -> None:
    """An error message is passed on; a pong needs nothing."""
    wire = Wire()
    wire.feed_bytes(text_frame(encode_error("not_joined")) + b"\x8a\x00")
    assert wire.person.told == ["open", 0, "not_joined"]


def test_aborting_before_there_is_a_connection() -> None:
    """A client that was never connected can be given up."""
    Client(Person(), Feed("demo"), Handshake("h", "/ws", origin="http://h", deflate=False)).abort()
