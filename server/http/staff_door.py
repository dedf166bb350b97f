"""Who a member of staff is, and whether they may do what a route is for: asked here, before any handler runs.

Every route of staff is a :class:`Rule` with the action that it needs; there is no other way to make one. Staff have a cookie of
their own for their own paths, so what a viewer's session could do is nothing here.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from server.accounts import sessions, staff
from server.accounts.staff import Action, Member
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, problem, read, views, write
from server.http.sessions import STAFF, Jar, Visitor, drop_cookie, form_token, local_path, set_cookie, visitor
from server.reasons import REASONS
from server.web import account_words, staff_words

HOME: Final = "/staff"
CLIENT: Final = Jar("barrage_staff_client", "/staff", "strict")
Needs = Action | Literal["open", "own"]
"""``open``: anybody (signing in). ``own``: any member, for what is their own."""
Handler = Callable[[Request], Awaitable[Response]]


class Rule(NamedTuple):
    """A route of staff and what it needs."""

    path: str
    method: Literal["GET", "POST"]
    needs: Needs
    handler: Handler


class Acting(NamedTuple):
    """The member who asks, the role that allows it (``own`` routes: the first role), and the session."""

    member: Member
    role: str
    who: Visitor

    @property
    def by(self) -> dict[str, Any]:
        """As records name who acts."""
        return {"actor": self.member.holder, "role": self.role}


def acting(request: Request) -> Acting:
    """Who acts in this request; the rule of its route has let them."""
    found: Acting = request.state.acting
    return found


def may(request: Request, action: Action) -> bool:
    """Whether the member's roles allow an action, a fresh factor aside: for what a page offers."""
    return acting(request).member.role_for(action) is not None


def authorise(request: Request, action: Action) -> dict[str, Any]:
    """Who acts, for an action that only the form's content tells. Raises Refusal ``forbidden``, ``step_up_required``."""
    found = acting(request)
    now_ms = services(request).people.clock_ms()
    role = staff.authorise(found.member, action, now_ms, found.who.session.stepped_up_ms)
    return {"actor": found.member.holder, "role": role}


def route(rule: Rule) -> Route:
    """The route of a rule: nobody gets to its handler without what it needs; refusals are pages; nothing is stored by caches."""

    async def endpoint(request: Request) -> Response:
        try:
            response = await _endpoint(request, rule)
        except Refusal as refusal:
            response = views(request).refusal(request, refusal)
        response.headers["Cache-Control"] = "no-store"
        return response

    return Route(rule.path, endpoint, methods=[rule.method], name=rule.handler.__name__)


async def _endpoint(request: Request, rule: Rule) -> Response:
    if rule.needs != "open":
        found = await _member(request)
        if found is None:
            return _to_sign_in(request)
        member, who = found
        request.state.acting = Acting(member, member.roles[0], who)
        if rule.needs != "own":
            try:
                by = authorise(request, rule.needs)
            except Refusal as refusal:
                if refusal.code.name != "step_up_required":
                    raise
                return lead(f"/staff/confirm?return={quote(_page_of(request), safe='/')}")
            request.state.acting = Acting(member, by["role"], who)
    return await rule.handler(request)


async def _member(request: Request) -> tuple[Member, Visitor] | None:
    who = await visitor(request, STAFF, services(request).people.desk.policy)
    if who is None or not who.holder.startswith("staff:"):
        return None
    name = who.holder.removeprefix("staff:")
    member = await read(request, lambda connection: staff.find(connection, name))
    return (member, who) if member is not None and not member.disabled_ms else None


def _to_sign_in(request: Request) -> Response:
    if "json" in request.headers.get("content-type", ""):
        raise Refusal("sign_in_required")
    return lead(f"/staff/sign-in?return={quote(_page_of(request), safe='/')}")


def _page_of(request: Request) -> str:
    """The page that the request is for or, of a form, the one that it stands on."""
    path = request.url.path if request.method == "GET" else urlsplit(request.headers.get("referer", "")).path
    return staff_path(path)


def staff_path(text: str) -> str:
    """A path of staff's pages, or their first one."""
    path = local_path(text, HOME)
    return path if path.startswith("/staff") else HOME


async def show(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page of staff: ``me`` (None: nobody is signed in), ``may``, ``fresh`` and ``form_token`` are in its context."""
    found: Acting | None = getattr(request.state, "acting", None)
    token = form_token(request, found.who if found else None)
    people = services(request).people
    fresh = found is not None and 0 <= people.clock_ms() - found.who.session.stepped_up_ms < staff.STEP_UP_MS
    response = views(request).page(
        request, template, status=status, form_token=token.token, me=found.member if found else None, fresh=fresh,
        may=lambda action: found is not None and found.member.role_for(action) is not None, **context,
    )  # fmt: skip
    token.keep(request, response)
    return response


async def enter(request: Request, member: Member, return_to: str) -> RedirectResponse:
    """The member has proved who they are: a new session, whatever the browser came with."""
    desk = services(request).people.desk
    old = request.cookies.get(STAFF.name, "")
    cookie = await write(request, lambda tx: sessions.begin(tx, member.holder, desk.policy, previous=old, stepped_up=True))
    response = lead(return_to)
    set_cookie(request, response, STAFF, cookie, desk.policy.absolute_ms // 1000)
    set_cookie(request, response, CLIENT, desk.devices.issue(member.name), 180 * 24 * 3600)
    return response


async def step_up(request: Request, return_to: str) -> RedirectResponse:
    """The member has just proved to be there: the session gets a new value, and on to ``return_to``."""
    desk, who = services(request).people.desk, acting(request).who
    cookie = await write(request, lambda tx: sessions.renew(tx, who.cookie, desk.policy, stepped_up=True))
    response = lead(return_to if cookie is not None else "/staff/sign-in")
    if cookie is not None:
        set_cookie(request, response, STAFF, cookie, desk.policy.absolute_ms // 1000)
    return response


async def leave(request: Request) -> RedirectResponse:
    """End the session."""
    found = acting(request)
    await write(request, lambda tx: sessions.end(tx, found.member.holder, found.who.session.id))
    response = lead("/staff/sign-in")
    drop_cookie(request, response, STAFF)
    return response


def fragment(request: Request, template: str, **context: Any) -> str:
    """A part of a page of work, for its script: the context is that of :func:`page`, as far as it is the same for all parts."""
    found = acting(request)
    return views(request).fragment(
        request, template, form_token=form_token(request, found.who).token, me=found.member,
        may=lambda action: found.member.role_for(action) is not None, **_words(request), **context,
    )  # fmt: skip


def _words(request: Request) -> dict[str, Any]:
    """What templates put codes and times into words with."""
    zone = zoneinfo.ZoneInfo(services(request).settings.time_zone)

    def moment(ms: int) -> str:
        return f"{dt.datetime.fromtimestamp(ms / 1000, zone):%Y-%m-%d %H:%M}" if ms else ""

    return {"words": account_words, "staff_words": staff_words, "reasons": REASONS, "moment": moment,
            "now_ms": services(request).people.clock_ms()}  # fmt: skip


async def page(request: Request, template: str, refusal: Refusal | None = None, **context: Any) -> Response:
    """A page of work: :func:`show` with the words that its codes are put into, and why a form came back."""
    status = refusal.code.http if refusal else 200
    detail = refusal.detail if refusal else ""
    return await show(
        request, template, status=status, problem=problem(request, refusal), detail=detail, **_words(request), **context
    )
