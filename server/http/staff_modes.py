"""Staff's pages of modes: of the site and of rooms, emergency terms, raids that were noticed (duty P5(5))."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from filters.importers import to_toml
from server.bases import RAIDED
from server.core.modes import ORDER
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, page
from server.moderation import modes
from server.moderation.modes import SLOW_MAX_MS, Wish
from server.reasons import OPERATION_CODES, REASONS
from server.store.base import RoomInfo
from server.web import mode_words

MINUTE_MS: Final = 60_000
TERMS: Final = {"": 0, "10m": 10 * MINUTE_MS, "30m": 30 * MINUTE_MS, "2h": 120 * MINUTE_MS, "1d": 1440 * MINUTE_MS}
ROOMS_SHOWN: Final = 100
SHOWN: Final = 20
TIERS: Final = ("hold", "reject")
CODES: Final = [REASONS[code] for code in sorted(OPERATION_CODES)]


async def overview(request: Request) -> Response:
    """``GET /staff/modes?q=``: the site's mode, raids, rooms by name; without one all, or of many those that are not open."""
    return await _overview(request)


async def _overview(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    found = services(request)
    text = request.query_params.get("q", "").strip()[:64].lower()
    rooms = found.rooms()
    if text:
        rooms = [room for room in rooms if text in room.name.lower() or text in room.title.lower()]
    elif len(rooms) > ROOMS_SHOWN:
        rooms = [room for room in rooms if _own(request, room) != "open"]
    rooms.sort(key=lambda room: (-found.viewers(room.name), room.name))
    site = await found.moderation.look(lambda sql: (modes.of_site(sql, SHOWN), modes.of_emergency(sql, SHOWN)))
    return await page(
        request, "staff_modes.html", refusal, raided=RAIDED.recorded, term=found.moderation.modes.term, decisions=site[0],
        emergencies=site[1],
        all_shown=bool(text) or len(found.rooms()) <= ROOMS_SHOWN,
        rooms=[(room, _own(request, room), found.viewers(room.name)) for room in rooms[:ROOMS_SHOWN]], text=text,
        raids=found.moderation.modes.raids(), typed=defaultdict(str, typed or {}), **_words(),
    )  # fmt: skip


def _own(request: Request, room: RoomInfo) -> str:
    return services(request).moderation.modes.own(room.name).mode


def _words() -> dict[str, Any]:
    return {"modes": ORDER, "terms": list(TERMS), "codes": CODES, "mode_words": mode_words}


async def room(request: Request) -> Response:
    """``GET /staff/modes/{room}``: a room's mode, whose it is, and its decisions."""
    return await _room_page(request)


async def _room_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    found, name = services(request), request.path_params["room"]
    info = found.room(name)
    if info is None:
        raise Refusal("room_not_found")
    decisions = await found.moderation.look(lambda sql: modes.of_room(sql, name, SHOWN))
    return await page(
        request, "staff_mode_room.html", refusal, room=info, own=found.moderation.modes.own(name), decisions=decisions,
        site=found.moderation.modes.term, viewers=found.viewers(name), typed=defaultdict(str, typed or {}),
        slow_s=info.slow_ms // 1000 or round(found.settings.slow_mode_s), **_words(),
    )  # fmt: skip


async def set_room(request: Request) -> Response:
    """``POST /staff/modes/{room}``: another mode, for a term or for good."""
    given = await read_form(request, acting(request).who)
    name = request.path_params["room"]
    try:
        await services(request).moderation.modes.set_room(
            name, wish_of(request, given), given.get("code", ""), given.get("basis", ""), **acting(request).by
        )
    except Refusal as refusal:
        return await _room_page(request, refusal, given)
    return lead(f"/staff/modes/{name}")


async def set_site(request: Request) -> Response:
    """``POST /staff/modes``: another mode of the site."""
    given = await read_form(request, acting(request).who)
    try:
        await services(request).moderation.modes.set_site(
            wish_of(request, given), given.get("code", ""), given.get("basis", ""), **acting(request).by
        )
    except Refusal as refusal:
        return await _overview(request, refusal, given)
    return lead("/staff/modes")


async def set_emergency(request: Request) -> Response:
    """``POST /staff/emergency``: emergency terms, one a line; none: they are taken out."""
    given = await read_form(request, acting(request).who)
    try:
        source = rule_file(given.get("terms", ""), given.get("tier", ""))
        await services(request).moderation.modes.emergency(
            source, given.get("code", ""), given.get("basis", ""), **acting(request).by
        )
    except Refusal as refusal:
        return await _overview(request, refusal, given)
    return lead("/staff/modes#terms")


def wish_of(request: Request, given: dict[str, str]) -> Wish:
    """The mode that a form asks for. Raises Refusal ``bad_message``."""
    mode, term = given.get("mode", ""), given.get("term", "")
    pace = given.get("slow_s", "") or "0"
    if mode not in ORDER or term not in TERMS:
        raise Refusal("bad_message", "mode, term")
    if not pace.isascii() or not pace.isdigit() or len(pace) > 6 or int(pace) * 1000 > SLOW_MAX_MS:
        raise Refusal("bad_message", f"slow_s: 0 to {SLOW_MAX_MS // 1000}")
    now_ms = services(request).now_ms()
    return Wish(mode=mode, until_ms=now_ms + TERMS[term] if term else 0, slow_ms=int(pace) * 1000)


def rule_file(text: str, tier: str) -> str:
    """The rule file of emergency terms that were typed one a line; empty for none. Raises Refusal ``bad_message``."""
    terms = [line.strip() for line in text.splitlines() if line.strip()]
    if tier not in TIERS:
        raise Refusal("bad_message", f"tier: {' or '.join(TIERS)}")
    if not terms:
        return ""
    rules = to_toml(terms, "emergency.terms", "emergency", "emergency terms", "Emergency terms")
    return rules.replace('tier = "hold"', f'tier = "{tier}"', 1)


RULES: Final = (
    Rule("/staff/modes", "GET", "modes.room", overview),
    Rule("/staff/modes", "POST", "modes.site", set_site),
    Rule("/staff/emergency", "POST", "rules.emergency", set_emergency),
    Rule("/staff/modes/{room}", "GET", "modes.room", room),
    Rule("/staff/modes/{room}", "POST", "modes.room", set_room),
)
