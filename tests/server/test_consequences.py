"""server/consequences.py"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from server import consequences as module
from server.accounts import followed
from server.accounts.book import Accounts
from server.consequences import Consequences
from server.core.hub import Hub
from server.errors import StoreUnavailable
from server.flush import Viewer
from server.store.base import Committed, Draft
from server.store.faults import Fault, FaultyStore
from server.store.memory import MemoryStore
from tests.support.accounts import book, letters, standing
from tests.support.drafts import comment, removal, restoration
from tests.support.waiting import eventually


class Site:
    """A store with a room ``a``, a book, and who follows the one into the other. :meth:`restarted` is what a crash leaves."""

    def __init__(self, store: FaultyStore, accounts: Accounts, readers: ThreadPoolExecutor) -> None:
        self.store = store
        self.accounts = accounts
        self._readers = readers
        self.told = True
        self.restarted()

    def restarted(self) -> None:
        """Another process over the same files."""
        self.hub: Hub[Viewer] = Hub(8)
        for info in self.store.inner.rooms():
            self.hub.add(info.name, info.epoch, info.head, info.mode)
        self.found = Consequences(self.store, self.hub, self.accounts, self._readers)

    def append(self, *drafts: Draft) -> None:
        """Commit; unless the process dies in this moment (``told`` is false), decisions are told as the publisher does."""
        for outcome in self.store.inner.append(list(drafts)):
            assert isinstance(outcome, Committed)
            self.hub.rooms["a"].commit(outcome.event)
            if outcome.target is not None and self.told:
                self.found.decided("a", outcome.event)

    def points(self, account: str = "ann") -> int:
        """What the account's marks add up to."""
        return sum(sum_ for _, sum_ in standing(self.accounts, account).marks)

    def places(self) -> dict[str, int]:
        """Up to where the rooms were read."""
        return self.accounts.read_now(followed.places)


@asynccontextmanager
async def site(folder: Path, before: Sequence[Draft] = ()) -> AsyncIterator[Site]:
    """A site that follows; ``before`` is what its log has before the book is there."""
    store = FaultyStore(MemoryStore())
    store.inner.create_room("a", "Room a", "live", 1)
    store.inner.append(list(before))
    with book(folder) as accounts, ThreadPoolExecutor(2) as readers:
        found = Site(store, accounts, readers)
        await found.found.start()
        yield found
        await found.found.drain()


async def test_a_removal_reaches_the_author(tmp_path: Path) -> None:
    """It costs credit and is told in a letter; a restoration gives the credit back."""
    async with site(tmp_path) as found:
        found.append(comment(), comment("k2"), removal(1))
        await eventually(lambda: found.points() == -40)
        assert [data["seq"] for _, data in letters(found.accounts, "ann")] == [1]
        found.append(restoration(1, code="R1"))
        await eventually(lambda: found.points() == 0)
        assert found.places() == {"a": 4}


async def test_a_crash_between_the_two_commits_is_caught_up_with_once(tmp_path: Path) -> None:
    """The log has a removal that the accounts never heard of: the next start counts it, and no later one does."""
    async with site(tmp_path) as found:
        found.told = False
        found.append(comment(), removal(1), comment("k2"))
        for _ in range(3):
            found.restarted()
            await found.found.start()
            await eventually(lambda: found.places() == {"a": 3})
            assert found.points() == -40
            assert len(letters(found.accounts, "ann")) == 1


async def test_a_crash_after_the_accounts_commit_counts_nothing_twice(tmp_path: Path) -> None:
    """The decision is counted; what the process knew of it is lost, and the log is read from the place on."""
    async with site(tmp_path) as found:
        found.append(comment(), removal(1))
        await eventually(lambda: found.points() == -40)
        found.restarted()
        await found.found.start()
        found.append(comment("k2"), removal(3, "rm2"))
        await eventually(lambda: found.points() == -80)
        assert len(letters(found.accounts, "ann")) == 2


async def test_logs_older_than_the_book_are_not_read_back(tmp_path: Path) -> None:
    """What was removed before there were accounts costs nobody credit; what comes then does, also in a room that comes later."""
    async with site(tmp_path, [comment(), comment("k2"), removal(1)]) as found:
        assert found.places() == {"a": 3}
        found.append(removal(2, "rm2"))
        await eventually(lambda: found.points() == -40)
        found.store.inner.create_room("b", "Room b", "live", 1)
        found.store.inner.append([comment(room="b", author="bob"), removal(1, "rm3", room="b")])
        found.restarted()
        await found.found.start()
        await eventually(lambda: found.points("bob") == -40)


