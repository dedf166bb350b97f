"""server/patrol.py"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.pages import PageWork
from server.patrol import Patrol
from server.store.faults import Fault
from server.wire import PAGE_ROWS
from static_mirror import RebuildReport
from tests.support.drafts import comment, removal
from tests.support.pipeline import World, run_world

EVERY_S = 10.0
PAGES = 12
"""Sealed pages of room ``a`` in most tests: more than one comparison and one cheap look cover."""


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[World], Coroutine[Any, Any, None]]], World]:
    """Runs a scenario in virtual time over a world whose pages are patrolled."""

    def _run(scenario: Callable[[World], Coroutine[Any, Any, None]]) -> World:
        async def patrolled(world: World) -> None:
            parts = world.parts
            patrol = asyncio.create_task(Patrol(parts.hub, parts.flusher, parts.pages, parts.stats, every_s=EVERY_S).run())
            await scenario(world)
            assert not patrol.done()
            patrol.cancel()
            await asyncio.gather(patrol, return_exceptions=True)

        return run_world(tmp_path, patrolled, batch_max=5000, queue_max=5000, ring_events=5000, tick_ms=1000)

    return _run


def page(world: World, number: int) -> Path:
    """A page's file."""
    return world.parts.root / "rooms" / "a" / "comments" / f"{number}.html"


async def fill(world: World, pages: int = PAGES) -> dict[str, bytes]:
    """Put comments into room ``a``; the files of its folder."""
    world.submit(*[comment(f"k{index}", text=f"text {index + 1}.") for index in range(pages * PAGE_ROWS + 5)])
    await asyncio.sleep(5)
    return {path.name: path.read_bytes() for path in page(world, 0).parent.iterdir()}


def files(world: World) -> dict[str, bytes]:
    """The files of room ``a``'s folder."""
    return {path.name: path.read_bytes() for path in page(world, 0).parent.iterdir()}


Damage = Callable[[Path], object]


def edit(path: Path) -> None:
    """Change a text in place: same file, same length."""
    data = path.read_bytes()
    assert b"text " in data
    with path.open("r+b") as file:
        file.write(data.replace(b"text ", b"lies "))


@pytest.mark.parametrize("number", [0, 3, PAGES - 1, PAGES])
@pytest.mark.parametrize("damage", [Path.unlink, edit, lambda path: path.write_bytes(path.read_bytes()[:-20])])
def test_a_damaged_page_is_made_again(run: Callable[..., World], damage: Damage, number: int) -> None:
    """Removed, cut or edited, old, new or open, sealed by us or not: within a few rounds the page is what it was; nothing else is
    touched."""

    async def scenario(world: World) -> None:
        whole = await fill(world)
        damage(page(world, number))
        await asyncio.sleep(EVERY_S * (PAGES / 4 + 2))
        assert files(world) == whole
        assert world.parts.stats.pages_rebuilt == 1

    run(scenario).assert_whole()


def test_an_old_copy_of_a_page_is_replaced(run: Callable[..., World]) -> None:
    """Who puts a backup of the pages back brings no removed text back: the log decides."""

    async def scenario(world: World) -> None:
        await fill(world)
        copy = page(world, 0).read_bytes()
        world.submit(removal(7))
        await asyncio.sleep(1)
        page(world, 0).write_bytes(copy)
        assert b"text 7." in copy
        await asyncio.sleep(EVERY_S * (PAGES / 4 + 2))
        assert b"text 7." not in page(world, 0).read_bytes()

    run(scenario).assert_whole()


def test_a_lost_folder_is_made_again_with_its_stylesheet(run: Callable[..., World]) -> None:
    """Nobody needs to post for it."""

    async def scenario(world: World) -> None:
        await fill(world)
        before = {str(path): path.read_bytes() for path in world.parts.root.rglob("*") if path.is_file()}
        shutil.rmtree(world.parts.root)
        await asyncio.sleep(3 * EVERY_S)
        assert {str(path): path.read_bytes() for path in world.parts.root.rglob("*") if path.is_file()} == before

    run(scenario).assert_whole()


def test_a_busy_room_is_compared_as_well(run: Callable[..., World]) -> None:
    """Where comments always wait for the next flush, old pages have their turn all the same."""

    async def scenario(world: World) -> None:
        whole = await fill(world)
        edit(page(world, 2))
        for number in range(500):
            world.submit(comment(f"more {number}"))
            await asyncio.sleep(EVERY_S * (PAGES / 4 + 2) / 500)
        assert page(world, 2).read_bytes() == whole["2.html"]
        await asyncio.sleep(5)

    run(scenario).assert_whole()


