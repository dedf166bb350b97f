"""server/http/staff_figures.py: how the desk does, as plots and as data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.http import staff_figures
from server.moderation import deciding
from tests.server.http.test_staff_queue import hold
from tests.support.review import ANN
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    found.verdict_counts = {("accepted", ""): 90, ("refused", "too_fast"): 7, ("held", "held_for_review"): 3}
    first = await hold(found, 1)
    await hold(found, 2)
    await found.moderation.write(lambda tx: deciding.decide_item(tx, first.id, first.version, "publish", "K1", "x", **ANN))
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services, staff_figures.RULES) as found:
        await found.enter("ann", "reviewer")
        yield found


async def test_the_figures_are_shown_as_plots_with_tables(desk: Desk) -> None:
    """Each plot has a title and a description; the figures themselves stand beside it; the part alone is what the script asks for."""
    page = (await desk.get("/staff/figures?lang=en")).text
    assert page.count('<svg viewBox="0 0') == 5
    assert page.count("<title id=") == page.count("<desc id=") == 5
    for words in ("too_fast", "ads.contact", "No group was found in 24 hours.", "The figures"):
        assert words in page
    part = (await desk.get("/staff/figures?part=1&lang=en")).text
    assert part.startswith('<ul class="now">')
    assert part in page


async def test_the_figures_are_there_as_data(desk: Desk, services: FakeServices) -> None:
    """The same, read at most every few seconds for all who look."""
    data = (await desk.get("/staff/figures.json")).json()
    assert data["queues"]["held"] | {"oldest_ms": 0} == {
        "open": 1,
        "claimed": 0,
        "overdue": 1,
        "oldest_ms": 0,
        "ages": [1, 0, 0, 0, 0],
    }
    assert data["hours"][-1]["decided"] == {"publish": 1}
    assert data["workers"][0]["actor"] == "staff:ann"
    assert data["rules"] == [{"rule": "ads.contact", "published": 1, "refused": 0}]
    assert data["screened"][0] == ["accepted", "", 90]
    assert data["appeals"] == {"open": 0, "late": 0}
    await hold(services, 3)
    assert (await desk.get("/staff/figures.json")).json() == data
    services.uptime_ms += staff_figures.FRESH_MS
    assert (await desk.get("/staff/figures.json")).json()["queues"]["held"]["open"] == 2
