"""A database that is damaged, or gone, while the server runs or before it starts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from server.errors import Refusal
from server.wire import PAGE_ROWS
from tests.faults.world import PATIENCE_S, ROOM, World, world
from tests.support.server import ServerFailed

ANSWER_S = 10.0
SQL_PAGE = 4096
RING = 64


def overwrite(path: Path, first: int = 0) -> None:
    """Random bytes in place of all from ``first`` on; the file itself stays."""
    size = path.stat().st_size
    with path.open("r+b", buffering=0) as file:
        file.seek(first)
        file.write(os.urandom(size - first))


@contextmanager
def damaged(found: World, damage: Callable[[Path], object]) -> Iterator[None]:
    """The database is damaged, and then restored as it was, in place."""
    path = found.server.data / "barrage.db"
    whole = path.read_bytes()
    damage(path)
    try:
        yield
    finally:
        with path.open("r+b", buffering=0) as file:
            file.write(whole)


async def filled(found: World, events: int) -> None:
    """The room has comments, all of them in the database file itself, and little of that file is in the server's memory."""
    await found.fill(events)
    await found.stop()
    assert not found.server.data.joinpath("barrage.db-wal").exists()
    await found.start()


@pytest.mark.parametrize("damage", [lambda path: overwrite(path, SQL_PAGE), lambda path: os.truncate(path, SQL_PAGE)])
async def test_a_damaged_database_refuses_until_it_is_restored(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """Bytes are overwritten, or the file is cut, while comments flow: nothing goes live that is not recorded, the operator reads
    what to do, and with the database back all goes on, each comment once."""
    async with world(tmp_path / "data") as found:
        await filled(found, 300)
        found.mark()
        with damaged(found, damage):
            found.flow()
            assert "the database is damaged: stop the server, keep the damaged files" in await found.unready("store")
            for _ in range(3):
                await found.refused(within_s=ANSWER_S)
            assert found.live == 300
            assert found.said("the store does not take commits; .*the database is damaged: stop the server", "error")
        await found.ready()
        await asyncio.sleep(0.5)
        await found.whole()
        assert found.live > 300


async def test_a_database_that_is_gone_and_comes_back(tmp_path: Path) -> None:
    """The file is moved away while comments flow: no empty one is made in its place, and with its return all goes on."""
    async with world(tmp_path / "data") as found:
        await filled(found, 20)
        path = found.server.data / "barrage.db"
        path.rename(tmp_path / "aside")
        found.flow()
        assert "the database is gone: put it back" in await found.unready("store")
        await found.refused(within_s=ANSWER_S)
        assert not path.exists()
        assert found.live == 20
        (tmp_path / "aside").rename(path)
        await found.ready()
        await asyncio.sleep(0.5)
        await found.whole()


async def test_readers_of_a_damaged_log_are_refused_and_the_operator_is_told(tmp_path: Path) -> None:
    """Older comments cannot be read from the database: readers get a temporary refusal, static pages stay as they are, the
    operator reads why; and with the database back the history is there."""
    async with world(tmp_path / "data", ring_events=RING, join_recent=10) as found:
        await filled(found, PAGE_ROWS + 100)
        found.mark()
        page = (found.pages / "0.html").read_bytes()
        older = f"/api/rooms/{ROOM}/events?after={PAGE_ROWS}&limit=30"  # older than the ring, newer than full pages
        async with httpx.AsyncClient(base_url=found.server.url, timeout=PATIENCE_S) as client:
            with damaged(found, lambda path: overwrite(path, SQL_PAGE)):
                async with found.operator() as operations:
                    # Each of the database's connections knows parts of the file by heart, until one reading fails: one that has
                    # just looked at these records may answer from what it knows.
                    refused = 0
                    for _ in range(100):
                        try:
                            await operations.screened(0, 10, "")
                        except Refusal as refusal:
                            refused += refusal.code.name == "storage_unavailable"
                    assert refused >= 8
                answer = await client.get(older)
                assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
                assert answer.json()["temporary"]
                assert (await client.get(f"/rooms/{ROOM}")).status_code == 503
                assert (await client.get(f"/rooms/{ROOM}/comments/0.html")).content == page
                assert "the database is damaged" in await found.unready("store")
                assert found.said("the log cannot be read; .*the database is damaged: stop the server", "error")
            await found.ready()
        async with httpx.AsyncClient(
            base_url=found.server.url, timeout=PATIENCE_S
        ) as client:  # the server may just have closed the idle connection
            assert len((await client.get(older)).json()["events"]) == 30
            assert (await client.get(f"/rooms/{ROOM}")).status_code == 200
        await found.whole()


@pytest.mark.parametrize(
    ("damage", "advice"),
    [
        (overwrite, "this is not a database: stop the server, keep the file, put the last backup in its place"),
        (lambda path: overwrite(path, SQL_PAGE), "the database is damaged: stop the server, keep the damaged files"),
    ],
)
async def test_a_start_with_a_damaged_database_says_why(tmp_path: Path, damage: Callable[[Path], object], advice: str) -> None:
    """The start ends with a sentence and the exit code for storage, and leaves the pages as they are; with the database back it
    succeeds."""
    async with world(tmp_path / "data") as found:
        await found.fill(300)
        await found.stop()
        pages = {path: path.read_bytes() for path in found.pages.iterdir()}
        with damaged(found, damage):
            with pytest.raises(ServerFailed, match=rf"exit code 5\n(?s:.*)barrage: .*{advice}") as failure:
                await asyncio.to_thread(found.server.start)
            assert "Traceback" not in str(failure.value)
            assert {path: path.read_bytes() for path in found.pages.iterdir()} == pages
        await found.start()
        await found.whole()
