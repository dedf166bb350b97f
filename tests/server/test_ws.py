"""server/ws.py: frames, UTF-8, bounds and closing. Handshake, compression and random input have files of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.errors import CLOSES
from server.settings import Settings
from server.ws import Connection
from tests.support.running import RunningServer, running
from tests.support.wsclient import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Frame,
    RawClient,
    close_frame,
    fragments,
    frame,
    request,
    text,
)

PING_MESSAGE = b'{"op":"ping"}'
PONG_ANSWER = {"op": "pong"}
FRAME_MAX = Settings().frame_max_bytes
FRAGMENTS_MAX = Settings().fragments_max

BAD_UTF8 = [
    b"\x80",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xc3\x28",
    b"\xe0\x9f\xbf",
    b"\xe2\x28\xa1",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x28\x8c\xbc",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
]
"""Each is refused already by its first two bytes."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that change no setting."""
    with running(tmp_path_factory.mktemp("ws"), joins_per_s=10_000, joins_burst=10_000) as server:
        yield server


@pytest.fixture
def server(shared: RunningServer) -> Iterator[RunningServer]:
    """The shared server; a healthy viewer watches it, and goes on undisturbed after whatever the test does."""
    with shared.connect() as healthy:
        yield shared
        head = shared.append(1)
        assert [event["seq"] for event in healthy.follow(head)][-1] == head
        assert healthy.ask({"op": "ping"}) == PONG_ANSWER
    assert shared.take_errors() == []


@pytest.fixture
def client(server: RunningServer) -> Iterator[RawClient]:
    with server.connect() as client:
        yield client


# -- messages ---------------------------------------------------------------------------------------------------------


def test_a_text_frame_is_answered(client: RawClient) -> None:
    """A whole text frame is one message, and its answer an unmasked, unfragmented text frame."""
    client.send(frame(TEXT, PING_MESSAGE))
    assert client.read_frame() == Frame(True, 0, TEXT, b'{"op":"pong"}')


def test_messages_may_come_in_any_pieces(client: RawClient) -> None:
    """Frames are put together from single bytes, and several frames of one segment are taken apart."""
    for byte in frame(TEXT, PING_MESSAGE):
        client.send(bytes([byte]))
    client.send(frame(TEXT, PING_MESSAGE) * 3)
    assert [client.read() for _ in range(4)] == [PONG_ANSWER] * 4


@pytest.mark.parametrize("count", [2, 3, len(PING_MESSAGE), FRAGMENTS_MAX])
def test_a_message_may_come_in_fragments(client: RawClient, count: int) -> None:
    """Fragments, empty ones too, are one message, up to the number that is allowed."""
    parts = [PING_MESSAGE[i : i + 1] for i in range(count - 1)]
    client.send(*fragments([*parts, PING_MESSAGE[len(parts) :]]))
    assert client.read() == PONG_ANSWER


def test_a_fragmented_message_does_not_color_the_next(client: RawClient) -> None:
    """After a fragmented message the next one begins from nothing."""
    half = len(PING_MESSAGE) // 2
    for _ in range(2):
        client.send(*fragments([PING_MESSAGE[:half], PING_MESSAGE[half:]]), text(PING_MESSAGE.decode()))
    assert [client.read() for _ in range(4)] == [PONG_ANSWER] * 4


def test_binary_messages_are_refused(client: RawClient) -> None:
    """A binary message, whole or in fragments, gets an error, and the connection stays."""
    client.send(frame(BINARY, b"\x00\xff"))
    assert client.read()["code"] == "binary_unsupported"
    client.send(*fragments([b"\xff"] * 3, opcode=BINARY))
    assert client.read()["code"] == "binary_unsupported"
    assert client.ask({"op": "ping"}) == PONG_ANSWER


# -- control frames ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe", b"x" * 125])
def test_a_ping_is_answered_with_its_payload(client: RawClient, payload: bytes) -> None:
    """A pong has exactly the payload of its ping (RFC 6455, 5.5.3)."""
    client.send(frame(PING, payload))
    assert client.read_frame() == Frame(True, 0, PONG, payload)


