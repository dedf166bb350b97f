"""server/http/account_sign_in.py: the way in without script, and out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts import nicknames, sessions
from server.accounts.oidc import Providers
from server.errors import CODES, Refusal
from server.settings import Settings
from tests.support.accounts import Clock
from tests.support.guest import Guest, guest, member
from tests.support.oidc import FakeProvider

PHONE = "13800138000"


@pytest.fixture
async def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    async with guest(tmp_path, monkeypatch) as made:
        yield made


async def sign_up(ann: Guest, nickname: str = "小明", phone: str = PHONE, come_from: str = "/rooms/demo") -> None:
    """Phone, code, nickname."""
    await ann.get(f"/account/sign-in?return={come_from}")
    await ann.send("/account/sign-in", phone=phone)
    await ann.send("/account/code", code=ann.phones.code)
    await ann.send("/account/welcome", nickname=nickname, noticed="1")


async def cookie_of(ann: Guest) -> str:
    found = ann.client.cookies.get("barrage_session")
    assert found is not None
    return found


async def test_duty_p5_1_a_newcomer_goes_in_without_script(ann: Guest) -> None:
    """From the room: phone, code, nickname, agreement, lesson, and back in the room with a form to write in."""
    await ann.get("/rooms/demo")
    assert 'href="/account/sign-in?return=/rooms/demo"' in ann.page
    await sign_up(ann)
    assert ann.path == "/account/agreement?return=/rooms/demo"
    await ann.send("/account/agreement", agree="1")
    assert ann.path == "/account/lesson?return=/rooms/demo"
    await ann.send("/account/lesson", q0="1", q1="0", q2="2")
    assert ann.path == "/rooms/demo"
    await ann.send("/rooms/demo/comment", text="大家好")
    assert ann.path == "/rooms/demo?said=1"
    assert [event.text for event in ann.services.events("demo")] == ["大家好"]
    assert ann.services.events("demo")[0].author_name == "小明"
    session = ann.people.book.read_now(
        lambda connection: sessions.find(connection, ann.client.cookies["barrage_session"], ann.people.clock_ms())
    )
    assert session is not None
    standing = await ann.standing(session.holder)
    assert (standing.verified, standing.agreement, standing.privacy) == ("phone", "1", ann.people.notice.version)
    assert PHONE not in ann.page


async def test_whoever_has_an_account_goes_straight_in(ann: Guest) -> None:
    """The code of a known number signs in to its account; nothing is asked twice."""
    await sign_up(ann)
    await ann.send("/account/agreement", agree="1")
    await ann.send("/account/lesson", q0="1", q1="0", q2="2")
    await ann.get("/account")
    await ann.send("/account/sign-out")
    assert ann.path == "/"
    ann.services.clock_ms += 120_000
    await ann.get("/account/sign-in?return=/rooms/demo")
    await ann.send("/account/sign-in", phone=PHONE)
    await ann.send("/account/code", code=ann.phones.code)
    assert ann.path == "/rooms/demo"
    assert "小明" in ann.page
    await ann.get("/account/sign-in?return=/rooms/demo")
    assert ann.path == "/rooms/demo", "whoever is signed in is led on"


async def test_mistakes_are_told_in_the_form(ann: Guest) -> None:
    """A number that is none, a wrong code, no tick at the notice, and a nickname that is taken; the text is kept."""
    await ann.people.book.write(lambda tx: member(tx, "a-9", "Momo"))
    await ann.get("/account/sign-in")
    await ann.send("/account/sign-in", phone="12")
    assert (ann.status, ann.problem) == (422, CODES["identity_refused"].en)
    assert 'value="12"' in ann.page
    await ann.send("/account/sign-in", phone=PHONE)
    await ann.send("/account/code", code="x")
    assert (ann.status, ann.problem) == (422, CODES["code_wrong"].en)
    await ann.send("/account/code", code=f" {ann.phones.code[:3]} {ann.phones.code[3:]} ")
    assert ann.path == "/account/welcome"
    await ann.send("/account/welcome", nickname="Lena")
    assert (ann.status, ann.problem) == (403, CODES["consent_required"].en)
    assert 'value="Lena"' in ann.page
    await ann.send("/account/welcome", nickname="Momo", noticed="1")
    assert (ann.status, ann.problem) == (409, CODES["nickname_taken"].en)
    await ann.send("/account/welcome", nickname="Lena", noticed="1")
    assert ann.path == "/account/agreement"


async def test_the_language_may_be_changed_on_the_way(ann: Guest) -> None:
    """Each step is a page of its own, which can be opened again in the other language."""
    await ann.get("/account/sign-in")
    await ann.send("/account/sign-in", phone=PHONE)
    await ann.get("/account/code?lang=zh-CN")
    assert "输入验证码" in ann.page
    await ann.send("/account/code", code=ann.phones.code)
    assert "选择昵称" in ann.page


async def test_steps_cannot_be_skipped(ann: Guest) -> None:
    """Without a number there is no place for a code, and without a proof none for a nickname; what was written into the flow's
    cookie counts as nothing."""
    for path in ("/account/code", "/account/welcome"):
        await ann.get(path)
        assert ann.path == "/account/sign-in"
    ann.client.cookies.set("barrage_flow", "bm9uc2Vuc2U", domain="site.example")
    token = ann.form_token()
    for path in ("/account/code", "/account/welcome"):
        assert (await ann.post(path, form_token=token, code="123456", nickname="x")).status_code == 403
    ann.client.cookies.set("barrage_flow", "eyJwcm9vZiI6ImZvcmdlZCJ9", domain="site.example")  # {"proof": "forged"}
    assert (await ann.post("/account/welcome", form_token=token, nickname="x", noticed="1")).status_code == 403


async def test_forms_of_other_sites_do_nothing(ann: Guest) -> None:
    """Without the token, with one of another browser, or from another origin, nothing is sent to any phone."""
    await ann.get("/account/sign-in")
    token = ann.form_token()
    for headers, fields in (
        ({"Origin": "http://site.example"}, {"phone": PHONE}),
        ({"Origin": "http://site.example"}, {"phone": PHONE, "form_token": token[:-1]}),
        ({"Origin": "https://evil.example"}, {"phone": PHONE, "form_token": token}),
        ({"Sec-Fetch-Site": "cross-site"}, {"phone": PHONE, "form_token": token}),
    ):
        answer = await ann.client.post("/account/sign-in", data=fields, headers=headers)
        assert answer.status_code == 403
    ann.client.cookies.clear()
    answer = await ann.client.post("/account/sign-in", data={"phone": PHONE, "form_token": token})
    assert answer.status_code == 403
    assert ann.phones.sent == []


async def test_signing_in_gives_a_new_session(ann: Guest) -> None:
    """A cookie that was there before, planted or somebody else's, is worth nothing afterwards."""
    await ann.people.book.write(lambda tx: member(tx, "a-9", "Momo"))
    planted = sessions.new_cookie()
    ann.client.cookies.set("barrage_session", planted, domain="site.example")
    await sign_up(ann)
    mine = await cookie_of(ann)
    assert mine != planted
    found = ann.people.book.read_now(lambda connection: sessions.find(connection, planted, ann.people.clock_ms()))
    assert found is None


