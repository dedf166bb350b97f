"""``/staff/queue``: what waits for a decision, one item with all that is needed to decide it, and decisions by forms.

Everything here works without scripts: an address or a form keeps the queue and its filters, a decision names the version of the item
that the page showed, and leads on to the next item. The script of the pages (:mod:`server.http.staff_queue_api`) does the same
without loading pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from server.accounts.staff import Action
from server.errors import Refusal
from server.http.requests import SEQ_MAX, services, whole
from server.http.screens import lead
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, authorise, page
from server.http.staff_item import Place, gather, place_of, words
from server.moderation import deciding, queue, training
from server.moderation.book import Transaction, find_decision
from server.moderation.queue import Item, Queue
from server.moderation.suggesting import KEEPING, suggest
from server.reasons import recorded_basis

if TYPE_CHECKING:
    from sqlalchemy import Connection

LISTED: Final = 25
PATH: Final = "/staff/queue"
ITEM_ACTIONS: Final[dict[Queue, Action]] = {"second": "second.decide"}
"""Queues whose items need more than deciding items in general."""


class Decided(dict[str, Any]):
    """What came of a decision: ``decisions`` their ids, ``items`` what they decided, ``changed`` the items that somebody else has got
    meanwhile."""


async def show_queue(request: Request) -> Response:
    """``GET /staff/queue``: a queue, those first that are to be decided first."""
    return await _queue_page(request)


async def _queue_page(request: Request, refusal: Refusal | None = None, place: Place | None = None) -> Response:
    place = place or place_of(request.query_params)
    after, done = whole(request, "after", 0, 0, SEQ_MAX), whole(request, "done", 0, 0, SEQ_MAX)
    moderation, me = services(request).moderation, acting(request).member.holder
    now_ms = services(request).people.clock_ms()

    def work(connection: Connection) -> dict[str, Any]:
        found = queue.listed(connection, place.queue, place.filters, now_ms, LISTED + 1, after)
        return {
            "items": found[:LISTED], "more": found[LISTED - 1].id if len(found) > LISTED else 0,
            "counts": queue.counts(connection, now_ms), "mine": len(queue.claimed(connection, me, now_ms)),
            "done": find_decision(connection, done) if done else None,
        }  # fmt: skip

    found = await moderation.look(work)
    suggested = {item.id: suggest(item) for item in found["items"]}
    return await page(
        request, "staff_queue.html", refusal, place=place, suggested=suggested, after=after, **found, **words(request)
    )


async def next_item(request: Request) -> Response:
    """``POST /staff/queue/next``: claim the next item and go to it; ``skip``: another one than this. Who has still to be trained
    is led there."""
    given = await read_form(request, acting(request).who)
    place = place_of(given)
    skip = whole_field(given, "skip")
    try:
        return await _go_on(request, place, skip=skip)
    except Refusal as refusal:
        if refusal.code.name != "training_required":
            raise
        return lead("/staff/training?needed=1")


async def _go_on(request: Request, place: Place, done: int = 0, skip: int = 0) -> Response:
    item = await claim_one(request, place, skip)
    fields = {**place.fields, **({"done": str(done)} if done else {})}
    return lead(f"{PATH}/{item.id}?{urlencode(fields)}" if item is not None else f"{PATH}?{urlencode(fields)}")


async def claim_one(request: Request, place: Place, skip: int = 0) -> Item | None:
    """The next item, claimed; None: nothing waits that could be."""
    found = acting(request)

    def work(tx: Transaction) -> Item | None:
        if not skip:
            items = queue.claim_next(tx, place.queue, found.member.holder, place.filters)
        else:
            mine = [each for each in queue.claimed(tx.sql, found.member.holder, tx.now_ms) if each.queue == place.queue]
            items = queue.claim_next(tx, place.queue, found.member.holder, place.filters, len(mine) + 1)
            items = [each for each in reversed(items) if each.id != skip]
        log_claims(tx, found.by, items[:1])
        return items[0] if items else None

    return await services(request).moderation.write(work)


def log_claims(tx: Transaction, by: dict[str, Any], items: list[Item]) -> None:
    """Who is given something to look at stands in the records."""
    if items:
        tx.log_view(**by, action="queue.claim", subject=items[0].queue, detail=" ".join(str(each.id) for each in items))


async def show_item(request: Request) -> Response:
    """``GET /staff/queue/{item}``."""
    return await _item_page(request)


async def _item_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    number, found = item_number(request), acting(request)
    done = whole(request, "done", 0, 0, SEQ_MAX)
    now_ms = services(request).people.clock_ms()

    def work(tx: Transaction) -> dict[str, Any]:
        item = queue.get(tx.sql, number)
        tx.log_view(**found.by, action="queue.view", subject=item.queue, detail=str(item.id))
        return {
            "item": item, "done": find_decision(tx.sql, done) if done else None,
            "decided": find_decision(tx.sql, item.decision) if item.decision else None,
        }  # fmt: skip

    about = await services(request).moderation.write(work)
    # Not in that transaction: counting goes through all that waits, and nothing could be decided meanwhile.
    about["counts"] = await services(request).moderation.look(lambda connection: queue.counts(connection, now_ms))
    item: Item = about.pop("item")
    place = place_of({**request.query_params, **(typed or {}), "queue": item.queue}, item.queue)
    [shown] = await gather(request, [item])
    return await page(
        request, "staff_item.html", refusal, shown=shown, place=place, typed=typed or {}, **about, **words(request)
    )


async def claim_item(request: Request) -> Response:
    """``POST /staff/queue/{item}/claim``: claim this item, or go on having it."""
    given = await read_form(request, acting(request).who)
    number, found = item_number(request), acting(request)
    try:
        await services(request).moderation.write(lambda tx: queue.claim(tx, number, found.member.holder))
    except Refusal as refusal:
        return await _item_page(request, refusal, given)
    return lead(f"{PATH}/{number}?{urlencode(place_of(given).fields)}")


async def release_items(request: Request) -> Response:
    """``POST /staff/queue/release``: give items back; ``items`` are their numbers, empty: all that one has."""
    given = await read_form(request, acting(request).who)
    me = acting(request).member.holder
    named = [int(each) for each in given.get("items", "").split(",") if each.isascii() and each.isdecimal() and len(each) <= 16]

    def work(tx: Transaction) -> None:
        queue.release(tx, named[: queue.CLAIMS_MAX] or [each.id for each in queue.claimed(tx.sql, me, tx.now_ms)], me)

    await services(request).moderation.write(work)
    return lead(f"{PATH}?{urlencode(place_of(given).fields)}")


async def decide_form(request: Request) -> Response:
    """``POST /staff/queue/{item}``: decide it, and go on to the next."""
    given = await read_form(request, acting(request).who)
    try:
        done = await decide(
            request, item_number(request), whole_field(given, "version"), given.get("act", ""), given.get("reason", ""),
            given.get("basis", ""), equal=given.get("equal") == "1",
        )  # fmt: skip
    except Refusal as refusal:
        return await _item_page(request, refusal, given)
    return await _go_on(request, place_of(given), done=done["decisions"][0])


async def decide(
    request: Request, item: int, version: int, act: str, code: str, basis: str, *, equal: bool = False
) -> Decided:  # fmt: skip
    """Decide an item: ``act`` is ``allow`` or ``stop``; ``equal``: others with an equal text as well, those that nobody else has.

    Without a basis it is the one proposed, else the code's own. Raises Refusal ``item_not_found``, ``item_taken``, ``item_changed``,
    ``bad_code``, ``training_required``, ...
    """
    if act not in ("allow", "stop"):
        raise Refusal("bad_message", "act")
    by = acting(request).by

    def work(tx: Transaction) -> Decided:
        training.check(tx.sql, by["actor"], tx.now_ms)
        found = queue.get(tx.sql, item)
        if found.queue in ITEM_ACTIONS:
            by.update(authorise(request, ITEM_ACTIONS[found.queue]))
        queue.check_version(found, version, by["actor"], tx.now_ms)
        given = KEEPING[found.queue] if act == "allow" and code[:1] != "K" else code
        verdict = verdict_of(found, act)
        proposed = suggest(found)
        words_ = recorded_basis(given, basis or (proposed.basis if given == proposed.code else ""))
        others = queue.equal(tx.sql, item) if equal and found.queue != "second" else []
        first = deciding.decide_item(tx, item, version, verdict, given, words_, **by)
        free = [(each.id, each.version) for each in others if each.holder(tx.now_ms) in ("", by["actor"])]
        made, changed = deciding.decide_many(tx, free, verdict, given, words_, **by)
        left = [each.id for each in others if each.id not in {number for number, _ in free}]
        return Decided(
            decisions=[first.id, *(each.id for each in made)], items=[item, *(each.item for each in made)],
            changed=[*changed, *left],
        )  # fmt: skip

    return await services(request).moderation.write(work)


def verdict_of(item: Item, act: str) -> deciding.Verdict:
    """What an act means in the item's queue."""
    if act == "allow":
        verdict: deciding.Verdict = "publish" if item.queue in ("held", "news") else "keep"
        return "confirm" if item.queue == "second" else verdict
    if item.queue in ("held", "news"):
        return "refuse"
    if item.queue == "second":
        return "differ"
    return "remove" if item.seq else "warn"


