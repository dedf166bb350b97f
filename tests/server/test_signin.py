"""server/signin.py: standings of connections, what waits for them, and what reaches a connected account."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from server.accounts import measures
from server.accounts.book import Transaction
from server.accounts.events import Measured
from server.accounts.standing import Standing
from server.errors import Refusal
from tests.support.accounts import HOUR_MS, person
from tests.support.comments import UNBOUNDED, refusal, say
from tests.support.running import RunningServer, running
from tests.support.waiting import quickest_s
from tests.support.wsclient import RawClient, text

_accounts = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("signin"), rooms=("demo", "other"), tick_ms=1, **UNBOUNDED) as server:
        yield server


@pytest.fixture
def server(shared: RunningServer) -> Iterator[RunningServer]:
    yield shared
    assert shared.take_errors() == []


@pytest.fixture
def account() -> str:
    """An account of this test alone."""
    return f"a-{next(_accounts)}"


def write(server: RunningServer, work: Callable[[Transaction], Any]) -> Any:
    """One transaction in the book of the running server."""
    return server.run(server.parts.people.book.write(work))


def suspend(server: RunningServer, account: str, duration_ms: int = HOUR_MS) -> str:
    """Suspend an account, known or not; returns the measure's id."""

    def work(tx: Transaction) -> str:
        tx.open(account, origin="host", actor="host", role="host")
        return measures.take(
            tx, account, "suspend", "A2", "house rule 7", actor="staff:x", role="senior", duration_ms=duration_ms
        )

    found = write(server, work)
    assert isinstance(found, str)
    return found


@contextmanager
def standings(server: RunningServer, read: Callable[[str], Any]) -> Iterator[None]:
    """For a while standings that are not in memory are read like this."""
    people = server.parts.people
    people.standing = read  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del people.standing


class Gate:
    """A book that answers when it is told to."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._open = server.call(asyncio.Event)
        self.asked = 0

    async def read(self, account: str) -> Standing:
        """The account's standing, once the gate is open."""
        self.asked += 1
        await self._open.wait()
        return await self._server.parts.people.book.standings.load(account)

    def open(self) -> None:
        """Answer whoever waits, and everybody from now on."""
        self._server.call(self._open.set)


async def unreadable(account: str) -> Standing:
    """A book that cannot be read."""
    raise Refusal("storage_unavailable", "accounts cannot be read", retry_after_ms=1000)


# -- what a standing does at once ---------------------------------------------------------------------------------------


def test_a_measure_reaches_every_connection_of_the_account(server: RunningServer, account: str) -> None:
    """Both its connections have the letter, and the next comment is refused with rule and term; others post on."""
    with (
        server.connect(account=account) as one,
        server.connect(account=account) as two,
        server.connect(account="other") as other,
    ):
        assert one.ask(say(), "ack")["op"] == "ack"
        measure = suspend(server, account)
        for client in (one, two):
            letter = client.read_until("letter")
            assert (letter["kind"], letter["data"]["measure"], letter["data"]["rung"]) == ("measure", measure, "suspend")
            assert letter["data"]["until_ms"] == letter["at_ms"] + HOUR_MS
        for client in (one, two):
            answer = client.ask(say(key="k2"), "refused")
            assert refusal(answer) == ("refused", "k2", "account_suspended")
            assert answer["detail"].startswith("A2; house rule 7; agreement, clause ")
            assert measure in answer["detail"]
        assert other.ask(say(key=account), "ack")["op"] == "ack"

        write(
            server,
            lambda tx: measures.lift(tx, measure, "R1", "an error of ours", actor="staff:y", role="senior"),
        )
        assert one.read_until("letter")["kind"]
        assert one.ask(say(key="k3"), "ack")["op"] == "ack"


def test_a_measure_reaches_connections_within_a_second(server: RunningServer, account: str) -> None:
    """From the decision to the letter on the connection."""

    def attempt(number: int) -> float:
        with server.connect(account=f"{account}-{number}") as client:
            began = time.monotonic()
            suspend(server, f"{account}-{number}")
            assert client.read_until("letter")["kind"] == "measure"
            return time.monotonic() - began

    assert quickest_s(attempt, 1) < 1