def test_control_frames_may_stand_between_fragments(client: RawClient) -> None:
    """A ping inside a fragmented message is answered at once, a pong is taken, and the message is not touched by them."""
    first, *_, last = fragments([PING_MESSAGE[:5], PING_MESSAGE[5:]])
    client.send(first, frame(PING, b"in between"))
    assert client.read_frame() == Frame(True, 0, PONG, b"in between")
    client.send(frame(PONG, b"never asked for"), last)
    assert client.read() == PONG_ANSWER


def test_a_ping_does_not_count_for_the_size_of_the_message_around_it(client: RawClient) -> None:
    """A fragmented message of the largest size may have the largest ping inside."""
    message = PING_MESSAGE + b" " * (FRAME_MAX - len(PING_MESSAGE))
    first, last = fragments([message[:-1], message[-1:]])
    client.send(first, frame(PING, b"x" * 125))
    assert client.read_frame() == Frame(True, 0, PONG, b"x" * 125)
    client.send(last)
    assert client.read() == PONG_ANSWER


def test_a_pong_is_taken_in_silence(client: RawClient) -> None:
    """A pong that nobody asked for is not answered (RFC 6455, 5.5.3)."""
    client.send(frame(PONG, b"?"))
    assert client.silent()


# -- broken frames ----------------------------------------------------------------------------------------------------

