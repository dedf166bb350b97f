"""server/conversation.py: who may connect, from where, and how often."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from server.errors import CODES
from server.store.memory import MemoryStore
from tests.support.comments import say
from tests.support.running import RunningServer, running
from tests.support.wsclient import Answer, RawClient, request

FREE: dict[str, Any] = {"joins_per_s": 10_000, "joins_burst": 10_000}


def ask(server: RunningServer, **headers: str) -> Answer:
    """The answer to a handshake with more headers; the connection is closed at once."""
    with RawClient(server.port) as client:
        client.send(request(headers=[(name.replace("_", "-"), value) for name, value in headers.items()]))
        return client.answer()


def idle(server: RunningServer) -> None:
    """Wait until nobody is connected."""
    server.eventually(lambda: not server.parts.conversation.connections)


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["connections_max", "connections_per_address"])
def test_connections_are_bounded(tmp_path: Path, setting: str) -> None:
    """One more than the bound is told to come back later; when one leaves there is place again."""
    bounds: dict[str, Any] = {setting: 2}
    with running(tmp_path, **bounds, **FREE) as server:
        with server.connect() as one, server.connect():
            answer = ask(server)
            assert (answer.status, answer.header("retry-after")) == (503, "5")
            assert answer.body.decode() == CODES["too_many_connections"].en + "\n"
            assert server.parts.stats.connections_refused == {"too_many_connections": 1}
            one.reset()
            server.eventually(lambda: len(server.parts.conversation.connections) == 1)
            assert ask(server).status == 101
        idle(server)
        assert server.parts.conversation.limits.count == 0


def test_a_clock_that_is_set_back_refuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates of comments, joins and handshakes count by a clock of their own; the time of day is only written down."""
    with running(tmp_path, rooms=("demo", "other"), **FREE) as server, server.connect(account="alice") as author:
        author.ask(say("一", "k1"), "ack")
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() - 86_400 * 10**9)
        assert server.event(author.ask(say("二", "k2"), "ack", "refused")["seq"]).at_ms < real() // 10**6 - 86_000_000
        assert author.ask({"op": "join", "room": "other"}, "joined", "error")["op"] == "joined"
        assert ask(server).status == 101


def test_connections_of_an_account_are_bounded(tmp_path: Path) -> None:
    """One more is told so and goes on as a reader; changing or leaving the account makes place."""
    with running(tmp_path, connections_per_account=1, **FREE) as server, RawClient(server.port) as second:
        first = server.connect(account="alice")
        second.handshake(f"/ws?room=demo&token={server.token('alice')}")
        assert second.read()["identity"] is None
        assert second.read()["code"] == "too_many_connections"
        assert second.read()["op"] == "joined"
        assert first.ask({"op": "auth", "token": server.token("alice")})["op"] == "hello", "one's own does not count"
        first.ask({"op": "auth", "token": server.token("bob")})
        assert second.ask({"op": "auth", "token": server.token("alice")}, "hello", "error")["op"] == "hello"
        assert first.ask({"op": "auth", "token": server.token("alice")}, "hello", "error")["code"] == "too_many_connections"
        assert first.ask({"op": "auth", "token": server.token("bob")}, "hello", "error")["op"] == "hello", "still bob"
        first.close()
        server.eventually(lambda: len(server.parts.conversation.connections) == 1)
        assert second.ask({"op": "auth", "token": server.token("bob")}, "hello", "error")["op"] == "hello"


def test_handshakes_of_an_address_are_bounded(tmp_path: Path) -> None:
    """More handshakes than joins_burst are refused with 429 before they count as connections."""
    with running(tmp_path, joins_per_s=0.001, joins_burst=4) as server:
        statuses = [ask(server).status for _ in range(5)]
        assert statuses == [101, 101, 429, 429, 429], "a handshake with a room counts for a join as well"
        assert server.parts.stats.connections_refused == {"too_many_requests": 3}
        idle(server)


def test_joins_of_an_address_are_bounded(tmp_path: Path) -> None:
    """More joins than joins_burst are refused, and the connection stays."""
    with running(tmp_path, joins_per_s=0.001, joins_burst=3) as server, server.connect() as client:
        assert client.ask({"op": "join", "room": "demo"})["op"] == "joined"
        answer = client.ask({"op": "join", "room": "demo"})
        assert (answer["code"], answer["temporary"]) == ("too_many_requests", True)
        assert client.ask({"op": "ping"}) == {"op": "pong"}


# -- origins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "origin", "allowed"),
    [
        ({}, "http://localhost", True),
        ({}, "HTTPS://LOCALHOST", True),
        ({}, "http://localhost:8080", False),
        ({}, "http://evil.example", False),
        ({}, "http://localhost.evil.example", False),
        ({}, "http://user@localhost", False),
        ({}, "null", False),
        ({}, "", False),
        ({}, "localhost", False),
        ({}, "http://[", False),
        ({"public_url": "https://video.example"}, "https://video.example", True),
        ({"public_url": "https://video.example"}, "https://other.example", False),
        ({"allowed_origins": "https://a.example,https://b.example"}, "https://b.example", True),
        ({"allowed_origins": "https://a.example"}, "http://a.example", False),
        ({"allowed_origins": "https://a.example"}, "https://a.example.evil", False),
        ({"allowed_origins": "*"}, "http://evil.example", True),
        ({"allowed_origins": "*"}, "null", True),
    ],
)
def test_which_pages_may_connect(tmp_path: Path, settings: dict[str, Any], origin: str, allowed: bool) -> None:
    """A browser's page may connect from our own site and from those that are allowed; others get 403."""
    with running(tmp_path, **settings, **FREE) as server:
        assert ask(server, Origin=origin).status == (101 if allowed else 403)
        if not allowed:
            assert server.parts.stats.connections_refused == {"forbidden": 1}
        idle(server)


