"""server/site.py"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from filters.config import ScreeningConfig
from filters.swarm import Swarm
from server.accounts.people import People
from server.errors import Refusal
from server.http.services import Chunk, Services
from server.moderation.moderation import Moderation
from server.posting import Posting, unix_ms
from server.regions import Regions
from server.screening import Screening
from server.settings import Settings
from server.site import Site
from server.store.base import Committed, Draft, Recorded, Rejected, RoomInfo
from server.store.faults import Fault
from server.wire import PAGE_ROWS
from tests.support.drafts import comment, connection, held, removal, report, restoration, room_mode
from tests.support.pipeline import COMMIT_S, World, run_world
from tests.support.review import open_book
from tests.support.services import fixed_tokens
from tests.support.simulation import WALL_S
from tests.support.viewers import FakeViewer

Scenario = Callable[[World, Site], Coroutine[Any, Any, None]]
HEAL_S = 1.1
"""After this, a room is healed again."""


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Scenario], World]:
    """Runs a scenario in virtual time with a site over a new world."""

    def _run(scenario: Scenario) -> World:
        async def whole(world: World) -> None:
            parts = world.parts
            settings, screening = Settings(data_dir=tmp_path), Screening(tmp_path / "rules", None, ScreeningConfig())
            people = People.open(settings, unix_ms)
            review = open_book(tmp_path, unix_ms)
            posting = Posting(
                settings,
                parts.hub,
                parts.publisher,
                screening.current,
                fixed_tokens(),
                people,
                Regions(None, None),
                parts.stats,
                parts.infos,
            )
            site = Site(
                settings, fixed_tokens(), world.store, parts.hub, parts.publisher, parts.flusher, parts.history,
                parts.pages, world.writer, parts.stats, parts.infos, lambda: b"figures",
                screening, people, posting, Moderation(
                    settings, people, review, world.store, read=parts.history.read, submit=lambda draft: site.submit(draft),
                    room=lambda name: None, viewers=lambda name: 0, clock_ms=unix_ms, swarm=Swarm, began_ms=lambda: 0,
                ),
            )  # fmt: skip
            try:
                await scenario(world, site)
            finally:
                review.close()
                people.close()

        return run_world(tmp_path / "pages", whole, batch_max=5000, queue_max=5000)

    return _run


async def refused(work: Awaitable[object]) -> Refusal:
    """The refusal that this work ends in."""
    with pytest.raises(Refusal) as refusal:
        await work
    return refusal.value


async def say(site: Site, number: int, prefix: str = "k") -> None:
    """Put comments into room ``a`` together and wait until they are live."""
    await asyncio.gather(*[site.submit(comment(f"{prefix}{index}", text=f"text {prefix}{index}.")) for index in range(number)])
    await asyncio.sleep(1)


# -- rooms ------------------------------------------------------------------------------------------------------------------


def test_it_is_what_the_routes_ask_for(run: Callable[[Scenario], World]) -> None:
    """The site has the shape of the services, and gives the settings, tokens and places that it was made with."""

    async def scenario(world: World, site: Site) -> None:
        services: Services = site
        assert services.pages_dir == site.settings.data_dir / "pages" == world.parts.root
        assert services.now_ms() == WALL_S * 1000
        assert abs(services.steady_ms() - time.monotonic_ns() // 1_000_000) < 1000
        assert services.metrics() == b"figures"
        assert services.tokens.public_id("ann") == fixed_tokens().public_id("ann")

    run(scenario)


def test_rooms_are_shown_as_they_are_now(run: Callable[[Scenario], World]) -> None:
    """Head is what is live and static, mode the present one; rooms come by name."""

    async def scenario(world: World, site: Site) -> None:
        assert [room.name for room in site.rooms()] == ["a", "b"]
        assert site.room("nowhere") is None
        before = site.room("a")
        assert before is not None
        assert (before.head, before.mode, before.title, before.kind) == (0, "open", "Room A", "live")
        await say(site, 3)
        await site.submit(room_mode("read_only"))
        await asyncio.sleep(1)
        after = site.room("a")
        assert after is not None
        assert (after.head, after.mode, after.epoch) == (4, "read_only", before.epoch)
        world.submit(comment("pending"))
        world.workers.least_s = world.workers.most_s = 5.0
        work = asyncio.create_task(world.parts.flusher.exclusive(world.room, lambda last: None))
        await asyncio.sleep(1)
        assert [room.head for room in site.rooms()] == [4, 0]
        await work

    run(scenario)


def test_viewers_of_a_room_are_counted(run: Callable[[Scenario], World]) -> None:
    """Connections that watch it, none for a room that does not exist."""

    async def scenario(world: World, site: Site) -> None:
        FakeViewer().join(world.room)
        assert (site.viewers("a"), site.viewers("b"), site.viewers("nowhere")) == (1, 0, 0)

    run(scenario)


def test_a_created_room_is_open_at_once_with_its_first_page(run: Callable[[Scenario], World]) -> None:
    """Its page can be read and a comment posted when the call returns; the name is taken."""

    async def scenario(world: World, site: Site) -> None:
        info = await site.create_room("new", "新", "vod", "https://v.example/a.mp4")
        assert (info.name, info.title, info.kind, info.video_url) == ("new", "新", "vod", "https://v.example/a.mp4")
        assert info.created_ms == pytest.approx(WALL_S * 1000, abs=100)
        assert site.room("new") == info
        assert '<h1 dir="auto">新</h1>' in world.parts.page(0, "new")
        outcome = await site.submit(comment("k0", room="new"))
        assert isinstance(outcome, Committed)
        assert (await refused(site.create_room("new", "other", "live"))).code.name == "room_exists"

    run(scenario).assert_whole("new")


def test_a_room_that_cannot_be_stored_does_not_exist(run: Callable[[Scenario], World]) -> None:
    """The refusal is temporary, and the same request succeeds later."""

    async def scenario(world: World, site: Site) -> None:
        world.store.plan("create_room", Fault.FAIL)
        refusal = await refused(site.create_room("new", "New", "live"))
        assert (refusal.code.name, site.room("new")) == ("storage_unavailable", None)
        await site.create_room("new", "New", "live")

    run(scenario).assert_whole("new")


@pytest.mark.parametrize("fault", [Fault.LOSE, Fault.WRITE_THEN_FAIL])
def test_a_room_of_unknown_outcome_is_there_after_a_retry(run: Callable[[Scenario], World], fault: Fault) -> None:
    """Whether the first attempt was written or not, the second gives the room; another request for the name is refused."""

    async def scenario(world: World, site: Site) -> None:
        world.store.plan("create_room", fault)
        assert (await refused(site.create_room("new", "New", "live"))).code.name == "storage_unavailable"
        info = await site.create_room("new", "New", "live")
        assert site.room("new") == info
        assert (await refused(site.create_room("new", "New", "vod"))).code.name == "room_exists"
        await site.submit(comment("k0", room="new"))

    run(scenario).assert_whole("new")


def test_a_room_whose_page_could_not_be_written_is_given_to_a_retry(run: Callable[[Scenario], World]) -> None:
    """The same request again makes the page and gives the room as it is by now; one that differs in anything is refused."""

    async def scenario(world: World, site: Site) -> None:
        folder = world.parts.root / "rooms" / "new"
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.write_text("in the way")
        assert (await refused(site.create_room("new", "New", "live", "/v.mp4"))).code.name == "storage_unavailable"
        folder.unlink()
        await site.create_room("new", "New", "live", "/v.mp4")
        assert '<h1 dir="auto">New</h1>' in world.parts.page(0, "new")
        await site.submit(comment("k0", room="new"))
        await asyncio.sleep(1)
        assert (await site.create_room("new", "New", "live", "/v.mp4")).head == 1
        for other in (("Other", "live", "/v.mp4"), ("New", "vod", "/v.mp4"), ("New", "live", "")):
            assert (await refused(site.create_room("new", *other))).code.name == "room_exists"

    run(scenario).assert_whole("new")


def test_another_request_for_a_room_of_unknown_outcome_is_refused_and_the_room_is_there(
    run: Callable[[Scenario], World],
) -> None:
    """The room that was written is taken into memory whoever comes first."""

    async def scenario(world: World, site: Site) -> None:
        world.store.plan("create_room", Fault.WRITE_THEN_FAIL)
        await refused(site.create_room("new", "New", "live"))
        assert (await refused(site.create_room("new", "Other", "live"))).code.name == "room_exists"
        found = site.room("new")
        assert found is not None
        assert found.title == "New"
        await site.submit(comment("k0", room="new"))
        await asyncio.sleep(1)

    run(scenario).assert_whole("new")


def test_two_requests_for_one_name_make_one_room(run: Callable[[Scenario], World]) -> None:
    """Equal ones get the same room, another is told that it exists; who watches it keeps watching."""

    async def scenario(world: World, site: Site) -> None:
        wishes = [site.create_room("new", title, "live") for title in ("New", "New", "Other")]
        found = await asyncio.gather(*wishes, return_exceptions=True)
        assert [type(each) for each in found] == [RoomInfo, RoomInfo, Refusal]
        assert found[0] == found[1] == site.room("new")
        await site.submit(comment("k0", room="new"))

    run(scenario).assert_whole("new")


def test_a_room_whose_page_cannot_be_written_is_made_good_later(run: Callable[[Scenario], World]) -> None:
    """The caller is told; the room exists, and its first comment waits for its page and is then live."""

    async def scenario(world: World, site: Site) -> None:
        blocked = world.parts.root / "rooms" / "new"
        blocked.write_text("no folder")
        assert (await refused(site.create_room("new", "New", "live"))).code.name == "storage_unavailable"
        assert site.room("new") is not None
        blocked.unlink()
        await site.submit(comment("k0", room="new"))
        await asyncio.sleep(5)

    run(scenario).assert_whole("new")


# -- reading ----------------------------------------------------------------------------------------------------------------


def test_history_and_newest_are_those_of_the_room(run: Callable[[Scenario], World]) -> None:
    """What is live and static, of rooms that exist."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 100)
        assert [json.loads(data)["seq"] for data in await site.history("a", 90, 5)] == [91, 92, 93, 94, 95]
        assert [event.seq for event in await site.newest("a", 2)] == [99, 100]
        assert (await refused(site.history("nowhere", 0, 5))).code.name == "room_not_found"
        assert (await refused(site.newest("nowhere", 5))).code.name == "room_not_found"

    run(scenario)


