"""What an open connection may still do when its account, its verification or its token is no more."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from server.accounts import measures, sessions, signup
from server.accounts.book import Transaction
from server.accounts.events import VerificationWithdrawn
from server.errors import Refusal
from tests.support.accounts import person
from tests.support.comments import UNBOUNDED, refusal, say
from tests.support.running import RunningServer, running
from tests.support.wsclient import RawClient, text

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("connections"), tick_ms=1, **UNBOUNDED) as found:
        yield found


@pytest.fixture
def account(server: RunningServer) -> str:
    """A local account of this test alone, which may post."""
    found = f"a{next(_numbers):020x}"
    write(server, lambda tx: person(tx, found))
    return found


def write(server: RunningServer, work: Callable[[Transaction], Any]) -> Any:
    """One transaction in the book of the running server."""
    return server.run(server.parts.people.book.write(work))


def test_an_erased_account_posts_no_more(server: RunningServer, account: str) -> None:
    """On no connection that was open, and on none that its token, good for minutes still, opens."""
    with server.connect(account=account) as one, server.connect(account=account) as two:
        assert one.ask(say(key="k1"), "ack")["op"] == "ack"
        server.run(server.parts.site.custody.erase(account, remove_comments=False, actor=account, role="person"))
        for number, client in enumerate((one, two)):
            assert refusal(client.ask(say(key=f"e{number}"), "refused")) == ("refused", f"e{number}", "account_closed")
    with server.connect(account=account) as late:
        assert refusal(late.ask(say(key="e9"), "refused")) == ("refused", "e9", "account_closed")


@pytest.mark.parametrize(("rung", "code"), [("close", "account_closed"), ("suspend", "account_suspended")])
def test_a_closed_account_posts_no_more(server: RunningServer, account: str, rung: Any, code: str) -> None:
    """The same for an account that staff closed or suspended."""
    with server.connect(account=account) as one:
        assert one.ask(say(key="k1"), "ack")["op"] == "ack"
        term = {"suspend": 60_000}.get(rung, 0)
        write(
            server,
            lambda tx: measures.take(tx, account, rung, "A2", "house rule", actor="staff:x", role="operator", duration_ms=term),
        )
        assert refusal(one.ask(say(key="k2"), "refused")) == ("refused", "k2", code)


def test_a_withdrawn_verification_is_not_brought_back_by_a_token(server: RunningServer, account: str) -> None:
    """The token says "verified" still; neither the connection nor what the interface does with the token makes it so."""
    with server.connect(account=account) as one:
        assert one.ask(say(key="k1"), "ack")["op"] == "ack"
        write(
            server,
            lambda tx: tx.append(account, VerificationWithdrawn(reason="false"), actor="staff:x", role="operator"),
        )
        identity = server.parts.tokens.verify(server.token(account), time.time_ns() // 1_000_000)
        assert identity.verified
        server.run(server.parts.people.signup.host_seen(identity))
        write(server, lambda tx: signup.see_host(tx, identity))
        assert refusal(one.ask(say(key="k2"), "refused")) == ("refused", "k2", "not_verified")


def test_a_token_that_ends_ends_on_open_connections(server: RunningServer, account: str) -> None:
    """A connection posts as long as its token lives: signing out ends its power within ``session_token_ttl_s`` at the latest."""
    with server.connect(account=account) as one:
        assert one.ask(say(key="k1"), "ack")["op"] == "ack"

        def expire() -> None:
            for conn in server.parts.conversation.connections:
                if conn.identity is not None and conn.identity.subject == account:
                    conn.identity = msgspec.structs.replace(conn.identity, expires_ms=time.time_ns() // 1_000_000)

        server.call(expire)
        assert refusal(one.ask(say(key="k2"), "refused")) == ("refused", "k2", "token_expired")


# -- tokens of sessions here


def session(server: RunningServer, account: str) -> tuple[str, str]:
    """A session of the account, and a token for its player that is good for an hour; returns the session's id and the token."""
    people = server.parts.people
    cookie = write(server, lambda tx: sessions.begin(tx, account, people.session_policy))
    found = sessions.id_of(cookie)
    now_ms = time.time_ns() // 1_000_000
    token = server.parts.tokens.issue_session(account, "小明", 3600, session=found, verified=True, now_ms=now_ms)
    return found, token


