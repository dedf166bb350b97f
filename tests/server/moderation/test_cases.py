"""server/moderation/cases.py"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError

from server.errors import Refusal
from server.moderation import cases, tables
from server.moderation.book import ReviewBook
from tests.support import review
from tests.support.accounts import DAY_MS, START_MS, Clock
from tests.support.authority import CARL

PAPER = "a" * 64


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with review.book(tmp_path, clock) as found:
        yield found


def begin(book: ReviewBook, **changes: Any) -> str:
    given: dict[str, Any] = {
        "kind": "rectification", "source": "authority", "title": "整改", "facts": "Reports took too long.",
        "due_ms": START_MS + DAY_MS, "reference": "网信改〔2026〕3号", **CARL, **changes,
    }  # fmt: skip
    return book.write_now(lambda tx: cases.begin(tx, **given))


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value.code.name


def test_duty_p11_a_case_closes_with_evidence_only(book: ReviewBook) -> None:
    """A decision of the desk, or a file by its digest; words are none. Opened again, it takes evidence anew."""
    name = begin(book)
    book.write_now(lambda tx: cases.note(tx, name, "Two more seats.", **CARL))

    def close() -> Any:
        return book.write_now(lambda tx: cases.close(tx, name, "done", **CARL))

    assert refusal(close) == "evidence_required"
    book.write_now(lambda tx: cases.give_evidence(tx, name, "the new roster", sha256=PAPER, **CARL))
    assert close().closed_by == "staff:carl"
    assert refusal(close) == "bad_step"
    assert refusal(lambda: book.write_now(lambda tx: cases.note(tx, name, "late", **CARL))) == "bad_step"
    book.write_now(lambda tx: cases.reopen(tx, name, tx.now_ms + DAY_MS, "it was not over", **CARL))
    assert refusal(close) == "evidence_required"
    decision = review.decisions(book)[0].id
    book.write_now(lambda tx: cases.give_evidence(tx, name, "what was decided", decision=decision, **CARL))
    close()
    steps = book.read_now(lambda c: cases.steps_of(c, name))
    assert [step.kind for step in steps] == ["note", "evidence", "closed", "reopened", "evidence", "closed"]
    assert [decision.detail["act"] for decision in review.decisions(book)] == ["case.open", "case.close", "case.close"]
    assert review.decisions(book)[0].code == "E2"
    assert [case.id for case in book.read_now(lambda c: cases.listed(c, closed=True))] == [name]


def test_duty_p12_penalties_are_recorded_and_steps_stay(book: ReviewBook) -> None:
    """With the paper that imposed them; no step can be changed or taken out."""
    name = begin(book, kind="penalty")
    book.write_now(lambda tx: cases.penalise(tx, name, "警告并罚款一万元", sha256=PAPER, **CARL))
    book.write_now(lambda tx: cases.penalise(tx, name, "约谈", **CARL))
    steps = book.read_now(lambda c: cases.steps_of(c, name))
    assert [(step.kind, step.words, step.sha256) for step in steps] == [
        ("penalty", "警告并罚款一万元", PAPER),
        ("penalty", "约谈", ""),
    ]
    for change in (tables.case_steps.delete(), tables.case_steps.update().values(words="x")):
        with pytest.raises(DatabaseError, match="append-only"):
            book.write_now(lambda tx: tx.sql.execute(change))  # noqa: B023


def test_duty_p5_6_an_incident_that_is_late_alarms_once(book: ReviewBook, clock: Clock) -> None:
    """At its deadline; with another deadline it alarms anew."""
    name = begin(book, kind="incident", source="own", reference="")
    clock.forward(ms=DAY_MS - 1)
    assert book.write_now(cases.alarm) == []
    clock.forward(ms=1)
    assert [case.id for case in book.write_now(cases.alarm)] == [name]
    assert book.write_now(cases.alarm) == []
    assert book.read_now(lambda c: cases.counts(c, clock.now_ms)) == (1, 1)
    book.write_now(lambda tx: cases.extend(tx, name, tx.now_ms + DAY_MS, "agreed with the authority", **CARL))
    assert book.read_now(lambda c: cases.counts(c, clock.now_ms)) == (1, 0)
    clock.forward(days=1)
    (late,) = book.write_now(cases.alarm)
    assert late.late(clock.now_ms)
    assert [case.id for case in book.read_now(lambda c: cases.listed(c, closed=False))] == [name]


def test_what_is_entered_is_checked(book: ReviewBook) -> None:
    """Kind, source, title, the number of an order or complaint, a deadline to come; evidence that is there."""
    for changes in (
        {"kind": "x"}, {"source": "x"}, {"title": ""}, {"title": "x" * 121}, {"facts": " "}, {"facts": "x" * 2001},
        {"reference": ""}, {"source": "complaint", "reference": ""}, {"reference": "x" * 121}, {"due_ms": START_MS},
        {"due_ms": START_MS + cases.LONGEST_MS + 1},
    ):  # fmt: skip
        assert refusal(lambda: begin(book, **changes)) == "bad_message", changes  # noqa: B023
    name = begin(book)
    for given in ({}, {"decision": 1, "sha256": PAPER}, {"decision": 99}, {"sha256": "A" * 64}, {"sha256": "short"}):
        assert refusal(lambda: book.write_now(lambda tx: cases.give_evidence(tx, name, "w", **given, **CARL))) == "bad_message"  # noqa: B023
    assert refusal(lambda: book.write_now(lambda tx: cases.penalise(tx, name, "w", sha256="x", **CARL))) == "bad_message"
    assert refusal(lambda: book.write_now(lambda tx: cases.note(tx, "k-none", "w", **CARL))) == "not_found"
    assert refusal(lambda: book.write_now(lambda tx: cases.reopen(tx, name, START_MS + 9, "w", **CARL))) == "bad_step"
