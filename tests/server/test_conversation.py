"""server/conversation.py: who speaks, rooms, comments and recalls. Limits, time and slow viewers have files of their own."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.errors import CODES
from server.store.base import ConnectionDraft, NoticeDraft
from server.store.faults import Fault, FaultyStore
from server.store.memory import MemoryStore
from server.store.sql import SqlStore
from tests.support.running import RunningServer, running
from tests.support.wsclient import RawClient, text

RATES: dict[str, Any] = {
    "joins_per_s": 10_000, "joins_burst": 10_000, "frames_burst": 10_000, "rate_account_burst": 10_000, "rate_room_burst": 10_000,
    "rate_address_burst": 10_000, "connections_per_account": 10_000,
}  # fmt: skip
_accounts = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    rooms = ("demo", "other", "vod", "quiet")
    with running(tmp_path_factory.mktemp("conversation"), rooms=rooms, tick_ms=1, **RATES) as server:
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


def say(words: str = "弹幕", key: str = "k", room: str = "demo", **fields: Any) -> dict[str, Any]:
    return {"op": "say", "room": room, "key": key, "text": words, **fields}


def refusal(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, key and code of an answer to a comment, whose sentences must be those of the table."""
    code = CODES[answer["code"]]
    assert (answer["message"], answer["message_zh"]) == (code.en, code.zh)
    if answer["op"] == "refused":
        assert answer["temporary"] is code.temporary
    return answer["op"], answer["key"], answer["code"]


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
        assert hello["identity"] == {"id": server.parts.tokens.public_id(account), "name": "小红", "verified": True}
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
    with running(tmp_path_factory.mktemp("long"), ring_events=64, resume_max=40, join_recent=10, tick_ms=1, **RATES) as server:
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
    with running(tmp_path, tick_ms=5, **RATES) as server:
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
    with running(tmp_path, sql=True, rooms=("demo", "other", "vod"), **RATES) as server:
        for room in ("demo", "other", "vod"):
            server.append(100, room=room)
    return tmp_path


@contextmanager
def restarted(data: Path, **settings: Any) -> Iterator[tuple[RunningServer, FaultyStore]]:
    """A server over what another one left, and its store."""
    store = FaultyStore(SqlStore.open(data / "barrage.db"))
    with running(data, store=store, **RATES, **settings) as server:
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


# -- comments ---------------------------------------------------------------------------------------------------------


def test_a_comment_is_acknowledged_and_live(server: RunningServer, author: RawClient, account: str) -> None:
    """Author and viewers see the comment as it was sent; the author is told its number."""
    with server.connect() as viewer:
        fields: dict[str, Any] = {"mode": "top", "color": "#12AB9f", "size": 36, "pos_ms": 5}
        answers = [author.ask(say("你好 <b>&amp;", **fields)), author.read()]
        ack = next(answer for answer in answers if answer["op"] == "ack")
        (event,) = viewer.read()["events"]
        assert ack == {"op": "ack", "room": "demo", "key": "k", "seq": event["seq"]}
        assert abs(event.pop("at_ms") - time.time() * 1000) < 5000
        author_ = {"id": server.parts.tokens.public_id(account), "name": "小明"}
        assert event == {"seq": ack["seq"], "kind": "comment", "text": "你好 <b>&amp;", "author": author_, **fields}
        assert next(answer for answer in answers if answer["op"] == "events")["events"][0]["seq"] == ack["seq"]


