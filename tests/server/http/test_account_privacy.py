"""server/http/account_privacy.py"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts import holds, nicknames, privacy, sessions, signup
from server.accounts.verify.sms import Terminal
from server.http import account_privacy, pages
from server.http.account_privacy import FRESH_MS
from server.settings import Settings
from tests.support.accounts import person
from tests.support.services import FakeServices
from tests.support.web import application, browsing

PHONE = "+8613800138000"
GUARDIAN_PHONE = "13900139000"


class Person:
    """Somebody signed in, with a browser that keeps cookies and never runs a script."""

    def __init__(self, services: FakeServices, client: httpx.AsyncClient) -> None:
        self.services = services
        self.people = services.people
        self.client = client
        self.page = ""
        self.sent: list[str] = []

    async def sign_in(self) -> None:
        """A session as of this moment."""
        cookie = await self.people.book.write(lambda tx: sessions.begin(tx, "a-1", self.people.session_policy))
        self.client.cookies.set("barrage_session", cookie, domain="site.example")

    async def get(self, path: str = "/account/privacy") -> httpx.Response:
        """Open a page, following redirects, and keep it."""
        found = await self.client.get(path, follow_redirects=True)
        self.page = found.text
        return found

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send one of the page's forms: its hidden token, and these fields."""
        token = re.search(r'name="form_token" value="([^"]+)"', self.page)
        assert token is not None, "the page has a form"
        headers = {"Origin": "http://site.example"}
        found = await self.client.post(path, data={"form_token": token[1], **fields}, headers=headers)
        self.page = found.text or self.page
        return found

    async def standing(self) -> Any:
        """From memory."""
        return await self.people.standing("a-1")

    def kept(self) -> list[str]:
        """Names of the vault's fields."""
        return self.people.book.read_now(lambda connection: self.people.vault.fields(connection, "a-1"))


@pytest.fixture
async def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Person]:
    """A person with a phone number and an identity document, signed in just now."""
    sent: list[str] = []
    monkeypatch.setattr(signup, "Terminal", lambda: Terminal(sent.append))
    services = FakeServices(
        tmp_path / "pages", Settings(demo=True, operator_name="弹幕公司", privacy_contact="help@example.com")
    )
    people = services.people

    def work(tx: Any) -> None:
        person(tx)
        nicknames.take(tx, "a-1", "小明")
        people.vault.put(tx, "a-1", "phone", PHONE)
        people.vault.claim(tx, "a-1", "phone", PHONE)
        privacy.consent(tx, "a-1", "identity_document", people.notice)
        people.vault.put(tx, "a-1", "id_number", "11010519491231002X")

    await people.book.write(work)
    app = application(services, account_privacy.routes)
    pages.prepare(app)
    async with browsing(app) as client:
        client.headers["Accept-Language"] = "en"
        found = Person(services, client)
        found.sent = sent
        await found.sign_in()
        yield found
    people.close()


async def test_duty_p5_2_anyone_reads_what_is_stored_and_why(ann: Person) -> None:
    """duty P5(2): the published notice names purpose, method, scope and term; in both languages, without an account."""
    ann.client.cookies.clear()
    page = (await ann.get()).text
    for words in (
        "Phone number",
        "You enter it when you sign up",
        "Nobody; lawful access",
        "190 days",
        "弹幕公司",
        "help@example.com",
    ):
        assert words in page
    assert ann.people.notice.version in page
    assert ann.people.notice.texts["en"].sha256 in page
    assert "Your consents" not in page
    chinese = await ann.client.get("/account/privacy?lang=zh-CN")
    assert "敏感信息" in chinese.text
    assert "190 天" in chinese.text


async def test_the_notice_is_acknowledged_in_the_words_that_were_shown(ann: Person) -> None:
    """The version stands in the ledger, and the page asks no more."""
    assert "This version is new to you." in (await ann.get()).text
    sha256 = ann.people.notice.texts["en"].sha256
    assert (await ann.post("/account/privacy", sha256=sha256, language="en")).status_code == 303
    assert (await ann.standing()).privacy == ann.people.notice.version
    assert "This version is new to you." not in (await ann.get()).text


async def test_duty_p5_2_withdrawing_a_consent_stops_its_purpose(ann: Person) -> None:
    """duty P5(2): one button, and what was stored for the purpose is gone; it can be given again."""
    assert "id_number" in ann.kept()
    await ann.get()
    assert (await ann.post("/account/privacy/consent", purpose="identity_document")).headers["location"].endswith("#consents")
    assert ann.kept() == ["phone"]
    assert "Not given; nothing is stored for it." in (await ann.get()).text
    await ann.post("/account/privacy/consent", purpose="identity_document", give="1")
    assert (await ann.standing()).consents == ("identity_document",)
    await ann.get()
    assert (await ann.post("/account/privacy/consent", purpose="account")).status_code == 400


