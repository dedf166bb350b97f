"""What a page shows of an item of the queue: the text with what stopped it, the room around it, the author's record, the reports.

One reading of the desk's book for all items of a request; the neighbours of each come from the room's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from markupsafe import Markup
from starlette.requests import Request

from server.accounts.permit import LEVELS
from server.accounts.standing import Standing
from server.http.requests import services
from server.moderation import context, figures, queue, swarms
from server.moderation.book import Decision
from server.moderation.queue import Filters, Item, Queue
from server.moderation.suggesting import CODES, KEEPING, QUICK, Piece, Suggestion, pieces, suggest
from server.reasons import REASONS, recorded_basis
from server.store.found import Search
from server.web import desk_words
from server.web.plots import Tie, graph

if TYPE_CHECKING:
    from sqlalchemy import Connection

BEFORE: Final = 4
AFTER: Final = 4
"""How many comments of the room are shown around an item."""
SAID_MAX_CHARS: Final = 400
"""How much is shown of what somebody wrote with a report."""


class Neighbour(NamedTuple):
    """A comment of the room around the item. ``this``: the item itself."""

    seq: int
    at_ms: int
    name: str
    text: str
    removed: bool
    this: bool


class Said(NamedTuple):
    """What somebody wrote with a report, as far as it is shown; who it was is not."""

    at_ms: int
    reason: str
    text: str


class Shown(NamedTuple):
    """What is shown of one item. ``standing`` None: of no account, or judged blind. ``swarm`` None: it is about no group. ``said``:
    what reporters wrote, the newest first."""

    item: Item
    holder: str
    suggestion: Suggestion
    pieces: list[Piece]
    equal: context.Equal
    reports: list[context.Reported]
    record: context.Record
    earlier: list[Decision]
    swarm: figures.Swarm | None
    neighbours: list[Neighbour]
    standing: Standing | None
    said: list[Said]


class Around(NamedTuple):
    """What the book tells around an item."""

    equal: context.Equal
    reports: list[context.Reported]
    record: context.Record
    earlier: list[Decision]
    swarm: figures.Swarm | None = None
    words: Sequence[context.Words] = ()


_BLIND: Final = Around(context.Equal(0, 0, 0), [], context.Record({}, []), [])
_SWARM_SHOWN: Final = 60


async def gather(request: Request, items: Sequence[Item]) -> list[Shown]:
    """What is shown of these items. Raises Refusal ``storage_unavailable``."""
    found = services(request)
    now_ms = found.people.clock_ms()

    def work(connection: Connection) -> list[Around]:
        return [_around(connection, item, now_ms) for item in items]

    around = await found.moderation.look(work)
    rest = await asyncio.gather(*(_of_room_and_author(request, item) for item in items))
    said = await asyncio.gather(*(_said(request, book.words) for book in around))
    shown = []
    for item, book, (neighbours, standing), written in zip(items, around, rest, said, strict=True):
        suggestion = suggest(item)
        marked = pieces(item.text, suggestion.rules)
        shown.append(Shown(
            item, item.holder(now_ms), suggestion, marked, book.equal, book.reports, book.record, book.earlier, book.swarm,
            neighbours, standing, written,
        ))  # fmt: skip
    return shown


async def _said(request: Request, words: Sequence[context.Words]) -> list[Said]:
    """What stands in the log of these reports; what its term has run out for does not."""
    found = await asyncio.gather(*(services(request).reports(each.record - 1, 1) for each in words))
    reports = [report for each, rows in zip(words, found, strict=True) for report in rows if report.receipt == each.receipt]
    return [Said(each.at_ms, each.reason, _cut(each.text)) for each in reports if each.text.strip()]


def _cut(text: str) -> str:
    return text if len(text) <= SAID_MAX_CHARS else f"{text[: SAID_MAX_CHARS - 1]}…"


def _around(connection: Connection, item: Item, now_ms: int) -> Around:
    if item.queue == "second":
        return _BLIND
    return Around(
        context.equal(connection, item), context.reports(connection, item), context.record(connection, item.account, now_ms),
        context.earlier(connection, item), _swarm(connection, item) if item.queue == "swarm" else None,
        context.words(connection, item) if item.reports else (),
    )  # fmt: skip


def _swarm(connection: Connection, item: Item) -> figures.Swarm | None:
    group = swarms.of_item(connection, item.id)
    return figures.swarm_of(connection, group.id, _SWARM_SHOWN) if group is not None else None


async def _of_room_and_author(request: Request, item: Item) -> tuple[list[Neighbour], Standing | None]:
    if item.queue == "second":
        return [], None
    standing = await services(request).people.standing(item.account) if item.account else None
    return await _neighbours(request, item), standing


async def _neighbours(request: Request, item: Item) -> list[Neighbour]:
    """The comments around the item: around its number when it has one, else around the moment when it came."""
    found = services(request)
    if not item.room or found.room(item.room) is None:
        return []
    after = item.seq - 1 - BEFORE
    if not item.seq:
        before = await found.search(Search(room=item.room, until_ms=item.at_ms + 1), BEFORE)
        after = before.hits[-1].seq - 1 if before.hits else 0
        here = before.hits[0].seq if before.hits else 0
    else:
        here = item.seq - 1
    events = [orjson.loads(each) for each in await found.history(item.room, max(0, after), BEFORE + 2 * AFTER)]
    rows = [_neighbour(event, item.seq) for event in events if event["kind"] == "comment"]
    earlier, later = [row for row in rows if row.seq <= here][-BEFORE:], [row for row in rows if row.seq > here]
    if not item.seq:
        return [*earlier, Neighbour(0, item.at_ms, item.author_name, "", False, True), *later[:AFTER]]
    return [*earlier, *later[: AFTER + 1]]


def _neighbour(event: dict[str, Any], this: int) -> Neighbour:
    author = event.get("author") or {}
    return Neighbour(
        event["seq"], event["at_ms"], author.get("name", ""), event.get("text", ""), "removed" in event, event["seq"] == this
    )


def words(request: Request) -> dict[str, Any]:
    """What the templates of the desk put codes into words with, beside the words of all staff's pages."""
    return {
        "desk": desk_words, "codes": [REASONS[code] for code in CODES], "quick": QUICK, "keeping": KEEPING, "levels": LEVELS,
        "basis_of": {code: recorded_basis(code, "") for code in REASONS},
        "queues": queue.QUEUES, "ago": ago, "swarm_plot": swarm_plot,
    }  # fmt: skip


