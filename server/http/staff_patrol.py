"""``/staff/patrol``: what is public, as it comes or as it is searched for, and what may be done about it by one act (duty P5(5)).

Whoever looks leaves a line in the desk's records, with what they looked for. A removal is a decision with its code; the last one can
be undone for a while by who made it.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import measures
from server.accounts.book import Transaction as Accounts
from server.bounds import Whole
from server.errors import Refusal
from server.http.requests import SEQ_MAX, read_json, services, whole
from server.http.screens import lead, write
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, authorise, fragment, page
from server.http.staff_item import words
from server.http.staff_live import answer, live, ticks
from server.http.staff_queue import whole_field
from server.http.staff_queue_api import json, scripted
from server.http.stream import KEEP_ALIVE, encode_message
from server.moderation import deciding
from server.moderation.book import find_decision
from server.moderation.deciding import UNDO_MS
from server.moderation.patrolling import sample
from server.moderation.suggesting import CODES
from server.reasons import recorded_basis
from server.store.found import Found, Hit, Search, What

PATH: Final = "/staff/patrol"
NEWEST: Final = 40
HITS: Final = 50
MUTE_MS: Final = 86_400_000
_QUIET_TICKS: Final = 15


class Row(NamedTuple):
    """A comment as a patrol sees it. ``state`` one of ``public removed held refused``; ``author_id`` is the public id."""

    room: str
    seq: int
    at_ms: int
    author_id: str
    author_name: str
    text: str
    state: str
    code: str
    account: str = ""


# -- looking -----------------------------------------------------------------------------------------------------------


async def patrol(request: Request) -> Response:
    """``GET /staff/patrol?room=``: the newest comments of a room, or of the whole site, and what comes (by the page's script)."""
    return await _patrol_page(request)


async def _patrol_page(request: Request, refusal: Refusal | None = None) -> Response:
    room = _room(request)
    found = await services(request).search(Search(room=room), NEWEST)
    await _log(request, "patrol.view", room or "*")
    return await _page(request, refusal, room=room, found=found, wanted=None, query={"room": room} if room else {})


async def search(request: Request) -> Response:
    """``GET /staff/patrol/search``: published comments, or those that were held or refused, by text, author, time and code."""
    given, zone = request.query_params, zoneinfo.ZoneInfo(services(request).settings.time_zone)
    what: What = "screened" if given.get("what") == "screened" else "published"
    wanted = Search(
        what=what, room=given.get("room", "").strip()[:64], text=given.get("text", "").strip()[:200],
        author=given.get("author", "").strip()[:64], code=given.get("code", "").strip()[:32],
        from_ms=_moment(given.get("from", ""), zone), until_ms=_moment(given.get("until", ""), zone),
        before=whole(request, "before", 0, 0, SEQ_MAX),
    )  # fmt: skip
    found = await services(request).search(wanted, HITS)
    query = {name: value for name, value in given.items() if value and name not in ("before", "lang", "done", "act")}
    await _log(request, "patrol.search", wanted.room or "*", urlencode(query))
    return await _page(request, None, room=wanted.room, found=found, wanted=wanted, query=query)


async def _page(
    request: Request, refusal: Refusal | None, *, room: str, found: Found, wanted: Search | None, query: dict[str, str]
) -> Response:  # fmt: skip
    done = whole(request, "done", 0, 0, SEQ_MAX)
    decision = await services(request).moderation.look(lambda connection: find_decision(connection, done)) if done else None
    return await page(
        request, "staff_patrol.html", refusal, room=room, rows=[_row_of(hit) for hit in found.hits], found=found, wanted=wanted,
        kept=query, given=request.query_params, done=decision, measure=request.query_params.get("measure", ""), **words(request),
    )  # fmt: skip


async def stream(request: Request) -> Response:
    """``GET /staff/patrol/stream?room=``: each second what became public: how many, and a fair sample of them as rows of the page."""
    room, shared = _room(request), live(request)
    await _log(request, "patrol.stream", room or "*")
    return answer(_stream(request, room), shared.open())


async def _stream(request: Request, room: str) -> AsyncGenerator[bytes, None]:
    before, quiet = _heads(request, room), 0
    about = words(request)
    async for tick in ticks(request):
        now = _heads(request, room)
        seen = sample(before, now)
        before, quiet = now, quiet + 1
        if not seen.total and quiet < _QUIET_TICKS:
            continue
        quiet = 0
        if not seen.total:
            yield KEEP_ALIVE
            continue
        rows = await _rows(request, seen.places)
        html = [fragment(request, "staff_patrol_row.html", row=row, **about) for row in rows if isinstance(row, Row)]
        removed = [row for row in rows if isinstance(row, str)]
        yield encode_message(
            "seen", orjson.dumps({"total": seen.total, "shown": len(rows), "rows": html, "removed": removed}), tick
        )  # fmt: skip


def _heads(request: Request, room: str) -> dict[str, int]:
    heads = services(request).heads()
    return {room: heads.get(room, 0)} if room else heads


async def _rows(request: Request, places: list[tuple[str, int]]) -> list[Row | str]:
    """Comments as rows; of a removal ``ROOM:NUMBER`` of the comment that it took away. Notices are none."""
    found: list[Row | str] = []
    for room, seq in places:
        events = await services(request).history(room, seq - 1, 1)
        event = orjson.loads(events[0]) if events else {}
        if event.get("kind") == "comment" and "removed" not in event:
            author = event["author"]
            found.append(Row(room, seq, event["at_ms"], author["id"], author["name"], event["text"], "public", ""))
        elif event.get("kind") == "removal":
            found.append(f"{room}:{event['target']}")
    return found


def _row_of(hit: Hit) -> Row:
    return Row(hit.room, hit.seq, hit.at_ms, hit.author_id, hit.author_name, hit.text, hit.state, hit.code, hit.author)


def _room(request: Request) -> str:
    """The room of the address, empty: all. Raises Refusal ``room_not_found``."""
    name = request.query_params.get("room", "").strip()
    if name and services(request).room(name) is None:
        raise Refusal("room_not_found")
    return name


def _moment(text: str, zone: zoneinfo.ZoneInfo) -> int:
    """A moment of a form (``2026-11-22T08:30``, in the site's time zone) as Unix ms; 0: none."""
    if not text:
        return 0
    try:
        return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Refusal("bad_message", "from, until: YYYY-MM-DDTHH:MM") from None


async def _log(request: Request, action: str, subject: str, detail: str = "") -> None:
    by = acting(request).by
    await services(request).moderation.write(lambda tx: tx.log_view(**by, action=action, subject=subject, detail=detail))


# -- acting ------------------------------------------------------------------------------------------------------------


class Act(msgspec.Struct, frozen=True):
    """One act of a patrol: ``what`` is ``remove`` or ``mute``, ``place`` the comment as ``ROOM:NUMBER``."""

    what: str
    place: str
    code: str
    basis: str = ""


class Done(msgspec.Struct, frozen=True):
    """What an act was answered with: the decision, or the measure."""

    done: Whole = 0
    measure: str = ""


async def act_form(request: Request) -> Response:
    """``POST /staff/patrol/act``: the button of a row says what is done about which comment; leads back."""
    given = await read_form(request, acting(request).who)
    what = "remove" if given.get("remove") else "mute"
    back = {name.removeprefix("q."): value for name, value in given.items() if name.startswith("q.") and value}
    try:
        done = await _act(request, Act(what, given.get(what, ""), given.get("reason", ""), given.get("basis", "")))
    except Refusal as refusal:
        if refusal.code.name == "step_up_required":
            return lead(f"/staff/confirm?return={PATH}")
        return await _patrol_page(request, refusal)
    return lead(f"{_back(given)}?{urlencode({**back, **done})}")


@scripted
async def act_script(request: Request) -> Response:
    """``POST /staff/patrol/act.json``: the same, for the page's script."""
    return json(await _act(request, await read_json(request, Act)))


async def _act(request: Request, act: Act) -> dict[str, Any]:
    """Remove the comment, or mute its author for a day. Returns what can be undone: ``done`` (a decision) or ``measure``."""
    room, _, number = act.place.rpartition(":")
    if act.what not in ("remove", "mute") or not number.isascii() or not number.isdecimal() or len(number) > 16:
        raise Refusal("bad_message", "what, place")
    if act.code not in CODES:
        raise Refusal("bad_code")
    basis = recorded_basis(act.code, act.basis)
    if act.what == "remove":
        decision, _ = await services(request).moderation.remove(room, int(number), act.code, basis, **acting(request).by)
        return {"done": decision.id}
    return {"measure": await _mute(request, room, int(number), act.code, basis)}


async def _mute(request: Request, room: str, seq: int, code: str, basis: str) -> str:
    by = authorise(request, "measures.take")
    account = await services(request).author(room, seq)
    if not account:
        raise Refusal("comment_not_found")

    def work(tx: Accounts) -> str:
        tx.open(account, origin="host", actor="host", role="host")
        return measures.take(
            tx, account, "restrict", code, basis, functions=("post",), duration_ms=MUTE_MS, room=room, seq=seq, **by
        )

    return await write(request, work)


async def undo_form(request: Request) -> Response:
    """``POST /staff/patrol/undo``: take one's own last act back."""
    given = await read_form(request, acting(request).who)
    back = {name.removeprefix("q."): value for name, value in given.items() if name.startswith("q.") and value}
    try:
        await _undo(request, whole_field(given, "decision"), given.get("measure", ""))
    except Refusal as refusal:
        return await _patrol_page(request, refusal)
    return lead(f"{_back(given)}?{urlencode(back)}")


@scripted
async def undo_script(request: Request) -> Response:
    """``POST /staff/patrol/undo.json``."""
    given = await read_json(request, Done)
    await _undo(request, given.done, given.measure)
    return json({})


async def _undo(request: Request, decision: int, measure: str) -> None:
    """Take back one's own act of the last minutes. Raises Refusal ``decision_not_found``, ``forbidden``, ``too_late``, ..."""
    by, found = acting(request).by, services(request)
    basis = recorded_basis("R1", "")
    if measure:
        by = authorise(request, "measures.take")

        def work(tx: Accounts) -> None:
            taken = measures.find(tx.sql, measure)
            if taken is None or taken.actor != by["actor"]:
                raise Refusal("measure_not_found")
            if tx.now_ms > taken.at_ms + UNDO_MS:
                raise Refusal("too_late")
            measures.lift(tx, measure, "R1", basis, **by)

        await write(request, work)
        return
    removed, back = await found.moderation.look(
        lambda connection: (find_decision(connection, decision), deciding.is_reversed(connection, decision))
    )
    if removed is None or removed.what != "remove":
        raise Refusal("decision_not_found")
    if removed.actor != by["actor"]:
        raise Refusal("forbidden", "only who decided can undo it")
    if found.people.clock_ms() > removed.at_ms + UNDO_MS:
        raise Refusal("too_late")
    if back:  # removed again since, perhaps: that is not one's own to undo
        raise Refusal("bad_step", "it was taken back before")
    await found.moderation.restore(removed.room, removed.seq, "R1", basis, **by)


def _back(given: dict[str, str]) -> str:
    return f"{PATH}/search" if given.get("from_search") == "1" else PATH


RULES: Final = (
    Rule(PATH, "GET", "patrol.view", patrol),
    Rule(f"{PATH}/search", "GET", "patrol.view", search),
    Rule(f"{PATH}/stream", "GET", "patrol.view", stream),
    Rule(f"{PATH}/act", "POST", "comments.remove", act_form),
    Rule(f"{PATH}/act.json", "POST", "comments.remove", act_script),
    Rule(f"{PATH}/undo", "POST", "comments.remove", undo_form),
    Rule(f"{PATH}/undo.json", "POST", "comments.remove", undo_script),
)
