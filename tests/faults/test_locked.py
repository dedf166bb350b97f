"""A database that another process keeps locked, and one whose disk takes no more: temporary refusals in bounded time."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from loadtest.messages import Ack, Refused
from tests.faults.world import World, world

BUSY_S: Final = 2.0
"""How long a commit waits for a lock."""
ANSWER_S: Final = 15.0
"""A comment waits for its own commit, and at most for the one before."""

_HOLD: Final = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
database.execute("ROLLBACK")
"""


@asynccontextmanager
async def locked(found: World) -> AsyncIterator[None]:
    """Another process has an open write transaction."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLD, str(found.server.data / "barrage.db"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"locked\n"
        yield
    finally:
        await process.communicate(b"")


@contextmanager
def files_that_cannot_grow(found: World) -> Iterator[None]:
    """Every write of the server beyond what its write-ahead log has now fails with an error, as on a broken disk."""
    size = (found.server.data / "barrage.db-wal").stat().st_size
    soft, hard = resource.prlimit(found.server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(found.server.pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(found.server.pid, resource.RLIMIT_FSIZE, (soft, hard))


async def test_work_goes_on_when_the_lock_is_released(tmp_path: Path) -> None:
    """Comments flow while somebody holds the lock for some seconds: reading goes on, posting is refused in time, and afterwards
    every comment is there once."""
    async with world(tmp_path / "data") as found:
        found.flow()
        await asyncio.sleep(0.5)
        found.mark()
        async with locked(found):
            assert "locked by another process: find it with fuser" in await found.unready("store")
            live = found.live
            await found.refused(within_s=ANSWER_S)
            assert found.live == live, "nothing was recorded, so nothing is live"
            assert found.said("the store does not take commits; .*locked by another process: find it with fuser", "error")
        await found.ready()
        assert found.said("the store takes commits again", "info")
        await asyncio.sleep(0.5)
        await found.whole()


async def test_a_short_lock_is_waited_for(tmp_path: Path) -> None:
    """A backup or a query that holds the lock for a moment is no fault: the comment waits, and is acknowledged."""
    async with world(tmp_path / "data") as found:
        await found.fill(5)
        for _ in range(5):
            found.mark()
            began = time.monotonic()
            async with locked(found):
                answer = asyncio.create_task(found.say("等一下"))
                await asyncio.sleep(0.3)
                assert not answer.done()
            held_s = time.monotonic() - began
            if isinstance(await answer, Ack):
                break
            assert held_s > BUSY_S - 0.5, "a moment"  # a machine that stood still held the lock for longer than a commit waits
        assert isinstance(answer.result(), Ack)
        assert not found.logged("error", "warning")
        await found.whole()


async def test_a_server_without_traffic_notices_that_the_lock_is_gone(tmp_path: Path) -> None:
    """Nobody posts after the refusal; the server is ready again by itself."""
    async with world(tmp_path / "data") as found:
        async with locked(found):
            await found.refused(within_s=ANSWER_S)
            await found.unready("store")
        await found.ready()
        assert await found.accepted() == 1
        await found.whole()


async def test_an_unknown_outcome_is_told_by_a_retry(tmp_path: Path) -> None:
    """The disk fails in the middle of a commit: the author hears that nobody knows; the same comment under the same key gets its
    number when the disk works again, and stands in the log once."""
    async with world(tmp_path / "data") as found:
        await found.fill(30)
        async with found.seat() as author:
            assert isinstance(await found.say_from(author, "我在。"), Ack)  # and so the beginning of the connection is recorded
            found.mark()
            with files_that_cannot_grow(found):
                answer = await found.say_from(author, "到了吗？")
                assert isinstance(answer, Refused), answer
                assert (answer.code, answer.temporary) == ("outcome_unknown", True)
                assert "the disk reports an error: see the kernel's log" in await found.unready("store")
                await found.refused(within_s=ANSWER_S)
                await found.wait(lambda: found.live >= 31)
                assert found.live == 31
            await found.ready()
        await found.whole()
        assert [each.outcome for each in found.ledger if each.author == "asker"] == ["acked", "acked", "acked"]


async def test_a_broken_disk_under_load(tmp_path: Path) -> None:
    """Comments flow while every write fails; whatever their authors were told, each is there once at the end."""
    async with world(tmp_path / "data") as found:
        found.flow()
        await asyncio.sleep(0.5)
        found.mark()
        with files_that_cannot_grow(found):
            await found.unready("store")
            await found.nothing_goes_live()
        await found.ready()
        await asyncio.sleep(0.5)
        await found.whole()
