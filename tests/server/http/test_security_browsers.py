"""What a browser is told: sessions that cannot be fixed, cookies out of reach, no way to another site, no frames, nothing stored."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import msgspec
import pyotp
import pytest

from server.accounts import sessions, staff
from server.http.account_sign_in import Flow
from tests.support.attack import PHONE, SITE, Site, Way, site
from tests.support.staff import PASSWORD, enrol

HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with site(tmp_path, monkeypatch) as found:
        yield found


async def fill_in(here: Site, page: str, action: str, **fields: str) -> httpx.Response:
    """Load a page and send a form with its token to ``action``, with the browser's own cookies."""
    hidden = hidden_fields((await here.client.get(page)).text)
    return await here.client.post(action, data={**hidden, **fields}, headers={"Origin": SITE})


def hidden_fields(page: str) -> dict[str, str]:
    """What the forms of a page send along."""
    found = {name: html.unescape(value) for name, value in HIDDEN.findall(page)}
    assert "form_token" in found
    return found


def keep(here: Site, name: str, value: str) -> None:
    """Put a cookie into the browser as a page of the site, or somebody with a foot in its domain, would."""
    here.client.cookies.set(name, value, domain="site.example", path="/staff" if "staff" in name else "/")


def value_of(answer: httpx.Response, name: str) -> str:
    """The value that an answer sets a cookie to; empty: it does not."""
    given = [each for each in answer.headers.get_list("set-cookie") if each.startswith(f"{name}=")]
    return given[0].split(";")[0].partition("=")[2] if given else ""


async def holder_of(here: Site, cookie: str) -> str:
    """Whose session a cookie's value opens; empty: nobody's."""
    found = await here.people.book.read(lambda connection: sessions.find(connection, cookie, here.people.clock_ms()))
    return found.holder if found is not None else ""


def totp(here: Site, name: str, *roles: str) -> pyotp.TOTP:
    """A member with a password; what their authenticator app holds."""
    return enrol(here.people.book, here.people.vault, name, *roles)


# -- sessions


async def sign_up(here: Site, phone: str = PHONE, nickname: str = "Lena") -> httpx.Response:
    """The way in to the end; the answer that signs in."""
    await fill_in(here, "/account/sign-in", "/account/sign-in", phone=phone)
    await fill_in(here, "/account/code", "/account/code", code=here.phones.code)
    return await fill_in(here, "/account/welcome", "/account/welcome", nickname=nickname, noticed="1")


async def test_a_planted_session_is_never_adopted(here: Site) -> None:
    """Signing in gives a new value: one that was planted, unknown or another person's, is nobody's afterwards."""
    unknown, anothers = sessions.new_cookie(), await here.session("a-2")
    keep(here, "barrage_session", unknown)
    mine = value_of(await sign_up(here), "barrage_session")
    assert mine not in {"", unknown}
    assert await holder_of(here, unknown) == ""
    account = await holder_of(here, mine)
    here.client.cookies.clear()
    keep(here, "barrage_session", anothers)
    here.services.clock_ms += 120_000
    ticket = await here.people.signup.start_phone(PHONE)
    keep(here, "barrage_flow", _flow(ticket.ticket))
    answer = await fill_in(here, "/account/code", "/account/code", code=here.phones.code)
    again = value_of(answer, "barrage_session")
    assert await holder_of(here, again) == account
    assert again not in {anothers, mine}
    assert await holder_of(here, anothers) == "", "whoever planted it does not share the session"


def _flow(ticket: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(Flow(ticket=ticket))).decode()


async def test_proving_more_changes_the_value(here: Site) -> None:
    """After a verification the session has another value, and the old one is worth nothing."""
    cookie = await here.session("a-1")
    keep(here, "barrage_session", cookie)
    await fill_in(here, "/account/verify", "/account/verify", method="phone", phone="13900139000")
    answer = await fill_in(here, "/account/code", "/account/code", code=here.phones.code)
    new = value_of(answer, "barrage_session")
    assert new not in {"", cookie}
    assert [await holder_of(here, each) for each in (cookie, new)] == ["", "a-1"]


