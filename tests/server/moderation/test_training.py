"""server/moderation/training.py"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from server.errors import Refusal
from server.moderation import deciding, queue, retention, training
from server.moderation.book import ReviewBook, Transaction
from server.moderation.training import KEEP
from server.settings import Settings
from tests.support.accounts import DAY_MS, HOUR_MS, Clock
from tests.support.review import ANN, BEN, BOSS, at, book, decisions, hold, put, report

SETTINGS = Settings()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with book(tmp_path, clock) as found:
        yield found


def refused(desk: ReviewBook, work: Callable[[Transaction], Any]) -> str:
    with pytest.raises(Refusal) as caught:
        desk.write_now(work)
    return caught.value.code.name


def draft(desk: ReviewBook, *codes: str, title: str = "Basics") -> int:
    """A set by boss, not published, with a question of each code."""

    def work(tx: Transaction) -> int:
        number = training.begin_set(tx, title, **BOSS)
        for at_, code in enumerate(codes or (KEEP, "S1", "L8", KEEP)):
            training.add_question(tx, number, f"text {at_} {code}", code, f"because {at_}")
        return number

    return desk.write_now(work)


def published(desk: ReviewBook, *codes: str, title: str = "Basics") -> int:
    number = draft(desk, *codes, title=title)
    desk.write_now(lambda tx: training.publish(tx, number, **BOSS))
    return number


def take(
    desk: ReviewBook, number: int, member: str = "staff:ann", wrong: int = 0, settings: Settings = SETTINGS
) -> training.Mark:
    """Take a set with so many wrong answers."""

    def work(tx: Transaction) -> training.Mark:
        going = training.begin(tx, number, member, settings)
        found = training.attempt(tx.sql, going).questions
        answers = {each.id: each.code for each in found}
        answers |= {each.id: "S1" if each.code == KEEP else KEEP for each in found[:wrong]}
        return training.answer(tx, going, member, answers, settings)

    return desk.write_now(work)


def test_duty_p5_7_who_has_not_passed_the_training_claims_nothing(desk: ReviewBook, clock: Clock) -> None:
    """Before a set is in force everybody claims; from then on only who has passed it, until the pass is over or a later attempt
    fails. Its author, an operator's command and a program are not asked."""
    item, other = put(desk, source="s:1").id, put(desk, source="s:2").id
    desk.write_now(lambda tx: queue.claim(tx, item, "staff:ann"))
    number = published(desk)
    assert refused(desk, lambda tx: queue.claim(tx, other, "staff:ann")) == "training_required"
    assert refused(desk, lambda tx: queue.claim_next(tx, "held", "staff:ben")) == "training_required"
    desk.write_now(lambda tx: queue.claim(tx, other, "staff:boss"))
    desk.write_now(lambda tx: queue.release(tx, [other], "staff:boss"))
    for actor in ("operator:root", "system"):
        desk.write_now(lambda tx, actor=actor: queue.claim(tx, other, actor))  # type: ignore[misc]
        desk.write_now(lambda tx, actor=actor: queue.release(tx, [other], actor))  # type: ignore[misc]

    failed = take(desk, number, wrong=1)
    assert (failed.mark, failed.needed, failed.passed) == (75, 80, False)
    assert refused(desk, lambda tx: queue.claim_next(tx, "held", "staff:ann")) == "training_required"
    clock.now_ms += HOUR_MS
    passed = take(desk, number)
    assert (passed.mark, passed.passed, passed.until_ms) == (100, True, clock.now_ms + 180 * DAY_MS)
    assert [each.id for each in desk.write_now(lambda tx: queue.claim_next(tx, "held", "staff:ann"))] == [item]
    clock.now_ms = passed.until_ms - 1
    desk.write_now(lambda tx: queue.claim(tx, other, "staff:ann"))
    clock.now_ms += 1
    assert refused(desk, lambda tx: queue.claim(tx, other, "staff:ann")) == "training_required"

    take(desk, number, "staff:ben")
    desk.write_now(lambda tx: queue.claim(tx, item, "staff:ben"))
    take(desk, number, "staff:ben", wrong=4)
    assert refused(desk, lambda tx: queue.claim(tx, item, "staff:ben")) == "training_required"