async def test_a_copy_is_a_file_with_everything(ann: Person) -> None:
    """duty P5(2): export; never stored by caches."""
    await ann.get()
    answer = await ann.post("/account/privacy/copy")
    assert answer.json()["vault"]["phone"] == PHONE
    assert answer.headers["content-disposition"] == 'attachment; filename="barrage-a-1.json"'
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["copy", "erase"])
async def test_an_old_session_takes_no_copy_and_erases_nothing(ann: Person, path: str) -> None:
    """A stolen cookie is not enough: first one has to sign in again, which ends the session."""
    await ann.get()
    ann.services.clock_ms += FRESH_MS
    answer = await ann.post(f"/account/privacy/{path}", nickname="小明")
    assert answer.status_code == 403
    assert PHONE not in answer.text
    assert "Sign in again" in answer.text
    again = await ann.post("/account/privacy/again")
    assert again.headers["location"] == "/account/sign-in?return=/account/privacy"
    assert (await ann.client.post("/account/privacy/copy", data={"x": "1"})).status_code == 401
    assert not (await ann.standing()).erased


async def test_duty_p5_2_erasure_is_meant_and_final(ann: Person) -> None:
    """duty P5(2): the nickname confirms it; then nothing is left, and nobody is signed in."""
    await ann.get()
    assert (await ann.post("/account/privacy/erase", nickname="小红")).status_code == 400
    assert not (await ann.standing()).erased
    done = await ann.post("/account/privacy/erase", nickname="小明", comments="1")
    assert "its key is destroyed" in done.text
    assert "being removed" in done.text
    assert (await ann.standing()).erased
    assert ann.kept() == []
    assert ann.people.book.read_now(privacy.open_withdrawals) == [("a-1", 0)]
    assert (await ann.client.get("/account/guardian")).status_code == 303
    assert await ann.people.book.read(lambda connection: sessions.listed(connection, "a-1", ann.services.clock_ms)) == []


async def test_under_a_hold_the_page_says_that_deletion_waits(ann: Person) -> None:
    """The person is told what happens."""
    await ann.people.book.write(lambda tx: holds.place(tx, "a-1", "inquiry", "1", actor="staff:x", role="compliance"))
    await ann.get()
    assert "legal hold" in (await ann.post("/account/privacy/erase", nickname="小明")).text
    assert "phone" in ann.kept()


async def test_nothing_happens_without_the_forms_token(ann: Person) -> None:
    """Another site cannot act in somebody's name."""
    for path in ("consent", "copy", "erase", "again"):
        answer = await ann.client.post(f"/account/privacy/{path}", data={"purpose": "identity_document", "nickname": "小明"})
        assert answer.status_code == 403, path
    assert (await ann.client.post("/account/privacy", data={"sha256": "0"})).status_code == 403
    assert "id_number" in ann.kept()
    assert not (await ann.standing()).erased


# -- a guardian


async def test_a_guardian_consents_with_a_code(ann: Person) -> None:
    """The code goes to the guardian's phone; with it and the tick the consent is recorded as a guardian's."""
    await ann.get("/account/guardian")
    assert (await ann.post("/account/guardian", name="张父", phone=GUARDIAN_PHONE)).headers["location"] == "/account/guardian"
    code = re.search(r"\b(\d{6})\b", ann.sent[-1])
    assert code is not None
    assert "ending in" in (await ann.get("/account/guardian")).text
    assert (await ann.post("/account/guardian/code", code=code[1])).status_code == 403  # without the tick
    assert (await ann.post("/account/guardian/code", code="000000", consent="1")).status_code == 422
    assert (await ann.post("/account/guardian/code", code=code[1], consent="1")).status_code == 303
    assert "guardian" in (await ann.standing()).consents
    assert {"guardian_name", "guardian_phone"} <= set(ann.kept())
    assert "A guardian has consented" in (await ann.get("/account/guardian")).text


async def test_what_the_browser_brings_back_is_not_trusted(ann: Person) -> None:
    """A cookie that somebody wrote into is no first step."""
    await ann.get("/account/guardian")
    for text in ("x", "e30=", "!!!"):
        ann.client.cookies.set("barrage_guardian", text, domain="site.example", path="/account/guardian")
        assert (await ann.post("/account/guardian/code", code="123456", consent="1")).status_code == 403
    assert (await ann.post("/account/guardian", name="张父", phone="12")).status_code == 422


async def test_whoever_is_not_signed_in_is_led_to_sign_in(ann: Person) -> None:
    """And comes back here afterwards."""
    ann.client.cookies.clear()
    answer = await ann.client.get("/account/guardian")
    assert answer.headers["location"] == "/account/sign-in?return=/account/guardian"
