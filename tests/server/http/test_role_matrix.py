"""Every route of the application x every role: who gets in. The routes are those of the application itself.

What is expected comes from one place each: the rules of staff's routes, and for all others :data:`AUDIENCES`. A route that stands in
neither fails here, and so does a row without a route. Handlers of staff are replaced by one that says that somebody arrived; all
others are the real ones, asked with nothing in the form or message but what proves who asks.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.accounts import nicknames, sessions, tables
from server.accounts import staff as members
from server.accounts.book import Transaction
from server.accounts.staff import ROLES, StaffRole
from server.errors import CODES
from server.http import staff
from server.http.routes import web_app
from server.http.staff import RULES
from server.http.staff_door import Rule, route
from tests.support.accounts import person
from tests.support.services import FakeServices
from tests.support.staff import compiled_views
from tests.support.web import browsing

Audience = Literal["all", "person", "account", "operator", "midway"]
"""``all``: anybody. ``person``: who is signed in here. ``account``: a person, or an account of a host platform by its token.
``operator``: an operator's token. ``midway``: a second step, for whose browser has taken the first; nobody here has."""

AUDIENCES: Final[dict[Audience, str]] = {
    "all": """
        GET /  GET /rooms/{room}  GET /rooms/{room}/comments/  GET /rooms/{room}/comments/{name}
        GET /rooms/{room}/report  POST /rooms/{room}/report  GET /reports  GET /reports/{receipt}
        GET /transparency  GET /transparency/{month}  GET /transparency/{month}.json  GET /transparency/draws/{day}.json
        GET /healthz  GET /readyz  GET /metrics  GET /favicon.ico  GET /assets/{path:path}
        GET /api/openapi.json  GET /api/rooms  GET /api/rooms/{room}  GET /api/rooms/{room}/events  GET /api/rooms/{room}/stream
        GET /ws  GET /api/v1/agreement  GET /api/v1/agreement/text  GET /api/v1/credit  GET /api/signing-key  POST /demo/token
        GET /account/sign-in  POST /account/sign-in  POST /account/oidc/{provider}  GET /account/oidc/{provider}/callback
        GET /account/agreement  GET /account/credit  GET /account/privacy  POST /account/sign-out
    """,
    "person": """
        GET /account  POST /account/nickname  POST /account/appeals  GET /account/statements/{measure}  POST /account/sessions
        GET /account/verify  POST /account/verify  POST /account/agreement  GET /account/lesson  POST /account/lesson
        POST /account/privacy  POST /account/privacy/consent  POST /account/privacy/again  POST /account/privacy/copy
        POST /account/privacy/erase  GET /account/guardian  POST /account/guardian
        GET /account/public  POST /account/public  POST /account/public/withdraw
        GET /account/rooms  GET /account/rooms/{room}  POST /account/rooms/{room}/mode  POST /account/rooms/{room}/remove
        POST /rooms/{room}/comment  POST /api/v1/session/token
    """,
    "account": """
        GET /api/v1/account/standing  POST /api/v1/account/agreement  GET /api/v1/account/letters
        POST /api/v1/account/letters/read  GET /api/v1/account/appeals  POST /api/v1/account/appeals
        POST /api/v1/account/nickname  GET /api/v1/account/sessions  DELETE /api/v1/account/sessions/{session}
    """,
    "operator": """
        GET /api/operator/rooms  GET /api/operator/screened  GET /api/operator/reports  GET /api/operator/rules
        POST /api/operator/rooms  POST /api/operator/mode  POST /api/operator/site-mode  POST /api/operator/owner
        POST /api/operator/announcement  POST /api/operator/removal  POST /api/operator/restoration  POST /api/operator/rebuild
        POST /api/operator/account  POST /api/operator/review  POST /api/operator/authority  POST /api/operator/rules
        POST /api/operator/rules/rollback  POST /api/operator/rules/emergency
    """,
    "midway": """
        GET /account/code  POST /account/code  GET /account/welcome  POST /account/welcome  POST /account/guardian/code
    """,
}  # fmt: skip

ROLES_OF_ALL: Final = ("nobody", "person", "platform", "operator token", *get_args(StaffRole), "disabled member")
NOT_FOR_THEM: Final = ("sign_in_required", "bad_token", "token_expired", "forbidden", "form_expired")
_NUMBERS: Final = itertools.count(1)


def declared() -> dict[tuple[str, str], Audience]:
    """The table, by method and path."""
    words = {audience: iter(text.split()) for audience, text in AUDIENCES.items()}
    return {(method, path): audience for audience, each in words.items() for method, path in zip(each, each, strict=True)}


def may(audience: Audience | Rule, role: str) -> bool:
    """Who is let in, by the table or a rule of staff."""
    if isinstance(audience, Rule):
        if audience.needs in ("open", "own"):
            return audience.needs == "open" or role in ROLES
        return role in ROLES and audience.needs in ROLES[role]
    allowed: dict[Audience, tuple[str, ...]] = {
        "all": ROLES_OF_ALL, "person": ("person",), "account": ("person", "platform"), "operator": ("operator token",), "midway": (),
    }  # fmt: skip
    return role in allowed[audience]


async def arrived(request: Request) -> Response:
    return Response(status_code=204)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    """One application for all roles, with a room."""
    found = FakeServices(tmp_path)
    found.add_room("demo")
    yield found
    await found.end()