def test_a_live_comment_needs_no_position(server: RunningServer, author: RawClient) -> None:
    """In a live room the position is the time since its start."""
    event = server.event(author.ask(say(), "ack")["seq"])
    assert event.pos_ms == event.at_ms - server.parts.infos["demo"].started_ms


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"text": ""}, "text_empty"),
        ({"text": "  \u3000"}, "text_empty"),
        ({"text": "a\tb"}, "bad_text"),
        ({"text": "长" * 101}, "text_too_long"),
        ({"text": "a\x00b"}, "bad_text"),
        ({"text": "a坏词b"}, "banned_content"),
        ({"key": ""}, "bad_message"),
        ({"key": "x" * 65}, "bad_message"),
        ({"key": "a b"}, "bad_message"),
        ({"key": "键"}, "bad_message"),
        ({"color": "red"}, "bad_message"),
        ({"color": "#ffffff\n"}, "bad_message"),
        ({"size": 24}, "bad_message"),
        ({"size": 2**80}, "bad_message"),
        ({"pos_ms": -1}, "bad_position"),
        ({"pos_ms": 10**30}, "bad_position"),
        ({"pos_ms": 48 * 3600 * 1000}, "bad_position"),
        ({"room": "vod"}, "bad_position"),
        ({"room": "vod", "pos_ms": 48 * 3600 * 1000 + 1}, "bad_position"),
        ({"room": "none"}, "room_not_found"),
    ],
)
def test_a_comment_that_cannot_be_is_refused(
    server: RunningServer, author: RawClient, fields: dict[str, Any], code: str
) -> None:
    """Each reason has its code; nothing goes live, and nobody else hears of it."""
    head = server.room().head
    message = {**say(), **fields}
    assert refusal(author.ask(message)) == ("refused", message["key"], code)
    assert server.room().head == head


@pytest.mark.parametrize(
    "message",
    [
        {"op": "say"},
        {"op": "say", "room": "demo", "key": 1, "text": "x"},
        {"op": "say", "room": "demo", "key": "k", "text": None},
        {"op": "say", "room": "demo", "key": "k", "text": "x", "mode": "sideways"},
        {"op": "say", "room": "demo", "key": "k", "text": "x", "pos_ms": "5"},
        {"op": "join"},
        {"op": "auth", "token": []},
        {"op": "recall", "room": "demo", "seq": "1"},
        {"op": "shout"},
        {"op": 5},
        {},
        [],
        "say",
        None,
    ],
)
def test_what_is_no_message_is_an_error(author: RawClient, message: Any) -> None:
    """JSON of another form gets an error that names the field and repeats nothing of it."""
    author.send_text(json.dumps(message))
    answer = author.read()
    assert (answer["op"], answer["code"], answer["temporary"]) == ("error", "bad_message", False)
    assert "sideways" not in json.dumps(answer)


@pytest.mark.parametrize("data", ["", "{", "{}{}", "nope", "\ufeff{}", "[" * 5000, '"\\ud800"', '{"op":"ping"'])
def test_what_is_no_json_is_an_error(author: RawClient, data: str) -> None:
    """Text that is no JSON gets an error, however deep it is nested."""
    author.send_text(data)
    assert author.read()["code"] in ("bad_json", "bad_message")


def test_masked_words_are_covered_for_all(server: RunningServer, author: RawClient) -> None:
    """A masked comment is published with stars, and acknowledged."""
    assert server.event(author.ask(say("有遮词吧"), "ack")["seq"]).text == "有**吧"


def test_held_and_refused_comments_are_told_and_recorded(server: RunningServer, author: RawClient, account: str) -> None:
    """The author is told what became of a comment; the record has the text, the verdict with its reasons, and the connection."""
    head = server.room().head
    assert refusal(author.ask(say("待审的话", "held"))) == ("held", "held", "held_for_review")
    answer = author.ask(say("坏词", "refused"))
    assert refusal(answer) == ("refused", "refused", "banned_content")
    server.eventually(lambda: len(memory(server).screened(0, 10_000)) >= 2)
    server.eventually(
        lambda: [one for one in memory(server).screened(0, 10_000) if (one.author, one.key) == (account, "refused")]
    )
    records = [record for record in memory(server).screened(0, 10_000) if record.author == account]
    assert [(record.key, record.action, record.code, record.text) for record in records] == [
        ("held", "held", "held_for_review", "待审的话"),
        ("refused", "refused", "banned_content", "坏词"),
    ]
    verdict = msgspec.json.decode(records[1].verdict)
    assert verdict["action"] == "refuse"
    assert verdict["rules"]
    assert [(reason["rule"], reason["basis"]) for reason in verdict["reasons"]] == [("test.reject", "house rule 1")]
    assert server.room().head == head


