"""server/custody.py"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from server import custody
from server.accounts import holds, privacy
from server.accounts.people import People
from server.accounts.vault_keys import VaultError
from server.custody import Custody
from server.errors import Refusal, StoreUnavailable
from server.settings import Settings
from server.store.base import Draft, Outcome
from server.store.faults import Fault, FaultyStore
from server.store.sql import SqlStore
from tests.support.accounts import Clock, person, standing
from tests.support.drafts import comment, connection, held, report
from tests.support.waiting import PATIENCE_S

PHONE = "+8613800138000"


class World:
    """Both databases of a folder, one person, and the path into the log as it is at its simplest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.store = FaultyStore(SqlStore.open(folder / "barrage.db"))
        self.store.create_room("a", "A", "live", 1)
        self.store.create_room("b", "B", "vod", 1)
        settings = Settings(data_dir=folder)
        self.people = People.open(settings, self.clock)
        self.fail_after = -1
        self.submitted: list[Draft] = []
        self.custody = Custody(
            settings, self.people, self.store, read=self._run, write=self._run, submit=self._submit, clock_ms=self.clock
        )

    async def _run(self, call: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(call)

    async def _submit(self, draft: Draft) -> Outcome:
        if self.fail_after == len(self.submitted):
            raise Refusal("storage_unavailable")
        self.submitted.append(draft)
        (outcome,) = await asyncio.to_thread(self.store.append, [draft])
        return outcome

    def sign_up(self, account: str = "ann") -> None:
        """A person with a phone number."""

        def work(tx: Any) -> None:
            person(tx, account)
            self.people.vault.put(tx, account, "phone", PHONE)
            self.people.vault.claim(tx, account, "phone", PHONE)

        self.people.book.write_now(work)

    def removed(self) -> list[tuple[str, int]]:
        """Comments of the person that are removed."""
        return [(each.room, each.seq) for each in self.store.comments_of("ann", 0, 1000) if each.removed]

    def close(self) -> None:
        """Release both."""
        self.people.close()
        self.store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """One person who has said three things in two rooms."""
    found = World(tmp_path)
    found.sign_up()
    said = [comment("1", text="一"), comment("2", room="b", text="二"), comment("x", author="bob"), comment("3", text="三")]
    found.store.append([*said, connection(), held()])
    yield found
    found.close()


async def test_an_export_holds_both_databases(world: World) -> None:
    """duty P5(2): what the vault keeps, what the ledger says, comments, and from where one was connected."""
    found = await world.custody.export("ann")
    assert found["vault"] == {"phone": PHONE}
    assert [each["text"] for each in found["comments"]] == ["一", "二", "三"]
    assert [each["address"] for each in found["connections"]] == ["192.0.2.7"]
    assert found["complete"]
    with pytest.raises(Refusal, match="account_not_found"):
        await world.custody.export("nobody")


async def test_an_export_holds_what_was_not_published_and_what_was_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """duty P5(2): held and refused comments with their texts, and one's own reports; nobody else's; in however many readings."""
    monkeypatch.setattr(custody, "SOME", 1)
    world.store.append([held("h8", author="eve", text="eve held"), held("h9", author="ann", text="ann held")])
    for number, account in enumerate(("eve", "ann", "ann", None)):
        world.store.append([report(f"R{number}", account=account, text=f"of {account}")])
    found = await world.custody.export("ann")
    assert ("ann held", "held") in {(each["text"], each["state"]) for each in found["unpublished"]}
    assert "eve held" not in str(found)
    assert [(each["receipt"], each["text"]) for each in found["reports"]] == [("R1", "of ann"), ("R2", "of ann")]
    assert found["complete"]


async def test_an_export_that_is_cut_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of an export is told, not hidden."""
    monkeypatch.setattr(custody, "COMMENTS_MAX", 2)
    found = await world.custody.export("ann")
    assert [each["text"] for each in found["comments"]] == ["一", "二"]
    assert not found["complete"]


async def test_erasure_leaves_comments_that_the_person_leaves(world: World) -> None:
    """Without the wish to remove them they stay; the person's data are gone from the database and its log."""
    assert PHONE not in _bytes(world.folder)
    assert await world.custody.erase("ann", remove_comments=False, actor="ann", role="person")
    assert await world.custody.finish_withdrawals() == 0
    assert world.removed() == []
    assert standing(world.people.book, "ann").erased
    assert (world.folder / "accounts.db-wal").stat().st_size == 0


async def test_erasure_removes_comments_if_the_person_wishes(world: World) -> None:
    """Each by the author's own code, through the one path; nobody else's; once."""
    await world.custody.erase("ann", remove_comments=True, actor="ann", role="person")
    assert await world.custody.finish_withdrawals() == 3
    assert world.removed() == [("a", 1), ("b", 1), ("a", 3)]
    assert [event.code for event in world.store.read("a", 0, 10) if event.kind == "removal"] == ["U1", "U1"]
    assert await world.custody.finish_withdrawals() == 0


async def test_a_withdrawal_goes_on_after_a_crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done before it ended is not done twice, and the rest is done."""
    monkeypatch.setattr(custody, "TOGETHER", 1)
    await world.custody.erase("ann", remove_comments=True, actor="ann", role="person")
    world.fail_after = 2
    with pytest.raises(Refusal):
        await world.custody.finish_withdrawals()
    assert world.removed() == [("a", 1), ("b", 1)]
    world.fail_after = -1
    assert await world.custody.finish_withdrawals() == 1
    assert world.removed() == [("a", 1), ("b", 1), ("a", 3)]


async def test_a_hold_defers_deletion(world: World) -> None:
    """The account is closed at once, and swept by the purge after the hold."""
    book = world.people.book
    hold = await book.write(lambda tx: holds.place(tx, "ann", "inquiry", "17", actor="staff:x", role="compliance"))
    assert not await world.custody.erase("ann", remove_comments=False, actor="ann", role="person")
    assert not any((await world.custody.purge()).values())
    await book.write(lambda tx: holds.release(tx, hold, actor="staff:x", role="compliance"))
    assert (await world.custody.purge())["erased"] == 1
    assert (await world.custody.export("ann"))["vault"] == {}


async def test_the_purge_follows_the_terms_in_both_databases(world: World) -> None:
    """Nothing goes early; after its term it goes; a hold on everything keeps everything."""
    world.store.append([connection("c9", opened_ms=world.clock.now_ms, closed_ms=world.clock.now_ms + 1)])
    assert (await world.custody.purge())["records"] == 2  # the old connection, the old held comment
    assert (await world.custody.purge())["records"] == 0
    book = world.people.book
    hold = await book.write(lambda tx: holds.place(tx, "*", "inspection", "18", actor="staff:x", role="compliance"))
    world.clock.forward(days=191)
    assert (await world.custody.purge())["records"] == 0
    await book.write(lambda tx: holds.release(tx, hold, actor="staff:x", role="compliance"))
    assert (await world.custody.purge())["records"] == 1


async def test_the_purge_takes_the_desks_book_along(world: World) -> None:
    """What is deleted there is told with the rest."""

    async def purge_desk() -> dict[str, int]:
        return {"items": 3}

    world.custody._purge_desk = purge_desk
    assert (await world.custody.purge())["items"] == 3


async def test_the_task_removes_and_purges_and_outlives_a_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is woken by an erasure; a store that fails is asked again later."""
    monkeypatch.setattr(custody, "FIRST_PURGE_S", 0.02)
    monkeypatch.setattr(custody, "PAUSE_S", 0.01)
    world.store.stand("read", Fault.FAIL)
    await world.custody.erase("ann", remove_comments=True, actor="ann", role="person")
    task = asyncio.create_task(world.custody.run())
    while not world.store.injected[Fault.FAIL]:  # noqa: ASYNC110 - the store knows no loop
        await asyncio.sleep(0.005)
    world.store.heal()
    async with asyncio.timeout(PATIENCE_S):
        while len(world.removed()) < 3 or world.store.connections_of("ann", 9):  # noqa: ASYNC110 - nor here
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_task_outlives_a_fault_of_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item of the vault that was changed, say, ends neither the purging nor the removing of comments."""
    monkeypatch.setattr(custody, "FIRST_PURGE_S", 0.02)
    monkeypatch.setattr(custody, "PAUSE_S", 0.01)
    sound, broken = privacy.open_withdrawals, [True]

    def look(connection: Any) -> list[tuple[str, int]]:
        if broken:
            broken.clear()
            raise VaultError("an item of the vault was changed")
        return sound(connection)

    monkeypatch.setattr(privacy, "open_withdrawals", look)
    await world.custody.erase("ann", remove_comments=True, actor="ann", role="person")
    task = asyncio.create_task(world.custody.run())
    async with asyncio.timeout(PATIENCE_S):
        while len(world.removed()) < 3:
            assert not task.done()
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_book_that_fails_is_a_temporary_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person is told to try again."""

    async def fail(work: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.people.book, "read", fail)
    monkeypatch.setattr(world.people.book, "write", fail)
    with pytest.raises(Refusal, match="storage_unavailable"):
        await world.custody.export("ann")
    with pytest.raises(Refusal, match="storage_unavailable"):
        await world.custody.erase("ann", remove_comments=False, actor="ann", role="person")


async def test_withdrawals_of_comments_are_asked_for_once(world: World) -> None:
    """Asking twice starts nothing anew."""
    book = world.people.book
    await book.write(lambda tx: privacy.withdraw_comments(tx, "ann"))
    await book.write(lambda tx: privacy.withdrawn_up_to(tx, "ann", 7))
    await book.write(lambda tx: privacy.withdraw_comments(tx, "ann"))
    assert await book.read(privacy.open_withdrawals) == [("ann", 7)]


def _bytes(folder: Path) -> str:
    """Everything in the accounts database, its log included, as text."""
    with sqlite3.connect(folder / "accounts.db") as database:
        database.execute("SELECT 1")
    database.close()
    return "".join(path.read_bytes().decode("latin-1") for path in folder.glob("accounts.db*"))


async def test_duty_p7_comments_withdrawn_with_an_account_stay_as_marked_tombstones(world: World) -> None:
    """duty P7: an erasure takes nothing away in silence: each removal has the author's own code, a basis and the role."""
    await world.custody.erase("ann", remove_comments=True, actor="ann", role="person")
    await world.custody.finish_withdrawals()
    events = world.store.read("a", 0, 10)
    removals = [event for event in events if event.kind == "removal"]
    assert [(event.target, event.code, event.role) for event in removals] == [(1, "U1", "author"), (3, "U1", "author")]
    assert all(event.basis for event in removals)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
