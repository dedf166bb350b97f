"""Training: sets of comments with the right judgement on each, attempts at them, marks, and who may claim items (duty P5(7)).

Seniors write a set, or take questions from decided items, and publish it; what is published does not change, a later version takes
its place. From the moment on at which a set is in force, nobody claims items or decides them without having passed it; who wrote it
has shown what the set asks for. A pass holds for the time that was set when it was made. A later failure ends it.

Plain functions over a transaction or a connection; this module knows nothing of the queue, which asks it.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, Select, delete, exists, func, insert, select, update

from server.errors import Refusal
from server.moderation import tables
from server.moderation.book import Transaction
from server.reasons import REMOVAL_CODES
from server.settings import Settings

KEEP: Final = "K1"
"""The right judgement on what may stay."""
LEAST: Final = 3
"""A set with fewer questions tells nothing and is not published."""
QUESTIONS_MAX: Final = 200
TITLE_MAX_CHARS: Final = 80
TEXT_MAX_CHARS: Final = 500
WHY_MAX_CHARS: Final = 300
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_POINTS: Final = 2
"""Points of a right answer; one for seeing that a comment goes, by another code than the right one."""

_s: Final = tables.training_sets.c
_q: Final = tables.training_questions.c
_a: Final = tables.training_attempts.c
_m: Final = tables.training_marks.c


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a set; columns as in :data:`server.moderation.tables.training_sets`."""

    id: int
    series: int
    version: int
    title: str
    author: str
    created_ms: int
    published_ms: int
    retired_ms: int

    @property
    def state(self) -> str:
        """One of ``draft in_force retired``."""
        return "retired" if self.retired_ms else "in_force" if self.published_ms else "draft"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A comment with the right judgement, ``code``: one of :data:`KEEP` and the codes of removal. ``why`` is told with the marks."""

    id: int
    training: int
    text: str
    code: str
    why: str
    item: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended. ``mark`` and ``needed`` in percent; a pass holds until ``until_ms``."""

    id: int
    series: int
    member: str
    at_ms: int
    answers: list[str]
    points: int
    most: int
    mark: int
    needed: int
    passed: bool
    until_ms: int

    def holds(self, now_ms: int) -> bool:
        """It is a pass, and not over."""
        return self.passed and now_ms < self.until_ms


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt, with its questions in the order in which they are asked. ``mark`` None: it goes on."""

    id: int
    training: Training
    member: str
    begun_ms: int
    questions: list[Question]
    mark: Mark | None


# ---------------------------------------------------------------------------------------------------------------------
# Who may claim


def check(connection: Connection, actor: str, now_ms: int) -> None:
    """Whether ``actor`` may claim items. Only members of staff are asked for training: an operator's command and a program have no
    way to it. Raises Refusal ``training_required``."""
    if actor.startswith("staff:"):
        missing = needs(connection, actor, now_ms)
        if missing:
            raise Refusal("training_required", ", ".join(each.title for each in missing))


def needs(connection: Connection, member: str, now_ms: int) -> list[Training]:
    """The sets in force that the member has still to pass."""
    found = in_force(connection)
    mine = {series for series, _ in _written(connection, member)} if found else set()
    open_ = [each for each in found if each.series not in mine]
    marks = {each.series: each for each in latest(connection, member)} if open_ else {}
    return [each for each in open_ if not (each.series in marks and marks[each.series].holds(now_ms))]


def latest(connection: Connection, member: str = "") -> list[Mark]:
    """The newest mark of each set, of a member or (empty) of everybody."""
    newest = select(func.max(_m.id)).group_by(_m.member, _m.series)
    query = select(tables.training_marks).where(_m.id.in_(newest.where(_m.member == member) if member else newest))
    return [_mark(row) for row in connection.execute(query.order_by(_m.member, _m.series)).mappings()]


def _written(connection: Connection, member: str) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in connection.execute(select(_s.series, _s.id).where(_s.author == member))]


# ---------------------------------------------------------------------------------------------------------------------
# Writing sets


def begin_set(tx: Transaction, title: str, *, actor: str, role: str) -> int:
    """Make an empty set; its number. Raises Refusal ``bad_message``."""
    row = {"title": _line(title, TITLE_MAX_CHARS, "title"), "author": actor, "created_ms": tx.now_ms}
    number = _inserted(tx, insert(tables.training_sets).values(**row, series=-_next(tx), version=1))
    tx.sql.execute(update(tables.training_sets).where(_s.id == number).values(series=number))
    return number


def add_question(tx: Transaction, training: int, text: str, code: str, why: str, *, item: int = 0) -> int:
    """Put a question into a draft; its number. Raises Refusal ``not_found``, ``bad_step``, ``bad_message``, ``bad_code``."""
    _draft(tx.sql, training)
    if count(tx.sql, training) >= QUESTIONS_MAX:
        raise Refusal("bad_message", f"a set has at most {QUESTIONS_MAX} questions")
    _check_code(code)
    row = {
        "training": training, "text": _line(text, TEXT_MAX_CHARS, "text"), "code": code, "item": item,
        "why": _line(why, WHY_MAX_CHARS, "why") if why.strip() else "",
    }  # fmt: skip
    return _inserted(tx, insert(tables.training_questions).values(**row))


def add_decided(tx: Transaction, training: int, item: int) -> int:
    """Put a decided item into a draft, with its decision as the right one; the question's number. Room and author do not go along.
    Raises Refusal ``item_not_found``, ``bad_step`` (not decided, taken back, or its text is gone), and as :func:`add_question`."""
    d, i = tables.decisions.c, tables.items.c
    query = select(i.state, i.text, d.what, d.code, d.basis).select_from(
        tables.items.outerjoin(tables.decisions, i.decision == d.id)
    )
    row = tx.sql.execute(query.where(i.id == item)).mappings().first()
    if row is None:
        raise Refusal("item_not_found")
    if row["state"] != "decided" or not row["text"].strip() or row["what"] not in _JUDGED:
        raise Refusal("bad_step", "it is not decided, or its text is not kept any more")
    code = row["code"] if row["code"] in REMOVAL_CODES else KEEP
    return add_question(tx, training, row["text"], code, row["basis"], item=item)


_JUDGED: Final = ("publish", "refuse", "keep", "remove", "restore", "confirm", "differ")


def drop_question(tx: Transaction, training: int, question: int) -> None:
    """Take a question out of a draft. Raises Refusal ``not_found``, ``bad_step``."""
    _draft(tx.sql, training)
    tx.sql.execute(delete(tables.training_questions).where(_q.id == question, _q.training == training))


def publish(tx: Transaction, training: int, *, actor: str, role: str) -> None:
    """Put a draft into force, in the place of the version before it: who has passed that one has passed, until their time is over.
    Raises Refusal ``not_found``, ``bad_step``."""
    found = _draft(tx.sql, training)
    if count(tx.sql, training) < LEAST:
        raise Refusal("bad_step", f"a set has at least {LEAST} questions")
    in_its_place = (_s.series == found.series, _s.published_ms > 0, _s.retired_ms == 0)
    tx.sql.execute(update(tables.training_sets).where(*in_its_place).values(retired_ms=tx.now_ms))
    tx.sql.execute(update(tables.training_sets).where(_s.id == training).values(published_ms=tx.now_ms))
    _record(tx, "training.publish", found, actor, role)


def retire(tx: Transaction, training: int, *, actor: str, role: str) -> None:
    """Ask nobody for this set any more. Raises Refusal ``not_found``, ``bad_step``."""
    found = need(tx.sql, training)
    if found.state == "retired":
        raise Refusal("bad_step", "it is retired")
    tx.sql.execute(update(tables.training_sets).where(_s.id == training).values(retired_ms=tx.now_ms))
    _record(tx, "training.retire", found, actor, role)


def revise(tx: Transaction, training: int, *, actor: str, role: str) -> int:
    """Make a draft of the next version, with the same questions; its number. Raises Refusal ``not_found``, ``bad_step`` (there is
    one already)."""
    found = need(tx.sql, training)
    versions = [each for each in listed(tx.sql) if each.series == found.series]
    if any(each.state == "draft" for each in versions):
        raise Refusal("bad_step", "there is a draft of the next version already")
    row = {"title": found.title, "author": actor, "created_ms": tx.now_ms, "series": found.series}
    number = _inserted(tx, insert(tables.training_sets).values(**row, version=max(each.version for each in versions) + 1))
    for each in questions(tx.sql, training):
        again = {"training": number, "text": each.text, "code": each.code, "why": each.why, "item": each.item}
        tx.sql.execute(insert(tables.training_questions).values(**again))
    return number


def find(connection: Connection, training: int) -> Training | None:
    """A version of a set."""
    found = _trainings(connection, select(tables.training_sets).where(_s.id == training))
    return found[0] if found else None


def need(connection: Connection, training: int) -> Training:
    """As :func:`find`. Raises Refusal ``not_found``."""
    found = find(connection, training)
    if found is None:
        raise Refusal("not_found", "training set")
    return found


def listed(connection: Connection) -> list[Training]:
    """All versions of all sets, the newest first."""
    return _trainings(connection, select(tables.training_sets).order_by(_s.id.desc()))


def in_force(connection: Connection) -> list[Training]:
    """The sets that are asked for."""
    return _trainings(
        connection, select(tables.training_sets).where(_s.published_ms > 0, _s.retired_ms == 0).order_by(_s.id)
    )  # fmt: skip


def questions(connection: Connection, training: int) -> list[Question]:
    """The questions of a set, in the order in which they were written."""
    query = select(tables.training_questions).where(_q.training == training).order_by(_q.id)
    return [Question(**row) for row in connection.execute(query).mappings()]


def count(connection: Connection, training: int) -> int:
    """How many questions a set has."""
    return connection.execute(select(func.count()).where(_q.training == training)).scalar_one()


# ---------------------------------------------------------------------------------------------------------------------
# Taking a set


def begin(tx: Transaction, training: int, member: str, settings: Settings, draw: random.Random | None = None) -> int:
    """Begin an attempt, or go on with the one that was begun; its number. The questions and their order are drawn once. Raises
    Refusal ``not_found``, ``bad_step`` (it is not in force), ``too_many_attempts`` (one has failed a moment ago)."""
    found = need(tx.sql, training)
    if found.state != "in_force":
        raise Refusal("bad_step", "this set is not in force")
    ended = exists().where(_m.id == _a.id)
    query = select(_a.id).where(_a.member == member, _a.training == training, ~ended).order_by(_a.id.desc()).limit(1)
    going = tx.sql.execute(query).scalar()
    if going is not None:
        return int(going)
    last = next((each for each in latest(tx.sql, member) if each.series == found.series), None)
    wait_ms = 0 if last is None or last.passed else last.at_ms + round(settings.training_retry_h * _HOUR_MS) - tx.now_ms
    if wait_ms > 0:
        raise Refusal("too_many_attempts", "you have failed a moment ago", retry_after_ms=wait_ms)
    known = [each.id for each in questions(tx.sql, training)]
    drawn = (draw or secrets.SystemRandom()).sample(known, min(len(known), settings.training_questions))
    row = {"training": training, "member": member, "begun_ms": tx.now_ms, "questions": msgspec.json.encode(drawn)}
    return _inserted(tx, insert(tables.training_attempts).values(**row))


def attempt(connection: Connection, number: int) -> Attempt:
    """An attempt. Raises Refusal ``not_found``."""
    row = connection.execute(select(tables.training_attempts).where(_a.id == number)).mappings().first()
    if row is None:
        raise Refusal("not_found", "attempt")
    order = msgspec.json.decode(row["questions"], type=list[int])
    by_id = {each.id: each for each in questions(connection, row["training"])}
    mark = connection.execute(select(tables.training_marks).where(_m.id == number)).mappings().first()
    return Attempt(
        id=number, training=need(connection, row["training"]), member=row["member"], begun_ms=row["begun_ms"],
        questions=[by_id[each] for each in order], mark=_mark(mark) if mark is not None else None,
    )  # fmt: skip


def answer(tx: Transaction, number: int, member: str, answers: Mapping[int, str], settings: Settings) -> Mark:
    """End an attempt with the answers to all its questions, by their numbers; how it was marked. Raises Refusal ``not_found``,
    ``forbidden`` (somebody else's), ``bad_step`` (it has ended), ``bad_message`` (an answer is missing), ``bad_code``."""
    found = attempt(tx.sql, number)
    if found.member != member:
        raise Refusal("forbidden", "somebody else's attempt")
    if found.mark is not None:
        raise Refusal("bad_step", "this attempt has ended")
    given = [answers.get(each.id, "") for each in found.questions]
    if not all(given):
        raise Refusal("bad_message", "answer every question")
    for code in given:
        _check_code(code)
    got, most = sum(map(points, found.questions, given)), _POINTS * len(given)
    mark = 100 * got // most
    passed = mark >= settings.training_pass_percent
    row = {
        "id": number, "series": found.training.series, "member": member, "at_ms": tx.now_ms, "answers": given, "points": got,
        "most": most, "mark": mark, "needed": settings.training_pass_percent, "passed": passed,
        "until_ms": tx.now_ms + settings.training_valid_days * _DAY_MS if passed else 0,
    }  # fmt: skip
    kept = {**row, "answers": msgspec.json.encode(given), "passed": int(passed)}
    tx.sql.execute(insert(tables.training_marks).values(**kept))
    return Mark(**row)  # type: ignore[arg-type] # the fields by their names


def points(question: Question, code: str) -> int:
    """What an answer is worth, of 2: the right code 2; another one, for what is to go, 1."""
    if code == question.code:
        return _POINTS
    return 1 if KEEP not in (code, question.code) else 0


# ---------------------------------------------------------------------------------------------------------------------
# Parts


def _draft(connection: Connection, training: int) -> Training:
    found = need(connection, training)
    if found.state != "draft":
        raise Refusal("bad_step", "what was published does not change: make the next version")
    return found


def _check_code(code: str) -> None:
    if code != KEEP and (code not in REMOVAL_CODES or code[0] == "U"):
        raise Refusal("bad_code", code)


def _line(text: str, most: int, name: str) -> str:
    found = " ".join(text.split())
    if not 1 <= len(found) <= most:
        raise Refusal("bad_message", f"{name}: 1 to {most} characters")
    return found


def _next(tx: Transaction) -> int:
    """A series number for the moment until the row has its own."""
    return int(tx.sql.execute(select(func.coalesce(func.max(_s.id), 0))).scalar_one()) + 1


def _inserted(tx: Transaction, row: Any) -> int:
    found: Sequence[Any] | None = tx.sql.execute(row).inserted_primary_key
    assert found is not None
    return int(found[0])


def _record(tx: Transaction, act: str, found: Training, actor: str, role: str) -> None:
    detail = {"act": act, "training": found.id, "version": found.version}
    tx.decide("record", "E4", f"{act}: {found.title}, version {found.version}", actor=actor, role=role, detail=detail)


def _trainings(connection: Connection, query: Select[Any]) -> list[Training]:
    return [Training(**row) for row in connection.execute(query).mappings()]


def _mark(row: RowMapping) -> Mark:
    answers = msgspec.json.decode(row["answers"], type=list[str])
    return Mark(**{**row, "answers": answers, "passed": bool(row["passed"])})
