"""server/http/openapi.py: the description has each route of the server, and says what the routes do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from server.errors import CODES
from server.http import openapi
from server.http.openapi import describe
from server.http.operations_table import OPERATIONS, TAGS
from server.http.routes import web_app
from server.settings import Settings
from tests.support.services import FakeServices
from tests.support.web import application, browsing


@pytest.fixture
def web(tmp_path: Any) -> Iterator[Starlette]:
    """All routes of the server, over the services fake."""
    services = FakeServices(tmp_path)
    yield web_app(services)
    services.people.close()


def test_every_route_is_described(web: Starlette) -> None:
    """Each method of each route has its row, and behind each row there is a route. HEAD goes with GET."""
    routes = set()
    for route in web.routes:
        assert isinstance(route, Route)
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        routes |= {f"{method} {path}" for method in route.methods or () if method != "HEAD"}
    assert {f"{row.method} {row.path}" for row in OPERATIONS} == routes


def test_rows_are_sound() -> None:
    """Ids are unique, tags and refusal codes are known, each part of a path is a parameter, and what changes with a session takes
    the form token."""
    assert len({row.id for row in OPERATIONS}) == len(OPERATIONS)
    for row in OPERATIONS:
        assert row.tag in TAGS, row.path
        assert set(row.refusals) <= set(CODES), row.path
        assert len(set(row.refusals)) == len(row.refusals), row.path
        named = {each.name for each in row.parameters if each.place == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", row.path)), row.path
        if row.method != "GET":
            assert "session" not in row.security, row.path


def test_the_description_is_a_whole() -> None:
    """Version 3.1, every reference leads somewhere, and the public address is the server's."""
    found = describe("夜谈", "https://video.example")
    assert found["openapi"] == "3.1.0"
    assert found["servers"] == [{"url": "https://video.example"}]
    assert describe("x")["servers"] == [{"url": "/"}]
    schemas = found["components"]["schemas"]
    references = set(re.findall(r"#/components/schemas/(\w+)", str(found)))
    assert references <= set(schemas)
    assert set(schemas["Problem"]["required"]) == {"code", "message", "message_zh", "temporary", "detail"}
    say = found["paths"]["/rooms/{room}/comment"]["post"]
    assert "application/x-www-form-urlencoded" in say["requestBody"]["content"]
    assert say["responses"]["default"]["content"] == {"text/html": {}}
    rename = found["paths"]["/api/v1/account/nickname"]["post"]
    assert rename["security"] == [{"token": []}, {"session": [], "form": []}]
    assert "`nickname_taken`" in rename["responses"]["409"]["description"]


async def test_it_is_served(tmp_path: Any) -> None:
    """One address, for anyone; the site's name and public address stand in it."""
    services = FakeServices(tmp_path, Settings(site_name="夜谈", public_url="https://video.example"))
    async with browsing(application(services, openapi.routes)) as client:
        answers = [await client.get("/api/openapi.json") for _ in range(2)]
    assert answers[0].json()["info"]["title"] == "夜谈: HTTP interface"
    assert answers[0].content == answers[1].content
    assert answers[0].headers["access-control-allow-origin"] == "*"
