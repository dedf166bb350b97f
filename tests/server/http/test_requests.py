"""server/http/requests.py"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.errors import Refusal
from server.http.requests import HttpLimits, read_body, read_json, whole
from server.settings import Settings
from tests.support.services import START_MS, FakeServices
from tests.support.web import application, browsing


class Body(msgspec.Struct):
    number: int


async def echo(request: Request) -> Response:
    return Response(await read_body(request))


async def typed(request: Request) -> Response:
    return JSONResponse((await read_json(request, Body)).number)


async def number(request: Request) -> Response:
    return JSONResponse(whole(request, "n", 5, 2, 10))


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    services = FakeServices(tmp_path, Settings(body_max_bytes=1024, body_timeout_s=0.05))
    return application(
        services, [Route("/echo", echo, methods=["POST"]), Route("/typed", typed, methods=["POST"]), Route("/n", number)]
    )


async def chunks(*sizes: int, wait_s: float = 0) -> AsyncIterator[bytes]:
    for size in sizes:
        await asyncio.sleep(wait_s)
        yield b"x" * size


async def test_a_body_up_to_the_bound_is_read(app: Starlette) -> None:
    """A body of exactly the bound is taken, with a length or in chunks."""
    async with browsing(app) as client:
        assert len((await client.post("/echo", content=b"x" * 1024)).content) == 1024
        assert len((await client.post("/echo", content=chunks(1000, 24))).content) == 1024
        assert (await client.post("/echo")).content == b""


async def test_a_body_above_the_bound_is_refused(app: Starlette) -> None:
    """One byte more is too large: by the claim before it is read, in chunks as soon as it is reached."""
    async with browsing(app) as client:
        for content in (b"x" * 1025, chunks(1000, 25, 10**6)):
            answer = await client.post("/echo", content=content)
            assert (answer.status_code, answer.json()["code"], answer.headers["connection"]) == (413, "too_large", "close")


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 20, "0x10", ""])
async def test_a_length_that_is_no_number_is_refused(app: Starlette, length: str) -> None:
    """What claims to be a length and is none is not believed."""
    async with browsing(app) as client:
        answer = await client.post("/echo", content=b"x", headers={"Content-Length": length})
    assert answer.status_code == 413


async def test_a_body_that_trickles_is_refused(app: Starlette) -> None:
    """A body that does not arrive in time is given up, and may be sent again."""
    async with browsing(app) as client:
        answer = await client.post("/echo", content=chunks(1, 1, 1, 1, 1, wait_s=0.03))
    assert (answer.status_code, answer.json()["code"], answer.headers["connection"]) == (408, "request_timeout", "close")


async def test_a_client_that_leaves_in_the_body_is_no_error_of_ours(app: Starlette) -> None:
    """A connection that ends in the middle of a body ends the request without a log line of an error."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "query_string": b"",
        "headers": [],
        "client": None,
        "root_path": "",
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize(
    ("content", "code", "detail"),
    [
        (b'{"number": 7}', "", ""),
        (b'{"number": "7"}', "bad_message", "Expected `int`, got `str` - at `$.number`"),
        (b"{}", "bad_message", "Object missing required field `number`"),
        (b"{", "bad_json", "Input data was truncated"),
        (b"", "bad_json", "Input data was truncated"),
        (b"[" * 1024, "bad_message", "Expected `object`, got `array`"),
        (b'{"x":' + b"[" * 1000, "bad_json", ""),
        (b'{"number": \xff}', "bad_json", ""),
    ],
)
async def test_json_is_read_by_type(app: Starlette, content: bytes, code: str, detail: str) -> None:
    """What does not fit is named by its field, without its value."""
    async with browsing(app) as client:
        answer = await client.post("/typed", content=content, headers={"Content-Type": "Application/JSON; charset=utf-8"})
    if code:
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert answer.json()["detail"].startswith(detail)
    else:
        assert answer.json() == 7


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_json_must_say_that_it_is(app: Starlette, kind: str) -> None:
    """Types that a form could send are refused."""
    async with browsing(app) as client:
        answer = await client.post("/typed", content=b'{"number": 7}', headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Content-Type: application/json")


@pytest.mark.parametrize(
    ("query", "result"), [("", 5), ("?n=2", 2), ("?n=10", 10), ("?n=010", 10), ("?n=1", None), ("?n=11", None)]
)
async def test_a_number_of_the_query_is_checked(app: Starlette, query: str, result: int | None) -> None:
    """The default, and both bounds."""
    async with browsing(app) as client:
        answer = await client.get(f"/n{query}")
    assert (answer.json() == result) if result is not None else (answer.json()["detail"] == "n: a whole number from 2 to 10")


def test_places_for_streams_are_counted_per_address() -> None:
    """A place is taken and given back by address; IPv6 neighbours share; nothing remains of those that left."""
    limits = HttpLimits(Settings(sse_max=3, sse_per_address=2))
    keys = [limits.open_stream(address) for address in ("2001:db8::1", "2001:db8::2", "192.0.2.1")]
    for address in ("2001:db8::3", "192.0.2.2"):
        with pytest.raises(Refusal, match="too_many_connections"):
            limits.open_stream(address)
    limits.close_stream(keys[0])
    with pytest.raises(Refusal, match="too_many_connections"):
        HttpLimits(Settings(sse_max=0)).open_stream("192.0.2.1")
    keys[0] = limits.open_stream("192.0.2.2")
    for key in keys:
        limits.close_stream(key)
    assert (limits.streams, limits._streams) == (0, {})


def test_demo_tokens_come_back_with_time() -> None:
    """The refusal says when the next one is there."""
    limits = HttpLimits(Settings(demo_tokens_per_s=0.5, demo_tokens_burst=1))
    limits.demo_token("192.0.2.1", START_MS)
    with pytest.raises(Refusal) as caught:
        limits.demo_token("192.0.2.1", START_MS + 500)
    assert caught.value.retry_after_ms == 1500
    limits.demo_token("192.0.2.1", START_MS + 2000)
