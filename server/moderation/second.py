"""Second review: a share of what was decided is judged again, blind, by somebody else; nobody can choose what.

The draw is made once a day (of the site's time zone), by commitment. When the day begins, a random seed is made and the hash of day,
share and seed is published. When it is over, each decision of the day that judged a comment makes one line (:func:`line`), all lines
make a digest, and a decision is chosen when the hash of seed, digest and its number falls under the share (:func:`is_chosen`). Seed
and lines are published then, so anybody can repeat it. A member of staff who does not know the seed cannot tell what will be chosen;
somebody who reads it from the disk could not either before the day's last decision is in, since every line is part of the digest.

What is chosen becomes an item of queue ``second`` that holds the room and the text alone. Comments that stayed are drawn like
those that were removed, so the one who judges does not know the earlier outcome. Who decided first gets none of it. A judgement
that differs waits for a senior who has taken part in neither (:mod:`server.moderation.differences`), and what was removed is
restored where the senior agrees.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import zoneinfo
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, RowMapping, Select, and_, func, insert, select, update

from server.errors import Refusal
from server.moderation import queue
from server.moderation.book import Decision, Transaction, decision_of, find_decision
from server.moderation.tables import decisions, draws, items, seconds
from server.reasons import REMOVAL_CODES

REMOVING: Final = frozenset({"remove", "refuse"})
JUDGED: Final = ("remove", "refuse", "keep", "publish")
"""What a draw is made of: decisions that said whether a comment may be public."""
GRACE_MS: Final = 60_000
"""After a day's end, before it is drawn: transactions that began in it have ended."""
SEVERITY: Final = 40
_DOMAIN: Final = "barrage second review 1"


class Draw(NamedTuple):
    """The draw of one day. ``seed`` is empty as long as the day is not drawn: it is nobody's before."""

    day: str
    share: float
    commitment: str
    seed: str
    digest: str
    decisions: int
    chosen: int
    drawn_ms: int


class Chosen(NamedTuple):
    """A decision that was drawn and has no item yet. ``text`` is that of the item it decided (empty: it had none, or is purged)."""

    decision: Decision
    text: str


class Rate(NamedTuple):
    """Judged again, and judged differently; ``changed`` of these led to another outcome."""

    judged: int
    differed: int
    changed: int


# ---------------------------------------------------------------------------------------------------------------------
# The draw: pure


def commitment(day: str, share: float, seed: str) -> str:
    """The published hash, in hexadecimal."""
    return hashlib.sha256(f"{_DOMAIN}\n{day}\n{share!r}\n{seed}".encode()).hexdigest()


def line(decision: Decision) -> str:
    """The published line of a decision: number, moment (Unix ms), what, code, room and number of the comment (0: not public)."""
    return f"{decision.id} {decision.at_ms} {decision.what} {decision.code} {decision.room or '-'} {decision.seq}"


def digest_of(lines: Iterable[str]) -> str:
    """The digest of a day's lines, in order, each ended by a line feed."""
    found = hashlib.sha256()
    for each in lines:
        found.update(each.encode() + b"\n")
    return found.hexdigest()


def is_chosen(seed: str, digest: str, decision: int, share: float) -> bool:
    """Whether the draw chooses a decision."""
    hashed = hashlib.sha256(f"{_DOMAIN}\n{seed}\n{digest}\n{decision}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") < share * 2.0**64


def day_of(at_ms: int, zone: zoneinfo.ZoneInfo) -> str:
    """The day of a moment, such as 2026-11-22."""
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d}"


def span_of(day: str, zone: zoneinfo.ZoneInfo) -> tuple[int, int]:
    """When a day begins and when it is over (Unix ms). Raises ValueError for what is no day."""
    start = dt.datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone)
    return round(start.timestamp() * 1000), round((start + dt.timedelta(days=1)).timestamp() * 1000)


# ---------------------------------------------------------------------------------------------------------------------
# The draw: days


def begin(tx: Transaction, day: str, share: float) -> Draw:
    """The draw of a day that goes on, begun now if it was not: from here on its share and its seed are fixed."""
    found = find(tx.sql, day)
    if found is None:
        seed = secrets.token_hex(32)
        row = {"day": day, "seed": seed, "share": share, "commitment": commitment(day, share, seed), "begun_ms": tx.now_ms}
        tx.sql.execute(insert(draws).values(**row))
        found = find(tx.sql, day)
        assert found is not None
    return found


def find(connection: Connection, day: str) -> Draw | None:
    """The draw of a day, as the public may see it."""
    row = connection.execute(select(draws).where(draws.c.day == day)).mappings().first()
    return _draw(row) if row is not None else None


def listed(connection: Connection, first: str, last: str) -> list[Draw]:
    """Draws from day ``first`` to ``last``, both included, in order."""
    query = select(draws).where(draws.c.day >= first, draws.c.day <= last).order_by(draws.c.day)
    return [_draw(row) for row in connection.execute(query).mappings()]


def undrawn(connection: Connection, today: str) -> list[str]:
    """Days before ``today`` that were begun and not drawn."""
    query = select(draws.c.day).where(draws.c.day < today, draws.c.drawn_ms == 0).order_by(draws.c.day)
    return list(connection.execute(query).scalars())


def lines(connection: Connection, since_ms: int, until_ms: int) -> list[str]:
    """The lines of the decisions from ``since_ms`` to before ``until_ms``, in order."""
    return [line(decision_of(row)) for row in connection.execute(_of_span(since_ms, until_ms)).mappings()]


