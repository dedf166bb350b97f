"""``/staff/team``: seats, the week's shifts with who attended them, and the load of the team; the figures as JSON, too."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import staff
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, read
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, page
from server.http.staff_forms import number
from server.moderation import queue, team
from server.moderation.team import Attended
from server.web import desk_words, team_words

if TYPE_CHECKING:
    from sqlalchemy import Connection

PATH: Final = "/staff/team"
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z", re.ASCII)


class Cell(NamedTuple):
    """A shift in the table of the week. ``span`` is its hours in the site's time; ``state`` a key of the words of shifts."""

    found: Attended
    span: str
    state: str


class Week(NamedTuple):
    """A week: its days, and for each member the shifts that begin on each of them."""

    days: list[dt.date]
    before: str
    after: str
    rows: list[tuple[str, list[list[Cell]]]]


async def show_team(request: Request) -> Response:
    """``GET /staff/team``; ``week``: any day of it."""
    return await _team_page(request)


async def _team_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    found = services(request)
    now_ms, zone = found.people.clock_ms(), zoneinfo.ZoneInfo(found.settings.time_zone)
    today = dt.datetime.fromtimestamp(now_ms / 1000, zone).date()
    day = _day((typed or {}).get("week") or request.query_params.get("week", ""), today)
    monday = day - dt.timedelta(days=day.weekday())
    first, end = _ms(monday, "00:00", zone), _ms(monday + dt.timedelta(days=7), "00:00", zone)

    def work(connection: Connection) -> tuple[team.Figures, dict[str, int], list[Attended]]:
        shifts = [each for each in team.shifts(connection, first, end) if each.from_ms >= first]
        attended = team.attended(connection, shifts, now_ms, found.settings.team_absent_min * 60_000)
        return team.figures(connection, found.settings, now_ms), team.committed(connection), attended

    figures, seats, attended = await found.moderation.look(work)
    members = [each for each in await read(request, staff.listed) if each.role_for("queue.decide") and not each.disabled_ms]
    return await page(
        request, "staff_team.html", refusal, figures=figures, seats=seats, week=_week(monday, attended, now_ms, zone), today=today,
        members=members, queues=queue.QUEUES, desk=desk_words, said=team_words, typed=defaultdict(str, typed or {}),
    )  # fmt: skip


async def team_json(request: Request) -> Response:
    """``GET /staff/team.json``: the load; what nobody can be there for is ``null`` with ``over`` true."""
    found = services(request)
    now_ms = found.people.clock_ms()
    figures = await found.moderation.look(lambda connection: team.figures(connection, found.settings, now_ms))
    body = {**msgspec.to_builtins(figures), "alarm": figures.alarm}
    return Response(msgspec.json.encode(body), media_type="application/json")


async def change_seats(request: Request) -> Response:
    """``POST /staff/team/seats``: how many reviewers there are to be at a time."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    try:
        wanted = number(given.get("number", ""), "number")
        await services(request).moderation.write(lambda tx: team.commit_seats(tx, given.get("queue", ""), wanted, **by))
    except Refusal as refusal:
        return await _team_page(request, refusal, given)
    return lead(PATH)


async def plan_shift(request: Request) -> Response:
    """``POST /staff/team/shifts``: plan one, or with ``days`` the same on several days in a row; all or none."""
    given = await read_form(request, acting(request).who)
    by, zone = acting(request).by, zoneinfo.ZoneInfo(services(request).settings.time_zone)
    try:
        name = given.get("member", "")
        member = await read(request, lambda connection: staff.find(connection, name))
        if member is None or member.disabled_ms or not member.role_for("queue.decide"):
            raise Refusal("bad_message", "member: somebody who may decide items")
        first, days = _day(given.get("day", ""), None), number(given.get("days", "") or "1", "days")
        if not 1 <= days <= 31:
            raise Refusal("bad_message", "days: 1 to 31")
        spans = [_span(first + dt.timedelta(days=each), given, zone) for each in range(days)]
        await services(request).moderation.write(
            lambda tx: [team.plan(tx, member.holder, low, high, given.get("queue", ""), **by) for low, high in spans]
        )
    except Refusal as refusal:
        return await _team_page(request, refusal, given)
    return lead(f"{PATH}?week={first.isoformat()}")


async def cancel_shift(request: Request) -> Response:
    """``POST /staff/team/shifts/cancel``."""
    given = await read_form(request, acting(request).who)
    by = acting(request).by
    try:
        shift = number(given.get("shift", ""), "shift")
        await services(request).moderation.write(lambda tx: team.cancel(tx, shift, **by))
    except Refusal as refusal:
        return await _team_page(request, refusal, given)
    week = _day(given.get("week", ""), dt.date(1970, 1, 1))
    return lead(f"{PATH}?week={week.isoformat()}" if week.year > 1970 else PATH)


def _span(day: dt.date, given: dict[str, str], zone: zoneinfo.ZoneInfo) -> tuple[int, int]:
    """Begin and end as Unix ms; an end that is not after the begin is one of the next day."""
    begin, end = given.get("from", ""), given.get("until", "")
    if not _TIME.match(begin) or not _TIME.match(end):
        raise Refusal("bad_message", "from, until: HH:MM")
    return _ms(day, begin, zone), _ms(day + dt.timedelta(days=end <= begin), end, zone)


def _week(monday: dt.date, found: list[Attended], now_ms: int, zone: zoneinfo.ZoneInfo) -> Week:
    days = [monday + dt.timedelta(days=each) for each in range(7)]
    rows: dict[str, list[list[Cell]]] = {}
    for each in found:
        begin = dt.datetime.fromtimestamp(each.shift.from_ms / 1000, zone)
        end = dt.datetime.fromtimestamp(each.shift.until_ms / 1000, zone)
        cells = rows.setdefault(each.shift.member.removeprefix("staff:"), [[] for _ in days])
        cells[(begin.date() - monday).days].append(Cell(each, f"{begin:%H:%M}–{end:%H:%M}", _state(each, now_ms)))
    week = dt.timedelta(days=7)
    return Week(days, (monday - week).isoformat(), (monday + week).isoformat(), sorted(rows.items()))


def _state(each: Attended, now_ms: int) -> str:
    if each.shift.from_ms > now_ms:
        return "coming"
    if each.shift.on(now_ms):
        return "absent" if each.absent else "on"
    return "attended" if each.attended else "missed"


def _day(text: str, default: dt.date | None) -> dt.date:
    """A day as it was typed; the default for what is none. Raises Refusal ``bad_message`` when there is no default."""
    try:
        found = dt.date.fromisoformat(text)
        if 2000 <= found.year <= 9000:
            return found
    except ValueError:
        pass
    if default is None:
        raise Refusal("bad_message", "day: YYYY-MM-DD")
    return default


def _ms(day: dt.date, time: str, zone: zoneinfo.ZoneInfo) -> int:
    hours, minutes = map(int, time.split(":"))
    return round(dt.datetime(day.year, day.month, day.day, hours, minutes, tzinfo=zone).timestamp() * 1000)


RULES: Final = (
    Rule(PATH, "GET", "stats.view", show_team),
    Rule(f"{PATH}.json", "GET", "stats.view", team_json),
    Rule(f"{PATH}/seats", "POST", "shifts.change", change_seats),
    Rule(f"{PATH}/shifts", "POST", "shifts.change", plan_shift),
    Rule(f"{PATH}/shifts/cancel", "POST", "shifts.change", cancel_shift),
)
