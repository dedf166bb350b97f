"""server/posting.py: the path of a comment, as a form without script goes it. tests/server/test_conversation_comments.py has the
path of connections, tests/server/test_signin.py what standings do to them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.accounts import measures
from server.accounts.book import Transaction
from server.accounts.events import Counted, Measured
from server.accounts.identity import Identity
from server.accounts.permit import LEVELS
from server.accounts.standing import Held, Standing
from server.core.modes import SHIELD_LEVEL, Term
from server.errors import Refusal
from server.posting import Voice, unix_ms
from server.store.base import Committed, NoticeDraft, Outcome, Recorded, RoomMode
from server.store.memory import MemoryStore
from server.wire import Say
from tests.support.accounts import person
from tests.support.comments import UNBOUNDED
from tests.support.running import RunningServer, running

_accounts = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("posting"), rooms=("demo", "vod"), tick_ms=1, **UNBOUNDED) as server:
        yield server


@pytest.fixture
def server(shared: RunningServer) -> Iterator[RunningServer]:
    yield shared
    assert shared.take_errors() == []


@pytest.fixture
def account() -> str:
    """An account of this test alone."""
    return f"a-{next(_accounts)}"


def write(server: RunningServer, work: Callable[[Transaction], Any]) -> None:
    """One transaction in the book of the running server."""
    server.run(server.parts.people.book.write(work))


def post(server: RunningServer, account: str, words: str = "弹幕", key: str = "k", **fields: Any) -> Outcome:
    """Post as the page does for somebody who signed in there."""
    expires_ms = fields.pop("expires_ms", 0)
    identity = Identity(subject=account, nickname="小红", verified=False, role="", expires_ms=expires_ms)
    message = Say(**{"room": "demo", "key": key, "text": words, **fields})
    return server.run(server.parts.site.post(identity, message, "10.1.2.3", 4711))


def refused(server: RunningServer, account: str, *rest: str, **fields: Any) -> str:
    """The code with which a comment is refused."""
    with pytest.raises(Refusal) as refusal:
        post(server, account, *rest, **fields)
    return refusal.value.code.name


def set_mode(server: RunningServer, mode: RoomMode, **fields: Any) -> None:
    """Set the mode of the demo room."""
    draft = NoticeDraft(
        room="demo", author="op", key=f"mode-{next(_accounts)}", at_ms=unix_ms(), notice="mode", room_mode=mode, **fields
    )
    server.run(server.parts.site.submit(draft))


def memory(server: RunningServer) -> MemoryStore:
    store = server.parts.store
    assert isinstance(store, MemoryStore)
    return store


# -- a form -------------------------------------------------------------------------------------------------------------


def test_a_comment_from_a_form_stands_in_the_log(server: RunningServer, account: str) -> None:
    """It is durable when the call returns, carries public id and nickname, and its source is recorded; a retry changes nothing."""
    write(server, lambda tx: person(tx, account))
    outcome = post(server, account)
    assert isinstance(outcome, Committed)
    assert outcome.fresh
    assert (outcome.event.text, outcome.event.author_name) == ("弹幕", "小红")
    assert outcome.event.author_id == server.parts.tokens.public_id(account)
    again = post(server, account)
    assert isinstance(again, Committed)
    assert (again.fresh, again.event.seq) == (False, outcome.event.seq)

    def records() -> list[Any]:
        return [record for record in memory(server)._connections.values() if record.author == account]

    server.eventually(lambda: len(records()) == 1)
    (record,) = records()
    assert (record.address, record.port) == ("10.1.2.3", 4711)
    assert record.opened_ms == record.closed_ms
    assert "form" in record.id


def test_a_form_hears_why_not(server: RunningServer, account: str) -> None:
    """Refusals of each stage: the room, the form, the sign-in, the standing, the position, the screening."""
    assert refused(server, account, room="nowhere") == "room_not_found"
    assert refused(server, account, key="a b") == "bad_message"
    assert refused(server, account, expires_ms=1) == "token_expired"
    assert refused(server, account) == "not_verified"
    write(server, lambda tx: person(tx, account, agreement=""))
    assert refused(server, account) == "agreement_required"
    other = account + "-b"
    write(server, lambda tx: person(tx, other))
    assert refused(server, other, room="vod") == "bad_position"
    assert refused(server, other, "坏词") == "banned_content"


def test_a_held_comment_is_said_to_be_held(server: RunningServer, account: str) -> None:
    """The form hears it at once, and again for a retry."""
    write(server, lambda tx: person(tx, account))
    for _ in range(2):
        outcome = post(server, account, "待审")
        assert isinstance(outcome, Recorded)
        assert (outcome.action, outcome.code) == ("held", "held_for_review")


def test_a_form_waits_for_nothing_that_cannot_be_read(server: RunningServer, account: str) -> None:
    """While the book cannot be read, posting is refused for now."""

    async def unreadable(_: str) -> Any:
        raise Refusal("storage_unavailable", "accounts cannot be read", retry_after_ms=1000)

    people = server.parts.people
    people.standing = unreadable  # type: ignore[method-assign,assignment]
    try:
        assert refused(server, account) == "storage_unavailable"
    finally:
        del people.standing


def test_what_is_said_of_a_speaker_holds_no_longer_than_it_is_true() -> None:
    """The label rests on a licence: the voice that has it ends when that does, and one that is made then has none."""
    held = Held("L-1", ("news",), 1_000, 5_000)
    standing = Standing(account="a", public="active", category="news_unit", label="日报", licences=(held,))
    identity = Identity(subject="a", nickname="日报", verified=True, role="", expires_ms=0)

    def voice(now_ms: int) -> Voice:
        return Voice(standing, identity, "", now_ms, "2001:db8:1:2:3::9", "public-id", "广东")

    assert [(voice(ms).label, voice(ms).label_kind) for ms in (999, 1_000, 4_999, 5_000)] == [
        ("", ""), ("日报", "news_unit"), ("日报", "news_unit"), ("", ""),
    ]  # fmt: skip
    assert [voice(1_000).holds("", ms) for ms in (1_000, 4_999, 5_000)] == [True, True, False]
    assert not voice(0).holds("", 1_000)
    assert voice(0).address == "2001:db8:1:2::"


# -- who, in which room -------------------------------------------------------------------------------------------------

STANDINGS = {
    "verified": ("", "phone"),
    "agreement": ("", "1"),
    "measure": ("", "suspend", "restrict", "close"),
    "level": (0, 1),
}


def test_who_may_post_in_which_room(server: RunningServer) -> None:
    """Verified x agreement x measure x level x state of the room: what the person can change is said before what the room is."""
    modes: tuple[RoomMode, ...] = ("open", "read_only", "closed")
    people: list[tuple[str, str]] = []

    def make(tx: Transaction) -> None:
        for verified, agreement, rung, level in itertools.product(*STANDINGS.values()):
            name = person(tx, f"m-{len(people)}", verified=str(verified), agreement=str(agreement))
            if level == 0:
                measures.count_removal(tx, name, "demo", 9, "L1", "house rule 1", actor="staff:x", role="operator")
            if rung:
                functions = ("post",) if rung == "restrict" else ()
                event = Measured(measure=f"x-{name}", rung=rung, code="A2", basis="b", functions=functions)  # type: ignore[arg-type]
                tx.append(name, event, actor="staff:x", role="senior")
            if rung in ("suspend", "close"):
                expected = "account_suspended" if rung == "suspend" else "account_closed"
            elif not verified:
                expected = "not_verified"
            elif not agreement:
                expected = "agreement_required"
            elif rung:
                expected = "function_restricted"
            else:
                expected = "held" if LEVELS[int(level)].reviewed else ""
            people.append((name, expected))

    write(server, make)
    try:
        for mode in modes:
            set_mode(server, mode)
            for name, expected in people:
                if expected in ("", "held"):
                    if mode != "open":
                        assert refused(server, name) == f"room_{mode}"
                    else:
                        outcome = post(server, name)
                        assert type(outcome) is (Recorded if expected else Committed)
                else:
                    assert refused(server, name) == expected
    finally:
        set_mode(server, "open")
    assert len(people) == 2 * 2 * 4 * 2


def test_the_agreement_of_the_site_may_change_while_it_runs(server: RunningServer, account: str) -> None:
    """A permit is made anew for another version: the very next comment needs the new signature."""
    write(server, lambda tx: person(tx, account))
    token = server.parts.tokens.issue(account, "小红", 600)
    people = server.parts.people
    with server.connect() as client:
        client.send_text({"op": "auth", "token": token})
        assert client.read_until("hello")["identity"]["level"] == 1
        assert client.ask({"op": "say", "room": "demo", "key": "1", "text": "一"}, "ack")["key"] == "1"
        before = people.required
        people._required = "another"  # type: ignore[misc]
        try:
            answer = client.ask({"op": "say", "room": "demo", "key": "2", "text": "二"}, "refused")
            assert (answer["code"], answer["detail"]) == ("agreement_required", "version another")
        finally:
            people._required = before  # type: ignore[misc]
        assert client.ask({"op": "say", "room": "demo", "key": "3", "text": "三"}, "ack")["key"] == "3"


# -- the whole matrix ---------------------------------------------------------------------------------------------------

MEASURES: dict[str, Callable[[int], list[Measured]]] = {
    "none": lambda now_ms: [],
    "warn": lambda now_ms: [_measured("warn")],
    "restrict": lambda now_ms: [_measured("restrict", functions=("post",))],
    "suspend": lambda now_ms: [_measured("suspend", until_ms=now_ms + 3_600_000)],
    "suspended before": lambda now_ms: [_measured("suspend", until_ms=now_ms - 1)],
    "close": lambda now_ms: [_measured("close")],
    "blacklist": lambda now_ms: [_measured("blacklist")],
}
REPORTS = {0: 0, 1: 0, 2: 4, 3: 14, 4: 24}
"""Reports that were right, by the level that they lead to from the start's 50 points."""


