"""server/flush.py"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.core.audience import Sizes
from server.pages import PageWork
from server.store.faults import Fault
from server.wire import PAGE_ROWS
from static_mirror import MirrorError
from tests.support.drafts import comment, removal, restoration
from tests.support.pipeline import COMMIT_S, PAGES_S, World, run_world
from tests.support.viewers import FakeViewer, read_frame

TICK_S = 0.050


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., World]:
    """Runs a scenario in virtual time over a new world."""
    return partial(run_world, tmp_path)


def watch(world: World, room: str = "a", **options: Any) -> FakeViewer:
    """A viewer of the room that finds fault with every event that is not static when it arrives."""
    viewer = FakeViewer(**options)

    def look(events: list[dict[str, Any]]) -> None:
        for event in events:
            page = world.parts.page((event["seq"] - 1) // PAGE_ROWS, room)
            if f'<article id="c{event["seq"]}" ' not in page or not page.endswith("\n"):
                viewer.faults.append(f"{event['seq']} is live and not static")
            if event["kind"] == "removal":
                target = event["target"]
                page = world.parts.page((target - 1) // PAGE_ROWS, room)
                if f'<article id="c{target}" class="tombstone"' not in page:
                    viewer.faults.append(f"{target} is removed live and not on its page")

    viewer.look = look
    viewer.join(world.parts.hub.rooms[room])
    return viewer


def comments(number: int, prefix: str = "k", **fields: Any) -> list[Any]:
    """Drafts of comments with keys in order, and texts that name them."""
    return [comment(f"{prefix}{index}", text=f"text {prefix}{index}", **fields) for index in range(number)]


def folder(world: World, room: str = "a") -> Path:
    """Where the room's pages stand."""
    return world.parts.root / "rooms" / room / "comments"


def take_away(world: World, room: str = "a") -> None:
    """From now on the room's pages cannot be written: a plain file stands where the folder was."""
    folder(world, room).rename(folder(world, room).with_name("away"))
    folder(world, room).write_text("no folder")


def give_back(world: World, room: str = "a") -> None:
    """The pages can be written again."""
    folder(world, room).unlink()
    folder(world, room).with_name("away").rename(folder(world, room))


# -- first static, then live ------------------------------------------------------------------------------------------------


def test_a_row_is_on_the_page_when_its_frame_leaves(run: Callable[..., World]) -> None:
    """At the moment of each write, every event of the frame stands whole on its page."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        for draft in comments(20):
            world.submit(draft)
            await asyncio.sleep(COMMIT_S * 1.5)
        await world.settle()
        assert (viewer.received, viewer.faults) == (list(range(1, 21)), [])
        assert len(viewer.frames) == 20

    run(scenario).assert_whole()


def test_a_batch_over_several_pages_is_static_before_it_is_live(run: Callable[..., World]) -> None:
    """Full pages are complete at once and get their seal soon after; the next page is open."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(2 * PAGE_ROWS + 10))
        await world.settle()
        assert (viewer.position, viewer.faults, len(viewer.frames)) == (2 * PAGE_ROWS + 10, [], 1)
        assert ["barrage-seal" in world.parts.page(number) for number in range(3)] == [True, True, False]

    run(scenario, batch_max=1000, ring_events=1000).assert_whole()


def test_full_pages_are_complete_before_they_are_sealed(run: Callable[..., World]) -> None:
    """Sealing takes its time in a worker; meanwhile rows are appended to the next page and go live."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.workers.least_s = world.workers.most_s = 5.0
        world.submit(*comments(PAGE_ROWS))
        await asyncio.sleep(0.1)
        world.submit(comment("next"))
        await asyncio.sleep(0.1)
        assert "barrage-seal" not in world.parts.page(0)
        assert (viewer.position, viewer.faults) == (PAGE_ROWS + 1, [])
        assert world.parts.rows() == PAGE_ROWS + 1
        assert [world.parts.flusher.sealing(room) for room in ("a", "b", "nowhere")] == [True, False, False]
        await world.parts.flusher.settle()
        assert "barrage-seal" in world.parts.page(0)
        assert not world.parts.flusher.sealing("a")

    run(scenario, batch_max=1000, ring_events=1000).assert_whole()


def test_nobody_needs_to_watch(run: Callable[..., World]) -> None:
    """Rows become static in a room without viewers too."""

    async def scenario(world: World) -> None:
        world.submit(*comments(3))
        await world.settle()
        assert (world.parts.stats.flushes, world.parts.stats.deliveries, world.parts.stats.bytes_out) == (1, 0, 0)

    run(scenario).assert_whole()


# -- when -------------------------------------------------------------------------------------------------------------------


def test_after_a_pause_a_flush_comes_at_once_and_then_once_per_tick(run: Callable[..., World]) -> None:
    """The first comment does not wait; under load there is one frame per tick with everything that came meanwhile."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        arrivals: list[float] = []
        look = viewer.look

        def note(events: list[dict[str, Any]]) -> None:
            arrivals.append(time.monotonic())
            look(events)

        viewer.look = note
        for _ in range(2):
            arrivals.clear()
            begin = time.monotonic()
            for index in range(100):
                world.submit(comment(f"{begin}-{index}"))
                await asyncio.sleep(0.005)
            await world.settle()
            assert arrivals[0] - begin == pytest.approx(COMMIT_S)
            gaps = [later - earlier for earlier, later in pairwise(arrivals)]
            assert len(arrivals) == 13
            # The second comes with the next commit, and from then on there is one in a tick.
            assert gaps == pytest.approx([COMMIT_S, TICK_S - COMMIT_S] + [TICK_S] * 10, abs=0.001)
        assert (viewer.received, viewer.faults) == (list(range(1, 201)), [])

    run(scenario, tick_ms=TICK_S * 1000, ring_events=500).assert_whole()