# -- who may post -----------------------------------------------------------------------------------------------------


def test_posting_needs_a_verified_account(server: RunningServer) -> None:
    """Readers and unverified accounts are refused, each with its code."""
    with server.connect() as client:
        assert refusal(client.ask(say())) == ("refused", "k", "sign_in_required")
        client.ask({"op": "auth", "token": server.token("unverified", verified=False)})
        assert refusal(client.ask(say())) == ("refused", "k", "not_verified")


def test_a_token_that_ran_out_posts_no_more(server: RunningServer, account: str) -> None:
    """Signed in within the leeway of the clocks, one reads on, and is told to get a new token when posting."""
    with server.connect() as client:
        now_ms = int(time.time() * 1000)
        answer = client.ask({"op": "auth", "token": server.token(account, ttl_s=10, now_ms=now_ms - 15_000)})
        assert answer["op"] == "hello"
        assert refusal(client.ask(say())) == ("refused", "k", "token_expired")


@pytest.mark.parametrize(("mode", "code"), [("closed", "room_closed"), ("read_only", "room_read_only")])
def test_a_room_that_takes_no_comments_says_so(server: RunningServer, author: RawClient, mode: Any, code: str) -> None:
    """A change of mode is told to the viewers at once, and holds for the next comment."""
    switch(server, mode)
    try:
        assert author.read_until("state")["state"]["mode"] == mode
        assert refusal(author.ask(say(), "refused")) == ("refused", "k", code)
    finally:
        switch(server, "open")
    assert author.read_until("state")["state"]["mode"] == "open"
    assert author.ask(say(), "ack")["key"] == "k"


def switch(server: RunningServer, mode: Any) -> None:
    now_ms = server.parts.site.now_ms()
    draft = NoticeDraft(room="demo", author="op", key=f"{time.time_ns()}", at_ms=now_ms, notice="mode", room_mode=mode)
    server.run(server.parts.site.submit(draft))


# -- sending again ----------------------------------------------------------------------------------------------------


def test_a_retry_gets_the_first_answer(server: RunningServer, author: RawClient, account: str) -> None:
    """The same comment with the same key is published once, also over another connection, and also within one batch."""
    first = author.ask(say("一次", "once"), "ack")
    head = server.room().head
    assert author.ask(say("一次", "once"), "ack") == first
    with server.connect(account=account) as again:
        assert again.ask(say("一次", "once"), "ack") == first
    assert server.room().head == head
    author.send(*[text(say("三次", "thrice"))] * 3)
    assert {author.read_until("ack")["seq"] for _ in range(3)} == {head + 1}
    assert server.room().head == head + 1


def test_a_retry_of_what_was_held_or_refused_gets_the_first_answer(author: RawClient) -> None:
    """The first verdict stands."""
    for _ in range(2):
        assert refusal(author.ask(say("待审", "held"))) == ("held", "held", "held_for_review")
        assert refusal(author.ask(say("坏词", "refused"))) == ("refused", "refused", "banned_content")


def test_a_key_names_one_comment(server: RunningServer, author: RawClient) -> None:
    """Another text or room under a used key is refused; another account has keys of its own."""
    author.ask(say("一", "used"), "ack")
    assert refusal(author.ask(say("二", "used"), "refused")) == ("refused", "used", "key_reused")
    assert refusal(author.ask(say("一", "used", "other"), "refused")) == ("refused", "used", "key_reused")
    with server.connect(account=f"account-{next(_accounts)}") as stranger:
        assert stranger.ask(say("二", "used"), "ack")["key"] == "used"


