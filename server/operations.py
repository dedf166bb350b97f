"""What an operator can do, in one place: the command line calls it directly, or through the operator interface of a server.

Each request is a typed structure; each operation checks it, makes a draft, passes it through the one path, and answers with
plain data. The acting person stands in every record.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Protocol

import msgspec

from server.account_operations import AccountOperations, LocalAccountOperations
from server.account_requests import AccountRequest
from server.authority_operations import AuthorityOperations, AuthorityRequest, LocalAuthorityOperations
from server.bases import ANNOUNCED
from server.bounds import Number
from server.errors import Refusal
from server.http.services import Rules, Services
from server.mode_operations import LocalModeOperations, ModeOperations
from server.moderation import features
from server.reasons import check_removal, check_restoration
from server.review_operations import LocalReviewOperations, ReviewOperations, ReviewRequest
from server.store.base import (
    Committed,
    NoticeDraft,
    RoomInfo,
    RoomKind,
)
from server.wire import ROOM_PATTERN, page_path

TITLE_MAX_CHARS: Final = 120
ANNOUNCEMENT_MAX_CHARS: Final = 500
LIST_MAX: Final = 1000
RULES_MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest request that brings rules; 100,000 terms are about 2 MB."""

_ROOM: Final = re.compile(ROOM_PATTERN.removesuffix("$") + r"\Z", re.ASCII)
_Key = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[\x21-\x7e]*$")]


class CreateRoom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Create a room. ``video_url`` is the address of a video (http, https, or a path of this site). In a room of ``news`` each
    comment waits for an approval, whatever the mode; that stays so. ``owner`` is the account whose room it is."""

    name: str
    title: str = ""
    kind: RoomKind = "live"
    video_url: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    news: bool = False
    owner: Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[\x20-\x7e]*$")] = ""


class Announce(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tell a room something, by a code of family E. ``key`` as in :class:`Remove`."""

    room: str
    text: str
    code: str = "E4"
    basis: str = ANNOUNCED.recorded
    key: _Key = ""


