"""server/http/staff_team.py, staff_training.py and staff_home.py: what the pages of the team show and do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from server.accounts.book import Transaction
from server.accounts.staff import add
from server.http.staff import RULES
from server.moderation import cases, team, training
from server.moderation.training import KEEP
from tests.support.accounts import DAY_MS, HOUR_MS
from tests.support.review import BOSS, hold
from tests.support.services import START_MS, FakeServices
from tests.support.staff import Desk, staff_desk


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    """Two reviewers and a senior, nothing planned."""
    found = FakeServices(tmp_path)

    def work(tx: Transaction) -> None:
        for name, role in (("ann", "reviewer"), ("ben", "reviewer"), ("boss", "senior"), ("eve", "admin")):
            add(tx, name, (role,), found.people.vault, actor="operator:root", role="operator")

    await found.people.book.write(work)
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services, RULES) as found:
        yield found


async def text(desk: Desk, path: str) -> str:
    answer = await desk.get(f"{path}{'&' if '?' in path else '?'}lang=en")
    assert answer.status_code == 200, answer.text
    return answer.text


def problem(answer: httpx.Response) -> str:
    found = re.search(r'id="problem" role="alert">([^<]+)', answer.text)
    assert found is not None, answer.text
    return found[1]


async def publish(services: FakeServices, *codes: str) -> int:
    """A set of boss, in force."""

    def work(tx: object) -> int:
        number = training.begin_set(tx, "Basics", **BOSS)  # type: ignore[arg-type]
        for at, code in enumerate(codes or (KEEP, "S1", "L8")):
            training.add_question(tx, number, f"phrase {at}", code, f"because {at}")  # type: ignore[arg-type]
        training.publish(tx, number, **BOSS)  # type: ignore[arg-type]
        return number

    return await services.moderation.write(work)


async def test_duty_p5_7_from_a_refused_claim_through_the_training_to_the_item(desk: Desk, services: FakeServices) -> None:
    """Without a script: the queue leads to the training, nothing tells the answers before the end, a failure keeps the queue shut, a
    pass opens it; the senior sees the mark."""
    item = hold(services.moderation.book, 1)
    await publish(services)
    await desk.enter("ann")
    sent = await desk.post("/staff/queue/next", queue="held")
    assert (sent.status_code, sent.headers["location"]) == (303, "/staff/training?needed=1")
    assert "You cannot take items yet" in await text(desk, "/staff/training?needed=1")
    assert "Before you take items there is training" in await text(desk, "/staff")
    decided = await desk.post(f"/staff/queue/{item.id}", version="0", act="allow")
    assert decided.status_code == 403, "nor is it decided without a claim"
    assert (await desk.send("/staff/desk/next", {"queue": "held"})).json()["code"] == "training_required"

    began = await desk.post("/staff/training/begin", training="1")
    going = began.headers["location"]
    page = await text(desk, going)
    assert page.count("phrase") == 3
    assert "because" not in page
    names = re.findall(r'name="(q\.[0-9]+)"', page)
    assert problem(await desk.post(going, **{names[0]: KEEP}))
    assert (await desk.post(going, **dict.fromkeys(names, KEEP))).headers["location"] == going
    marks = await text(desk, going)
    assert "33 %" in marks
    assert "because 1" in marks
    assert (await desk.post("/staff/queue/next", queue="held")).headers["location"] == "/staff/training?needed=1"
    assert (await desk.post("/staff/training/begin", training="1")).status_code == 429
    assert (await desk.post(going, **dict.fromkeys(names, KEEP))).status_code == 409

    services.clock_ms += HOUR_MS
    await desk.enter("ann")
    going = (await desk.post("/staff/training/begin", training="1")).headers["location"]
    order = re.findall(r'id="text-([0-9]+)">phrase ([0-9])', await text(desk, going))
    right = {f"q.{number}": (KEEP, "S1", "L8")[int(at)] for number, at in order}
    await desk.post(going, **right)
    assert "100 %" in await text(desk, going)
    assert (await desk.post("/staff/queue/next", queue="held")).headers["location"].startswith(f"/staff/queue/{item.id}?")

    await desk.enter("ben")
    assert (await desk.get(going)).status_code == 403
    await desk.enter("boss")
    assert "100 %" in await text(desk, going)
    overview = await text(desk, "/staff/training")
    assert "written by you" in overview
    assert "passed until" in overview


async def test_a_senior_writes_a_set(desk: Desk, services: FakeServices) -> None:
    """Questions written or taken from decided items, put into force, written anew as the next version, retired."""
    await desk.enter("boss")
    assert problem(await desk.post("/staff/training", title=" "))
    there = (await desk.post("/staff/training", title="安全 basics")).headers["location"]
    for code in (KEEP, "S1"):
        assert (await desk.post(there, what="question", text=f"text {code}", code=code, why="")).status_code == 303
    item = hold(services.moderation.book, 1, text="from the queue")
    await desk.post(f"/staff/queue/{item.id}", version=str(item.version), act="stop", reason="S1", basis="an advert")
    assert problem(await desk.post(there, what="publish"))
    assert (await desk.post(there, what="decided", item=str(item.id))).status_code == 303
    page = await text(desk, there)
    assert "from the queue" in page
    assert "an advert" in page
    assert problem(await desk.post(there, what="decided", item="99"))
    assert problem(await desk.post(there, what="nonsense"))
    await desk.post(there, what="question", text="one too many", code=KEEP)
    assert "one too many" in await text(desk, there)
    await desk.post(there, what="drop", question="4")
    assert "one too many" not in await text(desk, there)
    assert (await desk.post(there, what="publish")).status_code == 303
    assert "Write the next version" in await text(desk, there)
    new = (await desk.post(there, what="revise")).headers["location"]
    assert new != there
    assert "version 2" in await text(desk, new)
    assert (await desk.post(there, what="retire")).status_code == 303
    assert "nobody is asked for training" in await text(desk, "/staff/training")
    assert (await desk.get("/staff/training/sets/x")).status_code == 404
    assert (await desk.post("/staff/training/begin", training="x")).status_code == 400


async def test_shifts_and_seats(desk: Desk, services: FakeServices) -> None:
    """Planned on several days at once, through midnight, shown in the week that was asked for, cancelled; all as the site's time has
    it. What cannot be is said, with what was typed."""
    await desk.enter("boss")
    plan = {"member": "ann", "day": "2026-11-23", "from": "22:00", "until": "06:00", "days": "2"}
    at = (await desk.post("/staff/team/shifts", **plan)).headers["location"]
    assert at == "/staff/team?week=2026-11-23"
    page = await text(desk, at)
    assert page.count("22:00–06:00</strong>") == 2
    assert "Mon 23" in page
    assert "eve" not in re.findall(r"<option[^>]*>([a-z]+)</option>", page)
    for wrong in ({"member": "eve"}, {"day": "x"}, {"from": "25:00"}, {"days": "0"}, {"days": "x"}, {"queue": "lunch"}, {}):
        answer = await desk.post("/staff/team/shifts", **(plan | wrong))
        assert problem(answer), wrong
    shift = re.findall(r'name="shift" value="([0-9]+)"', page)[0]
    await desk.post("/staff/team/shifts/cancel", shift=shift, week="2026-11-23")
    assert (await text(desk, at)).count("22:00–06:00</strong>") == 1
    assert problem(await desk.post("/staff/team/shifts/cancel", shift=shift))
    assert problem(await desk.post("/staff/team/seats", queue="", number="x"))
    await desk.post("/staff/team/seats", queue="news", number="2")
    assert "News rooms: <strong>2</strong>" in await text(desk, "/staff/team?week=nonsense")
    await desk.enter("ann")
    assert "Plan a shift" not in await text(desk, "/staff/team")


async def test_duty_p5_7_the_alarm_is_on_the_team_the_first_page_and_the_figures(desk: Desk, services: FakeServices) -> None:
    """Whoever may see figures sees it; as data, too."""
    for number in range(1, 4):
        hold(services.moderation.book, number, at_ms=services.clock_ms)
    await services.moderation.write(lambda tx: team.plan(tx, "staff:ann", START_MS, START_MS + HOUR_MS, **BOSS))
    await desk.enter("boss")
    assert "Something is to be done now" not in await text(desk, "/staff/team")
    assert (await desk.get("/staff/team.json")).json()["alarm"] is False
    services.clock_ms += 16 * 60_000
    assert "has not been seen" in await text(desk, "/staff/team")
    assert "has not been seen" in await text(desk, "/staff")
    assert "a shift in which nobody is seen" in await text(desk, "/staff/figures")
    data = (await desk.get("/staff/team.json")).json()
    assert (data["alarm"], data["desk"]["on_shift"], data["absent"][0]["member"]) == (True, 1, "staff:ann")
    assert "nobody seen" in await text(desk, "/staff/team")
    await desk.enter("eve")
    assert "has not been seen" not in await text(desk, "/staff")


async def test_the_first_page_tells_what_waits_at_the_desk(desk: Desk, services: FakeServices) -> None:
    """Each for who may see it: queues for reviewers, cases for compliance."""
    hold(services.moderation.book, 1, at_ms=services.clock_ms)
    by = {"actor": "staff:carl", "role": "compliance"}
    due = services.clock_ms + HOUR_MS
    await services.moderation.write(lambda tx: cases.begin(tx, "incident", "own", "t", "facts", due, **by))
    services.clock_ms += DAY_MS
    await desk.enter("ann")
    page = await text(desk, "/staff")
    assert re.search(r"Held comments</a></h2><p>1 wait · <strong class=\"late\">1 overdue", page)
    assert "/staff/cases" not in page
    await desk.enter("carl", "compliance")
    page = await text(desk, "/staff")
    assert re.search(r"Cases</a></h2><p>1 open · <strong class=\"late\">1 overdue", page)
    assert "Held comments" not in page
