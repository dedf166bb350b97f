"""Groups that act together, as evidence for people (duty P7): what :mod:`filters.swarm` names, as items of the queue.

Evidence names one account, and those it acts with. Findings that share anybody within :data:`TOGETHER_MS` are of one swarm; a swarm
has one item as long as that waits, and a new one when it goes on after it was decided. Nothing happens to anybody by a finding alone:
the item's page leads to the accounts, where measures are taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from filters.swarm import Evidence
from server.moderation import queue
from server.moderation.book import Transaction
from server.moderation.tables import items, swarm_members, swarms

Kind = Literal["comments", "reports"]
TOGETHER_MS: Final = 30 * 60_000
PAID_POSTING: Final = "S3"
SEVERITY: Final = 60
DUE_MS: Final = 24 * 3_600_000
MEMBERS_MAX: Final = 5_000
"""Members of one swarm that are recorded; it goes on as another one."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of a swarm: an account, or the pseudonym of an address without one. ``peers`` are those it was found to act with."""

    account: str
    at_ms: int
    texts: int
    rooms: int
    peers: tuple[str, ...]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A swarm; times are Unix ms. ``texts`` is the most that one member shares with others."""

    id: int
    kind: Kind
    first_ms: int
    last_ms: int
    members: int
    texts: int
    rooms: int
    item: int


def note(tx: Transaction, kind: Kind, findings: Sequence[Evidence]) -> list[int]:
    """Record findings; the swarms that they belong to, each once."""
    touched: dict[int, None] = {}
    for each in findings:
        swarm = _join(tx, kind, each)
        _put(tx, swarm, each)
        touched[swarm] = None
    for swarm in touched:
        _count(tx, swarm)
        _queue(tx, swarm)
    return list(touched)


def find(connection: Connection, swarm: int) -> Group | None:
    """One swarm."""
    row = connection.execute(select(swarms).where(swarms.c.id == swarm)).mappings().first()
    return Group(**row) if row is not None else None


def of_item(connection: Connection, item: int) -> Group | None:
    """The swarm that an item of the queue is about."""
    source = connection.execute(select(items.c.source).where(items.c.id == item, items.c.queue == "swarm")).scalar()
    return find(connection, int(source.removeprefix("w:"))) if source else None


def members(connection: Connection, swarm: int, limit: int = 200) -> list[Member]:
    """The members of a swarm, those first who share the most."""
    c = swarm_members.c
    query = select(swarm_members).where(c.swarm == swarm).order_by(c.texts.desc(), c.account).limit(limit)
    found = []
    for row in connection.execute(query).mappings():
        peers = msgspec.json.decode(row["peers"], type=tuple[str, ...])
        found.append(Member(account=row["account"], at_ms=row["at_ms"], texts=row["texts"], rooms=row["rooms"], peers=peers))
    return found


def _join(tx: Transaction, kind: Kind, finding: Evidence) -> int:
    """The swarm that a finding belongs to: a recent one with anybody of it, or a new one. Swarms that it connects stay two."""
    c = swarm_members.c
    names = (finding.account, *finding.peers)
    query = (
        select(swarms.c.id)
        .join(swarm_members, c.swarm == swarms.c.id)
        .where(
            swarms.c.kind == kind, swarms.c.last_ms >= tx.now_ms - TOGETHER_MS, swarms.c.members < MEMBERS_MAX,
            c.account.in_(names),
        )
        .order_by(swarms.c.id)
        .limit(1)
    )  # fmt: skip
    found = tx.sql.execute(query).scalar()
    if found is not None:
        return int(found)
    made = tx.sql.execute(insert(swarms).values(kind=kind, first_ms=tx.now_ms, last_ms=tx.now_ms)).inserted_primary_key
    assert made is not None
    return int(made[0])


def _put(tx: Transaction, swarm: int, finding: Evidence) -> None:
    c = swarm_members.c
    evidence = {
        "at_ms": tx.now_ms, "texts": finding.texts, "rooms": finding.rooms, "peers": msgspec.json.encode(finding.peers),
    }  # fmt: skip
    changed = tx.sql.execute(update(swarm_members).where(c.swarm == swarm, c.account == finding.account).values(**evidence))
    if not changed.rowcount:
        tx.sql.execute(insert(swarm_members).values(swarm=swarm, account=finding.account, **evidence))


def _count(tx: Transaction, swarm: int) -> None:
    c = swarm_members.c
    row = tx.sql.execute(select(func.count(), func.max(c.texts), func.max(c.rooms)).where(c.swarm == swarm)).one()
    tx.sql.execute(
        update(swarms).where(swarms.c.id == swarm).values(members=row[0], texts=row[1], rooms=row[2], last_ms=tx.now_ms)
    )


def _queue(tx: Transaction, swarm: int) -> None:
    """The swarm's item: made when none waits, and as important as the swarm is large by now."""
    found = find(tx.sql, swarm)
    assert found is not None
    what = "texts" if found.kind == "comments" else "reported comments"
    text = f"{found.members} accounts share up to {found.texts} {what} in {found.rooms} rooms"
    item = queue.add(
        tx,
        queue.New(
            queue="swarm", source=f"w:{swarm}", text=text, code=PAID_POSTING, severity=SEVERITY, reach=found.members,
            due_ms=tx.now_ms + DUE_MS,
        ),
    )  # fmt: skip
    weight = 1 + math.log10(max(1, found.members))
    changes = {"text": text, "reach": found.members, "weight": weight}
    priority = queue.priority_of(SEVERITY, found.members, weight)
    tx.sql.execute(update(items).where(items.c.id == item).values(**changes, priority=priority))
    tx.sql.execute(update(swarms).where(swarms.c.id == swarm).values(item=item))
