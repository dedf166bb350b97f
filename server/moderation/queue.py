"""The queue: what waits for a decision, who looks at it, and in which order (duties P5(3), P5(5), P10).

Items are claimed with a lease. Whoever has claimed one is alone with it until the lease runs out, and every change of claim or
state counts its ``version`` up; a decision names the version that was looked at, so that of two people who look at the same
moment one is told so. Plain functions over a transaction or a connection; times are Unix milliseconds, and whoever reads passes
the moment, so that leases run out without a timer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
from sqlalchemy import Connection, ScalarSelect, Select, func, insert, literal_column, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from filters.normalize import fold
from server.errors import Refusal
from server.moderation import tables, training
from server.moderation.book import Transaction
from server.store.base import CommentDraft

Queue = Literal["held", "news", "report", "swarm", "second"]
QUEUES: Final[tuple[Queue, ...]] = get_args(Queue)

LEASE_MS: Final = 5 * 60_000
CLAIMS_MAX: Final = 50
"""Items that one person can have claimed at a time; the oldest claims are given back for new ones."""
EQUAL_MAX: Final = 500
"""Items of one batch of equal texts."""
NEUTRAL: Final = 0.5
"""The weight of a report by somebody whose reports were never judged."""

SEVERITY: Final = {"L": 90, "M": 95, "P": 70, "N": 80, "S": 40, "A": 50, "U": 30}
"""How grave what a code's family names is, 0 to 100; what is not here is :data:`COMMON`."""
COMMON: Final = 50

_i: Final = tables.items.c
OPEN: Final = _i.state == literal_column("'open'")
"""As the indexes over what waits have it, word for word: with a parameter in its place each row would be read to see its state."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``items``; see :mod:`server.moderation.tables.queue`. ``draft`` is the held comment as it would be published
    (JSON of a CommentDraft, empty: nothing to publish), ``verdict`` the JSON of why it was stopped."""

    id: int
    queue: Queue
    source: str
    room: str
    seq: int
    account: str
    author_id: str
    author_name: str
    text: str
    digest: str
    code: str
    rule: str
    verdict: bytes
    draft: bytes
    severity: int
    reach: int
    reports: int
    weight: float
    priority: float
    at_ms: int
    due_ms: int
    state: Literal["open", "decided", "withdrawn"]
    claimed_by: str
    claimed_ms: int
    lease_until_ms: int
    barred: str
    version: int
    decision: int
    decided_ms: int

    def holder(self, now_ms: int) -> str:
        """Who has claimed it; empty: nobody, or the lease has run out."""
        return self.claimed_by if now_ms < self.lease_until_ms else ""


