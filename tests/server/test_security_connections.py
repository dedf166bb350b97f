"""What an open connection may still do when its account, its verification or its token is no more."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from server.accounts import measures, signup
from server.accounts.book import Transaction
from server.accounts.events import VerificationWithdrawn
from tests.support.accounts import person
from tests.support.comments import UNBOUNDED, refusal, say
from tests.support.running import RunningServer, running

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