def test_reading_keeps_a_rooms_ring(run: Callable[[Scenario], World]) -> None:
    """A room that is read over HTTP alone is in use."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 10)
        begin_s = int(asyncio.get_running_loop().time())
        await site.history("a", 0, 5)
        assert world.parts.hub.sweep(begin_s + 10, 60) == 0
        assert world.room.first == 1
        assert world.parts.hub.sweep(begin_s + 100, 60) == 1

    run(scenario)


def test_held_comments_and_reports_are_listed(run: Callable[[Scenario], World]) -> None:
    """As the store has them, with its paging; while it cannot be read the caller hears of that."""

    async def scenario(world: World, site: Site) -> None:
        for draft in (held("h0"), held("h1", action="refused", code="banned_content"), report("R1"), report("R2")):
            assert isinstance(await site.submit(draft), Recorded)
        assert [record.key for record in await site.screened(0, 10, "")] == ["h0", "h1"]
        assert [record.key for record in await site.screened(0, 10, "refused")] == ["h1"]
        assert [record.key for record in await site.screened(1, 10, "")] == ["h1"]
        assert [record.receipt for record in await site.reports(0, 1)] == ["R1"]
        world.store.stand("screened", Fault.FAIL)
        assert (await refused(site.screened(0, 10, ""))).code.name == "storage_unavailable"

    run(scenario)


# -- following --------------------------------------------------------------------------------------------------------------


async def take(stream: AsyncIterator[Chunk], number: int) -> list[Chunk]:
    """The next chunks."""
    return [await anext(stream) for _ in range(number)]


def numbers(chunk: Chunk) -> list[int]:
    """The numbers of a chunk's events."""
    return [json.loads(data)["seq"] for data in chunk.events]


