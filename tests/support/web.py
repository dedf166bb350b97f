"""The HTTP application over the services fake, and clients for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Message

from server.http import errors, operator
from server.http.services import Services
from server.remote import RemoteOperations
from tests.support.waiting import PATIENCE_S


def application(services: Services, routes: Sequence[BaseRoute]) -> Starlette:
    """An application as ``server.app`` makes it, with some of the routes."""
    app = Starlette(routes=routes, exception_handlers=errors.handlers, middleware=errors.middleware)
    app.state.services = services
    return app


@asynccontextmanager
async def browsing(app: Starlette, address: str = "127.0.0.1", **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application that comes from ``address``."""
    transport = httpx.ASGITransport(app, client=(address, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://site.example", headers=headers) as client:
        yield client


def operator_client(services: Services, handler: Callable[[httpx.Request], httpx.Response] | None = None) -> RemoteOperations:
    """The operations of alice over HTTP: of the application, or of whatever ``handler`` answers."""
    transport: httpx.AsyncBaseTransport = httpx.ASGITransport(application(services, operator.routes))
    if handler is not None:
        transport = httpx.MockTransport(handler)
    return RemoteOperations("http://127.0.0.1:1", services.tokens, "alice", transport)


class Reader:
    """Reads a streamed answer of the application as it comes; :meth:`leave` is what a browser does that closes the page."""

    def __init__(self, app: Starlette, path: str, query: str = "", method: str = "GET", **headers: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = asyncio.Event()
        self._left = asyncio.Event()
        self._asked = False
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 40_000),
            "server": ("site.example", 80),
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            await self._pieces.put(message.get("body", b""))
            if not message.get("more_body"):
                self.ended.set()

    async def piece(self) -> bytes:
        """The next piece of the body."""
        return await asyncio.wait_for(self._pieces.get(), PATIENCE_S)

    async def leave(self) -> None:
        """Go away, and wait until the application has noticed."""
        self._left.set()
        await asyncio.wait_for(self.task, PATIENCE_S)
