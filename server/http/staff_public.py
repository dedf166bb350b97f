"""Staff's pages for public accounts and licences: each step of the way, approvals, the table for the authority."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import licences, public
from server.accounts.book import Transaction
from server.accounts.events import Category, PublicAction, Topic
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, read, write
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, page

# -- public accounts ---------------------------------------------------------------------------------------------------


async def publics(request: Request) -> Response:
    """``GET /staff/public``: applications and public accounts."""
    return await _public_page(request)


async def _public_page(request: Request, refusal: Refusal | None = None) -> Response:
    def work(tx: Transaction) -> dict[str, Any]:
        tx.log_access(**acting(request).by, action="public.view")
        rows = public.listed(tx.sql)
        return {"rows": [(each, tx.standing(each.account)) for each in rows]}

    return await page(
        request, "staff_public.html", refusal, categories=public.CATEGORIES, steps=public.STEPS, topics=public.TOPICS[1:],
        actions=public.ACTIONS, **await write(request, work),
    )  # fmt: skip


def _public(work: Callable[[Transaction, str, dict[str, str], dict[str, Any]], None], name: str) -> Any:
    """The handler of one step: ``work(tx, account, the form's fields, who acts)``."""

    async def handle(request: Request) -> Response:
        given = await read_form(request, acting(request).who)
        target, by = request.path_params["account"], acting(request).by
        try:
            given["until_ms"] = str(_day(request, given["until"]) if given.get("until") else 0)
            await write(request, lambda tx: work(tx, target, given, by))
        except Refusal as refusal:
            return await _public_page(request, refusal)
        return lead(f"/staff/public#{target}")

    handle.__name__ = f"public_{name}"
    return handle


def _classify(tx: Transaction, target: str, given: dict[str, str], by: dict[str, Any]) -> None:
    category: Any = given.get("category", "")
    if category not in get_args(Category):
        raise Refusal("bad_message", "category")
    public.classify(tx, target, category, given.get("basis", ""), label=given.get("label", ""), **by)


def _approve(tx: Transaction, target: str, given: dict[str, str], by: dict[str, Any]) -> None:
    action: Any = given.get("action", "")
    topic: Any = given.get("topic", "")
    if action not in get_args(PublicAction) or topic not in get_args(Topic):
        raise Refusal("bad_message", "action, topic")
    until_ms = int(given["until_ms"])
    granted = given.get("granted", "yes") == "yes"
    public.approve(tx, target, action, topic, given.get("basis", ""), until_ms=until_ms, granted=granted, **by)


def _advance(step: str) -> Callable[[Transaction, str, dict[str, str], dict[str, Any]], None]:
    return lambda tx, target, given, by: public.advance(tx, target, step, given.get("basis", ""), **by)


async def filing(request: Request) -> Response:
    """``GET /staff/public/filing.csv``: what is to be filed with the authority."""

    def work(tx: Transaction) -> list[dict[str, Any]]:
        tx.log_access(**acting(request).by, action="public.export")
        return public.filing(tx.sql)

    body = "\ufeff" + public.filing_csv(await write(request, work))
    headers = {"Content-Disposition": 'attachment; filename="filing.csv"'}
    return Response(body.encode(), media_type="text/csv; charset=utf-8", headers=headers)


# -- licences ----------------------------------------------------------------------------------------------------------


async def all_licences(request: Request) -> Response:
    """``GET /staff/licences``."""
    return await _licences_page(request)


async def _licences_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    now_ms = services(request).people.clock_ms()
    rows = await read(request, lambda connection: licences.listed(connection, now_ms))
    return await page(
        request, "staff_licences.html", refusal, licences=rows, features=licences.FEATURES, typed=defaultdict(str, typed or {})
    )


async def add_licence(request: Request) -> Response:
    """``POST /staff/licences``: enter a licence."""
    given = await read_form(request, acting(request).who)
    try:
        begins, ends = _day(request, given.get("from", "")), _day(request, given.get("until", ""))
        features = tuple(each for each in licences.FEATURES if given.get(f"feature.{each}"))
        await write(
            request,
            lambda tx: licences.record(
                tx, holder=given.get("holder", "").strip(), kind=given.get("kind", ""), number=given.get("number", ""),
                issuer=given.get("issuer", ""), features=features, valid_from_ms=begins, valid_until_ms=ends,
                **acting(request).by,
            ),
        )  # fmt: skip
    except Refusal as refusal:
        return await _licences_page(request, refusal, given)
    await services(request).people.read_licences()
    return lead("/staff/licences")


async def revoke_licence(request: Request) -> Response:
    """``POST /staff/licences/revoke``."""
    given = await read_form(request, acting(request).who)
    try:
        await write(
            request,
            lambda tx: licences.revoke(tx, given.get("licence", ""), given.get("basis", ""), **acting(request).by),
        )
    except Refusal as refusal:
        return await _licences_page(request, refusal)
    await services(request).people.read_licences()
    return lead("/staff/licences")


def _day(request: Request, text: str) -> int:
    """The begin of a day where the site is, as Unix ms: the day of a licence's paper. Raises Refusal ``bad_message``."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise Refusal("bad_message", "day: YYYY-MM-DD") from None
    zone = zoneinfo.ZoneInfo(services(request).settings.time_zone)
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _step(step: str, needs: Any, work: Any) -> Rule:
    return Rule(f"/staff/public/{{account}}/{step}", "POST", needs, _public(work, step))


RULES: Final = (
    Rule("/staff/public", "GET", "public.view", publics),
    Rule("/staff/public/filing.csv", "GET", "public.file", filing),
    *(_step(name, public.STEPS[name].action, _advance(name)) for name in ("review", "reject", "activate", "lapse", "revoke")),
    _step("classify", "public.classify", _classify),
    _step("file", "public.file", lambda tx, target, given, by: public.file(tx, target, given.get("number", ""), **by)),
    _step("approve", "public.approve", _approve),
    Rule("/staff/licences", "GET", "licences.view", all_licences),
    Rule("/staff/licences", "POST", "licences.change", add_licence),
    Rule("/staff/licences/revoke", "POST", "licences.change", revoke_licence),
)
