"""``/staff/training``: what reviewers have to pass, taking it, marks; and for seniors, writing it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, may, page
from server.http.staff_forms import number
from server.moderation import training
from server.moderation.book import Transaction
from server.moderation.suggesting import CODES
from server.moderation.training import KEEP
from server.reasons import REASONS
from server.web import team_words

if TYPE_CHECKING:
    from sqlalchemy import Connection

PATH: Final = "/staff/training"
_CODES: Final = tuple(REASONS[code] for code in CODES)


async def show_training(request: Request) -> Response:
    """``GET /staff/training``: what is in force and how the member stands; ``needed=1``: a claim that was refused led
    here."""
    return await _home(request)


async def _home(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    me, now_ms = acting(request).member.holder, services(request).people.clock_ms()
    writes = may(request, "training.change")

    def work(connection: Connection) -> dict[str, Any]:
        found = training.listed(connection)
        return {
            "sets": found, "missing": {each.id for each in training.needs(connection, me, now_ms)},
            "mine": {each.series: each for each in training.latest(connection, me)},
            "counts": {each.id: training.count(connection, each.id) for each in found},
            "marks": training.latest(connection) if writes else [],
        }  # fmt: skip

    about = await services(request).moderation.look(work)
    needed = request.query_params.get("needed") == "1" and bool(about["missing"])
    titles = {each.series: each.title for each in reversed(about["sets"])}
    return await page(
        request, "staff_training.html", refusal, titles=titles, said=team_words, settings=services(request).settings,
        needed=needed, typed=defaultdict(str, typed or {}), **about,
    )  # fmt: skip


async def begin_training(request: Request) -> Response:
    """``POST /staff/training/begin``: begin an attempt, or go on with the one that was begun."""
    given = await read_form(request, acting(request).who)
    me, settings = acting(request).member.holder, services(request).settings
    try:
        wanted = number(given.get("training", ""), "training")
        going = await services(request).moderation.write(lambda tx: training.begin(tx, wanted, me, settings))
    except Refusal as refusal:
        return await _home(request, refusal)
    return lead(f"{PATH}/attempts/{going}")


async def show_attempt(request: Request) -> Response:
    """``GET /staff/training/attempts/{attempt}``: the questions; after the end the marks with the right answers."""
    return await _attempt_page(request)


async def _attempt_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    going = _number_of(request, "attempt")
    found = await services(request).moderation.look(lambda connection: training.attempt(connection, going))
    mine = found.member == acting(request).member.holder
    if not mine and (found.mark is None or not may(request, "training.change")):
        raise Refusal("forbidden", "somebody else's attempt")
    graded = None
    if found.mark is not None:
        graded = [
            (question, given, training.points(question, given))
            for question, given in zip(found.questions, found.mark.answers, strict=True)
        ]
    return await page(
        request, "staff_attempt.html", refusal, attempt=found, graded=graded, mine=mine, codes=_CODES, keep=KEEP,
        typed=defaultdict(str, typed or {}),
    )  # fmt: skip


async def answer_training(request: Request) -> Response:
    """``POST /staff/training/attempts/{attempt}``: the answers to all questions, in fields ``q.NUMBER``."""
    given = await read_form(request, acting(request).who)
    going, me, settings = _number_of(request, "attempt"), acting(request).member.holder, services(request).settings
    try:
        answers = {number(name[2:], "question"): code for name, code in given.items() if name.startswith("q.") and code}
        await services(request).moderation.write(lambda tx: training.answer(tx, going, me, answers, settings))
    except Refusal as refusal:
        return await _attempt_page(request, refusal, given)
    return lead(f"{PATH}/attempts/{going}")


async def new_set(request: Request) -> Response:
    """``POST /staff/training``: begin a set."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    try:
        made = await services(request).moderation.write(lambda tx: training.begin_set(tx, given.get("title", ""), **by))
    except Refusal as refusal:
        return await _home(request, refusal, given)
    return lead(f"{PATH}/sets/{made}")


async def show_set(request: Request) -> Response:
    """``GET /staff/training/sets/{training}``: the questions with their right answers."""
    return await _set_page(request)


async def _set_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    wanted = _number_of(request, "training")

    def work(connection: Connection) -> dict[str, Any]:
        return {"found": training.need(connection, wanted), "questions": training.questions(connection, wanted)}

    about = await services(request).moderation.look(work)
    return await page(
        request, "staff_training_set.html", refusal, codes=_CODES, keep=KEEP, least=training.LEAST, said=team_words,
        typed=defaultdict(str, typed or {}), **about,
    )  # fmt: skip


async def change_set(request: Request) -> Response:
    """``POST /staff/training/sets/{training}``: ``what`` is one of ``question decided drop publish retire revise``."""
    given = await read_form(request, acting(request).who)
    wanted, by = _number_of(request, "training"), acting(request).by

    def work(tx: Transaction) -> int:
        what = given.get("what", "")
        if what == "question":
            training.add_question(tx, wanted, given.get("text", ""), given.get("code", ""), given.get("why", ""))
        elif what == "decided":
            training.add_decided(tx, wanted, number(given.get("item", ""), "item"))
        elif what == "drop":
            training.drop_question(tx, wanted, number(given.get("question", ""), "question"))
        elif what == "publish":
            training.publish(tx, wanted, **by)
        elif what == "retire":
            training.retire(tx, wanted, **by)
        elif what == "revise":
            return training.revise(tx, wanted, **by)
        else:
            raise Refusal("bad_message", "what")
        return wanted

    try:
        to = await services(request).moderation.write(work)
    except Refusal as refusal:
        return await _set_page(request, refusal, given)
    return lead(f"{PATH}/sets/{to}")


def _number_of(request: Request, name: str) -> int:
    text = request.path_params[name]
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise Refusal("not_found")
    return int(text)


RULES: Final = (
    Rule(PATH, "GET", "training.take", show_training),
    Rule(PATH, "POST", "training.change", new_set),
    Rule(f"{PATH}/begin", "POST", "training.take", begin_training),
    Rule(f"{PATH}/attempts/{{attempt}}", "GET", "training.take", show_attempt),
    Rule(f"{PATH}/attempts/{{attempt}}", "POST", "training.take", answer_training),
    Rule(f"{PATH}/sets/{{training}}", "GET", "training.change", show_set),
    Rule(f"{PATH}/sets/{{training}}", "POST", "training.change", change_set),
)