def test_rooms_have_their_own_pace(run: Callable[..., World]) -> None:
    """A busy room does not make a quiet one wait."""

    async def scenario(world: World) -> None:
        busy, quiet = watch(world, "a"), watch(world, "b")
        for key in ("k0", "k1"):
            world.submit(comment(key))
            await asyncio.sleep(COMMIT_S * 1.5)
        world.submit(comment("k2"), comment("k3", room="b"))
        await asyncio.sleep(COMMIT_S * 1.5)
        assert (len(busy.frames), len(quiet.frames)) == (2, 1)
        await asyncio.sleep(TICK_S)
        assert (busy.received, quiet.received) == ([1, 2, 3], [1])


def test_commits_that_come_a_tick_apart_are_live_as_they_are_durable(run: Callable[..., World]) -> None:
    """Whatever the place in the tick at which such a beat begins: nobody waits for the rest of a tick."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        for offset in range(10):
            world.submit(comment(f"first {offset}"))
            await asyncio.sleep(COMMIT_S + offset * TICK_S / 10)
            for beat in range(5):
                world.submit(comment(f"{offset} {beat}"))
                await asyncio.sleep(COMMIT_S * 1.01)
                assert viewer.position == world.room.head
                await asyncio.sleep(TICK_S - COMMIT_S * 1.01)
            await asyncio.sleep(1)
        assert viewer.faults == []

    run(scenario, tick_ms=TICK_S * 1000, ring_events=500).assert_whole()

    run(scenario, tick_ms=TICK_S * 1000)


def test_time_spent_on_flushing_is_told_to_the_tick(run: Callable[..., World]) -> None:
    """The pace can adapt to the load because each flush reports its time."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        clock = asyncio.get_running_loop()
        look = viewer.look

        def slow(events: list[dict[str, Any]]) -> None:
            clock._pass(0.9)  # type: ignore[attr-defined] # a simulation's loop
            look(events)

        viewer.look = slow
        world.submit(comment("k0"))
        await asyncio.sleep(0.1)
        world.parts.tick.adapt(time.monotonic() * 1000)
        assert 10 < world.parts.tick.current_ms < 20
        assert world.parts.stats.flush_s.total == pytest.approx(0.9)

    run(scenario, tick_ms=10, tick_max_ms=100)


# -- rooms with many viewers ------------------------------------------------------------------------------------------------


def test_many_viewers_are_sent_in_turns_evenly_over_a_tick(run: Callable[..., World]) -> None:
    """Each has one frame in a tick, with all that came since its own last one; in between the process does other things."""

    async def scenario(world: World) -> None:
        viewers = [watch(world) for _ in range(6)]
        times: list[list[float]] = []
        for viewer in viewers:
            arrivals: list[float] = []
            times.append(arrivals)
            viewer.look = lambda events, arrivals=arrivals: arrivals.append(time.monotonic())  # type: ignore[misc]
        assert world.room.parts == 3
        for index in range(100):
            world.submit(comment(f"k{index}"))
            await asyncio.sleep(0.005)
        await world.settle()
        for viewer, arrivals in zip(viewers, times, strict=True):
            assert (viewer.received, viewer.faults) == (list(range(1, 101)), [])
            gaps = [later - earlier for earlier, later in pairwise(arrivals)]
            assert gaps[1:-1] == pytest.approx([TICK_S] * len(gaps[1:-1]), abs=0.001)
        begins = [arrivals[5] for arrivals in times]
        assert begins[0::2] == begins[1::2]
        assert [later - earlier for earlier, later in pairwise(sorted(begins[::2]))] == pytest.approx(
            [TICK_S / 3] * 2, abs=0.001
        )

    run(scenario, tick_ms=TICK_S * 1000, cohorts=Sizes(2, 2), ring_events=64).assert_whole()


def test_who_waits_for_an_event_waits_for_every_turn(run: Callable[..., World]) -> None:
    """An operator hears of a removal, and a drain ends, when all viewers were sent it."""

    async def scenario(world: World) -> None:
        viewers = [watch(world) for _ in range(5)]
        world.submit(*comments(3))
        await world.parts.flusher.visible(world.room, 3)
        assert [viewer.position for viewer in viewers] == [3] * 5

    run(scenario, tick_ms=TICK_S * 1000, cohorts=Sizes(1, 1)).assert_whole()


def test_a_comment_removed_between_two_turns_goes_out_without_its_text(run: Callable[..., World]) -> None:
    """Whoever is sent later is sent what the log says then."""

    async def scenario(world: World) -> None:
        viewers = [watch(world) for _ in range(2)]
        world.submit(comment("k0", text="canary"))
        await asyncio.sleep(COMMIT_S * 1.1)
        assert world.room.sent < world.room.visible
        world.submit(removal(1))
        await world.settle()
        assert sorted("canary" in "".join(viewer.texts) for viewer in viewers) == [False, True]
        assert [(viewer.received, viewer.faults) for viewer in viewers] == [([1, 2], [])] * 2

    run(scenario, tick_ms=1000, cohorts=Sizes(1, 1)).assert_whole()


def test_a_newcomer_between_two_turns_gets_nothing_twice(run: Callable[..., World]) -> None:
    """It was handed out what some of the others still wait for."""

    async def scenario(world: World) -> None:
        viewers = [watch(world) for _ in range(3)]
        world.submit(*comments(2))
        await asyncio.sleep(COMMIT_S * 1.1)
        assert world.room.sent < world.room.visible
        viewers.append(watch(world))
        world.submit(*comments(2, "later"))
        await world.settle()
        assert [(viewer.position, viewer.faults) for viewer in viewers] == [(4, [])] * 4

    run(scenario, tick_ms=TICK_S * 1000, cohorts=Sizes(2, 2)).assert_whole()


