"""A news room on a real server that is killed: no comment of it is public before somebody approved it (duty P5(3))."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import pytest

from server.accounts.identity import Tokens
from server.settings import load
from tests.duties.public import SETTINGS
from tests.support.server import ServerProcess
from tests.support.wsclient import RawClient

ROOM = "news"
ROUNDS = 3
SENT = 12
"""Comments of a round."""


class Operator:
    """The operator interface, by a client of the same machine."""

    def __init__(self, server: ServerProcess) -> None:
        tokens = Tokens.open(load({}, None, {"data_dir": str(server.data)}))
        token = tokens.issue_operator("ann", time.time_ns() // 1_000_000)
        self.client = httpx.Client(
            base_url=f"{server.url}/api/operator", headers={"Authorization": f"Bearer {token}"}, timeout=20, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.client.close()

    def ask(self, path: str, **body: Any) -> Any:
        """Do one operation; its answer, or None for a refusal."""
        answer = self.client.post(path, content=msgspec.json.encode(body), headers={"Content-Type": "application/json"})
        return answer.json() if answer.is_success else None


class Reviewer(threading.Thread):
    """Publishes every second comment and refuses the others, as fast as it can, until the server is gone.

    ``asked`` are the texts whose publishing it asked for: those alone may ever be public; ``told`` those that were confirmed.
    """

    def __init__(self, server: ServerProcess, asked: set[str], told: set[str]) -> None:
        super().__init__()
        self._operator = Operator(server)
        self._asked, self._told = asked, told
        self.decided = 0

    def run(self) -> None:
        with suppress(httpx.HTTPError), self._operator:
            while True:
                rows = self._operator.ask("review", op="review.list", queue="news", limit=5)["done"]
                for row in rows:
                    self._decide(row)
                if not rows:
                    time.sleep(0.005)

    def _decide(self, row: dict[str, Any]) -> None:
        publish = row["text"].endswith("yes")
        if publish:
            self._asked.add(row["text"])
        verdict, code = ("publish", "K1") if publish else ("refuse", "S1")
        done = self._operator.ask(
            "review", op="review.decide", item=row["id"], version=row["version"], verdict=verdict, code=code, basis="looked at"
        )
        if done is not None:
            self.decided += 1
            if publish:
                self._told.add(row["text"])


def public(server: ServerProcess) -> tuple[list[str], str]:
    """The texts of the room's log as anybody can read it, and all its pages as they are on disk."""
    events = httpx.get(f"{server.url}/api/rooms/{ROOM}/events?limit=1000", timeout=30, trust_env=False).json()["events"]
    folder = server.data / "pages" / "rooms" / ROOM
    return [event["text"] for event in events if event["kind"] == "comment"], "".join(
        path.read_text() for path in folder.rglob("*.html")
    )


@pytest.mark.timeout(180)
def test_duty_p5_3_news_waits_for_an_approval_also_when_the_server_is_killed(tmp_path: Path) -> None:
    """Killed at any moment between a comment, its approval and its publishing: what was not approved is neither in the log nor on a
    page; what was approved is both, once, after the restart."""
    rng = random.Random(7)
    asked: set[str] = set()
    told: set[str] = set()
    sent: set[str] = set()
    heard: list[str] = []
    decided = 0
    server = ServerProcess(tmp_path / "data", settings=SETTINGS, demo=False)
    with server:
        with Operator(server) as operator:
            assert operator.ask("rooms", name=ROOM, news=True)
        for turn in range(ROUNDS):
            reviewer = Reviewer(server, asked, told)
            reviewer.start()
            with RawClient(server.port) as client:
                client.handshake(f"/ws?room={ROOM}&token={server.token('ann')}")
                client.read_until("joined")
                for number in range(SENT):
                    text = f"news {turn}-{number}: {'yes' if number % 2 else 'no'}"
                    sent.add(text)
                    client.send_text({"op": "say", "room": ROOM, "key": f"{turn}-{number}", "text": text})
                answers = [client.read_until("ack", "held", "refused")["op"] for _ in range(SENT)]
                assert set(answers) == {"held"}
                time.sleep(rng.uniform(0.0, 0.25))
                while turn == ROUNDS - 1 and not decided + reviewer.decided:
                    time.sleep(0.01)  # at least one approval lies before a kill
                server.kill()
            reviewer.join(30)
            decided += reviewer.decided
            server.start()
            heard, pages = public(server)
            assert set(heard) <= asked
            assert [text for text in sent - asked if text in pages] == []
        deadline = time.monotonic() + 60
        reviewer = Reviewer(server, asked, told)
        reviewer.start()
        wanted = {f"news {turn}-{number}: yes" for turn in range(ROUNDS) for number in range(1, SENT, 2)}
        while set(public(server)[0]) != wanted:
            assert time.monotonic() < deadline, sorted(wanted - set(public(server)[0]))
            time.sleep(0.05)
        texts, pages = public(server)
        assert sorted(texts) == sorted(wanted), "each once"
        assert {text for text in sent if text in pages} == wanted
        assert set(heard) <= wanted
        assert told <= wanted
        server.kill()
        reviewer.join(30)
    assert decided > 0