def test_duty_p5_7_every_attempt_and_its_mark_are_on_record(desk: ReviewBook, clock: Clock) -> None:
    """Attempts and marks cannot be changed or deleted; the newest mark of each member and set is the one that counts; publishing and
    retiring a set are in the decision log."""
    number = published(desk)
    take(desk, number, wrong=4)
    clock.now_ms += HOUR_MS
    take(desk, number)
    take(desk, number, "staff:ben", wrong=2)
    marks = desk.read_now(training.latest)
    assert [(each.member, each.mark) for each in marks] == [("staff:ann", 100), ("staff:ben", 50)]
    for table in ("training_attempts", "training_marks"):
        with pytest.raises(IntegrityError, match="append-only"):
            desk.write_now(lambda tx, table=table: tx.sql.exec_driver_sql(f"DELETE FROM {table}"))  # type: ignore[misc]
    desk.write_now(lambda tx: training.retire(tx, number, **BOSS))
    acts = [(each.what, each.code, each.detail["act"]) for each in decisions(desk)]
    assert acts == [("record", "E4", "training.publish"), ("record", "E4", "training.retire")]
    assert desk.read_now(lambda c: training.needs(c, "staff:carl", clock.now_ms)) == []


def test_points(desk: ReviewBook) -> None:
    """The right code counts two; seeing that something goes, by another code, one; letting it stay, or taking away what may stay,
    none."""
    number = draft(desk, KEEP, "S1")
    keep, advert = desk.read_now(lambda c: training.questions(c, number))
    answers = [(keep, KEEP), (keep, "S1"), (advert, "S1"), (advert, "L8"), (advert, KEEP)]
    assert [training.points(question, code) for question, code in answers] == [2, 0, 2, 1, 0]


def test_questions_are_drawn_once_and_in_random_order(desk: ReviewBook) -> None:
    """An attempt that goes on keeps its questions, so nobody draws until they please; a large set is asked in part."""
    number = published(desk, *[KEEP, "S1"] * 30)
    first = desk.write_now(lambda tx: training.begin(tx, number, "staff:ann", SETTINGS, random.Random(1)))
    again = desk.write_now(lambda tx: training.begin(tx, number, "staff:ann", SETTINGS, random.Random(2)))
    other = desk.write_now(lambda tx: training.begin(tx, number, "staff:ben", SETTINGS, random.Random(2)))
    assert first == again != other
    orders = [[each.id for each in desk.read_now(lambda c, n=n: training.attempt(c, n)).questions] for n in (first, other)]  # type: ignore[misc]
    assert len(orders[0]) == len(orders[1]) == 20 == len(set(orders[0]))
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


def test_an_attempt_ends_once_with_all_answers_of_its_member(desk: ReviewBook, clock: Clock) -> None:
    """A missing answer, a code that is none, somebody else, a second time: refused, and nothing is recorded. After a failure the next
    attempt waits."""
    number = published(desk)
    going = desk.write_now(lambda tx: training.begin(tx, number, "staff:ann", SETTINGS))
    asked = desk.read_now(lambda c: training.attempt(c, going)).questions
    every = {each.id: KEEP for each in asked}

    def answer(member: str, answers: dict[int, str]) -> Callable[[Transaction], training.Mark]:
        return lambda tx: training.answer(tx, going, member, answers, SETTINGS)

    assert refused(desk, answer("staff:ben", every)) == "forbidden"
    assert refused(desk, answer("staff:ann", dict(list(every.items())[1:]))) == "bad_message"
    assert refused(desk, answer("staff:ann", every | {asked[0].id: "U1"})) == "bad_code"
    assert desk.read_now(lambda c: training.attempt(c, going)).mark is None
    mark = desk.write_now(answer("staff:ann", every))
    assert desk.read_now(lambda c: training.attempt(c, going)).mark == mark
    assert refused(desk, answer("staff:ann", every)) == "bad_step"
    with pytest.raises(Refusal, match="failed a moment ago") as caught:
        desk.write_now(lambda tx: training.begin(tx, number, "staff:ann", SETTINGS))
    assert caught.value.retry_after_ms == HOUR_MS
    clock.now_ms += HOUR_MS
    assert desk.write_now(lambda tx: training.begin(tx, number, "staff:ann", SETTINGS)) > going
    assert refused(desk, lambda tx: training.begin(tx, 99, "staff:ann", SETTINGS)) == "not_found"
    with pytest.raises(Refusal):
        desk.read_now(lambda c: training.attempt(c, 99))


