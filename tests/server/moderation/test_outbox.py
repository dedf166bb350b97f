"""server/moderation/outbox.py"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.errors import Refusal
from server.moderation import outbox
from server.moderation.book import ReviewBook
from server.moderation.outbox import ATTEMPTS_MAX, LONGEST_WAIT_MS, POLL_MS, Evidence, Finding
from tests.support import review
from tests.support.accounts import HOUR_MS, Clock
from tests.support.authority import CARL, PAPER, file


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with review.book(tmp_path, clock) as found:
        yield found


def at(book: ReviewBook, finding: str) -> Finding:
    return book.read_now(lambda c: outbox.need(c, finding))


def due(book: ReviewBook, clock: Clock) -> list[str]:
    return [found.id for found in book.read_now(lambda c: outbox.due(c, clock.now_ms))]


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value.code.name


def test_a_finding_names_its_evidence_and_is_due_at_once(book: ReviewBook, clock: Clock) -> None:
    """The authority gets the decisions written out, the comments with their pages, the accounts by their ids."""
    name = file(book)
    assert due(book, clock) == [name]
    body = book.read_now(lambda c: outbox.document(c, at(book, name), "https://video.example", {"phone": "+86"}))
    assert (body["code"], body["code_zh"], body["accounts"]) == ("L5", "宣扬邪教和封建迷信", ["ann"])
    assert body["comments"] == [{"comment": "a#300", "page": "https://video.example/rooms/a/comments/1.html#c300"}]
    assert body["decisions"][0]["basis"] == "a cult"
    assert body["personal"] == {"phone": "+86"}
    filed = review.decisions(book)[-1]
    assert (filed.what, filed.code, filed.basis, filed.detail["finding"]) == ("record", "E2", "第十五条", name)


def test_a_finding_without_evidence_code_or_basis_is_not_filed(book: ReviewBook) -> None:
    """Nor one whose evidence is not there, or not in its form."""
    for changes in (
        {"evidence": Evidence()}, {"evidence": Evidence(decisions=(99,))}, {"evidence": Evidence(comments=("a#0",))},
        {"evidence": Evidence(accounts=("",))}, {"evidence": Evidence(accounts=("a",) * 201)}, {"title": " "},
        {"title": "x" * 121}, {"summary": ""}, {"summary": "x" * 2001},
    ):  # fmt: skip
        assert refusal(lambda: file(book, **changes)) == "bad_message", changes  # noqa: B023
    for code, basis in (("K1", "b"), ("U1", "b"), ("X", "b"), ("L5", "")):
        assert refusal(lambda: file(book, code=code, basis=basis)) == "bad_code", code  # noqa: B023
    assert refusal(lambda: at(book, "f-none")) == "not_found"


def test_a_failed_attempt_is_made_again_later_and_later_and_not_for_ever(book: ReviewBook, clock: Clock) -> None:
    """Twice as long each time, up to an hour; then by hand."""
    name = file(book)
    waits = []
    for _ in range(ATTEMPTS_MAX):
        assert due(book, clock) == [name]
        book.write_now(lambda tx: outbox.failed(tx, name, "webhook", "status 503"))
        waits.append(max(0, at(book, name).next_ms - clock.now_ms))
        clock.forward(ms=waits[-1])
    assert waits[:3] == [30_000, 60_000, 120_000]
    assert max(waits) == LONGEST_WAIT_MS
    assert waits[-1] == 0
    assert due(book, clock) == []
    assert (at(book, name).trouble, at(book, name).state) == ("status 503", "open")
    assert len(book.read_now(lambda c: outbox.deliveries_of(c, name))) == ATTEMPTS_MAX
    book.write_now(lambda tx: outbox.send_again(tx, name, **CARL))
    assert due(book, clock) == [name]


def test_an_answer_a_file_or_a_hand_acknowledges(book: ReviewBook, clock: Clock) -> None:
    """Each with the authority's own reference; personal data are gone from then on."""
    answered, filed, handed = (file(book, sealed=b"secret") for _ in range(3))
    book.write_now(lambda tx: outbox.delivered(tx, answered, "webhook", "d1", reference="R-1"))
    book.write_now(lambda tx: outbox.delivered(tx, filed, "sftp", "d2"))
    assert (at(book, filed).state, at(book, filed).next_ms, at(book, filed).sealed) == (
        "sent",
        clock.now_ms + POLL_MS,
        b"secret",
    )
    clock.forward(ms=POLL_MS)
    assert set(due(book, clock)) == {handed, filed}
    book.write_now(lambda tx: outbox.asked_after(tx, filed, None, "no answer"))
    assert (at(book, filed).next_ms, at(book, filed).trouble) == (clock.now_ms + POLL_MS, "no answer")
    book.write_now(lambda tx: outbox.asked_after(tx, filed, "R-2"))
    book.write_now(lambda tx: outbox.delivered(tx, handed, "webhook", "d3"))
    assert refusal(lambda: book.write_now(lambda tx: outbox.acknowledge(tx, handed, " ", **CARL))) == "bad_message"
    book.write_now(lambda tx: outbox.acknowledge(tx, handed, "受理 7 号", **CARL))
    found = [at(book, name) for name in (answered, filed, handed)]
    assert [(each.state, each.how, each.reference) for each in found] == [
        ("acknowledged", "answer", "R-1"), ("acknowledged", "file", "R-2"), ("acknowledged", "hand", "受理 7 号"),
    ]  # fmt: skip
    assert [(each.sealed, each.next_ms, each.ended_by) for each in found] == [
        (b"", 0, "authority:cac"), (b"", 0, "authority:cac"), (b"", 0, "staff:carl"),
    ]  # fmt: skip
    assert refusal(lambda: book.write_now(lambda tx: outbox.acknowledge(tx, handed, "again", **CARL))) == "bad_step"
    for name in (answered, filed):  # what comes too late changes nothing
        book.write_now(lambda tx: outbox.failed(tx, name, "webhook", "late"))  # noqa: B023
        book.write_now(lambda tx: outbox.delivered(tx, name, "webhook", "late"))  # noqa: B023
        book.write_now(lambda tx: outbox.asked_after(tx, name, "R-9"))  # noqa: B023
    assert [at(book, name) for name in (answered, filed)] == found[:2]
    assert {each.id for each in book.read_now(lambda c: outbox.listed(c, ended=True))} == {answered, filed, handed}
    assert book.read_now(lambda c: outbox.listed(c, ended=False)) == []