async def undo_form(request: Request) -> Response:
    """``POST /staff/queue/undo``: take one's last decision back, and look at the item again."""
    given = await read_form(request, acting(request).who)
    place = place_of(given)
    try:
        items = await undo(request, [whole_field(given, "decision")])
    except Refusal as refusal:
        return await _queue_page(request, refusal, place)
    return lead(f"{PATH}/{items[0].id}?{urlencode(place.fields)}")


async def undo(request: Request, decisions: list[int]) -> list[Item]:
    """Take one's own decisions back, all or none. Raises Refusal as :func:`server.moderation.deciding.undo`."""
    if not 0 < len(decisions) <= queue.EQUAL_MAX + 1:
        raise Refusal("bad_message", "decisions")
    by = acting(request).by
    return await services(request).moderation.write(lambda tx: [deciding.undo(tx, each, **by) for each in decisions])


def item_number(request: Request) -> int:
    """The number in the address. Raises Refusal ``item_not_found``."""
    return _digits(request.path_params["item"])


def whole_field(given: dict[str, str], name: str) -> int:
    """A whole number of a form; 0 for what is none."""
    text = given.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else 0


def _digits(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise Refusal("item_not_found")
    return int(text)


RULES: Final = (
    Rule(PATH, "GET", "queue.view", show_queue),
    Rule(f"{PATH}/next", "POST", "queue.decide", next_item),
    Rule(f"{PATH}/undo", "POST", "queue.decide", undo_form),
    Rule(f"{PATH}/release", "POST", "queue.decide", release_items),
    Rule(f"{PATH}/{{item}}", "GET", "queue.view", show_item),
    Rule(f"{PATH}/{{item}}", "POST", "queue.decide", decide_form),
    Rule(f"{PATH}/{{item}}/claim", "POST", "queue.decide", claim_item),
)