def test_small_cohorts_become_one(run: Callable[..., World]) -> None:
    """When many have left, those who are there are sent everything at once again."""

    async def scenario(world: World) -> None:
        viewers = [watch(world) for _ in range(9)]
        assert world.room.parts == 3
        for viewer in viewers[1:8]:
            viewer.leave()
        for turn in range(3):
            world.submit(*comments(2, f"{turn}"))
            await world.settle()
        assert world.room.parts == 1
        assert [(viewer.position, viewer.faults) for viewer in (viewers[0], viewers[8])] == [(6, [])] * 2

    run(scenario, tick_ms=TICK_S * 1000, cohorts=Sizes(3, 3)).assert_whole()


def test_what_is_left_out_is_the_same_for_every_turn(run: Callable[..., World]) -> None:
    """The choice is made once; each frame says what it leaves out itself, and who wrote it gets it in any turn."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0", author="ann"))
        await world.settle()
        ann = world.log()[0].author_id
        viewers = [watch(world, author_id=ann if number == 3 else "") for number in range(4)]
        kept: list[int] = []
        for beat in range(12):
            for index in range(10):
                world.submit(comment(f"{beat}-{index}", author="ann"))
            await asyncio.sleep(0.013)
            kept.append(len(world.parts.flusher._state("a").left_out))
        await world.settle()
        assert {viewer.position for viewer in viewers} == {121}
        # What all have passed is forgotten, also while there is no moment at which all have everything.
        assert all(kept[3:])
        assert max(kept) < world.parts.stats.left_out / 2
        assert [viewer.faults for viewer in viewers] == [[]] * 4
        left_out = [sorted(viewer.left_out) for viewer in viewers]
        assert left_out[0] == left_out[1] == left_out[2]
        assert len(left_out[0]) == world.parts.stats.left_out > 0
        assert left_out[3] == []

    run(scenario, tick_ms=TICK_S * 1000, cohorts=Sizes(1, 1), live_per_s=20, ring_events=64).assert_whole()


# -- frames -----------------------------------------------------------------------------------------------------------------


def test_a_frame_is_made_once_per_encoding_and_shared(run: Callable[..., World]) -> None:
    """All plain viewers get the same bytes object, all compressed ones another with the same message."""

    async def scenario(world: World) -> None:
        plain, deflated = [watch(world) for _ in range(3)], [watch(world, deflate=True) for _ in range(3)]
        world.submit(*comments(10))
        await world.settle()
        assert len({id(viewer.frames[0]) for viewer in plain}) == 1
        assert len({id(viewer.frames[0]) for viewer in deflated}) == 1
        assert len(deflated[0].frames[0]) < len(plain[0].frames[0])
        assert read_frame(deflated[0].frames[0]) == read_frame(plain[0].frames[0])
        assert read_frame(plain[0].frames[0])["room"] == "a"
        assert [viewer.faults for viewer in plain + deflated] == [[]] * 6

    run(scenario)


def test_small_batches_go_plain_to_all(run: Callable[..., World]) -> None:
    """Below the size worth it a compressed viewer gets the plain frame."""

    async def scenario(world: World) -> None:
        plain, deflated = watch(world), watch(world, deflate=True)
        world.submit(comment("k0"))
        await world.settle()
        assert plain.frames[0] is deflated.frames[0]

    run(scenario)


def test_a_viewer_that_stalls_in_a_flush_has_that_frame_and_misses_the_next(run: Callable[..., World]) -> None:
    """The transport may call back within the write; the gap begins after what was written, and ends where it goes on."""

    async def scenario(world: World) -> None:
        slow, other = watch(world, patience=1), watch(world)
        for draft in comments(4):
            world.submit(draft)
            await world.settle()
        assert (slow.received, world.room.cold) == ([1], {slow: 2})
        slow.drain()
        world.submit(comment("last"))
        await world.settle()
        assert (slow.received, slow.skipped, slow.faults) == ([1, 5], [2, 3, 4], [])
        assert other.received == [1, 2, 3, 4, 5]

    run(scenario)


def test_viewers_may_leave_within_a_flush(run: Callable[..., World]) -> None:
    """A write that ends a connection changes the room's viewers while they are written to; the others get their frame."""

    async def scenario(world: World) -> None:
        viewers = [watch(world) for _ in range(5)]
        for viewer in viewers:
            viewer.look = lambda events: viewers[2].leave()
        world.submit(comment("k0"))
        await world.settle()
        world.submit(comment("k1"))
        await world.settle()
        assert [viewer.received for viewer in viewers if viewer is not viewers[2]] == [[1, 2]] * 4
        assert viewers[2].received == [1]

    run(scenario)


def test_deliveries_are_counted(run: Callable[..., World]) -> None:
    """Flushes, events times viewers, bytes as they are handed to transports, and the time from arrival to page."""

    async def scenario(world: World) -> None:
        viewers = [watch(world, patience=1), watch(world, deflate=True), watch(world)]
        now_ms = time.time_ns() // 1_000_000
        world.submit(*comments(3, at_ms=now_ms))
        await world.settle()
        stats = world.parts.stats
        assert (stats.flushes, stats.deliveries) == (1, 9)
        assert stats.bytes_out == sum(len(frame) for viewer in viewers for frame in viewer.frames)
        assert len(viewers[1].frames[0]) < len(viewers[2].frames[0])
        assert (stats.page_lag_s.count, stats.flush_s.count) == (1, 1)
        assert stats.page_lag_s.total == pytest.approx(COMMIT_S, abs=0.002)

    run(scenario)


# -- removals ---------------------------------------------------------------------------------------------------------------