BROKEN = {
    "unmasked": frame(TEXT, PING_MESSAGE, mask=None),
    "unmasked ping": frame(PING, mask=None),
    "RSV1 without an extension": frame(TEXT, PING_MESSAGE, rsv=4),
    "RSV2": frame(TEXT, PING_MESSAGE, rsv=2),
    "RSV3": frame(TEXT, PING_MESSAGE, rsv=1),
    "RSV1 on a ping": frame(PING, rsv=4),
    **{f"opcode {opcode}": frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "continuation of nothing": frame(CONT, PING_MESSAGE),
    "open continuation of nothing": frame(CONT, PING_MESSAGE, fin=False),
    "text inside a message": frame(TEXT, b"[", fin=False) + frame(TEXT, b"]"),
    "binary inside a message": frame(TEXT, b"[", fin=False) + frame(BINARY, b"]"),
    "continuation after the end": b"".join(fragments([b"[", b"]"])) + frame(CONT, b""),
    "fragmented ping": frame(PING, b"x", fin=False),
    "fragmented close": frame(CLOSE, b"", fin=False),
    "long ping": frame(PING, b"x" * 126),
    "long pong": frame(PONG, b"x" * 126),
    "long close": frame(CLOSE, b"\x03\xe8" + b"x" * 124),
    "close of one byte": frame(CLOSE, b"\x03"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_frame_fails_the_connection(server: RunningServer, client: RawClient, data: bytes) -> None:
    """What RFC 6455 forbids is answered with 1002 and the end of the stream; what follows is not looked at."""
    before = dict(server.parts.stats.closes)
    client.send(data, frame(TEXT, PING_MESSAGE))
    got = [
        frame for frame in client.drain() if frame.opcode != TEXT
    ]  # an error for the whole message before it may stand first
    assert [frame.opcode for frame in got] == [CLOSE]
    assert got[0].payload[:2] == b"\x03\xea"
    assert server.parts.stats.closes["protocol_error"] == before.get("protocol_error", 0) + 1


# -- UTF-8 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [*BAD_UTF8, b"\xe2\x82", b"\xf0\x9f\x98"])
def test_bad_utf8_fails_the_connection(client: RawClient, bad: bytes) -> None:
    """Text that is not UTF-8, also when it only breaks off, is answered with 1007 and the end of the stream."""
    client.send(frame(TEXT, b'{"op":"' + bad + b'"}'), frame(TEXT, PING_MESSAGE))
    client.expect_close(1007)


@pytest.mark.parametrize("bad", BAD_UTF8)
@pytest.mark.parametrize("split", [0, 1, 2])
def test_bad_utf8_fails_at_the_offending_fragment(client: RawClient, bad: bytes, split: int) -> None:
    """Not the end of the message but the first fragment that cannot be UTF-8 any more is answered with 1007."""
    client.send(frame(TEXT, '"弹幕'.encode() + bad[:split], fin=False))
    if split < 2:
        client.send(frame(CONT, bad[split:2], fin=False))
    client.expect_close(1007)


def test_utf8_that_breaks_off_fails_at_the_end(client: RawClient) -> None:
    """A character that lacks a byte may still be finished by the next fragment, and is bad when there is none."""
    client.send(*fragments([b'"\xe5\xbc', b"\xb9\xe5", b"\xb9"]))
    client.expect_close(1007)


def test_characters_may_be_split_among_fragments(client: RawClient) -> None:
    """Fragments may cut anywhere, also inside a character (RFC 6455, 5.6)."""
    message = '{"op":"leave","room":"弹幕😀퟿"}'.encode()
    client.send(*fragments([message[i : i + 1] for i in range(len(message))]))
    assert client.read()["code"] == "room_not_found"


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_the_largest_message_is_taken(client: RawClient) -> None:
    """A message of frame_max_bytes is served, whole or in fragments."""
    message = PING_MESSAGE + b" " * (FRAME_MAX - len(PING_MESSAGE))
    client.send(frame(TEXT, message), *fragments([message[:5000], message[5000:]]))
    assert [client.read() for _ in range(2)] == [PONG_ANSWER] * 2


@pytest.mark.parametrize("length", [FRAME_MAX + 1, 65_536, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_too_large_is_refused_before_it_arrives(client: RawClient, length: int, opcode: int) -> None:
    """The length in the header alone is answered with 1009."""
    client.send(frame(opcode, length=length))
    client.expect_close(1009)


@pytest.mark.parametrize("size", [1, 100, 125, 126, FRAME_MAX])
def test_fragments_too_large_together_are_refused(client: RawClient, size: int) -> None:
    """The bound holds for the whole message, to the byte, and does not wait for its end."""
    client.send(frame(TEXT, b" " * FRAME_MAX, fin=False))
    assert client.silent()
    client.send(frame(CONT, b" " * size, fin=False))
    client.expect_close(1009)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("part", [b"", b" "])
def test_endless_fragments_are_refused(client: RawClient, opcode: int, part: bytes) -> None:
    """A message with more than fragments_max frames is answered with 1009, also when all of them are empty."""
    client.send(frame(opcode, part, fin=False), *[frame(CONT, part, fin=False)] * (FRAGMENTS_MAX - 1))
    assert client.silent()
    client.send(frame(CONT, part, fin=False))
    assert client.expect_close(1009) == "too many fragments"


@pytest.mark.parametrize("kind", ["text", "ping", "pong", "fragment"])
def test_too_many_frames_are_refused(server: RunningServer, client: RawClient, kind: str) -> None:
    """More frames than frames_burst at once, of whatever kind, are answered with 4002."""
    frames = {"text": text("{}"), "ping": frame(PING), "pong": frame(PONG), "fragment": frame(CONT, fin=False)}
    with server.changed(fragments_max=1000):
        client.send(frame(TEXT, fin=False) if kind == "fragment" else b"", frames[kind] * 200)
        client.expect_close(4002)


def test_a_flood_in_one_read_is_not_parsed_to_its_end(server: RunningServer, client: RawClient) -> None:
    """Of 40,000 pings in one go only the first few hundred cost anything: the rest is not even looked at."""
    client.send(frame(PING) * 40_000)
    got = list(client.drain())
    assert got[-1].payload[:2] == (4002).to_bytes(2, "big")
    assert 100 <= len(got) < 1000


# -- closing ----------------------------------------------------------------------------------------------------------

GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("payload", [b"", *(code.to_bytes(2, "big") for code in GOOD_CODES), b"\x03\xe8" + "再见".encode()])
def test_a_close_is_echoed_and_the_stream_ended(client: RawClient, payload: bytes) -> None:
    """A closing frame is answered with its own payload, and then by the end of the stream at once."""
    client.send(frame(CLOSE, payload))
    assert client.read_frame() == Frame(True, 0, CLOSE, payload)
    client.expect_end()


@pytest.mark.parametrize("code", BAD_CODES)
def test_a_close_with_a_code_that_must_not_be_sent_is_a_fault(client: RawClient, code: int) -> None:
    """Codes that are reserved or of no registry are answered with 1002 (RFC 6455, 7.4)."""
    client.send(close_frame(code))
    client.expect_close(1002)


@pytest.mark.parametrize("bad", [*BAD_UTF8, b"\xe2\x82"])
def test_a_close_with_a_bad_reason_is_a_fault(client: RawClient, bad: bytes) -> None:
    """The reason of a closing frame is UTF-8, else 1007."""
    client.send(close_frame(1000, b"bye " + bad))
    client.expect_close(1007)


def test_a_close_between_fragments_is_a_close(client: RawClient) -> None:
    """A client may close before its message is whole (RFC 6455, 5.4): it is answered as any other."""
    client.send(frame(TEXT, b"{", fin=False), close_frame(1001))
    assert client.read_close() == (1001, "")
    client.expect_end()


def test_what_follows_a_close_is_ignored(server: RunningServer) -> None:
    """Messages behind a closing frame, in the same segment or later, do nothing."""
    head = server.room().head
    with server.connect(account="late") as client:
        say = text({"op": "say", "room": "demo", "key": "late", "text": "too late"})
        client.send(close_frame(1000), say)
        assert client.read_close() == (1000, "")
        client.send(say)
        client.expect_end()
    assert server.append(1) == head + 1


def test_our_close_waits_for_its_answer(server: RunningServer, client: RawClient) -> None:
    """After our closing frame messages are ignored, pings are still answered, and the stream stays open."""
    conn = newest(server)
    server.call(lambda: conn.close("restarting"))
    assert client.read_close() == (1012, "restarting")
    client.send(frame(TEXT, PING_MESSAGE), frame(PING, b"still there?"))
    assert client.read_frame() == Frame(True, 0, PONG, b"still there?")
    assert client.silent()


def test_our_close_and_theirs_end_the_stream(server: RunningServer, client: RawClient) -> None:
    """When both closing frames are there the server ends the stream without waiting for anything."""
    conn = newest(server)
    server.call(lambda: conn.close("restarting"))
    assert client.read_close() == (1012, "restarting")
    client.send(frame(TEXT, PING_MESSAGE), close_frame(1012))
    client.expect_end()
    client.end()
    server.eventually(lambda: conn not in server.parts.conversation.connections)


def test_a_close_is_sent_once(server: RunningServer, client: RawClient) -> None:
    """Closing what is closing or closed already does nothing."""
    conn = newest(server)
    server.call(lambda: conn.close("restarting"))
    server.call(lambda: conn.close("too_big"))
    client.send(close_frame(1012))
    assert [got.payload for got in client.drain()] == [b"\x03\xf4restarting"]
    client.end()
    server.eventually(lambda: conn not in server.parts.conversation.connections)
    server.call(lambda: conn.close("idle"))


@pytest.mark.parametrize("ours", ["restarting", "too_big"])
def test_a_peer_that_does_not_answer_a_close_is_cut(server: RunningServer, client: RawClient, ours: str) -> None:
    """Five seconds after our closing frame the transport is cut, whether the peer was asked or failed."""
    conn = newest(server)
    server.call(lambda: conn.close(ours))
    client.read_close()
    server.advance(4)
    assert conn in server.parts.conversation.connections
    server.advance(2)
    server.eventually(lambda: conn not in server.parts.conversation.connections)
    assert client.ended()


def test_a_flood_during_a_close_is_cut(server: RunningServer, client: RawClient) -> None:
    """A peer that goes on at full rate after our closing frame is cut at once."""
    conn = newest(server)
    server.call(lambda: conn.close("restarting"))
    client.read_close()
    client.send(frame(PING) * 20_000)
    server.eventually(lambda: conn not in server.parts.conversation.connections)


@pytest.mark.parametrize("name", CLOSES)
def test_every_close_code_can_be_sent(server: RunningServer, client: RawClient, name: str) -> None:
    """Each code of the table goes out as it stands there, with its name as reason."""
    conn = newest(server)
    server.call(lambda: conn.close(name))
    assert client.read_close() == (CLOSES[name].code, name)


@pytest.mark.parametrize("data", [b"", frame(TEXT, PING_MESSAGE)[:-1], frame(TEXT, b"{", fin=False), b"\x81"])
@pytest.mark.parametrize("way", ["end", "reset"])
def test_a_peer_may_vanish_at_any_moment(server: RunningServer, client: RawClient, data: bytes, way: str) -> None:
    """The end of the stream without a close, also in the middle of a frame, ends the connection and nothing else."""
    conn = newest(server)
    client.send(data)
    server.append(1)
    client.end() if way == "end" else client.reset()
    server.eventually(lambda: conn not in server.parts.conversation.connections)
    assert conn not in server.room().hot
    if way == "end":
        assert all(got.opcode == TEXT for got in client.drain())


def test_a_fault_of_ours_is_told_and_contained(
    server: RunningServer, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception closes its connection with 1011, is logged, and disturbs nobody else."""

    def broken(conn: object, data: bytes) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(server.parts.conversation, "on_message", broken)
        client.send(frame(TEXT, PING_MESSAGE))
        client.expect_close(1011)
    errors = server.take_errors()
    assert [error["event"] for error in errors] == ["a connection could not be served"]


def test_a_fault_during_the_handshake_cuts_the_connection(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the WebSocket is open no close can be sent: the connection is cut, and the fault is logged."""

    def broken(conn: object, request: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch, RawClient(server.port) as client:
        patch.setattr(server.parts.conversation, "admit", broken)
        client.send(request())
        client.expect_end()
    assert len(server.take_errors()) == 1


# -- back pressure ----------------------------------------------------------------------------------------------------


def test_a_handshake_that_fills_the_buffer_is_counted_as_stalled(tmp_path: Path) -> None:
    """What the handshake itself sends may stall the connection: it is seen at once, and again when the client reads."""
    with running(tmp_path, send_buffer=4096, write_high_bytes=1024, write_low_bytes=0, join_recent=1000) as server:
        head = server.append(500, "弹幕" * 30)
        with RawClient(server.port, receive_buffer=4096) as client:
            client.send(request("/ws?room=demo"))
            server.eventually(lambda: server.parts.stats.stalled == 1)
            client.answer()
            assert client.read_until("joined")["head"] == head
            server.eventually(lambda: server.parts.stats.stalled == 0)
            assert client.ask({"op": "ping"}, "pong") == PONG_ANSWER


@pytest.mark.parametrize("kind", ["errors", "joins", "answers"])
def test_one_that_asks_and_never_reads_is_cut(tmp_path: Path, kind: str) -> None:
    """Answers to a connection that does not read are bounded: at four times the bound of its buffer it is cut."""
    with running(
        tmp_path, send_buffer=4096, write_high_bytes=4096, write_low_bytes=1024, frames_burst=100_000, join_recent=200,
        joins_per_s=10_000, joins_burst=10_000, rate_account_burst=10_000, rate_room_burst=10_000, rate_address_burst=10_000,
    ) as server:  # fmt: skip
        server.append(200)
        messages = {
            "errors": text("{"),
            "joins": text({"op": "join", "room": "demo"}),
            "answers": text({"op": "say", "room": "demo", "key": "k", "text": "again"}),
        }
        with server.connect(room="", account="greedy", receive_buffer=4096) as client:
            conn = newest(server)
            with suppress(ConnectionError):
                for _ in range(3000):
                    client.send(messages[kind])
            server.eventually(lambda: conn not in server.parts.conversation.connections)
        assert server.parts.stats.closes["too_slow"] == 1
        assert server.parts.stats.stalled == 0


def newest(server: RunningServer) -> Connection:
    """The connection that was opened last."""
    return server.call(lambda: max(server.parts.conversation.connections, key=lambda conn: int(conn.id.rpartition("-")[2])))
