"""server/conversation.py: who speaks, rooms, and coming back. Comments, limits and time have files of their own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server.store.base import ConnectionDraft
from server.store.faults import Fault, FaultyStore
from server.store.memory import MemoryStore
from server.store.sql import SqlStore
from tests.support.comments import UNBOUNDED, say
from tests.support.running import RunningServer, running
from tests.support.wsclient import RawClient, text

_accounts = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    rooms = ("demo", "other", "vod", "quiet")
    with running(tmp_path_factory.mktemp("conversation"), rooms=rooms, tick_ms=1, **UNBOUNDED) as server:
        yield server


@pytest.fixture
def server(shared: RunningServer) -> Iterator[RunningServer]:
    yield shared
    assert shared.take_errors() == []


@pytest.fixture
def account() -> str:
    """An account of this test alone: keys and rates begin fresh."""
    return f"account-{next(_accounts)}"


@pytest.fixture
def author(server: RunningServer, account: str) -> Iterator[RawClient]:
    """A viewer of the demo room who is signed in."""
    with server.connect(account=account) as client:
        yield client


def memory(server: RunningServer) -> MemoryStore:
    store = server.parts.store
    assert isinstance(store, MemoryStore)
    return store


# -- who speaks -------------------------------------------------------------------------------------------------------


def test_hello_tells_the_version_the_bounds_and_nobody(server: RunningServer) -> None:
    """The first message tells a reader the protocol's version and the bounds that a client should know."""
    with RawClient(server.port) as client:
        client.handshake("/ws")
        settings = server.settings
        assert client.read() == {
            "op": "hello",
            "version": 1,
            "identity": None,
            "limits": {
                "text_max": settings.comment_max_chars,
                "frame_max": settings.frame_max_bytes,
                "rooms_max": settings.rooms_per_connection,
                "recall_s": settings.recall_window_s,
            },
        }
        assert client.silent(), "nothing else comes to one who joined no room"


def test_a_token_in_the_address_signs_in(server: RunningServer, account: str) -> None:
    """The greeting tells who one is to others: the public id and the nickname, never the account."""
    with RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={server.token(account, '小红')}")
        hello = client.read()
        assert hello["identity"] == {"id": server.parts.tokens.public_id(account), "name": "小红", "verified": True, "level": 1}
        assert account not in json.dumps(hello)
        assert client.read()["op"] == "joined"


@pytest.mark.parametrize("kind", ["bad", "expired"])
def test_a_token_that_is_no_good_leaves_a_reader(server: RunningServer, kind: str) -> None:
    """With a bad or expired token in the address one is told so after the greeting, and reads on."""
    token = "x.y.z" if kind == "bad" else server.token(ttl_s=60, now_ms=1)
    with RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={token}")
        assert client.read()["identity"] is None
        error = client.read()
        assert (error["op"], error["code"]) == ("error", "bad_token" if kind == "bad" else "token_expired")
        assert client.read()["op"] == "joined"


def test_one_may_sign_in_later_and_as_another(server: RunningServer, account: str) -> None:
    """An auth message answers with hello; a new token of the same account refreshes it, one of another changes it."""
    with server.connect() as client:
        for name in (account, account, account + "-b"):
            answer = client.ask({"op": "auth", "token": server.token(name)})
            assert answer["op"] == "hello"
            assert answer["identity"]["id"] == server.parts.tokens.public_id(name)
        event = server.event(client.ask(say(), "ack")["seq"])
        assert event.author_id == server.parts.tokens.public_id(account + "-b")


@pytest.mark.parametrize("token", ["", "x.y.z", "x" * 4097])
def test_a_bad_token_changes_nothing(author: RawClient, token: str) -> None:
    """Who sends a bad token stays who they were."""
    answer = author.ask({"op": "auth", "token": token})
    assert (answer["op"], answer["code"]) == ("error", "bad_token")
    assert author.ask(say(), "ack")["key"] == "k"


def test_each_sign_in_is_recorded(server: RunningServer, account: str) -> None:
    """Who, from which address and port, from when to when: one record for each sign-in, however fast they follow each other."""
    records: dict[str, ConnectionDraft] = memory(server)._connections
    one, other = [text({"op": "auth", "token": server.token(name)}) for name in (account, account + "-b")]
    with server.connect(account=account) as client:
        port = client.local_port
        client.send((other + one) * 10)
        assert [client.read()["op"] for _ in range(20)] == ["hello"] * 20

    def mine() -> list[ConnectionDraft]:
        return [record for record in records.values() if record.author.startswith(account)]

    server.eventually(lambda: len(mine()) == 21 and all(record.closed_ms for record in mine()))
    assert [record.author for record in mine()] == [account, *[account + "-b", account] * 10]
    assert {(record.address, record.port) for record in mine()} == {("127.0.0.1", port)}


# -- rooms ------------------------------------------------------------------------------------------------------------