def _measured(rung: Any, **fields: Any) -> Measured:
    return Measured(measure=f"m-{next(_accounts)}", rung=rung, code="S1", basis="house rule", **fields)


def _expected(verified: bool, agreement: str, measure: str, level: int, mode: RoomMode) -> str:
    """The duties, written down once more: what a person hears, in the order in which it helps them."""
    if measure in ("close", "blacklist"):
        return "account_closed"
    if measure == "suspend":
        return "account_suspended"
    if not verified:
        return "not_verified"
    if agreement != "current":
        return "agreement_required"
    if measure == "restrict":
        return "function_restricted"
    if mode != "open":
        return f"room_{mode}"
    return "held" if level == 0 else "stands"


def test_duty_p5_1_who_may_post_over_the_whole_matrix(server: RunningServer, account: str) -> None:
    """duties P5(1), P6, P8, P9: verified x agreement x measure x level x room state, every combination on the running server."""
    current = server.parts.people.required
    signed = {"none": "", "older": "0", "current": current}
    people = list(itertools.product((False, True), signed, MEASURES, range(5)))

    def everybody(tx: Transaction) -> None:
        for number, (verified, agreement, measure, level) in enumerate(people):
            one = f"{account}-{number}"
            person(tx, one, verified="phone" if verified else "", agreement=signed[agreement])
            happened: list[Counted | Measured] = [Counted(what="removal.L", ref="x")] if level == 0 else []
            happened += [Counted(what="report.upheld", ref=f"r{each}") for each in range(REPORTS[level])]
            for event in (*happened, *MEASURES[measure](tx.now_ms)):
                tx.append(one, event, actor="system", role="system")

    write(server, everybody)
    found: dict[tuple[Any, ...], str] = {}
    modes: tuple[RoomMode, ...] = ("read_only", "closed", "open")
    for mode in modes:
        set_mode(server, mode)
        for number, row in enumerate(people):
            try:
                outcome = post(server, f"{account}-{number}", key=f"k-{mode}")
            except Refusal as refusal:
                found[*row, mode] = refusal.code.name
            else:
                found[*row, mode] = "stands" if isinstance(outcome, Committed) else getattr(outcome, "action", "")
    assert len(found) == 2 * 3 * len(MEASURES) * 5 * 3
    assert {row: code for row, code in found.items() if code != _expected(*row)} == {}
    assert set(found.values()) == {
        "account_closed", "account_suspended", "not_verified", "agreement_required", "function_restricted", "room_read_only",
        "room_closed", "held", "stands",
    }  # fmt: skip