async def test_faults_are_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a log that cannot be read nor a book that cannot be written loses a decision, or counts it twice."""
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    async with site(tmp_path) as found:
        found.store.stand("read", Fault.FAIL)
        found.append(comment(), removal(1))
        await asyncio.sleep(0.03)
        assert found.points() == 0
        found.store.heal()
        await eventually(lambda: found.points() == -40)

        write = found.accounts.write
        broken = True

        async def failing(work: Any) -> Any:
            if broken:
                raise StoreUnavailable("the disk is full")
            return await write(work)

        monkeypatch.setattr(found.accounts, "write", failing)
        found.append(comment("k2"), removal(3, "rm2"))
        await asyncio.sleep(0.03)
        broken = False
        await eventually(lambda: found.points() == -80)


async def test_too_many_that_wait_are_read_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded; the rest of its room comes from the log, each decision once, in order."""
    monkeypatch.setattr(module, "_PENDING", 2)
    monkeypatch.setattr(module, "_ROWS", 3)
    async with site(tmp_path) as found:
        found.append(*(comment(f"k{number}") for number in range(6)))
        found.append(*(removal(number, f"rm{number}", code="A2") for number in range(1, 7)))
        await eventually(lambda: found.points() == -60)
        assert found.places() == {"a": 12}
        assert len(letters(found.accounts, "ann")) == 6


async def test_what_no_measure_can_be_made_of_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision that counts for nobody does not stop the next one."""
    async with site(tmp_path) as found:
        found.append(comment(), comment("k2"), removal(1, role="janitor"), removal(2, "rm2"))
        await eventually(lambda: found.points() == -40)
        assert found.places() == {"a": 4}


async def test_the_end_notes_the_heads(tmp_path: Path) -> None:
    """After an orderly end nothing is to be read; a fault leaves that to the next start."""
    async with site(tmp_path) as found:
        found.append(comment(), removal(1), comment("k2"))
        await found.found.drain()
        assert found.places() == {"a": 3}
        assert found.points() == -40


async def test_an_end_amid_a_fault_leaves_the_rest_to_the_next_start(tmp_path: Path) -> None:
    """The drain does not wait for ever; the decision is counted when the log can be read again."""
    async with site(tmp_path) as found:
        found.append(comment())
        found.store.stand("read", Fault.FAIL)
        found.append(removal(1))
        await found.found.drain()
        assert found.points() == 0
        found.store.heal()
        found.restarted()
        await found.found.start()
        await eventually(lambda: found.points() == -40)


async def test_places_that_cannot_be_noted_are_older_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A book that fails in the last moment does not disturb the end."""

    async def failing(work: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    async with site(tmp_path) as found:
        found.append(comment())
        with monkeypatch.context() as patch:
            patch.setattr(found.accounts, "write", failing)
            await found.found.drain()
        assert found.places() == {"a": 0}


async def test_a_log_that_was_put_back_from_a_backup_goes_on_to_count(tmp_path: Path) -> None:
    """Its numbers come a second time, and what is decided under them counts."""
    async with site(tmp_path) as found:
        found.append(comment(), removal(1), comment("k2"))
        await found.found.drain()
        assert (found.places(), found.points()) == ({"a": 3}, -40)
        found.store = FaultyStore(MemoryStore())
        found.store.inner.create_room("a", "Room a", "live", 1)
        found.restarted()
        await found.found.start()
        assert found.places() == {"a": 0}
        found.append(comment(author="bob"), removal(1))
        await eventually(lambda: found.points("bob") == -40)


async def test_a_fault_of_ours_is_logged_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw ends neither the task nor the counting of what comes after it, and the drain does not wait for it."""
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    async with site(tmp_path) as found:
        with capture_logs() as logs, monkeypatch.context() as patch:

            def broken(*_: object) -> None:
                raise ValueError("nobody foresaw this")

            patch.setattr(followed, "count", broken)
            found.append(comment(), comment("k2"), removal(1), removal(2, "rm2"))
            await eventually(lambda: logs)
        assert logs[0]["event"] == "a decision cannot be counted"
        await eventually(lambda: found.points() == -80)
        with monkeypatch.context() as patch:
            patch.setattr(followed, "count", broken)
            found.append(comment("k3"), removal(5, "rm3"))
            await found.found.drain()
        assert found.points() == -80
