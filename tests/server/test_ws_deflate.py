"""server/ws.py: permessage-deflate (RFC 7692), agreed and used by both sides."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websockets.asyncio.client as websockets_client
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from server.settings import Settings
from tests.support.running import RunningServer, running
from tests.support.wsclient import BINARY, CONT, PING, PONG, RSV1, TEXT, RawClient, deflate, fragments, frame, inflate, text

FRAME_MAX = Settings().frame_max_bytes
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
PING_MESSAGE = b'{"op":"ping"}'
LARGE = b" " * 10_000_000
"""Deflates to 10 KB."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(
        tmp_path_factory.mktemp("deflate"), joins_per_s=10_000, joins_burst=10_000, connections_per_address=1000
    ) as server:
        yield server


@pytest.fixture
def server(shared: RunningServer) -> Iterator[RunningServer]:
    yield shared
    assert shared.take_errors() == []


@pytest.fixture
def client(server: RunningServer) -> Iterator[RawClient]:
    """A viewer that agreed on compression."""
    with server.connect(extensions="permessage-deflate") as client:
        yield client


# -- agreeing ---------------------------------------------------------------------------------------------------------

OFFERS = {
    "permessage-deflate": AGREED,
    "permessage-deflate; client_max_window_bits": AGREED,
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover": AGREED,
    'permessage-deflate; client_max_window_bits="12"': AGREED,
    "permessage-deflate; server_max_window_bits=15": AGREED + "; server_max_window_bits=15",
    **{f"permessage-deflate; client_max_window_bits={bits}": AGREED for bits in range(8, 16)},
    # Our frames are made once for all, with a window of 32 KiB: who cannot take them gets plain ones.
    **{f"permessage-deflate; server_max_window_bits={bits}": "" for bits in range(8, 15)},
    "permessage-deflate; server_max_window_bits=10, permessage-deflate": AGREED,
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits, permessage-deflate; client_max_window_bits": AGREED,
    "permessage-deflate, permessage-deflate": AGREED,
    "x-webkit-deflate-frame, permessage-bzip2, permessage-deflate": AGREED,
    "x-webkit-deflate-frame": "",
    # What RFC 7692 does not allow in an offer is declined.
    "permessage-deflate; server_max_window_bits": "",
    "permessage-deflate; server_max_window_bits=16": "",
    "permessage-deflate; server_max_window_bits=015": "",
    "permessage-deflate; client_max_window_bits=7": "",
    "permessage-deflate; client_max_window_bits=16": "",
    "permessage-deflate; server_no_context_takeover=1": "",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover": "",
    "permessage-deflate; unknown": "",
}


@pytest.mark.parametrize("offer", OFFERS)
def test_what_is_agreed_for_an_offer(server: RunningServer, offer: str) -> None:
    """No context takeover on either side, windows of 32 KiB, or no compression at all; frames are as agreed."""
    with RawClient(server.port) as client:
        answer = client.handshake(extensions=offer)
        assert answer.header("sec-websocket-extensions") == OFFERS[offer]
        client.read_until("joined")
        server.append(1, "弹" * 200)
        got = client.read_frame()
        assert got.rsv == (RSV1 if OFFERS[offer] else 0)
        payload = inflate(got.payload) if got.rsv else got.payload
        assert json.loads(payload)["events"][0]["text"] == "弹" * 200


def test_compression_can_be_switched_off(tmp_path: Path) -> None:
    """With the setting deflate off, no offer is taken up."""
    with running(tmp_path, deflate=False) as server, RawClient(server.port) as client:
        assert not client.handshake(extensions="permessage-deflate").header("sec-websocket-extensions")


# -- what we send -----------------------------------------------------------------------------------------------------


def test_a_batch_is_compressed_once_for_all_and_inflates_to_the_same(server: RunningServer) -> None:
    """Viewers with compression get one and the same frame, and it holds what the others get plain."""
    with server.connect() as plain, server.connect(extensions="permessage-deflate") as one, server.connect(
        extensions="permessage-deflate; client_max_window_bits=9"
    ) as other:  # fmt: skip
        server.append(30, "同样的话")
        first, second, third = plain.read_frame(), one.read_frame(), other.read_frame()
        assert (first.rsv, second.rsv) == (0, RSV1)
        assert second == third
        assert inflate(second.payload) == first.payload
        assert len(second.payload) < len(first.payload) / 5


def test_small_messages_go_plain(server: RunningServer, client: RawClient) -> None:
    """Below deflate_min_bytes compression costs more than it saves."""
    server.append(1, "x")
    assert client.read_frame().rsv == 0