def test_what_is_published_does_not_change(desk: ReviewBook, clock: Clock) -> None:
    """The next version takes its place; who has passed the one before has passed until the time is over. Whoever writes a version has
    shown what the set asks for."""
    number = published(desk)
    assert refused(desk, lambda tx: training.add_question(tx, number, "x", KEEP, "")) == "bad_step"
    assert refused(desk, lambda tx: training.drop_question(tx, number, 1)) == "bad_step"
    assert refused(desk, lambda tx: training.publish(tx, number, **BOSS)) == "bad_step"
    take(desk, number)
    new = desk.write_now(lambda tx: training.revise(tx, number, **BEN))
    assert refused(desk, lambda tx: training.revise(tx, number, **BEN)) == "bad_step"
    assert refused(desk, lambda tx: training.begin(tx, new, "staff:carl", SETTINGS)) == "bad_step"
    first = desk.read_now(lambda c: training.questions(c, new))[0]
    desk.write_now(lambda tx: training.drop_question(tx, new, first.id))
    desk.write_now(lambda tx: training.publish(tx, new, **BEN))
    states = {each.id: (each.version, each.state) for each in desk.read_now(training.listed)}
    assert states == {number: (1, "retired"), new: (2, "in_force")}
    missing = [bool(desk.read_now(lambda c, m=m: training.needs(c, m, clock.now_ms))) for m in  # type: ignore[misc]
               ("staff:ann", "staff:ben", "staff:boss", "staff:carl")]  # fmt: skip
    assert missing == [False, False, False, True]
    assert refused(desk, lambda tx: training.retire(tx, number, **BOSS)) == "bad_step"


def test_a_set_is_written_within_bounds(desk: ReviewBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few or too many questions, empty or long texts, codes that nobody decides by."""
    number = draft(desk, KEEP, "S1")
    assert refused(desk, lambda tx: training.publish(tx, number, **BOSS)) == "bad_step"
    assert refused(desk, lambda tx: training.begin_set(tx, "  ", **BOSS)) == "bad_message"
    for text, code, why, expected in (
        ("", KEEP, "", "bad_message"), ("x" * 501, KEEP, "", "bad_message"), ("x", "Z9", "", "bad_code"),
        ("x", "U1", "", "bad_code"), ("x", KEEP, "y" * 301, "bad_message"),
    ):  # fmt: skip
        assert refused(desk, lambda tx, *_, a=(text, code, why): training.add_question(tx, number, *a)) == expected
    monkeypatch.setattr(training, "QUESTIONS_MAX", 2)
    assert refused(desk, lambda tx: training.add_question(tx, number, "x", KEEP, "")) == "bad_message"
    assert refused(desk, lambda tx: training.publish(tx, 99, **BOSS)) == "not_found"
    assert desk.read_now(lambda c: training.find(c, 99)) is None


def test_questions_are_taken_from_decided_items(desk: ReviewBook, clock: Clock) -> None:
    """Text, judgement and basis go along, room and author do not; what is not decided, or has no text any more, cannot be taken."""
    number = draft(desk, KEEP)
    spam, fine = hold(desk, 1, text="buy now").id, report(desk, 1, text="hello all").id
    assert refused(desk, lambda tx: training.add_decided(tx, number, spam)) == "bad_step"
    assert refused(desk, lambda tx: training.add_decided(tx, number, 99)) == "item_not_found"
    desk.write_now(lambda tx: deciding.decide_item(tx, spam, 0, "refuse", "S1", "advertising", **ANN))
    desk.write_now(lambda tx: deciding.decide_item(tx, fine, at(desk, fine).version, "keep", "K2", "nothing wrong", **ANN))
    for item in (spam, fine):
        desk.write_now(lambda tx, item=item: training.add_decided(tx, number, item))  # type: ignore[misc]
    found = desk.read_now(lambda c: training.questions(c, number))[1:]
    assert [(each.text, each.code, each.why, each.item) for each in found] == [
        ("buy now", "S1", "advertising", spam), ("hello all", KEEP, "nothing wrong", fine),
    ]  # fmt: skip


def test_texts_of_retired_sets_go_when_their_term_is_over(desk: ReviewBook, clock: Clock) -> None:
    """Marks stay; texts of sets in force stay too."""
    old, new = published(desk), published(desk, title="Other")
    take(desk, old)
    desk.write_now(lambda tx: training.retire(tx, old, **BOSS))
    clock.now_ms += (SETTINGS.review_texts_days + 1) * DAY_MS
    found = retention.cutoffs([], clock.now_ms, SETTINGS)
    assert desk.write_now(lambda tx: retention.purge(tx, found))["training_questions"] == 4
    assert {each.text for each in desk.read_now(lambda c: training.questions(c, old))} == {""}
    assert "" not in {each.text for each in desk.read_now(lambda c: training.questions(c, new))}
    assert len(desk.read_now(training.latest)) == 1
