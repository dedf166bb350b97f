"""server/moderation/publication.py"""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from server.errors import Refusal, StoreUnavailable
from server.moderation.publication import FRESH_MS, Publication
from server.settings import Settings
from server.store.tallies import Tally
from tests.support.accounts import START_MS, Clock
from tests.support.review import book


class Counter:
    """Counts how often the logs were counted; ``comments`` is what they hold."""

    def __init__(self) -> None:
        self.calls = 0
        self.comments = 5
        self.fails = False

    async def tally(self, since_ms: int, until_ms: int) -> list[Tally]:
        self.calls += 1
        await asyncio.sleep(0)
        if self.fails:
            raise StoreUnavailable("barrage.db")
        return [Tally(kind="comment", code="", role="", count=self.comments)]


async def test_a_month_that_is_over_is_counted_once_and_kept(tmp_path: Path) -> None:
    """Whoever asks gets the same, also after a restart, and also when the logs have lost since what it was counted from."""
    clock, logs = Clock(), Counter()
    clock.forward(days=30)
    with book(tmp_path, clock) as desk:
        made = Publication(Settings(data_dir=tmp_path), desk, logs.tally, lambda: START_MS, clock)
        assert await made.months() == ["2026-10", "2026-09"]
        first, second = await asyncio.gather(made.figures("2026-09"), made.figures("2026-09"))
        assert first == second
        assert (first["comments"]["published"], first["complete"], logs.calls) == (5, True, 1)
        logs.comments = 0
        again = Publication(Settings(data_dir=tmp_path), desk, logs.tally, lambda: START_MS, clock)
        assert (await again.figures("2026-09")) == first
        assert logs.calls == 1
        path = tmp_path / "transparency/2026-09.json"
        assert orjson.loads(path.read_bytes()) == first
        for damage in (b"{", b"[]", b'{"complete": false}'):
            path.write_bytes(damage)
            anew = Publication(Settings(data_dir=tmp_path), desk, logs.tally, lambda: START_MS, clock)
            assert (await anew.figures("2026-09"))["comments"]["published"] == 0


async def test_the_month_that_goes_on_is_counted_now_and_then(tmp_path: Path) -> None:
    """Within ten minutes everybody gets the same figures; nothing is kept."""
    clock, logs = Clock(), Counter()
    with book(tmp_path, clock) as desk:
        made = Publication(Settings(data_dir=tmp_path), desk, logs.tally, lambda: 0, clock)
        assert await made.months() == ["2026-09"]
        await made.figures("2026-09")
        logs.comments = 6
        clock.forward(ms=FRESH_MS - 1)
        assert (await made.figures("2026-09"))["comments"]["published"] == 5
        clock.forward(ms=1)
        assert (await made.figures("2026-09"))["comments"]["published"] == 6
        assert not (tmp_path / "transparency").exists()


@pytest.mark.parametrize("month", ["2026-08", "2026-10", "x", "../etc"])
async def test_other_months_have_no_figures(tmp_path: Path, month: str) -> None:
    """Neither from before the site nor from the future, and nothing else is a month."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        made = Publication(Settings(data_dir=tmp_path), desk, Counter().tally, lambda: START_MS, clock)
        with pytest.raises(Refusal, match="not_found"):
            await made.figures(month)


async def test_a_fault_of_a_database_is_temporary(tmp_path: Path) -> None:
    """Of the logs or of the book; the next one who asks has it counted again. A folder that cannot be written costs counting anew."""
    clock, logs = Clock(), Counter()
    clock.forward(days=30)
    with book(tmp_path, clock) as desk:
        made = Publication(Settings(data_dir=tmp_path), desk, logs.tally, lambda: START_MS, clock)
        logs.fails = True
        with pytest.raises(Refusal, match="storage_unavailable"):
            await made.figures("2026-09")
        logs.fails = False
        (tmp_path / "transparency").write_bytes(b"in the way")
        assert (await made.figures("2026-09"))["complete"]
    with pytest.raises(Refusal, match="storage_unavailable"):
        await made.months()