def test_what_came_too_fast_may_be_sent_again_with_its_key(tmp_path: Path) -> None:
    """A temporary refusal does not use up the key: later the same comment is taken. Each refusal is recorded."""
    store = MemoryStore()
    rates = {**RATES, "rate_account_burst": 1, "rate_account_per_s": 20.0}
    with running(tmp_path, store=store, **rates) as server, server.connect(account="hasty") as author:
        author.ask(say("一", "k1"), "ack")
        answer = author.ask(say("二", "k2"), "refused")
        assert refusal(answer) == ("refused", "k2", "too_fast")
        assert 0 < answer["retry_after_ms"] <= 50
        deadline = time.monotonic() + 5
        while (answer := author.ask(say("二", "k2"), "ack", "refused"))["op"] == "refused":
            assert time.monotonic() < deadline
            time.sleep(answer["retry_after_ms"] / 1000)
        assert answer["seq"] == 2
        records = store.screened(0, 100)
        assert records
        assert {(record.action, record.code, record.text) for record in records} == {("refused", "too_fast", "二")}


# -- taking back ------------------------------------------------------------------------------------------------------


def test_an_author_may_take_back_a_comment(server: RunningServer, author: RawClient) -> None:
    """The recall is acknowledged with the number of the removal; viewers get it; a retry gets the first answer."""
    seq = author.ask(say("收回"), "ack")["seq"]
    with server.connect() as viewer:
        ack = author.ask({"op": "recall", "room": "demo", "seq": seq}, "ack")
        assert ack == {"op": "ack", "room": "demo", "key": f"recall-{seq}", "seq": seq + 1}
        (event,) = viewer.read()["events"]
        assert event.pop("at_ms") > 0
        assert event == {
            "seq": seq + 1, "kind": "removal", "target": seq, "code": "U1", "basis": "recalled by its author", "role": "author",
        }  # fmt: skip
    assert author.ask({"op": "recall", "room": "demo", "seq": seq}, "ack") == ack
    answer = author.ask({"op": "recall", "room": "demo", "seq": seq, "key": "other"}, "refused")
    assert refusal(answer) == ("refused", "other", "already_removed")
    with server.connect() as fresh:
        joined = fresh.ask({"op": "join", "room": "demo"})
    assert "收回" not in json.dumps(joined, ensure_ascii=False)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"seq": 0}, "comment_not_found"),
        ({"seq": -5}, "comment_not_found"),
        ({"seq": 10**6}, "comment_not_found"),
        ({"seq": 10**30}, "bad_message"),
        ({"seq": 1}, "not_yours"),
        ({"room": "none"}, "room_not_found"),
        ({"key": "a b"}, "bad_message"),
    ],
)
def test_a_recall_that_cannot_be_is_refused(
    server: RunningServer, author: RawClient, fields: dict[str, Any], code: str
) -> None:
    """Each reason has its code."""
    server.append(1)
    message = {"op": "recall", "room": "demo", "seq": 1, "key": "r", **fields}
    assert refusal(author.ask(message, "refused")) == ("refused", message["key"], code)


def test_a_reader_recalls_nothing(server: RunningServer) -> None:
    """Taking back needs a sign-in."""
    with server.connect() as client:
        assert refusal(client.ask({"op": "recall", "room": "demo", "seq": 1})) == ("refused", "recall-1", "sign_in_required")


def test_a_recall_comes_too_late(server: RunningServer, author: RawClient) -> None:
    """After recall_window_s a comment stays."""
    seq = author.ask(say("留下"), "ack")["seq"]
    with server.changed(recall_window_s=0):
        time.sleep(0.005)
        assert refusal(author.ask({"op": "recall", "room": "demo", "seq": seq}, "refused"))[2] == "too_late"