@pytest.mark.parametrize(
    "factory",
    [
        ClientPerMessageDeflateFactory(),
        ClientPerMessageDeflateFactory(server_max_window_bits=15, client_max_window_bits=9),
        ClientPerMessageDeflateFactory(server_max_window_bits=9),
        ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
    ],
)
async def test_a_real_client_understands_every_frame(server: RunningServer, factory: ClientPerMessageDeflateFactory) -> None:
    """A client of the websockets library, with whatever it asks for, reads shared frames and is read, message after message."""
    extensions = [factory]
    async with websockets_client.connect(server.ws_url(), compression=None, extensions=extensions) as client:
        for _ in range(2):
            await client.recv()
        for round_ in range(5):
            head = server.append(20, f"第{round_}轮" * 20)
            events = json.loads(await client.recv())["events"]
            assert events[-1]["seq"] == head
            assert {event["text"] for event in events} == {f"第{round_}轮" * 20}
            await client.send('{"op":"ping"}')
            assert json.loads(await client.recv()) == {"op": "pong"}


# -- what we take -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window_bits", range(9, 16))
def test_compressed_messages_are_taken(client: RawClient, window_bits: int) -> None:
    """A compressed message, made with any window, is served as a plain one is."""
    words = hashlib.sha256(b"some noise").hexdigest()
    message = json.dumps({"op": "ping", "noise": [words, "x" * 3000, words, "y" * 3000, words]}).encode()
    client.send(frame(TEXT, deflate(message, window_bits), rsv=RSV1))
    assert client.read() == {"op": "pong"}


def test_compressed_and_plain_messages_may_alternate(client: RawClient) -> None:
    """Each message says for itself whether it is compressed, and none depends on the one before."""
    packed = frame(TEXT, deflate(PING_MESSAGE), rsv=RSV1)
    client.send(packed, text('{"op":"ping"}'), packed, packed, frame(BINARY, deflate(b"\xff"), rsv=RSV1), packed)
    answers = [client.read() for _ in range(6)]
    assert [answer["op"] for answer in answers] == ["pong", "pong", "pong", "pong", "error", "pong"]


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_compressed_message_may_come_in_fragments(client: RawClient, cut: int) -> None:
    """Compression is one for the message (RFC 7692, 6.1): fragments cut it anywhere, and control frames may stand between."""
    data = deflate(PING_MESSAGE)
    first, *rest = fragments([data[:cut], b"", data[cut:]], rsv=RSV1)
    client.send(first, frame(PING, b"plain"))
    got = client.read_frame()
    assert (got.opcode, got.payload) == (PONG, b"plain")
    client.send(*rest)
    assert client.read() == {"op": "pong"}


@pytest.mark.parametrize("payload", [b"\x00", b"", deflate(b"")])
def test_an_empty_compressed_message_is_an_empty_message(client: RawClient, payload: bytes) -> None:
    """All forms of nothing inflate to nothing (RFC 7692, 7.2.3.6), which is no JSON."""
    client.send(frame(TEXT, payload, rsv=RSV1))
    assert client.read()["code"] == "bad_json"


def test_a_message_of_several_deflate_blocks_is_taken(client: RawClient) -> None:
    """A sender may flush within a message, and may end with a final block (RFC 7692, 7.2.3.4 and 7.2.3.5)."""
    encoder = zlib.compressobj(wbits=-15)
    flushed = encoder.compress(PING_MESSAGE[:5]) + encoder.flush(zlib.Z_SYNC_FLUSH)
    flushed += encoder.compress(PING_MESSAGE[5:]) + encoder.flush(zlib.Z_SYNC_FLUSH)
    client.send(frame(TEXT, flushed[:-4], rsv=RSV1))
    assert client.read() == {"op": "pong"}
    stored = b"\x00\x0d\x00\xf2\xff" + PING_MESSAGE + b"\x00"
    client.send(frame(TEXT, stored, rsv=RSV1))
    assert client.read() == {"op": "pong"}
    final = zlib.compressobj(wbits=-15)
    client.send(frame(TEXT, final.compress(PING_MESSAGE) + final.flush(zlib.Z_FINISH) + b"\x00", rsv=RSV1))
    assert client.read() == {"op": "pong"}


