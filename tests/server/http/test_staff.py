"""server/http/staff.py and staff_door.py: how routes of staff are guarded. Who gets to which of them: test_role_matrix.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import sessions, staff, tables
from server.accounts.staff import STEP_UP, STEP_UP_MS, Action, StaffRole
from server.http import staff as staff_routes
from server.http.routes import web_app
from server.http.staff import RULES
from server.http.staff_door import Rule, staff_path
from server.http.staff_queue import ITEM_ACTIONS
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk

OPEN = {"/staff/sign-in", "/staff/enrol", "/staff/passkey/begin", "/staff/passkey"}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    yield found
    found.people.close()


async def arrived(request: Request) -> Response:
    return Response(status_code=204)


@pytest.fixture
async def door(services: FakeServices) -> AsyncIterator[Desk]:
    """The rules of all routes, with a handler that only says that somebody got to it."""
    async with staff_desk(services, [rule._replace(handler=arrived) for rule in RULES]) as found:
        yield found


async def ask(door: Desk, rule: Rule) -> httpx.Response:
    path = rule.path.replace("{account}", "a-1")
    return await door.client.request(rule.method, path)


async def test_who_is_not_signed_in_is_led_to_the_door(door: Desk) -> None:
    """Of all routes only those of signing in are open; scripts are told so by a status."""
    for rule in RULES:
        answer = await ask(door, rule)
        if rule.path in OPEN:
            assert answer.status_code == 204, rule
        else:
            assert answer.status_code == 303, rule
            assert answer.headers["location"].startswith("/staff/sign-in?return=/staff")
    assert {rule.path for rule in RULES if rule.needs == "open"} == OPEN
    assert (await door.send("/staff/keys/begin", {})).status_code == 401


async def test_a_sensitive_route_asks_for_a_fresh_factor(door: Desk, services: FakeServices) -> None:
    """Without one, and after five minutes, it leads to the confirmation and back to the page of the form."""
    await door.enter("boss", *get_args(StaffRole), fresh=False)
    for rule in RULES:
        answer = await ask(door, rule)
        assert answer.status_code == (303 if rule.needs in STEP_UP else 204), rule
    sent = await door.client.post(
        "/staff/accounts/a-1/measures", headers={"Referer": "http://site.example/staff/accounts/a-1?x=1"}
    )
    assert sent.headers["location"] == "/staff/confirm?return=/staff/accounts/a-1"
    await door.enter("boss")
    services.clock_ms += STEP_UP_MS
    assert (await door.client.post("/staff/licences")).status_code == 303


def test_every_route_of_staff_has_a_rule(services: FakeServices) -> None:
    """A route under /staff that is made in another way fails here; each action has a rule."""
    under = [route for route in web_app(services).routes if getattr(route, "path", "").startswith("/staff")]
    assert under == staff_routes.routes
    assert len({(rule.path, rule.method) for rule in RULES}) == len(RULES) == len(under)
    used = {rule.needs for rule in RULES} | set(staff.RUNG_ACTIONS.values()) | set(ITEM_ACTIONS.values())
    assert set(get_args(Action)) <= used
    assert used <= {*get_args(Action), "open", "own"}


async def test_duty_p3_an_inspector_reads_and_writes_nothing(door: Desk) -> None:
    """Beyond the inspector's own keys, the only routes that let an inspector in are those of inspections, which show what lies within
    a scope, and the provider's own licences and assessments; none of them writes."""
    await door.enter("guest", "inspector")
    for rule in RULES:
        if rule.needs not in ("open", "own"):
            answer = await ask(door, rule)
            shown = rule.method == "GET" and rule.path.startswith(("/staff/inspections", "/staff/licences", "/staff/features"))
            assert (answer.status_code == 204) == shown, rule


async def test_a_viewers_session_is_none_of_staff(door: Desk, services: FakeServices) -> None:
    """Nor is the session of a member who was disabled, or is gone."""
    policy = services.people.desk.policy
    cookie = await services.people.book.write(lambda tx: sessions.begin(tx, "a-1", policy))
    door.client.cookies.set("barrage_staff", cookie, domain="site.example", path="/staff")
    assert (await door.get("/staff")).status_code == 303
    cookie = await services.people.book.write(lambda tx: sessions.begin(tx, "staff:ghost", policy))
    door.client.cookies.clear()
    door.client.cookies.set("barrage_staff", cookie, domain="site.example", path="/staff")
    assert (await door.get("/staff")).status_code == 303
    await door.enter("ann", "reviewer")
    assert (await door.get("/staff")).status_code == 204
    await services.people.book.write(lambda tx: tx.sql.execute(tables.staff.update().values(disabled_ms=1)))
    assert (await door.get("/staff")).status_code == 303


def test_only_paths_of_staff_are_led_to() -> None:
    """Whatever a link or a header says."""
    for text in ("", "/account", "//evil.example", "https://evil.example/staff", "/staff\\x", "/rooms/demo"):
        assert staff_path(text) == "/staff"
    assert staff_path("/staff/vault") == "/staff/vault"
