"""No other site acts in somebody's name: every route that changes something, taken from the route table itself.

A new route that changes something has to be protected, or to be named here with the reason why it needs no token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.attack import ELSEWHERE, SITE, Site, Way, site

NO_COOKIE: Final = {
    Way("POST", "/demo/token"): "asks no cookie who it is; JSON, which a form of another site cannot send",
    Way("POST", "/rooms/{room}/report"): "anonymous; taken from our own pages alone, by Origin and Sec-Fetch-Site",
}
"""Routes without a form token. Those of operators are told apart by their path: they take a bearer token, never a cookie."""


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with site(tmp_path, monkeypatch) as found:
        yield found


def protected(here: Site) -> list[Way]:
    """Routes that only a form of ours may reach."""
    return [way for way in here.ways() if way not in NO_COOKIE and not way.path.startswith("/api/operator/")]


def test_the_exceptions_are_routes(tmp_path: Path) -> None:
    """What is named as an exception exists, and is no page of accounts or staff."""
    for way in NO_COOKIE:
        assert not way.path.startswith(("/account", "/staff", "/api"))


async def test_a_form_of_ours_gets_through(here: Site) -> None:
    """With its token from our own site no route calls the form a stranger's: otherwise the tests below would show nothing."""
    ways = protected(here)
    assert len(ways) > 45
    assert set(NO_COOKIE) < set(here.ways())
    for way in ways:
        cookies = await here.everything()
        answer = await here.send(way, cookies, here.token(way, cookies), Origin=SITE, Sec_Fetch_Site="same-origin")
        refused = "form_expired" in answer.text or "too old or not from this site" in answer.text
        assert not refused or way.path in {"/account/welcome", "/account/guardian/code"}, (
            way
        )  # the forged proof is refused as such
        assert answer.status_code < 500, way


ATTACKS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("none", {"Origin": SITE}),
    ("none", {}),
    ("forged", {"Origin": SITE}),
    ("another session's", {"Origin": SITE}),
    ("another jar's", {"Origin": SITE}),
    ("own", {"Origin": ELSEWHERE}),
    ("own", {"Origin": "null"}),
    ("own", {"Origin": "http://site.example.evil.example"}),
    ("own", {"Origin": "http://site.example:81"}),
    ("own", {"Origin": SITE, "Sec-Fetch-Site": "cross-site"}),
    ("own", {"Origin": SITE, "Sec-Fetch-Site": "same-site"}),
)
"""Whose token a form carries, and where it says that it comes from."""


async def test_a_form_of_another_site_changes_nothing(here: Site) -> None:
    """Without the token of this very session, or sent from elsewhere with it, each route refuses and leaves everything as it was."""
    cookies, other = await here.everything(), await here.everything("a-2")
    jars = ("barrage_session", "barrage_staff", "barrage_form")
    crossed = {**cookies, **{jar: cookies[jars[index - 1]] for index, jar in enumerate(jars)}}
    before = here.stored()
    for way in protected(here):
        tokens = {
            "none": "", "forged": "A" * 43, "another session's": here.token(way, other), "another jar's": here.token(way, crossed),
            "own": here.token(way, cookies),
        }  # fmt: skip
        for whose, headers in ATTACKS:
            answer = await here.send(way, cookies, tokens[whose], **headers)
            assert answer.status_code == 403, (way, whose, headers, answer.status_code)
            assert "barrage_session" not in answer.headers.get("set-cookie", ""), way
    assert here.stored() == before
    assert await alive(here, cookies)


async def test_a_body_of_another_kind_changes_nothing(here: Site) -> None:
    """What a simple request of another site can carry, or JSON without the header, is taken by no route, token or not."""
    cookies = await here.everything()
    before = here.stored()
    for way in protected(here):
        body = f"form_token={here.token(way, cookies)}"
        for content_type in ("text/plain", "multipart/form-data; boundary=x", "application/json", ""):
            headers = {"Origin": SITE} | ({"Content-Type": content_type} if content_type else {})
            answer = await here.ask(way, cookies, headers, content=body)
            assert answer.status_code in {400, 403}, (way, content_type, answer.status_code)
    assert here.stored() == before
    assert await alive(here, cookies)


async def test_reading_changes_nothing(here: Site) -> None:
    """What links of other sites can open, as GET or HEAD, changes nothing but the access log of staff and letters that were seen."""
    cookies = await here.everything()
    before = here.stored()
    for url in here.reading():
        for method in ("GET", "HEAD"):
            answer = await here.ask(Way(method, url), cookies, {})
            assert answer.status_code < 500, url
    after = here.stored()
    assert {**after, "access_log": []} == {**before, "access_log": []}
    assert await alive(here, cookies)


async def test_operators_are_no_cookies(here: Site) -> None:
    """With every cookie, a form token, and a viewer's bearer token, no route of the operator interface answers."""
    cookies = await here.everything()
    viewer = here.services.tokens.issue("a-1", "小明", 60, now_ms=here.services.clock_ms)
    ways = [way for way in here.ways() if way.path.startswith("/api/operator/")]
    assert len(ways) > 8
    for way in ways:
        for headers in (
            {},
            {"Authorization": f"Bearer {viewer}"},
            {"Authorization": "Bearer"},
            {"Authorization": "Basic eDp5"},
        ):
            answer = await here.ask(way, cookies, headers, json={})
            assert (answer.status_code, answer.json()["code"]) == (401, "bad_token"), way


async def test_reports_are_taken_from_our_pages_alone(here: Site) -> None:
    """Nobody's browser is made to report something by another site; the demo's tokens are not for forms."""
    report, demo = Way("POST", "/rooms/{room}/report"), Way("POST", "/demo/token")
    for headers in (
        {"Origin": ELSEWHERE},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert (await here.ask(report, {}, headers, data={"reason": "A2"})).status_code == 403
    assert await here.services.reports(0, 10) == []
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await here.ask(demo, {}, {"Content-Type": content_type}, content='{"nickname": "x"}')
        assert answer.status_code == 400


async def test_one_persons_token_is_not_another_cookies(here: Site) -> None:
    """A token goes with one cookie: the viewer's does not serve for staff, a stranger's form cookie not for who is signed in."""
    cookies = await here.everything()
    staff_way, viewer_way = Way("POST", "/staff/sign-out"), Way("POST", "/account/sign-out")
    assert (await here.send(staff_way, cookies, here.token(viewer_way, cookies), Origin=SITE)).status_code == 403
    assert (await here.send(viewer_way, cookies, here.token(staff_way, cookies), Origin=SITE)).status_code == 403
    assert await alive(here, cookies)


async def alive(here: Site, cookies: dict[str, str]) -> bool:
    """Whether both sessions go on."""
    ways = (Way("GET", "/account/sign-in"), Way("GET", "/staff/keys"))
    answers = [await here.ask(way, cookies, {}) for way in ways]
    return [answer.status_code for answer in answers] == [303, 200]
