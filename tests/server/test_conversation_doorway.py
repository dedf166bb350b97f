"""server/conversation.py and server/ws.py: those who come and go while a thousand others do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from server.doorway import TURN_S
from server.errors import CODES
from tests.support.comments import UNBOUNDED, say
from tests.support.running import RunningServer, running
from tests.support.wsclient import RawClient, request, text


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    rooms = ("demo", "other")
    with running(tmp_path_factory.mktemp("doorway"), rooms=rooms, connections_max=3, tick_ms=1, **UNBOUNDED) as server:
        yield server


@pytest.fixture
def server(shared: RunningServer) -> Iterator[RunningServer]:
    yield shared
    shared.eventually(lambda: not shared.parts.conversation.connections)
    assert shared.take_errors() == []


@contextmanager
def crowded(server: RunningServer) -> Iterator[None]:
    """As if so many came and went that the turn of nobody else comes, until the end."""
    door = server.parts.doorway
    later, held = door._later, list[Callable[[], None]]()

    def begin() -> None:
        door._later = held.append
        door._spent_s = TURN_S
        door.enter(lambda: None)

    def end() -> None:
        door._later = later
        for turn in held:
            turn()

    server.eventually(lambda: not door._turning)
    server.call(begin)
    try:
        yield
    finally:
        server.call(end)


def waiting(server: RunningServer, count: int) -> None:
    """Wait until so many are in line, besides the one that makes the crowd."""
    server.eventually(lambda: server.parts.doorway.waiting == count + 1)


def test_a_join_waits_in_line_and_what_follows_it_too(server: RunningServer) -> None:
    """Messages are answered in the order in which they were sent, though the first of them has to wait."""
    with server.connect() as client:
        with crowded(server):
            client.send(text({"op": "join", "room": "other"}), text({"op": "ping"}))
            waiting(server, 1)
            client.send(text({"op": "leave", "room": "other"}))
            assert client.silent()
        assert [client.read()["op"] for _ in range(3)] == ["joined", "pong", "left"]


def test_two_joins_of_one_wait_one_after_the_other(server: RunningServer) -> None:
    """Another join among what waits is served in its own turn."""
    with server.connect(room="") as client:
        with crowded(server):
            client.send(text({"op": "join", "room": "demo"}), text({"op": "join", "room": "other"}), text({"op": "ping"}))
            waiting(server, 1)
        answers = [client.read() for _ in range(3)]
        assert [(each["op"], each.get("room")) for each in answers] == [("joined", "demo"), ("joined", "other"), ("pong", None)]


def test_a_join_that_is_refused_in_its_turn_is_answered(server: RunningServer) -> None:
    """A refusal is told as it is without a crowd, and the connection goes on."""
    with server.connect(room="") as client:
        with crowded(server):
            client.send(text({"op": "join", "room": "nowhere"}), text({"op": "ping"}))
            waiting(server, 1)
        assert [client.read().get("code") for _ in range(2)] == ["room_not_found", None]


def test_who_is_lost_while_it_waits_for_its_join_joins_nothing(server: RunningServer) -> None:
    """Its turn comes and goes; nothing of it stays."""
    with server.connect(room="") as client, crowded(server):
        client.send(text({"op": "join", "room": "other"}))
        waiting(server, 1)
        server.run(server.parts.cut())
    server.eventually(lambda: not server.parts.conversation.connections)
    assert server.call(lambda: server.room("other").viewers) == 0


def test_the_lost_make_room_at_once(server: RunningServer) -> None:
    """The rooms are left and the places free before the sockets are closed, so that those who come back find them."""
    conversation = server.parts.conversation
    clients = [server.connect(account=f"lost-{number}") for number in range(3)]
    with crowded(server):
        for client in clients:
            client.end()
        waiting(server, 3)
        assert (len(conversation.connections), conversation.limits.count, server.room().viewers) == (0, 0, 0)
        assert clients[0].silent(), "its socket is open still"
    for client in clients:
        client.expect_end()
        client.close()
    with server.connect(account="lost-0") as back:
        assert back.ask(say(), "ack")["op"] == "ack"


def test_who_ends_with_unread_answers_gets_them(server: RunningServer) -> None:
    """A peer that only stopped sending still gets what was written for it before."""
    with server.connect(receive_buffer=4096) as client:
        (conn,) = server.call(lambda: tuple(server.parts.conversation.connections))
        big = b"\x81\x7e\xff\xff" + b"x" * 0xFFFF
        server.call(lambda: [conn.write(big) for _ in range(60)])
        assert server.call(conn.transport.get_write_buffer_size)
        client.end()
        server.eventually(lambda: conn.closing)
        assert [len(each.payload) for each in client.drain()] == [0xFFFF] * 60


def test_newcomers_who_wait_while_the_server_is_stopped_are_told(tmp_path: Path) -> None:
    """A drain goes on past those in line: they hear that it ends, what was acknowledged is in the log, and nothing hangs."""
    with running(tmp_path, drain_s=0.2, **UNBOUNDED) as server:
        author, lost = server.connect(account="author"), server.connect(account="lost")
        seq = author.ask(say("一", "k"), "ack")["seq"]
        with RawClient(server.port) as newcomer:
            with crowded(server):
                newcomer.send(request())
                lost.end()
                waiting(server, 2)
                drain = threading.Thread(target=lambda: server.run(server.parts.drain()))
                drain.start()
                server.eventually(lambda: server.parts.conversation.admission.draining)
                assert author.read_close()[0] == 1012
            drain.join(60)
            answer = newcomer.answer()
            assert (answer.status, answer.body.decode()) == (503, CODES["shutting_down"].en + "\n")
        assert [event.text for event in server.parts.store.read("demo", seq - 1, 10)] == ["一"]
        author.close()
        lost.close()


def test_the_loop_accepts_one_connection_in_each_turn() -> None:
    """What the line relies on: a thousand who come at once are not all let in within one turn."""
    turns: list[int] = []
    turn = 0

    class Counted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            turns.append(turn)
            transport.close()

    async def main() -> None:
        nonlocal turn
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Counted, "127.0.0.1", 0, backlog=50)
        port = server.sockets[0].getsockname()[1]
        clients: list[Any] = [RawClient(port) for _ in range(30)]
        while len(turns) < len(clients):
            turn += 1
            await asyncio.sleep(0)
        for client in clients:
            client.close()
        server.close()

    uvloop.run(main())
    assert max(map(turns.count, turns)) <= 2