class New(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be decided; fields as in :class:`Item`. ``barred`` is who may not decide it (for a second review)."""

    queue: Queue
    source: str
    room: str = ""
    seq: int = 0
    account: str = ""
    author_id: str = ""
    author_name: str = ""
    text: str = ""
    code: str = ""
    rule: str = ""
    verdict: bytes = b""
    draft: CommentDraft | None = None
    severity: int = COMMON
    reach: int = 0
    weight: float = 1.0
    at_ms: int = 0
    due_ms: int = 0
    barred: str = ""


class Filters(NamedTuple):
    """Which items of a queue: of a room, with a code, at least so grave, waiting for at least so long, of an author."""

    room: str = ""
    code: str = ""
    severity: int = 0
    older_ms: int = 0
    author_id: str = ""


EVERYTHING: Final = Filters()


class Count(NamedTuple):
    """How a queue stands. ``oldest_ms`` is when its oldest open item came; 0: there is none."""

    open: int
    claimed: int
    overdue: int
    oldest_ms: int


def digest_of(text: str) -> str:
    """What equal texts have in common: the hash of a text without case, width and spaces. Empty for an empty text."""
    plain = "".join(fold(text).split())
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:32] if plain else ""


def severity_of(code: str) -> int:
    """How grave what a code or category names is, 0 to 100."""
    return SEVERITY.get(code[:1], COMMON)


def priority_of(severity: int, reach: int, weight: float) -> float:
    """The higher, the sooner: severity x reach x weight of those who reported. Of reach the order of magnitude counts, so that
    what is grave in a small room is not behind everything of a large one."""
    return severity * (1 + math.log10(1 + max(0, reach))) * weight


# ---------------------------------------------------------------------------------------------------------------------
# Arriving


def add(tx: Transaction, new: New) -> int:
    """Put something into its queue; returns the item's id. An open item of the same source stays as it is."""
    there = _open_of(tx.sql, new.queue, new.source)
    if there is not None:
        return there
    row = {name: getattr(new, name) for name in new.__struct_fields__ if name != "draft"}
    row["digest"] = digest_of(new.text)
    row["draft"] = msgspec.json.encode(new.draft) if new.draft is not None else b""
    row["priority"] = priority_of(new.severity, new.reach, new.weight)
    row["at_ms"] = new.at_ms or tx.now_ms
    found = tx.sql.execute(insert(tables.items).values(**row)).inserted_primary_key
    assert found is not None
    return int(found[0])


def reported(tx: Transaction, item: int, code: str, weight: float) -> None:
    """One more report about an item that waits: it weighs more, and the gravest code that was reported is its own."""
    found = get(tx.sql, item)
    severity = max(found.severity, severity_of(code))
    total = found.weight + weight
    tx.sql.execute(
        update(tables.items).where(_i.id == item).values(
            reports=found.reports + 1, weight=total, severity=severity,
            code=code if not found.code or severity_of(code) > found.severity else found.code,
            priority=priority_of(severity, found.reach, total),
        )
    )  # fmt: skip


def is_open(connection: Connection, queue: Queue, source: str) -> bool:
    """Whether something about this source waits."""
    return _open_of(connection, queue, source) is not None


def about(connection: Connection, room: str, seq: int) -> list[Item]:
    """Open items about a comment."""
    query = select(tables.items).where(_i.room == room, _i.seq == seq, OPEN) if seq else None
    return _items(connection, query) if query is not None else []


def _open_of(connection: Connection, queue: str, source: str) -> int | None:
    found = select(_i.id).where(_i.queue == queue, _i.source == source, OPEN)
    return connection.execute(found).scalar()


# ---------------------------------------------------------------------------------------------------------------------
# Looking


def find(connection: Connection, item: int) -> Item | None:
    """One item, in whatever state."""
    rows = _items(connection, select(tables.items).where(_i.id == item))
    return rows[0] if rows else None


def get(connection: Connection, item: int) -> Item:
    """As :func:`find`. Raises Refusal ``item_not_found``."""
    found = find(connection, item)
    if found is None:
        raise Refusal("item_not_found")
    return found


def of_source(connection: Connection, queue: Queue, source: str) -> Item | None:
    """The newest item of a source, in whatever state."""
    query = select(tables.items).where(_i.queue == queue, _i.source == source).order_by(_i.id.desc()).limit(1)
    rows = _items(connection, query)
    return rows[0] if rows else None


def listed(
    connection: Connection, queue: Queue, filters: Filters, now_ms: int, limit: int, after: int = 0
) -> list[Item]:  # fmt: skip
    """Open items of a queue, those first that are to be decided first; ``after`` (an item's id) goes on from an earlier list."""
    query = _ordered(queue, filters, now_ms)
    if after:
        last = find(connection, after)
        if last is not None:
            behind = or_(_i.priority < last.priority, _i.id > last.id)
            query = query.where(_i.priority <= last.priority, behind)  # the first of these is where the index goes on
    return _items(connection, query.limit(limit))


def equal(connection: Connection, item: int, limit: int = EQUAL_MAX) -> list[Item]:
    """Other open items of the same queue whose text is equal, whoever has claimed them, in the order of arriving."""
    found = get(connection, item)
    if not found.digest:
        return []
    same = select(tables.items).where(
        _i.queue == found.queue, _i.digest == found.digest, OPEN, _i.id != item
    )  # fmt: skip
    return _items(connection, same.order_by(_i.id).limit(limit))


def claimed(connection: Connection, actor: str, now_ms: int) -> list[Item]:
    """The open items that somebody has claimed, those first that are to be decided first."""
    mine = select(tables.items).where(_i.claimed_by == actor, _i.lease_until_ms > now_ms, OPEN)
    return _items(connection, mine.order_by(_i.priority.desc(), _i.id))


def counts(connection: Connection, now_ms: int) -> dict[Queue, Count]:
    """How each queue stands."""
    return {queue: Count(*connection.execute(_counting(queue, now_ms)).one()) for queue in QUEUES}


def _counting(queue: Queue, now_ms: int) -> Select[int, int, int, Any]:
    """Each number from an index of its own: in one pass over all that waits they cost ten times as much."""
    waiting = (_i.queue == queue, OPEN)

    def number(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
        return select(func.count()).where(*waiting, *conditions).scalar_subquery()

    oldest = select(func.min(_i.at_ms)).where(*waiting).scalar_subquery()
    late = number(_i.due_ms > 0, _i.due_ms < now_ms)
    return select(number(), number(_i.lease_until_ms > now_ms), late, func.coalesce(oldest, 0))


def _ordered(queue: Queue, filters: Filters, now_ms: int) -> Select[Any]:
    query = select(tables.items).where(_i.queue == queue, OPEN, *_conditions(filters, now_ms))
    return query.order_by(_i.priority.desc(), _i.id)


def _conditions(filters: Filters, now_ms: int) -> Iterable[ColumnElement[bool]]:
    if filters.room:
        yield _i.room == filters.room
    if filters.code:
        yield _i.code == filters.code
    if filters.author_id:
        yield _i.author_id == filters.author_id
    if filters.severity:
        yield _i.severity >= filters.severity
    if filters.older_ms:
        # Written as a sum, it leads to no index of its own, where all that is so old would be sorted: see claim_next.
        yield _i.at_ms + 0 <= now_ms - filters.older_ms


def _items(connection: Connection, query: Select[Any]) -> list[Item]:
    return [Item(**row) for row in connection.execute(query).mappings()]


# ---------------------------------------------------------------------------------------------------------------------
# Claiming


def claim(tx: Transaction, item: int, actor: str, lease_ms: int = LEASE_MS) -> Item:
    """Claim an item, or go on having it; returns it as it is then. Raises Refusal ``item_not_found``, ``item_taken`` (by whom
    stands in the detail), ``item_changed`` (it is decided), ``second_person_required``, ``training_required``."""
    training.check(tx.sql, actor, tx.now_ms)
    found = get(tx.sql, item)
    check_open(found)
    _check_free(found, actor, tx.now_ms)
    _make_room(tx, actor)
    return _hold(tx, found, actor, lease_ms)


def claim_next(
    tx: Transaction, queue: Queue, actor: str, filters: Filters = EVERYTHING, number: int = 1, lease_ms: int = LEASE_MS
) -> list[Item]:  # fmt: skip
    """Claim up to ``number`` items of a queue: first those that the actor has already, then the best that are free. Raises Refusal
    ``training_required``."""
    training.check(tx.sql, actor, tx.now_ms)
    number = min(number, CLAIMS_MAX)
    mine = [each for each in claimed(tx.sql, actor, tx.now_ms) if each.queue == queue][:number]
    # Written as a sum, the lease leads to no index: in the order of priorities a few rows are enough, by leases all would be sorted.
    free = _ordered(queue, filters, tx.now_ms).where(_i.lease_until_ms + 0 <= tx.now_ms, _i.barred != actor)
    fresh = _items(tx.sql, free.limit(number - len(mine))) if len(mine) < number else []
    if fresh:
        _make_room(tx, actor, len(fresh))
    return [_hold(tx, each, actor, lease_ms) for each in (*mine, *fresh)]


def renew(tx: Transaction, items: Sequence[int], actor: str, lease_ms: int = LEASE_MS) -> list[int]:
    """Go on having items that are claimed; which of them are. The others were taken, or decided, meanwhile."""
    kept = [each.id for each in claimed(tx.sql, actor, tx.now_ms) if each.id in set(items)]
    if kept:
        tx.sql.execute(update(tables.items).where(_i.id.in_(kept)).values(lease_until_ms=tx.now_ms + lease_ms))
    return kept


def release(tx: Transaction, items: Sequence[int], actor: str) -> None:
    """Give items back; nothing happens to what the actor has not claimed."""
    those = [each.id for each in claimed(tx.sql, actor, tx.now_ms) if each.id in set(items)]
    if those:
        tx.sql.execute(
            update(tables.items).where(_i.id.in_(those)).values(claimed_by="", claimed_ms=0, lease_until_ms=0, version=_i.version + 1)
        )  # fmt: skip


def withdraw(tx: Transaction, items: Sequence[int]) -> None:
    """Take items out of their queues without a decision: what they are about is gone, as with an erased account. Their texts go."""
    gone = {"state": "withdrawn", "text": "", "author_name": "", "digest": "", "draft": b"", "verdict": b""}
    tx.sql.execute(
        update(tables.items).where(_i.id.in_(items), OPEN).values(
            **gone, claimed_by="", claimed_ms=0, lease_until_ms=0, version=_i.version + 1, decided_ms=tx.now_ms
        )
    )  # fmt: skip


def check_open(item: Item) -> None:
    """Raises Refusal ``item_changed`` for an item that is decided or withdrawn."""
    if item.state != "open":
        raise Refusal("item_changed", f"{item.state}, decision {item.decision}")


def check_version(item: Item, version: int, actor: str, now_ms: int) -> None:
    """The item is as it was looked at, and nobody else's. Raises Refusal ``item_changed``, ``item_taken``,
    ``second_person_required``."""
    check_open(item)
    _check_free(item, actor, now_ms)
    if item.version != version:
        raise Refusal("item_changed", "it was claimed meanwhile; look at it again")


def _check_free(item: Item, actor: str, now_ms: int) -> None:
    if item.barred == actor:
        raise Refusal("second_person_required")
    holder = item.holder(now_ms)
    if holder and holder != actor:
        raise Refusal("item_taken", holder)


def _hold(tx: Transaction, item: Item, actor: str, lease_ms: int) -> Item:
    """The version stays when it is the same person's still: their pages show what is true."""
    mine = item.holder(tx.now_ms) == actor
    version, since = (item.version, item.claimed_ms) if mine else (item.version + 1, tx.now_ms)
    values = {"claimed_by": actor, "claimed_ms": since, "lease_until_ms": tx.now_ms + lease_ms, "version": version}
    tx.sql.execute(update(tables.items).where(_i.id == item.id).values(**values))
    return msgspec.structs.replace(item, **values)


def _make_room(tx: Transaction, actor: str, number: int = 1) -> None:
    mine = claimed(tx.sql, actor, tx.now_ms)
    surplus = len(mine) + number - CLAIMS_MAX
    if surplus > 0:
        oldest = sorted(mine, key=lambda each: each.lease_until_ms)[:surplus]
        release(tx, [each.id for each in oldest], actor)
