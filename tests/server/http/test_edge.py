"""server/http/edge.py"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from server.doorway import Doorway
from server.http.edge import BoundedHttp, Places, http_class
from server.settings import Settings
from tests.support.waiting import PATIENCE_S

FAST = Settings(handshake_timeout_s=0.2, head_max_bytes=4096, slow_close_s=0.2)
BIG = 32 * 1024 * 1024


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with its path, or endlessly at ``/big``."""
    await receive()
    body = b"x" * BIG if scope["path"] == "/big" else scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Upgraded(asyncio.Protocol):
    """Stands for the WebSocket side: keeps what it was given."""

    made: list[Upgraded]

    def __init__(self, config: object, server_state: object, app_state: object) -> None:
        self.data = b""
        self.made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data


@asynccontextmanager
async def served(settings: Settings, ws: type[asyncio.Protocol] | None = None) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,
        http=http_class(settings, Doorway(asyncio.get_running_loop().call_soon)),
        ws=ws or "none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        task = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield sock.getsockname()[1]
        server.should_exit = True
        await task


async def talk(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send the parts, then read to the end (half a second without data counts as open)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    finally:
        writer.close()


async def test_a_request_is_served_and_the_connection_kept() -> None:
    """Two requests over one connection are answered, the second after a pause longer than the head's time."""
    async with served(FAST) as port:
        first, last = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = await talk(port, first, last, pause_s=0.3)
    assert answer.count(b"200 OK") == 2
    assert answer.endswith(b"/two")


async def test_silence_is_closed() -> None:
    """A connection that never sends a byte is closed after the head's time."""
    async with served(FAST) as port:
        assert await talk(port) == b""


async def test_a_head_that_trickles_is_closed() -> None:
    """A request whose head goes on and on is closed after the head's time, however often a byte comes."""
    async with served(FAST) as port:
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await talk(port, b"GET / HTTP/1.1\r\n", *[b"A: b\r\n"] * 20, b"\r\n", pause_s=0.05)
    assert answer == b""


async def test_a_second_head_that_trickles_is_closed() -> None:
    """The head's time counts for each request of a connection, not for the first alone."""
    async with served(FAST) as port:
        answer = await talk(port, b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /two HTTP/1.1\r\nHost:", pause_s=0.05)
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("head", [b"A: " + b"x" * 5000 + b"\r\n\r\n", b"A: b\r\n" * 1000 + b"\r\n", b"A: " + b"x" * 5000])
async def test_a_head_that_is_too_large_is_refused(head: bytes) -> None:
    """A head above the bound is answered with 431 and closed, whole or unfinished, in one header or many."""
    async with served(FAST) as port:
        answer = await talk(port, b"GET / HTTP/1.1\r\nHost: a\r\n" + head)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_large_address_is_refused() -> None:
    """The request line counts for the head."""
    async with served(FAST) as port:
        assert (await talk(port, b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 431 ")


async def test_a_body_does_not_count_for_the_head() -> None:
    """A body larger than the head's bound that comes with its head is no large head."""
    async with served(FAST) as port:
        request = b"POST /p HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000
        assert (await talk(port, request)).endswith(b"/p")


async def test_nonsense_is_a_bad_request() -> None:
    """Bytes that are no HTTP are answered with 400."""
    async with served(FAST) as port:
        assert (await talk(port, b"\x00\x01nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_reader_that_does_not_take_its_answer_is_cut() -> None:
    """An answer that nobody takes is dropped after the slow reader's time, so that it holds no memory."""
    async with served(FAST) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.5)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(BIG)
        writer.close()


async def test_a_reader_that_takes_its_answer_slowly_gets_all_of_it() -> None:
    """A reader that goes on reading before its time is over is not cut."""
    async with served(Settings(slow_close_s=5)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0.1)
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"200 OK" in head
            assert len(await reader.readexactly(BIG)) == BIG
        writer.close()


UPGRADE = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /ws HTTP/1.0\r\n" + UPGRADE, b"HTTP/1.1 505 "),
        (b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"\x81\x80abcd", b"HTTP/1.1 400 "),
    ],
)
async def test_an_upgrade_that_cannot_be_is_refused(request_bytes: bytes, status: bytes) -> None:
    """An old version of HTTP, and frames that came before the 101, are refused before the WebSocket side sees anything."""

    class Unused(Upgraded):
        made: list[Upgraded] = []  # noqa: RUF012 -- of this test alone

    async with served(FAST, Unused) as port:
        assert (await talk(port, request_bytes)).startswith(status)
    assert Unused.made == []


async def test_an_upgrade_behind_an_unfinished_answer_is_cut() -> None:
    """A WebSocket on a connection whose earlier answer is still under way would mix the two: the connection is closed."""

    class Unused(Upgraded):
        made: list[Upgraded] = []  # noqa: RUF012 -- of this test alone

    async with served(FAST, Unused) as port:
        with contextlib.suppress(ConnectionError):
            await talk(port, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /ws HTTP/1.1\r\n" + UPGRADE)
    assert Unused.made == []


async def test_an_upgraded_connection_leaves_no_http_behind() -> None:
    """A WebSocket outlives the head's time, and the HTTP object of its handshake is freed at once, without the collector."""
    kinds: list[weakref.ref[BoundedHttp]] = []

    class Watched(Upgraded):
        made: list[Upgraded] = []  # noqa: RUF012 -- of this test alone

        def __init__(self, config: object, server_state: object, app_state: object) -> None:
            super().__init__(config, server_state, app_state)
            gc.disable()
            kinds.extend(weakref.ref(item) for item in gc.get_objects() if issubclass(type(item), BoundedHttp))

    async with served(FAST, Watched) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            await asyncio.sleep(0.4)
            (upgraded,) = Watched.made
            assert upgraded.data.startswith(b"GET /ws HTTP/1.1\r\nhost: a\r\n")
            assert not upgraded.transport.is_closing()
            assert kinds
            assert all(kind() is None for kind in kinds)
        finally:
            gc.enable()
            writer.close()
            upgraded.transport.close()


# -- the number of connections ----------------------------------------------------------------------------------------


def test_places_are_bounded_in_all_and_by_address() -> None:
    """An address takes its share, all together take the sum, and what is given back can be taken again; nothing is left over."""
    places = Places(Settings(http_connections_max=3, http_connections_per_address=2))
    first, second = places.take("192.0.2.1"), places.take("::ffff:192.0.2.1")
    assert first == second == "192.0.2.1"
    assert places.take("192.0.2.1") is None
    other = places.take("2001:db8::1")
    assert other is not None
    assert places.take("192.0.2.3") is None
    assert places.taken == 3
    places.give_back("192.0.2.1")
    assert places.take("192.0.2.1") == "192.0.2.1"
    for key in ("192.0.2.1", "192.0.2.1", other):
        places.give_back(key)
    assert (places.taken, places._by_key) == (0, {})


def test_a_network_of_version_six_is_one_address() -> None:
    """Two addresses of one /64 share the share."""
    places = Places(Settings(http_connections_per_address=1))
    assert places.take("2001:db8::1") is not None
    assert places.take("2001:db8::2") is None
    assert places.take("2001:db8:0:1::1") is not None


def test_a_trusted_proxy_counts_in_the_sum_alone() -> None:
    """Everybody stands behind a proxy: it has no share of an address, only what there is in all. So has a Unix socket."""
    places = Places(Settings(http_connections_max=3, http_connections_per_address=1, trusted_proxies=("10.0.0.0/8",)))
    assert [places.take("10.0.0.1"), places.take("::ffff:10.0.0.1"), places.take("")] == ["", "", ""]
    assert places.take("10.0.0.1") is None
    places.give_back("")
    assert places.take("192.0.2.1") == "192.0.2.1"


async def test_a_connection_too_many_is_told_to_retry() -> None:
    """Over the bound a connection gets 503 with Retry-After and is closed; one that ends makes room."""
    async with served(Settings(http_connections_per_address=1)) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        refused = await talk(port)
        writer.close()
        await asyncio.sleep(0.05)
        served_again = await talk(port, b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    head, _, body = refused.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in head
    assert b"\r\ncontent-length: %d\r\n" % len(body) in head
    assert served_again.endswith(b"/next")


async def test_a_refused_connection_is_not_listened_to() -> None:
    """A request on a connection too many does not reach the application."""
    settings = Settings(http_connections_max=1)
    async with served(settings) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            assert b"200 OK" not in await talk(port, b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.close()


async def test_a_websocket_leaves_its_http_place() -> None:
    """After the upgrade the place is free for the next, and the end of the WebSocket gives nothing back twice."""

    class Watched(Upgraded):
        made: list[Upgraded] = []  # noqa: RUF012 -- of this test alone

    async with served(Settings(http_connections_max=1), Watched) as port:
        writers = []
        for count in range(1, 4):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(b"GET /ws HTTP/1.1\r\n" + UPGRADE)
            await asyncio.sleep(0.05)
            assert len(Watched.made) == count
        for writer, upgraded in zip(writers, Watched.made, strict=True):
            upgraded.transport.close()
            writer.close()
        await asyncio.sleep(0.05)
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        assert (await talk(port)).startswith(b"HTTP/1.1 503 ")
        writer.close()
