"""A data folder that becomes read-only, or is so at the start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from server.errors import Refusal
from server.operations import Remove
from server.wire import PAGE_ROWS
from tests.faults.conftest import Mounts
from tests.faults.test_locked import locked
from tests.faults.world import PATIENCE_S, ROOM, rows_of, world
from tests.support.server import ServerFailed

ANSWER_S = 15.0


async def test_pages_in_a_folder_that_became_read_only(tmp_path: Path, mounts: Mounts) -> None:
    """No page can be begun or rewritten: comments are recorded only as far as they can be static, and what is over waits, unseen,
    until the folder can be written; then it is on its page before anybody gets it."""
    async with world(tmp_path / "data") as found:
        await found.fill(PAGE_ROWS - 3)
        found.mark()
        mounts.read_only(found.server.data / "pages")
        found.flow()
        assert "the file system is read-only. Mount it writable" in await found.unready("pages")
        await found.refused(within_s=ANSWER_S)
        await found.nothing_goes_live()
        assert found.live <= PAGE_ROWS
        assert found.said("static pages cannot be written; the room is refused until they can .*Mount it writable", "error")
        mounts.undo()
        await found.ready()
        await asyncio.sleep(0.5)
        await found.whole()
        assert found.live > PAGE_ROWS


async def test_a_log_in_a_folder_that_became_read_only(tmp_path: Path, mounts: Mounts) -> None:
    """The database cannot be written: authors are refused, readers are not; it goes on when the folder can be written."""
    async with world(tmp_path / "data") as found:
        await found.fill(20)
        async with locked(found):
            await found.refused(within_s=ANSWER_S)  # after an error the server opens the database anew
            mounts.read_only(found.server.data)
            await found.wait(lambda: "must not be mounted read-only" in found.monitor.checks["store"])
        await found.refused(within_s=ANSWER_S)
        assert "must not be mounted read-only" in await found.unready("store")
        assert found.live == 20
        async with httpx.AsyncClient(base_url=found.server.url, timeout=PATIENCE_S) as client:
            assert (await client.get(f"/rooms/{ROOM}/comments/0.html")).status_code == 200
            assert len((await client.get(f"/api/rooms/{ROOM}/events")).json()["events"]) == 20
        mounts.undo()
        await found.ready()
        await found.whole()


async def test_a_removal_that_cannot_reach_the_page_says_so(tmp_path: Path, mounts: Mounts) -> None:
    """The operator is told that the page lags behind; history no longer has the text, the room takes nothing more, and the page
    follows by itself."""
    async with world(tmp_path / "data") as found:
        await found.fill(20)
        mounts.read_only(found.server.data / "pages")
        async with found.operator() as operations, httpx.AsyncClient(base_url=found.server.url, timeout=PATIENCE_S) as client:
            removing = asyncio.create_task(operations.remove(Remove(room=ROOM, seq=7, code="A2", basis="第十五条")))
            await found.unready("pages")
            event = (await client.get(f"/api/rooms/{ROOM}/events?after=6&limit=1")).json()["events"][0]
            assert event["removed"]["code"] == "A2"
            assert "text" not in event
            assert found.live == 20, "the removal itself is not live before its page is"
            with pytest.raises(Refusal, match="recorded, but the pages cannot be written") as refusal:
                await removing
            assert refusal.value.code.temporary
            with pytest.raises(Refusal, match="read-only"):
                await operations.rebuild(ROOM)
        mounts.undo()
        await found.ready()
        await found.wait(lambda: found.live == 21)
        assert b'<article id="c7" class="tombstone"' in (found.pages / "0.html").read_bytes()
        await found.whole()


async def test_a_start_in_a_read_only_folder_says_why(tmp_path: Path, mounts: Mounts) -> None:
    """The start ends with a sentence that says what to do; as soon as the folder can be written it succeeds."""
    data = tmp_path / "data"
    async with world(data) as found:
        await found.fill(20)
        await found.stop()
        mounts.read_only(data)
        with pytest.raises(ServerFailed, match=r"exit code 4\n(?s:.*)barrage: data folder .* cannot be written") as failure:
            await asyncio.to_thread(found.server.start)
        assert "Traceback" not in str(failure.value)
        mounts.undo()
        await found.start()
        await found.whole()


async def test_missing_pages_in_a_read_only_folder_end_the_start(tmp_path: Path, mounts: Mounts) -> None:
    """A server that cannot make its pages whole serves nobody: exit code 5, and a sentence."""
    data = tmp_path / "data"
    async with world(data) as found:
        await found.fill(20)
        await found.stop()
        os.truncate(found.pages / "0.html", 100)
        assert not rows_of(found.pages / "0.html")
        mounts.read_only(data / "pages")
        with pytest.raises(ServerFailed, match=r"exit code 5\n(?s:.*)barrage: .*Mount it writable") as failure:
            await asyncio.to_thread(found.server.start)
        assert "Traceback" not in str(failure.value)
        mounts.undo()
        await found.start()
        await found.whole()