def test_a_follower_gets_what_is_there_and_then_what_comes(run: Callable[[Scenario], World]) -> None:
    """Chunks are contiguous from the place given, and end at what is static."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 5)
        stream = site.follow("a", 2)
        (first,) = await take(stream, 1)
        assert (first.first, first.last, numbers(first)) == (3, 5, [3, 4, 5])
        following = asyncio.create_task(take(stream, 2))
        await asyncio.sleep(1)
        world.submit(comment("k5"), comment("k6"))
        await asyncio.sleep(1)
        world.submit(comment("k7"))
        found = await following
        assert [(chunk.first, chunk.last, numbers(chunk)) for chunk in found] == [(6, 7, [6, 7]), (8, 8, [8])]

    run(scenario)


@pytest.mark.parametrize(("after", "first"), [(None, 6), (5, 6), (99, 6), (0, 1), (-7, 1)])
def test_a_follower_begins_at_its_place(run: Callable[[Scenario], World], after: int | None, first: int) -> None:
    """No place means from now on; a place ahead of the room is the present, one before its begin is the begin."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 5)
        stream = site.follow("a", after)
        following = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(1)
        await say(site, 1, "late")
        (chunk,) = await following
        assert chunk.first == first

    run(scenario)


def test_a_follower_that_is_too_far_behind_gets_a_gap(run: Callable[[Scenario], World]) -> None:
    """What the ring has no more is named, then the rest follows; together they are the log."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 100)
        gap, rest = await take(site.follow("a", 10), 2)
        assert (gap.first, gap.last, gap.events) == (11, 36, [])
        assert (rest.first, rest.last, numbers(rest)) == (37, 100, list(range(37, 101)))
        world.room.forget()
        (gap,) = await take(site.follow("a", 10), 1)
        assert (gap.first, gap.last, gap.events) == (11, 100, [])

    run(scenario)


def test_a_follower_that_reads_slowly_tiles_the_log(run: Callable[[Scenario], World]) -> None:
    """No queue stands behind a follower: what it did not read in time is one exact gap."""

    async def scenario(world: World, site: Site) -> None:
        stream = site.follow("a", None)
        following = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0)
        ranges: list[tuple[int, int]] = []
        for turn in range(6):
            await say(site, 40 * (turn + 1), f"t{turn}-")
            ranges += [(chunk.first, chunk.last) for chunk in await following]
            following = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0)
        while following.done():
            ranges += [(chunk.first, chunk.last) for chunk in await following]
            following = asyncio.create_task(take(stream, 1))
            await asyncio.sleep(0)
        assert ranges[0][0] == 1
        assert [first for first, _ in ranges[1:]] == [last + 1 for _, last in ranges[:-1]]
        assert ranges[-1][1] == 40 * 21
        following.cancel()

    run(scenario)


def test_a_quiet_room_sends_keep_alives(run: Callable[[Scenario], World]) -> None:
    """After fifteen quiet seconds an empty chunk, and again."""

    async def scenario(world: World, site: Site) -> None:
        begin_s = asyncio.get_running_loop().time()
        assert await take(site.follow("a", None), 2) == [Chunk(0, 0, []), Chunk(0, 0, [])]
        assert asyncio.get_running_loop().time() - begin_s == pytest.approx(30)

    run(scenario)


def test_followers_do_not_disturb_each_other(run: Callable[[Scenario], World]) -> None:
    """One that leaves, also while it waits, ends nobody else's stream."""

    async def scenario(world: World, site: Site) -> None:
        following = [asyncio.create_task(take(site.follow("a", None), 1)) for _ in range(3)]
        await asyncio.sleep(1)
        following[0].cancel()
        await asyncio.sleep(0)
        await say(site, 1)
        assert [numbers(chunk) for task in following[1:] for chunk in await task] == [[1], [1]]

    run(scenario)