async def test_cookies_are_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HttpOnly, SameSite=Lax, on encrypted sites Secure; pages of accounts are stored nowhere."""
    settings = Settings(demo=True, public_url="https://site.example")
    async with guest(tmp_path, monkeypatch, settings) as ann:
        answer = await ann.client.get("/account/sign-in")
        cookie = answer.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=lax", "secure", "path=/"))
        assert answer.headers["cache-control"] == "no-store"


async def test_codes_are_not_for_the_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address gets so many steps of signing in and no more."""
    settings = Settings(demo=True, sign_ins_burst=1, sign_ins_per_s=0.01)
    async with guest(tmp_path, monkeypatch, settings) as ann:
        await ann.get("/account/sign-in")
        await ann.send("/account/sign-in", phone="1")
        await ann.get("/account/sign-in")
        await ann.send("/account/sign-in", phone="2")
        assert ann.status == 429


async def test_where_one_came_from_is_a_place_of_this_site(ann: Guest) -> None:
    """Nobody is led to another site, whatever the address says."""
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/%0aevil", "x" * 400):
        await ann.get(f"/account/sign-in?return={evil}")
        assert "evil" not in ann.page.split("<form")[1], evil


async def test_signing_out_everywhere(ann: Guest) -> None:
    """One browser signs the others out, one by one or all; a stranger's session is not touched."""
    await ann.people.book.write(lambda tx: member(tx))
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo"))
    stranger = await ann.sign_in("a-2")
    other = await ann.sign_in()
    mine = await ann.sign_in()
    await ann.get("/account")
    assert "Another browser" in ann.page
    await ann.send("/account/sessions", form=1, session=sessions.id_of(other))
    assert "Another browser" not in ann.page
    await ann.send("/account/sessions", session=sessions.id_of(stranger))
    await ann.sign_in()
    await ann.get("/account")
    await ann.send("/account/sign-out", all="1")
    now_ms = ann.people.clock_ms()

    def alive(cookie: str) -> bool:
        return ann.people.book.read_now(lambda connection: sessions.find(connection, cookie, now_ms)) is not None

    assert [alive(cookie) for cookie in (stranger, other, mine)] == [True, False, False]
    await ann.get("/account")
    assert ann.path == "/account/sign-in", "signed out: the way in, and back"


