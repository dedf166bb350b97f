"""server/http/transparency.py"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.http import transparency
from server.moderation import deciding, second
from tests.support.services import FakeServices
from tests.support.web import application, browsing

DAY = "2026-09-21"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    found.say("demo", "hello", author="zoe")
    yield found
    await found.end()


@pytest.fixture
async def client(services: FakeServices) -> AsyncIterator[httpx.AsyncClient]:
    async with browsing(application(services, transparency.routes)) as found:
        yield found


async def test_the_figures_of_a_month_are_a_page_and_data(services: FakeServices, client: httpx.AsyncClient) -> None:
    """In both languages, with pictures that have titles, and with tables; the data are the same for anybody, from any site."""
    await services.moderation.write(
        lambda tx: deciding.remove(tx, "demo", 1, "zoe", "S1", "advertising", actor="staff:ann", role="reviewer")
    )
    index = (await client.get("/transparency", params={"lang": "en"})).text
    assert 'href="/transparency/2026-09"' in index
    page = await client.get("/transparency/2026-09", params={"lang": "en"})
    assert page.status_code == 200
    assert page.text.count("<svg") >= 2
    assert "S1 advertising" in page.text
    assert "staff:ann" not in page.text
    assert "<script" not in page.text
    assert "透明度报告" in (await client.get("/transparency/2026-09", params={"lang": "zh-CN"})).text
    data = await client.get("/transparency/2026-09.json")
    body = data.json()
    assert (body["decisions"]["total"], body["comments"]["published"]) == (1, 1)
    assert data.headers["access-control-allow-origin"] == "*"
    assert "max-age" in data.headers["cache-control"]


@pytest.mark.parametrize("month", ["2026-08", "2027-01", "x", "2026-09-01"])
async def test_other_months_are_not_found(client: httpx.AsyncClient, month: str) -> None:
    """As a page and as data."""
    assert (await client.get(f"/transparency/{month}")).status_code == 404
    assert (await client.get(f"/transparency/{month}.json")).status_code == 404


async def test_duty_p5_7_a_draw_is_published_for_anybody_to_check(services: FakeServices, client: httpx.AsyncClient) -> None:
    """During the day the hash alone stands there; after it seed, lines and what was chosen, from which all make the same draw."""
    desk = services.moderation

    def work(tx: Any) -> None:
        second.begin(tx, DAY, 0.5)
        for seq in range(1, 21):
            deciding.remove(tx, "demo", seq, "zoe", "S1", "advertising", actor="staff:ann", role="reviewer")

    await desk.write(work)
    path = f"/transparency/draws/{DAY}.json"
    before = (await client.get(path)).json()
    assert set(before) == {"day", "time_zone", "share", "commitment", "drawn_ms"}
    assert before["commitment"] in (await client.get("/transparency")).text
    start_ms, end_ms = second.span_of(DAY, desk.publication.zone)
    await desk.write(lambda tx: second.draw(tx, DAY, start_ms, end_ms))
    after = (await client.get(path)).json()
    said = f"barrage second review 1\n{DAY}\n{after['share']!r}\n{after['seed']}"
    assert hashlib.sha256(said.encode()).hexdigest() == before["commitment"]
    digest = hashlib.sha256("".join(f"{line}\n" for line in after["lines"]).encode()).hexdigest()
    assert digest == after["digest"]
    chosen = await desk.look(lambda sql: second.without_item(sql, 100))
    assert after["chosen"] == [each.decision.id for each in chosen]
    assert path in (await client.get("/transparency")).text


@pytest.mark.parametrize("day", ["2026-09-20", "x", "2026-13-01", "20260921"])
async def test_other_days_have_no_draw(client: httpx.AsyncClient, day: str) -> None:
    """Not begun, or no day."""
    assert (await client.get(f"/transparency/draws/{day}.json")).status_code == 404
