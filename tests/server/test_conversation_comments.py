"""server/conversation.py: comments, retries, recalls, and what happens when the store or a handler fails."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.store.base import NoticeDraft
from server.store.faults import Fault, FaultyStore
from server.store.memory import MemoryStore
from tests.support.comments import UNBOUNDED, refusal, say
from tests.support.running import RunningServer, running
from tests.support.waiting import PATIENCE_S
from tests.support.wsclient import RawClient, text

_accounts = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    rooms = ("demo", "other", "vod")
    with running(tmp_path_factory.mktemp("comments"), rooms=rooms, tick_ms=1, **UNBOUNDED) as server:
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
        {"op": "say", "room": 1, "key": "k", "text": "x"},
        {"op": "join"},
        {"op": "join", "key": "k"},
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


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"op": "say", "text": None}, "$.text"),
        ({"op": "say", "text": "x", "mode": "sideways"}, "scroll, top, bottom, reverse"),
        ({"op": "say", "text": "x", "pos_ms": 1234.5}, "$.pos_ms"),
        ({"op": "say"}, "text"),
        ({"op": "recall", "seq": "1"}, "$.seq"),
    ],
)
def test_a_comment_of_another_form_is_refused_under_its_key(author: RawClient, fields: dict[str, Any], named: str) -> None:
    """Whoever waits for the fate of a key hears that it is refused, and which field is wrong; nothing of it is repeated."""
    author.send_text(json.dumps({"room": "demo", "key": "k7", **fields}))
    answer = author.read()
    assert refusal(answer) == ("refused", "k7", "bad_message")
    assert (answer["room"], answer["temporary"]) == ("demo", False)
    assert named in answer["detail"]
    assert "sideways" not in json.dumps(answer)


@pytest.mark.parametrize(("op", "room", "code"), [("join", "none", "room_not_found"), ("leave", "other", "not_joined")])
def test_the_error_of_a_room_names_it(author: RawClient, op: str, room: str, code: str) -> None:
    """A client of several rooms learns which of them it has not joined."""
    author.send_text(json.dumps({"op": op, "room": room}))
    answer = author.read()
    assert (answer["op"], answer["code"], answer["room"]) == ("error", code, room)


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
    """A temporary refusal does not use up the key: later the same comment is taken. The refusal is recorded."""
    store = MemoryStore()
    rates = {**UNBOUNDED, "rate_account_burst": 1, "rate_account_per_s": 20.0}
    with running(tmp_path, store=store, **rates) as server, server.connect(account="hasty") as author:
        author.send(text(say("一", "k1")), text(say("二", "k2")))  # in one piece: no time passes in between
        answer = author.read_until("refused")
        assert refusal(answer) == ("refused", "k2", "too_fast")
        assert 0 < answer["retry_after_ms"] <= 50
        assert author.read_until("ack")["key"] == "k1"
        deadline = time.monotonic() + PATIENCE_S
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
            "seq": seq + 1, "kind": "removal", "target": seq, "code": "U1", "role": "author",
                "basis": "作者本人撤回 / recalled by its author",
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


@pytest.mark.parametrize("key", ["same", "demo:same"])
def test_a_recall_and_a_comment_may_have_the_same_key(author: RawClient, key: str) -> None:
    """The keys of recalls are apart from those of comments, whatever a client chooses."""
    seq = author.ask(say("一", key), "ack")["seq"]
    answer = author.ask({"op": "recall", "room": "demo", "seq": seq, "key": "same"}, "ack", "refused")
    assert answer == {"op": "ack", "room": "demo", "key": "same", "seq": seq + 1}


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.FAIL, "storage_unavailable"), (Fault.LOSE, "outcome_unknown"), (Fault.WRITE_THEN_FAIL, "outcome_unknown")],
)
def test_a_comment_that_could_not_be_recorded_is_refused_for_now(tmp_path: Path, fault: Fault, code: str) -> None:
    """The author is told to send it again with its key, and then it is there once."""
    store = FaultyStore(MemoryStore())
    with running(tmp_path, store=store, **UNBOUNDED) as server, server.connect(account="unlucky") as author:
        server.eventually(lambda: store.calls["append"] and not server.parts.publisher.queued)
        store.stand("append", fault)
        answer = author.ask(say(), "refused")
        assert (refusal(answer), answer["temporary"], answer["retry_after_ms"]) == (("refused", "k", code), True, 1000)
        # For half a second nothing is tried; a machine that stood still for longer than that gets another half.
        others = [refusal(author.ask(say("二", f"k{number}"), "refused"))[2] for number in range(2, 5)]
        assert "storage_unavailable" in others
        store.heal()
        deadline = time.monotonic() + PATIENCE_S
        while (answer := author.ask(say(), "ack", "refused"))["op"] == "refused":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer["seq"] == 1
        assert [entry.event.text for entry in server.call(lambda: server.room().newest(10))].count(say()["text"]) == 1
        assert server.take_errors()


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    """More drafts than queue_max are refused before they are screened."""
    released = threading.Event()
    store = FaultyStore(MemoryStore(), sleep=lambda seconds: released.wait(60))
    with running(tmp_path, store=store, queue_max=3, **UNBOUNDED) as server, server.connect(account="eager") as author:
        server.eventually(lambda: store.calls["append"] and not server.parts.publisher.queued)
        store.plan("append", Fault.SLOW)
        author.send(text(say("零", "k0")))
        server.eventually(lambda: store.injected[Fault.SLOW])
        author.send(*[text(say(f"第{number}", f"k{number}")) for number in range(1, 6)])
        answers = [author.read() for _ in range(2)]
        assert [refusal(answer) for answer in answers] == [("refused", "k4", "overloaded"), ("refused", "k5", "overloaded")]
        released.set()
        assert [author.read_until("ack")["key"] for _ in range(4)] == ["k0", "k1", "k2", "k3"]


def test_what_is_over_the_budget_of_live_comments_still_reaches_its_author(tmp_path: Path) -> None:
    """A reader gets a part of a burst and is told of the rest; each author gets all of its own, in order; all of it is static."""
    with running(tmp_path, live_per_s=10, tick_ms=200, **UNBOUNDED) as server:
        with server.connect(account="ann") as author, server.connect(account="bob") as other, server.connect() as reader:
            for number in range(40):
                author.send(text(say(f"第{number}", f"k{number}")))
            kept = {client: _until(client, 40) for client in (author, other, reader)}
            assert kept[author] == list(range(1, 41))
            assert kept[other] == kept[reader]
            assert 0 < len(kept[reader]) < 40
            assert server.parts.stats.left_out == 40 - len(kept[reader])
        assert len(server.call(lambda: server.room().newest(100))) == 40


def _until(client: RawClient, last: int) -> list[int]:
    """The numbers of the comments that came live up to ``last``; they stand for all, or say how many are missing."""
    numbers: list[int] = []
    stands_for = 0
    while stands_for < last:
        message = client.read_until("events", "echo")
        events = [event["seq"] for event in message["events"]]
        if message["op"] == "events":
            stands_for = message.get("last", events[-1] if events else 0)
        numbers += events
    return sorted(numbers)


def test_records_that_do_not_fit_are_dropped_and_counted(tmp_path: Path) -> None:
    """Records beside the log never take the place of comments."""
    released = threading.Event()
    store = FaultyStore(MemoryStore(), sleep=lambda seconds: released.wait(60))
    with running(tmp_path, store=store, records_max=2, **UNBOUNDED) as server, server.connect(account="blocked") as author:
        server.eventually(lambda: store.calls["append"] and not server.parts.publisher.queued)
        store.plan("append", Fault.SLOW)
        author.send(text(say("零", "k0")))
        server.eventually(lambda: store.injected[Fault.SLOW])
        author.send(*[text(say("坏词", f"k{number}")) for number in range(5)])
        assert [refusal(author.read())[2] for _ in range(5)] == ["banned_content"] * 5
        assert server.parts.stats.records_dropped == 3
        released.set()
        assert author.read_until("ack")["key"] == "k0"


def test_of_a_flood_one_refusal_of_a_kind_is_recorded(tmp_path: Path) -> None:
    """Refusals for pace and length are recorded once a minute for an account and a code; all are answered, the rest is counted."""
    store = MemoryStore()
    rates = {**UNBOUNDED, "rate_account_burst": 6, "rate_account_per_s": 0.001}
    with running(tmp_path, store=store, **rates) as server:
        with server.connect(account="flooder") as author, server.connect(account="other") as other:
            for number in range(3):
                assert refusal(author.ask(say("长" * 101, f"long{number}"), "refused"))[2] == "text_too_long"
                assert refusal(author.ask(say("坏词", f"bad{number}"), "refused"))[2] == "banned_content"
            for number in range(3):
                assert refusal(author.ask(say("坏词", f"fast{number}"), "refused"))[2] == "too_fast"
            assert refusal(other.ask(say("长" * 101, "long"), "refused"))[2] == "text_too_long"
            server.eventually(lambda: len(store.screened(0, 100)) == 6)
        assert sorted((record.author, record.code) for record in store.screened(0, 100)) == [
            *[("flooder", "banned_content")] * 3, ("flooder", "text_too_long"), ("flooder", "too_fast"),
            ("other", "text_too_long"),
        ]  # fmt: skip
        assert server.parts.stats.records_thinned == 4
        assert server.parts.stats.records_dropped == 0


@pytest.mark.parametrize(("length", "recorded"), [(400, "长" * 400), (401, "长" * 400 + "…"), (1000, "长" * 400 + "…")])
def test_of_a_text_that_is_far_too_long_the_beginning_is_recorded(tmp_path: Path, length: int, recorded: str) -> None:
    """A record holds at most four times the longest comment; an ellipsis says where it was cut."""
    store = MemoryStore()
    with running(tmp_path, store=store, **UNBOUNDED) as server, server.connect(account="long") as author:
        assert refusal(author.ask(say("长" * length), "refused"))[2] == "text_too_long"
        server.eventually(lambda: store.screened(0, 100))
        (record,) = store.screened(0, 100)
        assert record.text == recorded


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
    rates = {**UNBOUNDED, "rate_account_burst": 1, "rate_account_per_s": 0.01}
    with running(tmp_path, rooms=("demo",), **rates) as server, server.connect(account="ann") as client:
        first = client.ask(say("一次", "k1"), "ack")
        assert client.ask(say("一次", "k1"), "ack") == first
        assert refusal(client.ask(say("两次", "k1"), "refused")) == ("refused", "k1", "too_fast")
