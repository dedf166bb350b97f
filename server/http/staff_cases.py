"""Cases, the feature registry and legal holds on staff's pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import holds
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, read, write
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, page
from server.http.staff_forms import day, number, stored
from server.moderation import cases, features
from server.moderation.book import Transaction
from server.web import authority_words

# -- cases -------------------------------------------------------------------------------------------------------------


async def all_cases(request: Request) -> Response:
    """``GET /staff/cases``: open ones, those that are due first, and closed ones."""
    return await _cases_page(request)


async def _cases_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    moderation = services(request).moderation
    waiting = await moderation.look(lambda connection: cases.listed(connection, closed=False))
    closed = await moderation.look(lambda connection: cases.listed(connection, closed=True))
    return await page(
        request, "staff_cases.html", refusal, said=authority_words,
        waiting=waiting, closed=closed, kinds=cases.KINDS, sources=cases.SOURCES,
        typed=defaultdict(str, typed or {}),
    )  # fmt: skip


async def open_case(request: Request) -> Response:
    """``POST /staff/cases``: open one."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    try:
        due_ms = day(request, given.get("due", ""), "due")
        name = await services(request).moderation.write(
            lambda tx: cases.begin(
                tx, given.get("kind", ""), given.get("source", ""), given.get("title", ""), given.get("facts", ""), due_ms,
                reference=given.get("reference", ""), **by,
            )
        )  # fmt: skip
    except Refusal as refusal:
        return await _cases_page(request, refusal, given)
    return lead(f"/staff/cases/{name}")


async def one_case(request: Request) -> Response:
    """``GET /staff/cases/{case}``: its steps, and the next one."""
    return await _case_page(request)


async def _case_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    name = request.path_params["case"]

    def work(connection: Any) -> dict[str, Any]:
        return {"found": cases.need(connection, name), "steps": cases.steps_of(connection, name)}

    rows = await services(request).moderation.look(work)
    return await page(request, "staff_case.html", refusal, said=authority_words, typed=defaultdict(str, typed or {}), **rows)


def _note(tx: Transaction, case: str, words: str, given: dict[str, Any], by: dict[str, Any]) -> None:
    cases.note(tx, case, words, **by)


def _evidence(tx: Transaction, case: str, words: str, given: dict[str, Any], by: dict[str, Any]) -> None:
    cases.give_evidence(tx, case, words, decision=given["decision"], sha256=given["sha256"], **by)


def _penalty(tx: Transaction, case: str, words: str, given: dict[str, Any], by: dict[str, Any]) -> None:
    cases.penalise(tx, case, words, decision=given["decision"], sha256=given["sha256"], **by)


def _deadline(tx: Transaction, case: str, words: str, given: dict[str, Any], by: dict[str, Any]) -> None:
    cases.extend(tx, case, given["due_ms"], words, **by)


def _close(tx: Transaction, case: str, words: str, given: dict[str, Any], by: dict[str, Any]) -> None:
    cases.close(tx, case, words, **by)


def _reopen(tx: Transaction, case: str, words: str, given: dict[str, Any], by: dict[str, Any]) -> None:
    cases.reopen(tx, case, given["due_ms"], words, **by)


_STEPS: Final[dict[str, Callable[[Transaction, str, str, dict[str, Any], dict[str, Any]], None]]] = {
    "note": _note, "evidence": _evidence, "penalty": _penalty, "deadline": _deadline, "close": _close, "reopen": _reopen,
}  # fmt: skip


async def step_case(request: Request) -> Response:
    """``POST /staff/cases/{case}``: the next step; ``what`` says which."""
    typed = await read_form(request, acting(request).who)
    name, by = request.path_params["case"], acting(request).by
    try:
        work = _STEPS.get(typed.get("what", ""))
        if work is None:
            raise Refusal("bad_message", f"what: one of {', '.join(_STEPS)}")
        due = typed.get("due", "")
        given = {
            "decision": number(typed.get("decision", ""), "decision"), "sha256": typed.get("sha256", "").strip().lower(),
            "due_ms": day(request, due, "due") if due else 0,
        }  # fmt: skip
        await services(request).moderation.write(lambda tx: work(tx, name, typed.get("words", ""), given, by))
    except Refusal as refusal:
        return await _case_page(request, refusal, typed)
    return lead(f"/staff/cases/{name}")


