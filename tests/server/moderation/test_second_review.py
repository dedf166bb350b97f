"""server/moderation/second_review.py"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.errors import Refusal, StoreUnavailable
from server.moderation import queue, second, second_review
from server.moderation.second_review import SecondReview
from server.settings import Settings
from tests.server.moderation.test_second import DAY, ZONE, remove
from tests.support.accounts import Clock
from tests.support.review import book
from tests.support.waiting import PATIENCE_S


async def texts(room: str, seq: int) -> str:
    return f"text {seq} of {room}"


async def test_each_day_is_begun_drawn_and_queued_in_turn(tmp_path: Path) -> None:
    """The first step of a day begins it; after its end and a little more it is drawn, and what was chosen is in the queue with its
    text from the room's log."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        review = SecondReview(Settings(second_review_share=1.0), desk, texts, clock)
        assert await review.step() == 0
        assert (await desk.read(lambda sql: second.find(sql, DAY))) is not None
        await asyncio.to_thread(remove, desk, 5)
        clock.forward(hours=10)
        assert await review.step() == 1
        waiting = await desk.read(lambda sql: queue.listed(sql, "second", queue.EVERYTHING, clock.now_ms, 9))
        assert [each.text for each in waiting] == ["text 5 of a"]
        assert (await desk.read(lambda sql: second.find(sql, "2026-09-22"))) is not None
        assert await review.step() == 0


async def test_a_day_is_not_drawn_before_it_is_surely_over(tmp_path: Path) -> None:
    """What was begun in its last moments is part of it."""
    clock = Clock(second.span_of(DAY, ZONE)[1] - 1)
    with book(tmp_path, clock) as desk:
        review = SecondReview(Settings(), desk, texts, clock)
        await review.step()
        clock.forward(seconds=30)
        await review.step()
        begun = await desk.read(lambda sql: second.find(sql, DAY))
        assert begun is not None
        assert not begun.drawn_ms
        clock.forward(seconds=31)
        await review.step()
        done = await desk.read(lambda sql: second.find(sql, DAY))
        assert done is not None
        assert done.drawn_ms


async def test_it_goes_on_after_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A book or a log that cannot be read, or a fault of ours, is waited out."""
    monkeypatch.setattr(second_review, "EVERY_S", 0)
    with book(tmp_path) as desk:
        review = SecondReview(Settings(), desk, texts, Clock())
        faults: list[Exception] = [StoreUnavailable("x"), Refusal("storage_unavailable"), RuntimeError("ours")]
        done = asyncio.Event()

        async def step() -> int:
            if faults:
                raise faults.pop(0)
            done.set()
            return 0

        monkeypatch.setattr(review, "step", step)
        task = asyncio.create_task(review.run())
        await asyncio.wait_for(done.wait(), PATIENCE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
