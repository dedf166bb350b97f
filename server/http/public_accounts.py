"""``/account/public``: the way of an account to a public one, in one form, with the state it is in."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import public
from server.accounts.book import Transaction, read_entries
from server.accounts.events import Category, PublicStep
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, read, require_page, screen, show, write
from server.http.sessions import Visitor, read_form
from server.web import staff_words

WAY: Final = ("applied", "reviewed", "classified", "filed", "active")
_LIMITS: Final = {"name": public.NAME_MAX_CHARS, "purpose": public.PURPOSE_MAX_CHARS}


async def page(request: Request) -> Response:
    """``GET /account/public``."""
    who = await require_page(request)
    return await _page(request, who) if isinstance(who, Visitor) else who


async def _page(
    request: Request, who: Visitor, refusal: Refusal | None = None, typed: dict[str, str] | None = None
) -> Response:
    people = services(request).people
    now_ms = people.clock_ms()
    standing = await people.standing(who.holder)

    def work(connection: Any) -> dict[str, Any]:
        steps = [entry.event for entry in read_entries(connection, who.holder) if isinstance(entry.event, PublicStep)]
        return {"row": public.shown(connection, who.holder), "basis": steps[-1].basis if steps else ""}

    return await show(
        request, "account_public.html", refusal,
        detail=refusal.detail if refusal else "", typed=defaultdict(str, typed or {}),
        label=public.label_of(standing, now_ms), ways=WAY,
        categories=public.CATEGORIES, open=people.provider.active("public_accounts", now_ms),
        may_apply=standing.public in public.STEPS["apply"].after, may_withdraw=standing.public in public.STEPS["withdraw"].after,
        limits=_LIMITS, staff_words=staff_words, **await read(request, work),
    )  # fmt: skip


async def apply_for(request: Request) -> Response:
    """``POST /account/public``: send the application."""

    def work(tx: Transaction, account: str, given: dict[str, str]) -> None:
        category: Any = given.get("category", "")
        if category not in get_args(Category):
            raise Refusal("bad_message", "category")
        public.apply_for(
            tx, account, name=given.get("name", ""), purpose=given.get("purpose", ""), category=category,
            licence=given.get("licence", ""),
        )  # fmt: skip

    return await _change(request, work)


async def withdraw(request: Request) -> Response:
    """``POST /account/public/withdraw``."""
    return await _change(request, lambda tx, account, given: public.withdraw(tx, account))


async def _change(request: Request, work: Any) -> Response:
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    given = await read_form(request, who)
    try:
        await write(request, lambda tx: work(tx, who.holder, given))
    except Refusal as refusal:
        return await _page(request, who, refusal, given)
    return lead("/account/public")


routes = [
    screen("/account/public", page),
    screen("/account/public", apply_for, "POST"),
    screen("/account/public/withdraw", withdraw, "POST"),
]
