"""The public figures, for anyone: a page for each month, the same as JSON, and the draws of the second review to be checked."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import orjson
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.errors import Refusal
from server.http.requests import services
from server.http.screens import views
from server.moderation import second
from server.reasons import REASONS
from server.web import desk_words, plots, record_words
from server.web.moments import moment_in
from server.web.plots import Series

if TYPE_CHECKING:
    from sqlalchemy import Connection

DRAWS_SHOWN: Final = 14
_REMOVED: Final = "LMPSNA"
_CACHED: Final = "public, max-age=300"
_DAY_MS: Final = 24 * 3_600_000


async def index(request: Request) -> Response:
    """``GET /transparency``: the months, and today's commitment of the second review with the draws of the last days."""
    found = services(request)
    desk = found.moderation
    now_ms = found.now_ms()
    zone = desk.publication.zone
    today, first = (second.day_of(at_ms, zone) for at_ms in (now_ms, now_ms - DRAWS_SHOWN * _DAY_MS))
    draws = await desk.look(lambda sql: second.listed(sql, first, today))
    response = views(request).page(
        request, "transparency_index.html", months=await desk.publication.months(), draws=draws[::-1],
        share=found.settings.second_review_share, time_zone=zone.key,
    )  # fmt: skip
    response.headers["Cache-Control"] = _CACHED
    return response


async def month(request: Request) -> Response:
    """``GET /transparency/{month}``: the figures of a month, with plots and as tables."""
    figures = await services(request).moderation.publication.figures(request.path_params["month"])
    translate = views(request).translate(request)
    response = views(request).page(
        request, "transparency_month.html", figures=figures, plots=_plots(figures, translate), reasons=REASONS,
        families=record_words.FAMILIES, removed=_REMOVED, record_words=record_words, desk_words=desk_words,
        moment=moment_in(services(request).settings.time_zone),
    )  # fmt: skip
    response.headers["Cache-Control"] = _CACHED
    return response


async def month_data(request: Request) -> Response:
    """``GET /transparency/{month}.json``: the same as data."""
    figures = await services(request).moderation.publication.figures(request.path_params["month"])
    return _json(_encode(figures))


async def draw(request: Request) -> Response:
    """``GET /transparency/draws/{day}.json``: everything that is needed to repeat a draw, and what it chose.

    A day has many lines, and anybody may ask: it is put together in a reader's thread, one at a time.
    """
    desk = services(request).moderation
    day = request.path_params["day"]
    try:
        start_ms, end_ms = second.span_of(dt.date.fromisoformat(day).isoformat(), desk.publication.zone)
    except ValueError:
        raise Refusal("not_found", "no such day") from None

    def work(connection: Connection) -> bytes:
        found = second.find(connection, day)
        if found is None:
            raise Refusal("not_found", "no draw of this day")
        body: dict[str, Any] = {"day": day, "time_zone": desk.publication.zone.key, "share": found.share,
                                "commitment": found.commitment, "drawn_ms": found.drawn_ms}  # fmt: skip
        if found.drawn_ms:
            lines = second.lines(connection, start_ms, end_ms)
            numbers = [int(line.split(" ", 1)[0]) for line in lines]
            chosen = [each for each in numbers if second.is_chosen(found.seed, found.digest, each, found.share)]
            body |= {"seed": found.seed, "digest": found.digest, "lines": lines, "chosen": chosen}
        return _encode(body)

    async with desk.publication.checking:
        return _json(await desk.look(work))


def _plots(figures: dict[str, Any], translate: Callable[[str], str]) -> dict[str, Markup]:
    """The pictures of a month. Each has its figures in a table on the page."""
    days = figures["days"]
    labels = [each["day"][8:] for each in days]
    sums: Counter[str] = Counter()
    for each in days:
        sums.update(each["removed"])
    shown = [family for family in _REMOVED if sums[family]]
    by_family = [
        Series(translate(record_words.FAMILIES[family]), [each["removed"].get(family, 0) for each in days]) for family in shown
    ]
    words = {name: translate(text) for name, text in record_words.PLOTS.items()}
    waits = figures["waiting_minutes"]
    names = [translate(desk_words.QUEUES[name]) if name in desk_words.QUEUES else name for name in waits]
    nothing = [Series(words["removed"], [0] * len(labels))]
    return {
        "removed": plots.bars(words["removed"], words["removed_about"], labels, by_family or nothing),
        "kept": plots.lines(words["kept"], words["kept_about"], labels, [Series(words["kept"], [each["kept"] for each in days])]),
        "waits": plots.bars(
            words["waits"], words["waits_about"], names, [Series(words["waits"], [each["median"] for each in waits.values()])]
        ),
    }  # fmt: skip


def _encode(body: dict[str, Any]) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def _json(data: bytes) -> Response:
    headers = {"Cache-Control": _CACHED, "Access-Control-Allow-Origin": "*"}
    return Response(data, headers=headers, media_type="application/json")


def _route(path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    """A route whose refusals are pages."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return views(request).refusal(request, refusal)

    return Route(path, endpoint, name=handler.__name__)


routes: Final[list[BaseRoute]] = [
    _route("/transparency", index),
    Route("/transparency/draws/{day}.json", draw),
    Route("/transparency/{month}.json", month_data),
    _route("/transparency/{month}", month),
]