def test_joined_tells_where_the_log_stands(server: RunningServer) -> None:
    """A fresh viewer gets the newest few events, the log's epoch and head, the room's state and its newest page."""
    head = server.append(60, room="other")
    with RawClient(server.port) as client:
        client.handshake("/ws?room=other")
        client.read()
        joined = client.read()
    info = server.parts.infos["other"]
    events = joined.pop("events")
    assert [event["seq"] for event in events] == list(range(head - 49, head + 1))
    assert joined == {
        "op": "joined",
        "room": "other",
        "epoch": info.epoch,
        "head": head,
        "state": {"kind": "live", "title": "other", "mode": "open", "viewers": 1, "started_ms": info.started_ms},
        "page": f"/rooms/other/comments/{(head - 1) // 256}.html",
    }


@pytest.mark.parametrize("name", ["none", "", "../demo", "DEMO", "弹幕", "x" * 5000])
def test_an_unknown_room_is_not_joined(server: RunningServer, name: str) -> None:
    """There is an error, and the connection stays."""
    with server.connect(room="") as client:
        assert client.ask({"op": "join", "room": name})["code"] == "room_not_found"
        assert client.ask({"op": "leave", "room": name})["code"] == "room_not_found"
        assert client.ask({"op": "join", "room": "demo"})["op"] == "joined"


def test_leaving_ends_the_events_of_a_room_alone(server: RunningServer) -> None:
    """After leave no event of the room comes, those of others do; leaving twice is an error."""
    with server.connect() as client:
        assert client.ask({"op": "join", "room": "other"})["op"] == "joined"
        assert client.ask({"op": "leave", "room": "demo"}, "left") == {"op": "left", "room": "demo"}
        assert client.ask({"op": "leave", "room": "demo"})["code"] == "not_joined"
        server.append(1, room="demo")
        head = server.append(1, room="other")
        assert client.read() == {"op": "events", "room": "other", "events": [client_event(server, "other", head)]}


def client_event(server: RunningServer, room: str, seq: int) -> Any:
    return json.loads(server.room(room).slice(seq - 1, 1)[0].data)  # type: ignore[index] # it is in the ring


def test_a_connection_may_join_so_many_rooms(server: RunningServer) -> None:
    """One room more than rooms_per_connection is an error; joining a room again is not one more, leaving makes place."""
    with server.changed(rooms_per_connection=2), server.connect() as client:
        assert client.ask({"op": "join", "room": "other"})["op"] == "joined"
        assert client.ask({"op": "join", "room": "vod"})["code"] == "too_many_rooms"
        assert client.ask({"op": "join", "room": "demo"})["op"] == "joined"
        assert client.ask({"op": "leave", "room": "demo"})["op"] == "left"
        assert client.ask({"op": "join", "room": "vod"})["op"] == "joined"


def test_joining_again_gives_each_event_once(server: RunningServer) -> None:
    """A second join of the same room does not double what comes."""
    with server.connect() as client:
        assert client.ask({"op": "join", "room": "demo"})["op"] == "joined"
        head = server.append(1)
        assert [event["seq"] for event in client.read()["events"]] == [head]
        assert client.silent()


# -- coming back ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A room with 300 events of which the ring holds the newest 64, and a resume gives at most 40."""
    with running(
        tmp_path_factory.mktemp("long"), ring_events=64, resume_max=40, join_recent=10, tick_ms=1, **UNBOUNDED
    ) as server:
        assert server.append(300) == 300
        yield server


def resume(server: RunningServer, since: dict[str, Any] | None) -> tuple[list[int], int, tuple[int, int] | None, str]:
    """Join: the numbers that came, the head, the gap and its page."""
    with server.connect(room="") as client:
        client.send_text({"op": "join", "room": "demo", "since": since})
        joined = client.read()
        client.send_text({"op": "ping"})
        after = client.read()
        gap, page = None, ""
        if after["op"] == "gap":
            gap, page = (after["from"], after["to"]), after["page"]
            after = client.read()
        assert after == {"op": "pong"}
        return [event["seq"] for event in joined["events"]], joined["head"], gap, page


@pytest.mark.parametrize(
    ("seq", "first", "gap", "page"),
    [
        (300, 301, None, ""),
        (299, 300, None, ""),
        (261, 262, None, ""),
        (260, 261, None, ""),
        (259, 261, (260, 260), "/rooms/demo/comments/1.html"),
        (255, 261, (256, 260), "/rooms/demo/comments/0.html"),
        (236, 261, (237, 260), "/rooms/demo/comments/0.html"),
        (1, 261, (2, 260), "/rooms/demo/comments/0.html"),
        (0, 261, (1, 260), "/rooms/demo/comments/0.html"),
    ],
)
def test_a_resume_is_exact(long_log: RunningServer, seq: int, first: int, gap: tuple[int, int] | None, page: str) -> None:
    """What came and the gap before it are together everything after ``since``, each number once."""
    epoch = long_log.parts.infos["demo"].epoch
    assert resume(long_log, {"epoch": epoch, "seq": seq}) == (list(range(first, 301)), 300, gap, page)


@pytest.mark.parametrize("seq", [301, 10_000, 2**63, 10**30])
def test_a_resume_beyond_the_head_has_missed_nothing(long_log: RunningServer, seq: int) -> None:
    """A client that claims more than there is gets nothing, and where the log stands."""
    epoch = long_log.parts.infos["demo"].epoch
    assert resume(long_log, {"epoch": epoch, "seq": seq}) == ([], 300, None, "")


