"""server/http/staff_inspection.py: inspections on staff's pages."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.http import signing_key
from server.moderation import deciding, inspection
from server.moderation.bundle_check import read_key, verify
from static_mirror.layout import comments_folder
from tests.support.drafts import removal
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk
from tests.support.web import application, browsing

FORM = {
    "case_number": "C-7", "reason": "order 9", "inspectors": "ida", "rooms": "demo", "since": "2026-09-01", "until": "2026-10-01",
    "days": "7",
}  # fmt: skip


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    """Two rooms: one to be inspected, one not."""
    found = FakeServices(tmp_path)
    for room in ("demo", "other"):
        found.add_room(room)
        for number in range(60):
            found.say(room, f"said-{room}-{number}.", author=f"a-{number % 2}")
        folder = comments_folder(tmp_path / "pages", room)
        folder.mkdir(parents=True)
        (folder / "0.html").write_bytes(b"".join(b'<article id="c%d">x</article>\n' % seq for seq in range(1, 61)))
    found.append(removal(2, room="demo", at_ms=found.clock_ms))
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services) as found:
        yield found


async def allowed(desk: Desk, **changes: str) -> str:
    """The address of an inspection in force."""
    await desk.enter("carl", "compliance")
    asked = await desk.post("/staff/inspections", **{**FORM, **changes})
    assert asked.status_code == 303, asked.text
    address = asked.headers["location"]
    await desk.enter("olga", "operator")
    assert (await desk.post(f"{address}/decide", outcome="approve", basis="in order")).status_code == 303
    return address


def problem(answer: httpx.Response) -> str:
    found = re.search(r'role="alert">([^<]+)', answer.text)
    assert found is not None, answer.text
    return found[1]


async def test_an_inspection_is_asked_for_and_approved_by_another(desk: Desk) -> None:
    """What was typed comes back with what is wrong; who asked does not approve."""
    await desk.enter("carl", "compliance")
    back = await desk.post("/staff/inspections", **{**FORM, "rooms": "", "since": "soon"})
    assert back.status_code == 400
    assert 'value="order 9"' in back.text
    assert (await desk.post("/staff/inspections", **{**FORM, "rooms": ""})).status_code == 400
    asked = await desk.post("/staff/inspections", **FORM)
    address = asked.headers["location"]
    assert "C-7" in (await desk.get("/staff/inspections?lang=en")).text
    assert "waits for a second person" in (await desk.get(f"{address}?lang=en")).text
    await desk.enter("carl2", "operator", "compliance")
    assert "Approve" in (await desk.get(f"{address}?lang=en")).text
    await desk.enter("olga", "operator")
    assert (await desk.post(f"{address}/decide", outcome="refuse", basis="no paper")).headers["location"] == address
    assert (await desk.post(f"{address}/decide", outcome="approve", basis="after all")).status_code == 409
    assert (await desk.get("/staff/inspections/i-none")).status_code == 404


async def test_duty_p3_an_inspector_sees_what_lies_within_the_scope_and_nothing_else(
    desk: Desk, services: FakeServices
) -> None:
    """The rooms of the case, page by page, each view on record; other inspections, other rooms and the desk itself are closed."""
    address = await allowed(desk)
    others = await allowed(desk, case_number="C-8", inspectors="ivo", rooms="other")
    await desk.enter("carl", "compliance")
    asked = (await desk.post("/staff/inspections", **{**FORM, "case_number": "C-9"})).headers["location"]
    await desk.enter("ida", "inspector")
    # What is read, without attributes: a token of a form may have any letters.
    listing = re.sub(r"<[^>]*>", " ", (await desk.get("/staff/inspections")).text)
    assert "C-7" in listing
    assert "C-8" not in listing
    assert "C-9" not in listing, "nobody has approved it yet"
    for closed in (
        asked,
        others,
        f"{others}/events",
        "/staff/accounts",
        "/staff/log",
        "/staff/queue",
        "/staff/members",
        "/staff/outbox",
    ):
        assert (await desk.get(closed)).status_code in {403, 404}, closed
    shown = ""
    for after in (0, 50):
        answer = await desk.get(f"{address}/events?after={after}&lang=en")
        assert answer.status_code == 200
        shown += answer.text
    assert set(re.findall(r"said-(\w+)-\d+\.", shown)) == {"demo"}
    assert len(set(re.findall(r"said-demo-\d+\.", shown))) == 60
    assert "demo#61" in shown, "the removal"
    for part in ("screened", "decisions", "reports", "measures"):
        assert (await desk.get(f"{address}/{part}")).status_code == 200
    assert (await desk.get(f"{address}/secrets")).status_code == 404
    assert (await desk.post(f"{address}/export")).status_code == 403
    page = (await desk.get(f"{address}?lang=en")).text
    assert "Who looked" not in page
    views = services.moderation.book.read_now(lambda c: inspection.views_of(c, "C-7"))
    assert [view.action for view in reversed(views)] == [
        "inspection.events", "inspection.events", "inspection.screened", "inspection.decisions", "inspection.reports",
        "inspection.measures",
    ]  # fmt: skip
    assert {(view.actor, view.role) for view in views} == {("staff:ida", "inspector")}


async def test_an_inspector_reads_decisions_in_words(desk: Desk, services: FakeServices) -> None:
    """What was decided, why and by whom, in the inspector's language; the record itself stays in the bundle."""
    address = await allowed(desk)
    by: Any = {"actor": "staff:ben", "role": "senior"}
    await services.moderation.write(lambda tx: deciding.remove(tx, "demo", 2, "a-1", "L8", "rule 7", **by))
    await desk.enter("ida", "inspector")
    page = (await desk.get(f"{address}/decisions?lang=zh-CN")).text
    row = re.findall(r"<tr>(<td.*?)</tr>", page)[-1]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row)
    assert cells[1:] == ["demo#2", "a-1", "已移除", "L8 侮辱或者诽谤他人", "rule 7", "staff:ben 高级审核员"]


async def test_duty_p5_8_a_bundle_is_fetched_and_verifies_with_the_published_key(
    desk: Desk, services: FakeServices, tmp_path: Path
) -> None:
    """Its digest stands on the page; nothing of it stays on the server; revoked, it is to be had no more."""
    address = await allowed(desk)
    await desk.enter("carl", "compliance")
    answer = await desk.post(f"{address}/export")
    assert answer.headers["content-type"] == "application/zip"
    path = tmp_path / "fetched.zip"
    path.write_bytes(answer.content)
    async with browsing(application(services, signing_key.routes)) as public:
        key = read_key((await public.get("/api/signing-key")).text)
    check = verify(path, key)
    assert check.problems == []
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert len(archive.read("events.jsonl").splitlines()) == 61
    assert check.manifest_sha256 in (await desk.get(address)).text
    assert list((tmp_path / "exports").iterdir()) == []
    assert (await desk.post(f"{address}/revoke", basis="")).status_code == 422
    assert (await desk.post(f"{address}/revoke", basis="done")).status_code == 303
    assert problem(await desk.post(f"{address}/export"))
    await desk.enter("ida", "inspector")
    assert (await desk.get(f"{address}/events")).status_code == 403