def test_a_removal_changes_the_page_before_it_is_live(run: Callable[..., World]) -> None:
    """The removed comment's row is a tombstone when the removal's frame leaves; the removal's own row follows on its page."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(3))
        await world.settle()
        world.submit(removal(2))
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3, 4], [])
        assert "text k1" not in world.parts.page()
        assert "text k2" in world.parts.page()

    run(scenario).assert_whole()


def test_a_removal_on_a_sealed_page_rewrites_that_page_alone(run: Callable[..., World]) -> None:
    """Only the target's page and the open one are written; the pages between keep their bytes."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(3 * PAGE_ROWS + 5))
        await world.settle()
        before = {number: (folder(world) / f"{number}.html").stat().st_ino for number in range(4)}
        world.submit(removal(10))
        await world.settle()
        after = {number: (folder(world) / f"{number}.html").stat().st_ino for number in range(4)}
        assert [number for number in range(4) if before[number] != after[number]] == [0, 3]
        assert (viewer.position, viewer.faults) == (3 * PAGE_ROWS + 6, [])
        assert "text k9<" not in world.parts.page(0)

    run(scenario, batch_max=1000, ring_events=2000).assert_whole()


def test_a_comment_removed_before_its_flush_is_never_static_or_live(run: Callable[..., World]) -> None:
    """Within one flush the row and the frame hold the tombstone from the begin, and no page is rewritten."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        calls = world.workers.calls
        world.submit(*comments(2), removal(1))
        await world.settle()
        assert (viewer.texts, viewer.faults) == (["", "text k1", ""], [])
        assert b"text k0" not in viewer.frames[0]
        assert world.workers.calls == calls

    run(scenario).assert_whole()


def test_a_comment_removed_while_its_rows_are_written_does_not_leave_with_its_text(run: Callable[..., World]) -> None:
    """A removal that is committed during a rewriting changes what is sent after it."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(3))
        await world.settle()
        world.workers.least_s = world.workers.most_s = 10 * COMMIT_S
        world.submit(removal(1, "rm1"), comment("late", text="text late"))
        await asyncio.sleep(COMMIT_S * 2)
        assert (world.room.visible, world.room.head) == (3, 5)
        world.submit(removal(5, "rm5"))
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3, 4, 5, 6], [])
        assert b"text late" not in b"".join(viewer.frames)
        assert "text late" not in world.parts.page()

    run(scenario).assert_whole()


def test_a_restoration_brings_the_row_back(run: Callable[..., World]) -> None:
    """The page shows the text again when the restoration is live."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(2))
        await world.settle()
        for draft in (removal(1), restoration(1)):
            world.submit(draft)
            await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3, 4], [])
        assert "text k0" in world.parts.page()

    run(scenario).assert_whole()


def test_a_comment_removed_while_its_page_is_sealed_is_gone_from_it(run: Callable[..., World]) -> None:
    """Sealing writes what the log said when it read; the removal's rewriting comes after it and has the last word."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(PAGE_ROWS + 1))
        await asyncio.sleep(COMMIT_S * 1.01)
        assert "barrage-seal" not in world.parts.page(0)
        for delay_s in (0, COMMIT_S / 3, COMMIT_S / 2):
            await asyncio.sleep(delay_s)
            world.submit(removal(round(5 + 100 * delay_s), f"rm{delay_s}"))
        await world.settle()
        assert viewer.faults == []
        assert "barrage-seal" in world.parts.page(0)

    for seal_s in (0.001, 0.02, 0.2):

        async def slow_seal(world: World, seal_s: float = seal_s) -> None:
            world.workers.least_s = world.workers.most_s = seal_s
            await scenario(world)

        world = run(slow_seal, batch_max=1000, ring_events=1000)
        world.assert_whole()
        shutil.rmtree(world.parts.root)


# -- one at a time ----------------------------------------------------------------------------------------------------------


def test_work_on_the_pages_of_a_room_never_runs_at_once(run: Callable[..., World]) -> None:
    """Sealing, rewriting and exclusive work of one room take turns, whatever comes together."""

    async def scenario(world: World) -> None:
        world.workers.least_s, world.workers.most_s = 0.001, 0.2
        viewer = watch(world)
        tasks = []
        for turn in range(12):
            world.submit(*comments(100, f"t{turn}-"), removal(turn * 101 + 1, f"rm{turn}"))
            await asyncio.sleep(0.1)
            if turn % 3 == 0:
                tasks.append(
                    asyncio.create_task(
                        world.parts.flusher.exclusive(world.room, lambda last: world.parts.pages.rebuild("a", last))
                    )
                )
        await world.settle()
        await asyncio.gather(*tasks)
        assert world.workers.calls > 10
        assert world.workers.most_at_once == 1
        assert (viewer.position, viewer.faults) == (12 * 101, [])

    run(scenario, ring_events=2000).assert_whole()


def test_rooms_do_not_wait_for_each_other(run: Callable[..., World]) -> None:
    """Work on the pages of two rooms runs at once."""

    async def scenario(world: World) -> None:
        world.workers.least_s = world.workers.most_s = 1.0
        world.submit(*comments(1), *comments(1, "b", room="b"))
        await world.settle()
        world.submit(removal(1, "rm-a"), removal(1, "rm-b", room="b"))
        await asyncio.sleep(1.5)
        assert world.workers.most_at_once == 2
        assert (world.room.visible, world.parts.hub.rooms["b"].visible) == (2, 2)

    run(scenario)


