"""What an operator can do at the review desk without its pages: see the queues, decide an item, take a decision back.

Like the operations on accounts, the requests are one tagged union (``op``), so the operator interface has one route for all of
them and the command line one call. Answers are JSON objects or lists of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Protocol

import msgspec
from msgspec import Meta

from server.bounds import WHOLE_MAX, Whole
from server.errors import Refusal
from server.moderation import deciding, queue, records
from server.moderation.book import Transaction
from server.moderation.deciding import Verdict
from server.moderation.moderation import Moderation
from server.moderation.queue import Filters, Item, Queue
from server.moderation.records import Query

ROLE: Final = "operator"
LIST_MAX: Final = 1000


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="op"):
    pass


class ListQueue(_Request, frozen=True, kw_only=True, tag="review.list"):
    """What waits in a queue, the most urgent first; ``after`` (an item's id) goes on from an earlier list."""

    queue: Queue = "held"
    room: str = ""
    code: str = ""
    after: Whole = 0
    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = 100


class DecideItem(_Request, frozen=True, kw_only=True, tag="review.decide"):
    """Decide an item; ``version`` is the one that was looked at (-1: as it is now)."""

    item: Whole
    verdict: Verdict
    code: str
    basis: str
    version: Annotated[int, Meta(ge=-1, le=WHOLE_MAX)] = -1


class ReverseDecision(_Request, frozen=True, kw_only=True, tag="review.reverse"):
    """Take a decision on a comment back by the opposite one, whose family ``code`` is of."""

    decision: Whole
    code: str
    basis: str


class QueueStats(_Request, frozen=True, kw_only=True, tag="review.stats"):
    """How each queue stands."""


class ListRecords(_Request, frozen=True, kw_only=True, tag="review.records"):
    """The decision log, newest first; fields as in :class:`server.moderation.records.Query`."""

    query: Query = Query()


class ShowFigures(_Request, frozen=True, kw_only=True, tag="review.figures"):
    """The public figures of a month, such as 2026-11."""

    month: str


ReviewRequest = ListQueue | DecideItem | ReverseDecision | QueueStats | ListRecords | ShowFigures


class ReviewOperations(Protocol):
    """What the command line calls: here, or over HTTP. Raises Refusal."""

    async def review(self, request: ReviewRequest) -> Any:
        """Do it, and answer with plain data."""


class LocalReviewOperations:
    """Operations on the desk of this process. ``actor`` is the acting person, as records name them."""

    def __init__(self, moderation: Moderation, actor: str) -> None:
        self._moderation = moderation
        self._actor = actor

    async def review(self, request: ReviewRequest) -> Any:
        desk = self._moderation
        if isinstance(request, ListRecords):
            return await desk.write(lambda tx: self._records(tx, request.query))
        if isinstance(request, ShowFigures):
            return await desk.publication.figures(request.month)
        await desk.intake.caught_up()
        if isinstance(request, ListQueue):
            return await desk.look(lambda connection: self._listed(connection, request))
        if isinstance(request, QueueStats):
            found = await desk.look(lambda connection: queue.counts(connection, desk.clock_ms()))
            return [{"queue": name, **count._asdict()} for name, count in found.items()]
        by = {"actor": self._actor, "role": ROLE}
        if isinstance(request, DecideItem):
            decision = await desk.write(
                lambda tx: deciding.decide_item(
                    tx, request.item, queue.get(tx.sql, request.item).version if request.version < 0 else request.version,
                    request.verdict, request.code, request.basis, actor=by["actor"], role=by["role"],
                )
            )  # fmt: skip
        else:
            decision = await desk.write(
                lambda tx: deciding.reverse(
                    tx, request.decision, request.code, request.basis, actor=by["actor"], role=by["role"]
                )
            )  # fmt: skip
        done = {"decision": decision.id, "what": decision.what, "room": decision.room, "item": decision.item}
        try:
            return {**done, "seq": (await desk.effects.settled(decision.id)).event.seq}
        except Refusal as refusal:
            if refusal.code.name != "decision_not_found":  # it does nothing in a room's log
                raise
            return {**done, "seq": 0}

    def _records(self, tx: Transaction, query: Query) -> list[dict[str, Any]]:
        tx.log_view(self._actor, ROLE, "records.list", subject=query.account or query.room)
        return [msgspec.structs.asdict(each) for each in records.listed(tx.sql, query)]

    def _listed(self, connection: Any, request: ListQueue) -> list[dict[str, Any]]:
        filters = Filters(room=request.room, code=request.code)
        now_ms = self._moderation.clock_ms()
        return [_row(each) for each in queue.listed(connection, request.queue, filters, now_ms, request.limit, request.after)]


def _row(item: Item) -> dict[str, Any]:
    """An item as it stands in answers: what is to be decided, and nothing of who wrote it but the public id."""
    shown = (
        "id", "queue", "room", "seq", "author_id", "author_name", "text", "code", "severity", "reach", "reports", "priority",
        "at_ms", "due_ms", "claimed_by", "lease_until_ms", "version",
    )  # fmt: skip
    verdict = msgspec.json.decode(item.verdict) if item.verdict else None
    return {**{name: getattr(item, name) for name in shown}, "verdict": verdict}
