"""server/http/staff_sign_in.py"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pyotp
import pytest

from server.accounts import passkeys, staff
from server.accounts.vault import Vault
from server.settings import Settings
from tests.support.services import FakeServices
from tests.support.staff import PASSWORD, Authenticator, Desk, enrol, staff_desk


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    yield found
    found.people.close()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services) as found:
        yield found


def vault(services: FakeServices) -> Vault:
    return services.people.vault


async def open_page(desk: Desk, path: str) -> httpx.Response:
    """Load a page with a form, and keep its token."""
    answer = await desk.get(path)
    token = re.search(r'name="form_token" value="([^"]+)"', answer.text)
    assert token is not None
    desk.token = token[1]
    return answer


def code(app: pyotp.TOTP, services: FakeServices) -> str:
    return app.at(services.clock_ms // 1000)


async def sign_in(desk: Desk, **fields: str) -> httpx.Response:
    await open_page(desk, "/staff/sign-in")
    return await desk.post("/staff/sign-in", **fields)


async def test_a_member_signs_in_and_out(desk: Desk, services: FakeServices) -> None:
    """With name, password and code, to where they wanted; the cookie is for staff's paths alone and new with each sign-in."""
    app = enrol(services.people.book, vault(services), "ann", "senior")
    entered = await sign_in(desk, name=" ANN ", password=PASSWORD, code=code(app, services), **{"return": "/staff/appeals"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/staff/appeals")
    cookie = next(each for each in entered.headers.get_list("set-cookie") if each.startswith("barrage_staff="))
    assert {"HttpOnly", "Path=/staff", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert (await desk.get("/staff/appeals")).status_code == 200
    await open_page(desk, "/staff/keys")
    left = await desk.post("/staff/sign-out")
    assert left.headers["location"] == "/staff/sign-in"
    assert (await desk.get("/staff")).status_code == 303


async def test_failures_look_alike(desk: Desk, services: FakeServices) -> None:
    """An unknown name, a wrong password and a wrong code get the same page but for the name; so do names that wait."""
    enrol(services.people.book, vault(services), "ann", "senior")

    async def attempt(name: str, password: str) -> tuple[int, str]:
        answer = await sign_in(desk, name=name, password=password, code="000000")
        text = re.sub(r'form_token" value="[^"]+|data-token="[^"]+', "", answer.text)
        return answer.status_code, text.replace(f'value="{name}"', "")

    pages = [await attempt("ann", PASSWORD), await attempt("ann", "wrong"), await attempt("bob", "wrong")]
    assert pages[0] == pages[1] == pages[2]
    assert pages[0][0] == 401
    for _ in range(3):
        await attempt("ann", "wrong")
    for _ in range(4):
        await attempt("bob", "wrong")
    waiting = [await attempt("ann", "wrong"), await attempt("bob", "wrong")]
    assert waiting[0] == waiting[1]
    assert waiting[0][0] == 429


async def test_a_known_client_is_not_kept_waiting_by_strangers(desk: Desk, services: FakeServices) -> None:
    """Who has signed in from here before gets in while others' failures make strangers wait."""
    app = enrol(services.people.book, vault(services), "ann", "senior")
    await sign_in(desk, name="ann", password=PASSWORD, code=code(app, services))
    async with staff_desk(services) as stranger:
        for _ in range(6):
            await sign_in(stranger, name="ann", password="wrong", code="000000")
        services.clock_ms += 1000
        assert (await sign_in(stranger, name="ann", password=PASSWORD, code=code(app, services))).status_code == 429
    services.clock_ms += 5000
    desk.client.cookies.delete("barrage_staff")
    assert (await sign_in(desk, name="ann", password="wrong", code="000000")).status_code == 401
    app_code = app.at(services.clock_ms // 1000 + 30)
    assert (await sign_in(desk, name="ann", password=PASSWORD, code=app_code)).status_code == 303


async def test_a_form_of_another_site_is_refused(desk: Desk, services: FakeServices) -> None:
    """Without the page's token, with another one, or sent from elsewhere."""
    app = enrol(services.people.book, vault(services), "ann", "senior")
    fields = {"name": "ann", "password": PASSWORD, "code": code(app, services)}
    assert (await desk.client.post("/staff/sign-in", data=fields)).status_code == 403
    await open_page(desk, "/staff/sign-in")
    bad = {**fields, "form_token": "x" * 43}
    assert (await desk.client.post("/staff/sign-in", data=bad)).status_code == 403
    good = {**fields, "form_token": desk.token}
    foreign = {"Origin": "https://evil.example"}
    assert (await desk.client.post("/staff/sign-in", data=good, headers=foreign)).status_code == 403
    assert (await desk.client.post("/staff/sign-in", data=good)).status_code == 303


async def test_attempts_of_an_address_are_limited(tmp_path: Path) -> None:
    """Whatever names are tried."""
    services = FakeServices(tmp_path, Settings(sign_ins_burst=2))
    async with staff_desk(services) as desk:
        seen = [(await sign_in(desk, name=f"n{number}", password="x", code="1")).status_code for number in range(3)]
    services.people.close()
    assert seen == [401, 401, 429]


async def test_a_member_enrols_once(desk: Desk, services: FakeServices) -> None:
    """The link leads to a code to scan; a weak password, two that differ and a wrong code come back; then one is in."""
    people = services.people
    secret = await people.book.write(
        lambda tx: staff.add(tx, "ann", ("admin",), people.vault, actor="operator:root", role="operator")
    )
    link = f"/staff/enrol?name=ann&secret={secret}"
    page = await open_page(desk, link)
    assert "<svg" in page.text
    key = re.search(r'fingerprint">([A-Z2-7]{32})<', page.text)
    assert key is not None
    good = {
        "name": "ann",
        "secret": secret,
        "password": PASSWORD,
        "again": PASSWORD,
        "code": code(pyotp.TOTP(key[1]), services),
    }
    for change, status in (({"again": "other"}, 400), ({"password": "short", "again": "short"}, 400), ({"code": "0"}, 422)):
        assert (await desk.post("/staff/enrol", **{**good, **change})).status_code == status
    assert (await desk.post("/staff/enrol", **{**good, "secret": "x"})).status_code == 401
    assert (await desk.post("/staff/enrol", **good)).headers["location"] == "/staff"
    assert (await desk.get("/staff/members")).status_code == 200
    assert (await desk.get(link)).status_code == 401


async def test_a_fresh_code_opens_sensitive_actions(desk: Desk, services: FakeServices) -> None:
    """A wrong one does not; the session's value changes, so that an older one is worth nothing."""
    app = enrol(services.people.book, vault(services), "ann", "compliance")
    await desk.enter("ann", fresh=False)
    old = desk.client.cookies["barrage_staff"]
    assert (await desk.post("/staff/licences")).headers["location"].startswith("/staff/confirm")
    assert (await desk.post("/staff/confirm", code="1", **{"return": "/staff/licences"})).status_code == 422
    done = await desk.post("/staff/confirm", code=code(app, services), **{"return": "/staff/licences"})
    assert done.headers["location"] == "/staff/licences"
    assert desk.client.cookies.get("barrage_staff", path="/staff") != old
    assert "Enter a licence" in (await desk.client.get("/staff/licences?lang=en")).text


async def test_passkeys_are_added_used_and_removed(desk: Desk, services: FakeServices) -> None:
    """The whole way through the addresses that the page's script calls."""
    enrol(services.people.book, vault(services), "ann", "compliance")
    key = Authenticator("http://site.example")
    await desk.enter("ann")
    begun = (await desk.send("/staff/keys/begin", {})).json()
    made = {"id": begun["id"], "credential": key.create(begun["options"]), "label": "laptop"}
    assert (await desk.send("/staff/keys", made)).json() == {"next": "/staff/keys"}
    page = await desk.get("/staff/keys")
    assert "laptop" in page.text
    await desk.enter("ann", fresh=False)
    begun = (await desk.send("/staff/passkey/confirm/begin", {})).json()
    answer = {"id": begun["id"], "credential": key.get(begun["options"])}
    confirmed = await desk.send("/staff/passkey/confirm", answer)
    assert confirmed.json() == {"next": "/staff"}
    await open_page(desk, "/staff/keys")
    assert (await desk.send("/staff/passkey/confirm", answer)).status_code == 401
    desk.client.cookies.clear()
    await open_page(desk, "/staff/sign-in")
    begun = (await desk.send("/staff/passkey/begin", {})).json()
    assert "allowCredentials" not in begun["options"] or not begun["options"]["allowCredentials"]
    entered = await desk.send("/staff/passkey", {"id": begun["id"], "credential": key.get(begun["options"])})
    assert entered.json() == {"next": "/staff"}
    assert (await desk.get("/staff/licences")).status_code == 200
    await open_page(desk, "/staff/keys")
    [listed] = services.people.book.read_now(lambda c: passkeys.listed(c, "ann"))
    assert (await desk.post("/staff/keys/remove", key=listed.id)).status_code == 303
    assert services.people.book.read_now(lambda c: passkeys.listed(c, "ann")) == []


async def test_keys_are_changed_by_who_is_there(desk: Desk, services: FakeServices) -> None:
    """Without a fresh factor nothing of one's own keys changes; another password ends all sessions."""
    enrol(services.people.book, vault(services), "ann", "compliance")
    await desk.enter("ann", fresh=False)
    assert (await desk.send("/staff/keys/begin", {})).status_code == 403
    assert (await desk.send("/staff/keys", {"id": "x", "credential": {}})).status_code == 403
    for path in ("/staff/keys/remove", "/staff/keys/password"):
        assert (await desk.post(path)).status_code == 403
    await desk.enter("ann")
    assert (await desk.post("/staff/keys/password", password="short", again="short")).status_code == 400
    assert (await desk.post("/staff/keys/password", password=PASSWORD, again="other")).status_code == 400
    new = "seven grey herons wade"
    assert (await desk.post("/staff/keys/password", password=new, again=new)).headers["location"] == "/staff/sign-in"
    assert (await desk.get("/staff")).status_code == 303


async def test_scripts_without_the_pages_token_are_refused(desk: Desk, services: FakeServices) -> None:
    """Each address of the script asks for it."""
    enrol(services.people.book, vault(services), "ann", "compliance")
    await desk.enter("ann")
    for path in ("/staff/passkey/begin", "/staff/passkey", "/staff/passkey/confirm/begin", "/staff/passkey/confirm",
                 "/staff/keys/begin", "/staff/keys"):  # fmt: skip
        assert (await desk.send(path, {"id": "x", "credential": {}}, token="")).status_code == 403