def test_exclusive_work_has_the_pages_to_itself(run: Callable[..., World]) -> None:
    """Nothing is appended or sent while it runs, commits go on, and afterwards everything goes live in order."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(2))
        await world.settle()
        world.workers.least_s = world.workers.most_s = 1.0
        exclusive = partial(world.parts.flusher.exclusive, world.room)
        work = asyncio.create_task(exclusive(lambda last: (last, world.parts.page().count("<article "))))
        await asyncio.sleep(0.01)
        world.submit(*comments(3, "late"))
        await asyncio.sleep(0.5)
        assert world.answers.words == [1, 2, 3, 4, 5]
        assert (world.room.head, world.room.visible) == (5, 2)
        assert await work == (2, 2)
        await asyncio.sleep(0)
        assert (viewer.received, viewer.faults) == ([1, 2, 3, 4, 5], [])

    run(scenario).assert_whole()


def test_exclusive_work_waits_for_a_rewriting_and_for_other_exclusive_work(run: Callable[..., World]) -> None:
    """It begins when the pages are whole, and sees everything that is visible then."""

    async def scenario(world: World) -> None:
        world.submit(*comments(2))
        await world.settle()
        world.submit(removal(1))
        await asyncio.sleep(COMMIT_S * 1.1)
        assert world.room.visible == 2
        found = await asyncio.gather(*[world.parts.flusher.exclusive(world.room, lambda last: last) for _ in range(3)])
        assert found == [3, 3, 3]
        assert world.workers.most_at_once == 1

    run(scenario).assert_whole()


def test_exclusive_work_that_fails_frees_the_room(run: Callable[..., World]) -> None:
    """The error goes to the caller, and what waited is flushed."""

    async def scenario(world: World) -> None:
        viewer = watch(world)

        def fail(last: int) -> None:
            raise MirrorError("no space")

        work = asyncio.create_task(world.parts.flusher.exclusive(world.room, fail))
        world.submit(comment("k0"))
        with pytest.raises(MirrorError, match="no space"):
            await work
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1], [])

    run(scenario).assert_whole()


def test_a_caller_that_gives_up_does_not_free_the_room_before_the_work_ends(run: Callable[..., World]) -> None:
    """The work in the thread cannot be stopped: until it ends nothing is appended beside it."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.workers.least_s = world.workers.most_s = 1.0
        work = asyncio.create_task(world.parts.flusher.exclusive(world.room, lambda last: world.parts.pages.rebuild("a", last)))
        await asyncio.sleep(0.1)
        work.cancel()
        world.submit(comment("k0"))
        await asyncio.sleep(0.5)
        assert work.cancelled()
        assert (world.room.head, world.room.visible) == (1, 0)
        other = asyncio.create_task(world.parts.flusher.exclusive(world.room, lambda last: last))
        await world.settle()
        assert other.done()
        assert world.workers.most_at_once == 1
        assert (viewer.received, viewer.faults) == ([1], [])

    run(scenario).assert_whole()


def test_work_that_fails_after_its_caller_gave_up_frees_the_room(run: Callable[..., World]) -> None:
    """Nobody is there to hear of the error; the room goes on."""

    async def scenario(world: World) -> None:
        def fail(last: int) -> None:
            raise MirrorError("no space")

        work = asyncio.create_task(world.parts.flusher.exclusive(world.room, fail))
        await asyncio.sleep(0)
        work.cancel()
        world.submit(comment("k0"))
        await world.settle()

    run(scenario).assert_whole()


# -- pages that are not as they should be -----------------------------------------------------------------------------------


def _cut(page: Path) -> None:
    page.write_bytes(page.read_bytes()[:-30])


def _empty(page: Path) -> None:
    page.write_bytes(b"")


def _grow(page: Path) -> None:
    page.write_bytes(page.read_bytes() + b"<p>graffiti")


def _replace(page: Path) -> None:
    data = page.read_bytes()
    page.unlink()
    page.write_bytes(data)


def _lose_the_folder(page: Path) -> None:
    shutil.rmtree(page.parent)


@pytest.mark.parametrize("damage", [_cut, _empty, _grow, _replace, Path.unlink, _lose_the_folder])
def test_a_damaged_page_is_made_again_before_anything_more_goes_live(
    run: Callable[..., World], damage: Callable[[Path], None]
) -> None:
    """Whatever somebody did to the open page: the next flush finds it, the page is whole, then the events are live in order."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(3))
        await world.settle()
        damage(folder(world) / "0.html")
        world.submit(comment("k3"))
        await asyncio.sleep(COMMIT_S * 1.1)
        world.submit(comment("k4"))
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3, 4, 5], [])
        assert (world.parts.stats.page_errors, world.parts.flusher.trouble) == (1, "")

    run(scenario).assert_whole()


def test_all_pages_of_a_lost_folder_are_made_again(run: Callable[..., World]) -> None:
    """A doubt about the open page looks at the others, too."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(2 * PAGE_ROWS + 5))
        await world.settle()
        shutil.rmtree(folder(world))
        world.submit(comment("late"))
        await world.settle()
        assert (viewer.position, viewer.faults) == (2 * PAGE_ROWS + 6, [])

    run(scenario, batch_max=1000, ring_events=1000).assert_whole()


def test_pages_that_cannot_be_written_block_the_room_until_they_can(run: Callable[..., World]) -> None:
    """Nothing goes live that is not static; the room is refused, others are not; then all becomes live in order by itself."""

    async def scenario(world: World) -> None:
        viewer, other = watch(world), watch(world, "b")
        world.submit(*comments(2))
        await world.settle()
        take_away(world)
        world.submit(comment("k2"))
        await asyncio.sleep(COMMIT_S * 1.1)
        world.submit(comment("k3"), comment("b0", room="b"))
        await asyncio.sleep(5)
        flusher = world.parts.flusher
        assert (flusher.blocked("a"), flusher.blocked("b"), flusher.blocked("nowhere")) == (True, False, False)
        assert "comments" in flusher.trouble
        assert (viewer.received, other.received) == ([1, 2], [1])
        assert (world.room.head, world.room.visible) == (4, 2)
        errors = world.parts.stats.page_errors
        await asyncio.sleep(60)
        assert 20 <= world.parts.stats.page_errors - errors <= 40, "tried about every two seconds"
        give_back(world)
        await asyncio.sleep(3)
        assert (flusher.blocked("a"), flusher.trouble) == (False, "")
        assert (viewer.received, viewer.faults) == ([1, 2, 3, 4], [])
        world.submit(comment("k4"))
        await world.settle()
        assert (viewer.received, other.faults) == ([1, 2, 3, 4, 5], [])

    world = run(scenario)
    world.assert_whole("a")
    world.assert_whole("b")