def test_a_recall_and_a_comment_may_have_the_same_key(author: RawClient) -> None:
    """The keys of recalls are apart from those of comments."""
    seq = author.ask(say("一", "same"), "ack")["seq"]
    assert author.ask({"op": "recall", "room": "demo", "seq": seq, "key": "same"}, "ack")["seq"] == seq + 1


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.FAIL, "storage_unavailable"), (Fault.LOSE, "outcome_unknown"), (Fault.WRITE_THEN_FAIL, "outcome_unknown")],
)
def test_a_comment_that_could_not_be_recorded_is_refused_for_now(tmp_path: Path, fault: Fault, code: str) -> None:
    """The author is told to send it again with its key, and then it is there once."""
    store = FaultyStore(MemoryStore())
    with running(tmp_path, store=store, **RATES) as server, server.connect(account="unlucky", timeout_s=15) as author:
        server.eventually(lambda: store.calls["append"] and not server.parts.publisher.queued)
        store.stand("append", fault)
        answer = author.ask(say(), "refused")
        assert (refusal(answer), answer["temporary"], answer["retry_after_ms"]) == (("refused", "k", code), True, 1000)
        again = author.ask(say("二", "k2"), "refused")
        assert refusal(again)[2] == "storage_unavailable", "for half a second nothing is tried"
        store.heal()
        deadline = time.monotonic() + 10
        while (answer := author.ask(say(), "ack", "refused"))["op"] == "refused":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer["seq"] == 1
        assert server.room().head == 1
        assert server.take_errors()


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    """More drafts than queue_max are refused before they are screened."""
    released = threading.Event()
    store = FaultyStore(MemoryStore(), sleep=lambda seconds: released.wait(10))
    with running(tmp_path, store=store, queue_max=3, **RATES) as server, server.connect(account="eager") as author:
        server.eventually(lambda: store.calls["append"] and not server.parts.publisher.queued)
        store.plan("append", Fault.SLOW)
        author.send(text(say("零", "k0")))
        server.eventually(lambda: store.injected[Fault.SLOW])
        author.send(*[text(say(f"第{number}", f"k{number}")) for number in range(1, 6)])
        answers = [author.read() for _ in range(2)]
        assert [refusal(answer) for answer in answers] == [("refused", "k4", "overloaded"), ("refused", "k5", "overloaded")]
        released.set()
        assert [author.read_until("ack")["key"] for _ in range(4)] == ["k0", "k1", "k2", "k3"]


def test_records_that_do_not_fit_are_dropped_and_counted(tmp_path: Path) -> None:
    """Records beside the log never take the place of comments."""
    released = threading.Event()
    store = FaultyStore(MemoryStore(), sleep=lambda seconds: released.wait(10))
    with running(tmp_path, store=store, records_max=2, **RATES) as server, server.connect(account="blocked") as author:
        server.eventually(lambda: store.calls["append"] and not server.parts.publisher.queued)
        store.plan("append", Fault.SLOW)
        author.send(text(say("零", "k0")))
        server.eventually(lambda: store.injected[Fault.SLOW])
        author.send(*[text(say("坏词", f"k{number}")) for number in range(5)])
        assert [refusal(author.read())[2] for _ in range(5)] == ["banned_content"] * 5
        assert server.parts.stats.records_dropped == 3
        released.set()
        assert author.read_until("ack")["key"] == "k0"


def test_a_fault_in_a_handler_is_an_internal_error(
    server: RunningServer, author: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told, the operator finds it in the log, and the connection goes on."""

    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(server.parts.conversation, "_leave", broken)
        answer = author.ask({"op": "leave", "room": "demo"})
    assert (answer["op"], answer["code"], answer["temporary"]) == ("error", "internal_error", True)
    assert [error["event"] for error in server.take_errors()] == ["a message could not be served"]
    assert author.ask({"op": "ping"}) == {"op": "pong"}


def test_messages_and_errors_are_counted(server: RunningServer, author: RawClient) -> None:
    """The counters of messages, bytes and errors move with each message."""
    stats = server.parts.stats
    before = stats.frames_in, stats.bytes_in, stats.errors.get("bad_json", 0)
    author.ask("{")
    author.ask("{{")
    assert (stats.frames_in, stats.bytes_in, stats.errors["bad_json"]) == (before[0] + 2, before[1] + 3, before[2] + 2)


def test_a_retry_is_not_judged_as_a_second_comment(tmp_path: Path) -> None:
    """The same comment with the same key gets the first answer though its author's rate is used up; another text does not."""
    rates = {**RATES, "rate_account_burst": 1, "rate_account_per_s": 0.01}
    with running(tmp_path, rooms=("demo",), **rates) as server, server.connect(account="ann") as client:
        first = client.ask(say("一次", "k1"), "ack")
        assert client.ask(say("一次", "k1"), "ack") == first
        assert refusal(client.ask(say("两次", "k1"), "refused")) == ("refused", "k1", "too_fast")
