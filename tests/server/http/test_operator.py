"""server/http/operator.py (what the operations do is in tests/server/test_operations.py)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette

from server.accounts.identity import Tokens
from server.http import operator
from tests.support.services import START_MS, FakeServices
from tests.support.web import application, browsing

POSTS: dict[str, dict[str, Any]] = {
    "rooms": {"name": "new"},
    "mode": {"room": "demo", "mode": "closed"},
    "announcement": {"room": "demo", "text": "hi"},
    "removal": {"room": "demo", "seq": 1, "code": "L5", "basis": "b"},
    "restoration": {"room": "demo", "seq": 1, "code": "R1", "basis": "b"},
    "rebuild": {"room": "demo"},
}
GETS = ("rooms", "screened", "reports")


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    found.say("demo", "one")
    return found


@pytest.fixture
def app(services: FakeServices) -> Starlette:
    return application(services, operator.routes)


def bearer(services: FakeServices, token: str | None = None) -> str:
    return f"Bearer {services.tokens.issue_operator('alice', START_MS) if token is None else token}"


def bad_authorizations(services: FakeServices) -> list[str]:
    stranger = Tokens(secret=b"s" * 32, ring=None, id_key=b"i" * 32, operator_key=b"x" * 32)
    token = services.tokens.issue_operator("alice", START_MS)
    return [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {token}",
        token,
        bearer(services, token[:-4]),
        bearer(services, stranger.issue_operator("alice", START_MS)),
        bearer(services, services.tokens.issue("u1", "n", 60, now_ms=START_MS)),
        bearer(services, services.tokens.issue_operator("alice", START_MS - 100_000)),
    ]


async def test_nobody_gets_in_without_an_operators_token(app: Starlette, services: FakeServices) -> None:
    """Every route asks for the token before it looks at anything else, and nothing happens without a good one."""
    async with browsing(app) as client:
        for authorization in bad_authorizations(services):
            headers = {"Authorization": authorization}
            answers = [await client.post(f"/api/operator/{path}", json=body, headers=headers) for path, body in POSTS.items()]
            answers += [await client.get(f"/api/operator/{path}", headers=headers) for path in GETS]
            answers.append(await client.post("/api/operator/removal", content=b"{", headers=headers))
            assert {answer.status_code for answer in answers} == {401}, authorization
            assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert len(services.events("demo")) == 1
    assert [room.name for room in services.rooms()] == ["demo"]
    assert services.rebuilt == []


async def test_every_operation_has_a_route(app: Starlette, services: FakeServices) -> None:
    """With a good token each route does its work, and no answer is stored by a cache."""
    async with browsing(app, Authorization=bearer(services)) as client:
        for path, body in POSTS.items():
            answer = await client.post(f"/api/operator/{path}", json=body)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), path
        for path in GETS:
            answer = await client.get(f"/api/operator/{path}")
            assert (answer.status_code, list(answer.json())) == (200, [path])
    assert [event.kind for event in services.events("demo")] == ["comment", "notice", "notice", "removal", "restoration"]


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("removal", {"room": "demo", "seq": 0, "code": "L5", "basis": "b"}, "$.seq"),
        ("removal", {"room": "demo", "seq": "1", "code": "L5", "basis": "b"}, "$.seq"),
        ("removal", {"room": "demo", "seq": 1, "code": "L5"}, "basis"),
        ("removal", {"room": "demo", "seq": 1, "code": "L5", "basis": "b", "role": "reviewer"}, "role"),
        ("removal", {"room": "demo", "seq": 1, "code": "L5", "basis": "b", "key": "two words"}, "$.key"),
        ("mode", {"room": "demo", "mode": "gone"}, "$.mode"),
        ("rooms", {"name": "x", "kind": "radio"}, "$.kind"),
        ("rebuild", {}, "room"),
        ("rebuild", ["demo"], "array"),
    ],
)
async def test_a_body_that_does_not_fit_is_told(
    app: Starlette, services: FakeServices, path: str, body: Any, word: str
) -> None:
    """A missing, wrong or unknown field is a 400 that names it."""
    async with browsing(app, Authorization=bearer(services)) as client:
        answer = await client.post(f"/api/operator/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_message")
    assert word in answer.json()["detail"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=x"])
async def test_lists_are_bounded(app: Starlette, services: FakeServices, query: str) -> None:
    """A list answers at most its bound."""
    async with browsing(app, Authorization=bearer(services)) as client:
        for path in ("screened", "reports"):
            assert (await client.get(f"/api/operator/{path}?{query}")).status_code == 400


async def test_each_operation_leaves_a_line_without_what_was_said(app: Starlette, services: FakeServices) -> None:
    """The log tells which operation was done where; texts, bases and tokens are not in it."""
    authorization = bearer(services)
    with structlog.testing.capture_logs() as logs:
        async with browsing(app, Authorization=authorization) as client:
            await client.post("/api/operator/announcement", json={"room": "demo", "text": "canary-text"})
            await client.post("/api/operator/removal", json={**POSTS["removal"], "basis": "canary-basis"})
            await client.post("/api/operator/removal", json={**POSTS["removal"], "code": "bad"})
    assert [(line["operation"], line["room"], line["seq"]) for line in logs] == [("Announce", "demo", 2), ("Remove", "demo", 3)]
    assert "canary" not in str(logs)
    assert authorization.removeprefix("Bearer ") not in str(logs)


async def test_writing_is_not_done_by_reading(app: Starlette, services: FakeServices) -> None:
    """GET never changes anything."""
    async with browsing(app, Authorization=bearer(services)) as client:
        for path in set(POSTS) - set(GETS):
            assert (await client.get(f"/api/operator/{path}")).status_code == 405