async def test_forms_of_whoever_is_not_signed_in_lead_to_signing_in(ann: Guest) -> None:
    """What needs an account says so, with the way there, and does nothing."""
    for path in ("/account/verify", "/account/sessions"):
        answer = await ann.post(path, method="phone")
        assert answer.status_code == 401
        assert 'href="/account/sign-in"' in ann.page
    await ann.get("/account/verify")
    assert ann.path == "/account/sign-in?return=/account/verify"


# -- verifying


async def test_duty_p5_1_a_phone_verifies_an_account_that_came_otherwise(ann: Guest) -> None:
    """Whoever is signed in and not verified adds a phone; the session gets a new value, and the way goes on."""
    await ann.people.book.write(lambda tx: member(tx, verified="", agreement=""))
    before = await ann.sign_in()
    await ann.get("/rooms/demo")
    assert 'href="/account/verify?return=/rooms/demo"' in ann.page
    await ann.get("/account/verify?return=/rooms/demo")
    await ann.send("/account/verify", phone="1")
    assert (ann.status, ann.problem) == (422, CODES["identity_refused"].en)
    await ann.send("/account/verify", phone=PHONE)
    await ann.send("/account/code", code="000000")
    assert ann.problem == CODES["code_wrong"].en
    await ann.send("/account/code", code=ann.phones.code)
    assert ann.path == "/account/agreement?return=/rooms/demo"
    assert (await ann.standing()).verified == "phone"
    assert await cookie_of(ann) != before
    await ann.get("/account/verify")
    assert "Your identity is verified" in ann.page


async def test_a_phone_is_not_added_by_whoever_signed_out_meanwhile(ann: Guest) -> None:
    """The code belongs to the account that asked for it."""
    await ann.people.book.write(lambda tx: member(tx, verified=""))
    await ann.sign_in()
    await ann.get("/account/verify")
    await ann.send("/account/verify", phone=PHONE)
    ann.client.cookies.delete("barrage_session")
    await ann.get("/account/code")
    await ann.send("/account/code", code=ann.phones.code)
    assert (ann.status, ann.problem) == (401, CODES["sign_in_required"].en)


