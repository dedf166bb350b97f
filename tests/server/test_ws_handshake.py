"""server/ws.py and server/http/edge.py: the opening handshake, and requests that are none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from websockets.datastructures import Headers

from tests.support.running import RunningServer, running
from tests.support.wsclient import KEY, TEXT, RawClient, frame, request

PING = frame(TEXT, b'{"op":"ping"}')


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("handshake"), joins_per_s=10_000, joins_burst=10_000) as server:
        yield server


@pytest.fixture
def server(shared: RunningServer) -> Iterator[RunningServer]:
    """The shared server; no test leaves a connection or an error behind."""
    yield shared
    shared.eventually(lambda: not shared.parts.conversation.connections)
    assert shared.parts.conversation.limits.count == 0
    assert shared.take_errors() == []


def ask(server: RunningServer, data: bytes) -> tuple[int, RawClient]:
    """Status of the answer to a request, and the client, whose stream has ended unless the status is 101."""
    client = RawClient(server.port)
    client.send(data)
    status = client.answer().status
    if status != 101:
        client.expect_end()
    return status, client


def replaced(name: str, *values: str) -> bytes:
    """A handshake with other values of one header (none: without it)."""
    return request(headers=[(name, value) for value in values], without=[name])


# -- accepted ---------------------------------------------------------------------------------------------------------


def test_a_handshake_is_accepted(server: RunningServer) -> None:
    """A good request gets a 101 that fits its key, and nothing that was not asked for."""
    with RawClient(server.port) as client:
        assert client.silent(), "nothing is sent before the request"
        answer = client.handshake()
        assert {name for name, _ in answer.headers} == {"date", "upgrade", "connection", "sec-websocket-accept"}
        assert client.read()["op"] == "hello"


def test_what_a_request_said_is_not_kept(server: RunningServer) -> None:
    """Headers, a browser's cookies among them, do not stay in memory for as long as their connection lasts."""
    with RawClient(server.port) as client:
        client.send(request(headers=[("Cookie", "secret=s3cr3t")]))
        assert client.answer().status == 101
        assert client.read()["op"] == "hello"
        kept = [each for each in gc.get_objects() if type(each) is Headers and "s3cr3t" in each.get("Cookie", "")]
        assert kept == []


@pytest.mark.parametrize(
    "data",
    [
        request(headers=[("Connection", "keep-alive, Upgrade")], without=["Connection"]),
        request(headers=[("connection", "upgrade"), ("UPGRADE", "WebSocket")], without=["Connection", "Upgrade"]),
        request(headers=[("Sec-WebSocket-Protocol", "chat, superchat")]),
        request(headers=[("Content-Length", "0")]),
        request("/ws"),
        request("http://localhost/ws?room=demo"),
        request("/ws?room=demo&unknown=1&x"),
        request("/ws?room=%E5%BC%B9%ff"),
    ],
)
def test_what_a_good_handshake_may_look_like(server: RunningServer, data: bytes) -> None:
    """Tokens count in any case and in lists; subprotocols are not taken up; unknown parameters are ignored."""
    with RawClient(server.port) as client:
        client.send(data)
        answer = client.answer()
        assert answer.status == 101
        assert not answer.header("sec-websocket-protocol")
        assert client.read()["op"] == "hello"


def test_nothing_is_sent_before_the_request_is_whole(server: RunningServer) -> None:
    """A handshake that trickles in is answered when its last byte is there, not before."""
    data = request()
    with RawClient(server.port) as client:
        for byte in data[:-1]:
            client.send(bytes([byte]))
        assert client.silent()
        client.send(data[-1:])
        assert client.answer().status == 101


# -- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "versions", [("0",), ("8",), ("12",), ("14",), ("013",), ("13, 8",), ("",), ("x",), (), ("13", "13"), ("8", "13")]
)
def test_another_version_is_told_ours(server: RunningServer, versions: tuple[str, ...]) -> None:
    """Any version but 13, or none, gets 426 with the version that is spoken here (RFC 6455, 4.4)."""
    with RawClient(server.port) as client:
        client.send(replaced("Sec-WebSocket-Version", *versions))
        answer = client.answer()
        assert answer.status == HTTPStatus.UPGRADE_REQUIRED
        assert answer.header("sec-websocket-version") == "13"
        assert answer.header("upgrade") == "websocket"
        assert "Upgrade" in answer.header("connection")
        client.expect_end()


@pytest.mark.parametrize(
    "keys", [(), ("",), ("short",), (KEY[:-4],), (KEY + "AAAA",), ("!" * 24,), (KEY, KEY), (KEY[:-2] + "é=",)]
)
def test_a_bad_key_is_refused(server: RunningServer, keys: tuple[str, ...]) -> None:
    """The key is 16 bytes in Base64, once; else 400."""
    status, client = ask(server, replaced("Sec-WebSocket-Key", *keys))
    client.close()
    assert status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "other")])
def test_a_request_names_one_host(server: RunningServer, hosts: tuple[str, ...]) -> None:
    """Without a host, or with two, the request is refused with 400 (RFC 6455, 4.2.1)."""
    status, client = ask(server, replaced("Host", *hosts))
    client.close()
    assert status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS", "DELETE"])
def test_another_method_is_refused(server: RunningServer, method: str) -> None:
    """A WebSocket begins with GET; else 405."""
    with RawClient(server.port) as client:
        client.send(request(method=method))
        answer = client.answer()
        assert (answer.status, answer.header("allow")) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET")
        client.expect_end()


