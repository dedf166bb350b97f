"""``/api/operator``: the operations of ``server.operations`` over HTTP, for the command line of the same machine or an operator's
own tools.

Every request carries ``Authorization: Bearer`` with a token signed by ``operator.key`` (audience ``barrage-operator``, at most 60
seconds old); there are no cookies, so no other site can make a browser ask for anything here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.account_requests import AccountRequest
from server.authority_operations import AuthorityRequest
from server.errors import Refusal
from server.http.requests import SEQ_MAX, read_json, services, whole
from server.mode_operations import EmergencyTerms, SetMode, SetOwner, SiteMode
from server.operations import (
    LIST_MAX,
    RULES_MAX_BYTES,
    Announce,
    CreateRoom,
    LocalOperations,
    ReloadRules,
    Remove,
    Restore,
    RollbackRules,
)
from server.review_operations import ReviewRequest

log = structlog.get_logger("operator")

_T = TypeVar("_T")


class RebuildRoom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Make the pages of a room again."""

    room: str


def _operations(request: Request) -> LocalOperations:
    """The operations of the person that the token names. Raises Refusal ``bad_token``, ``token_expired``."""
    found = services(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal("bad_token", "Authorization: Bearer with an operator's token")
    return LocalOperations(found, found.tokens.verify_operator(token.strip(), found.now_ms()))


def _answer(data: Any) -> Response:
    return Response(orjson.dumps(data), media_type="application/json", headers={"Cache-Control": "no-store"})


def _command(
    kind: type[_T], run: Callable[[LocalOperations, _T], Awaitable[dict[str, Any]]], limit: int = 0
) -> Callable[[Request], Awaitable[Response]]:
    """A handler: who asks, what for (in at most ``limit`` bytes; 0: by the settings), do it, and leave a line in the log."""

    async def handle(request: Request) -> Response:
        operations = _operations(request)
        body = await read_json(request, kind, limit)
        done = await run(operations, body)
        log.info(
            "operation", operation=kind.__name__, room=getattr(body, "room", getattr(body, "name", "")), seq=done.get("seq")
        )
        return _answer(done)

    return handle


async def _screened(request: Request) -> Response:
    operations = _operations(request)
    after, limit = whole(request, "after", 0, 0, SEQ_MAX), whole(request, "limit", 100, 1, LIST_MAX)
    return _answer({"screened": await operations.screened(after, limit, request.query_params.get("action", ""))})


async def _reports(request: Request) -> Response:
    operations = _operations(request)
    after, limit = whole(request, "after", 0, 0, SEQ_MAX), whole(request, "limit", 100, 1, LIST_MAX)
    return _answer({"reports": await operations.reports(after, limit)})


async def _rooms(request: Request) -> Response:
    return _answer({"rooms": await _operations(request).list_rooms()})


async def _rules(request: Request) -> Response:
    return _answer({"rules": await _operations(request).rules_history()})


async def _account(request: Request) -> Response:
    """All operations on accounts: the body says which."""
    operations = _operations(request)
    body: Any = await read_json(request, AccountRequest)  # type: ignore[arg-type] # a union is a type to msgspec
    done = await operations.account(body)
    log.info("operation", operation=type(body).__name__)
    return _answer({"done": done})


async def _review(request: Request) -> Response:
    """All operations at the review desk: the body says which."""
    operations = _operations(request)
    body: Any = await read_json(request, ReviewRequest)  # type: ignore[arg-type] # a union is a type to msgspec
    done = await operations.review(body)
    log.info("operation", operation=type(body).__name__)
    return _answer({"done": done})


async def _authority(request: Request) -> Response:
    """All operations on inspections, findings, cases and assessments: the body says which."""
    operations = _operations(request)
    body: Any = await read_json(request, AuthorityRequest)  # type: ignore[arg-type] # a union is a type to msgspec
    done = await operations.authority(body)
    log.info("operation", operation=type(body).__name__)
    return _answer({"done": done})


def _post(path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(f"/api/operator/{path}", handler, methods=["POST"])


routes = [
    Route("/api/operator/rooms", _rooms, methods=["GET"]),
    Route("/api/operator/screened", _screened, methods=["GET"]),
    Route("/api/operator/reports", _reports, methods=["GET"]),
    Route("/api/operator/rules", _rules, methods=["GET"]),
    _post("rooms", _command(CreateRoom, LocalOperations.create_room)),
    _post("mode", _command(SetMode, LocalOperations.set_mode)),
    _post("site-mode", _command(SiteMode, LocalOperations.site_mode)),
    _post("owner", _command(SetOwner, LocalOperations.set_owner)),
    _post("announcement", _command(Announce, LocalOperations.announce)),
    _post("removal", _command(Remove, LocalOperations.remove)),
    _post("restoration", _command(Restore, LocalOperations.restore)),
    _post("rebuild", _command(RebuildRoom, lambda operations, body: operations.rebuild(body.room))),
    _post("account", _account),
    _post("review", _review),
    _post("authority", _authority),
    _post("rules", _command(ReloadRules, LocalOperations.reload_rules, RULES_MAX_BYTES)),
    _post("rules/rollback", _command(RollbackRules, LocalOperations.rollback_rules)),
    _post("rules/emergency", _command(EmergencyTerms, LocalOperations.emergency_terms)),
]
