"""``/staff/desk``: what the script of the queue's pages asks, so that a decision is one key and the next item is there at once.

Items come as the same HTML that the pages have, made from the same templates. Each request is JSON with the token of the page's forms
in a header; a refusal is JSON too: ``code``, ``text`` in the reader's language, ``detail``.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from server.bounds import Whole
from server.errors import Refusal
from server.http.requests import read_json, services
from server.http.screens import views
from server.http.sessions import FORM_HEADER, check_token
from server.http.staff_door import Handler, Rule, acting, fragment
from server.http.staff_item import Place, gather, place_of, words
from server.http.staff_queue import decide, log_claims, undo
from server.moderation import queue
from server.moderation.book import Transaction
from server.moderation.queue import Item

AHEAD: Final = 10
"""Items that a script may have at hand at a time."""


class Next(msgspec.Struct, frozen=True):
    """Claim more items; ``have`` are those that the script has already."""

    queue: str
    number: int = 1
    have: list[Whole] = []
    room: str = ""
    code: str = ""
    author: str = ""
    severity: str = ""
    older: str = ""


class Decide(msgspec.Struct, frozen=True):
    """A decision: as the form's fields. ``act``: ``allow`` or ``stop``."""

    item: Whole
    version: Whole
    act: str
    code: str = ""
    basis: str = ""
    equal: bool = False


class Undo(msgspec.Struct, frozen=True):
    """Take decisions back."""

    decisions: list[Whole]
    queue: str = "held"


class Keep(msgspec.Struct, frozen=True):
    """Go on having items."""

    items: list[Whole]


def json(data: Any, status: int = 200) -> Response:
    """An answer to a script."""
    return Response(orjson.dumps(data), status, media_type="application/json")


def scripted(handler: Handler) -> Handler:
    """A handler for scripts: the form's token is asked for, refusals are JSON."""

    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        try:
            check_token(request, acting(request).who, request.headers.get(FORM_HEADER, ""))
            return await handler(request)
        except Refusal as refusal:
            text = refusal.code.zh if views(request).language(request) == "zh-CN" else refusal.code.en
            return json({"code": refusal.code.name, "text": text, "detail": refusal.detail}, refusal.code.http)

    return endpoint


@scripted
async def claim_more(request: Request) -> Response:
    """``POST /staff/desk/next``: the next items, claimed, as HTML."""
    wanted = await read_json(request, Next)
    place = place_of(msgspec.structs.asdict(wanted))
    have, found = set(wanted.have[: queue.CLAIMS_MAX]), acting(request)
    number = min(len(have) + max(1, min(wanted.number, AHEAD)), queue.CLAIMS_MAX)

    def work(tx: Transaction) -> list[Item]:
        items = queue.claim_next(tx, place.queue, found.member.holder, place.filters, number)
        fresh = [each for each in items if each.id not in have]
        log_claims(tx, found.by, fresh)
        return fresh

    items = await services(request).moderation.write(work)
    return json({"items": await _rendered(request, items, place)})


@scripted
async def decide_one(request: Request) -> Response:
    """``POST /staff/desk/decide``."""
    given = await read_json(request, Decide)
    done = await decide(request, given.item, given.version, given.act, given.code, given.basis, equal=given.equal)
    return json(done)


@scripted
async def undo_last(request: Request) -> Response:
    """``POST /staff/desk/undo``: the item of the first decision waits again, and is given back as HTML."""
    given = await read_json(request, Undo)
    items = await undo(request, given.decisions)
    return json({"items": await _rendered(request, items[:1], place_of({"queue": given.queue}))})


@scripted
async def keep_items(request: Request) -> Response:
    """``POST /staff/desk/keep``: renew the leases; ``kept`` are the items that are one's own still."""
    given = await read_json(request, Keep)
    me = acting(request).member.holder
    kept = await services(request).moderation.write(lambda tx: queue.renew(tx, given.items[: queue.CLAIMS_MAX], me))
    return json({"kept": kept})


async def _rendered(request: Request, items: list[Item], place: Place) -> list[dict[str, Any]]:
    shown = await gather(request, items)
    about = words(request)
    return [
        {
            "id": each.item.id, "version": each.item.version,
            "html": fragment(request, "staff_item_part.html", shown=each, place=place, typed={}, decided=None, **about),
        }
        for each in shown
    ]  # fmt: skip


RULES: Final = (
    Rule("/staff/desk/next", "POST", "queue.decide", claim_more),
    Rule("/staff/desk/decide", "POST", "queue.decide", decide_one),
    Rule("/staff/desk/undo", "POST", "queue.decide", undo_last),
    Rule("/staff/desk/keep", "POST", "queue.decide", keep_items),
)
