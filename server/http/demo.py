"""``POST /demo/token``: in demo mode, a token of a verified account for anyone who names a nickname."""

from __future__ import annotations

import secrets

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.accounts.identity import clean_nickname
from server.errors import Refusal
from server.http.requests import address, limits, read_json, services


class DemoRequest(msgspec.Struct, frozen=True):
    """The body: the nickname that is wished for."""

    nickname: str


async def token(request: Request) -> Response:
    """Answers ``{token, nickname}``; each token is an account of its own."""
    found = services(request)
    settings = found.settings
    if not settings.demo:
        raise Refusal("not_found")
    limits(request).demo_token(address(request), found.steady_ms())
    wish = await read_json(request, DemoRequest)
    try:
        nickname = clean_nickname(wish.nickname)
    except Refusal as error:
        raise Refusal("bad_message", error.detail) from None
    subject = f"demo-{secrets.token_hex(8)}"
    made = found.tokens.issue(subject, nickname, settings.demo_token_ttl_s, now_ms=found.now_ms())
    body = orjson.dumps({"token": made, "nickname": nickname})
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


routes = [Route("/demo/token", token, methods=["POST"])]
