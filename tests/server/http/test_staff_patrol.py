"""server/http/staff_patrol.py: looking at what is public, and acting on it."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.accounts import measures
from server.http import staff_live, staff_patrol
from server.http.staff_door import route
from server.moderation.deciding import UNDO_MS
from tests.support import review
from tests.support.accounts import person
from tests.support.services import START_MS, FakeServices
from tests.support.staff import Desk, compiled_views, staff_desk
from tests.support.web import Reader, application


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    for name in ("demo", "film"):
        found.add_room(name)
    found.say("demo", "hello <b>", author="a-1")
    found.say("film", "Hello again", author="a-2")
    await found.people.book.write(lambda tx: person(tx))
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services, staff_patrol.RULES) as found:
        await found.enter("ann", "reviewer")
        yield found


async def places(desk: Desk, path: str) -> list[str]:
    answer = await desk.get(path)
    assert answer.status_code == 200, answer.text
    return re.findall(r'data-place="([^"]+)"', answer.text)


def views(services: FakeServices) -> list[tuple[Any, ...]]:
    query = "SELECT action, subject, detail FROM views ORDER BY id"
    return [tuple(row) for row in services.moderation.book.read_now(lambda c: c.exec_driver_sql(query).all())]


async def test_what_is_public_is_shown_and_looking_is_recorded(desk: Desk, services: FakeServices) -> None:
    """Of the site, or of one room; an unknown room is none."""
    assert set(await places(desk, "/staff/patrol")) == {"demo:1", "film:1"}
    assert await places(desk, "/staff/patrol?room=demo") == ["demo:1"]
    assert "hello &lt;b&gt;" in (await desk.get("/staff/patrol?room=demo")).text
    assert (await desk.get("/staff/patrol?room=none")).status_code == 404
    assert [each[:2] for each in views(services)] == [("patrol.view", "*"), ("patrol.view", "demo"), ("patrol.view", "demo")]


async def test_comments_are_searched_for(desk: Desk, services: FakeServices) -> None:
    """By text, room, author, code and time; how far it looked is said, and what was looked for is recorded."""
    assert set(await places(desk, "/staff/patrol/search?text=HELLO")) == {"demo:1", "film:1"}
    assert await places(desk, "/staff/patrol/search?text=again&room=film") == ["film:1"]
    assert await places(desk, "/staff/patrol/search?author=a-1") == ["demo:1"]
    assert await places(desk, "/staff/patrol/search?until=2020-01-01T00:00") == []
    assert await places(desk, "/staff/patrol/search?what=screened") == []
    assert set(await places(desk, "/staff/patrol/search?from=2020-01-01T00:00")) == {"demo:1", "film:1"}
    page = html.unescape((await desk.get("/staff/patrol/search?text=hello&lang=en")).text)
    assert "2 records looked through" in page
    assert "That is all there is." in page
    assert (await desk.get("/staff/patrol/search?from=tomorrow")).status_code == 400
    assert ("patrol.search", "film", "text=again&room=film") in views(services)


async def test_one_act_removes_and_one_takes_it_back(desk: Desk, services: FakeServices) -> None:
    """By the form: the button says which comment; the page that it leads back to offers to undo."""
    answer = await desk.post("/staff/patrol/act", remove="demo:1", reason="L8", q__room="demo")
    assert answer.headers["location"] == "/staff/patrol?room=demo&done=1"
    assert services.events("demo")[0].removed_by
    [made] = review.decisions(services.moderation.book)
    assert (made.what, made.code, made.basis, made.account, made.actor) == (
        "remove",
        "L8",
        "《互联网信息服务管理办法》第十五条第（八）项 / Measures for Internet Information Services art. 15(8)",
        "a-1",
        "staff:ann",
    )
    page = (await desk.get("/staff/patrol?room=demo&done=1&lang=en")).text
    assert "Removed: demo #1" in page
    assert 'name="decision" value="1"' in page
    again = await desk.post("/staff/patrol/act", remove="demo:1", reason="L8")
    assert again.status_code == 409
    await desk.enter("ben", "reviewer")
    assert (await desk.post("/staff/patrol/undo", decision="1")).status_code == 403
    await desk.enter("ann")
    answer = await desk.post("/staff/patrol/undo", decision="1", from_search="1", q__text="x")
    assert answer.headers["location"] == "/staff/patrol/search?text=x"
    assert not services.events("demo")[0].removed_by
    assert (await desk.post("/staff/patrol/undo", decision="2")).status_code == 404
    await desk.post("/staff/patrol/act", remove="demo:1", reason="L8", basis="my words")
    services.clock_ms += UNDO_MS + 1
    assert (await desk.post("/staff/patrol/undo", decision="3")).status_code == 403


async def test_what_was_taken_back_and_removed_again_is_not_undone(desk: Desk, services: FakeServices) -> None:
    """The later removal is not that of who asks."""
    await desk.post("/staff/patrol/act", remove="demo:1", reason="L8")
    await services.moderation.restore("demo", 1, "R1", "x", **review.BOSS)
    await services.moderation.remove("demo", 1, "L1", "x", **review.BOSS)
    assert (await desk.send("/staff/patrol/undo.json", {"done": 1})).json()["code"] == "bad_step"
    assert services.events("demo")[0].removed_by


async def test_an_author_is_muted_for_a_day(desk: Desk, services: FakeServices) -> None:
    """With a fresh factor, and undone by who did it."""
    answer = await desk.send("/staff/patrol/act.json", {"what": "mute", "place": "demo:1", "code": "S2", "basis": "flood"})
    measure = answer.json()["measure"]
    [taken] = services.people.book.read_now(lambda c: measures.listed(c, "a-1"))
    assert (taken.rung, taken.functions, taken.until_ms) == ("restrict", ("post",), START_MS + staff_patrol.MUTE_MS)
    await desk.enter("ben", "reviewer")
    assert (await desk.send("/staff/patrol/undo.json", {"measure": measure})).status_code == 404
    await desk.enter("ann")
    assert (await desk.send("/staff/patrol/undo.json", {"measure": measure})).json() == {}
    assert (await services.people.standing("a-1")).measures == ()
    muted = await desk.post("/staff/patrol/act", mute="film:1", reason="S2")
    assert muted.headers["location"].startswith("/staff/patrol?measure=")
    assert "Muted for a day." in (await desk.get(muted.headers["location"] + "&lang=en")).text
    services.clock_ms += UNDO_MS + 1
    late = muted.headers["location"].partition("=")[2]
    await desk.enter("ann")
    assert (await desk.send("/staff/patrol/undo.json", {"measure": late})).status_code == 403
    await desk.enter("ann", fresh=False)
    answer = await desk.send("/staff/patrol/act.json", {"what": "mute", "place": "demo:1", "code": "S2"})
    assert answer.json()["code"] == "step_up_required"
    asked = await desk.post("/staff/patrol/act", mute="demo:1", reason="S2")
    assert asked.headers["location"] == "/staff/confirm?return=/staff/patrol"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"what": "burn", "place": "demo:1", "code": "S1"}, 400),
        ({"what": "remove", "place": "demo", "code": "S1"}, 400),
        ({"what": "remove", "place": "demo:x", "code": "S1"}, 400),
        ({"what": "remove", "place": "demo:1", "code": "U1"}, 422),
        ({"what": "remove", "place": "demo:1", "code": ""}, 422),
        ({"what": "remove", "place": "none:1", "code": "S1"}, 404),
        ({"what": "mute", "place": "demo:9", "code": "S1"}, 404),
    ],
)
async def test_what_makes_no_sense_does_nothing(desk: Desk, services: FakeServices, body: dict[str, str], status: int) -> None:
    """No act without a code, and none on what is not there."""
    assert (await desk.send("/staff/patrol/act.json", body)).status_code == status
    assert review.decisions(services.moderation.book) == []


async def test_what_becomes_public_is_streamed_as_rows(
    desk: Desk, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how many there were and how many are shown; removals are told; a quiet stream is kept alive."""
    monkeypatch.setattr(staff_live, "TICK_S", 0.01)
    monkeypatch.setattr(staff_patrol, "_QUIET_TICKS", 5)
    app = application(services, [route(rule) for rule in staff_patrol.RULES])
    app.state.views = compiled_views()
    cookie = desk.client.cookies.get("barrage_staff", domain="site.example")
    reader = Reader(app, "/staff/patrol/stream", "room=demo", cookie=f"barrage_staff={cookie}")
    await reader.piece()
    assert await reader.piece() == b": keep-alive\n\n"
    services.say("film", "elsewhere")
    for number in range(20):
        services.say("demo", f"new {number}")
    await desk.post("/staff/patrol/act", remove="demo:1", reason="L8")
    seen: dict[str, Any] = {"total": 0, "shown": 0, "rows": [], "removed": []}
    while seen["total"] < 21:
        piece = await reader.piece()
        if piece.startswith(b"event: seen"):
            found = orjson.loads(piece.partition(b"data: ")[2])
            seen = {name: seen[name] + found[name] for name in seen}
    assert seen["total"] == 21
    assert len(seen["rows"]) + len(seen["removed"]) == seen["shown"] <= 24
    assert all("elsewhere" not in row for row in seen["rows"])
    assert 'name="remove" value="demo:' in seen["rows"][0]
    assert set(seen["removed"]) <= {"demo:1"}
    await reader.leave()
    await asyncio.sleep(0)
    assert app.state.staff_live.streams == 0
    assert ("patrol.stream", "demo", "") in views(services)
