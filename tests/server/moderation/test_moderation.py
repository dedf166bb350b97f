"""server/moderation/moderation.py: the desk over a site."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.accounts import appeals
from server.accounts.events import Counted
from server.errors import Refusal, StoreUnavailable
from server.moderation import deciding, intake, queue
from server.moderation.moderation import Moderation
from server.store.base import NoticeDraft, ReportDraft, RoomMode
from tests.support import review
from tests.support.drafts import held
from tests.support.review import ANN, BEN, BOSS
from tests.support.services import FakeServices
from tests.support.waiting import eventually


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("a")
    found.say("a", "one")
    found.say("a", "two")
    found.moderation.start()
    yield found
    await found.end()


async def refused(work: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value.code.name


async def quiet(desk: Moderation) -> None:
    """Until nothing is under way."""
    await eventually(lambda: desk.effects._task is desk.aftermath._task is desk.intake._task is None)


async def test_a_comment_goes_from_held_to_flying(site: FakeServices) -> None:
    """Recorded, queued, claimed, published: in the log at its own position, and its author is told."""
    desk = site.moderation
    site.append(held("k1", pos_ms=777))
    desk.recorded()
    await desk.intake.caught_up()
    [item] = await desk.write(lambda tx: queue.claim_next(tx, "held", "staff:ann"))
    made = await desk.write(lambda tx: deciding.decide_item(tx, item.id, item.version, "publish", "K1", "fine", **ANN))
    done = await desk.effects.settled(made.id)
    assert site.events("a")[-1] == done.event
    assert (done.event.seq, done.event.text, done.event.pos_ms, done.event.author_name) == (3, "加V", 777, "安")
    await quiet(desk)
    assert (await site.people.standing("ann")).last


async def test_an_approved_comment_waits_from_the_moment_its_room_is_being_closed(site: FakeServices) -> None:
    """The notice is on its way and not in the log yet: the comment stays behind until the room opens."""
    desk = site.moderation
    site.append(held("k1"))
    desk.recorded()
    await desk.intake.caught_up()
    [item] = await desk.write(lambda tx: queue.claim_next(tx, "held", "staff:ann"))
    desk._taken = lambda name: "closed"
    made = await desk.write(lambda tx: deciding.decide_item(tx, item.id, item.version, "publish", "K1", "fine", **ANN))
    assert await refused(desk.effects.settled(made.id)) == "room_closed"
    desk._taken = lambda name: "open"
    desk.mode_changed()
    assert (await desk.effects.settled(made.id)).event.seq == 3


async def test_an_appeal_brings_a_comment_back(site: FakeServices) -> None:
    """From the removal to the appeal to the restoration in the log, across both books, without another hand."""
    desk, people = site.moderation, site.people
    _, removal = await desk.remove("a", 1, "S1", "ads", **ANN)
    await people.book.write(lambda tx: tx.open("author"))
    from server.accounts import followed  # what consequences do with a real log

    await people.book.write(lambda tx: followed.count(tx, "a", removal.event, "author", "staff:ann"))
    measure = await people.book.read(lambda c: c.exec_driver_sql("SELECT id FROM measures").scalar())
    appeal = await people.book.write(lambda tx: appeals.file(tx, "author", str(measure), "no ads"))
    await people.book.write(lambda tx: appeals.decide(tx, appeal, True, "R2", "no ads", **BOSS))
    await eventually(lambda: site.events("a")[0].text == "one")
    assert (site.events("a")[0].text, site.events("a")[-1].kind, site.events("a")[-1].code) == ("one", "restoration", "R2")


async def test_nothing_is_decided_that_cannot_be(site: FakeServices) -> None:
    """A comment that is not there, or is so already; a decision without effect does not fill the log. The same request is
    answered."""
    desk = site.moderation
    assert await refused(desk.remove("nowhere", 1, "S1", "x", **ANN)) == "room_not_found"
    assert await refused(desk.remove("a", 9, "S1", "x", **ANN)) == "comment_not_found"
    assert await refused(desk.restore("a", 1, "R1", "x", **ANN)) == "not_removed"
    assert await refused(desk.remove("a", 1, "R1", "x", **ANN)) == "bad_code"
    assert review.decisions(desk.book) == []
    decision, done = await desk.remove("a", 1, "S1", "x", request="k", **ANN)
    assert (decision.account, done.event.role, done.fresh) == ("author", "reviewer", True)
    assert await refused(desk.remove("a", 1, "S1", "x", **ANN)) == "already_removed"
    assert await refused(desk.remove("a", 1, "S1", "x", request="k", **BEN)) == "already_removed"
    assert await refused(desk.remove("a", 3, "S1", "x", **ANN)) == "comment_not_found"
    again, first = await desk.remove("a", 1, "S1", "x", request="k", **ANN)
    assert (again.id, first.event.seq, first.fresh) == (decision.id, done.event.seq, False)
    back, _ = await desk.restore("a", 1, "R1", "x", **BOSS)
    assert back.reverses == decision.id
    assert len(review.decisions(desk.book)) == 2


async def test_an_announcement_is_a_decision(site: FakeServices) -> None:
    """With a code, in the log of decisions and in that of the room."""
    draft = NoticeDraft(room="a", author="", key="", at_ms=0, notice="announcement", text="hello")
    decision, done = await site.moderation.announce(draft, "E4", "planned", **BOSS)
    assert (decision.what, decision.code, done.event.text, done.event.seq) == ("announce", "E4", "hello", 3)


async def test_a_recall_reaches_the_queue(site: FakeServices) -> None:
    """What was reported and then taken back by its author waits no more."""
    desk = site.moderation
    site.append(ReportDraft(receipt="R1", room="a", seq=1, at_ms=5, reason="S1", text="", address="x", port=1, account="a-9"))
    await desk.intake.caught_up()
    event = msgspec.structs.replace(site.events("a")[0], kind="removal", target=1, role="author", seq=3)
    desk.decided("a", event)
    await desk.intake.caught_up()
    assert review.receipts(desk.book)["R1"]["outcome"] == "upheld"
    assert await desk.look(lambda c: intake.place(c, intake.REPORTS)) == 1


async def test_a_reporters_accuracy_weighs(site: FakeServices) -> None:
    """Of a signed-in reporter, as the ledger has it."""
    await site.people.book.write(lambda tx: tx.open("a-9"))
    for number in range(3):
        entry = Counted(what="report.upheld", ref=f"r{number}")
        await site.people.book.write(lambda tx: tx.append("a-9", entry, actor="x", role="reviewer"))  # noqa: B023
    site.append(ReportDraft(receipt="R1", room="a", seq=1, at_ms=5, reason="S1", text="", address="x", port=1, account="a-9"))
    await site.moderation.intake.caught_up()
    assert review.at(site.moderation.book, 1).weight == 0.8


@pytest.mark.parametrize(("mode", "flies"), [("closed", False), ("read_only", True)])
async def test_a_closed_room_gets_no_approved_comment_until_it_opens(site: FakeServices, mode: RoomMode, flies: bool) -> None:
    """In one that is closed it waits for its opening; one that takes no new comments still gets those that were sent before."""
    desk, room = site.moderation, site._rooms["a"]
    room.info = msgspec.structs.replace(room.info, mode=mode)
    site.append(held("k1"))
    await desk.intake.caught_up()
    made = await desk.write(lambda tx: deciding.decide_item(tx, 1, 0, "publish", "K1", "fine", **ANN))
    await quiet(desk)
    assert (len(site.events("a")) == 3) is flies
    room.info = msgspec.structs.replace(room.info, mode="open")
    desk.mode_changed()
    await quiet(desk)
    assert (await desk.effects.settled(made.id)).event.seq == 3


async def test_a_fault_of_the_book_is_a_refusal(site: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes and commands are told to try again; nothing of the work's own refusals changes."""
    desk = site.moderation

    async def failing(work: Any) -> Any:
        raise StoreUnavailable("disk full")

    assert desk.trouble == ""
    with monkeypatch.context() as patch:
        patch.setattr(desk.book, "write", failing)
        patch.setattr(desk.book, "read", failing)
        assert await refused(desk.write(lambda tx: None)) == "storage_unavailable"
        assert await refused(desk.look(lambda c: None)) == "storage_unavailable"
    assert await refused(desk.look(lambda c: queue.get(c, 9))) == "item_not_found"


async def test_its_loops_end_with_it(site: FakeServices) -> None:
    """They run until cancelled."""
    running = asyncio.ensure_future(site.moderation.run())
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
