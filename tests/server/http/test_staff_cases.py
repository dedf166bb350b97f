"""server/http/staff_cases.py: cases, features and holds on staff's pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.accounts import holds
from server.moderation import cases, features
from tests.support.accounts import DAY_MS, person
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk

PAPER = "C" * 64


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    await found.people.book.write(person)
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services) as found:
        await found.enter("carl", "compliance")
        yield found


async def test_a_case_goes_from_its_opening_to_the_evidence_that_closes_it(desk: Desk, services: FakeServices) -> None:
    """Each step stands on its page; what is refused comes back with why."""
    form = {"kind": "rectification", "source": "authority", "title": "整改", "facts": "Too slow.", "due": "2026-10-01"}
    back = await desk.post("/staff/cases", **form)
    assert back.status_code == 400
    assert "reference" in back.text
    address = (await desk.post("/staff/cases", **form, reference="3 号")).headers["location"]
    steps = (
        {"what": "note", "words": "two more seats"}, {"what": "penalty", "words": "警告"},
        {"what": "deadline", "words": "agreed", "due": "2026-11-01"},
    )  # fmt: skip
    for step in steps:
        assert (await desk.post(address, **step)).headers["location"] == address
    assert (await desk.post(address, what="close", words="done")).status_code == 422
    assert (await desk.post(address, what="evidence", words="roster", decision="x")).status_code == 400
    assert (await desk.post(address, what="evidence", words="roster", sha256=f" {PAPER} ")).status_code == 303
    assert (await desk.post(address, what="close", words="done")).status_code == 303
    assert (await desk.post(address, what="burn", words="x")).status_code == 400
    assert (await desk.post(address, what="reopen", words="not over", due="2026-12-01")).status_code == 303
    found = services.moderation.book.read_now(lambda c: cases.steps_of(c, address.rpartition("/")[2]))
    assert [step.kind for step in found] == ["note", "penalty", "deadline", "evidence", "closed", "reopened"]
    page = (await desk.get(f"{address}?lang=en")).text
    assert PAPER.lower() in page
    services.clock_ms += 200 * DAY_MS
    await desk.enter("carl", "compliance")
    assert "Its deadline is past." in (await desk.get(f"{address}?lang=en")).text
    assert "overdue" in (await desk.get("/staff/cases?lang=en")).text
    assert (await desk.get("/staff/cases/k-none")).status_code == 404


async def test_assessments_are_entered_and_revoked(desk: Desk, services: FakeServices) -> None:
    """An inspector sees the registry; who assesses confirms first."""
    form = {
        "feature": "sign_in_providers", "assessor": "Institute 3", "result": "passed", "sha256": PAPER, "assessed": "2026-09-01",
        "until": "2027-09-01", "reference": "备案 8 号",
    }  # fmt: skip
    assert "not assessed" in (await desk.get("/staff/features?lang=en")).text
    assert (await desk.post("/staff/features", **{**form, "sha256": "short"})).status_code == 400
    assert (await desk.post("/staff/features", **form)).status_code == 303
    await desk.enter("ida", "inspector")
    page = (await desk.get("/staff/features?lang=en")).text
    assert "备案 8 号" in page
    assert "not assessed" not in page
    assert "Enter an assessment" not in page
    (found,) = services.moderation.book.read_now(features.listed)
    await desk.enter("carl", "compliance")
    assert (await desk.post("/staff/features/revoke", assessment=found.id, basis="")).status_code == 422
    assert (await desk.post("/staff/features/revoke", assessment=found.id, basis="wrong")).status_code == 303
    assert "revoked" in (await desk.get("/staff/features?lang=en")).text


async def test_duty_p12_holds_are_placed_and_released_on_their_page(desk: Desk, services: FakeServices) -> None:
    """On an account, or on everything, under a case number."""
    form = {"case_number": "C-9", "reason": "order 9"}
    assert (await desk.post("/staff/holds", **form, account="nobody")).status_code == 404
    assert (await desk.post("/staff/holds", **form, account="a-1")).status_code == 303
    assert (await desk.post("/staff/holds", **form, everything="1")).status_code == 303
    assert services.people.book.read_now(lambda c: holds.covers(c, "a-1"))
    assert "C-9" in (await desk.get("/staff/holds?lang=en")).text
    for hold in services.people.book.read_now(holds.in_force):
        assert (await desk.post("/staff/holds/release", hold=hold.id)).status_code == 303
    assert not services.people.book.read_now(lambda c: holds.covers(c, "a-1"))
    assert (await desk.post("/staff/holds/release", hold="h-none")).status_code == 404
