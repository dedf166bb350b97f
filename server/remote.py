"""The operations of a running server, called from another process of the same machine through its operator interface."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from server.account_requests import AccountRequest
from server.accounts.identity import Tokens
from server.authority_operations import AuthorityRequest
from server.errors import CODES, BarrageError, Refusal
from server.mode_operations import EmergencyTerms, SetMode, SetOwner, SiteMode
from server.operations import (
    Announce,
    CreateRoom,
    ReloadRules,
    Remove,
    Restore,
    RollbackRules,
)
from server.review_operations import ReviewRequest

TIMEOUT_S: Final = 60.0
"""A removal waits for the pages, a rebuild for all of them."""
EXPORT_TIMEOUT_S: Final = 600.0
"""A bundle goes through whole logs."""
RULES_TIMEOUT_S: Final = 150.0
"""More than the server gives to the compiling of rules (``filters.book.TIMEOUT_S``)."""


class ServerUnreachable(BarrageError):
    """The server that holds the data folder does not answer, or not as it should."""


class _Problem(msgspec.Struct, frozen=True):
    code: str
    detail: str = ""


class RemoteOperations:
    """Implements ``server.operations.Operations`` over HTTP; an asynchronous context manager.

    ``tokens`` must hold the data folder's ``operator.key``. Methods raise ServerUnreachable besides Refusal.
    """

    def __init__(self, url: str, tokens: Tokens, actor: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._tokens = tokens
        self._actor = actor
        self._url = url
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, transport=transport, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def list_rooms(self) -> list[dict[str, Any]]:
        return await self._list("rooms", {})

    async def history(self, room: str, after: int, limit: int) -> list[dict[str, Any]]:
        query: dict[str, int | str] = {"after": after, "limit": limit}
        events: list[dict[str, Any]] = (await self._ask("GET", f"/api/rooms/{room}/events", query, b""))["events"]
        return events

    async def create_room(self, request: CreateRoom) -> dict[str, Any]:
        return await self._post("rooms", request)

    async def set_mode(self, request: SetMode) -> dict[str, Any]:
        return await self._post("mode", request)

    async def site_mode(self, request: SiteMode) -> dict[str, Any]:
        return await self._post("site-mode", request)

    async def set_owner(self, request: SetOwner) -> dict[str, Any]:
        return await self._post("owner", request)

    async def announce(self, request: Announce) -> dict[str, Any]:
        return await self._post("announcement", request)

    async def remove(self, request: Remove) -> dict[str, Any]:
        return await self._post("removal", request)

    async def restore(self, request: Restore) -> dict[str, Any]:
        return await self._post("restoration", request)

    async def rebuild(self, room: str) -> dict[str, Any]:
        return await self._post("rebuild", {"room": room})

    async def screened(self, after: int, limit: int, action: str) -> list[dict[str, Any]]:
        return await self._list("screened", {"after": after, "limit": limit, "action": action})

    async def reports(self, after: int, limit: int) -> list[dict[str, Any]]:
        return await self._list("reports", {"after": after, "limit": limit})

    async def reload_rules(self, request: ReloadRules) -> dict[str, Any]:
        return await self._post("rules", request, RULES_TIMEOUT_S)

    async def rollback_rules(self, request: RollbackRules) -> dict[str, Any]:
        return await self._post("rules/rollback", request, RULES_TIMEOUT_S)

    async def emergency_terms(self, request: EmergencyTerms) -> dict[str, Any]:
        return await self._post("rules/emergency", request)

    async def rules_history(self) -> list[dict[str, Any]]:
        return await self._list("rules", {})

    async def account(self, request: AccountRequest) -> Any:
        return (await self._ask("POST", "/api/operator/account", {}, msgspec.json.encode(request)))["done"]

    async def review(self, request: ReviewRequest) -> Any:
        return (await self._ask("POST", "/api/operator/review", {}, msgspec.json.encode(request)))["done"]

    async def authority(self, request: AuthorityRequest) -> Any:
        body = msgspec.json.encode(request)
        return (await self._ask("POST", "/api/operator/authority", {}, body, EXPORT_TIMEOUT_S))["done"]

    async def _list(self, path: str, query: dict[str, int | str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self._ask("GET", f"/api/operator/{path}", query, b""))[path]
        return rows

    async def _post(self, path: str, body: Any, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        return await self._ask("POST", f"/api/operator/{path}", {}, msgspec.json.encode(body), timeout_s)

    async def _ask(
        self, method: str, path: str, query: dict[str, int | str], body: bytes, timeout_s: float = TIMEOUT_S
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._tokens.issue_operator(self._actor, int(time.time() * 1000))}"}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            answer = await self._client.request(method, path, params=query, content=body, headers=headers, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise ServerUnreachable(f"the server at {self._url} does not answer ({type(error).__name__})") from None
        try:
            if answer.is_success:
                return msgspec.json.decode(answer.content, type=dict[str, Any])
            problem = msgspec.json.decode(answer.content, type=_Problem)
        except msgspec.DecodeError:
            problem = None
        if problem is None or problem.code not in CODES:
            raise ServerUnreachable(f"the server at {self._url} gave an answer that is not ours (status {answer.status_code})")
        raise Refusal(problem.code, problem.detail)
