"""server/http/sessions.py: who is behind a request, and the tokens of forms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.accounts import sessions
from server.http.screens import screen
from server.http.sessions import STAFF, check_token, form_token, local_path, read_fields, require, visitor
from tests.support.services import FakeServices
from tests.support.web import application, browsing


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    made = FakeServices(tmp_path)
    yield made
    made.people.close()


def begin(services: FakeServices, holder: str = "a-1") -> str:
    return services.people.book.write_now(lambda tx: sessions.begin(tx, holder, services.people.session_policy))


async def who(request: Request) -> Response:
    """Tells what the request's cookies say."""
    found, staff = await visitor(request), await visitor(request, STAFF)
    assert await visitor(request) is found, "asked again, it is not read again"
    return JSONResponse({"viewer": found and found.holder, "staff": staff and staff.holder})


async def change(request: Request) -> Response:
    """Asks for the form token."""
    found = await visitor(request)
    check_token(request, found, request.headers.get("x-token", ""))
    return JSONResponse({})


async def token(request: Request) -> Response:
    """Gives one."""
    given = form_token(request, await visitor(request))
    response = JSONResponse({"token": given.token})
    given.keep(request, response)
    return response


async def mine(request: Request) -> Response:
    """For whoever is signed in."""
    return JSONResponse({"holder": (await require(request)).holder})


async def fields(request: Request) -> Response:
    """Reads a form."""
    return JSONResponse(await read_fields(request))


ROUTES = [
    screen("/who", who), screen("/change", change, "POST"), screen("/token", token), screen("/mine", mine),
    screen("/staff/who", who), screen("/fields", fields, "POST"),
]  # fmt: skip


async def test_viewers_and_staff_have_cookies_of_their_own(services: FakeServices) -> None:
    """One browser may be both; the one's cookie is not the other's; what is no cookie of ours is nobody."""
    viewer, staff = begin(services), begin(services, "staff:ann")
    async with browsing(application(services, ROUTES)) as client:
        for cookies, found in (
            ({}, (None, None)),
            ({"barrage_session": viewer}, ("a-1", None)),
            ({"barrage_session": viewer, "barrage_staff": staff}, ("a-1", "staff:ann")),
            ({"barrage_session": "x" * 43}, (None, None)),
            ({"barrage_session": "<x>"}, (None, None)),
        ):
            header = "; ".join(f"{name}={value}" for name, value in cookies.items())
            answer = (await client.get("/who", headers={"Cookie": header})).json()
            assert (answer["viewer"], answer["staff"]) == found
        assert (await client.get("/mine")).status_code == 401
        assert (await client.get("/mine", headers={"Cookie": f"barrage_session={viewer}"})).json() == {"holder": "a-1"}


async def test_use_is_written_once_a_minute(services: FakeServices) -> None:
    """A session lives on with use, and ends without."""
    cookie = begin(services)
    idle_ms = services.people.session_policy.idle_ms
    async with browsing(application(services, ROUTES), Cookie=f"barrage_session={cookie}") as client:
        services.clock_ms += idle_ms - 1
        assert (await client.get("/who")).json()["viewer"] == "a-1"
        services.clock_ms += idle_ms - 1
        assert (await client.get("/who")).json()["viewer"] == "a-1"
        services.clock_ms += idle_ms
        assert (await client.get("/who")).json()["viewer"] is None


async def test_a_form_token_is_good_in_its_own_browser(services: FakeServices) -> None:
    """Before signing in it is bound to a cookie that comes with it, afterwards to the session; other origins never fit."""
    viewer, other = begin(services), begin(services)
    async with browsing(application(services, ROUTES)) as client:
        anonymous = (await client.get("/token")).json()["token"]
        assert (await client.get("/token")).json()["token"] == anonymous, "the cookie stays"
        good = {"x-token": anonymous}
        assert (await client.post("/change", headers=good)).status_code == 200
        assert (await client.post("/change", headers={**good, "Origin": "http://site.example"})).status_code == 200
        assert (await client.post("/change", headers={**good, "Origin": "https://evil.example"})).status_code == 403
        assert (await client.post("/change", headers={**good, "Sec-Fetch-Site": "same-site"})).status_code == 403
        client.cookies.set("barrage_session", viewer, domain="site.example")
        assert (await client.post("/change", headers=good)).status_code == 403, "that was somebody else: nobody"
        own = (await client.get("/token")).json()["token"]
        assert (await client.post("/change", headers={"x-token": own})).status_code == 200
        client.cookies.clear()
        client.cookies.set("barrage_session", other, domain="site.example")
        assert (await client.post("/change", headers={"x-token": own})).status_code == 403
        client.cookies.clear()
        assert (await client.post("/change", headers=good)).status_code == 403


async def test_forms_are_read_with_bounds(services: FakeServices) -> None:
    """The first value of each field; other types, too many fields and what is not percent-encoded are refused."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    async with browsing(application(services, ROUTES)) as client:
        answer = await client.post("/fields", content="a=1&a=2&b=%E5%A5%BD&c=", headers=kind)
        assert answer.json() == {"a": "1", "b": "好", "c": ""}
        assert (await client.post("/fields", json={"a": 1})).status_code == 400
        assert (await client.post("/fields", content="&".join(f"a{n}=1" for n in range(60)), headers=kind)).status_code == 400
        assert (await client.post("/fields", content="a=é".encode(), headers=kind)).status_code == 400


@pytest.mark.parametrize("path", ["/", "/rooms/demo", "/account?x=1&y=/a", "/account#measures"])
def test_paths_of_this_site_may_be_led_on_to(path: str) -> None:
    """Plain paths."""
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "rooms", "//evil.example", "/\\evil", "https://evil.example", "/a b", "/\n", "/é", "/" + "x" * 400, '/"']
)
def test_nothing_else_may(path: str) -> None:
    """Whatever could be an address of another site, or markup."""
    assert local_path(path, "/here") == "/here"