def draw(tx: Transaction, day: str, since_ms: int, until_ms: int) -> Draw:
    """Draw a day that is over, once; said again, it is as it was. Raises Refusal ``not_found``: the day was never begun."""
    row = tx.sql.execute(select(draws).where(draws.c.day == day)).mappings().first()
    if row is None:
        raise Refusal("not_found", day)
    if not row["drawn_ms"]:
        found = [decision_of(each) for each in tx.sql.execute(_of_span(since_ms, until_ms)).mappings()]
        digest = digest_of(line(each) for each in found)
        chosen = [each for each in found if is_chosen(row["seed"], digest, each.id, row["share"])]
        for each in chosen:
            tx.sql.execute(insert(seconds).values(decision=each.id, day=day, judge_not=each.actor))
        counts = {"decisions": len(found), "chosen": len(chosen)}
        tx.sql.execute(update(draws).where(draws.c.day == day).values(drawn_ms=tx.now_ms, digest=digest, **counts))
    done = find(tx.sql, day)
    assert done is not None
    return done


def _of_span(since_ms: int, until_ms: int) -> Select[Any]:
    """What an uploader removed in a room of theirs is no judgement of the site's."""
    c = decisions.c
    judged = (c.what.in_(JUDGED), c.code.not_like("U%"), (c.seq > 0) | (c.item > 0))
    return select(decisions).where(c.at_ms >= since_ms, c.at_ms < until_ms, *judged).order_by(c.id)


def _draw(row: RowMapping) -> Draw:
    seed = row["seed"] if row["drawn_ms"] else ""
    return Draw(
        row["day"], row["share"], row["commitment"], seed, row["digest"], row["decisions"], row["chosen"], row["drawn_ms"]
    )


# ---------------------------------------------------------------------------------------------------------------------
# Items


def without_item(connection: Connection, limit: int) -> list[Chosen]:
    """Decisions that were drawn and wait for their item, in order."""
    query = (
        select(decisions, func.coalesce(items.c.text, "").label("said"))
        .select_from(
            seconds.join(decisions, decisions.c.id == seconds.c.decision).outerjoin(items, items.c.id == decisions.c.item)
        )
        .where(seconds.c.item == 0)
        .order_by(seconds.c.decision)
        .limit(limit)
    )
    found = []
    for row in connection.execute(query).mappings():
        fields = dict(row)
        said = fields.pop("said")
        found.append(Chosen(decision_of(fields), said))  # type: ignore[arg-type] # as much of a row as is asked for
    return found


def make_item(tx: Transaction, decision: Decision, text: str, due_ms: int) -> int:
    """Put a drawn decision into the queue; the item's number, or -1 when its text is gone (it is judged by nobody).

    The item tells what was written and where, not who wrote it and not what was decided.
    """
    item = -1
    if text:
        item = queue.add(
            tx,
            queue.New(
                queue="second", source=f"d:{decision.id}", room=decision.room, text=text, severity=SEVERITY, due_ms=due_ms,
                barred=decision.actor,
            ),
        )  # fmt: skip
    tx.sql.execute(update(seconds).where(seconds.c.decision == decision.id).values(item=item))
    return item


# ---------------------------------------------------------------------------------------------------------------------
# Judging


def judge(tx: Transaction, item: int, version: int, code: str, basis: str, *, actor: str, role: str) -> Decision:
    """Judge an item of the queue: by a code of removing, or one of keeping. Returns the decision, ``confirm`` or ``differ``.

    Raises Refusal ``item_not_found``, ``item_changed``, ``item_taken``, ``second_person_required`` (it is one's own), ``bad_code``,
    ``bad_step`` (it is of another queue).
    """
    found = queue.get(tx.sql, item)
    drawn = tx.sql.execute(select(seconds.c.decision).where(seconds.c.item == item)).scalar()
    if found.queue != "second" or drawn is None:
        raise Refusal("bad_step", "no item of the second review")
    queue.check_version(found, version, actor, tx.now_ms)
    first = find_decision(tx.sql, drawn)
    assert first is not None  # a foreign key
    agrees = (code in REMOVAL_CODES) == (first.what in REMOVING)
    decision = tx.decide(
        "confirm" if agrees else "differ", code, basis.strip(), actor=actor, role=role, room=first.room, seq=first.seq, item=item,
        account=first.account,
        detail={"queue": "second", "decision": first.id, "received_ms": found.at_ms, "claimed_ms": found.claimed_ms},
    )  # fmt: skip
    changes = {
        "state": "decided", "version": version + 1, "decision": decision.id, "decided_ms": tx.now_ms, "claimed_by": "",
        "lease_until_ms": 0,
    }  # fmt: skip
    tx.sql.execute(update(items).where(items.c.id == item).values(**changes))
    judged = {"agrees": int(agrees), "judgement": decision.id, "judged_ms": tx.now_ms}
    tx.sql.execute(update(seconds).where(seconds.c.decision == first.id).values(**judged))
    return decision


def rate(connection: Connection, since_ms: int, until_ms: int) -> Rate:
    """How often second judgements of a span of time (Unix ms) differed from the first."""
    c = seconds.c
    judged = and_(c.judged_ms >= max(1, since_ms), c.judged_ms < until_ms)
    settled = seconds.join(decisions, decisions.c.id == c.settled)
    changed = select(func.count()).select_from(settled).where(judged, decisions.c.what != "confirm")
    row = connection.execute(select(func.count(), func.coalesce(func.sum(1 - c.agrees), 0)).where(judged)).one()
    return Rate(int(row[0]), int(row[1]), connection.execute(changed).scalar_one())