@pytest.mark.parametrize("protocol", ["HTTP/0.9", "HTTP/1.0", "HTTP/2.0"])
def test_another_http_is_refused(server: RunningServer, protocol: str) -> None:
    """A WebSocket begins in HTTP/1.1; else 505."""
    status, client = ask(server, request(protocol=protocol))
    client.close()
    assert status == HTTPStatus.HTTP_VERSION_NOT_SUPPORTED


@pytest.mark.parametrize("target", ["/", "/ws/", "/WS", "/ws/demo", "/rooms/demo", "//ws", "/%77s", "*"])
def test_another_path_is_not_found(server: RunningServer, target: str) -> None:
    """The WebSocket is at /ws alone; else 404."""
    status, client = ask(server, request(target))
    client.close()
    assert status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "target",
    ["//[ws", "http://[::/ws", "/ws?" + "&".join(f"a{i}=1" for i in range(9)), "/ws?room=" + "x" * 9000, "/wé", "/w\x7fs", ""],
)
def test_an_address_that_cannot_be_read_is_refused(server: RunningServer, target: str) -> None:
    """Odd addresses are refused in the 400s, without a trace of ours."""
    status, client = ask(server, request(target))
    client.close()
    assert 400 <= status < 500


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "5")],
        [("Content-Length", "5"), ("Content-Length", "0")],
        [("Transfer-Encoding", "chunked")],
        [("X" * 300, "y")],
        [("X-Long", "y" * 9000)],
        [("X", "y")] * 150,
        [("X", "a\x01b")],
        [("Sec-WebSocket-Extensions", "permessage-deflate; =")],
        [("Sec-WebSocket-Extensions", ";,;")],
        [("Sec-WebSocket-Protocol", '"')],
        [("Connection", "\x80")],
        [("Upgrade", "h2c, websocket")],
        [("Host", "other")],
        [("Origin", "null")],
        [("Origin", "http://[")],
        [("Origin", "http://localhost"), ("Origin", "http://localhost")],
    ],
)
def test_odd_headers_do_no_harm(server: RunningServer, headers: list[tuple[str, str]]) -> None:
    """Whatever the headers are, the answer is one of HTTP: accepted, or refused in the 400s."""
    with RawClient(server.port) as client:
        client.send(request(headers=headers))
        if ("Content-Length", "5") in headers:
            client.send(b"hello")
        status = client.answer().status
        assert status == 101 or 400 <= status < 500


@pytest.mark.parametrize(
    ("header", "body"), [(("Content-Length", "5"), b"hello"), (("Transfer-Encoding", "chunked"), b"5\r\nhello\r\n0\r\n\r\n")]
)
def test_a_handshake_with_a_body_is_refused(server: RunningServer, header: tuple[str, str], body: bytes) -> None:
    """A GET that announces a body is no handshake: 400."""
    status, client = ask(server, request(headers=[header]) + body)
    client.close()
    assert status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("name", ["Connection", "Upgrade"])
def test_a_request_that_does_not_ask_for_an_upgrade_is_plain_http(server: RunningServer, name: str) -> None:
    """Without both headers the request is one of HTTP, and there is no page at /ws."""
    with RawClient(server.port) as client:
        client.send(request(headers=[("Connection", "close")] if name == "Connection" else [], without=[name]))
        assert client.answer().status in (404, 426)


# -- out of step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [PING, PING[:1], b"\x00", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_frames_before_the_101_are_refused(server: RunningServer, early: bytes) -> None:
    """Bytes behind the request in its own segment break RFC 6455, 4.1: 400, instead of a stream that is out of step."""
    status, client = ask(server, request() + early)
    client.close()
    assert status == HTTPStatus.BAD_REQUEST


def test_a_handshake_behind_a_request_without_an_answer_is_dropped(server: RunningServer) -> None:
    """An earlier answer would be written into the frames, so the connection is closed without a 101."""
    with RawClient(server.port) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + request())
        received = b""
        while not client.ended():
            received += client.rest()
        assert b" 101 " not in received


def test_a_handshake_may_follow_an_answered_request(server: RunningServer) -> None:
    """A kept connection may become a WebSocket, and stays one when the time for keeping it is over."""
    with RawClient(server.port) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.answer().status == 200
        client.handshake()
        assert client.read()["op"] == "hello"
        assert client.read()["op"] == "joined"
        client.send(PING)
        assert client.read() == {"op": "pong"}


@pytest.mark.parametrize("cut", [0, 1, 10, 40, -2, -1])
@pytest.mark.parametrize("way", ["end", "reset"])
def test_a_handshake_that_breaks_off_leaves_nothing(server: RunningServer, cut: int, way: str) -> None:
    """A client that vanishes in the middle of its request is forgotten."""
    with RawClient(server.port) as client:
        client.send(request()[:cut])
        client.end() if way == "end" else client.reset()
    server.eventually(lambda: server.parts.conversation.limits.count == 0)


@pytest.mark.parametrize("way", ["end", "reset"])
def test_a_client_may_vanish_right_after_its_request(server: RunningServer, way: str) -> None:
    """A client that does not wait for the 101 is forgotten as well."""
    with RawClient(server.port) as client:
        client.send(request())
        client.end() if way == "end" else client.reset()
    server.eventually(lambda: not server.parts.conversation.connections)


def test_a_refused_client_that_stays_is_cut(server: RunningServer) -> None:
    """After a refusal the server ends its side, ignores what comes, and cuts the transport after five seconds."""
    with RawClient(server.port) as client:
        client.send(request("/nowhere"))
        assert client.answer().status == 404
        client.expect_end()
        client.send(PING, b"GET / HTTP/1.1\r\n\r\n")
        server.advance(6)
        client.expect_cut()