def test_a_removal_that_waits_in_vain_ends_no_stream(run: Callable[[Scenario], World]) -> None:
    """A caller whose patience for the pages ends leaves the followers of the room alone."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 2)
        following = asyncio.create_task(take(site.follow("a", None), 1))
        await asyncio.sleep(0)
        world.store.stand("read", Fault.FAIL)
        assert (await refused(site.submit(removal(1)))).code.name == "storage_unavailable"
        world.store.heal()
        await asyncio.sleep(5)
        (chunk,) = await following
        assert numbers(chunk) == [3]

    run(scenario)


def test_streams_end_when_the_server_drains(run: Callable[[Scenario], World]) -> None:
    """Followers end at once, whether they wait or come later."""

    async def scenario(world: World, site: Site) -> None:
        async def follow() -> list[Chunk]:
            return [chunk async for chunk in site.follow("a", None)]

        following = [asyncio.create_task(follow()) for _ in range(3)]
        await asyncio.sleep(1)
        site.drain()
        await asyncio.sleep(0.01)
        assert [task.done() for task in following] == [True] * 3
        assert await follow() == []

    run(scenario)


def test_a_room_that_does_not_exist_cannot_be_followed(run: Callable[[Scenario], World]) -> None:
    """The refusal comes with the first step."""

    async def scenario(world: World, site: Site) -> None:
        assert (await refused(anext(site.follow("nowhere", None)))).code.name == "room_not_found"

    run(scenario)


# -- writing ----------------------------------------------------------------------------------------------------------------


def test_a_draft_is_answered_when_it_is_durable(run: Callable[[Scenario], World]) -> None:
    """Comments return with their number, rejected drafts with their code, connections without a room."""

    async def scenario(world: World, site: Site) -> None:
        outcome = await site.submit(comment("k0"))
        assert isinstance(outcome, Committed)
        assert (outcome.event.seq, outcome.fresh) == (1, True)
        again = await site.submit(comment("k0"))
        assert isinstance(again, Committed)
        assert (again.event.seq, again.fresh) == (1, False)
        assert await site.submit(removal(7)) == Rejected("comment_not_found")
        assert await site.submit(connection()) == Recorded(True)

    run(scenario).assert_whole()


@pytest.mark.parametrize("make", [partial(comment, "k", room="nowhere"), partial(report, room="nowhere")])
def test_a_draft_for_no_room_is_refused(run: Callable[[Scenario], World], make: Callable[[], Draft]) -> None:
    """A room that does not exist is found out before anything is queued."""

    async def scenario(world: World, site: Site) -> None:
        assert (await refused(site.submit(make()))).code.name == "room_not_found"
        assert world.store.calls["append"] == 0

    run(scenario)


def test_a_removal_returns_when_the_page_shows_it(run: Callable[[Scenario], World]) -> None:
    """Nobody is told of a removal or restoration that the pages do not show yet."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, PAGE_ROWS + 5)
        world.workers.least_s = world.workers.most_s = 2.0
        assert "text k3." in world.parts.page(0)
        await site.submit(removal(4))
        assert "text k3." not in world.parts.page(0)
        assert world.room.visible == PAGE_ROWS + 6
        await site.submit(restoration(4))
        assert "text k3." in world.parts.page(0)
        again = await site.submit(removal(4))
        assert isinstance(again, Committed)
        assert not again.fresh

    run(scenario).assert_whole()


