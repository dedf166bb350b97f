"""Second judgements that differ from the first: settled by a senior who has given neither."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

from sqlalchemy import Connection, RowMapping, select, update

from server.errors import Refusal
from server.moderation import deciding
from server.moderation.book import Decision, Transaction, find_decision
from server.moderation.tables import decisions, items, seconds

Settlement = Literal["changed", "upheld"]
SETTLEMENTS: Final[tuple[Settlement, ...]] = get_args(Settlement)


class Difference(NamedTuple):
    """Two judgements of one comment. ``text`` may be gone; ``reversed``: the first was taken back meanwhile, as by an appeal."""

    first: Decision
    second: Decision
    text: str
    reversed: bool


def waiting(connection: Connection, limit: int = 100) -> list[Difference]:
    """What waits for a senior, the oldest first."""
    query = select(seconds).where(seconds.c.agrees == 0, seconds.c.settled == 0).order_by(seconds.c.decision).limit(limit)
    return [_difference(connection, row) for row in connection.execute(query).mappings()]


def settle(tx: Transaction, decision: int, settlement: Settlement, code: str, basis: str, *, actor: str, role: str) -> Decision:
    """End the difference about a decision, the first one. ``changed``: the second judgement prevails, and the first is taken
    back: what was removed is restored (a code of family R), what was refused is published (K), what stayed is removed.
    ``upheld``: the first one stands (the code by which it does), or was taken back already.

    Raises Refusal ``not_found``, ``bad_step`` (settled before, or taken back before), ``second_person_required`` (one judged it),
    ``bad_code``, ``storage_unavailable`` (what was decided first is not carried out yet).
    """
    row = tx.sql.execute(select(seconds).where(seconds.c.decision == decision, seconds.c.agrees == 0)).mappings().first()
    if row is None:
        raise Refusal("not_found", "no such difference")
    if row["settled"]:
        raise Refusal("bad_step", "it is settled already")
    found = _difference(tx.sql, row)
    if actor in {found.first.actor, found.second.actor}:
        raise Refusal("second_person_required", "a third person settles what two have judged differently")
    if settlement == "changed":
        ends = deciding.reverse(tx, decision, code, basis, actor=actor, role=role)
    else:
        ends = tx.decide(
            "confirm", code, basis.strip(), actor=actor, role=role, room=found.first.room, seq=found.first.seq,
            account=found.first.account, detail={"queue": "second", "decision": decision, "second": found.second.id},
        )  # fmt: skip
    tx.sql.execute(update(seconds).where(seconds.c.decision == decision).values(settled=ends.id, settled_ms=tx.now_ms))
    return ends


def _difference(connection: Connection, row: RowMapping) -> Difference:
    first, second = find_decision(connection, row["decision"]), find_decision(connection, row["judgement"])
    assert first is not None
    assert second is not None
    text = connection.execute(select(items.c.text).where(items.c.id == row["item"])).scalar()
    back = connection.execute(select(decisions.c.id).where(decisions.c.reverses == first.id).limit(1)).first()
    return Difference(first, second, text or "", back is not None)