def test_exclusive_work_does_not_wait_for_a_blocked_room(run: Callable[..., World]) -> None:
    """Nobody waits without end: who asks while the room is blocked, and who waited when it became so, hears why at once."""

    async def scenario(world: World) -> None:
        world.submit(*comments(2))
        await world.settle()
        flusher = world.parts.flusher
        take_away(world)
        world.submit(removal(1))
        await asyncio.sleep(COMMIT_S + PAGES_S / 2)
        assert not flusher.blocked("a")
        done: list[int] = []
        waiting = asyncio.create_task(flusher.exclusive(world.room, done.append))
        await asyncio.sleep(PAGES_S)
        assert flusher.blocked("a")
        for work in (waiting, flusher.exclusive(world.room, done.append)):
            with pytest.raises(MirrorError, match="comments"):
                await asyncio.wait_for(work, 0.001)
        give_back(world)
        await asyncio.sleep(3)
        await flusher.exclusive(world.room, done.append)
        assert done == [3]

    run(scenario).assert_whole()


def test_one_rooms_success_does_not_hide_anothers_trouble(run: Callable[..., World]) -> None:
    """As long as any room is blocked the process says so."""

    async def scenario(world: World) -> None:
        world.submit(*comments(2), *comments(2, "b", room="b"))
        await world.settle()
        take_away(world, "a")
        world.submit(removal(1, "rm-a"))
        await asyncio.sleep(10)
        world.submit(removal(1, "rm-b", room="b"))
        await asyncio.sleep(COMMIT_S + 2 * PAGES_S)
        assert world.parts.hub.rooms["b"].visible == 3
        assert world.parts.flusher.trouble != ""
        give_back(world, "a")
        await asyncio.sleep(3)
        assert world.parts.flusher.trouble == ""

    run(scenario).assert_whole()


def test_a_removal_while_the_pages_cannot_be_written_goes_live_afterwards(run: Callable[..., World]) -> None:
    """The ring forgets the text at once; the page and the viewers follow when writing works."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(3))
        await world.settle()
        take_away(world)
        world.submit(removal(2))
        await asyncio.sleep(5)
        assert viewer.received == [1, 2, 3]
        assert b"text k1" not in b"".join(world.room.resume(0, 0, 100).events)
        give_back(world)
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3, 4], [])
        assert "text k1" not in world.parts.page()

    run(scenario).assert_whole()


def test_a_store_that_cannot_be_read_delays_a_rewriting(run: Callable[..., World]) -> None:
    """Rewriting needs the log: while it cannot be read the room is blocked, then it goes on."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(2))
        await world.settle()
        world.store.stand("read", Fault.FAIL)
        world.submit(removal(1))
        await asyncio.sleep(5)
        assert world.parts.flusher.blocked("a")
        assert "injected" in world.parts.flusher.trouble
        world.store.heal()
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])

    run(scenario).assert_whole()


class Buggy(PageWork):
    """Page work with a bug: calls raise as often as ``bugs`` says, then work."""

    bugs = 0

    def rewrite(self, room: str, numbers: Iterable[int], last: int) -> None:
        self._fail()
        super().rewrite(room, numbers, last)

    def seal(self, room: str, numbers: Iterable[int]) -> None:
        self._fail()
        super().seal(room, numbers)

    def _fail(self) -> None:
        if self.bugs:
            self.bugs -= 1
            raise ZeroDivisionError("a bug")


def test_an_unforeseen_error_while_rewriting_does_not_end_the_room(run: Callable[..., World]) -> None:
    """Whatever goes wrong is tried again: a room must not fall silent while it takes comments."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.parts.pages.__class__ = Buggy
        world.submit(*comments(2))
        await world.settle()
        world.parts.pages.bugs = 3  # type: ignore[attr-defined] # it is a Buggy now
        world.submit(removal(1))
        await asyncio.sleep(COMMIT_S + 0.1)
        assert world.parts.flusher.blocked("a")
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])

    run(scenario).assert_whole()


def test_an_unforeseen_error_while_appending_is_a_doubt(run: Callable[..., World]) -> None:
    """The page is made again from the log, the author has one answer, and the events are live."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        append = world.parts.mirror.append
        calls: list[int] = []

        def buggy(room: str, rows: Any) -> list[int]:
            calls.append(len(rows))
            if len(calls) == 1:
                raise ZeroDivisionError("a bug")
            return append(room, rows)

        world.parts.mirror.append = buggy  # type: ignore[method-assign] # a bug, for once
        world.submit(comment("k0"))
        await world.settle()
        world.submit(comment("k1"))
        await world.settle()
        assert world.answers.by_key == {"k0": 1, "k1": 2}
        assert (viewer.received, viewer.faults, calls) == ([1, 2], [], [1, 1])

    run(scenario).assert_whole()


