"""A disk that is full, under the data folder or under the pages alone: comments are refused for a time, then all goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import Mounts
from tests.faults.world import PATIENCE_S, ROOM, world
from tests.support.server import ServerFailed

DISK_KIB = 4096
ANSWER_S = 5.0
"""Within this time a refusal is heard; it takes milliseconds on an idle machine."""


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """The disk under ``folder`` is full."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


@pytest.fixture
def small(tmp_path: Path, mounts: Mounts) -> Path:
    """A data folder on a small disk of its own."""
    mounts.tmpfs(tmp_path / "data", DISK_KIB)
    return tmp_path / "data"


async def test_work_goes_on_when_space_is_freed(small: Path) -> None:
    """Comments flow, the disk fills up, space is freed: authors were told, the operator knows what to do, nothing is lost,
    doubled or ahead of its page, and nobody had to do anything but free space."""
    async with world(small) as found:
        found.flow()
        await asyncio.sleep(0.5)
        found.mark()
        with full(small):
            assert "the disk is full: free space" in await found.unready("store")
            for _ in range(3):
                await found.refused(within_s=ANSWER_S)
            await found.nothing_goes_live()
            assert found.said("the store does not take commits; .*the disk is full: free space", "error")
        await found.ready()
        assert found.said("the store takes commits again", "info")
        await asyncio.sleep(0.5)
        await found.whole()
        assert found.ledger.refusals["storage_unavailable"] > 3


async def test_a_server_without_traffic_is_ready_again_by_itself(small: Path) -> None:
    """A balancer sends nothing to a server that is not ready; it notices all the same that there is space again."""
    async with world(small) as found:
        await found.fill(20)
        found.mark()
        with full(small):
            await found.refused(within_s=ANSWER_S)
            await found.unready("store")
            for person in found.people:
                await person.leave()
            await found.wait(lambda: not any(person.present for person in found.people))
        await found.ready()


async def test_comments_recorded_on_a_full_disk_survive_the_end_of_the_server(small: Path) -> None:
    """The server is killed while the disk is full; when it starts again with space, everything acknowledged is there and static."""
    async with world(small) as found:
        found.flow()
        await asyncio.sleep(0.5)
        with full(small):
            await found.unready("store")
            await found.hush()
            await found.kill()
        await found.start()
        await found.whole()


async def test_a_start_on_a_full_disk_says_why(small: Path) -> None:
    """The start ends with a sentence and the exit code for storage, so that a supervisor tries again; with space it succeeds."""
    async with world(small) as found:
        await found.fill(20)
        await found.stop()
        with full(small):
            with pytest.raises(ServerFailed, match=r"exit code 5\n(?s:.*)barrage: .*the disk is full: free space") as failure:
                await asyncio.to_thread(found.server.start)
            assert "Traceback" not in str(failure.value)
        await found.start()
        await found.whole()


async def test_pages_alone_on_a_full_disk(tmp_path: Path, mounts: Mounts) -> None:
    """The log could take comments, the pages cannot: nothing goes live that would not be static, and authors are told at once;
    the pages are whole again when they can be written."""
    data = tmp_path / "data"
    async with world(data) as found:
        found.flow()
        await asyncio.sleep(0.5)
        found.mark()
        with found.watch.blind():
            mounts.tmpfs(data / "pages", 16)
            advice = await found.unready("pages")
        assert "the disk is full. Free space on it" in advice
        for _ in range(3):
            await found.refused(within_s=ANSWER_S)
        await found.nothing_goes_live()
        async with httpx.AsyncClient(base_url=found.server.url, timeout=PATIENCE_S) as reader:
            report = await reader.post(f"/rooms/{ROOM}/report", data={"seq": "1", "reason": "S1"})
            assert report.status_code == 303, "a report needs no page"
        assert found.said("static pages cannot be written; the room is refused until they can .*Free space", "error")
        with found.watch.blind():
            mounts.undo()
            await found.ready()
            await asyncio.sleep(0.5)
        assert found.said("static pages can be written again", "info")
        await asyncio.sleep(0.5)
        await found.whole()


async def test_pages_of_an_idle_server_are_watched_too(tmp_path: Path, mounts: Mounts) -> None:
    """Nobody posts: the patrol finds that the pages cannot be made whole, says so, and mends them when it can."""
    data = tmp_path / "data"
    async with world(data) as found:
        await found.fill(100)
        found.mark()
        with found.watch.blind():
            mounts.tmpfs(data / "pages", 16)
            assert "Free space" in await found.unready("pages")
            assert found.said("static pages cannot be repaired .*Free space", "error")
            mounts.undo()
            await found.ready()
        await found.whole()
