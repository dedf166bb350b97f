"""server/http/room_owner.py: what the owner of a room can do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts import measures, sessions
from server.http import room_owner
from server.moderation.modes import Wish
from tests.support.accounts import person
from tests.support.services import FakeServices
from tests.support.staff import compiled_views
from tests.support.web import application, browsing

MODE = {"mode": "shield", "term": "30m", "code": "E1", "basis": "a raid"}
HOME = "/account/rooms/mine"


class Owner:
    """A browser that is signed in as somebody."""

    def __init__(self, services: FakeServices, client: httpx.AsyncClient) -> None:
        self.services = services
        self.client = client
        self.token = ""

    async def enter(self, account: str) -> None:
        people = self.services.people
        cookie = await people.book.write(lambda tx: sessions.begin(tx, account, people.session_policy))
        self.client.cookies.clear()
        self.client.cookies["barrage_session"] = cookie
        self.token = sessions.form_token(people.form_key, cookie)

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.client.post(f"{HOME}/{path}", data={"form_token": self.token, **fields})

    async def page(self, path: str = HOME) -> httpx.Response:
        return await self.client.get(path, params={"lang": "en"})


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("mine", "我的房间")
    found.add_room("theirs")
    for name in ("ann", "eve"):
        await found.people.book.write(lambda tx, name=name: person(tx, name))  # type: ignore[misc] # mypy knows no such default
    await found.set_owner("mine", "ann")
    yield found
    await found.end()


@pytest.fixture
async def owner(services: FakeServices) -> AsyncIterator[Owner]:
    app = application(services, room_owner.routes)
    app.state.views = compiled_views()
    async with browsing(app) as client:
        found = Owner(services, client)
        await found.enter("ann")
        yield found


async def test_duty_p5_5_the_owner_protects_closes_and_opens(owner: Owner, services: FakeServices) -> None:
    """Each with a code, a basis and the role of the uploader, visible to all."""
    assert "我的房间" in (await owner.page("/account/rooms")).text
    assert (await owner.post("mode", **MODE)).headers["location"] == HOME
    event = services.events("mine")[-1]
    assert (event.room_mode, event.code, event.role, event.until_ms) == (
        "shield", "E1", "uploader", services.clock_ms + 30 * 60_000,
    )  # fmt: skip
    for mode in ("closed", "open"):
        assert (await owner.post("mode", **{**MODE, "mode": mode, "term": ""})).status_code == 303
    assert [event.room_mode for event in services.events("mine")] == ["shield", "closed", "open"]
    assert "the owner" in (await owner.page()).text
    back = await owner.post("mode", **{**MODE, "basis": ""})
    assert back.status_code == 422
    assert 'role="alert"' in back.text


async def test_duty_p5_5_the_owner_removes_a_comment_with_a_code(owner: Owner, services: FakeServices) -> None:
    """U2 or a rule of the room, never another code; it becomes a tombstone that says so."""
    services.say("mine", "<b>hello", "bob")
    assert "&lt;b&gt;hello" in (await owner.page()).text
    for wrong in ({"code": "L5"}, {"code": ""}, {"basis": ""}, {"seq": "99"}, {"seq": "x"}):
        back = await owner.post("remove", **{"seq": "1", "code": "U2", "basis": "off topic", **wrong})
        assert back.status_code in (400, 404, 422), wrong
    assert (await owner.post("remove", seq="1", code="U2", basis="off topic")).headers["location"] == f"{HOME}#comments"
    event = services.events("mine")[-1]
    assert (event.kind, event.code, event.basis, event.role) == ("removal", "U2", "off topic", "uploader")
    assert "hello" not in (await owner.page()).text


async def test_the_owner_opens_nothing_that_staff_have_closed(owner: Owner, services: FakeServices) -> None:
    """Stricter is allowed; after staff's term, or when staff open it, the owner may again."""
    modes = services.moderation.modes
    by: dict[str, Any] = {"actor": "staff:boss", "role": "senior"}
    await modes.set_room("mine", Wish(mode="review", until_ms=services.clock_ms + 60_000), "E1", "raid", **by)
    back = await owner.post("mode", **{**MODE, "mode": "slow"})
    assert back.status_code == 403
    assert "review" in back.text
    assert "Staff have set this room" in (await owner.page()).text
    assert (await owner.post("mode", **{**MODE, "mode": "closed"})).status_code == 303
    services.clock_ms += 60_000
    assert (await owner.post("mode", **{**MODE, "mode": "slow"})).status_code == 303


async def test_a_room_is_its_owners_alone(owner: Owner, services: FakeServices) -> None:
    """To others it is not there; who is not signed in, not verified or suspended does nothing."""
    await owner.enter("eve")
    assert (await owner.page()).status_code == 404
    assert (await owner.post("mode", **MODE)).status_code == 404
    assert "No room is yours" in (await owner.page("/account/rooms")).text
    await owner.enter("ann")
    assert (await owner.page("/account/rooms/theirs")).status_code == 404
    by: dict[str, Any] = {"actor": "staff:boss", "role": "senior"}
    await services.people.book.write(
        lambda tx: measures.take(tx, "ann", "suspend", "S1", "spam", functions=(), duration_ms=60_000, **by)
    )
    assert (await owner.post("mode", **MODE)).status_code == 403
    await services.people.book.write(lambda tx: tx.open("new", origin="local", actor="new", role="author"))
    await services.set_owner("mine", "new")
    await owner.enter("new")
    assert (await owner.post("mode", **MODE)).status_code == 403
    owner.client.cookies.clear()
    for path in (HOME, "/account/rooms"):
        assert (await owner.page(path)).headers["location"].startswith("/account/sign-in")
    assert (await owner.post("mode", **MODE)).status_code in (401, 403)
    assert services.events("mine") == []
