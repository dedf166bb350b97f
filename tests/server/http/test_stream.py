"""server/http/stream.py"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from server.http import stream
from server.http.requests import HttpLimits
from server.http.services import Chunk
from server.settings import Settings
from tests.support.services import START_MS, FakeServices
from tests.support.waiting import PATIENCE_S
from tests.support.web import Reader, application, browsing

PATH = "/api/rooms/demo/stream"


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    found = FakeServices(tmp_path, Settings(sse_max=3, sse_per_address=2, ring_events=64))
    found.add_room("demo")
    return found


def message(piece: bytes) -> tuple[str, str, dict[str, Any]]:
    """Event, id and data of one message."""
    fields = dict(line.split(": ", 1) for line in piece.decode().strip().splitlines())
    return fields["event"], fields["id"], json.loads(fields["data"])


def open_streams(app: Starlette) -> int:
    limits: HttpLimits = app.state.limits
    return limits.streams


async def test_a_reader_gets_what_happens_from_now_on(services: FakeServices) -> None:
    """First ``joined`` at the head, then each batch as it goes live, with the number of its last event as id."""
    services.say("demo", "before")
    reader = Reader(application(services, stream.routes), PATH)
    opening = await reader.piece()
    assert (reader.status, reader.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert reader.headers["cache-control"] == "no-store"
    assert reader.headers["x-accel-buffering"] == "no"
    assert "content-length" not in reader.headers
    event, number, data = message(opening)
    assert (event, number) == ("joined", "1")
    assert (data["room"], data["epoch"], data["head"], data["events"]) == ("demo", "0000000000000001", 1, [])
    assert data["state"] == {"kind": "live", "title": "demo", "mode": "open", "viewers": 0, "started_ms": START_MS}
    services.say("demo", "行\n行")
    event, number, data = message(await reader.piece())
    assert (event, number, data["op"]) == ("events", "2", "events")
    assert [(item["seq"], item["text"]) for item in data["events"]] == [(2, "行\n行")]
    await reader.leave()


async def test_each_reader_is_told_another_time_to_come_back(services: FakeServices) -> None:
    """The ``retry`` of the streams differs, so that readers do not all return at one moment."""
    app = application(services, stream.routes)
    times = set()
    for _ in range(10):
        reader = Reader(app, PATH)
        first = (await reader.piece()).split(b"\n", 1)[0]
        times.add(int(first.removeprefix(b"retry: ")))
        await reader.leave()
    assert len(times) > 3
    assert all(stream.RETRY_MS[0] <= time_ms <= stream.RETRY_MS[1] for time_ms in times)


@pytest.mark.parametrize(
    ("query", "header", "first"),
    [("after=0", "", 1), ("after=2", "", 3), ("", "2", 3), ("after=0", "4", 5), ("after=4", "abc", 5), ("", "0", 1)],
)
async def test_a_reader_goes_on_where_it_stopped(services: FakeServices, query: str, header: str, first: int) -> None:
    """``Last-Event-ID``, or ``after`` without it, is the last event that the reader has."""
    for number in range(5):
        services.say("demo", f"c{number}")
    headers = {"last_event_id": header} if header else {}
    reader = Reader(application(services, stream.routes), PATH, query, **headers)
    assert message(await reader.piece())[1] == str(first - 1)
    services.say("demo", "c5")
    seen: list[int] = []
    while len(seen) < 7 - first:
        seen += [event["seq"] for event in message(await reader.piece())[2]["events"]]
    assert seen == list(range(first, 7))
    await reader.leave()


async def test_a_position_of_another_log_starts_at_the_head(services: FakeServices) -> None:
    """A number above the head belongs to a log that is no more: the epoch of ``joined`` tells, and reading starts at the head."""
    services.say("demo", "one")
    reader = Reader(application(services, stream.routes), PATH, last_event_id="900")
    assert message(await reader.piece())[1] == "1"
    services.say("demo", "two")
    assert message(await reader.piece())[1] == "2"
    await reader.leave()


async def test_what_left_the_ring_is_an_exact_gap(services: FakeServices) -> None:
    """A reader too far behind is told which numbers it misses and where they stand, then goes on without a hole."""
    for number in range(300):
        services.say("demo", f"c{number}")
    reader = Reader(application(services, stream.routes), PATH, "after=10")
    await reader.piece()
    event, last, data = message(await reader.piece())
    assert (event, last) == ("gap", "236")
    assert data == {"op": "gap", "room": "demo", "from": 11, "to": 236, "page": "/rooms/demo/comments/0.html"}
    event, last, data = message(await reader.piece())
    assert (event, last, data["events"][0]["seq"]) == ("events", "300", 237)
    await reader.leave()


async def test_a_quiet_stream_is_kept_alive(services: FakeServices) -> None:
    """Without news comments go out, which are no messages to the page."""
    services.keep_alive_s = 0.01
    reader = Reader(application(services, stream.routes), PATH)
    await reader.piece()
    assert await reader.piece() == b": keep-alive\n\n"
    await reader.leave()


async def test_a_stream_ends_when_the_server_drains(services: FakeServices) -> None:
    """At drain the answer ends whole, and its place is free."""
    app = application(services, stream.routes)
    reader = Reader(app, PATH)
    await reader.piece()
    services.drain()
    assert await reader.piece() == b""
    await asyncio.wait_for(reader.task, PATIENCE_S)
    assert reader.ended.is_set()
    assert (open_streams(app), services.followers) == (0, 0)


async def test_a_reader_that_leaves_frees_its_place(services: FakeServices) -> None:
    """Closing the page ends the follower at once, also while it waits for news or for the transport."""
    app = application(services, stream.routes)
    waiting, stalled = Reader(app, PATH), Reader(app, PATH)
    await waiting.piece()
    await waiting.leave()
    for number in range(3):
        services.say("demo", f"c{number}")
    await asyncio.sleep(0)
    await stalled.leave()
    assert (open_streams(app), services.followers) == (0, 0)


async def test_streams_are_bounded(services: FakeServices) -> None:
    """One address has its share, all together theirs; beyond that 503 with the time to wait, and a freed place is free."""
    app = application(services, stream.routes)
    readers = [Reader(app, PATH) for _ in range(2)]
    for reader in readers:
        await reader.piece()
    async with browsing(app) as client:
        answer = await client.get(PATH)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "too_many_connections", "10")
    await readers[0].leave()
    again = Reader(app, PATH)
    await again.piece()
    assert again.status == 200
    for reader in (readers[1], again):
        await reader.leave()
    assert open_streams(app) == 0


async def test_a_fault_of_the_follower_ends_the_stream(services: FakeServices) -> None:
    """A broken follower cuts the answer instead of leaving the reader waiting; the place is free."""

    async def broken(name: str, after: int | None) -> Any:
        yield Chunk(1, 1, [b"{}"])
        raise RuntimeError("broken")

    services.follow = broken  # type: ignore[method-assign]
    app = application(services, stream.routes)
    reader = Reader(app, PATH)
    await reader.piece()
    await reader.piece()
    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(reader.task, PATIENCE_S)
    assert open_streams(app) == 0


async def test_bad_requests_are_told(services: FakeServices) -> None:
    """Unknown rooms and bad positions are answered before a stream is opened."""
    async with browsing(application(services, stream.routes)) as client:
        assert (await client.get("/api/rooms/none/stream")).status_code == 404
        assert (await client.get(f"{PATH}?after=x")).json()["code"] == "bad_message"


async def test_head_has_no_stream(services: FakeServices) -> None:
    """HEAD tells the type and ends."""
    async with browsing(application(services, stream.routes)) as client:
        answer = await client.head(PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


async def test_a_stream_that_is_cancelled_frees_its_place(services: FakeServices) -> None:
    """A server that cuts its requests at the end leaves nothing behind."""
    app = application(services, stream.routes)
    reader = Reader(app, PATH)
    await reader.piece()
    reader.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader.task
    assert (open_streams(app), services.followers) == (0, 0)


async def test_the_websockets_address_says_what_it_is(services: FakeServices) -> None:
    """Without an upgrade, as behind a proxy that keeps it, ``/ws`` answers what is missing and not that nothing is there."""
    async with browsing(application(services, stream.routes)) as client:
        answer = await client.get("/ws?room=demo")
    assert (answer.status_code, answer.headers["upgrade"], answer.headers["connection"]) == (426, "websocket", "Upgrade")
    assert answer.json()["code"] == "upgrade_required"
    assert "proxy" in answer.json()["message"]
