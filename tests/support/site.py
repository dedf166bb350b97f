"""An HTTP client of the pages' routes over the services fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette

from server.http import errors, pages
from tests.support.services import FakeServices


@asynccontextmanager
async def pages_client(services: FakeServices, address: str = "192.0.2.7") -> AsyncIterator[httpx.AsyncClient]:
    """A client at ``http://barrage.test`` that does not follow redirects; requests come from ``address``."""
    app = Starlette(routes=pages.routes, exception_handlers=errors.handlers, middleware=errors.middleware)
    app.state.services = services
    transport = httpx.ASGITransport(app, client=(address, 50123))
    async with httpx.AsyncClient(transport=transport, base_url="http://barrage.test") as client:
        yield client