def test_a_term_ends_by_itself(server: RunningServer, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the measure's time is over the account posts again, on the same connection, and nobody had to do anything."""
    until_ms = 0

    def work(tx: Transaction) -> None:
        nonlocal until_ms
        until_ms = tx.now_ms + HOUR_MS // 2  # before its token ends
        tx.open(account, origin="host", actor="host", role="host")
        event = Measured(measure="m-1", rung="suspend", code="A2", basis="house rule 7", until_ms=until_ms)
        tx.append(account, event, actor="staff:x", role="senior")

    write(server, work)
    with server.connect(account=account) as client:
        assert refusal(client.ask(say(), "refused"))[2] == "account_suspended"
        monkeypatch.setattr(time, "time_ns", lambda: (until_ms - 1) * 1_000_000)
        assert refusal(client.ask(say(key="k2"), "refused"))[2] == "account_suspended"
        monkeypatch.setattr(time, "time_ns", lambda: until_ms * 1_000_000)
        assert client.ask(say(key="k3"), "ack")["op"] == "ack"


def test_who_signed_nothing_is_asked_to(server: RunningServer, account: str) -> None:
    """A host's token that vouches for no signature, or an old one, lets read; the signature, by page or token, lets post."""
    tokens = server.parts.tokens
    for vouched in ("", "0"):
        token = tokens.issue(account, "小明", 600, agreed=vouched)
        with RawClient(server.port) as client:
            client.handshake(f"/ws?room=demo&token={token}")
            assert client.read()["identity"]["barred"] == "agreement_required"
            assert client.read()["op"] == "joined"
            assert refusal(client.ask(say(), "refused"))[2] == "agreement_required"
            if not vouched:
                hello = client.ask({"op": "auth", "token": tokens.issue(account, "小明", 600)}, "hello")
                assert "barred" not in hello["identity"]
                assert client.ask(say(), "ack")["op"] == "ack"
            else:
                document = server.parts.people.agreements.current()
                shown = document.text("en").sha256

                def sign(tx: Transaction, version: str = document.version, shown: str = shown) -> bool:
                    tx.open(account, origin="host", actor="host", role="host")
                    return server.parts.people.agreements.sign(tx, account, version, shown, "en")

                assert write(server, sign)
                assert client.read_until("letter")["kind"] == "agreement_signed"
                assert client.ask(say(key="k2"), "ack")["op"] == "ack"


def test_a_local_account_is_what_its_ledger_says(server: RunningServer, account: str) -> None:
    """No claim of a token makes an account of this site verified, or signs for it."""
    write(server, lambda tx: person(tx, account, verified="", agreement=""))
    with server.connect(account=account) as client:
        assert refusal(client.ask(say(), "refused"))[2] == "not_verified"
    other = account + "-b"
    write(server, lambda tx: person(tx, other, agreement=""))
    with server.connect(account=other) as client:
        assert refusal(client.ask(say(), "refused"))[2] == "agreement_required"


def test_the_lowest_level_is_reviewed_and_limited(server: RunningServer, account: str) -> None:
    """Comments of level 0 wait, with credit as the reason in the record; what the level does not allow is refused."""

    def work(tx: Transaction) -> None:
        tx.open(account, origin="host", actor="host", role="host")
        measures.count_removal(tx, account, "demo", 1, "L1", "house rule 1", actor="staff:x", role="operator")

    write(server, work)
    with RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={server.token(account)}")
        assert client.read()["identity"]["level"] == 0
        client.read_until("joined")
        assert refusal(client.ask(say("早上好"), "held")) == ("held", "k", "held_for_review")
        assert refusal(client.ask(say(key="k2", mode="top"), "refused"))[2] == "level_too_low"
    records = server.run(server.parts.site.screened(0, 100, "held"))
    record = next(record for record in records if record.author == account)
    assert b'"rule":"credit.review"' in record.verdict
    assert record.text == "早上好"


def test_a_restriction_stops_a_recall(server: RunningServer, account: str) -> None:
    """Recalls ask for their own function."""
    with server.connect(account=account) as client:
        seq = client.ask(say(), "ack")["seq"]

        def work(tx: Transaction) -> None:
            tx.open(account, origin="host", actor="host", role="host")
            measures.take(
                tx, account, "restrict", "A2", "house rule 7", actor="staff:x", role="senior", functions=("recall",),
                duration_ms=HOUR_MS,
            )  # fmt: skip

        write(server, work)
        client.read_until("letter")
        answer = client.ask({"op": "recall", "room": "demo", "seq": seq, "key": "r"}, "refused")
        assert refusal(answer) == ("refused", "r", "function_restricted")


# -- a standing that is not in memory yet -------------------------------------------------------------------------------


def test_messages_wait_in_order_until_the_standing_is_read(server: RunningServer, account: str) -> None:
    """Nothing is answered before; then everything is, in the order in which it was sent, the greeting first."""
    gate = Gate(server)
    with standings(server, gate.read), RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={server.token(account)}")
        words = [say(f"第{number}条{'长' * 60}", key=f"k{number}") for number in range(40)]
        client.send(b"".join(map(text, words)) + text({"op": "ping"}))
        server.eventually(lambda: gate.asked == 1)
        assert client.silent()
        gate.open()
        assert client.read()["op"] == "hello"
        assert client.read()["op"] == "joined"
        acks: list[str] = []
        pongs = 0
        while len(acks) < 40 or not pongs:
            message = client.read()
            acks += [message["key"]] if message["op"] == "ack" else []
            pongs += message["op"] == "pong"
        assert acks == [f"k{number}" for number in range(40)]
    assert gate.asked == 1


def test_one_of_the_waiting_messages_may_wait_again(server: RunningServer, account: str) -> None:
    """A change of account amid what waits holds the rest once more; each comment is its sender's."""
    gate = Gate(server)
    second = account + "-b"
    with standings(server, gate.read), RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={server.token(account)}")
        client.send(
            text(say(key="one")) + text({"op": "auth", "token": server.token(second)}) + text(say("第二人", key="two"))
        )  # fmt: skip
        server.eventually(lambda: gate.asked == 1)
        gate.open()
        seqs = {message["key"]: message["seq"] for message in (client.read_until("ack"), client.read_until("ack"))}
    ids = [server.parts.tokens.public_id(name) for name in (account, second)]
    assert [server.event(seqs[key]).author_id for key in ("one", "two")] == ids
    assert gate.asked == 2


def test_who_waits_may_go(server: RunningServer, account: str) -> None:
    """A connection that is cut, or closed by us, while its standing is read leaves nothing behind."""
    gate = Gate(server)
    with standings(server, gate.read):
        with RawClient(server.port) as client:
            client.handshake(f"/ws?room=demo&token={server.token(account)}")
            server.eventually(lambda: gate.asked == 1)
            server.run(server.parts.cut())
        server.eventually(lambda: not server.parts.conversation.connections)
        with RawClient(server.port) as client:
            client.handshake(f"/ws?room=demo&token={server.token(account)}")
            server.eventually(lambda: gate.asked == 2)
            server.call(lambda: server.parts.conversation.close_some(1))
            gate.open()
            assert client.read_close()[0] == 1012
    server.eventually(lambda: not server.parts.conversation.connections)
    assert server.call(lambda: dict(server.parts.conversation.sign_ins._connections)) == {}


def test_a_letter_does_not_come_before_the_greeting(server: RunningServer, account: str) -> None:
    """What happens to the account while its standing is read is in force from the first comment on; hello is the first message."""
    gate = Gate(server)
    with standings(server, gate.read), RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={server.token(account)}")
        server.eventually(lambda: gate.asked == 1)
        suspend(server, account)
        gate.open()
        assert client.read()["op"] == "hello"
        assert refusal(client.ask(say(), "refused"))[2] == "account_suspended"


def test_a_standing_that_cannot_be_read_leaves_a_reader(server: RunningServer, account: str) -> None:
    """Reading goes on; posting is refused for now, and works on the same connection as soon as the book can be read."""
    with standings(server, unreadable), RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={server.token(account)}")
        assert client.read()["identity"]["barred"] == "storage_unavailable"
        assert client.read()["op"] == "joined"
        answer = client.ask(say(), "refused")
        assert refusal(answer) == ("refused", "k", "storage_unavailable")
        assert (answer["temporary"], answer["retry_after_ms"]) == (True, 1000)
        answer = client.ask({"op": "recall", "room": "demo", "seq": 1, "key": "r"}, "refused")
        assert refusal(answer)[2] == "storage_unavailable"
        del server.parts.people.standing
        try:
            assert client.ask(say(), "ack")["op"] == "ack"
        finally:
            server.parts.people.standing = unreadable  # type: ignore[method-assign]


def test_a_fault_of_ours_while_reading_is_logged_and_refuses(server: RunningServer, account: str) -> None:
    """Posting fails closed whatever went wrong."""

    async def broken(account: str) -> Standing:
        raise ValueError("a fault")

    with standings(server, broken), RawClient(server.port) as client:
        client.handshake(f"/ws?room=demo&token={server.token(account)}")
        assert client.read()["identity"]["barred"] == "storage_unavailable"
        assert refusal(client.ask(say(), "refused"))[2] == "storage_unavailable"
    errors = server.take_errors()
    assert {entry["event"] for entry in errors} == {"a standing could not be read"}