def test_programs_without_an_origin_may_connect(tmp_path: Path) -> None:
    """What is no browser sends no Origin, and carries nobody's cookies either."""
    with running(tmp_path) as server:
        assert ask(server).status == 101
        idle(server)


def test_two_origins_are_refused(tmp_path: Path) -> None:
    """Two origins are an attempt at confusion: 403."""
    with running(tmp_path) as server, RawClient(server.port) as client:
        client.send(request(headers=[("Origin", "http://localhost")] * 2))
        assert client.answer().status == 403


# -- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ("", "203.0.113.7", "127.0.0.1"),
        ("10.0.0.0/8", "203.0.113.7", "127.0.0.1"),
        ("127.0.0.0/8", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1,203.0.113.0/24", "198.51.100.1, 203.0.113.7", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.7, nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_forwarded_address_counts_behind_our_own_proxy_alone(
    tmp_path: Path, trusted: str, forwarded: str, address: str
) -> None:
    """The first address from the right that is no proxy of ours is the client's; a port is known without a proxy only."""
    store = MemoryStore()
    with running(tmp_path, store=store, trusted_proxies=trusted, **FREE) as server, RawClient(server.port) as client:
        client.handshake(f"/ws?token={server.token()}", headers=[("X-Forwarded-For", forwarded)])
        client.read()
        server.eventually(lambda: store._connections)
        (record,) = store._connections.values()
        assert record.address == address
        assert record.port == (client.local_port if address == "127.0.0.1" else 0)


def test_limits_count_forwarded_addresses(tmp_path: Path) -> None:
    """Behind a proxy each client has its own bounds, and an IPv6 network counts as one client."""
    with running(tmp_path, trusted_proxies="127.0.0.1", connections_per_address=1, **FREE) as server:

        def connect(forwarded: str) -> tuple[int, RawClient]:
            client = RawClient(server.port)
            client.send(request(headers=[("X-Forwarded-For", forwarded)]))
            return client.answer().status, client

        tried = [
            connect(address)
            for address in ("203.0.113.7", "203.0.113.8", "203.0.113.7", "2001:db8::1", "2001:db8::2", "2001:db9::1")
        ]
        assert [status for status, _ in tried] == [101, 101, 503, 101, 503, 101]
        for _, client in tried:
            client.close()
        idle(server)


# -- how many watch ---------------------------------------------------------------------------------------------------


def test_viewers_are_told_how_many_they_are(tmp_path: Path) -> None:
    """A change of the number is told once, to the viewers of that room."""
    with running(tmp_path, rooms=("demo", "other"), **FREE) as server:
        tell = server.parts.conversation.tell_counts
        with server.connect() as one, server.connect(room="other") as elsewhere:
            server.call(tell)
            assert one.read()["state"]["viewers"] == 1
            assert elsewhere.read()["state"]["viewers"] == 1
            server.call(tell)
            with server.connect(room="demo"), server.connect(room="demo"):
                server.call(tell)
                assert one.read()["state"]["viewers"] == 3
            server.eventually(lambda: server.room().viewers == 1)
            server.call(tell)
            assert one.read()["state"]["viewers"] == 1
            assert elsewhere.silent()
            assert server.call(lambda: server.parts.hub.viewers) == 2


def test_under_load_the_number_of_viewers_can_wait(tmp_path: Path) -> None:
    """While the process sends at a slower pace only a change of the mode is told; the number is when the load is gone."""
    with running(tmp_path, **FREE) as server, server.connect() as one:
        tell, tick = server.parts.conversation.tell_counts, server.parts.tick
        server.call(tell)
        assert one.read()["state"]["viewers"] == 1
        with server.connect():
            usual, tick.current_ms = tick.current_ms, 1e6
            server.call(tell)
            assert one.silent()
            server.room().mode = "read_only"
            server.call(tell)
            state = one.read()["state"]
            assert (state["mode"], state["viewers"]) == ("read_only", 2)
        server.eventually(lambda: server.room().viewers == 1)
        tick.current_ms = usual
        server.call(tell)
        assert one.read()["state"]["viewers"] == 1


def test_the_counters_show_connections_and_viewers(tmp_path: Path) -> None:
    """The gauges of the metrics follow the connections."""
    with running(tmp_path, rooms=("demo", "other"), **FREE) as server, server.connect() as client, server.connect(room=""):
        client.ask({"op": "join", "room": "other"})
        lines = server.call(server.parts.site.metrics).decode().splitlines()
        assert {"barrage_connections 2.0", "barrage_viewers 2.0", "barrage_rooms 2.0"} <= set(lines)
        assert json.dumps(client.ask({"op": "ping"})) == '{"op": "pong"}'