async def test_a_number_is_checked_with_consent(ann: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The consent is recorded before the check; a method that is not offered is none; a refusal is told in the form."""
    await ann.people.book.write(lambda tx: member(tx))
    await ann.sign_in()
    asked: list[tuple[str, dict[str, str]]] = []

    async def verify(account: str, method: str, evidence: dict[str, str]) -> int:
        asked.append((method, dict(evidence)))
        if evidence.get("number") == "1":
            raise Refusal("identity_refused")
        return 2

    signup = ann.people.signup
    monkeypatch.setattr(type(signup), "methods", ("phone", "id_number", "network_identity"))
    monkeypatch.setattr(signup, "verify", verify)
    await ann.get("/account/verify")
    await ann.send("/account/verify", form=1, name="李雷", number="1", consent="1")
    assert (ann.status, ann.problem) == (422, CODES["identity_refused"].en)
    assert (await ann.standing()).consents == ("identity_document",)
    await ann.send("/account/verify", form=1, name="李雷", number="11010519491231002X", consent="1")
    assert ann.path == "/account/lesson"
    await ann.get("/account/verify")
    await ann.send("/account/verify", form=2, token="t0ken")
    assert [method for method, _ in asked] == ["id_number", "id_number", "network_identity"]
    assert asked[-1][1] == {"token": "t0ken"}
    await ann.get("/account/verify")
    assert (await ann.post("/account/verify", form_token=ann.form_token(), method="magic")).status_code == 400


# -- providers


@pytest.fixture
def fake(ann: Guest) -> FakeProvider:
    """A provider that the site knows as ``one``."""
    provider = FakeProvider(Clock(ann.services.clock_ms))
    transport = httpx.MockTransport(provider.handle)
    people: Any = ann.people
    people.oidc = Providers({"one": provider.settings()}, ann.people.book, ann.people.clock_ms, transport=transport)
    return provider


async def leave(ann: Guest) -> str:
    """Press the provider's button; the address that the browser is sent to."""
    await ann.get("/account/sign-in?return=/rooms/demo")
    answer = await ann.send("/account/oidc/one")
    refresh = answer.headers["refresh"]
    assert refresh.startswith("0; url=https://id.example/auth?")
    found: str = refresh.removeprefix("0; url=")
    return found


async def test_duty_p5_1_a_provider_signs_in(ann: Guest, fake: FakeProvider) -> None:
    """Off to the provider, back, a nickname; since it vouches for nobody, the next step is to verify. Later: straight in."""
    back = fake.authorize(await leave(ann))
    await ann.get("/account/oidc/one/callback?" + str(httpx.QueryParams(back)))
    assert ann.path == "/account/welcome"
    await ann.send("/account/welcome", nickname="Lena", noticed="1")
    assert ann.path == "/account/verify?return=/rooms/demo"
    ann.client.cookies.clear()
    back = fake.authorize(await leave(ann))
    await ann.get("/account/oidc/one/callback?" + str(httpx.QueryParams(back)))
    assert ann.path == "/account/verify?return=/rooms/demo"
    holder = sessions_of(ann)
    assert ann.people.book.read_now(lambda connection: nicknames.current(connection, holder)) == "Lena"


def sessions_of(ann: Guest) -> str:
    cookie = ann.client.cookies["barrage_session"]
    found = ann.people.book.read_now(lambda connection: sessions.find(connection, cookie, ann.people.clock_ms()))
    assert found is not None
    return found.holder


async def test_an_answer_that_does_not_hold_signs_nobody_in(ann: Guest, fake: FakeProvider) -> None:
    """An invented answer, one of another browser, and a repeated one lead to a page that says so, with the way back."""
    back = str(httpx.QueryParams(fake.authorize(await leave(ann))))
    ann.client.cookies.delete("barrage_login")
    for query in ("", "state=x&code=y", back, back):
        await ann.get(f"/account/oidc/one/callback?{query}")
        assert ann.status == 401
        assert CODES["login_failed"].en in ann.page
        assert 'href="/account/sign-in"' in ann.page
    assert "barrage_session" not in ann.client.cookies


async def test_the_address_to_come_back_to_is_the_public_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy the provider is told the site's public address."""
    async with guest(tmp_path, monkeypatch, Settings(demo=True, public_url="https://video.example/")) as ann:
        provider = FakeProvider(Clock(ann.services.clock_ms))
        people: Any = ann.people
        people.oidc = Providers(
            {"one": provider.settings()}, ann.people.book, ann.people.clock_ms, transport=httpx.MockTransport(provider.handle)
        )
        ann.client.base_url = httpx.URL("https://site.example")
        await ann.get("/account/sign-in")
        answer = await ann.client.post(
            "/account/oidc/one", data={"form_token": ann.form_token()}, headers={"Sec-Fetch-Site": "same-origin"}
        )
    assert "redirect_uri=https%3A%2F%2Fvideo.example%2Faccount%2Foidc%2Fone%2Fcallback" in answer.headers["refresh"]