def test_who_signs_out_is_nobody_on_open_connections(server: RunningServer, account: str) -> None:
    """Each connection by a token of the ended session is told, posts no more, and reads on; another session's, and a platform's, go
    on; the token, which is good for an hour still, signs nobody in again."""
    ended, token = session(server, account)
    _, other = session(server, account)
    with RawClient(server.port) as one, RawClient(server.port) as two, server.connect(account=account) as platform:
        for client, used in ((one, token), (two, other)):
            client.handshake(f"/ws?room=demo&token={used}")
            assert client.read_until("hello")["identity"]["verified"]
            assert client.ask(say(key=f"k{used[-8:]}"), "ack")["op"] == "ack"
        assert write(server, lambda tx: sessions.end(tx, account, ended))
        assert told(one)
        assert refusal(one.ask(say(key="e1"), "refused")) == ("refused", "e1", "sign_in_required")
        one.send(text({"op": "auth", "token": token}))
        assert told(one)
        assert refusal(one.ask(say(key="e2"), "refused")) == ("refused", "e2", "sign_in_required")
        assert two.ask(say("还在", key="e3"), "ack")["op"] == "ack"
        assert platform.ask(say("也在", key="e4"), "ack")["op"] == "ack"
    with RawClient(server.port) as late:
        late.handshake(f"/ws?room=demo&token={token}")
        assert told(late)
        assert refusal(late.ask(say(key="e5"), "refused")) == ("refused", "e5", "sign_in_required")


def test_a_session_that_ends_while_it_is_looked_up_is_over(server: RunningServer, account: str) -> None:
    """What the reading found is older than the end: the greeting is that of a reader, and says why."""
    ended, token = session(server, account)
    people = server.parts.people
    look_up, asked, answered = people.session_goes_on, threading.Event(), server.call(asyncio.Event)

    async def late(account: str, session: str) -> bool:
        goes_on = await look_up(account, session)
        asked.set()
        await answered.wait()
        return goes_on

    people.session_goes_on = late  # type: ignore[method-assign]
    try:
        with RawClient(server.port) as client:
            client.handshake(f"/ws?room=demo&token={token}")
            assert asked.wait(60)
            assert write(server, lambda tx: sessions.end(tx, account, ended))
            assert client.silent()
            server.call(answered.set)
            assert told(client)
            assert refusal(client.ask(say(), "refused"))[2] == "sign_in_required"
    finally:
        del people.session_goes_on


def test_without_the_book_no_session_counts(server: RunningServer, account: str) -> None:
    """While sessions cannot be looked up a connection reads and does not post, though the account is in memory; then it does."""
    _, token = session(server, account)
    people = server.parts.people
    server.run(people.standing(account))

    async def unreadable(account: str, session: str) -> bool:
        raise Refusal("storage_unavailable", "sessions", retry_after_ms=1000)

    people.session_goes_on = unreadable  # type: ignore[method-assign]
    try:
        with RawClient(server.port) as client:
            client.handshake(f"/ws?room=demo&token={token}")
            assert client.read_until("hello")["identity"]["barred"] == "storage_unavailable"
            assert refusal(client.ask(say(), "refused"))[2] == "storage_unavailable"
            del people.session_goes_on
            assert client.ask(say(), "ack")["op"] == "ack"
    finally:
        people.__dict__.pop("session_goes_on", None)


def told(client: RawClient) -> bool:
    """The client reads that it speaks for nobody, and why."""
    hello, error = client.read_until("hello"), client.read_until("error")
    return hello["identity"] is None and (error["code"], error["detail"]) == ("token_expired", sessions.SESSION_OVER)
