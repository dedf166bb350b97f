"""server/http/staff_modes.py: modes of the site and of rooms, emergency terms and raids on staff's pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filters.verdict import Action
from server.core.raids import Raid
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk

FORM = {"mode": "review", "term": "30m", "code": "E3", "basis": "few reviewers"}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo", "演示 Demo")
    found.add_room("other")
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services) as found:
        await found.enter("boss", "operator")
        yield found


async def test_duty_p5_5_staff_set_the_mode_of_a_room(desk: Desk, services: FakeServices) -> None:
    """With a code, a basis and a term: it stands in the room's log and on the pages; what cannot be comes back with why."""
    assert (await desk.post("/staff/modes/demo", **FORM)).headers["location"] == "/staff/modes/demo"
    event = services.events("demo")[-1]
    assert (event.notice, event.room_mode, event.code, event.basis, event.role) == (
        "mode", "review", "E3", "few reviewers", "operator",
    )  # fmt: skip
    assert event.until_ms == services.clock_ms + 30 * 60_000
    page = (await desk.get("/staff/modes/demo?lang=en")).text
    for words in ("review first", "few reviewers", "E3", "then open"):
        assert words in page
    assert "演示 Demo" in (await desk.get("/staff/modes?lang=en")).text
    for wrong in ({"mode": "loud"}, {"term": "9d"}, {"code": "L1"}, {"basis": " "}, {"slow_s": "-1"}, {"slow_s": "99999"}):
        back = await desk.post("/staff/modes/demo", **{**FORM, **wrong})
        assert back.status_code in (400, 422), wrong
        assert 'role="alert"' in back.text
    assert (await desk.get("/staff/modes/nowhere")).status_code == 404
    assert (await desk.post("/staff/modes/demo", **{**FORM, "mode": "slow", "term": "", "slow_s": "45"})).status_code == 303
    room = services.room("demo")
    assert room is not None
    assert (room.mode, room.standing, room.until_ms, room.slow_ms) == ("slow", "slow", 0, 45_000)


async def test_duty_p5_5_an_operator_sets_the_mode_of_the_site(desk: Desk, services: FakeServices) -> None:
    """It asks for a fresh factor and for the role; every room is told, and rooms are found by name."""
    assert (await desk.post("/staff/modes", **{**FORM, "mode": "read_only"})).headers["location"] == "/staff/modes"
    await services.moderation.modes.settle()
    assert {room: services.events(room)[-1].notice for room in ("demo", "other")} == {"demo": "site_mode", "other": "site_mode"}
    assert services.moderation.modes.term.mode == "read_only"
    page = (await desk.get("/staff/modes?lang=en&q=oth")).text
    assert "/staff/modes/other" in page
    assert "/staff/modes/demo" not in page
    assert "read only" in (await desk.get("/staff/modes/demo?lang=en")).text
    assert (await desk.post("/staff/modes", **{**FORM, "code": "R1"})).status_code == 422
    await desk.enter("sue", "senior")
    assert (await desk.post("/staff/modes", **FORM)).status_code == 403
    assert "Set the mode of the site" not in (await desk.get("/staff/modes?lang=en")).text
    await desk.enter("boss", fresh=False)
    assert (await desk.post("/staff/modes", **FORM)).headers["location"].startswith("/staff/confirm")


async def test_emergency_terms_are_typed_in_and_taken_out(desk: Desk, services: FakeServices) -> None:
    """One a line, refused or held; none: they are taken out."""
    form = {"code": "E2", "basis": "order 7"}
    assert (await desk.post("/staff/emergency", terms='今晚的口令\n 坏"词\\ \n', tier="reject", **form)).status_code == 303
    assert services.rules.current().inspect("今晚的口令").action is Action.REFUSE
    assert "order 7" in (await desk.get("/staff/modes?lang=en")).text
    assert (await desk.post("/staff/emergency", terms="x" * 300, tier="hold", **form)).status_code == 422
    assert (await desk.post("/staff/emergency", terms="词", tier="loud", **form)).status_code == 400
    assert (await desk.post("/staff/emergency", terms=" \n", tier="hold", **form)).status_code == 303
    assert services.rules.current().inspect("今晚的口令").action is Action.ACCEPT


async def test_a_raid_is_shown_with_the_shield_that_answers_it(desk: Desk, services: FakeServices) -> None:
    """Until the shield is up, or it is long over."""
    services.raids = [Raid("demo", 0, 80, 90, 0.55)]
    await services.moderation.modes.look()
    page = (await desk.get("/staff/modes?lang=en")).text
    assert "80 newcomers among 90 authors" in page
    assert "55 %" in page
    sent = await desk.post("/staff/modes/demo", mode="shield", term="30m", code="E1", basis="a raid")
    assert sent.status_code == 303
    assert "Raids" not in (await desk.get("/staff/modes?lang=en")).text
