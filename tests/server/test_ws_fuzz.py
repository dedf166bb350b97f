"""server/ws.py and server/conversation.py under random and mutated input: never a fault of ours, never another viewer disturbed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import CLOSES, CODES
from tests.support.running import RunningServer, running
from tests.support.wsclient import CLOSE, PING, PONG, RSV1, TEXT, RawClient, close_frame, deflate, frame, inflate, request

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
ANSWERS = {"hello", "joined", "events", "gap", "ack", "held", "refused", "error", "state", "left", "pong"}

fuzz = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Watched:
    """A server with a healthy viewer, who must see each new event of the room as the next."""

    def __init__(self, server: RunningServer, healthy: RawClient) -> None:
        self.server = server
        self._healthy = healthy
        self._seen = server.append(1)
        healthy.follow(self._seen)

    def undisturbed(self) -> None:
        """Nothing was logged as a fault, and the healthy viewer goes on in order, without a hole."""
        head = self.server.append(1)
        events = self._healthy.follow(head)
        assert [event["seq"] for event in events] == list(range(self._seen + 1, head + 1))
        self._seen = head
        assert self.server.take_errors() == []
        assert self.server.call(lambda: self.server.room().head) == head


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with (
        running(
            tmp_path_factory.mktemp("fuzz"), joins_per_s=10_000, joins_burst=10_000, tick_ms=1, sql=True,
            rate_account_burst=10_000, rate_room_burst=10_000, rate_address_burst=10_000, connections_per_account=1000,
        ) as server,
        server.connect() as healthy,
    ):  # fmt: skip
        yield Watched(server, healthy)


# -- what is sent -----------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["demo", "events", "auth", "😀", "\x00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "auth": {"token": st.text(max_size=50) | st.just("x" * 5000)},
    "join": {
        "room": st.sampled_from(["demo", "none", ""]),
        "since": st.fixed_dictionaries({"epoch": st.text(max_size=20), "seq": st.integers()}),
    },
    "say": {
        "room": st.sampled_from(["demo", "demo", "none"]),
        "key": st.text(max_size=70) | st.integers(0, 9).map(str),
        "text": st.text(max_size=120),
        "pos_ms": st.integers() | st.integers(0, 1000),
        "mode": st.sampled_from(["scroll", "top", "bottom", "reverse", "sideways"]),
        "color": st.sampled_from(["#ffffff", "#FFF", "red", "#ffffff\n"]),
        "size": st.sampled_from([25, 24, 0, -1, 2**70]),
    },
    "recall": {"room": st.just("demo"), "seq": st.integers(), "key": st.text(max_size=5)},
    "leave": {"room": st.sampled_from(["demo", "none"])},
    "ping": {},
}


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message of the protocol; often a field is missing, has any JSON as value, or there is one too many."""
    op = draw(st.sampled_from([*FIELDS, "hello", ""]))
    message: dict[str, Any] = {"op": op}
    for name, values in FIELDS.get(op, {}).items():
        kind = draw(st.integers(0, 9))
        if kind > 1:
            message[name] = draw(values)
        elif kind:
            message[name] = draw(json_values)
    if draw(st.integers(0, 9)) == 0:
        message[draw(st.text(max_size=5))] = draw(json_values)
    return json.dumps(message, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


payloads = st.one_of(
    messages(),
    messages(),
    json_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.binary(max_size=300),
    st.integers(0, 4000).map(lambda depth: b"[" * depth),
    st.integers(0, 3000).map(lambda depth: b'{"a":' * depth),
    st.integers(0, 9000).map(lambda size: b'"' + b"x" * size + b'"'),
    st.sampled_from(
        [b'"\\ud800"', b'{"op":"leave","room":"\\ud800abcdefgh"}', b'{"op":"leave","room":"\\udc00"}', b"\xef\xbb\xbf{}"]
    ),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame; mostly a good one, else with any opcode, bits, mask or length."""
    kind = draw(st.integers(0, 5))
    if kind < 3:
        payload = draw(payloads)
        packed = draw(st.integers(0, 3)) == 0
        return frame(TEXT, deflate(payload) if packed else payload, rsv=RSV1 if packed else 0)
    if kind == 3:
        return frame(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=140)), fin=draw(st.integers(0, 9)) > 0)
    if kind == 4:
        return close_frame(draw(st.none() | st.integers(0, 65535) | st.just(1000)), draw(st.binary(max_size=20)))
    return frame(
        draw(st.integers(0, 15)),
        draw(payloads),
        fin=draw(st.booleans()),
        rsv=draw(st.integers(0, 7)),
        mask=draw(st.none() | st.binary(min_size=4, max_size=4)),
        length=draw(st.none() | st.sampled_from([0, 1, 125, 126, 8192, 8193, 65535, 65536, 2**63])),
    )


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A message in fragments, often with control frames between them, sometimes without its end."""
    parts = draw(st.lists(payloads.map(lambda data: data[:50]), min_size=1, max_size=5))
    packed = draw(st.booleans())
    if packed:
        whole = deflate(b"".join(parts))
        size = -(-len(whole) // len(parts))
        parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    out = b""
    last = len(parts) - 1 if draw(st.integers(0, 3)) else -1
    for index, part in enumerate(parts):
        out += frame(
            0 if index else draw(st.sampled_from([1, 1, 2])), part, fin=index == last, rsv=RSV1 if packed and not index else 0
        )
        if draw(st.integers(0, 3)) == 0:
            out += draw(frames())
    return out


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Good bytes with some of them changed, removed or repeated."""
    data = bytearray(draw(frames() | fragmented()))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.integers(0, 2))
        if kind == 0:
            data[at] = draw(st.integers(0, 255))
        elif kind == 1:
            del data[at : at + draw(st.integers(1, 8))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 8))]
    return bytes(data)


streams = st.lists(frames() | fragmented() | mutated() | st.binary(max_size=200), max_size=8)
endings = st.sampled_from(["close", "end", "reset", "stay"])


def leave(client: RawClient, ending: str) -> None:
    """Leave in one of the ways in which clients leave. Nobody minds a connection that the server has closed before."""
    with contextlib.suppress(OSError):
        if ending == "close":
            client.send(close_frame(1000))
        if ending in ("close", "end"):
            client.end()
        if ending == "reset":
            client.reset()


def read_to_the_end(client: RawClient) -> None:
    """Look at everything that the server still says. A reset may cut it short: more was sent than the server read."""
    with contextlib.suppress(ConnectionError):
        for got in client.drain():
            check_frame(got.opcode, got.rsv, got.payload)


def check_frame(opcode: int, rsv: int, payload: bytes) -> None:
    """What a server may say: messages of the protocol, pongs and pings, and a close with a code of the table or an echo."""
    if opcode == TEXT:
        message = json.loads(inflate(payload) if rsv else payload)
        assert message["op"] in ANSWERS
        if "code" in message:
            assert message["code"] in CODES
    else:
        assert opcode in (PING, PONG, CLOSE)


# -- the properties ---------------------------------------------------------------------------------------------------


@fuzz
@given(stream=streams, ending=endings, pieces=st.booleans(), compressed=st.booleans(), account=st.booleans())
def test_any_frames_are_answered_by_the_protocol(
    watched: Watched, stream: list[bytes], ending: str, pieces: bool, compressed: bool, account: bool
) -> None:
    """Whatever comes after the handshake, the answers are those of the protocol, nothing is logged, and nobody else is disturbed."""
    server = watched.server
    extensions = "permessage-deflate" if compressed else ""
    with server.connect(account="mallory" if account else "", extensions=extensions) as client:
        with contextlib.suppress(OSError):  # the server may have closed already
            for data in stream if pieces else [b"".join(stream)]:
                client.send(data)
        leave(client, ending)
        if ending in ("close", "end"):
            read_to_the_end(client)
    watched.undisturbed()


@fuzz
@given(data=messages(), account=st.booleans())
def test_each_message_gets_an_answer(watched: Watched, data: bytes, account: bool) -> None:
    """Any JSON text is answered, and the connection goes on; it is closed for bytes that are no UTF-8 only."""
    server = watched.server
    with server.connect(account="mallory" if account else "") as client:
        client.send(frame(TEXT, data))
        try:
            data.decode()
        except UnicodeDecodeError:
            client.expect_close(1007)
        else:
            assert client.read()["op"] in ANSWERS
            assert client.ask({"op": "ping"}, "pong") == {"op": "pong"}
    watched.undisturbed()


@fuzz
@given(head=st.binary(max_size=400), cut=st.integers(0, 400), end=endings)
def test_any_bytes_instead_of_a_handshake_do_no_harm(watched: Watched, head: bytes, cut: int, end: str) -> None:
    """Random bytes, alone or behind a part of a handshake, are refused by HTTP or by the end of the stream."""
    with RawClient(watched.server.port) as client:
        with contextlib.suppress(OSError):
            client.send(request()[:cut] + head)
        leave(client, end)
    watched.undisturbed()


@fuzz
@given(
    changes=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6),
    extra=st.lists(st.tuples(st.sampled_from(["Origin", "Host", "Upgrade", "X-Forwarded-For", "Sec-WebSocket-Extensions", "Expect"]),
                             st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=30)), max_size=3),
    target=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30).map("/ws?room=demo&token=".__add__),
    end=endings,
)  # fmt: skip
def test_a_mutated_handshake_does_no_harm(
    watched: Watched, changes: list[tuple[int, int]], extra: list[tuple[str, str]], target: str, end: str
) -> None:
    """A handshake with some bytes changed, odd headers or an odd address is accepted or refused, and never a fault."""
    data = bytearray(request(target, headers=extra))
    for at, value in changes:
        data[at % len(data)] = value
    with RawClient(watched.server.port) as client:
        with contextlib.suppress(OSError):
            client.send(bytes(data))
        leave(client, end)
    watched.undisturbed()


def test_no_connection_is_left_behind(watched: Watched) -> None:
    """After all that only the healthy viewer is connected, and every count says so."""
    parts = watched.server.parts
    watched.server.eventually(lambda: len(parts.conversation.connections) == 1)
    assert parts.conversation.limits.count == 1
    assert watched.server.room().viewers == 1
    assert parts.stats.stalled == 0
    assert set(parts.stats.closes) <= set(CLOSES)