# -- modes --------------------------------------------------------------------------------------------------------------


def reasons_of_held(server: RunningServer, account: str) -> list[list[str]]:
    """Of the account's held comments, the rules that held them, in order."""
    records = [each for each in memory(server).screened(0, 10_000, "held") if each.author == account]
    return [[reason["rule"] for reason in json.loads(each.verdict)["reasons"]] for each in records]


def test_a_room_under_review_holds_every_comment(server: RunningServer, account: str) -> None:
    """What would be published waits, what is refused is refused; the record says that it is the mode, first of its reasons, and keeps
    the text as it was written."""
    write(server, lambda tx: person(tx, account))
    set_mode(server, "review", slow_ms=1)
    try:
        outcome = post(server, account)
        assert isinstance(outcome, Recorded)
        assert (outcome.action, outcome.code) == ("held", "held_for_review")
        time.sleep(0.002)  # the pace of the room
        assert isinstance(post(server, account, "待审", "k2"), Recorded)
        write(server, lambda tx: person(tx, account + "-bad"))
        assert refused(server, account + "-bad", "坏词", "k3") == "banned_content"
    finally:
        set_mode(server, "open")
    first, second = reasons_of_held(server, account)
    assert first == ["mode.review"]
    assert second[0] == "mode.review"
    assert len(second) == 2
    assert isinstance(post(server, account, "又来", "k4"), Committed)


