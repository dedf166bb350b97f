"""server/http/staff_outbox.py: findings on staff's pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.accounts import vault_access
from server.accounts.book import Transaction
from server.moderation import outbox
from server.moderation.outbox import Finding
from tests.support.accounts import person
from tests.support.authority import WEB
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk

FORM = {
    "authority": "authority", "title": "邪教宣传", "summary": "Three comments.", "code": "L5", "basis": "第十五条",
    "comments": "demo#1", "accounts": "a-1",
}  # fmt: skip


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    found.say("demo", "hello", author="a-1")

    def work(tx: Transaction) -> None:
        person(tx)
        found.people.vault.put(tx, "a-1", "phone", "+8613800000000")

    await found.people.book.write(work)
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services) as found:
        yield found


def finding(services: FakeServices, address: str) -> Finding:
    return services.moderation.book.read_now(lambda c: outbox.need(c, address.rpartition("/")[2]))


async def test_a_finding_is_filed_printed_and_acknowledged(desk: Desk, services: FakeServices) -> None:
    """By who reports to authorities; each step is on its page."""
    await desk.enter("carl", "compliance")
    assert "There are none." in (await desk.get("/staff/outbox?lang=en")).text
    back = await desk.post("/staff/outbox", **{**FORM, "comments": "", "accounts": ""})
    assert back.status_code == 400
    assert 'value="邪教宣传"' in back.text
    assert (await desk.post("/staff/outbox", **{**FORM, "authority": "nobody"})).status_code == 400
    assert (await desk.post("/staff/outbox", **{**FORM, "decisions": "one"})).status_code == 400
    address = (await desk.post("/staff/outbox", **FORM)).headers["location"]
    page = (await desk.get(f"{address}?lang=en")).text
    assert 'href="/rooms/demo/comments/0.html#c1"' in page
    assert "not sent yet" in page
    paper = (await desk.get(f"{address}/print?lang=en")).text
    assert "Three comments." in paper
    assert finding(services, address).state == "open", "whoever reads changes nothing"
    assert (await desk.post(f"{address}/print", digest="0" * 64)).status_code == 409
    assert finding(services, address).state == "open"
    digest = re.findall(r'name="digest" value="(\w+)"', paper)[0]
    assert (await desk.post(f"{address}/print", digest=digest)).headers["location"] == address
    assert finding(services, address).state == "sent"
    assert digest in (await desk.get(f"{address}?lang=en")).text
    assert "sent, not acknowledged" in (await desk.get("/staff/outbox?lang=en")).text
    assert (await desk.post(f"{address}/acknowledge", reference="")).status_code == 400
    assert (await desk.post(f"{address}/acknowledge", reference="受理 7 号")).status_code == 303
    assert "受理 7 号" in (await desk.get(f"{address}?lang=en")).text
    assert (await desk.get("/staff/outbox/f-none")).status_code == 404
    assert (await desk.get("/staff/outbox/f-none/print")).status_code == 404


async def test_a_finding_whose_personal_data_cannot_be_read_is_not_printed(desk: Desk, services: FakeServices) -> None:
    """It says so, and stands as not printed."""
    await desk.enter("carl", "compliance")
    address = (await desk.post("/staff/outbox", **FORM)).headers["location"]
    name = address.rpartition("/")[2]
    services.moderation.book.write_now(lambda tx: outbox.attach(tx, name, b"changed", "print"))
    assert (await desk.get(f"{address}/print")).status_code == 503
    assert (await desk.post(f"{address}/print", digest="")).status_code == 503
    assert finding(services, address).state == "open"


async def test_a_finding_is_sent_again_or_withdrawn(desk: Desk, services: FakeServices) -> None:
    """One that is late says so on its page and on the list."""
    services.moderation.outbox.authorities = {"cac": WEB}  # type: ignore[misc] # as if the settings named it
    await desk.enter("carl", "compliance")
    address = (await desk.post("/staff/outbox", **{**FORM, "authority": "cac"})).headers["location"]
    name = address.rpartition("/")[2]
    services.moderation.book.write_now(lambda tx: outbox.failed(tx, name, "webhook", "status 503"))
    services.clock_ms += WEB.acknowledge_ms
    await desk.enter("carl", "compliance")
    page = (await desk.get(f"{address}?lang=en")).text
    assert "Nobody has acknowledged it in time." in page
    assert "status 503" in page
    assert "overdue" in (await desk.get("/staff/outbox?lang=en")).text
    assert (await desk.post(f"{address}/send")).status_code == 303
    assert finding(services, address).next_ms == services.clock_ms
    assert (await desk.post(f"{address}/withdraw", basis="a mistake")).status_code == 303
    assert (await desk.post(f"{address}/send")).status_code == 409


async def test_personal_data_come_from_the_vault_by_two_people(desk: Desk, services: FakeServices) -> None:
    """Granted once, sealed into the finding, on paper for the authority; a grant that is none withdraws the finding."""

    def grant(tx: Transaction) -> str:
        request = vault_access.request_access(tx, "a-1", ["phone"], reason="order 9", actor="staff:carl", role="privacy")
        vault_access.decide_access(tx, request, True, actor="staff:pia", role="privacy")
        return request

    request = await services.people.book.write(grant)
    await desk.enter("carl", "compliance", "privacy")
    assert "a-1: phone" in (await desk.get("/staff/outbox?lang=en")).text
    address = (await desk.post("/staff/outbox", **{**FORM, "grant": request})).headers["location"]
    assert b"13800000000" not in finding(services, address).sealed
    page = (await desk.get(f"{address}?lang=en")).text
    assert "personal data, encrypted" in page
    assert "13800000000" not in page
    assert "+8613800000000" in (await desk.get(f"{address}/print")).text
    await desk.post(f"{address}/acknowledge", reference="R")
    assert finding(services, address).sealed == b""
    assert "13800000000" not in (await desk.get(f"{address}/print")).text
    again = await desk.post("/staff/outbox", **{**FORM, "grant": request})
    assert again.status_code == 409
    ended = services.moderation.book.read_now(lambda c: outbox.listed(c, ended=True))
    assert sorted(each.state for each in ended) == ["acknowledged", "withdrawn"]
    await desk.enter("ned", "compliance")
    assert (await desk.post("/staff/outbox", **{**FORM, "grant": request})).status_code == 403
