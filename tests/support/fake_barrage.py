"""A small server that speaks the protocol, and does wrong on request: what the meter must find.

It keeps one room in memory, takes any token at its word, and serves the log and the pages over HTTP from the same port.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response

from server.wire import page_number

ROOM = "demo"


@dataclass
class Faults:
    """What goes wrong. Numbers are those of events; sets are empty by default.

    ``drop`` and ``double`` concern the newest viewer only, ``swap`` exchanges an event and the next in its frame. ``forget`` is
    acknowledged and never recorded; ``twice`` is recorded two times; ``unpaged`` is missing on the pages, ``mispaged`` says
    something else there; ``garble`` is live with another text. ``refuse`` maps a text to a permanent refusal, ``hold`` holds it,
    ``busy`` refuses so many submissions for a time, ``wait_ms`` says for how long. ``delay_s`` delays every live frame.
    ``binary`` greets with a binary frame, ``closing`` closes instead of letting anybody join.
    """

    drop: set[int] = field(default_factory=set)
    double: set[int] = field(default_factory=set)
    swap: set[int] = field(default_factory=set)
    forget: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    unpaged: set[int] = field(default_factory=set)
    mispaged: set[int] = field(default_factory=set)
    garble: set[int] = field(default_factory=set)
    refuse: dict[str, str] = field(default_factory=dict)
    hold: set[str] = field(default_factory=set)
    busy: int = 0
    wait_ms: int = 10
    delay_s: float = 0.0
    binary: bool = False
    closing: bool = False


class FakeBarrage:
    """The server; use as an asynchronous context manager. ``resume_max`` events are resent to one who comes back."""

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        tick_s: float = 0.01,
        resume_max: int = 1000,
        kind: str = "live",
        fragment: int = 0,
    ) -> None:
        self.faults = faults or Faults()
        self.events: list[dict[str, Any]] = []
        self.viewers: list[ServerConnection] = []
        self.accepted = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self._fragment = fragment
        self._keys: dict[tuple[str, str], int] = {}
        self._tick_s = tick_s
        self._resume_max = resume_max
        self._kind = kind
        self._sent = 0
        self._server: Server | None = None
        self._flushing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        deflate = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
        self._server = await serve(
            self._talk, "127.0.0.1", 0, process_request=self._page, compression=None, extensions=[deflate], ping_interval=None
        )
        self._flushing = asyncio.create_task(self._flush())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._flushing is not None
        assert self._server is not None
        self._flushing.cancel()
        await asyncio.gather(self._flushing, return_exceptions=True)
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Address of the server."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def _page(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path == "/ws":
            self.accepted += 1
            return None
        if parts.path == f"/api/rooms/{ROOM}/events":
            query = parse_qs(parts.query)
            after, limit = int(query["after"][0]), int(query["limit"][0])
            body = {"room": ROOM, "epoch": "e1", "head": len(self.events), "events": self.events[after : after + limit]}
            return connection.respond(HTTPStatus.OK, json.dumps(body))
        prefix = f"/rooms/{ROOM}/comments/"
        if parts.path.startswith(prefix):
            number = int(parts.path.removeprefix(prefix).removesuffix(".html"))
            if number <= page_number(max(1, len(self.events))):
                return connection.respond(HTTPStatus.OK, self._html(number))
        return connection.respond(HTTPStatus.NOT_FOUND, "nothing here")

    def _html(self, number: int) -> str:
        rows = []
        for event in self.events:
            seq = event["seq"]
            if page_number(seq) == number and seq not in self.faults.unpaged:
                text = "something else" if seq in self.faults.mispaged else event["text"]
                rows.append(
                    f'<article id="c{seq}" class="comment"><p itemprop="text">{html.escape(text)}</p>'
                    f'<bdi itemprop="name">{html.escape(event["author"]["name"])}</bdi></article>'
                )
        return "<!doctype html><title>comments</title><body>" + "\n".join(rows)

    # -- WebSocket ----------------------------------------------------------------------------------------------------

    async def _talk(self, ws: ServerConnection) -> None:
        assert ws.request is not None
        query = parse_qs(urlsplit(ws.request.path).query)
        name = _nickname(query.get("token", [""])[0])
        try:
            await ws.send(json.dumps({"op": "hello", "version": 1}))
            if self.faults.binary:
                await ws.send(b"what?")
            if self.faults.closing:
                await ws.close(1012)
            elif query.get("room", [ROOM]) != [ROOM]:
                await ws.send(json.dumps({"op": "error", "code": "room_not_found", "message": "no such room"}))
            elif "room" in query:
                await self._join(ws, None)
            async for text in ws:
                await self._message(ws, name, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            if ws in self.viewers:
                self.viewers.remove(ws)

    async def _join(self, ws: ServerConnection, since: int | None) -> None:
        head = self._sent
        events = self.events[head if since is None else max(since, head - self._resume_max) : head]
        message = {"op": "joined", "room": ROOM, "epoch": "e1", "head": head, "state": {"kind": self._kind}, "events": events}
        self.viewers.append(ws)
        await ws.send(json.dumps(message))
        if since is not None and since + len(events) < head:
            await ws.send(json.dumps({"op": "gap", "room": ROOM, "from": since + 1, "to": head - len(events), "page": "x"}))

    async def _message(self, ws: ServerConnection, name: str, message: dict[str, Any]) -> None:
        match message["op"]:
            case "join":
                await self._join(ws, message["since"]["seq"])
            case "say":
                await ws.send(json.dumps(self._say(name, message)))
            case "ping":
                await ws.send(json.dumps({"op": "pong"}))
            case _:
                await ws.send(json.dumps({"op": "error", "code": "bad_message", "message": "?"}))

    def _say(self, name: str, say: dict[str, Any]) -> dict[str, Any]:
        faults, key, text = self.faults, say["key"], say["text"]
        answer = {"room": ROOM, "key": key, "message": "because"}
        if faults.busy > 0:
            faults.busy -= 1
            return {"op": "refused", "code": "overloaded", "temporary": True, "retry_after_ms": faults.wait_ms, **answer}
        if text in faults.refuse:
            return {"op": "refused", "code": faults.refuse[text], "temporary": False, **answer}
        if text in faults.hold:
            return {"op": "held", "code": "held_for_review", **answer}
        if (name, key) not in self._keys:
            self._keys[name, key] = len(self.events) + 1
            if text not in faults.forget:
                for _ in range(2 if text in faults.twice else 1):
                    self._append(name, say)
        return {"op": "ack", "seq": self._keys[name, key], **answer}

    def _append(self, name: str, say: dict[str, Any]) -> None:
        self.events.append(
            {
                "seq": len(self.events) + 1,
                "kind": "comment",
                "at_ms": 1_700_000_000_000,
                "pos_ms": say["pos_ms"] or 0,
                "text": say["text"],
                "mode": say["mode"],
                "color": say["color"],
                "size": say["size"],
                "author": {"id": name, "name": name},
            }
        )

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            batch, self._sent = self.events[self._sent :], len(self.events)
            viewers = list(self.viewers)  # who joins from now on has the batch, and who leaves must not shift the others
            if batch:
                if self.faults.delay_s:
                    await asyncio.sleep(self.faults.delay_s)
                for number, viewer in enumerate(viewers):
                    await self._send(viewer, self._as_seen(batch, newest=number == len(viewers) - 1))

    async def _send(self, viewer: ServerConnection, events: list[dict[str, Any]]) -> None:
        text = json.dumps({"op": "events", "room": ROOM, "events": events}, ensure_ascii=False)
        try:
            if self._fragment:
                await viewer.send([text[at : at + self._fragment] for at in range(0, len(text), self._fragment)])
            else:
                await viewer.send(text)
        except ConnectionClosed:
            pass

    def _as_seen(self, batch: list[dict[str, Any]], *, newest: bool) -> list[dict[str, Any]]:
        faults, seen = self.faults, []
        for event in batch:
            if newest and event["seq"] in faults.drop:
                continue
            seen.append({**event, "text": "garbled"} if event["seq"] in faults.garble else event)
            if newest and event["seq"] in faults.double:
                seen.append(event)
        for index in range(len(seen) - 1):
            if seen[index]["seq"] in faults.swap:
                seen[index], seen[index + 1] = seen[index + 1], seen[index]
                break
        return seen


def _nickname(token: str) -> str:
    if not token:
        return ""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    name: str = claims["nickname"]
    return name
