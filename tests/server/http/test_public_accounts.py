"""server/http/public_accounts.py"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from server.accounts import licences, public, sessions
from server.accounts.book import Transaction
from server.http import public_accounts
from tests.support.accounts import DAY_MS, person
from tests.support.services import START_MS, FakeServices
from tests.support.staff import compiled_views
from tests.support.web import application, browsing

FORM = {"name": "某大学", "category": "institution", "purpose": "Courses", "licence": ""}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    await found.people.book.write(person)
    yield found
    found.people.close()


@pytest.fixture
async def client(services: FakeServices) -> AsyncIterator[httpx.AsyncClient]:
    app = application(services, public_accounts.routes)
    app.state.views = compiled_views()
    async with browsing(app) as found:
        yield found


async def enter(services: FakeServices, client: httpx.AsyncClient) -> str:
    """Sign the account in; the token for its forms."""
    people = services.people
    cookie = await people.book.write(lambda tx: sessions.begin(tx, "a-1", people.session_policy))
    client.cookies.set("barrage_session", cookie, domain="site.example")
    return sessions.form_token(people.form_key, cookie)


async def license_provider(services: FakeServices) -> None:
    def work(tx: Transaction) -> None:
        licences.record(
            tx, holder="provider", kind="k", number="1", issuer="i", features=("public_accounts",), valid_from_ms=START_MS,
            valid_until_ms=START_MS + DAY_MS, actor="operator:x", role="operator",
        )  # fmt: skip

    await services.people.book.write(work)
    await services.people.read_licences()


async def test_who_is_not_signed_in_is_led_to_signing_in_and_back(client: httpx.AsyncClient) -> None:
    """A form without a session is refused."""
    answer = await client.get("/account/public")
    assert answer.headers["location"] == "/account/sign-in?return=/account/public"
    assert (await client.post("/account/public", data=FORM)).status_code == 401


async def test_an_institution_applies_and_follows_the_state(services: FakeServices, client: httpx.AsyncClient) -> None:
    """One form; then the page shows the step, its basis, in the end the label; it can be withdrawn on the way."""
    await license_provider(services)
    token = await enter(services, client)
    assert 'name="purpose"' in (await client.get("/account/public")).text
    sent = await client.post("/account/public", data={**FORM, "form_token": token})
    assert sent.headers["location"] == "/account/public"
    page = (await client.get("/account/public?lang=en")).text
    assert 'aria-current="step">applied for' in page
    assert 'name="purpose"' not in page

    def work(tx: Transaction) -> None:
        public.advance(tx, "a-1", "review", "papers are in order", actor="staff:ann", role="reviewer")

    await services.people.book.write(work)
    assert "papers are in order" in (await client.get("/account/public")).text
    assert (await client.post("/account/public/withdraw", data={"form_token": token})).status_code == 303
    assert (await services.people.standing("a-1")).public == "rejected"
    assert 'name="purpose"' in (await client.get("/account/public")).text


async def test_what_is_wrong_comes_back_with_what_was_typed(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A bad field, an unknown category, a form of another site."""
    await license_provider(services)
    token = await enter(services, client)
    back = await client.post("/account/public", data={**FORM, "purpose": " ", "form_token": token})
    assert back.status_code == 400
    assert 'value="某大学"' in back.text
    assert (await client.post("/account/public", data={**FORM, "category": "party", "form_token": token})).status_code == 400
    assert (await client.post("/account/public", data=FORM)).status_code == 403
    assert (await client.post("/account/public/withdraw", data={"form_token": token})).status_code == 409


async def test_without_the_providers_licence_nobody_applies(services: FakeServices, client: httpx.AsyncClient) -> None:
    """The page says so, and the form is refused."""
    token = await enter(services, client)
    page = (await client.get("/account/public?lang=en")).text
    assert "cannot be applied for here" in page
    assert (await client.post("/account/public", data={**FORM, "form_token": token})).status_code == 403