def test_a_removal_whose_page_cannot_be_written_says_so(run: Callable[[Scenario], World]) -> None:
    """It is recorded and out of memory; the caller hears that the pages lag, and a retry gets the first answer."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 3)
        world.store.stand("read", Fault.FAIL)
        refusal = await refused(site.submit(removal(1)))
        assert (refusal.code.name, refusal.detail) == (
            "storage_unavailable", "recorded, but the pages cannot be written at the moment",
        )  # fmt: skip
        assert b"text k0." not in b"".join(world.room.resume(0, 0, 100).events)
        world.store.heal()
        await asyncio.sleep(5)
        again = await site.submit(removal(1))
        assert isinstance(again, Committed)
        assert again.event.seq == 4

    run(scenario).assert_whole()


def test_a_report_needs_no_page(run: Callable[[Scenario], World]) -> None:
    """While the pages of a room cannot be written the public can still report what stands there."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 1)
        world.store.stand("read", Fault.FAIL)
        await refused(site.submit(removal(1)))
        assert (await refused(site.submit(comment("late")))).code.name == "storage_unavailable"
        assert await site.submit(report()) == Recorded(True)
        world.store.heal()
        await asyncio.sleep(5)
        (record,) = await site.reports(0, 10)
        assert record.receipt == "R1"

    run(scenario).assert_whole()