async def test_a_planted_session_of_staff_is_never_adopted(here: Site) -> None:
    """At signing in and at each fresh factor; a viewer's cookie in staff's jar opens nothing, nor the other way round."""
    app = totp(here, "ann", "senior")
    planted = await here.session("staff:eve")
    keep(here, "barrage_staff", planted)
    code = app.at(here.services.clock_ms // 1000)
    answer = await fill_in(here, "/staff/sign-in", "/staff/sign-in", name="ann", password=PASSWORD, code=code)
    first = value_of(answer, "barrage_staff")
    assert (await holder_of(here, first), await holder_of(here, planted)) == ("staff:ann", "")
    code = app.at(here.services.clock_ms // 1000 + 30)
    answer = await fill_in(here, "/staff/confirm", "/staff/confirm", code=code)
    second = value_of(answer, "barrage_staff")
    assert (await holder_of(here, second), await holder_of(here, first)) == ("staff:ann", "")
    viewer = await here.session("a-1")
    for way, jar, value in (("/staff", "barrage_staff", viewer), ("/account", "barrage_session", second)):
        answer = await here.ask(Way("GET", way), {jar: value}, {})
        assert answer.status_code == 303, way
        assert "/sign-in" in answer.headers["location"]


async def test_an_ended_session_opens_nothing(here: Site) -> None:
    """After signing out, signing out everywhere, being disabled, and erasure, the value is nobody's on every page and answer."""
    for way, fields in (("/account/sign-out", {}), ("/account/sign-out", {"all": "1"}), ("/account/privacy/again", {})):
        cookies = {"barrage_session": await here.session("a-1")}
        token = sessions.form_token(here.people.form_key, cookies["barrage_session"])
        await here.ask(Way("POST", way), cookies, {"Origin": SITE}, data={"form_token": token, **fields})
        assert (await here.ask(Way("GET", "/api/v1/account/standing"), cookies, {})).status_code == 401
    cookies = {"barrage_session": await here.session("a-1"), "barrage_staff": await here.session("staff:eve")}
    await here.services.custody.erase("a-1", remove_comments=False, actor="a-1", role="person")
    totp(here, "bob", "admin")
    await here.people.book.write(lambda tx: staff.disable(tx, "eve", actor="staff:bob", role="admin"))
    assert (await here.ask(Way("GET", "/api/v1/account/standing"), cookies, {})).status_code == 401
    assert (await here.ask(Way("GET", "/staff/keys"), cookies, {})).status_code == 303


async def test_a_token_of_an_erased_account_changes_nothing(here: Site) -> None:
    """The player's token outlives the session by minutes: with it nothing of a closed account can be signed, named or appealed."""
    token = here.services.tokens.issue("a-1", "小明", 900, now_ms=here.services.clock_ms)
    await here.services.custody.erase("a-1", remove_comments=False, actor="a-1", role="person")
    before = here.stored()
    text = here.people.agreements.current().text("en")
    bodies: dict[str, dict[str, Any]] = {
        "/api/v1/account/agreement": {"version": text.version, "sha256": text.sha256, "language": "en"},
        "/api/v1/account/nickname": {"nickname": "Lena"},
        "/api/v1/account/appeals": {"measure": "m-1", "words": "please"},
        "/api/v1/account/letters/read": {"through": 1},
    }
    for path, body in bodies.items():
        answer = await here.ask(Way("POST", path), {}, {"Authorization": f"Bearer {token}"}, json=body)
        assert answer.status_code in {200, 403, 404, 410}, (path, answer.text)
    assert here.stored() == before


async def test_an_account_begins_with_the_notice_in_force(here: Site) -> None:
    """A form that carries another text of the privacy notice than the present one makes no account, and shows the present one."""
    await fill_in(here, "/account/sign-in", "/account/sign-in", phone=PHONE)
    await fill_in(here, "/account/code", "/account/code", code=here.phones.code)
    before = here.stored()
    for changes in ({"notice": "0" * 64}, {"notice": ""}, {"language": "tlh"}):
        answer = await fill_in(here, "/account/welcome", "/account/welcome", nickname="Lena", noticed="1", **changes)
        assert answer.status_code == 403
        assert value_of(answer, "barrage_session") == ""
    assert here.stored() == before


async def test_no_token_speaks_for_staff(here: Site) -> None:
    """A platform's token whose subject reads like a member of staff is none: it neither lists nor ends the member's sessions."""
    cookie = await here.session("staff:eve")
    for subject in ("staff:eve", "operator:root", "guardian:a-1"):
        token = here.services.tokens.issue(subject, "x", 60, now_ms=here.services.clock_ms)
        headers = {"Authorization": f"Bearer {token}"}
        assert (await here.ask(Way("GET", "/api/v1/account/sessions"), {}, headers)).json()["code"] == "bad_token"
        way = Way("DELETE", f"/api/v1/account/sessions/{sessions.id_of(cookie)}")
        assert (await here.ask(way, {}, headers)).status_code == 401
    assert await holder_of(here, cookie) == "staff:eve"


# -- cookies


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_script_and_no_other_site_gets_a_cookie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Each cookie of every step is HttpOnly and SameSite, Secure where the site is reached by https, and bound to no domain."""
    async with site(tmp_path, monkeypatch, public_url=f"{scheme}://site.example") as here:
        seen: list[str] = []

        async def note(answer: httpx.Response) -> None:
            seen.extend(answer.headers.get_list("set-cookie"))

        app = totp(here, "ann", "senior")
        here.client.event_hooks["response"] = [note]
        for page, action, fields in (
            ("/account/sign-in", "/account/sign-in", {"phone": PHONE}),
            ("/account/code", "/account/code", {"code": "?"}),
            ("/account/welcome", "/account/welcome", {"nickname": "Lena", "noticed": "1"}),
            ("/staff/sign-in", "/staff/sign-in", {"name": "ann", "password": PASSWORD}),
        ):
            if fields.get("code") == "?":
                fields = {"code": here.phones.code}
            if "password" in fields:
                fields = {**fields, "code": app.at(here.services.clock_ms // 1000)}
            hidden = hidden_fields((await here.client.get(page, headers=_cookies(seen, page))).text)
            headers = {**_cookies(seen, action), "Origin": SITE}
            await here.client.post(action, data={**hidden, **fields}, headers=headers)
        names = {each.partition("=")[0] for each in seen}
        assert {"barrage_session", "barrage_staff", "barrage_staff_client", "barrage_form", "barrage_flow"} <= names
        for cookie in seen:
            flags = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert "httponly" in flags, cookie
            assert {"samesite=lax", "samesite=strict"} & flags, cookie
            assert ("secure" in flags) == (scheme == "https"), cookie
            assert not any(flag.startswith("domain") for flag in flags), cookie
            if "staff" in cookie.partition("=")[0]:
                assert {"samesite=strict", "path=/staff"} <= flags, cookie


def _cookies(seen: list[str], path: str) -> dict[str, str]:
    """What was set, sent back by hand: the client keeps Secure cookies from a site without encryption."""
    kept = {}
    for each in seen:
        name, _, value = each.split(";")[0].partition("=")
        if path.startswith("/staff") or "staff" not in name:
            kept[name] = value
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}


# -- where one is led


EVIL: Final = (
    "//evil.example", "///evil.example", "////evil.example", "https://evil.example", "https:evil.example", "https:/evil.example",
    "/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil.example",
    " //evil.example",
    "/\r\nLocation: https://evil.example", "javascript:alert(1)", "data:text/html,x", "evil.example", "@evil.example", "?x", "#x", "",
    "/%5cevil.example\\", "/\u2028/evil.example", "/\u3000evil", "/<script>", "x" * 400, "/" + "x" * 400, "/\x00/evil.example",
    "/\x7f/evil", "http:///evil.example", "//site.example@evil.example", "/\u00a0/evil.example", "\u2215\u2215evil.example",
)  # fmt: skip
"""Places of others, as somebody may write them, and what is no address at all."""


def is_here(location: str) -> bool:
    """Whether a browser that is led there stays on the site. Browsers drop tabs and newlines, and take backslashes for slashes."""
    plain = re.sub(r"[\t\r\n]", "", location).strip().replace("\\", "/")
    return plain == location and location.startswith("/") and urlsplit(urljoin(SITE, plain)).netloc == "site.example"


async def test_nobody_is_led_to_another_site(here: Site) -> None:
    """Wherever a place to return to is given, in a query, a form or a cookie, the answer leads to a place of this site."""
    cookies = await here.everything()
    reading = (
        "/account/sign-in",
        "/account/verify",
        "/account/lesson",
        "/account/agreement",
        "/staff/sign-in",
        "/staff/confirm",
    )
    for evil in EVIL:
        for path in reading:
            here.client.cookies.clear()
            check_leads(await here.client.get(path, params={"return": evil}, headers=_header(cookies)), evil)
        for path, fields in (("/account/sign-in", {"phone": "12"}), ("/account/lesson", {"q0": "1", "q1": "0", "q2": "2"})):
            way = Way("POST", path)
            data = {"form_token": here.token(way, cookies), "return": evil, **fields}
            check_leads(await here.ask(way, cookies, {"Origin": SITE}, data=data), evil)
        flow = Flow(return_to=evil, ticket="x", proof="x")
        text = base64.urlsafe_b64encode(msgspec.json.encode(flow)).decode()
        check_leads(await here.ask(Way("GET", "/account/code"), {"barrage_flow": text}, {}), evil)
    for evil in EVIL[:6]:
        cookies["barrage_session"] = await here.session("a-1")
        way = Way("POST", "/account/sign-out")
        data = {"form_token": here.token(way, cookies), "return": evil}
        check_leads(await here.ask(way, cookies, {"Origin": SITE}, data=data), evil)
        cookies["barrage_staff"] = await here.session("staff:eve")
        stale = {**cookies, "barrage_staff": await old_session(here)}
        answer = await here.ask(Way("POST", "/staff/licences"), stale, {"Origin": SITE, "Referer": evil}, data={"x": ""})
        assert answer.headers["location"].startswith("/staff/confirm?return=")
        check_leads(answer, evil)


async def old_session(here: Site) -> str:
    """A session of staff whose last proof is long ago."""
    return await here.people.book.write(lambda tx: sessions.begin(tx, "staff:eve", here.people.desk.policy))


def check_leads(answer: httpx.Response, evil: str) -> None:
    """Every way on that an answer names is one of this site."""
    assert answer.status_code < 500
    ways = [answer.headers.get("location", "/"), *re.findall(r'name="return" value="([^"]*)"', answer.text)]
    ways += [link for link in re.findall(r'<a[^>]* href="([^"]*)"', answer.text) if "evil" in link]
    for way in ways:
        assert is_here(html.unescape(way)), (str(answer.url), evil, way)
        query = dict(parse_qsl(urlsplit(html.unescape(way)).query))
        assert "lang" in query or is_here(query.get("return", "/")), (str(answer.url), evil, way)


def _header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


# -- what pages say to browsers


@pytest.mark.parametrize("frame_ancestors", [("'self'",), ("*",), ("https://platform.example",)])
async def test_pages_take_no_foreign_code_and_no_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame_ancestors: tuple[str, ...]
) -> None:
    """Every page names what it may load, nothing inline; rooms are framed by whom the setting names, accounts and staff by nobody.
    Personal pages and answers are stored nowhere, refusals included."""
    async with site(tmp_path, monkeypatch, frame_ancestors=frame_ancestors) as here:
        for cookies in ({}, await here.everything()):
            pages = 0
            for url in here.reading():
                answer = await here.ask(Way("GET", url), cookies, {})
                private = url.startswith(("/account", "/staff"))
                personal = private or url.startswith(("/api/v1/account", "/api/operator"))
                if personal or (cookies and url == "/rooms/demo"):
                    assert "no-store" in answer.headers["cache-control"], url
                if not answer.headers.get("content-type", "").startswith("text/html"):
                    assert answer.headers.get("x-content-type-options") == "nosniff", url
                    continue
                pages += 1
                check_page(answer, "'none'" if private else " ".join(frame_ancestors))
            assert pages > (10 if not cookies else 25)


def check_page(answer: httpx.Response, framed_by: str) -> None:
    """The headers of one page."""
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == framed_by, answer.url
    assert (policy["base-uri"], policy["form-action"], policy["script-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert not re.search(
        r"<script(?![^>]*(?:\bsrc=|type=\"application/json\"))|\son\w+=|javascript:|<style|\sstyle=", answer.text
    ), answer.url


async def test_what_somebody_typed_is_text(here: Site) -> None:
    """A form that comes back shows what was typed as text, whatever it is."""
    cookies = await here.everything()
    typed = "\"><script>alert(1)</script>'{{7*7}}"
    for path, field in (("/account/nickname", "nickname"), ("/account/sign-in", "phone"), ("/account/appeals", "words")):
        way = Way("POST", path)
        data = {"form_token": here.token(way, cookies), field: typed, "measure": typed}
        answer = await here.ask(way, cookies, {"Origin": SITE}, data=data)
        assert "<script>alert" not in answer.text, path
    for url in (f"/account/sign-in?return={typed}", f"/staff/sign-in?return={typed}", f"/?x={typed}&lang=en"):
        assert "<script>alert" not in (await here.client.get(url)).text
