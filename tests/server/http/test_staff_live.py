"""server/http/staff_live.py: live counts for the desk's pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.errors import Refusal
from server.http import staff_live
from server.http.staff_door import route
from server.http.staff_live import Live
from tests.server.http.test_staff_queue import hold
from tests.support.services import FakeServices
from tests.support.staff import Desk, compiled_views, staff_desk
from tests.support.waiting import PATIENCE_S
from tests.support.web import Reader, application


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services, staff_live.RULES) as found:
        await found.enter("ann", "reviewer")
        yield found


async def told(reader: Reader) -> dict[str, Any]:
    piece = await reader.piece()
    found: dict[str, Any] = orjson.loads(piece.partition(b"data: ")[2])
    return found


async def test_counts_are_told_when_they_change(desk: Desk, services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, then when something came; a quiet stream is kept alive, and ends when the server drains."""
    monkeypatch.setattr(staff_live, "TICK_S", 0.01)
    monkeypatch.setattr(staff_live, "_QUIET_TICKS", 5)
    app = application(services, [route(rule) for rule in staff_live.RULES])
    app.state.views = compiled_views()
    cookie = desk.client.cookies.get("barrage_staff", domain="site.example")
    reader = Reader(app, "/staff/desk/events", cookie=f"barrage_staff={cookie}")
    assert (await reader.piece()).startswith(b"retry:")
    assert reader.headers["content-type"].startswith("text/event-stream")
    assert await told(reader) == {"held": 0, "news": 0, "report": 0, "swarm": 0, "second": 0}
    assert await reader.piece() == b": keep-alive\n\n"
    await hold(services)
    services.uptime_ms += 2_000
    piece = await reader.piece()
    while piece == b": keep-alive\n\n":
        piece = await reader.piece()
    assert b'"held":1' in piece
    assert app.state.staff_live.streams == 1
    services.drain()
    while not reader.ended.is_set():
        await reader.piece()
    await asyncio.wait_for(reader.task, PATIENCE_S)
    assert app.state.staff_live.streams == 0


async def test_streams_are_bounded() -> None:
    """Beyond the bound the next one is refused; a place that is given back is free again."""
    shared = Live()
    places = [shared.open() for _ in range(staff_live.STREAMS_MAX)]
    with pytest.raises(Refusal, match="streams of staff"):
        shared.open()
    places[0]()
    shared.open()


async def test_a_stream_ends_when_nothing_can_be_counted(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page comes back, and then it can be counted again."""

    class Request:
        app = application(services, [])

    services.moderation.book.close()
    assert [each async for each in staff_live._counts(Request(), Live())] == []  # type: ignore[arg-type]