def test_refusals_of_the_publisher_reach_the_caller(run: Callable[[Scenario], World]) -> None:
    """A store that is down, before and during a commit."""

    async def scenario(world: World, site: Site) -> None:
        world.store.plan("append", Fault.FAIL)
        assert (await refused(site.submit(comment("k0")))).code.name == "storage_unavailable"
        assert (await refused(site.submit(comment("k0")))).code.name == "storage_unavailable"
        assert world.store.calls["append"] == 1
        await asyncio.sleep(1)
        assert isinstance(await site.submit(comment("k0")), Committed)

    run(scenario)


def test_a_caller_that_leaves_does_not_stop_its_draft(run: Callable[[Scenario], World]) -> None:
    """What was taken is committed and live, whoever hears of it."""

    async def scenario(world: World, site: Site) -> None:
        submitting = asyncio.create_task(site.submit(comment("k0")))
        await asyncio.sleep(COMMIT_S / 2)
        submitting.cancel()
        await asyncio.sleep(1)
        assert world.room.visible == 1

    run(scenario).assert_whole()


# -- pages ------------------------------------------------------------------------------------------------------------------


def test_rebuilding_makes_all_pages_again(run: Callable[[Scenario], World]) -> None:
    """Damage is gone, the counts are told, and comments that came meanwhile are live afterwards."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, PAGE_ROWS + 5)
        folder = world.parts.root / "rooms" / "a" / "comments"
        for number in range(2):
            (folder / f"{number}.html").write_text("graffiti")
        (folder / "7.html").write_text("a page of nothing")
        world.workers.least_s = world.workers.most_s = 1.0
        building = asyncio.create_task(site.rebuild("a"))
        await asyncio.sleep(0.1)
        world.submit(comment("late"))
        assert await building == {"written": 2, "rows": PAGE_ROWS + 5, "removed": 1}
        assert (await refused(site.rebuild("nowhere"))).code.name == "room_not_found"
        await asyncio.sleep(1)

    run(scenario).assert_whole()


def test_a_rebuild_that_fails_says_why(run: Callable[[Scenario], World]) -> None:
    """The operator reads what is wrong; the room goes on."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 3)
        world.store.plan("read", Fault.FAIL)
        refusal = await refused(site.rebuild("a"))
        assert refusal.code.name == "storage_unavailable"
        assert "injected" in refusal.detail
        await say(site, 1, "late")

    run(scenario).assert_whole()


