"""What the screens of accounts share: pages that belong to one reader, and the step that somebody has to take next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from server.accounts.book import Transaction
from server.accounts.standing import Standing
from server.errors import Refusal, StoreError, StoreUnknown
from server.http.requests import services
from server.http.sessions import Visitor, form_token, local_path, visitor
from server.web.assets import Assets
from server.web.views import Views

if TYPE_CHECKING:
    from sqlalchemy import Connection

Handler = Callable[[Request], Awaitable[Response]]
_T = TypeVar("_T")

_PRIVATE: Final = "no-store"


def views(request: Request) -> Views:
    """The templates of the request's application."""
    state = request.app.state
    if not hasattr(state, "views"):
        state.views = Views(services(request).settings, Assets())
    found: Views = state.views
    return found


def screen(path: str, handler: Handler, *methods: str) -> Route:
    """A route whose refusals are pages; nothing of it is stored by browsers or caches."""

    async def endpoint(request: Request) -> Response:
        try:
            response = await handler(request)
        except Refusal as refusal:
            response = views(request).refusal(request, refusal)
        response.headers["Cache-Control"] = _PRIVATE
        return response

    return Route(path, endpoint, methods=list(methods) or ["GET"], name=handler.__name__)


async def show(request: Request, template: str, refusal: Refusal | None = None, **context: Any) -> HTMLResponse:
    """A page of one reader: ``form_token``, ``signed_in`` and ``problem`` are in its context. ``refusal`` is why a form came back:
    it gives the answer its status."""
    who = await visitor(request)
    token = form_token(request, who)
    response = views(request).page(
        request, template, status=refusal.code.http if refusal else 200, problem=problem(request, refusal),
        form_token=token.token, signed_in=who is not None, **context,
    )  # fmt: skip
    token.keep(request, response)
    response.headers["Cache-Control"] = _PRIVATE
    return response


def problem(request: Request, refusal: Refusal | None) -> str:
    """What a form says about a refusal, in the reader's language; empty without one."""
    if refusal is None:
        return ""
    chinese = views(request).language(request) == "zh-CN"
    text = refusal.code.zh if chinese else refusal.code.en
    if refusal.retry_after_ms:
        seconds = -(-refusal.retry_after_ms // 1000)
        text += f"（{seconds} 秒）" if chinese else f" ({seconds} s)"
    return text


def lead(path: str) -> RedirectResponse:
    """After a form was taken: lead on by GET."""
    return RedirectResponse(path, 303)


def wanted(request: Request) -> str:
    """Where the reader wants to go in the end: the query's ``return``, or the account's page."""
    return local_path(request.query_params.get("return", ""))


def with_return(path: str, return_to: str) -> str:
    """An address that leads on to ``return_to`` afterwards."""
    return path if return_to == "/account" else f"{path}?return={quote(return_to, safe='/')}"


def step(standing: Standing, required: str) -> str:
    """The page of what is still missing before the account can post as it may; empty: nothing is."""
    if not standing.verified:
        return "/account/verify"
    return "/account/agreement" if required and standing.agreement != required else ""


async def next_step(request: Request, account: str, return_to: str) -> str:
    """Where to lead somebody after one step was done: to the next one, and in the end to where they came from."""
    people = services(request).people
    standing = await people.standing(account)
    missing = step(standing, people.required)
    if not missing and standing.lesson_wanted:
        missing = "/account/lesson"
    return with_return(missing, return_to) if missing else return_to


async def read(request: Request, work: Callable[[Connection], _T]) -> _T:
    """Read the book of accounts. Raises Refusal ``storage_unavailable``."""
    try:
        return await services(request).people.book.read(work)
    except StoreError as error:
        raise Refusal("storage_unavailable", "accounts cannot be read", retry_after_ms=1000) from error


async def write(request: Request, work: Callable[[Transaction], _T]) -> _T:
    """Write into the book of accounts. Raises Refusal ``storage_unavailable``, ``outcome_unknown``, and those of ``work``."""
    try:
        return await services(request).people.book.write(work)
    except StoreUnknown as error:
        raise Refusal("outcome_unknown", retry_after_ms=1000) from error
    except StoreError as error:
        raise Refusal("storage_unavailable", "accounts cannot be written", retry_after_ms=1000) from error


async def require_page(request: Request) -> Visitor | RedirectResponse:
    """Who is signed in, or the way to sign in and back here."""
    who = await visitor(request)
    if who is not None:
        return who
    query = f"?{request.url.query}" if request.url.query else ""
    return lead(with_return("/account/sign-in", local_path(f"{request.url.path}{query}")))