def test_a_page_that_could_not_be_sealed_stays_complete(run: Callable[..., World]) -> None:
    """It keeps all its rows and no comment waits for it; it gets its final form with the next full page."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.store.plan("read", Fault.FAIL)
        world.submit(*comments(PAGE_ROWS + 1))
        await world.settle()
        assert (viewer.position, viewer.faults, world.parts.stats.page_errors) == (PAGE_ROWS + 1, [], 1)
        assert "barrage-seal" not in world.parts.page(0)
        assert world.parts.rows() == PAGE_ROWS + 1
        world.submit(*comments(PAGE_ROWS, "more"))
        await world.settle()
        assert ["barrage-seal" in world.parts.page(number) for number in range(3)] == [True, True, False]

    run(scenario, batch_max=1000, ring_events=1000).assert_whole()


def test_an_unforeseen_error_while_sealing_ends_nothing_else(run: Callable[..., World]) -> None:
    """The page stays complete, the error is told and counted, and the page is sealed with the next full one."""

    async def scenario(world: World) -> None:
        world.parts.pages.__class__ = Buggy
        world.parts.pages.bugs = 1  # type: ignore[attr-defined] # it is a Buggy now
        with capture_logs() as logs:
            world.submit(*comments(PAGE_ROWS))
            await world.settle()
        assert [(log["event"], log["error"]) for log in logs] == [("a full page could not be sealed", "a bug")]
        assert (world.parts.stats.page_errors, world.parts.flusher.sealing("a")) == (1, False)
        assert "barrage-seal" not in world.parts.page(0)
        world.submit(*comments(PAGE_ROWS, "more"))
        await world.settle()
        assert ["barrage-seal" in world.parts.page(number) for number in range(2)] == [True, True]

    run(scenario, batch_max=1000, ring_events=1000).assert_whole()


class Stubborn(PageWork):
    """Page work that can never seal page 0, and counts how often it was asked to."""

    asked = 0

    def seal(self, room: str, numbers: Iterable[int]) -> None:
        if 0 in numbers:
            self.asked += 1
            raise MirrorError("never")
        super().seal(room, numbers)


def test_a_page_that_can_never_be_sealed_keeps_no_other_from_it(run: Callable[..., World]) -> None:
    """It is tried once with each full page that follows; those are sealed."""

    async def scenario(world: World) -> None:
        world.parts.pages.__class__ = Stubborn
        for turn in range(3):
            world.submit(*comments(PAGE_ROWS, f"t{turn}-"))
            await world.settle()
            assert world.parts.pages.asked == turn + 1  # type: ignore[attr-defined] # it is a Stubborn now
        assert ["barrage-seal" in world.parts.page(number) for number in range(3)] == [False, True, True]

    run(scenario, batch_max=1000, ring_events=1000).assert_whole()


def test_pages_that_fill_while_others_are_sealed_are_sealed_after_them(run: Callable[..., World]) -> None:
    """Sealing of a room is one task; what becomes full meanwhile is its next turn."""

    async def scenario(world: World) -> None:
        world.workers.least_s = world.workers.most_s = 1.0
        for turn in range(4):
            world.submit(*comments(PAGE_ROWS, f"t{turn}-"))
            await asyncio.sleep(0.1)
        await world.parts.flusher.settle()
        assert (world.workers.calls, world.workers.most_at_once) == (2, 1)
        assert ["barrage-seal" in world.parts.page(number) for number in range(5)] == [True] * 4 + [False]

    run(scenario, batch_max=1000, ring_events=2000).assert_whole()


# -- who waits --------------------------------------------------------------------------------------------------------------


def test_waiting_for_an_event_ends_when_it_is_live(run: Callable[..., World]) -> None:
    """What is visible already does not wait; what comes later waits for exactly its flush."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        waiting = asyncio.create_task(world.parts.flusher.visible(world.room, 2))
        world.submit(comment("k0"))
        await asyncio.sleep(COMMIT_S * 2)
        assert not waiting.done()
        world.submit(comment("k1"))
        await waiting
        assert viewer.received == [1, 2]
        await world.parts.flusher.visible(world.room, 1)

    run(scenario)


def test_one_future_serves_all_who_wait_for_the_next_flush(run: Callable[..., World]) -> None:
    """Waiting costs one object per room, and every flush has its own."""

    async def scenario(world: World) -> None:
        flusher = world.parts.flusher
        first = flusher.next_flush(world.room)
        assert flusher.next_flush(world.room) is first
        assert flusher.next_flush(world.parts.hub.rooms["b"]) is not first
        world.submit(comment("k0"))
        await first
        second = flusher.next_flush(world.room)
        assert second is not first
        assert not second.done()

    run(scenario)


def test_one_who_stops_waiting_takes_nobody_along(run: Callable[..., World]) -> None:
    """A caller whose time is over does not end the waiting of others for the same flush."""

    async def scenario(world: World) -> None:
        flusher = world.parts.flusher
        patient = asyncio.create_task(flusher.visible(world.room, 1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flusher.visible(world.room, 1), 1)
        world.submit(comment("k0"))
        await asyncio.wait_for(patient, 1)

    run(scenario)


def test_waking_ends_one_wait_and_no_more(run: Callable[..., World]) -> None:
    """At a drain those who wait look at how things stand; who waits for an event goes on waiting for it."""

    async def scenario(world: World) -> None:
        flusher = world.parts.flusher
        first = flusher.next_flush(world.room)
        waiting = asyncio.create_task(flusher.visible(world.room, 1))
        await asyncio.sleep(0)
        flusher.wake()
        flusher.wake()
        await asyncio.sleep(1)
        assert (first.done(), waiting.done()) == (True, False)
        world.submit(comment("k0"))
        await asyncio.wait_for(waiting, 1)

    run(scenario)


def test_settling_waits_for_rewriting_and_sealing(run: Callable[..., World]) -> None:
    """At the end of a drain nothing is under way any more."""

    async def scenario(world: World) -> None:
        await world.parts.flusher.settle()
        world.workers.least_s = world.workers.most_s = 1.0
        world.submit(*comments(PAGE_ROWS), removal(1))
        await asyncio.sleep(0.1)
        assert "barrage-seal" not in world.parts.page(0)
        await world.parts.flusher.settle()
        assert "barrage-seal" in world.parts.page(0)

    run(scenario, batch_max=1000, ring_events=1000).assert_whole()


def test_a_flush_of_nothing_sends_nothing(run: Callable[..., World]) -> None:
    """A room without pending events may be marked due at any time."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.parts.flusher.due(world.room)
        world.submit(comment("k0"))
        await asyncio.sleep(COMMIT_S * 1.1)
        for _ in range(3):
            world.parts.flusher.due(world.room)
            await asyncio.sleep(TICK_S * 2)
        assert len(viewer.frames) == 1

    run(scenario, tick_ms=TICK_S * 1000)


def test_a_tick_that_ends_during_exclusive_work_loses_nothing(run: Callable[..., World]) -> None:
    """The flush that its timer asked for comes when the pages are free."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(comment("k0"))
        await asyncio.sleep(COMMIT_S * 1.1)
        for key in ("k1", "k2"):
            world.submit(comment(key))
            await asyncio.sleep(COMMIT_S * 1.1)
        world.workers.least_s = world.workers.most_s = TICK_S * 3
        work = asyncio.create_task(world.parts.flusher.exclusive(world.room, lambda last: None))
        await asyncio.sleep(TICK_S * 2)
        assert (world.room.head, world.room.visible) == (3, 2)
        await work
        await asyncio.sleep(TICK_S * 1.1)
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])

    run(scenario, tick_ms=TICK_S * 1000).assert_whole()