def test_a_page_is_healed_on_request(run: Callable[[Scenario], World]) -> None:
    """A page that should be there and is not is made again; pages that no event stands on are not invented."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, PAGE_ROWS + 5)
        folder = world.parts.root / "rooms" / "a" / "comments"
        for number in range(2):
            (folder / f"{number}.html").unlink()
        assert await site.heal_page("a", 0)
        assert world.parts.rows() == PAGE_ROWS + 5
        assert [await site.heal_page(*page) for page in (("a", 2), ("a", -1), ("nowhere", 0))] == [False, False, False]
        await asyncio.sleep(HEAL_S)
        (folder / "1.html").unlink()
        world.store.plan("read", Fault.FAIL)
        assert (await refused(site.heal_page("a", 1))).code.name == "storage_unavailable"
        await asyncio.sleep(HEAL_S)
        assert await site.heal_page("a", 1)

    run(scenario).assert_whole()


def test_who_asks_for_healing_together_shares_it(run: Callable[[Scenario], World]) -> None:
    """Requests for pages of one room, however many, repair it once at a time; another room does not wait; one who leaves takes
    nobody along."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, PAGE_ROWS + 5)
        page = world.parts.root / "rooms" / "a" / "comments" / "0.html"
        page.unlink()
        world.workers.least_s = world.workers.most_s = 5.0
        calls = world.workers.calls
        first = asyncio.create_task(site.heal_page("a", 0))
        await asyncio.sleep(1)
        others = [asyncio.create_task(site.heal_page(*each)) for each in [("a", 0), ("a", 1), ("b", 0)] * 20]
        await asyncio.sleep(1)
        first.cancel()
        assert await asyncio.gather(*others) == [True] * 60
        assert world.workers.calls == calls + 2
        assert page.exists()

    run(scenario).assert_whole()


def test_a_room_is_healed_once_a_second_at_most(run: Callable[[Scenario], World]) -> None:
    """Who asks within a second of a healing has its answer, good or bad, without another one; then nothing is remembered of it."""

    async def scenario(world: World, site: Site) -> None:
        await say(site, 5)
        page = world.parts.root / "rooms" / "a" / "comments" / "0.html"
        calls = world.workers.calls
        for _ in range(100):
            assert await site.heal_page("a", 0)
            await asyncio.sleep(0.1)
        assert world.workers.calls - calls in range(8, 12)
        await asyncio.sleep(HEAL_S)
        page.unlink()
        world.store.plan("read", Fault.FAIL)
        calls = world.workers.calls
        for _ in range(5):
            assert (await refused(site.heal_page("a", 0))).code.name == "storage_unavailable"
        assert (world.workers.calls, page.exists()) == (calls + 1, False)
        await asyncio.sleep(HEAL_S)
        assert site._heals == {}
        assert await site.heal_page("a", 0)
        assert page.exists()

    run(scenario).assert_whole()


# -- how it stands ----------------------------------------------------------------------------------------------------------


def test_readiness_names_what_is_wrong(run: Callable[[Scenario], World]) -> None:
    """Store, pages, queue and drain each have a check; all must be well."""

    async def scenario(world: World, site: Site) -> None:
        assert site.readiness().ready
        assert site.readiness().checks == {"store": "ok", "pages": "ok", "accounts": "ok", "queue": "ok", "drain": "ok"}
        world.store.plan("append", Fault.FAIL)
        await refused(site.submit(comment("k0")))
        assert not site.readiness().ready
        assert "injected" in site.readiness().checks["store"]
        await asyncio.sleep(1)
        await say(site, 2)
        assert site.readiness().ready
        world.store.stand("read", Fault.FAIL)
        await refused(site.submit(removal(1)))
        assert "injected" in site.readiness().checks["pages"]
        world.store.heal()
        await asyncio.sleep(5)
        assert site.readiness().ready
        site.drain()
        assert (site.readiness().ready, site.readiness().checks["drain"]) == (False, "draining")

    run(scenario)


def test_a_full_queue_is_not_ready(run: Callable[[Scenario], World]) -> None:
    """A process that must refuse comments says so."""

    async def scenario(world: World, site: Site) -> None:
        world.submit(*[held(f"h{index}") for index in range(site.settings.queue_max)])
        assert (site.readiness().ready, site.readiness().checks["queue"]) == (False, "full")
        await asyncio.sleep(5)
        assert site.readiness().ready

    run(scenario)
