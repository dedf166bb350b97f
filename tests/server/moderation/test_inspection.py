"""server/moderation/inspection.py"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.errors import Refusal
from server.moderation import inspection
from server.moderation.book import ReviewBook, Transaction
from server.moderation.inspection import DAY_MS, DECIDE_MS, LONGEST_MS, Scope
from tests.support.accounts import START_MS, Clock
from tests.support.inspected import APPROVED, ASKED, INSPECTOR, span
from tests.support.review import book


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def review(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with book(tmp_path, clock) as found:
        yield found


def ask(review: ReviewBook, scope: Scope | None = None, **changes: Any) -> str:
    given: dict[str, Any] = {
        "case_number": "C-1", "reason": "order 7", "inspectors": ("ida",), "expires_ms": START_MS + DAY_MS, **ASKED, **changes,
    }  # fmt: skip
    return review.write_now(lambda tx: inspection.ask(tx, scope=scope or span(rooms=("a",)), **given))


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value.code.name


def state(review: ReviewBook, name: str, clock: Clock) -> str:
    return review.read_now(lambda c: inspection.need(c, name)).state(clock.now_ms)


def test_an_inspection_takes_two_people_and_a_case_number(review: ReviewBook, clock: Clock) -> None:
    """Who asked does not approve, nor does who will look; until somebody else has, nothing is shown."""
    name = ask(review)
    assert state(review, name, clock) == "asked"
    assert review.read_now(lambda c: inspection.waiting(c, clock.now_ms)) == 1
    assert refusal(lambda: review.write_now(lambda tx: inspection.look(tx, name, "events", **INSPECTOR))) == "forbidden"

    def approve(**by: str) -> Any:
        return review.write_now(lambda tx: inspection.decide(tx, name, True, "in order", **by))

    assert refusal(lambda: approve(**ASKED)) == "second_person_required"
    assert refusal(lambda: approve(actor="staff:ida", role="operator")) == "forbidden"
    assert refusal(lambda: review.write_now(lambda tx: inspection.decide(tx, name, True, " ", **APPROVED))) == "bad_code"
    assert approve(**APPROVED).decided_by == "staff:olga"
    assert refusal(lambda: approve(**APPROVED)) == "bad_step"
    assert state(review, name, clock) == "active"
    assert review.read_now(lambda c: inspection.waiting(c, clock.now_ms)) == 0
    assert [found.id for found in review.read_now(inspection.listed)] == [name]


def test_every_view_stands_in_the_record_with_the_case_number(review: ReviewBook, clock: Clock) -> None:
    """By who was named, and by who answers for it; others see nothing and leave nothing."""
    name = ask(review)
    review.write_now(lambda tx: inspection.decide(tx, name, True, "in order", **APPROVED))
    review.write_now(lambda tx: inspection.look(tx, name, "events", "from 1", **INSPECTOR))
    review.write_now(lambda tx: inspection.look(tx, name, "reports", **ASKED))
    stranger = {"actor": "staff:ivo", "role": "inspector"}
    assert refusal(lambda: review.write_now(lambda tx: inspection.look(tx, name, "events", **stranger))) == "forbidden"
    seen = review.read_now(lambda c: inspection.views_of(c, "C-1"))
    assert [(view.actor, view.action, view.subject, view.detail) for view in seen] == [
        ("staff:carl", "inspection.reports", name, ""),
        ("staff:ida", "inspection.events", name, "from 1"),
    ]


def test_an_inspection_ends(review: ReviewBook, clock: Clock) -> None:
    """At its term, when it is revoked, and when nobody decides it; each shows nothing from then on."""
    expiring, revoked, void, taken_back = ask(review), ask(review), ask(review, expires_ms=START_MS + 30 * DAY_MS), ask(review)
    for name in (expiring, revoked):
        review.write_now(lambda tx: inspection.decide(tx, name, True, "in order", **APPROVED))  # noqa: B023 - at once
    review.write_now(lambda tx: inspection.revoke(tx, revoked, "done", **ASKED))
    review.write_now(lambda tx: inspection.revoke(tx, taken_back, "a mistake", **ASKED))
    assert state(review, revoked, clock) == "revoked"
    assert state(review, taken_back, clock) == "refused"
    assert refusal(lambda: review.write_now(lambda tx: inspection.revoke(tx, revoked, "again", **ASKED))) == "bad_step"
    clock.forward(ms=DAY_MS - 1)
    assert state(review, expiring, clock) == "active"
    clock.forward(ms=1)
    assert state(review, expiring, clock) == "expired"
    clock.forward(ms=DECIDE_MS)
    assert state(review, void, clock) == "void"
    for name in (expiring, revoked, void, taken_back):
        assert refusal(lambda: review.write_now(lambda tx: inspection.look(tx, name, "events", **INSPECTOR))) == "forbidden"  # noqa: B023
    assert refusal(lambda: review.write_now(lambda tx: inspection.decide(tx, void, True, "late", **APPROVED))) == "bad_step"


def test_a_refused_inspection_shows_nothing(review: ReviewBook, clock: Clock) -> None:
    """It was asked for, and somebody else said no."""
    name = ask(review)
    review.write_now(lambda tx: inspection.decide(tx, name, False, "no paper", **APPROVED))
    assert state(review, name, clock) == "refused"
    assert refusal(lambda: review.write_now(lambda tx: inspection.exported(tx, name, "0" * 64, 1, **ASKED))) == "forbidden"
    assert review.read_now(lambda c: inspection.exports_of(c, name)) == []


def test_what_is_asked_for_is_checked(review: ReviewBook) -> None:
    """A case number, a reason, a scope that is one, names of inspectors, an end within ninety days."""
    for changes in (
        {"case_number": " "}, {"case_number": "x" * 65}, {"inspectors": ()}, {"inspectors": ("Ida!",)},
        {"expires_ms": START_MS}, {"expires_ms": START_MS + LONGEST_MS + 1},
    ):  # fmt: skip
        assert refusal(lambda: ask(review, **changes)) == "bad_message", changes  # noqa: B023
    assert refusal(lambda: ask(review, reason="")) == "bad_code"
    for scope in (
        span(), span(rooms=("../x",)), span(rooms=tuple("abcdefgh" * 7)), span(accounts=("",)), span(codes=("X9",)),
        span(rooms=("a",), until_ms=0),
    ):  # fmt: skip
        assert refusal(lambda: ask(review, scope)) == "bad_message", scope  # noqa: B023
    assert refusal(lambda: review.read_now(lambda c: inspection.need(c, "i-none"))) == "not_found"


def test_a_scope_is_met_in_all_its_parts() -> None:
    """Time, room, account and code; what has no room is within a scope of rooms only by its account."""
    scope = Scope(since_ms=10, until_ms=20, rooms=("a",), accounts=("ann",), codes=("S1",))
    assert scope.covers(10, "a", "ann", ("S1", "L1"))
    for miss in ((9, "a", "ann", ("S1",)), (20, "a", "ann", ("S1",)), (10, "b", "ann", ("S1",)), (10, "a", "bob", ("S1",)),
                 (10, "a", "ann", ()), (10, "a", "", ("S1",))):  # fmt: skip
        assert not scope.covers(*miss), miss
    assert scope.covers(10, "", "ann", ("S1",))
    assert not Scope(since_ms=0, until_ms=9, rooms=("a",)).covers(1, "", "ann")
    assert Scope(since_ms=0, until_ms=9, codes=("S1",)).covers(1, "", "", ("S1",))


def test_asking_and_deciding_stand_in_the_decision_log(review: ReviewBook) -> None:
    """With the code of an authority's order, who did it, and what it covers."""
    name = ask(review)

    def rows(tx: Transaction) -> list[tuple[str, str, str]]:
        inspection.decide(tx, name, True, "in order", **APPROVED)
        return [(found.code, found.actor, found.detail["act"]) for found in tx.decided]

    assert review.write_now(rows) == [("E2", "staff:olga", "inspection.approve")]
