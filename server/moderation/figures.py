"""Figures of the desk: how the queues stand, what was decided by whom and by which code, what rules stopped and what became of it.

Reading functions over a connection. Each looks at a bounded span of time by an index, and the one that opens verdicts at a bounded
number of items, so that a page may ask for all of it every few seconds.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Integer, Text, and_, case, cast, distinct, func, literal_column, select

from server.moderation import queue, swarms, tables
from server.moderation.queue import Count, Queue

HOUR_MS: Final = 3_600_000
HOURS: Final = 24
AGES_MS: Final = (10 * 60_000, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS)
"""Bounds of the ages by which open items are counted; what is beyond the last is older."""
OPENED_MAX: Final = 20_000
"""Decided items whose verdicts are opened, the newest first."""
RULES_MAX: Final = 20
GROUPS_MAX: Final = 8
MEMBERS_MAX: Final = 24
_SLOT_MS: Final = 5 * 60_000
_EVER_MS: Final = 2**52

_d: Final = tables.decisions.c
_i: Final = tables.items.c
_r: Final = tables.receipts.c


class Hour(msgspec.Struct, frozen=True):
    """An hour that began at ``start_ms``: items that came, by queue, and decisions, by what they did."""

    start_ms: int
    arrived: dict[str, int]
    decided: dict[str, int]


class Worker(msgspec.Struct, frozen=True):
    """What a member decided, and how often they took a decision back: ``hours`` is the time in which they did anything, by slots
    of five minutes."""

    actor: str
    decisions: int
    undone: int
    hours: float

    @property
    def per_hour(self) -> float:
        """Decisions in an hour of work."""
        return self.decisions / self.hours if self.hours else 0.0


class RuleFigures(msgspec.Struct, frozen=True):
    """A rule of the screening: how many of the comments that it held were published after all, and how many refused."""

    rule: str
    published: int
    refused: int


class Reports(msgspec.Struct, frozen=True):
    """Reports of the public within the span: received, and how those that were decided ended; ``late`` wait for too long."""

    received: int
    upheld: int
    unfounded: int
    malicious: int
    late: int


class Swarm(msgspec.Struct, frozen=True):
    """A group that acts together, with its closest members and who of them acts with whom (places in ``accounts``)."""

    id: int
    members: int
    accounts: list[str]
    ties: list[tuple[int, int]]


class Standing(NamedTuple):
    """How a queue stands: the counts, and how many open items are of each age (one more than :data:`AGES_MS`)."""

    now: Count
    ages: list[int]


def standings(connection: Connection, now_ms: int) -> dict[Queue, Standing]:
    """Each queue, now."""
    counts = queue.counts(connection, now_ms)
    return {name: Standing(count, _ages(connection, name, now_ms) if count.open else [0] * (len(AGES_MS) + 1))
            for name, count in counts.items()}  # fmt: skip


def _ages(connection: Connection, name: Queue, now_ms: int) -> list[int]:
    """Open items of a queue by age, each number a part of an index: grouped in one pass they would cost ten times as much."""
    latest = [now_ms + _EVER_MS, *(now_ms - bound for bound in AGES_MS)]
    earliest = [*latest[1:], -_EVER_MS]
    numbers = [
        select(func.count()).where(_i.queue == name, queue.OPEN, _i.at_ms > after, _i.at_ms <= until).scalar_subquery()
        for after, until in zip(earliest, latest, strict=True)
    ]
    return list(connection.execute(select(*numbers)).one())


def hours(connection: Connection, now_ms: int, number: int = HOURS) -> list[Hour]:
    """The last hours, oldest first; the last one is under way."""
    first = now_ms // HOUR_MS - number + 1
    arrived: dict[int, dict[str, int]] = {}
    decided: dict[int, dict[str, int]] = {}
    by_queue = (
        select(_hour(_i.at_ms), _i.queue, func.count()).where(_i.at_ms >= first * HOUR_MS).group_by(_hour(_i.at_ms), _i.queue)
    )
    by_what = (
        select(_hour(_d.at_ms), _d.what, func.count()).where(_d.at_ms >= first * HOUR_MS).group_by(_hour(_d.at_ms), _d.what)
    )
    for found, query in ((arrived, by_queue), (decided, by_what)):
        for hour, name, count in connection.execute(query):
            found.setdefault(hour, {})[name] = count
    return [
        Hour((first + at) * HOUR_MS, arrived.get(first + at, {}), decided.get(first + at, {})) for at in range(number)
    ]  # fmt: skip


def codes(connection: Connection, now_ms: int, span_ms: int = HOURS * HOUR_MS) -> dict[str, int]:
    """Decisions of the span by code, the most frequent first."""
    count = func.count()
    query = select(_d.code, count).where(_d.at_ms >= now_ms - span_ms).group_by(_d.code).order_by(count.desc(), _d.code)
    return {row[0]: row[1] for row in connection.execute(query)}


def workers(connection: Connection, now_ms: int, span_ms: int = HOURS * HOUR_MS) -> list[Worker]:
    """Members of staff by how much they decided within the span, the most first."""
    undone = func.sum(case((_d.reverses > 0, 1), else_=0))
    made = func.count() - undone
    slots = func.count(distinct(cast(_d.at_ms / _SLOT_MS, Integer)))
    query = (
        select(_d.actor, made, undone, slots)
        .where(_d.at_ms >= now_ms - span_ms, _d.actor.startswith("staff:"))
        .group_by(_d.actor)
        .order_by(made.desc(), _d.actor)
    )
    return [
        Worker(actor, number, taken_back, slots_ * _SLOT_MS / HOUR_MS)
        for actor, number, taken_back, slots_ in connection.execute(query)
    ]  # fmt: skip


def rules(connection: Connection, now_ms: int, span_ms: int = 7 * HOURS * HOUR_MS) -> list[RuleFigures]:
    """Rules that held comments which were decided within the span, the most active first."""
    newest = (
        select(cast(_i.verdict, Text).label("verdict"), _i.decision)
        .where(_i.decided_ms >= now_ms - span_ms, _i.queue.in_(("held", "news")), _i.state == "decided", _i.verdict != b"")
        .order_by(_i.decided_ms.desc())
        .limit(OPENED_MAX)
        .subquery()
    )
    reason = func.json_each(newest.c.verdict, "$.reasons").table_valued("value", name="reason")
    rule = func.json_extract(reason.c.value, "$.rule")
    weighs = and_(
        func.json_extract(reason.c.value, "$.action") >= 2,
        func.coalesce(func.json_extract(reason.c.value, "$.observer"), 0) == 0,
    )
    published = func.sum(case((_d.what == "publish", 1), else_=0))
    query = (
        select(rule, published, func.count() - published)
        .select_from(newest.join(tables.decisions, _d.id == newest.c.decision).join(reason, literal_column("1") == 1))
        .where(weighs)
        .group_by(rule)
        .order_by(func.count().desc(), rule)
        .limit(RULES_MAX)
    )
    return [RuleFigures(*row) for row in connection.execute(query)]


def reports(connection: Connection, now_ms: int, span_ms: int = HOURS * HOUR_MS) -> Reports:
    """Reports received within the span, and those that are late now."""

    def ended(outcome: str) -> Any:
        return func.coalesce(func.sum(case((_r.outcome == outcome, 1), else_=0)), 0)

    query = select(func.count(), ended("upheld"), ended("unfounded"), ended("malicious")).where(_r.at_ms >= now_ms - span_ms)
    late = select(func.count()).where(_r.decided_ms == 0, _r.due_ms < now_ms)
    received, upheld, unfounded, malicious = connection.execute(query).one()
    return Reports(received, upheld, unfounded, malicious, connection.execute(late).scalar_one())


def swarm_graph(connection: Connection, now_ms: int, span_ms: int = HOURS * HOUR_MS) -> list[Swarm]:
    """The largest groups of the span, each with its closest members."""
    c = tables.swarms.c
    query = select(c.id).where(c.kind.in_(("comments", "reports")), c.last_ms >= now_ms - span_ms)
    ids = connection.execute(query.order_by(c.members.desc(), c.id.desc()).limit(GROUPS_MAX)).scalars()
    return [swarm_of(connection, number) for number in ids]


def swarm_of(connection: Connection, number: int, most: int = MEMBERS_MAX) -> Swarm:
    """One group as a graph."""
    group = swarms.find(connection, number)
    members = swarms.members(connection, number, most)
    places = {each.account: at for at, each in enumerate(members)}
    ties = {
        (min(at, places[peer]), max(at, places[peer]))
        for at, each in enumerate(members)
        for peer in each.peers
        if peer in places and peer != each.account
    }
    return Swarm(number, group.members if group is not None else 0, list(places), sorted(ties))


def _hour(at_ms: Any) -> Any:
    return cast(at_ms / HOUR_MS, Integer)
