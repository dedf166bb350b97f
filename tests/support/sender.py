"""Somebody who posts without a browser, over a plain WebSocket."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE_S


class Sender:
    """Somebody who posts without a browser, until closed."""

    def __init__(self, site: ServerProcess, room: str, nickname: str = "小明") -> None:
        self.room = room
        self._stack = ExitStack()
        url = site.ws_url(room, site.token(f"s-{secrets.token_hex(4)}", nickname))
        self.connection: ClientConnection = self._stack.enter_context(
            # What is not read waits without bound, so that the library goes on answering; leaving takes no time.
            connect(url, max_queue=None, ping_interval=None, close_timeout=0.2)
        )
        self.wait_for("joined")

    def close(self) -> None:
        """Leave."""
        self._stack.close()

    def wait_for(self, op: str) -> dict[str, Any]:
        """The next message of a kind."""
        while True:
            message: dict[str, Any] = json.loads(self.connection.recv(timeout=PATIENCE_S))
            if message["op"] == op:
                return message

    def post(self, text: str, **fields: Any) -> str:
        """Send a comment and wait for nothing; returns its key."""
        key = secrets.token_hex(8)
        self.connection.send(json.dumps({"op": "say", "room": self.room, "key": key, "text": text, **fields}))
        return key

    def outcomes(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """The answers to comments, in the order in which they come."""
        left = set(keys)
        answers = []
        while left:
            message: dict[str, Any] = json.loads(self.connection.recv(timeout=PATIENCE_S))
            if message.get("key") in left:
                left.discard(message["key"])
                answers.append(message)
        return answers

    def say(self, text: str, **fields: Any) -> int:
        """Send a comment, which must be accepted; returns its number."""
        (answer,) = self.outcomes([self.post(text, **fields)])
        assert answer["op"] == "ack", answer
        seq: int = answer["seq"]
        return seq
