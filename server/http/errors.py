"""Problem answers: what a client is told when a request cannot be served, and never more than that.

Every refusal is JSON ``{code, message, message_zh, temporary, detail}`` with the status of ``server.errors.CODES`` and, where it
helps, ``Retry-After``; a browser that looks for a page which is not there gets a page that says so. An unexpected error is logged
with an id, and the answer holds that id alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from server.core.address import client_address, parse_networks
from server.errors import CODES, Code, Refusal, StoreError, StoreUnknown
from server.web.views import Views

log = structlog.get_logger("http")

_BY_STATUS: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 429: "too_many_requests"}
_READ_METHODS: Final = "GET, HEAD"
_CLOSING: Final = frozenset({"too_large", "request_timeout"})
"""Refusals after which the rest of the request is not wanted: the connection is closed."""


def problem(code: Code, detail: str = "", retry_after_ms: int = 0, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for a code; a temporary one always says when to try again."""
    body: dict[str, Any] = {
        "code": code.name,
        "message": code.en,
        "message_zh": code.zh,
        "temporary": code.temporary,
        "detail": detail,
    }
    out = {"Cache-Control": "no-store", **(headers or {})}
    if code.temporary or retry_after_ms:
        out["Retry-After"] = str(max(1, -(-retry_after_ms // 1000)))
    if code.name in _CLOSING:
        out["Connection"] = "close"
    if code.http == 401:
        out["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), status_code=code.http, headers=out, media_type="application/json")


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error.code, error.detail, error.retry_after_ms)


async def _on_store_error(request: Request, error: Exception) -> Response:
    """A database that fails under a part of accounts is as temporary as one that fails under a comment."""
    name = "outcome_unknown" if isinstance(error, StoreUnknown) else "storage_unavailable"
    return problem(CODES[name], "", 1000)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    name = _BY_STATUS.get(error.status_code, "internal_error" if error.status_code >= 500 else "bad_message")
    views: Views | None = getattr(request.app.state, "views", None)
    if views is None or not _reads_pages(request):
        return problem(CODES[name], headers=error.headers)
    response = views.refusal(request, Refusal(name))
    response.headers.update({"Cache-Control": "no-store", **(error.headers or {})})
    return response


def _reads_pages(request: Request) -> bool:
    """Whether the answer is for somebody in front of a browser: programs ask for anything, or for JSON."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")


class Guard:
    """Outermost: an unexpected error becomes a problem answer with an id, and a log line with the same id.

    Every answer that does not say so itself gets ``X-Content-Type-Options: nosniff``: nothing here is to be guessed at.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start" and all(name != _NOSNIFF[0] for name, _ in message["headers"]):
                message = {**message, "headers": [*message["headers"], _NOSNIFF]}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            incident = secrets.token_hex(6)
            log.exception("request failed", incident=incident, method=scope.get("method"), path=scope.get("path"))
            if started:
                raise  # too late for an answer: uvicorn cuts the connection, so that nobody takes half for the whole
            await problem(CODES["internal_error"], f"incident {incident}")(scope, receive, watched)


class ClientAddress:
    """Puts the client's own address into the scope when the peer is one of our proxies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("client"):
            trusted = scope["app"].state.services.settings.trusted_proxies
            if trusted:
                forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
                host, port = scope["client"]
                scope["client"] = client_address(host, port, forwarded, parse_networks(trusted))
        await self._app(scope, receive, send)


class ReadCors:
    """Lets pages of the origins in ``allowed_origins`` read ``/api/rooms``: no credentials, no other method than reading."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/rooms"):
            await self._app(scope, receive, send)
            return
        allowed = scope["app"].state.services.settings.allowed_origins
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")
        extra = _cors_headers(allowed, origin)
        if scope["method"] == "OPTIONS" and origin:
            preflight = {
                "Access-Control-Allow-Methods": _READ_METHODS,
                "Access-Control-Allow-Headers": "If-None-Match, Last-Event-ID, Cache-Control",
                "Access-Control-Max-Age": "600",
            }
            granted = {**extra, **preflight} if "Access-Control-Allow-Origin" in extra else extra
            await Response(status_code=204, headers=granted)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                pairs = [(name.lower().encode(), value.encode()) for name, value in extra.items()]
                message = {**message, "headers": [*message["headers"], *pairs]}
            await send(message)

        await self._app(scope, receive, with_headers)


def _cors_headers(allowed: tuple[str, ...], origin: str) -> dict[str, str]:
    if not allowed:
        return {}
    exposed = {"Access-Control-Expose-Headers": "ETag, Retry-After"}
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*", **exposed}
    # The answer differs by origin, also for those that are not let in.
    return {"Vary": "Origin"} | ({"Access-Control-Allow-Origin": origin, **exposed} if origin in allowed else {})


handlers: Final[Mapping[Any, ExceptionHandler]] = {
    Refusal: _on_refusal,
    StoreError: _on_store_error,
    HTTPException: _on_http_exception,
}
middleware: Final = [Middleware(Guard), Middleware(ClientAddress), Middleware(ReadCors)]
