"""server/history.py"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import structlog.testing

from server.errors import Refusal
from server.store.base import Draft
from server.store.faults import Fault
from server.wire import PAGE_ROWS, encode_event
from tests.support.drafts import comment, removal, restoration
from tests.support.events import comment as comment_event
from tests.support.pipeline import COMMIT_S, World, run_world

EVENTS = 3 * PAGE_ROWS + 40
RING = 64
READ_S = 0.020


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., World]:
    """Runs a scenario in virtual time over a new world with large batches."""
    return partial(run_world, tmp_path, batch_max=5000, queue_max=5000, ring_events=RING)


async def fill(world: World, number: int = EVENTS) -> None:
    """Put comments into room ``a``; all of them become visible."""
    drafts: list[Draft] = [comment(f"k{index}", text=f"text {index + 1}.") for index in range(number)]
    world.submit(*drafts)
    await world.settle()
    assert world.room.visible == number
    world.store.calls.clear()
    world.readers.least_s = world.readers.most_s = READ_S


def seqs(events: Sequence[bytes]) -> list[int]:
    """The numbers of encoded events."""
    return [json.loads(data)["seq"] for data in events]


# -- what is handed out -----------------------------------------------------------------------------------------------------


def test_newer_events_come_from_the_ring(run: Callable[..., World]) -> None:
    """What the ring holds costs no reading."""

    async def scenario(world: World) -> None:
        await fill(world)
        assert seqs(await world.parts.history.events(world.room, EVENTS - 5, 100)) == list(range(EVENTS - 4, EVENTS + 1))
        assert seqs(await world.parts.history.events(world.room, EVENTS - RING, 3)) == [EVENTS - RING + 1 + n for n in range(3)]
        assert world.store.calls["read"] == 0

    run(scenario)


def test_older_events_come_from_the_log_and_join_the_ring(run: Callable[..., World]) -> None:
    """Whatever part is asked for, it is that part of the log, encoded as on the wire."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.submit(removal(3), removal(EVENTS - 2, "rm2"), restoration(3))
        await world.settle()
        log = [encode_event(event) for event in world.log()]
        assert await world.parts.history.events(world.room, 0, 10_000) == log
        chosen = random.Random(5)
        for _ in range(60):
            after, limit = chosen.randint(-3, EVENTS + 9), chosen.choice([0, 1, 2, 100, 256, 257, 1000])
            found = await world.parts.history.events(world.room, after, limit)
            assert found == log[max(0, after) : max(0, after) + limit]

    run(scenario)


def test_after_the_end_there_is_nothing(run: Callable[..., World]) -> None:
    """A place at or beyond the visible end gives no events and costs no reading."""

    async def scenario(world: World) -> None:
        await fill(world)
        for after in (EVENTS, EVENTS + 1, 10**12):
            assert await world.parts.history.events(world.room, after, 100) == []
        assert await world.parts.history.events(world.parts.hub.rooms["b"], 0, 100) == []
        assert world.store.calls["read"] == 0

    run(scenario)


