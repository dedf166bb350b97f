"""``/staff/figures``: how the desk does, as plots with their figures beside them, and the same as JSON.

All who look share one reading every few seconds. The page's script puts in the part with the figures anew; without it the page is one
of the moment.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

import msgspec
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import appeals
from server.http.requests import services
from server.http.screens import read, views
from server.http.staff_door import Rule, fragment, page
from server.http.staff_home import team_figures
from server.http.staff_item import swarm_plot, words
from server.moderation import figures, queue, team
from server.web import desk_words, plots
from server.web.plots import Series

if TYPE_CHECKING:
    from sqlalchemy import Connection

FRESH_MS: Final = 5_000
_GROUPS: Final = {
    "publish": ("publish",), "refuse": ("refuse",), "keep": ("keep",), "remove": ("remove",), "restore": ("restore",),
    "confirm": ("confirm", "differ"),
}  # fmt: skip


class Figures(msgspec.Struct, frozen=True):
    """Everything that the page shows. ``screened``: comments since the process began by what the screening made of them and the code;
    ``team``: the load of the team; ``queues``: as :func:`server.moderation.figures.standings`; the rest as the functions of that
    module."""

    at_ms: int
    queues: dict[str, Any]
    hours: list[figures.Hour]
    codes: dict[str, int]
    workers: list[figures.Worker]
    rules: list[figures.RuleFigures]
    reports: figures.Reports
    swarms: list[figures.Swarm]
    appeals: dict[str, int]
    screened: list[tuple[str, str, int]]
    team: team.Figures


class _Last:
    """The last reading, for all who look."""

    def __init__(self) -> None:
        self.read_ms = -1e9
        self.figures: Figures | None = None


async def figures_of(request: Request) -> Figures:
    """The figures, at most some seconds old. Raises Refusal ``storage_unavailable``."""
    app: Starlette = request.app
    if not hasattr(app.state, "staff_figures"):
        app.state.staff_figures = _Last()
    last: _Last = app.state.staff_figures
    steady_ms = services(request).steady_ms()
    if last.figures is None or steady_ms - last.read_ms >= FRESH_MS:
        last.figures, last.read_ms = await _read(request), steady_ms
    return last.figures


async def _read(request: Request) -> Figures:
    found = services(request)
    now_ms = found.people.clock_ms()

    def work(connection: Connection) -> dict[str, Any]:
        standings = figures.standings(connection, now_ms)
        return {
            "queues": {name: {**each.now._asdict(), "ages": each.ages} for name, each in standings.items()},
            "hours": figures.hours(connection, now_ms), "codes": figures.codes(connection, now_ms),
            "workers": figures.workers(connection, now_ms), "rules": figures.rules(connection, now_ms),
            "reports": figures.reports(connection, now_ms), "swarms": figures.swarm_graph(connection, now_ms),
        }  # fmt: skip

    def waiting(connection: Connection) -> dict[str, int]:
        return {"open": len(appeals.open_list(connection)), "late": len(appeals.overdue(connection, now_ms))}

    screened = sorted(
        ((verdict, code, count) for (verdict, code), count in found.verdicts().items()), key=lambda each: -each[2]
    )
    return Figures(
        at_ms=now_ms, appeals=await read(request, waiting), screened=screened, team=await team_figures(request),
        **await found.moderation.look(work),
    )  # fmt: skip


async def show_figures(request: Request) -> Response:
    """``GET /staff/figures``; ``part=1``: the part with the figures alone, for the page's script."""
    found = await figures_of(request)
    context = {"figures": found, "plots": drawn(request, found), **words(request)}
    if request.query_params.get("part") == "1":
        return Response(fragment(request, "staff_figures_part.html", **context), media_type="text/html")
    return await page(request, "staff_figures.html", **context)


async def figures_json(request: Request) -> Response:
    """``GET /staff/figures.json``."""
    return Response(msgspec.json.encode(await figures_of(request)), media_type="application/json")


def drawn(request: Request, found: Figures) -> dict[str, Markup]:
    """The plots, in the reader's language."""
    say = views(request).translate(request)
    zone = zoneinfo.ZoneInfo(services(request).settings.time_zone)
    hours = [f"{dt.datetime.fromtimestamp(each.start_ms / 1000, zone):%H:%M}" for each in found.hours]
    ages = [say(label) for label in desk_words.AGE_SPANS]
    by_queue = [Series(say(desk_words.QUEUES[name]), found.queues[name]["ages"]) for name in queue.QUEUES]
    made = [
        Series(say(desk_words.WHAT[name]), [sum(each.decided.get(what, 0) for what in group) for each in found.hours])
        for name, group in _GROUPS.items()
    ]
    come = [
        Series(say(desk_words.CAME), [sum(each.arrived.values()) for each in found.hours]),
        Series(say(desk_words.DECIDED), [sum(each.decided.values()) for each in found.hours]),
    ]
    by_rule = [
        Series(say(desk_words.WHAT["publish"]), [each.published for each in found.rules]),
        Series(say(desk_words.WHAT["refuse"]), [each.refused for each in found.rules]),
    ]
    refused = [each for each in found.screened if each[0] in ("refused", "held")][:12]
    return {
        "ages": plots.bars(say(desk_words.PLOTS["ages"]), say(desk_words.PLOT_NOTES["ages"]), ages, by_queue),
        "flow": plots.lines(say(desk_words.PLOTS["flow"]), say(desk_words.PLOT_NOTES["flow"]), hours, come),
        "decided": plots.bars(say(desk_words.PLOTS["decided"]), say(desk_words.PLOT_NOTES["decided"]), hours, made),
        "rules": plots.rows(
            say(desk_words.PLOTS["rules"]), say(desk_words.PLOT_NOTES["rules"]), [each.rule for each in found.rules], by_rule
        ),
        "refused": plots.rows(
            say(desk_words.PLOTS["refused"]), say(desk_words.PLOT_NOTES["refused"]), [code for _, code, _ in refused],
            [Series(say(desk_words.STATES["refused"]), [count for _, _, count in refused])],
        ),
        "swarms": swarm_plot(say(desk_words.PLOTS["swarms"]), say(desk_words.PLOT_NOTES["swarms"]), found.swarms),
    }  # fmt: skip


RULES: Final = (
    Rule("/staff/figures", "GET", "stats.view", show_figures),
    Rule("/staff/figures.json", "GET", "stats.view", figures_json),
)
