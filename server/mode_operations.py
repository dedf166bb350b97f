"""What an operator can do about modes: of a room, of the site, whose a room is, and emergency terms. Part of ``server.operations``.

Each is a decision with a code of family E (:mod:`server.reasons`) and a basis; the acting person stands in the record.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol

import msgspec

from server.bounds import Whole
from server.errors import Refusal
from server.http.services import Services
from server.moderation.modes import Wish
from server.store.base import RoomMode

_Key = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[\x21-\x7e]*$")]
_Account = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[\x20-\x7e]*$")]


class SiteMode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Change the mode of the whole site: in each room the stricter of it and the room's own is in force. ``until_ms`` (Unix time;
    0: for good) ends it. ``key`` names the request, so that a retry does nothing twice; empty: each request is new."""

    mode: RoomMode
    code: str = "E4"
    basis: str = "an operation by the operator"
    until_ms: Whole = 0
    key: _Key = ""


class SetMode(SiteMode, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Change a room's mode. ``slow_ms`` is the least time between two comments of an author in slow mode (0: as it was)."""

    room: str
    slow_ms: Whole = 0


class SetOwner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Name the account whose room it is; empty: nobody's. Its owner may remove comments, protect, close and open the room."""

    room: str
    owner: _Account = ""


class EmergencyTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Put the terms of a small rule file's text beside the rules in force; empty: take them out. ``key`` as in :class:`SiteMode`."""

    source: str = ""
    code: str = "E2"
    basis: str = "emergency terms by the operator"
    key: _Key = ""


class ModeOperations(Protocol):
    """The part of ``Operations`` that is about modes. Every method raises Refusal; answers are JSON objects."""

    async def set_mode(self, request: SetMode) -> dict[str, Any]:
        """``{room, seq, fresh, decision}`` of the notice, when the pages show it."""

    async def site_mode(self, request: SiteMode) -> dict[str, Any]:
        """``{decision, mode, until_ms, standing}``: in force; the rooms' notices follow."""

    async def set_owner(self, request: SetOwner) -> dict[str, Any]:
        """``{room, owner}``."""

    async def emergency_terms(self, request: EmergencyTerms) -> dict[str, Any]:
        """``{terms, decision}``: how many emergency terms stand beside the rules now."""


class LocalModeOperations:
    """Operations on the services of this process; ``by`` names the acting person and role for records."""

    def __init__(self, services: Services, by: dict[str, str]) -> None:
        self._services = services
        self._by = by

    async def set_mode(self, request: SetMode) -> dict[str, Any]:
        wish = Wish(mode=request.mode, until_ms=request.until_ms, slow_ms=request.slow_ms)
        modes = self._services.moderation.modes
        actor, role = self._by["actor"], self._by["role"]
        decision, done = await modes.set_room(
            request.room, wish, request.code, request.basis, actor=actor, role=role, request=request.key
        )
        return {"room": done.room, "seq": done.event.seq, "fresh": done.fresh, "decision": decision.id}

    async def site_mode(self, request: SiteMode) -> dict[str, Any]:
        modes = self._services.moderation.modes
        wish = Wish(mode=request.mode, until_ms=request.until_ms)
        actor, role = self._by["actor"], self._by["role"]
        decision = await modes.set_site(wish, request.code, request.basis, actor=actor, role=role, request=request.key)
        return {"decision": decision.id, **modes.term._asdict()}

    async def set_owner(self, request: SetOwner) -> dict[str, Any]:
        if self._services.room(request.room) is None:
            raise Refusal("room_not_found")
        await self._services.set_owner(request.room, request.owner.strip())
        return {"room": request.room, "owner": request.owner.strip()}

    async def emergency_terms(self, request: EmergencyTerms) -> dict[str, Any]:
        modes = self._services.moderation.modes
        actor, role = self._by["actor"], self._by["role"]
        decision = await modes.emergency(
            request.source, request.code, request.basis, actor=actor, role=role, request=request.key
        )
        return {"terms": decision.detail["terms"], "decision": decision.id}
