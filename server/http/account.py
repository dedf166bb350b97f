"""The account's own pages: how it stands and why, measures and appeals, letters, nickname, browsers; and the rules of credit."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import appeals, credit, measures, nicknames, sessions
from server.accounts.book import read_entries
from server.accounts.events import Counted, Discounted, Entry
from server.accounts.letters import Stored, listed, mark_read
from server.accounts.permit import LEVELS
from server.accounts.standing import Standing
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, read, require_page, screen, show, step, views, with_return, write
from server.http.sessions import Visitor, read_form, visitor
from server.reasons import REASONS
from server.web import account_words as words
from server.wire import page_path

if TYPE_CHECKING:
    from sqlalchemy import Connection

LETTERS_SHOWN: Final = 30
_COUNTED_SHOWN: Final = 50


class Mark(NamedTuple):
    """One thing that credit counted: what, when, its weight then, and what of it counts today."""

    what: str
    at_ms: int
    points: int
    left: int


class Sheet(NamedTuple):
    """The points, and where they come from. ``next_at``: the points of the next level, or 0 at the highest."""

    level: int
    points: int
    start: int
    earned: int
    marks: list[Mark]
    next_at: int


class Own(NamedTuple):
    """What the account's page reads in one go."""

    nickname: str
    marks: list[Entry]
    measures: list[measures.Record]
    appeals: list[appeals.Appeal]
    letters: list[Stored]
    sessions: list[sessions.Session]


def sheet(standing: Standing, entries: list[Entry], now_ms: int) -> Sheet:
    """How the level comes about, from the ledger's entries alone. Rounding happens once, in the sum."""
    today = now_ms // credit.DAY_MS
    back = {(entry.event.what, entry.event.ref) for entry in entries if isinstance(entry.event, Discounted)}
    marks = []
    for entry in reversed(entries):
        event = entry.event
        if isinstance(event, Counted) and (event.what, event.ref) not in back:
            points = credit.weight(event.what)
            rest = max(0, credit.FADE_DAYS - max(0, today - entry.at_ms // credit.DAY_MS))
            marks.append(Mark(event.what, entry.at_ms, points, round(points * rest / credit.FADE_DAYS)))
    level = standing.level(now_ms)
    return Sheet(
        level=level,
        points=credit.points(standing.marks, standing.opened_ms, now_ms),
        start=credit.START,
        earned=credit.points((), standing.opened_ms, now_ms) - credit.START,
        marks=marks[:_COUNTED_SHOWN],
        next_at=credit.LEVELS[level + 1] if level + 1 < len(credit.LEVELS) else 0,
    )


def _own(connection: Connection, account: str, now_ms: int) -> Own:
    entries = read_entries(connection, account)
    return Own(
        nickname=nicknames.current(connection, account),
        marks=[entry for entry in entries if isinstance(entry.event, Counted | Discounted)],
        measures=measures.listed(connection, account),
        appeals=appeals.of_account(connection, account),
        letters=listed(connection, account, limit=LETTERS_SHOWN),
        sessions=sessions.listed(connection, account, now_ms),
    )


async def home(request: Request) -> Response:
    """``GET /account``: everything about one's own account."""
    who = await require_page(request)
    return await _home_page(request, who) if isinstance(who, Visitor) else who


async def _home_page(
    request: Request, who: Visitor, *, refusal: Refusal | None = None, part: str = "", typed: str = "", measure: str = ""
) -> Response:
    people = services(request).people
    now_ms = people.clock_ms()
    standing = await people.standing(who.holder)
    own = await read(request, lambda connection: _own(connection, who.holder, now_ms))
    missing = step(standing, people.required)
    response = await show(
        request,
        "account.html",
        refusal,
        part=part,
        typed=typed,
        tried=measure,
        standing=standing,
        nickname=own.nickname,
        sheet=sheet(standing, own.marks, now_ms),
        measures=own.measures,
        appeals={appeal.measure.id: appeal for appeal in own.appeals},
        clauses=people.agreements.current().text(views(request).language(request)).clauses,
        letters=own.letters,
        sessions=own.sessions,
        rooms=sum(room.owner == who.holder for room in services(request).rooms()),
        session=who.session.id,
        missing=with_return(missing, "/account") if missing else "",
        words_max=appeals.WORDS_MAX_CHARS,
        page_path=page_path,
        now_ms=now_ms,
        **_words(people.settings.time_zone),
    )
    if any(not letter.read_ms for letter in own.letters):
        newest = own.letters[0].id
        await write(request, lambda tx: mark_read(tx, who.holder, newest))
    return response


def _words(time_zone: str) -> dict[str, Any]:
    """What templates need to put codes and times into words."""
    zone = zoneinfo.ZoneInfo(time_zone)

    def moment(ms: int) -> str:
        return f"{dt.datetime.fromtimestamp(ms / 1000, zone):%Y-%m-%d %H:%M}"

    return {"words": words, "reasons": REASONS, "moment": moment, "time_zone": time_zone}


async def rename(request: Request) -> Response:
    """``POST /account/nickname``: another nickname."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    wish = (await read_form(request, who)).get("nickname", "").strip()
    try:
        await services(request).people.signup.change_nickname(who.holder, wish)
    except Refusal as refusal:
        return await _home_page(request, who, refusal=refusal, part="nickname", typed=wish[:64])
    return lead("/account#nickname")


async def appeal(request: Request) -> Response:
    """``POST /account/appeals``: ask for a second look at a measure."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    fields = await read_form(request, who)
    measure, text = fields.get("measure", ""), fields.get("words", "")
    try:
        await write(request, lambda tx: appeals.file(tx, who.holder, measure, text))
    except Refusal as refusal:
        shown = text[: appeals.WORDS_MAX_CHARS]
        return await _home_page(request, who, refusal=refusal, part="appeal", typed=shown, measure=measure)
    return lead("/account#measures")


async def rules_of_credit(request: Request) -> Response:
    """``GET /account/credit``: the published rules, for anyone; with one's own sheet when signed in."""
    who = await visitor(request)
    people = services(request).people
    own = None
    if who is not None:
        now_ms = people.clock_ms()
        standing = await people.standing(who.holder)
        entries = await read(request, lambda connection: read_entries(connection, who.holder))
        own = sheet(standing, entries, now_ms)
    return await show(
        request,
        "account_credit.html",
        sheet=own,
        levels=list(zip(LEVELS, credit.LEVELS, strict=True)),
        weights=credit.WEIGHTS,
        credit=credit,
        **_words(people.settings.time_zone),
    )


routes = [
    screen("/account", home),
    screen("/account/nickname", rename, "POST"),
    screen("/account/appeals", appeal, "POST"),
    screen("/account/credit", rules_of_credit),
]