@pytest.mark.parametrize("since", [None, {"epoch": "another", "seq": 299}, {"epoch": "", "seq": 0}])
def test_another_epoch_begins_afresh(long_log: RunningServer, since: dict[str, Any] | None) -> None:
    """A client of another log, or of none, gets the newest few and no gap."""
    assert resume(long_log, since) == (list(range(291, 301)), 300, None, "")


@pytest.mark.parametrize("seq", [-1, -(10**30)])
def test_a_negative_number_begins_afresh(long_log: RunningServer, seq: int) -> None:
    """Numbers count from 1; 0 says that one has nothing, and less than nothing is no position."""
    epoch = long_log.parts.infos["demo"].epoch
    assert resume(long_log, {"epoch": epoch, "seq": seq}) == (list(range(291, 301)), 300, None, "")


@pytest.mark.parametrize(
    "since", [{"seq": 3}, {"epoch": "x", "seq": "3"}, {"epoch": None}, [], "x", {"epoch": "x", "seq": 1.5}]
)
def test_a_position_of_another_form_is_no_message(long_log: RunningServer, since: Any) -> None:
    """``since`` has an epoch and a whole number."""
    with long_log.connect(room="") as client:
        assert client.ask({"op": "join", "room": "demo", "since": since})["code"] == "bad_message"


def test_a_resume_and_what_follows_leave_no_hole(tmp_path: Path) -> None:
    """Joined in the middle of posting, a viewer gets the numbers after the head it was told, and none twice."""
    with running(tmp_path, tick_ms=5, **UNBOUNDED) as server:
        server.append(100)
        epoch = server.parts.infos["demo"].epoch
        with server.connect(account="busy") as author, server.connect(room="") as client:
            author.send(*[text(say(f"第{number}", f"k{number}")) for number in range(100)])
            client.send_text({"op": "join", "room": "demo", "since": {"epoch": epoch, "seq": 30}})
            numbers = [event["seq"] for event in client.read_until("joined")["events"]]
            while numbers[-1] < 200:
                numbers += [event["seq"] for event in client.read_until("events")["events"]]
    assert numbers == list(range(31, 201))


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    """A data folder whose rooms have 100 events each."""
    with running(tmp_path, sql=True, rooms=("demo", "other", "vod"), **UNBOUNDED) as server:
        for room in ("demo", "other", "vod"):
            server.append(100, room=room)
    return tmp_path


@contextmanager
def restarted(data: Path, **settings: Any) -> Iterator[tuple[RunningServer, FaultyStore]]:
    """A server over what another one left, and its store."""
    store = FaultyStore(SqlStore.open(data / "barrage.db"))
    with running(data, store=store, **UNBOUNDED, **settings) as server:
        yield server, store


def test_after_a_restart_the_ring_is_filled_once_for_all_who_join(left_behind: Path) -> None:
    """Viewers who come back after a restart get what they missed, from one reading of the store."""
    with restarted(left_behind) as (server, store):
        reads = store.calls["read"]
        epoch = server.parts.infos["demo"].epoch
        clients = [server.connect(room="") for _ in range(10)]
        for client in clients:
            client.send_text({"op": "join", "room": "demo", "since": {"epoch": epoch, "seq": 40}})
        for client in clients:
            joined = client.read()
            assert [event["seq"] for event in joined["events"]] == list(range(41, 101))
            client.close()
        assert store.calls["read"] == reads + 1


def test_when_the_ring_cannot_be_filled_there_is_a_gap(left_behind: Path) -> None:
    """A store that cannot be read keeps nobody out: the whole of what was missed is announced as a gap."""
    with restarted(left_behind) as (server, store):
        store.stand("read", Fault.FAIL)
        epoch = server.parts.infos["demo"].epoch
        assert resume(server, {"epoch": epoch, "seq": 40}) == ([], 100, (41, 100), "/rooms/demo/comments/0.html")
        assert server.take_errors(), "the operator is told"


def test_rooms_that_wait_for_their_rings_count_as_joined(left_behind: Path) -> None:
    """The bound on rooms holds also when several joins wait for the store at once."""
    with restarted(left_behind, rooms_per_connection=2) as (server, _), server.connect(room="") as client:
        client.send(*[text({"op": "join", "room": room}) for room in ("demo", "other", "vod")])
        answers = [client.read() for _ in range(3)]
        assert sorted(answer["op"] for answer in answers) == ["error", "joined", "joined"]
        assert next(answer for answer in answers if answer["op"] == "error")["code"] == "too_many_rooms"


def test_one_who_leaves_while_the_ring_is_filled_is_forgotten(left_behind: Path) -> None:
    """A connection that closed meanwhile joins nothing."""
    with restarted(left_behind) as (server, store):
        store.plan("read", Fault.SLOW)
        with server.connect(room="") as client:
            client.send_text({"op": "join", "room": "demo"})
            client.reset()
        server.eventually(lambda: store.calls["read"] and not server.parts.history._warming)
        assert server.room().viewers == 0