class Remove(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Remove comment ``seq``. ``key`` names the request, so that a retry does nothing twice; empty: each request is new."""

    room: str
    seq: Number
    code: str
    basis: str
    key: _Key = ""


class Restore(Remove, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Restore the removed comment ``seq``, by a code of family R."""


class ReloadRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Put a rule file's text into force."""

    source: str


class RollbackRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Put the rules before the current ones into force again."""


def room_object(found: Services, info: RoomInfo) -> dict[str, Any]:
    """A room as it stands in answers. ``page`` is its newest static page; ``mode`` is the one in force, ``standing`` and ``until_ms``
    are those of the room's own."""
    return {
        "room": info.name,
        "title": info.title,
        "kind": info.kind,
        "mode": info.mode,
        "epoch": info.epoch,
        "head": info.head,
        "viewers": found.viewers(info.name),
        "created_ms": info.created_ms,
        "started_ms": info.started_ms,
        "video_url": info.video_url,
        "standing": info.standing,
        "until_ms": info.until_ms,
        "slow_ms": info.slow_ms,
        "news": info.news,
        "owner": info.owner,
        "page": page_path(info.name, info.head),
    }


class RuleOperations(Protocol):
    """The part of :class:`Operations` that is about the rules of the screening."""

    async def reload_rules(self, request: ReloadRules) -> dict[str, Any]:
        """The line of the history, when the rules are in force: ``{at_ms, hash, name, version, by, previous, what}``."""

    async def rollback_rules(self, request: RollbackRules) -> dict[str, Any]:
        """As :meth:`reload_rules`."""

    async def rules_history(self) -> list[dict[str, Any]]:
        """Which rules were in force since when, oldest first; the last are in force. Fields as in :meth:`reload_rules`."""


class Operations(RuleOperations, ModeOperations, AccountOperations, ReviewOperations, AuthorityOperations, Protocol):
    """What an operator can do. Every method raises Refusal; answers are JSON objects."""

    async def list_rooms(self) -> list[dict[str, Any]]:
        """All rooms."""

    async def history(self, room: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Events of a room with numbers after ``after``, in order, as the history interface shows them."""

    async def create_room(self, request: CreateRoom) -> dict[str, Any]:
        """The new room."""

    async def announce(self, request: Announce) -> dict[str, Any]:
        """``{room, seq, fresh}`` of the notice."""

    async def remove(self, request: Remove) -> dict[str, Any]:
        """``{room, seq, target, page, fresh}``, when the pages show the tombstone."""

    async def restore(self, request: Restore) -> dict[str, Any]:
        """``{room, seq, target, page, fresh}``, when the pages show the comment."""

    async def rebuild(self, room: str) -> dict[str, Any]:
        """Counts of what was made again."""

    async def screened(self, after: int, limit: int, action: str) -> list[dict[str, Any]]:
        """Held and refused comments with ids after ``after``; ``action`` is ``held``, ``refused`` or empty."""

    async def reports(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Reports of the public with ids after ``after``."""


class LocalRuleOperations:
    """Operations on rules of this process. ``actor`` as in :class:`LocalOperations`."""

    def __init__(self, rules: Callable[[], Rules], actor: str) -> None:
        self._rules = rules
        self._actor = actor

    async def reload_rules(self, request: ReloadRules) -> dict[str, Any]:
        return msgspec.structs.asdict(await self._rules().reload(request.source, self._actor))

    async def rollback_rules(self, request: RollbackRules) -> dict[str, Any]:
        return msgspec.structs.asdict(await self._rules().rollback(self._actor))

    async def rules_history(self) -> list[dict[str, Any]]:
        return [msgspec.structs.asdict(change) for change in await self._rules().history()]


class LocalOperations(LocalRuleOperations, LocalModeOperations):
    """Operations on the services of this process. ``actor`` is the acting person, as the system or a token names it."""

    def __init__(self, services: Services, actor: str) -> None:
        LocalRuleOperations.__init__(self, lambda: services.rules, actor)
        self._author = f"operator:{actor}"
        LocalModeOperations.__init__(self, services, {"actor": self._author, "role": "operator"})

    async def account(self, request: AccountRequest) -> Any:
        return await LocalAccountOperations(self._services, self._actor).account(request)

    async def list_rooms(self) -> list[dict[str, Any]]:
        return [room_object(self._services, info) for info in self._services.rooms()]

    async def history(self, room: str, after: int, limit: int) -> list[dict[str, Any]]:
        return [msgspec.json.decode(event) for event in await self._services.history(room, after, limit)]

    async def create_room(self, request: CreateRoom) -> dict[str, Any]:
        check_room_name(request.name)
        title = request.title.strip() or request.name
        _check_line("title", title, TITLE_MAX_CHARS)
        if request.video_url and not _VIDEO.match(request.video_url):
            raise Refusal("bad_message", "video_url: http, https, or a path of this site")
        if request.news:
            await self._services.moderation.look(
                lambda sql: features.require(sql, self._services.settings, "news_rooms", self._services.now_ms())
            )
        info = await self._services.create_room(
            request.name, title, request.kind, request.video_url, news=request.news, owner=request.owner.strip()
        )
        return room_object(self._services, info)

    async def announce(self, request: Announce) -> dict[str, Any]:
        self._room(request.room)
        text = request.text.strip()
        _check_line("text", text, ANNOUNCEMENT_MAX_CHARS)
        draft = NoticeDraft(room=request.room, author="", key="", at_ms=0, notice="announcement", text=text)
        moderation = self._services.moderation
        _, committed = await moderation.announce(draft, request.code, request.basis, request=request.key, **self._by)
        return {"room": committed.room, "seq": committed.event.seq, "fresh": committed.fresh}

    async def remove(self, request: Remove) -> dict[str, Any]:
        check_removal(request.code, request.basis)
        moderation = self._services.moderation
        _, done = await moderation.remove(
            request.room, request.seq, request.code, request.basis, request=request.key, **self._by
        )  # fmt: skip
        return _decided(request.seq, done)

    async def restore(self, request: Restore) -> dict[str, Any]:
        check_restoration(request.code, request.basis)
        moderation = self._services.moderation
        _, done = await moderation.restore(
            request.room, request.seq, request.code, request.basis, request=request.key, **self._by
        )  # fmt: skip
        return _decided(request.seq, done)

    async def review(self, request: ReviewRequest) -> Any:
        return await LocalReviewOperations(self._services.moderation, self._author).review(request)

    async def authority(self, request: AuthorityRequest) -> Any:
        return await LocalAuthorityOperations(self._services.moderation, self._author).authority(request)

    async def rebuild(self, room: str) -> dict[str, Any]:
        self._room(room)
        return {"room": room, **await self._services.rebuild(room)}

    async def screened(self, after: int, limit: int, action: str) -> list[dict[str, Any]]:
        if action not in {"", "held", "refused"}:
            raise Refusal("bad_message", "action: held or refused")
        records = await self._services.screened(after, limit, action)
        return [{**msgspec.structs.asdict(record), "verdict": _json_or_none(record.verdict)} for record in records]

    async def reports(self, after: int, limit: int) -> list[dict[str, Any]]:
        return [msgspec.structs.asdict(record) for record in await self._services.reports(after, limit)]

    def _room(self, name: str) -> RoomInfo:
        info = self._services.room(name)
        if info is None:
            raise Refusal("room_not_found")
        return info


_VIDEO: Final = re.compile(r"(https?://[^\s\"'<>\\/]|/[^/\\])[^\s\"'<>\\]*\Z|/\Z", re.IGNORECASE)


def _decided(target: int, committed: Committed) -> dict[str, Any]:
    return {
        "room": committed.room,
        "seq": committed.event.seq,
        "target": target,
        "page": page_path(committed.room, target),
        "fresh": committed.fresh,
    }


def check_room_name(name: str) -> None:
    """A room's name is safe in addresses and as a folder. Raises Refusal ``bad_message``."""
    if not _ROOM.match(name):
        raise Refusal("bad_message", "name: 1 to 64 of A-Z a-z 0-9 _ -, not starting with _ or -")


def _check_line(field: str, text: str, most: int) -> None:
    if not 1 <= len(text) <= most or not text.isprintable():
        raise Refusal("bad_message", f"{field}: 1 to {most} printable characters in one line")


def _json_or_none(data: bytes) -> Any:
    return msgspec.json.decode(data) if data else None
