"""``/staff/desk/events``: how many items of each queue wait, told to the desk's pages when it changes.

All who look share one counting a second, whatever their number. A stream ends after a while, so that a session that has ended does
not go on listening; browsers come back by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from server.errors import Refusal
from server.http.requests import services
from server.http.staff_door import Rule
from server.http.stream import KEEP_ALIVE, EventStream, encode_message
from server.moderation import queue

if TYPE_CHECKING:
    from sqlalchemy import Connection

STREAMS_MAX: Final = 500
"""Streams of staff at a time. Overflow action: refused, and the page goes on without live numbers."""
TICK_S: Final = 1.0
LASTS_S: Final = 300.0
_QUIET_TICKS: Final = 15
_RETRY: Final = b"retry: 3000\n"


class Live:
    """What the streams of one application share. Belongs to the event loop; ``steady_ms`` is a clock that nobody sets."""

    def __init__(self) -> None:
        self.streams = 0
        self._counts: dict[str, int] = {}
        self._at_ms = -1e9
        self._lock = asyncio.Lock()

    def open(self) -> Callable[[], None]:
        """Take a place for a stream; returns what gives it back. Raises Refusal ``too_many_connections``."""
        if self.streams >= STREAMS_MAX:
            raise Refusal("too_many_connections", "streams of staff", retry_after_ms=10_000)
        self.streams += 1
        return self._close

    def _close(self) -> None:
        self.streams -= 1

    async def counts(self, request: Request) -> dict[str, int]:
        """Open items by queue, counted at most once a second. Raises Refusal ``storage_unavailable``."""
        found = services(request)
        async with self._lock:
            if found.steady_ms() - self._at_ms >= TICK_S * 1000:

                def work(connection: Connection) -> dict[Any, queue.Count]:
                    return queue.counts(connection, found.people.clock_ms())

                counted = await found.moderation.look(work)
                self._counts = {name: count.open for name, count in counted.items()}
                self._at_ms = found.steady_ms()
        return self._counts


def live(request: Request) -> Live:
    """The shared part of the request's application, made at its first request."""
    app: Starlette = request.app
    if not hasattr(app.state, "staff_live"):
        app.state.staff_live = Live()
    found: Live = app.state.staff_live
    return found


def answer(messages: AsyncIterator[bytes], place: Callable[[], None]) -> EventStream:
    """A stream of messages; ``place`` is what :meth:`Live.open` gave."""
    return EventStream(_RETRY, messages, place)


async def events(request: Request) -> Response:
    """``GET /staff/desk/events``."""
    shared = live(request)
    return answer(_counts(request, shared), shared.open())


async def _counts(request: Request, shared: Live) -> AsyncGenerator[bytes, None]:
    told: dict[str, int] | None = None
    quiet = 0
    async for tick in ticks(request):
        try:
            counts = await shared.counts(request)
        except Refusal:
            return  # the page comes back, and then it can be counted again
        quiet += 1
        if counts != told:
            told, quiet = counts, 0
            yield encode_message("counts", orjson.dumps(counts), tick)
        elif quiet >= _QUIET_TICKS:
            quiet = 0
            yield KEEP_ALIVE


async def ticks(request: Request) -> AsyncGenerator[int, None]:
    """Counts from 1, at once and then every second, until the stream has lasted its time or the server is no longer ready."""
    found = services(request)
    for tick in range(1, round(LASTS_S / TICK_S) + 1):
        if not found.readiness().ready:
            return
        yield tick
        await asyncio.sleep(TICK_S)


RULES: Final = (Rule("/staff/desk/events", "GET", "queue.view", events),)
