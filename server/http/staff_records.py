"""The decision log for staff, each decision with its statement of reasons, and what two judgements of the second review differ in.

Who looks at the log leaves a line in the records of views.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import defaultdict
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.errors import Refusal
from server.http.requests import SEQ_MAX, services
from server.http.screens import lead
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, page
from server.moderation import differences, records, second, statement, swarms
from server.moderation.book import Transaction
from server.moderation.records import Query
from server.reasons import BY_AUTHOR, KEEPING_CODES, REASONS, REMOVAL_CODES, RESTORATION_CODES
from server.web import desk_words, record_words
from server.wire import page_path

_MONTH_MS: Final = 30 * 24 * 3_600_000
_DAY_MS: Final = 24 * 3_600_000
_TEXTS: Final = ("what", "code", "actor", "room", "account")


def query_of(typed: dict[str, str], zone: zoneinfo.ZoneInfo) -> Query:
    """What somebody looks for; days are of the site's zone, both included. Raises Refusal ``bad_message``."""
    numbers = {}
    for name in ("seq", "before"):
        text = typed.get(name, "").strip()
        if text and not (text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= SEQ_MAX):
            raise Refusal("bad_message", f"{name}: a whole number")
        numbers[name] = int(text or 0)
    since_ms, until_ms = (_moment(typed.get(name, ""), zone) for name in ("since", "until"))
    if typed.get("what", "") not in ("", *records.WHATS):
        raise Refusal("bad_message", "what")
    texts = {name: typed.get(name, "").strip()[:128] for name in _TEXTS}
    times = {"since_ms": since_ms, "until_ms": until_ms + _DAY_MS if until_ms else 0}
    return msgspec.convert({**texts, **numbers, **times}, Query)


def _moment(day: str, zone: zoneinfo.ZoneInfo) -> int:
    if not day:
        return 0
    try:
        return round(dt.datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone).timestamp() * 1000)
    except ValueError:
        raise Refusal("bad_message", "days: such as 2026-11-22") from None


async def listed(request: Request) -> Response:
    """``GET /staff/records``: the decision log, newest first, by what it is asked for."""
    typed = {name: text for name, text in request.query_params.items() if text and name != "lang"}
    by = acting(request).by
    zone = zoneinfo.ZoneInfo(services(request).settings.time_zone)
    refusal = None
    try:
        query = query_of(typed, zone)
    except Refusal as error:
        refusal, query = error, Query(limit=1, before=1)

    def work(tx: Transaction) -> list[Any]:
        asked = urlencode({name: text for name, text in typed.items() if name != "before"})
        tx.log_view(**by, action="records.list", subject=query.account or query.room, detail=asked)
        return records.listed(tx.sql, query)

    found = await services(request).moderation.write(work)
    older = ""
    if len(found) == records.PAGE:
        older = f"/staff/records?{urlencode({**typed, 'before': found[-1].id})}"
    return await page(
        request, "staff_records.html", refusal, found=found, asked=defaultdict(str, typed), older=older, whats=records.WHATS,
        codes=list(REASONS.values()), families=record_words.FAMILIES, desk_words=desk_words, record_words=record_words,
    )  # fmt: skip


async def one(request: Request) -> Response:
    """``GET /staff/records/{decision}``: a decision, its statement of reasons, and what belongs to it."""
    number = _number(request)
    by = acting(request).by

    def work(tx: Transaction) -> tuple[records.Context, list[swarms.Member]]:
        found = records.context(tx.sql, number)
        if found is None:
            raise Refusal("decision_not_found")
        tx.log_view(**by, action="records.view", subject=f"decision:{number}")
        swarm = swarms.of_item(tx.sql, found.decision.item) if found.decision.item else None
        return found, swarms.members(tx.sql, swarm.id) if swarm is not None else []

    found, members = await services(request).moderation.write(work)
    return await page(
        request, "staff_record.html", context=found, one=statement.of_decision(found.decision, found.source, found.reversed_by),
        members=members, page_path=page_path, desk_words=desk_words, record_words=record_words,
    )  # fmt: skip


async def second_review(request: Request) -> Response:
    """``GET /staff/second``: judgements that differ, for a senior to settle."""
    return await _second_page(request)


async def _second_page(request: Request, refusal: Refusal | None = None) -> Response:
    desk = services(request).moderation
    now_ms = services(request).now_ms()
    found = await desk.look(differences.waiting)
    rate = await desk.look(lambda sql: second.rate(sql, now_ms - _MONTH_MS, now_ms + 1))
    codes = {
        "restoring": [REASONS[code] for code in REASONS if code in RESTORATION_CODES],
        "keeping": [REASONS[code] for code in REASONS if code in KEEPING_CODES],
        "removing": [REASONS[code] for code in REASONS if code in REMOVAL_CODES - {BY_AUTHOR, "U2"}],
    }
    return await page(
        request, "staff_second.html", refusal, found=found, rate=rate, desk_words=desk_words, record_words=record_words, **codes
    )


async def settle(request: Request) -> Response:
    """``POST /staff/second``: settle a difference."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    desk = services(request).moderation
    settlement: Any = given.get("settlement", "")
    try:
        text = given.get("decision", "")
        if settlement not in differences.SETTLEMENTS or not (text.isascii() and text.isdecimal() and len(text) <= 16):
            raise Refusal("bad_message", "settlement, decision")
        await desk.write(
            lambda tx: differences.settle(tx, int(text), settlement, given.get("code", ""), given.get("basis", ""), **by)
        )
    except Refusal as refusal:
        return await _second_page(request, refusal)
    return lead("/staff/second")


def _number(request: Request) -> int:
    text = str(request.path_params["decision"])
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise Refusal("decision_not_found")
    return int(text)


RULES: Final = (
    Rule("/staff/records", "GET", "records.view", listed),
    Rule("/staff/records/{decision}", "GET", "records.view", one),
    Rule("/staff/second", "GET", "comments.restore", second_review),
    Rule("/staff/second", "POST", "comments.restore", settle),
)
