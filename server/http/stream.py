"""``/api/rooms/{room}/stream``: the live events as server-sent events, for readers that cannot use a WebSocket; and what ``/ws``
answers where no WebSocket arrives.

Messages: ``joined`` (room, epoch, head, state), ``events`` and ``gap`` as on the WebSocket; the ``id`` of each is the number of
the last event that it covers, so that the browser's own ``Last-Event-ID`` resumes exactly. Comments keep the connection alive.
The stream ends when the server drains; browsers come back by themselves, spread by the ``retry`` that each was given.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from server.errors import CODES
from server.http.api import find_room
from server.http.errors import problem
from server.http.requests import SEQ_MAX, address, limits, services, whole
from server.http.services import Chunk
from server.wire import encode_events, encode_gap, encode_joined, page_path

KEEP_ALIVE: Final = b": keep-alive\n\n"
RETRY_MS: Final = (2000, 6000)

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx passes each message on at once
}


class EventStream(Response):
    """Sends messages (bytes of the stream) as they come, until there are no more or the reader leaves; ``release`` runs once in any
    case.

    Nothing is queued: the next message is asked for when the transport has taken the last one.
    """

    media_type = "text/event-stream"

    def __init__(self, opening: bytes, messages: AsyncIterator[bytes], release: Callable[[], None]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._opening = opening
        self._messages = messages
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._release()
            finished = sending.done()
            leaving.cancel()
            sending.cancel()
            results = await asyncio.gather(sending, leaving, return_exceptions=True)
        if finished and isinstance(results[0], Exception):
            raise results[0]

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._opening, "more_body": True})
        try:
            async for message in self._messages:
                await send({"type": "http.response.body", "body": message, "more_body": True})
        finally:
            if isinstance(self._messages, AsyncGenerator):
                await self._messages.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    """Returns when the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def encode_chunk(room: str, chunk: Chunk) -> bytes:
    """A chunk as one message of the stream."""
    if not chunk.first:
        return KEEP_ALIVE
    if not chunk.events:
        return encode_message("gap", encode_gap(room, chunk.first, chunk.last, page_path(room, chunk.first)), chunk.last)
    return encode_message("events", encode_events(room, chunk.events), chunk.last)


def encode_message(event: str, data: bytes, seq: int) -> bytes:
    """A message of a stream, with the number that a reader who comes back names. ``data`` is JSON of ours: it has no line breaks, so
    one data line holds it."""
    return b"event: %b\nid: %d\ndata: %b\n\n" % (event.encode(), seq, data)


async def _encoded(room: str, chunks: AsyncIterator[Chunk]) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in chunks:
            yield encode_chunk(room, chunk)
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def _position(request: Request, head: int) -> int | None:
    """The number after which the reader goes on; None: from now on.

    ``Last-Event-ID`` (a browser that comes back) counts before ``?after=``. A number above the head is one of another log:
    the reader learns the epoch from ``joined`` and starts at the head.
    """
    given = request.headers.get("last-event-id", "")
    after = (
        int(given) if given.isascii() and given.isdecimal() and len(given) <= 16 else whole(request, "after", -1, 0, SEQ_MAX)
    )
    return after if 0 <= after <= head else None


async def stream(request: Request) -> Response:
    """Follow a room."""
    found = services(request)
    info = find_room(request)
    after = _position(request, info.head)
    if request.method == "HEAD":
        return Response(headers=_HEADERS, media_type=EventStream.media_type)
    position = info.head if after is None else after
    state = {
        "kind": info.kind,
        "title": info.title,
        "mode": info.mode,
        "viewers": found.viewers(info.name),
        "started_ms": info.started_ms,
    }
    joined = encode_joined(info.name, info.epoch, position, state, (), page_path(info.name, info.head))
    retry_ms = random.randint(*RETRY_MS)  # noqa: S311 -- spreads the readers' return, no secret
    opening = b"retry: %d\n%b" % (retry_ms, encode_message("joined", joined, position))
    places = limits(request)
    place = places.open_stream(address(request))  # from here on EventStream gives it back
    messages = _encoded(info.name, found.follow(info.name, position))
    return EventStream(opening, messages, lambda: places.close_stream(place))


async def no_upgrade(request: Request) -> Response:
    """A request for ``/ws`` that is no WebSocket's: somebody looks at the address, or a proxy keeps the upgrade to itself."""
    return problem(CODES["upgrade_required"], headers={"Upgrade": "websocket", "Connection": "Upgrade"})


routes = [Route("/api/rooms/{room}/stream", stream), Route("/ws", no_upgrade)]
