"""The pages of who owns a room: remove comments, protect, close and open it (duty P5(5)).

The owner is an account that the host platform, or an operator, has named. What they do is decided and recorded like what staff do,
with a code, a basis and the role ``uploader``; they open nothing that staff have closed (:mod:`server.moderation.modes`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from server.bases import PROTECTED
from server.core.modes import ORDER
from server.errors import Refusal
from server.http.requests import SEQ_MAX, services
from server.http.screens import lead, require_page, screen, show
from server.http.sessions import Visitor, read_form
from server.http.staff_modes import CODES, SHOWN, TERMS, wish_of
from server.moderation import modes
from server.moderation.modes import UPLOADER
from server.reasons import REASONS
from server.store.base import RoomInfo
from server.web import mode_words
from server.web.moments import moment_in

ROWS: Final = 100
REMOVAL_CODES: Final = ("U2", "A2")
"""By which an owner removes: their own will, shown as such, or a rule of the room. What is unlawful is reported to staff."""
_OUT: Final = frozenset({"suspend", "close", "blacklist"})


async def rooms(request: Request) -> Response:
    """``GET /account/rooms``: one's own rooms."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        return who
    own = [room for room in services(request).rooms() if room.owner == who.holder]
    return await show(request, "account_rooms.html", rooms=own, mode_words=mode_words, viewers=services(request).viewers)


async def room(request: Request) -> Response:
    """``GET /account/rooms/{room}``: a room of one's own."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        return who
    return await _page(request, who)


async def _page(
    request: Request, who: Visitor, refusal: Refusal | None = None, typed: dict[str, str] | None = None
) -> Response:
    found, info = services(request), _own(request, who)
    desk = found.moderation
    decisions, least = await desk.look(
        lambda sql: (modes.of_room(sql, info.name, SHOWN), modes.floor(sql, info.name, found.now_ms()))
    )
    events = [event for event in await found.newest(info.name, ROWS) if event.kind == "comment" and not event.removed_by]
    return await show(
        request, "account_room.html", refusal, protected=PROTECTED.recorded, room=info, own=desk.modes.own(info.name),
        site=desk.modes.term, least=least,
        decisions=decisions, comments=list(reversed(events)), typed=defaultdict(str, typed or {}),
        slow_s=info.slow_ms // 1000 or round(found.settings.slow_mode_s), detail=refusal.detail if refusal else "",
        modes=[mode for mode in ORDER if ORDER.index(mode) >= ORDER.index(least)], terms=list(TERMS), codes=CODES,
        removals=[REASONS[code] for code in REMOVAL_CODES], reasons=REASONS, mode_words=mode_words,
        moment=moment_in(found.settings.time_zone), viewers=found.viewers(info.name),
    )  # fmt: skip


async def set_mode(request: Request) -> Response:
    """``POST /account/rooms/{room}/mode``: protect, close, open."""
    who = await _owner(request)
    given = await read_form(request, who)
    try:
        await services(request).moderation.modes.set_room(
            _own(request, who).name, wish_of(request, given), given.get("code", ""), given.get("basis", ""),
            actor=who.holder, role=UPLOADER,
        )  # fmt: skip
    except Refusal as refusal:
        return await _page(request, who, refusal, given)
    return lead(f"/account/rooms/{request.path_params['room']}")


async def remove(request: Request) -> Response:
    """``POST /account/rooms/{room}/remove``: a comment of the room."""
    who = await _owner(request)
    given = await read_form(request, who)
    name = _own(request, who).name
    try:
        seq, code = given.get("seq", ""), given.get("code", "")
        if not (seq.isascii() and seq.isdigit() and 0 < int(seq) <= SEQ_MAX):
            raise Refusal("bad_message", "seq")
        if code not in REMOVAL_CODES:
            raise Refusal("bad_code", f"code: one of {', '.join(REMOVAL_CODES)}")
        await services(request).moderation.remove(name, int(seq), code, given.get("basis", ""), actor=who.holder, role=UPLOADER)
    except Refusal as refusal:
        return await _page(request, who, refusal)
    return lead(f"/account/rooms/{name}#comments")


async def _owner(request: Request) -> Visitor:
    """Who is signed in, if they may act. Raises Refusal ``sign_in_required``, ``not_verified``, ``account_suspended``."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    people = services(request).people
    standing: Any = await people.standing(who.holder)
    if not standing.verified:
        raise Refusal("not_verified")
    if any(measure.rung in _OUT for measure in standing.in_force(people.clock_ms())):
        raise Refusal("account_suspended")
    return who


def _own(request: Request, who: Visitor) -> RoomInfo:
    """The room, which is the visitor's. To others it is not there. Raises Refusal ``room_not_found``."""
    info = services(request).room(request.path_params["room"])
    if info is None or not info.owner or info.owner != who.holder:
        raise Refusal("room_not_found")
    return info


routes = [
    screen("/account/rooms", rooms),
    screen("/account/rooms/{room}", room),
    screen("/account/rooms/{room}/mode", set_mode, "POST"),
    screen("/account/rooms/{room}/remove", remove, "POST"),
]