class Asker:
    """Somebody of a role. A person is a new one for each request, so that no request spoils the next."""

    def __init__(self, services: FakeServices, client: httpx.AsyncClient, role: str) -> None:
        self._services = services
        self._client = client
        self._role = role
        self._known: dict[str, str] = {}

    async def ask(self, method: str, path: str) -> httpx.Response:
        """Send a request with what proves who asks, the token of a page's form, and nothing else."""
        if not self._known or self._role == "person":
            self._known = await self._proof()
        path = path.replace("{room}", "nowhere" if path.endswith("/stream") else "demo").replace("{month}", "2026-09")
        path = path.replace("{path:path}", "none").replace("{", "").replace("}", "")
        body: dict[str, Any] = {}
        if method != "GET":
            token = self._known["X-Barrage-Form-Token"]
            body = {"json": {}} if path.startswith("/api") else {"data": {"form_token": token}}
        return await self._client.request(method, path, headers=self._known | {"Accept-Language": "en"}, **body)

    async def _proof(self) -> dict[str, str]:
        """Headers that prove the role; the token of forms is that of the page that such a browser would have got."""
        people, stranger = self._services.people, sessions.new_cookie()
        headers = {"Cookie": f"barrage_form={stranger}", "X-Barrage-Form-Token": sessions.form_token(people.form_key, stranger)}
        tokens, now_ms = self._services.tokens, self._services.clock_ms
        if self._role == "nobody":
            return headers
        if self._role == "platform":
            return headers | {"Authorization": f"Bearer {tokens.issue('h-1', '小明', 600, now_ms=now_ms)}"}
        if self._role == "operator token":
            return headers | {"Authorization": f"Bearer {tokens.issue_operator('root', now_ms)}"}
        cookie = await people.book.write(self._enter)
        if self._role != "person":
            return headers | {"Cookie": f"{headers['Cookie']}; barrage_staff={cookie}"}
        return {"Cookie": f"barrage_session={cookie}", "X-Barrage-Form-Token": sessions.form_token(people.form_key, cookie)}

    def _enter(self, tx: Transaction) -> str:
        """Make the person or member, with a session."""
        people, name = self._services.people, f"{self._role.partition(' ')[0]}-{next(_NUMBERS)}"
        if self._role == "person":
            person(tx, name)
            nicknames.take(tx, name, name)
            self._services.change_room("demo", owner=name)
            return sessions.begin(tx, name, people.session_policy)
        roles = (self._role,) if self._role in ROLES else get_args(StaffRole)
        members.add(tx, name, roles, people.vault, actor="operator:x", role="operator")
        if self._role not in ROLES:
            tx.sql.execute(tables.staff.update().where(tables.staff.c.name == name).values(disabled_ms=1))
        return sessions.begin(tx, f"staff:{name}", people.desk.policy, stepped_up=True)


def let_in(answer: httpx.Response) -> bool:
    """Whether somebody got to what they asked for: neither refused as one who may not, nor led to where one signs in (but for who was
    signed out by what they asked for). Other refusals tell that somebody was there, as that of an agreement that is not signed."""
    if answer.status_code == 303 and answer.headers["location"].startswith(("/account/sign-in", "/staff/sign-in")):
        return "barrage_session=" in answer.headers.get("set-cookie", "")
    return answer.status_code not in (401, 403) or not any(
        CODES[name].en in html.unescape(answer.text) for name in NOT_FOR_THEM
    )


def methods_of(found: Any) -> Iterator[tuple[str, str]]:
    """What a route answers to, by method and path. A route of another kind, such as a mount, would hide routes: it is told."""
    assert isinstance(found, Route), f"{found!r} is no route with a method: the matrix cannot see into it"
    for method in sorted((found.methods or {"GET"}) - {"HEAD"}):
        yield method, found.path


def test_every_route_has_a_rule_or_a_row(services: FakeServices) -> None:
    """Of the routes of the application each has one; and there is no row for what is no route, nor a rule that nobody reaches."""
    under = {(rule.method, rule.path) for rule in RULES}
    there = [each for found in web_app(services).routes for each in methods_of(found)]
    assert len(set(there)) == len(there)
    assert set(there) - under == set(declared())
    assert under <= set(there)
    assert len(declared()) == sum(len(text.split()) // 2 for text in AUDIENCES.values()), "a row stands twice"
    assert not [path for _, path in declared() if path.startswith(("/staff", "/api/operator")) and declared()[_, path] == "all"]


@pytest.mark.parametrize("role", ROLES_OF_ALL)
async def test_every_route_lets_in_whom_it_is_for_and_nobody_else(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    """All routes as one role: nobody, a person, a platform's and an operator's token, each role of staff, a disabled member."""
    monkeypatch.setattr(staff, "routes", [route(rule._replace(handler=arrived)) for rule in RULES])
    app = web_app(services)
    app.state.views = compiled_views()
    expected: dict[tuple[str, str], Audience | Rule] = {**declared(), **{(rule.method, rule.path): rule for rule in RULES}}
    wrong = []
    async with browsing(app) as client:
        asker = Asker(services, client, role)
        for method, path in (each for found in app.routes for each in methods_of(found)):
            client.cookies.clear()
            answer = await asker.ask(method, path)
            assert answer.status_code < 500 or path == "/readyz", (method, path, answer.text)
            if let_in(answer) != may(expected[method, path], role):
                wrong.append((method, path, answer.status_code, answer.headers.get("location", "")))
    assert wrong == []


async def test_metrics_are_for_the_networks_of_the_settings(services: FakeServices) -> None:
    """From elsewhere there are none; the table above is asked from the server's own machine."""
    app = web_app(services)
    async with browsing(app, "203.0.113.9") as client:
        assert (await client.get("/metrics")).status_code == 404