BROKEN = {
    "RSV1 on a continuation": frame(TEXT, deflate(PING_MESSAGE)[:3], fin=False, rsv=RSV1)
    + frame(CONT, deflate(PING_MESSAGE)[3:], rsv=RSV1),
    "RSV1 on a continuation of a plain message": frame(TEXT, b"{", fin=False) + frame(CONT, deflate(b"}"), rsv=RSV1),
    "RSV1 on a ping": frame(PING, rsv=RSV1),
    "RSV2": frame(TEXT, deflate(PING_MESSAGE), rsv=RSV1 | 2),
    "RSV3": frame(TEXT, deflate(PING_MESSAGE), rsv=RSV1 | 1),
    "no deflate data": frame(TEXT, b"\xff\xff\xff\xff", rsv=RSV1),
    "a window from before the message": frame(TEXT, b"\x02\x13\x00\x00", rsv=RSV1),
    "a stored block with a wrong length": frame(TEXT, b"\x00\x0d\x00\xf2\xfe" + PING_MESSAGE, rsv=RSV1),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_compression_fails_the_connection(client: RawClient, data: bytes) -> None:
    """What RFC 7692 forbids is answered with 1002 and the end of the stream."""
    client.send(data)
    client.expect_close(1002)


def test_bad_utf8_in_a_compressed_message_fails_it(client: RawClient) -> None:
    """UTF-8 is checked after inflating."""
    client.send(frame(TEXT, deflate(b'{"op":"\xc3\x28"}'), rsv=RSV1))
    client.expect_close(1007)


@pytest.mark.parametrize("bad", [b"\xc3\x28", b"\xed\xa0", b"\xff"])
def test_bad_utf8_in_a_compressed_fragment_fails_at_once(client: RawClient, bad: bytes) -> None:
    """The fragment that inflates to what is no UTF-8 is answered with 1007, before the message ends."""
    encoder = zlib.compressobj(wbits=-15)
    first = encoder.compress(b'{"op":"' + bad) + encoder.flush(zlib.Z_SYNC_FLUSH)
    client.send(frame(TEXT, first, fin=False, rsv=RSV1))
    client.expect_close(1007)


# -- bombs ------------------------------------------------------------------------------------------------------------


def test_the_largest_message_counts_inflated(client: RawClient) -> None:
    """A message of frame_max_bytes after inflating is served, one byte more is answered with 1009."""
    message = PING_MESSAGE + b" " * (FRAME_MAX - len(PING_MESSAGE))
    client.send(frame(TEXT, deflate(message), rsv=RSV1))
    assert client.read() == {"op": "pong"}
    client.send(frame(TEXT, deflate(message + b" "), rsv=RSV1))
    client.expect_close(1009)


@pytest.mark.parametrize("parts", [1, 2, 50])
def test_a_bomb_is_refused(client: RawClient, parts: int) -> None:
    """A message that inflates beyond the bound is answered with 1009, in one frame or in many."""
    data = deflate(LARGE[:8_000_000])
    size = -(-len(data) // parts)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    client.send(*fragments(pieces, rsv=RSV1))
    client.expect_close(1009)


def test_bombs_are_bounded_before_they_are_inflated(server: RunningServer) -> None:
    """Bombs of 8 MB are refused without so much memory ever being taken."""
    bomb = deflate(LARGE)[:FRAME_MAX]
    with contextlib.ExitStack() as stack:

        def growth() -> int:
            clients = [stack.enter_context(server.connect(extensions="permessage-deflate")) for _ in range(20)]
            before = reset_peak()
            for client in clients:
                client.send(frame(TEXT, bomb, rsv=RSV1))
            for client in clients:
                client.expect_close(1009)
            return peak() - before

        assert least(growth, 4_000_000) < 4_000_000


def test_messages_that_are_never_finished_hold_little(server: RunningServer) -> None:
    """A hundred compressed messages that wait for their next fragment hold a decoder each, below 64 KB."""
    with contextlib.ExitStack() as stack:

        def growth() -> int:
            clients = [stack.enter_context(server.connect(extensions="permessage-deflate")) for _ in range(100)]
            before = reset_peak()
            for client in clients:
                client.send(frame(TEXT, deflate(PING_MESSAGE), fin=False, rsv=RSV1), frame(PING))
            for client in clients:
                assert client.read_frame().opcode == PONG
            return peak() - before

        assert least(growth, 6_400_000) < 6_400_000


def least(growth: Callable[[], int], enough: int) -> int:
    """The least of up to three times (no more once it is less than ``enough``), each of which leaves open what it opened: pages of
    programs that a machine short of memory had taken back count for resident memory as well, when they are wanted again."""
    found = growth()
    for _ in range(2):
        found = found if found < enough else min(found, growth())
    return found


def reset_peak() -> int:
    """Resident memory now (bytes), from which the peak counts from here on. What was freed is given back, so that it counts again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the kernel does not let us measure peaks of memory")
    return _status("VmRSS")


def peak() -> int:
    """The most resident memory since :func:`reset_peak`, in bytes."""
    return _status("VmHWM")


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