def test_pages_that_are_fine_are_left_alone(run: Callable[..., World]) -> None:
    """Comments and removals that come meanwhile are no damage, and no page is written for nothing."""

    async def scenario(world: World) -> None:
        await fill(world)
        inodes = {number: page(world, number).stat().st_ino for number in range(4, PAGES)}
        for number in range(200):
            world.submit(comment(f"more {number}"))
            if number < 3 * PAGE_ROWS and not number % 4:
                world.submit(removal(number + 1, f"rm {number}"))
            await asyncio.sleep(0.37)
        await asyncio.sleep(5)
        assert world.parts.stats.pages_rebuilt == 0
        assert {number: page(world, number).stat().st_ino for number in inodes} == inodes

    run(scenario).assert_whole()


def test_pages_that_cannot_be_mended_are_a_trouble_until_they_are(run: Callable[..., World]) -> None:
    """The process is not ready, though nobody posts; the other rooms are looked after all the same."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"), comment("b0", room="b"))
        await asyncio.sleep(1)
        rooms = world.parts.root / "rooms"
        shutil.rmtree(rooms / "a")
        (rooms / "a").write_text("no folder")
        other = rooms / "b" / "comments" / "0.html"
        other.unlink()
        await asyncio.sleep(2 * EVERY_S)
        assert "a file stands in the place of a folder" in world.parts.flusher.trouble
        assert not world.parts.flusher.blocked("a")
        assert other.exists()
        (rooms / "a").unlink()
        await asyncio.sleep(2 * EVERY_S)
        assert world.parts.flusher.trouble == ""

    world = run(scenario)
    world.assert_whole("a")
    world.assert_whole("b")


def test_a_blocked_room_holds_nobody_up(run: Callable[..., World]) -> None:
    """The flusher itself tries a blocked room; the patrol goes on to the others."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"), comment("b0", room="b"))
        await asyncio.sleep(1)
        rooms = world.parts.root / "rooms"
        shutil.rmtree(rooms / "a")
        (rooms / "a").write_text("no folder")
        world.submit(comment("k1"))
        await asyncio.sleep(1)
        assert world.parts.flusher.blocked("a")
        other = rooms / "b" / "comments" / "0.html"
        other.unlink()
        await asyncio.sleep(2 * EVERY_S)
        assert other.exists()
        (rooms / "a").unlink()
        await asyncio.sleep(5)

    run(scenario).assert_whole()


def test_a_log_that_cannot_be_read_ends_no_round(run: Callable[..., World]) -> None:
    """Without the log there is nothing to compare with; the pages stay, and the patrol goes on when it can be read."""

    async def scenario(world: World) -> None:
        whole = await fill(world, 1)
        world.store.stand("read", Fault.FAIL)
        edit(page(world, 0))
        await asyncio.sleep(3 * EVERY_S)
        assert files(world) != whole
        world.store.heal()
        await asyncio.sleep(2 * EVERY_S)
        assert files(world) == whole

    run(scenario)


class Buggy(PageWork):
    """Page work with a bug: calls for room ``a`` raise while ``bug`` is set."""

    bug = ""

    def repair(self, room: str, last: int) -> RebuildReport:
        self._fail(room)
        return super().repair(room, last)

    def differing(self, room: str, numbers: Iterable[int], last: int) -> list[int]:
        self._fail(room)
        return super().differing(room, numbers, last)

    def _fail(self, room: str) -> None:
        if self.bug and room == "a":
            raise ZeroDivisionError(self.bug)


def test_an_unforeseen_error_ends_neither_the_patrol_nor_the_round(run: Callable[..., World]) -> None:
    """The other rooms are looked after; look and comparison each tell an error once, and once more when it is another or comes
    again; the room has its turn when the error is gone."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"), comment("b0", room="b"))
        await asyncio.sleep(1)
        rooms = world.parts.root / "rooms"
        pages = world.parts.pages
        pages.__class__ = Buggy
        for bug, told in (("one", 2), ("one", 0), ("another", 2), ("", 0), ("another", 2), ("", 0)):
            pages.bug = bug  # type: ignore[attr-defined] # it is a Buggy now
            for name in "ab":
                (rooms / name / "comments" / "0.html").unlink(missing_ok=True)
            with capture_logs() as logs:
                await asyncio.sleep(5 * EVERY_S)
            assert [(rooms / name / "comments" / "0.html").exists() for name in "ab"] == [not bug, True]
            assert [log["room"] for log in logs if log["event"] == "static pages cannot be looked after"] == ["a"] * told

    run(scenario).assert_whole()


def test_a_site_without_rooms_is_patrolled_as_well(tmp_path: Path) -> None:
    """There is nothing to do, and nothing spins."""

    async def scenario(world: World) -> None:
        world.parts.hub.rooms.clear()
        parts = world.parts
        patrol = asyncio.create_task(Patrol(parts.hub, parts.flusher, parts.pages, parts.stats, every_s=EVERY_S).run())
        await asyncio.sleep(100)
        assert world.workers.calls == 0
        patrol.cancel()
        await asyncio.gather(patrol, return_exceptions=True)

    partial(run_world, tmp_path)(scenario)
