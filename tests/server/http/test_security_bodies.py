"""Bodies and cookies that nobody meant: whatever is sent to a route that changes something, the answer is no fault of the server."""

from __future__ import annotations

import base64
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.attack import SITE, Site, Way, site

JUNK: Final = (
    "%00",
    "%ED%A0%80",
    "%FF",
    "a%00b",
    "-1",
    "9" * 30,
    "../..",
    "%E2%80%AE",
    "%F0%9F%98%80" * 50,
    "%0D%0Ax:%20y",
    "%C2%AD",
)
"""NUL, half a character, bytes that are no UTF-8, numbers out of range, ways out of folders, controls; percent-encoded."""
FIELDS: Final = (
    "name", "code", "phone", "nickname", "measure", "words", "version", "sha256", "language", "request", "number", "basis",
    "category", "label", "rung", "term", "appeal", "outcome", "licence", "holder", "kind", "from", "until", "what", "role.admin",
    "purpose", "password", "again", "secret", "key", "method", "consent", "agree", "q0", "noticed", "topic", "action", "hold",
)  # fmt: skip
NESTED: Final = b'{"x":' + b"[" * 2000


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with site(tmp_path, monkeypatch) as found:
        yield found


async def test_whatever_stands_in_a_form(here: Site) -> None:
    """Each field of each form gets something that it is not for."""
    junk = itertools.cycle(JUNK)
    cookies = await here.everything()
    for way in here.ways():
        if not way.path.startswith(("/account", "/staff", "/rooms")):
            continue
        for _ in range(2):
            token = here.token(way, cookies)
            body = f"form_token={token}" + "".join(f"&{name}={next(junk)}" for name in FIELDS)
            headers = {"Origin": SITE, "Content-Type": "application/x-www-form-urlencoded"}
            answer = await here.ask(way, cookies, headers, content=body)
            assert answer.status_code < 500 or "verification_unavailable" in answer.text, (way, answer.text)
            if "barrage_s" in answer.headers.get("set-cookie", "") or way.path.endswith("/confirm"):
                cookies = await here.everything()  # signed out, or another session


async def test_whatever_stands_in_json(here: Site) -> None:
    """Bytes that are no UTF-8, in and outside of strings, nesting without end, numbers without end, another type."""
    person = here.services.tokens.issue("a-1", "小明", 60, now_ms=here.services.clock_ms)
    operator = here.services.tokens.issue_operator("root", here.services.clock_ms)
    cookies = await here.everything()
    bodies = [b'{"measure":"\xff","words":"\xc3"}', b'{"nickname":"\xff"}', b'"\xff"', b"\xff", NESTED, b"[" * 5000, b"9" * 5000,
              b'{"through":' + b"9" * 400 + b"}", b"null", b'{"id":"\\u0000","credential":{"id":"\\u0000"}}', b'{"room":"\xff"}',
              b'{"id":"x","credential":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}"]  # fmt: skip
    for way in here.ways():
        scripts = way.path.startswith(("/staff/passkey", "/staff/keys"))
        if way.method != "POST" or not (scripts or way.path.startswith(("/api", "/demo"))):
            continue
        token = operator if way.path.startswith("/api/operator") else person
        who = {"X-Barrage-Form-Token": here.token(way, cookies)} if scripts else {"Authorization": f"Bearer {token}"}
        for body in bodies:
            answer = await here.ask(way, cookies if scripts else {}, {**who, "Content-Type": "application/json"}, content=body)
            assert answer.status_code < 500, (way, body[:40], answer.text)


async def test_whatever_stands_in_a_cookie(here: Site) -> None:
    """What was written into the cookies between two steps counts as nothing; so does whatever is no cookie of ours."""
    cookies = await here.everything()
    contents = (b"\xff\xfe", b'{"ticket":"\xff"}', NESTED, b"[]", b'{"ticket":1}', b"9" * 2000)
    pages = {"barrage_flow": "/account/code", "barrage_guardian": "/account/guardian"}
    for content, (name, path) in itertools.product(contents, pages.items()):
        text = base64.urlsafe_b64encode(content).decode()
        answer = await here.ask(Way("GET", path), {**cookies, name: text}, {})
        assert answer.status_code < 500, (path, content[:20])
    back = "/account/oidc/one/callback?state=x&code=y"
    jars = {"barrage_session": "/account", "barrage_staff": "/staff", "barrage_staff_client": "/staff/sign-in", "lang": "/",
            "barrage_form": "/account/agreement", "barrage_login": back}  # fmt: skip
    for value, (name, path) in itertools.product(("=" * 50, "x" * 3000, "%00", '"', "A" * 43), jars.items()):
        answer = await here.ask(Way("GET", path), {**cookies, name: value}, {})
        assert answer.status_code < 500, (path, name, value[:20])