# -- more than goes live ----------------------------------------------------------------------------------------------------


def sampled_frames(viewer: FakeViewer) -> list[dict[str, Any]]:
    """The messages of the viewer that leave something out."""
    return [message for message in map(read_frame, viewer.frames) if "left_out" in message]


def test_what_is_over_the_budget_is_static_and_in_the_ring_but_not_live(run: Callable[..., World]) -> None:
    """The frame stands for all numbers and says how many it leaves out; page and resume have every one."""

    async def scenario(world: World) -> None:
        viewer, other = watch(world), watch(world, deflate=True)
        world.submit(*comments(100))
        await world.settle()
        (message,) = sampled_frames(viewer)
        assert (message["first"], message["last"], message["left_out"], len(message["events"])) == (1, 100, 60, 40)
        assert [viewer.faults, other.faults] == [[], []]
        assert viewer.events == other.events, "all readers get the same"
        assert (len(viewer.received), len(viewer.skipped), viewer.position) == (40, 60, 100)
        assert world.parts.rows() == 100
        late = FakeViewer()
        late.join(world.room, most=1000, recent=100)
        assert late.received == list(range(1, 101))
        stats = world.parts.stats
        assert (stats.left_out, stats.deliveries) == (60, 80)
        world.submit(*comments(10, "later"))
        await world.settle()
        assert viewer.received[-10:] == list(range(101, 111))

    run(scenario, live_per_s=40, ring_events=1000, batch_max=1000).assert_whole()


def test_who_wrote_a_comment_gets_it_whatever_is_left_out(run: Callable[..., World]) -> None:
    """Own comments come first, once, on every connection of their author and on no other, in the order of the log."""

    async def scenario(world: World) -> None:
        authors = [watch(world, author_id=f"id-{name}") for name in ("ann", "ann", "bob")]
        reader, silent = watch(world), watch(world, author_id="id-cleo")
        drafts = comments(60)
        for number, name in ((5, "ann"), (17, "bob"), (33, "ann"), (59, "ann")):
            drafts[number - 1] = comment(f"{name}{number}", author=name, author_id=f"id-{name}", text=f"{name} {number}")
        world.submit(*drafts)
        await world.settle()
        for viewer in authors:
            own = [seq for seq, event in viewer.events.items() if event["author"]["id"] == viewer.author_id]
            assert sorted(own) == ([17] if viewer.author_id == "id-bob" else [5, 33, 59])
            assert sorted(viewer.events) == viewer.received
        assert [viewer.faults for viewer in [*authors, reader, silent]] == [[]] * 5
        assert len(reader.received) == len(silent.received) == 10
        assert reader.events.items() <= authors[0].events.items()
        assert world.parts.stats.bytes_out == sum(
            len(frame) for viewer in [*authors, reader, silent] for frame in viewer.frames
        )

    run(scenario, live_per_s=10, ring_events=1000, batch_max=1000).assert_whole()


def test_removals_and_notices_are_never_left_out(run: Callable[..., World]) -> None:
    """With no budget left for comments what moderates and informs goes out all the same."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.submit(*comments(50))
        await world.settle()
        world.submit(*comments(40, "more"))  # uses the budget up
        await asyncio.sleep(0.05)
        world.submit(*[removal(number, f"rm{number}") for number in range(1, 21)], *comments(30, "last"))
        await asyncio.sleep(0.5)
        kinds = [viewer.events[seq]["kind"] for seq in viewer.received]
        assert kinds.count("removal") == 20
        assert viewer.faults == []
        assert viewer.position == 140

    run(scenario, live_per_s=10, ring_events=1000, batch_max=1000).assert_whole()


def test_a_viewer_whose_buffer_fills_with_its_echo_has_no_hole(run: Callable[..., World]) -> None:
    """The frame after the echo still goes out to it, so what it misses begins behind both."""

    async def scenario(world: World) -> None:
        author = watch(world, author_id="id-ann", patience=1)
        drafts = [comment(f"a{number}", author="ann", author_id="id-ann") for number in range(30)]
        world.submit(*drafts)
        await world.settle()
        assert len(author.frames) == 2
        world.submit(*comments(5))
        await world.settle()
        author.drain()
        assert (author.received, author.skipped, author.faults) == (list(range(1, 31)), list(range(31, 36)), [])

    run(scenario, live_per_s=10, batch_max=1000).assert_whole()


def test_a_smaller_share_of_the_budget_leaves_more_out(run: Callable[..., World]) -> None:
    """A process that cannot keep up sends less of each room that has much."""

    async def scenario(world: World) -> None:
        viewer = watch(world)
        world.parts.tick.share = 0.25
        world.submit(*comments(40), *comments(3, "b", room="b"))
        quiet = watch(world, "b")
        await world.settle()
        assert (len(viewer.received), viewer.faults) == (10, [])
        assert (quiet.received, quiet.faults) == ([1, 2, 3], [])

    run(scenario, live_per_s=40, batch_max=1000).assert_whole()