def test_a_comment_that_passed_before_waits_when_it_is_sent_again_under_review(server: RunningServer, account: str) -> None:
    """A comment whose commit failed is not published by its retry when the room is reviewed by then."""
    write(server, lambda tx: person(tx, account))
    publisher, kept = server.parts.publisher, server.parts.publisher.submit

    def lose(draft: Any, sink: Any) -> None:
        sink.answer(draft, Refusal("storage_unavailable"))

    publisher.submit = lose  # type: ignore[method-assign]
    try:
        assert refused(server, account) == "storage_unavailable"
    finally:
        publisher.submit = kept  # type: ignore[method-assign]
    set_mode(server, "review")
    try:
        assert isinstance(post(server, account), Recorded)
    finally:
        set_mode(server, "open")


def test_a_shield_holds_newcomers_back(server: RunningServer, account: str) -> None:
    """Comments of authors below the shield's level wait; others post, at the pace of the room."""
    newcomer, regular = account + "-new", account + "-old"
    write(server, lambda tx: person(tx, newcomer))
    write(server, lambda tx: person(tx, regular))
    happened = [Counted(what="report.upheld", ref=f"r{each}") for each in range(REPORTS[SHIELD_LEVEL])]
    write(server, lambda tx: [tx.append(regular, event, actor="system", role="system") for event in happened])
    assert server.run(server.parts.people.standing(regular)).level(unix_ms()) >= SHIELD_LEVEL
    set_mode(server, "shield", slow_ms=60_000)
    try:
        assert isinstance(post(server, newcomer), Recorded)
        assert isinstance(post(server, regular), Committed)
        assert refused(server, regular, "又来", "k2") == "too_fast"
    finally:
        set_mode(server, "open")
    (reasons,) = reasons_of_held(server, newcomer)
    assert reasons[0] == "mode.shield"


def test_a_slow_room_makes_each_author_wait(
    server: RunningServer, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Its own pace, or the site's, between two comments of one author there."""
    steady_ns = [time.monotonic_ns()]
    monkeypatch.setattr(time, "monotonic_ns", lambda: steady_ns[0])  # rates go by the steady clock
    write(server, lambda tx: person(tx, account))
    write(server, lambda tx: person(tx, account + "-b"))
    set_mode(server, "slow", slow_ms=400)
    try:
        assert isinstance(post(server, account), Committed)
        assert isinstance(post(server, account + "-b"), Committed)
        with pytest.raises(Refusal) as refusal:
            post(server, account, "又来", "k2")
        assert refusal.value.code.name == "too_fast"
        assert 0 < refusal.value.retry_after_ms <= 400
        steady_ns[0] += refusal.value.retry_after_ms * 1_000_000
        assert isinstance(post(server, account, "又来", "k2"), Committed)
    finally:
        set_mode(server, "open", slow_ms=10_000)


def test_the_mode_of_the_site_is_in_force_in_every_room(server: RunningServer, account: str) -> None:
    """The stricter of room and site: a site that is read only takes nothing, an open site opens no closed room."""
    write(server, lambda tx: person(tx, account))
    hub = server.parts.hub
    hub.site = Term("read_only", 0, "read_only")
    try:
        assert refused(server, account) == "room_read_only"
        assert refused(server, account, room="vod", pos_ms=5) == "room_read_only"
        set_mode(server, "closed")
        assert refused(server, account) == "room_closed"
        hub.site = Term()
        assert refused(server, account) == "room_closed"
    finally:
        hub.site = Term()
        set_mode(server, "open")


def test_a_room_of_news_holds_every_comment_whatever_its_mode(server: RunningServer, account: str) -> None:
    """Each waits for a decision, of whatever level its author is; read only and closed rooms take nothing, news or not."""
    write(server, lambda tx: person(tx, account))
    if server.parts.site.room("news") is None:
        server.run(server.parts.site.create_room("news", "新闻", "live", news=True))
    outcome = post(server, account, room="news")
    assert isinstance(outcome, Recorded)
    assert outcome.action == "held"
    assert reasons_of_held(server, account) == [["news.review"]]
    room = server.room("news")
    room.mode = "read_only"
    try:
        assert refused(server, account, "弹幕", "k2", room="news") == "room_read_only"
    finally:
        room.mode = "open"
    assert room.head == 0


def test_newcomers_who_flood_are_noticed_as_a_raid(server: RunningServer, account: str) -> None:
    """What comes in is watched for raids."""
    server.parts.posting.raids.noticed()
    names = [f"{account}-{number}" for number in range(40)]
    write(server, lambda tx: [person(tx, name) for name in names])
    for name in names:
        refused(server, name, "坏词")
    assert [raid.room for raid in server.parts.posting.raids.noticed()] == ["demo"]