def test_duty_p5_5_an_unacknowledged_report_alarms_once(book: ReviewBook, clock: Clock) -> None:
    """Sent or not: when its time is over and nobody has acknowledged it; one that was, or was withdrawn, does not."""
    late, fine, taken_back = file(book), file(book), file(book)
    book.write_now(lambda tx: outbox.delivered(tx, late, "webhook", "d"))
    book.write_now(lambda tx: outbox.acknowledge(tx, fine, "R", **CARL))
    book.write_now(lambda tx: outbox.withdraw(tx, taken_back, "filed by mistake", **CARL))
    clock.forward(ms=HOUR_MS - 1)
    assert book.write_now(outbox.alarm) == []
    assert book.read_now(lambda c: outbox.counts(c, clock.now_ms)) == (1, 0)
    clock.forward(ms=1)
    assert [found.id for found in book.write_now(outbox.alarm)] == [late]
    assert book.write_now(outbox.alarm) == []
    assert book.read_now(lambda c: outbox.counts(c, clock.now_ms)) == (1, 1)
    assert at(book, late).overdue(clock.now_ms)
    assert at(book, taken_back).state == "withdrawn"


def test_what_is_printed_is_a_delivery(book: ReviewBook, clock: Clock) -> None:
    """By whom, with the digest of what was printed; it waits for an acknowledgement by hand."""
    name = file(book, PAPER)
    assert due(book, clock) == []
    found = book.write_now(lambda tx: outbox.printed(tx, name, "digest", **CARL))
    assert (found.state, found.sent_ms) == ("sent", clock.now_ms)
    (delivery,) = book.read_now(lambda c: outbox.deliveries_of(c, name))
    assert (delivery.way, delivery.done, delivery.detail, delivery.digest) == ("print", True, "staff:carl", "digest")
    book.write_now(lambda tx: outbox.printed(tx, name, "digest", **CARL))
    assert len(book.read_now(lambda c: outbox.deliveries_of(c, name))) == 2