# -- the feature registry ----------------------------------------------------------------------------------------------


async def feature_registry(request: Request) -> Response:
    """``GET /staff/features``: how each feature stands, and the assessments on record."""
    return await _features_page(request)


async def _features_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    settings, now_ms = services(request).settings, services(request).people.clock_ms()

    def work(connection: Any) -> dict[str, Any]:
        return {"standings": features.standings(connection, settings, now_ms), "assessments": features.listed(connection)}

    rows = await services(request).moderation.look(work)
    return await page(
        request, "staff_features.html", refusal, said=authority_words,
        typed=defaultdict(str, typed or {}), table=features.FEATURES,
        results=features.RESULTS, **rows,
    )  # fmt: skip


async def assess_feature(request: Request) -> Response:
    """``POST /staff/features``: enter an assessment."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    try:
        assessed, until = day(request, given.get("assessed", ""), "assessed"), day(request, given.get("until", ""), "until")
        await services(request).moderation.write(
            lambda tx: features.record(
                tx, given.get("feature", ""), given.get("assessor", ""), given.get("result", ""),
                given.get("sha256", "").strip().lower(), assessed, until, reference=given.get("reference", ""), **by,
            )
        )  # fmt: skip
    except Refusal as refusal:
        return await _features_page(request, refusal, given)
    return lead("/staff/features")


async def revoke_assessment(request: Request) -> Response:
    """``POST /staff/features/revoke``."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    try:
        await services(request).moderation.write(
            lambda tx: features.revoke(tx, given.get("assessment", ""), given.get("basis", ""), **by)
        )
    except Refusal as refusal:
        return await _features_page(request, refusal, given)
    return lead("/staff/features")


# -- legal holds -------------------------------------------------------------------------------------------------------


async def legal_holds(request: Request) -> Response:
    """``GET /staff/holds``: holds in force."""
    return await _holds_page(request)


async def _holds_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    rows = await read(request, holds.in_force)
    return await page(
        request, "staff_holds.html", refusal, holds=rows, everything=holds.EVERYTHING, typed=defaultdict(str, typed or {})
    )


async def place_hold(request: Request) -> Response:
    """``POST /staff/holds``: nothing under it is deleted from now on."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    scope = holds.EVERYTHING if given.get("everything") else given.get("account", "").strip()
    try:
        await write(request, lambda tx: holds.place(tx, scope, given.get("reason", ""), given.get("case_number", ""), **by))
    except Refusal as refusal:
        return await _holds_page(request, refusal, given)
    return lead("/staff/holds")


async def release_hold(request: Request) -> Response:
    """``POST /staff/holds/release``: what only it kept is deleted."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    try:
        await write(request, lambda tx: holds.release(tx, given.get("hold", ""), **by))
        with stored("accounts"):
            await services(request).custody.purge()
    except Refusal as refusal:
        return await _holds_page(request, refusal)
    return lead("/staff/holds")


RULES: Final = (
    Rule("/staff/cases", "GET", "cases.view", all_cases),
    Rule("/staff/cases", "POST", "cases.change", open_case),
    Rule("/staff/cases/{case}", "GET", "cases.view", one_case),
    Rule("/staff/cases/{case}", "POST", "cases.change", step_case),
    Rule("/staff/features", "GET", "features.view", feature_registry),
    Rule("/staff/features", "POST", "features.change", assess_feature),
    Rule("/staff/features/revoke", "POST", "features.change", revoke_assessment),
    Rule("/staff/holds", "GET", "holds.view", legal_holds),
    Rule("/staff/holds", "POST", "holds.change", place_hold),
    Rule("/staff/holds/release", "POST", "holds.change", release_hold),
)