def test_what_is_not_static_is_not_handed_out(run: Callable[..., World]) -> None:
    """Committed events whose rows cannot be written yet are in the log, and in no answer."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        comments = world.parts.root / "rooms" / "a" / "comments"
        shutil.rmtree(comments)
        comments.write_text("no folder")
        world.submit(comment("late", text="text late."))
        await asyncio.sleep(5)
        assert (world.room.head, world.room.visible) == (EVENTS + 1, EVENTS)
        assert seqs(await world.parts.history.events(world.room, EVENTS - 3, 100)) == [EVENTS - 2, EVENTS - 1, EVENTS]
        assert [event.seq for event in await world.parts.history.newest(world.room, 2)] == [EVENTS - 1, EVENTS]

    run(scenario)


def test_a_log_that_is_shorter_than_it_should_be_ends_the_answer(run: Callable[..., World]) -> None:
    """A store that was put back to an older state does not make a reader wait for ever."""

    async def scenario(world: World) -> None:
        room = world.parts.hub.add("b", "epoch", 10, "open")
        assert await world.parts.history.events(room, 0, 100) == []

    run(scenario)


# -- reading little ---------------------------------------------------------------------------------------------------------


def test_a_page_is_read_once_for_all_who_ask_meanwhile(run: Callable[..., World]) -> None:
    """A reconnect storm costs one reading per page."""

    async def scenario(world: World) -> None:
        await fill(world)
        found = await asyncio.gather(*[world.parts.history.events(world.room, 10, 300) for _ in range(100)])
        assert all(seqs(events) == list(range(11, 311)) for events in found)
        assert world.store.calls["read"] == 2

    run(scenario)


def test_full_pages_are_remembered(run: Callable[..., World]) -> None:
    """A page that was read is not read again."""

    async def scenario(world: World) -> None:
        await fill(world)
        for after in (0, 7, 200):
            await world.parts.history.events(world.room, after, 10)
        assert world.store.calls["read"] == 1

    run(scenario)


def test_the_page_that_still_grows_is_not_remembered(run: Callable[..., World]) -> None:
    """What was read of the open page may be less than there is now."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        assert len(await world.parts.history.events(world.room, 3 * PAGE_ROWS, 100)) == 40
        world.submit(comment("one more"))
        await world.settle()
        world.room.forget()
        assert len(await world.parts.history.events(world.room, 3 * PAGE_ROWS, 100)) == 41

    run(scenario)


def test_who_joins_a_reading_gets_what_became_visible_since_it_began(run: Callable[..., World]) -> None:
    """An answer never ends before the place where the room stood when it was asked for."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        world.readers.least_s = world.readers.most_s = 5 * COMMIT_S
        world.readers.moment = 0.0
        early = asyncio.create_task(world.parts.history.events(world.room, EVENTS - 1, 100))
        await asyncio.sleep(0)
        world.submit(comment("one more"))
        await asyncio.sleep(1.5 * COMMIT_S)
        world.room.forget()
        assert seqs(await world.parts.history.events(world.room, EVENTS, 100)) == [EVENTS + 1]
        assert seqs(await early)[0] == EVENTS

    run(scenario)


def test_the_memory_for_pages_is_bounded(run: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """The page unused for the longest time is dropped."""
    monkeypatch.setattr("server.history._PAGES_MAX", 2)

    async def scenario(world: World) -> None:
        await fill(world)
        for page in (0, 1, 0, 2):
            await world.parts.history.events(world.room, page * PAGE_ROWS, 1)
        assert world.store.calls["read"] == 3
        await world.parts.history.events(world.room, 0, 1)
        assert world.store.calls["read"] == 3
        await world.parts.history.events(world.room, PAGE_ROWS, 1)
        assert world.store.calls["read"] == 4
        assert len(world.parts.history._pages) == 2

    run(scenario)


# -- removals ---------------------------------------------------------------------------------------------------------------


def test_a_removal_reaches_remembered_pages(run: Callable[..., World]) -> None:
    """After a removal its text is in no answer, and after a restoration it is back."""

    async def scenario(world: World) -> None:
        await fill(world)
        history = world.parts.history
        assert b"text 5." in b"".join(await history.events(world.room, 0, 10))
        world.submit(removal(5))
        await world.settle()
        found = await history.events(world.room, 0, 10)
        assert b"text 5." not in b"".join(found)
        assert json.loads(found[4])["removed"]["by"] == EVENTS + 1
        world.submit(restoration(5))
        await world.settle()
        assert b"text 5." in b"".join(await history.events(world.room, 0, 10))

    run(scenario)


@pytest.mark.parametrize("begin_s", [step * COMMIT_S / 4 for step in range(8)])
@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("method", ["events", "newest"])
def test_a_text_removed_while_it_is_read_does_not_leave(
    run: Callable[..., World], method: str, moment: float, begin_s: float
) -> None:
    """However a reading and a removal interleave, no answer that is given after the removal's own answer holds the text."""

    async def scenario(world: World) -> None:
        await fill(world, RING + 20)
        world.room.forget()
        world.readers.moment = world.writer.moment = moment
        history = world.parts.history
        answers: list[tuple[bool, bytes]] = []

        async def ask() -> None:
            if method == "events":
                found = b"".join(await history.events(world.room, 0, 1000))
            else:
                found = b"".join(encode_event(event) for event in await history.newest(world.room, 1000))
            answers.append((bool(world.answers.by_key.get("rm")), found))

        tasks = []
        world.submit(removal(5))
        await asyncio.sleep(begin_s)
        for _ in range(12):
            tasks.append(asyncio.create_task(ask()))
            await asyncio.sleep(READ_S / 7)
        await asyncio.gather(*tasks)
        assert world.answers.by_key["rm"] == RING + 21
        after = [found for removed, found in answers if removed]
        assert len(after) >= 8
        assert [found for found in after if b"text 5." in found] == []
        assert b"text 5." not in b"".join(entry.data for entry in world.room.newest(1000))

    run(scenario)


