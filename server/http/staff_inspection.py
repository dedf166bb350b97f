"""Inspections on staff's pages: asked for, approved, looked at within their scope, exported.

An inspector gets to nothing but these pages; what they show goes through :mod:`server.moderation.inspecting`, which records each view
before it reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from server.errors import CODES, Refusal
from server.http.requests import SEQ_MAX, services, whole
from server.http.screens import lead
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, page
from server.http.staff_forms import DAY_MS, day, names, number, stored
from server.moderation import inspection
from server.moderation.book import Transaction
from server.moderation.inspecting import PAGE_RECORDS
from server.moderation.inspection import Scope
from server.moderation.scoped import PARTS, Record
from server.web import authority_words, log_words, record_words


class Line(NamedTuple):
    """A record as a row of a table."""

    at_ms: int
    place: str
    account: str
    what: str
    code: str
    words: str
    by: str
    role: str


async def inspections(request: Request) -> Response:
    """``GET /staff/inspections``: those that the member may see."""
    return await _list_page(request)


async def _list_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    by = acting(request).by
    found = await services(request).moderation.look(inspection.listed)
    rows = [each for each in found if inspection.may_look(each, **by)]
    return await page(
        request, "staff_inspections.html", refusal, said=authority_words,
        inspections=rows,
        typed=defaultdict(str, typed or {}),
    )  # fmt: skip


async def ask_inspection(request: Request) -> Response:
    """``POST /staff/inspections``: ask for one."""
    given = await read_form(request, acting(request).who)
    moderation, by = services(request).moderation, acting(request).by
    try:
        scope = Scope(
            since_ms=day(request, given.get("since", ""), "since"), until_ms=day(request, given.get("until", ""), "until"),
            rooms=names(given.get("rooms", "")), accounts=names(given.get("accounts", "")), codes=names(given.get("codes", "")),
        )  # fmt: skip
        days = number(given.get("days", ""), "days")
        name = await moderation.write(
            lambda tx: inspection.ask(
                tx, given.get("case_number", ""), given.get("reason", ""), scope, names(given.get("inspectors", "")),
                tx.now_ms + days * DAY_MS, **by,
            )
        )  # fmt: skip
    except Refusal as refusal:
        return await _list_page(request, refusal, given)
    return lead(f"/staff/inspections/{name}")


async def one_inspection(request: Request) -> Response:
    """``GET /staff/inspections/{inspection}``: what it covers, how it stands, who looked."""
    return await _one_page(request)


async def _one_page(request: Request, refusal: Refusal | None = None) -> Response:
    name, by, moderation = request.path_params["inspection"], acting(request).by, services(request).moderation
    now_ms = services(request).people.clock_ms()

    def work(connection: Any) -> dict[str, Any]:
        found = inspection.need(connection, name)
        if not inspection.may_look(found, **by):
            raise Refusal("not_found", "no such inspection")
        answers = by["role"] != "inspector"
        return {
            "found": found, "state": found.state(now_ms), "answers": answers, "parts": PARTS,
            "views": inspection.views_of(connection, found.case_number) if answers else (),
            "exports": inspection.exports_of(connection, name) if answers else (),
        }  # fmt: skip

    return await page(
        request, "staff_inspection.html", refusal, said=authority_words, log_words=log_words, **await moderation.look(work)
    )


def _step(work: Callable[[Transaction, str, dict[str, str], dict[str, Any]], object], name: str) -> Any:
    async def handle(request: Request) -> Response:
        given = await read_form(request, acting(request).who)
        target, by = request.path_params["inspection"], acting(request).by
        try:
            await services(request).moderation.write(lambda tx: work(tx, target, given, by))
        except Refusal as refusal:
            return await _one_page(request, refusal)
        return lead(f"/staff/inspections/{target}")

    handle.__name__ = f"inspection_{name}"
    return handle


def _decide(tx: Transaction, target: str, given: dict[str, str], by: dict[str, Any]) -> None:
    inspection.decide(tx, target, given.get("outcome") == "approve", given.get("basis", ""), **by)


def _revoke(tx: Transaction, target: str, given: dict[str, str], by: dict[str, Any]) -> None:
    inspection.revoke(tx, target, given.get("basis", ""), **by)


async def inspection_part(request: Request) -> Response:
    """``GET /staff/inspections/{inspection}/{part}``: records of one kind within the scope, page by page. Recorded."""
    name, part = request.path_params["inspection"], request.path_params["part"]
    after = whole(request, "after", 0, 0, SEQ_MAX)
    with stored("inspection"):
        seen = await services(request).moderation.inspections.page(name, part, after, **acting(request).by)
    return await page(
        request, "staff_inspection_part.html", said=authority_words,
        found=seen.inspection, part=part, parts=PARTS, whats=authority_words.WHATS[part], refusals=CODES,
        roles=record_words.ROLES, after=after, more=seen.more,
        lines=[_line(record) for record in seen.records], step=PAGE_RECORDS,
    )  # fmt: skip


def _line(record: Record) -> Line:
    room, seq = record.get("room", ""), record.get("seq", 0)
    what = record.get("kind") or record.get("action") or record.get("what") or record.get("rung") or record.get("outcome", "")
    words = record.get("text") or record.get("words") or record.get("basis", "")
    if record.get("target"):
        words = f"#{record['target']} {words}"
    return Line(
        record["at_ms"], f"{room}#{seq}" if seq else room, record.get("account", ""), what, record.get("code", ""), words,
        record.get("actor", ""), record.get("role", ""),
    )  # fmt: skip


async def export_inspection(request: Request) -> Response:
    """``POST /staff/inspections/{inspection}/export``: the bundle, as a file. It is recorded before it leaves."""
    await read_form(request, acting(request).who)
    name = request.path_params["inspection"]
    try:
        with stored("inspection"):
            made = await services(request).moderation.inspections.export(name, **acting(request).by)
    except Refusal as refusal:
        return await _one_page(request, refusal)
    return FileResponse(
        made.path, media_type="application/zip", filename=made.path.name, background=BackgroundTask(made.path.unlink, True)
    )


_ONE: Final = "/staff/inspections/{inspection}"
RULES: Final = (
    Rule("/staff/inspections", "GET", "inspection.view", inspections),
    Rule("/staff/inspections", "POST", "inspection.ask", ask_inspection),
    Rule(_ONE, "GET", "inspection.view", one_inspection),
    Rule(f"{_ONE}/decide", "POST", "inspection.approve", _step(_decide, "decide")),
    Rule(f"{_ONE}/revoke", "POST", "inspection.ask", _step(_revoke, "revoke")),
    Rule(f"{_ONE}/export", "POST", "inspection.export", export_inspection),
    Rule(f"{_ONE}/{{part}}", "GET", "inspection.view", inspection_part),
)
