"""server/http/staff_records.py"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from server.moderation import deciding, differences, second, tables
from server.moderation.effects import Ended, end
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk

DAY = "2026-09-21"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    """A removal by ann, which ben has judged otherwise (decisions 1 and 2)."""
    found = FakeServices(tmp_path)
    found.add_room("demo")
    found.say("demo", "buy <b>", author="zoe")
    moderation = found.moderation

    def work(tx: Any) -> None:
        second.begin(tx, DAY, 1.0)
        first = deciding.remove(tx, "demo", 1, "zoe", "S1", "advertising <b>", actor="staff:ann", role="reviewer")
        end(tx, [Ended(first.id, 2, "")])
        second.draw(tx, DAY, 0, found.clock_ms + 1)
        item = second.make_item(tx, first, "buy <b>", 0)
        second.judge(tx, item, 0, "K1", "nothing wrong", actor="staff:ben", role="reviewer")

    await moderation.write(work)
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services) as found:
        yield found


async def text(desk: Desk, path: str, status: int = 200) -> str:
    answer = await desk.get(f"{path}{'&' if '?' in path else '?'}lang=en")
    assert answer.status_code == status, answer.text
    return answer.text


async def test_the_log_is_searched_and_the_look_is_recorded(services: FakeServices, desk: Desk) -> None:
    """By what it is asked for, escaped, with links to each decision; who looked for what stands in the records of views."""
    await desk.enter("carl", "compliance")
    page = await text(desk, "/staff/records")
    assert re.findall(r'href="/staff/records/(\d+)"', page) == ["2", "1"]
    assert "advertising &lt;b&gt;" in page
    page = await text(desk, f"/staff/records?what=remove&code=S&actor=staff:ann&room=demo&seq=1&since={DAY}&until={DAY}")
    assert re.findall(r'href="/staff/records/(\d+)"', page) == ["1"]
    assert "There are none." in await text(desk, "/staff/records?since=2026-09-22")
    views = await services.moderation.look(lambda sql: list(sql.execute(select(tables.views.c.actor, tables.views.c.detail))))
    assert len(views) == 3
    assert views[1][0] == "staff:carl"
    assert "code=S" in views[1][1]


@pytest.mark.parametrize("query", ["seq=x", "since=1", "what=nothing", "before=-1", "until=2026-99-99"])
async def test_what_cannot_be_asked_is_said(desk: Desk, query: str) -> None:
    """The form comes back with what was wrong, and lists nothing."""
    await desk.enter("carl", "compliance")
    page = await text(desk, f"/staff/records?{query}", 400)
    assert 'role="alert"' in page
    assert not re.findall(r'href="/staff/records/\d+"', page)


async def test_the_log_is_paged(services: FakeServices, desk: Desk) -> None:
    """A full page leads on to older decisions, with the same questions."""

    def work(tx: Any) -> None:
        for seq in range(100):
            deciding.remove(tx, "demo", seq + 2, "zoe", "S2", "flood", actor="staff:ann", role="reviewer")

    await services.moderation.write(work)
    await desk.enter("carl", "compliance")
    page = await text(desk, "/staff/records?room=demo")
    older = re.search(r'href="(/staff/records\?room=demo&amp;before=\d+)"', page)
    assert older is not None
    assert re.findall(r'href="/staff/records/(\d+)"', await text(desk, older[1].replace("&amp;", "&"))) == ["2", "1"]


async def test_duty_p7_each_decision_has_a_statement_of_reasons(desk: Desk) -> None:
    """Facts, ground, category, and how far programs had a hand in it; what does not exist is not found."""
    await desk.enter("carl", "compliance")
    page = await text(desk, "/staff/records/1")
    for words in ("Statement of reasons", "Staff came upon it, or were asked to", "advertising &lt;b&gt;", "S1 advertising",
                  "Spam and paid posting", "Decided by a program", "staff:ann", "event 2"):  # fmt: skip
        assert words in page
    for number in ("99", "x", "9" * 20):
        await text(desk, f"/staff/records/{number}", 404)


async def test_a_senior_settles_what_two_have_judged_differently(services: FakeServices, desk: Desk) -> None:
    """The page shows both judgements; the removal is taken back with a code of family R, and nothing waits any more."""
    await desk.enter("boss", "senior")
    page = await text(desk, "/staff/second")
    assert "buy &lt;b&gt;" in page
    assert "nothing wrong" in page
    fields = {"decision": "1", "settlement": "changed", "code": "S1", "basis": "looked again"}
    refused = await desk.post("/staff/second", **fields)
    assert refused.status_code == 422
    assert (await desk.post("/staff/second", **{**fields, "settlement": "both"})).status_code == 400
    assert (await desk.post("/staff/second", **{**fields, "code": "R1"})).status_code == 303
    assert "There are none." in await text(desk, "/staff/second")
    assert await services.moderation.look(differences.waiting) == []
    assert "restored" in await text(desk, "/staff/records/3")


async def test_who_judged_it_sees_that_somebody_else_must_settle_it(services: FakeServices, desk: Desk) -> None:
    """There is no form for them."""
    await desk.enter("ben", "senior")
    page = await text(desk, "/staff/second")
    assert "somebody else settles it" in page
    assert 'name="settlement"' not in page
