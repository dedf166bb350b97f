"""Duties P8, P9 on a real server: a measure is in force on live connections within a second, ends by its term, and is taken back,
also across restarts; a removal counts for its author exactly once, whatever happens to the server in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from server.accounts import measures
from server.accounts.book import Accounts, Transaction
from server.accounts.identity import Tokens
from server.settings import load
from tests.duties.public import ROOM, SETTINGS, command, enter, say
from tests.support.accounts import letters, standing
from tests.support.server import ServerProcess
from tests.support.waiting import quickest_s

DAY_MS: Final = 86_400_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One data folder for all tests of this module; they end and start its server."""
    with ServerProcess(tmp_path_factory.mktemp("duties") / "data", settings=SETTINGS) as found:
        yield found


def operate(server: ServerProcess, request: dict[str, Any]) -> dict[str, Any]:
    """An operation on accounts through the operator interface."""
    tokens = Tokens.open(load({}, None, {"data_dir": str(server.data)}))
    bearer = {"Authorization": f"Bearer {tokens.issue_operator('op', time.time_ns() // 1_000_000)}"}
    answer = httpx.post(f"{server.url}/api/operator/account", json=request, headers=bearer, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["done"]
    return found


def opened(data: Path, behind_ms: int = 0) -> Accounts:
    """The book of a server that does not run, with a clock that is behind."""
    return Accounts(data / "accounts.db", lambda: time.time_ns() // 1_000_000 - behind_ms)


def suspend(server: ServerProcess, seq: int) -> dict[str, Any]:
    """Suspend the author of a comment."""
    return operate(
        server,
        {
            "op": "accounts.measure", "who": {"room": ROOM, "seq": seq}, "rung": "suspend", "code": "A2", "basis": "house rule 7",
            "duration_ms": DAY_MS,
        },
    )  # fmt: skip


def seconds_to_letter(server: ServerProcess, account: str) -> float:
    """From the request of a measure to the letter on a connection of the account."""
    with enter(server, account) as client:
        seq = say(client, "before", "k1")["seq"]
        began = time.monotonic()
        suspend(server, seq)
        assert client.read_until("letter")["kind"] == "measure"
        return time.monotonic() - began


def test_duty_p8_a_measure_reaches_live_connections_within_a_second_and_holds_across_restarts(server: ServerProcess) -> None:
    """The letter is there within a second of the decision; the next comment is refused with code, clause and term; a restart changes
    nothing of it; the reversal lets post at once, and a restart keeps that too."""
    assert quickest_s(lambda number: seconds_to_letter(server, f"p8-{number}"), 1) < 1
    with enter(server, "p8-live") as one, enter(server, "p8-live") as two, enter(server, "p8-other") as other:
        taken = suspend(server, say(one, "before", "k1")["seq"])
        told = [client.read_until("letter") for client in (one, two)]
        for letter in told:
            assert (letter["kind"], letter["data"]["measure"], letter["data"]["code"]) == ("measure", taken["measure"], "A2")
        answer = say(two, "after", "k2")
        assert (answer["op"], answer["code"]) == ("refused", "account_suspended")
        assert "house rule 7; agreement, clause " in answer["detail"]
        assert "; until 2" in answer["detail"]
        assert say(other, "somebody else", "k3")["op"] == "ack"
    server.kill()
    server.start()
    with enter(server, "p8-live") as client:
        assert say(client, "after the restart", "k4")["code"] == "account_suspended"
        operate(server, {"op": "accounts.lift", "measure": taken["measure"], "code": "R1", "basis": "an error of ours"})
        assert client.read_until("letter")["kind"] == "measure_lifted"
        assert say(client, "lifted", "k5")["op"] == "ack"
    server.kill()
    server.start()
    with enter(server, "p8-live") as client:
        assert say(client, "still lifted", "k6")["op"] == "ack"


def test_duty_p8_a_term_that_ended_while_the_server_was_down_is_over(server: ServerProcess) -> None:
    """Terms are moments: of two suspensions taken at once, the one that ran out meanwhile lets post, the other does not."""
    server.terminate()
    behind_ms = 2 * measures.MINUTE_MS

    def suspend(tx: Transaction) -> None:
        for account, duration_ms in (("p8-short", measures.MINUTE_MS), ("p8-long", DAY_MS)):
            tx.open(account, origin="host", actor="host", role="host")
            measures.take(tx, account, "suspend", "A2", "b", actor="staff:x", role="senior", duration_ms=duration_ms)

    book = opened(server.data, behind_ms)
    try:
        book.write_now(suspend)
    finally:
        book.close()
    server.start()
    with enter(server, "p8-short") as short, enter(server, "p8-long") as long:
        assert say(short, "over", "k1")["op"] == "held", "the suspension cost credit, so that it is reviewed first"
        assert say(long, "not over", "k1")["code"] == "account_suspended"


def test_duty_p9_a_removal_counts_for_its_author_once_across_crashes(server: ServerProcess) -> None:
    """Removed by the command line, told to the author at once, counted once: a kill at any later moment changes nothing."""
    with enter(server, "p9-author") as client:
        seq = say(client, "to be removed", "k1")["seq"]
        done = command(server, "remove", ROOM, str(seq), "--code", "S1", "--basis", "house rule 4")
        assert done.returncode == 0, done.stderr
        letter = client.read_until("letter")
        assert (letter["data"]["rung"], letter["data"]["seq"], letter["data"]["basis"]) == ("delete", seq, "house rule 4")
        assert "text" not in letter["data"]
    server.kill()
    server.start()
    server.terminate()
    assert b"to be removed" not in (server.data / "accounts.db").read_bytes(), "the book has no text of comments"
    book = opened(server.data)
    try:
        assert sum(points for _, points in standing(book, "p9-author").marks) == -15
        assert [kind for kind, _ in letters(book, "p9-author")] == ["measure"]
    finally:
        book.close()