def test_a_reading_begun_before_a_removal_is_not_shared_with_those_who_come_after(run: Callable[..., World]) -> None:
    """Who asks after the removal gets a reading of his own, though one of the same page is under way."""

    async def scenario(world: World) -> None:
        await fill(world)
        history = world.parts.history
        world.readers.least_s = world.readers.most_s = 3 * COMMIT_S
        world.readers.moment = 0.0
        early = asyncio.create_task(history.events(world.room, 0, 10))
        await asyncio.sleep(0)
        world.submit(removal(5))
        await asyncio.sleep(1.1 * COMMIT_S)
        assert world.room.changes == 1
        assert b"text 5." not in b"".join(await history.events(world.room, 0, 10))
        assert b"text 5." not in b"".join(await early)

    run(scenario)


@pytest.mark.parametrize("method", ["events", "newest"])
def test_a_room_that_changes_all_the_time_is_not_read_for_ever(run: Callable[..., World], method: str) -> None:
    """After some attempts the caller hears that it should try again."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()

        async def change() -> None:
            while True:
                await asyncio.sleep(READ_S / 2)
                world.room.replace(comment_event(1))

        changing = asyncio.create_task(change())
        history = world.parts.history
        asked = history.events(world.room, 0, 10) if method == "events" else history.newest(world.room, 10)
        with pytest.raises(Refusal) as refusal:
            await asked
        assert (refusal.value.code.name, refusal.value.code.temporary) == ("overloaded", True)
        assert refusal.value.retry_after_ms > 0
        changing.cancel()

    run(scenario)


# -- a store that cannot be read --------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_read_is_a_temporary_refusal(run: Callable[..., World]) -> None:
    """All who wait for the reading hear of it; the next reading is tried anew, and what the ring has is served meanwhile."""

    async def scenario(world: World) -> None:
        await fill(world)
        history = world.parts.history
        world.store.stand("read", Fault.FAIL)
        found = await asyncio.gather(*[history.events(world.room, 0, 10) for _ in range(3)], return_exceptions=True)
        assert [str(error) for error in found] == ["storage_unavailable"] * 3
        assert len(await history.events(world.room, EVENTS - 10, 10)) == 10
        world.store.heal()
        assert len(await history.events(world.room, 0, 10)) == 10

    run(scenario)


def test_a_log_that_cannot_be_read_is_a_trouble_for_a_while(run: Callable[..., World]) -> None:
    """The operator is told once and not with each reading, also when some readings succeed; when none fails any more it is over."""

    async def scenario(world: World) -> None:
        await fill(world)
        history = world.parts.history
        assert history.trouble == ""
        with structlog.testing.capture_logs() as logs:
            for _ in range(20):
                world.store.plan("read", Fault.FAIL, None)
                for _ in range(2):
                    with suppress(Refusal):
                        await history.read(lambda: world.store.read("a", 0, 1))
                assert "injected" in history.trouble
                await asyncio.sleep(1)
        assert [entry["event"] for entry in logs] == [
            "the log cannot be read; readers of older comments are refused until it can"
        ]
        await asyncio.sleep(10)
        assert history.trouble == ""

    run(scenario)


def test_a_caller_that_gives_up_does_not_end_the_reading_of_others(run: Callable[..., World]) -> None:
    """The shared reading goes on for those who still wait."""

    async def scenario(world: World) -> None:
        await fill(world)
        first = asyncio.create_task(world.parts.history.events(world.room, 0, 10))
        second = asyncio.create_task(world.parts.history.events(world.room, 0, 10))
        await asyncio.sleep(READ_S / 2)
        first.cancel()
        assert len(await second) == 10
        assert world.store.calls["read"] == 1

    run(scenario)


# -- the newest, and warming ------------------------------------------------------------------------------------------------


def test_the_newest_events_come_from_the_ring_when_it_has_them(run: Callable[..., World]) -> None:
    """Oldest first, at most as many as asked for."""

    async def scenario(world: World) -> None:
        await fill(world)
        assert [event.seq for event in await world.parts.history.newest(world.room, 3)] == [EVENTS - 2, EVENTS - 1, EVENTS]
        assert await world.parts.history.newest(world.room, 0) == []
        assert await world.parts.history.newest(world.parts.hub.rooms["b"], 10) == []
        assert world.store.calls["read"] == 0

    run(scenario)


def test_the_newest_events_warm_an_empty_ring(run: Callable[..., World]) -> None:
    """What was read once is in the ring afterwards, up to its size, and joins up with what comes later."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        found = await world.parts.history.newest(world.room, 100)
        assert found == world.log()[-100:]
        assert world.room.first == EVENTS - RING + 1
        world.submit(comment("one more"))
        await world.settle()
        assert [entry.event for entry in world.room.newest(RING)] == world.log()[-RING:]
        await world.parts.history.newest(world.room, RING)
        assert world.store.calls["read"] == 1

    run(scenario)


