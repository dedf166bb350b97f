"""server/moderation/outbox_runner.py"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
import structlog

from server.accounts.vault import Vault
from server.errors import Refusal, StoreUnavailable
from server.moderation import cases, outbox
from server.moderation.book import ReviewBook
from server.moderation.couriers import Webhook
from server.moderation.outbox import Evidence
from server.moderation.outbox_runner import Outbox
from server.settings import Settings
from server.store.found import Hit
from tests.support import review
from tests.support.accounts import HOUR_MS, Clock
from tests.support.authority import CARL, PAPER, WEB, Office, file, ssh_office
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with review.book(tmp_path, clock) as found:
        yield found


def runner(book: ReviewBook, clock: Clock, tmp_path: Path, office: Office | None = None) -> Outbox:
    vault = Vault.open(Settings(data_dir=tmp_path))
    couriers = None if office is None else {"cac": Webhook(WEB, clock, office.transport)}
    return Outbox(book, vault, {"cac": WEB, "paper": PAPER}, "https://video.example", clock, said, couriers)


async def said(room: str, seq: int) -> Hit | None:
    """A log that holds one comment, which was removed."""
    if (room, seq) != ("a", 300):
        return None
    return Hit(
        room=room, seq=seq, at_ms=7, author="ann", author_id="p-ann", author_name="安", text="join the cult", state="removed",
        code="L5",
    )  # fmt: skip


def state(book: ReviewBook, finding: str) -> tuple[str, str]:
    found = book.read_now(lambda c: outbox.need(c, finding))
    return found.state, found.reference


async def test_what_is_filed_is_sent_and_acknowledged(book: ReviewBook, clock: Clock, tmp_path: Path) -> None:
    """With the words of comments, also of removed ones, and personal data where there are any: the authority reads them, the book
    does not."""
    office = Office()
    box = runner(book, clock, tmp_path, office)
    name = outbox.new_name()
    file(book, name=name, sealed=box.seal(name, {"phone": "+8613800000000"}))
    assert b"+8613800000000" not in (tmp_path / "review.db").read_bytes()
    await box.look()
    ((finding, document),) = office.received
    body = orjson.loads(document)
    assert (finding, body["id"], body["personal"]) == (name, name, {"phone": "+8613800000000"})
    assert state(book, name) == ("acknowledged", "R-1")
    (comment,) = body["comments"]
    assert (comment["text"], comment["account"], comment["at_ms"], comment["code"]) == ("join the cult", "ann", 7, "L5")
    assert (box.waiting, box.overdue) == (0, 0)
    await box.look()
    assert len(office.received) == 1
    await box.aclose()


async def test_evidence_is_there_or_it_is_none(book: ReviewBook, clock: Clock, tmp_path: Path) -> None:
    """A comment that is none is refused before anything is filed; while the log cannot be read a finding waits, and says why."""
    office = Office()
    box = runner(book, clock, tmp_path, office)
    await box.check(Evidence(comments=("a#300",)))
    with pytest.raises(Refusal, match="a#301"):
        await box.check(Evidence(comments=("a#300", "a#301")))
    name = file(book)

    async def unreadable(room: str, seq: int) -> Hit | None:
        raise Refusal("storage_unavailable")

    box._said = unreadable
    await box.look()
    assert office.received == []
    assert "evidence cannot be read" in book.read_now(lambda c: outbox.need(c, name)).trouble
    box._said = said
    clock.forward(ms=outbox.FIRST_WAIT_MS)
    await box.look()
    assert state(book, name) == ("acknowledged", "R-1")
    await box.aclose()


async def test_one_finding_that_cannot_be_read_does_not_stop_the_others(book: ReviewBook, clock: Clock, tmp_path: Path) -> None:
    """Its trouble is told, the others are delivered, and what is late is alarmed."""
    office = Office()
    box = runner(book, clock, tmp_path, office)
    bad = file(book, sealed=b"changed")
    good = file(book)
    await box.look()
    assert state(book, good) == ("acknowledged", "R-1")
    assert "personal data cannot be read" in book.read_now(lambda c: outbox.need(c, bad)).trouble
    clock.forward(hours=100)

    async def broken(finding: str) -> object:
        raise RuntimeError("a bug")

    box.document = broken  # type: ignore[assignment, method-assign]
    with structlog.testing.capture_logs() as logs:
        await box.look()
    assert {"a finding could not be looked after", "a finding was not acknowledged in time"} <= {each["event"] for each in logs}
    assert box.overdue == 1
    await box.aclose()


async def test_what_fails_is_tried_again_under_the_same_id(book: ReviewBook, clock: Clock, tmp_path: Path) -> None:
    """Until the authority takes it; one whose authority the settings name no more waits for somebody."""
    office = Office(httpx.Response(503), httpx.Response(200, json={"acknowledged": "R-2"}))
    box = runner(book, clock, tmp_path, office)
    name, lost = file(book), file(book, authority="gone")
    await box.look()
    assert state(book, name) == ("open", "")
    clock.forward(hours=1)
    await box.look()
    assert state(book, name) == ("acknowledged", "R-2")
    assert [found for found, _ in office.received] == [name, name]
    assert "no way to this authority" in book.read_now(lambda c: outbox.need(c, lost)).trouble
    await box.aclose()


async def test_duty_p5_5_an_unacknowledged_report_raises_the_alarm(book: ReviewBook, clock: Clock, tmp_path: Path) -> None:
    """A line of the log, once, and figures that stay until somebody acts; a case that is late does the same."""
    box = runner(book, clock, tmp_path, Office(httpx.Response(503)))
    name = file(book)
    book.write_now(lambda tx: cases.begin(tx, "incident", "own", "t", "f", tx.now_ms + HOUR_MS, **CARL))
    await box.look()
    assert (box.waiting, box.overdue, box.cases_overdue) == (1, 0, 0)
    clock.forward(hours=1)
    with structlog.testing.capture_logs() as logs:
        await box.look()
        await box.look()
    said = [line["event"] for line in logs if line["log_level"] == "error"]
    assert said == ["a finding was not acknowledged in time", "a case was not closed in time"]
    assert (box.waiting, box.overdue, box.cases_overdue) == (1, 1, 1)
    book.write_now(lambda tx: outbox.acknowledge(tx, name, "by telephone", **CARL))
    await box.look()
    assert (box.waiting, box.overdue) == (0, 0)
    await box.aclose()


async def test_a_finding_goes_over_ssh_and_its_acknowledgement_is_fetched(
    book: ReviewBook, clock: Clock, tmp_path: Path
) -> None:
    """From the folder, a minute later."""
    async with ssh_office(tmp_path) as authority:
        vault = Vault.open(Settings(data_dir=tmp_path))
        box = Outbox(book, vault, {"cac": authority}, "https://video.example", clock, said)
        name = file(book, authority)
        await box.look()
        assert state(book, name) == ("sent", "")
        sent = tmp_path / "files" / "inbox" / f"{name}.json"
        assert orjson.loads(sent.read_bytes())["id"] == name
        clock.forward(ms=outbox.POLL_MS)
        await box.look()
        assert state(book, name) == ("sent", "")
        sent.with_suffix(".ack").write_text("R-3")
        clock.forward(ms=outbox.POLL_MS)
        await box.look()
        assert state(book, name) == ("acknowledged", "R-3")
    await box.aclose()


async def test_an_authority_that_cannot_be_asked_is_asked_again(book: ReviewBook, clock: Clock, tmp_path: Path) -> None:
    """The finding stays sent; the trouble is said."""
    async with ssh_office(tmp_path) as authority:
        box = Outbox(book, Vault.open(Settings(data_dir=tmp_path)), {"cac": authority}, "", clock, said)
        name = file(book, authority)
        await box.look()
    clock.forward(ms=outbox.POLL_MS)
    await box.look()
    found = book.read_now(lambda c: outbox.need(c, name))
    assert (found.state, found.trouble != "") == ("sent", True)


async def test_it_runs_until_it_is_cancelled(
    book: ReviewBook, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is filed wakes it; a fault of the book, or of its own, does not end it."""
    office = Office()
    box = runner(book, clock, tmp_path, office)
    looked = asyncio.Event()
    faults = [StoreUnavailable("the disk is gone"), RuntimeError("a mistake")]
    look = box.look

    async def faulty() -> None:
        if faults:
            raise faults.pop()
        await look()
        looked.set()

    monkeypatch.setattr(box, "look", faulty)
    monkeypatch.setattr("server.moderation.outbox_runner.LOOK_S", 0.001)
    file(book)
    task = asyncio.create_task(box.run())
    box.wake()
    await asyncio.wait_for(looked.wait(), PATIENCE_S)
    assert len(office.received) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await box.aclose()
