"""server/remote.py (what the operations do is in test_operations.py)"""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from server.operations import Announce
from server.remote import ServerUnreachable
from tests.support.services import FakeServices, fixed_tokens
from tests.support.web import operator_client


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


async def test_each_request_has_a_fresh_token(services: FakeServices) -> None:
    """The client signs each request anew, so that a long session does not run out."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"].removeprefix("Bearer "))
        return httpx.Response(200, json={"rooms": []})

    async with operator_client(services, handler) as found:
        assert await found.list_rooms() == []
    assert fixed_tokens().verify_operator(seen[0], int(time.time() * 1000)) == "alice"


async def test_a_server_that_does_not_answer_is_unreachable(services: FakeServices) -> None:
    """A refused connection is one sentence with the address."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with operator_client(services, handler) as found:
        with pytest.raises(ServerUnreachable, match=r"http://127.0.0.1:1 does not answer \(ConnectError\)"):
            await found.list_rooms()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>Bad gateway"),
        httpx.Response(404, json={"code": "no_such_code"}),
        httpx.Response(500, json=[]),
        httpx.Response(200, text="hello"),
        httpx.Response(200, json=[1]),
    ],
)
async def test_an_answer_of_something_else_is_unreachable(services: FakeServices, answer: httpx.Response) -> None:
    """Another program at that address is not taken for our server."""
    async with operator_client(services, lambda request: answer) as found:
        with pytest.raises(ServerUnreachable, match="not ours"):
            await found.announce(Announce(room="demo", text="x"))