def test_more_than_there_is_gives_all(run: Callable[..., World]) -> None:
    """A young room hands out its whole log."""

    async def scenario(world: World) -> None:
        await fill(world, 5)
        assert await world.parts.history.newest(world.room, 100) == world.log()
        world.room.forget()
        assert await world.parts.history.newest(world.room, 100) == world.log()

    run(scenario)


def test_events_that_come_while_the_ring_is_warmed_join_up(run: Callable[..., World]) -> None:
    """The ring is one piece whatever was committed between reading and warming."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        world.readers.least_s = world.readers.most_s = 5 * COMMIT_S
        reading = asyncio.create_task(world.parts.history.newest(world.room, 30))
        for index in range(4):
            world.submit(comment(f"late{index}"))
            await asyncio.sleep(COMMIT_S)
        await reading
        await world.settle()
        assert world.room.first == EVENTS - 29
        assert [entry.event for entry in world.room.newest(1000)] == world.log()[-34:]

    run(scenario)


def test_one_warming_serves_all_who_join_meanwhile(run: Callable[..., World]) -> None:
    """Everybody is called back once, in order, after one reading."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        called: list[tuple[int, int]] = []
        for index in range(50):
            world.parts.history.warm(world.room, lambda index=index: called.append((index, world.room.first)))  # type: ignore[misc]
            await asyncio.sleep(READ_S / 100)
        assert called == []
        await world.settle()
        assert called == [(index, EVENTS - RING + 1) for index in range(50)]
        assert world.store.calls["read"] == 1
        world.room.forget()
        world.parts.history.warm(world.room, lambda: called.append((50, world.room.first)))
        await world.settle()
        assert called[50:] == [(50, EVENTS - RING + 1)]

    run(scenario)


def test_when_the_ring_cannot_be_warmed_all_are_called_back_all_the_same(run: Callable[..., World]) -> None:
    """They join with what there is, and the next who comes tries again."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        world.store.plan("read", Fault.FAIL)
        called: list[int] = []
        world.parts.history.warm(world.room, lambda: called.append(world.room.first))
        world.parts.history.warm(world.room, lambda: called.append(world.room.first))
        await world.settle()
        assert called == [EVENTS + 1, EVENTS + 1]
        world.parts.history.warm(world.room, lambda: called.append(world.room.first))
        await world.settle()
        assert called[2:] == [EVENTS - RING + 1]

    run(scenario)


def test_one_who_fails_when_called_back_costs_the_others_nothing(run: Callable[..., World]) -> None:
    """Each callback stands for itself."""

    async def scenario(world: World) -> None:
        await fill(world)
        world.room.forget()
        called: list[int] = []

        def fail() -> None:
            raise ZeroDivisionError("a bug")

        for then in (lambda: called.append(1), fail, lambda: called.append(2)):
            world.parts.history.warm(world.room, then)
        await world.settle()
        assert called == [1, 2]

    run(scenario)