def swarm_plot(title: str, note: str, groups: Sequence[figures.Swarm]) -> Markup:
    """Groups that act together, as a graph."""
    ties, before = [], 0
    for group in groups:
        ties += [Tie(before + one, before + other, 0.6) for one, other in group.ties]
        before += len(group.accounts)
    return graph(title, note, [group.accounts for group in groups], ties)


def ago(ms: int) -> tuple[int, str]:
    """A length of time as a number and its unit, one of ``s min h d``."""
    seconds = max(0, ms) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return seconds // size, unit
    return seconds, "s"


class Place(NamedTuple):
    """Which queue somebody works on, and with which filters: kept from page to page."""

    queue: Queue
    filters: Filters

    @property
    def fields(self) -> dict[str, str]:
        """As the fields of a form and the parameters of an address; what filters nothing is left out."""
        minutes = self.filters.older_ms // 60_000
        found = {
            "queue": self.queue, "room": self.filters.room, "code": self.filters.code, "author": self.filters.author_id,
            "severity": str(self.filters.severity or ""), "older": str(minutes or ""),
        }  # fmt: skip
        return {name: value for name, value in found.items() if value}


def place_of(fields: Any, default: Queue = "held") -> Place:
    """From the parameters of an address, the fields of a form, or a script's message; what makes no sense filters nothing."""
    name = str(fields.get("queue", ""))
    kind = next((each for each in queue.QUEUES if each == name), default)
    return Place(kind, Filters(
        room=str(fields.get("room", "")).strip()[:64], code=str(fields.get("code", "")).strip()[:64],
        author_id=str(fields.get("author", "")).strip()[:64], severity=_number(fields.get("severity", ""), 100),
        older_ms=_number(fields.get("older", ""), 100_000) * 60_000,
    ))  # fmt: skip


def _number(text: Any, most: int) -> int:
    plain = str(text)
    return min(most, int(plain)) if plain.isascii() and plain.isdecimal() and len(plain) < 9 else 0
