"""The decision log, asked: which decisions there are, and what belongs to one of them."""

from __future__ import annotations

from typing import Final, NamedTuple, get_args

import msgspec
from sqlalchemy import Connection, select

from server.accounts.measures import Record
from server.bounds import Whole
from server.moderation.book import Decision, What, decision_of, find_decision
from server.moderation.tables import decisions, effects, items

PAGE: Final = 100
REVIEWED: Final = "m-review-"
"""Begins the id of a measure ``refuse`` that a decision led to; the decision's number follows."""
LIMIT_MAX: Final = 1000
WHATS: Final[tuple[str, ...]] = get_args(What)


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which decisions: every field that is not empty (or 0) must fit. ``code`` is a code or the letter of a family; times are
    Unix ms, from ``since_ms`` to before ``until_ms``; ``before`` pages: only smaller ids."""

    code: str = ""
    what: str = ""
    actor: str = ""
    room: str = ""
    seq: Whole = 0
    account: str = ""
    since_ms: Whole = 0
    until_ms: Whole = 0
    before: Whole = 0
    limit: Whole = PAGE


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """How a decision came to be looked for: the item that it decided. ``reports`` counts those of the public; ``text`` is what the
    item holds of ``account``'s comment, empty when its term is over."""

    queue: str
    verdict: bytes
    reports: int
    at_ms: int
    account: str = ""
    text: str = ""


class Effect(NamedTuple):
    """What the decision did in a room's log: ``seq`` the event (0: not yet), ``failure`` the code of a refusal for good."""

    kind: str
    done_ms: int
    seq: int
    failure: str


class Context(NamedTuple):
    """A decision with what belongs to it: where it came from, what it did, and the decisions that took it back."""

    decision: Decision
    source: Source | None
    effect: Effect | None
    reversed_by: Decision | None


def listed(connection: Connection, query: Query) -> list[Decision]:
    """Decisions, newest first, at most ``query.limit`` (and :data:`LIMIT_MAX`)."""
    c = decisions.c
    found = select(decisions).order_by(c.id.desc()).limit(max(1, min(query.limit, LIMIT_MAX)))
    if query.code:
        found = found.where(c.code == query.code if len(query.code) > 1 else c.code.startswith(query.code, autoescape=True))
    for name in ("what", "actor", "room", "seq", "account"):
        wanted = getattr(query, name)
        if wanted:
            found = found.where(c[name] == wanted)
    if query.since_ms:
        found = found.where(c.at_ms >= query.since_ms)
    if query.until_ms:
        found = found.where(c.at_ms < query.until_ms)
    if query.before:
        found = found.where(c.id < query.before)
    return [decision_of(row) for row in connection.execute(found).mappings()]


def context(connection: Connection, decision: int) -> Context | None:
    """One decision with what belongs to it; None: there is no such decision."""
    found = find_decision(connection, decision)
    if found is None:
        return None
    back = select(decisions).where(decisions.c.reverses == decision).order_by(decisions.c.id.desc()).limit(1)
    row = connection.execute(back).mappings().first()
    return Context(found, source_of(connection, found), _effect(connection, decision), decision_of(row) if row else None)


def source_of(connection: Connection, decision: Decision) -> Source | None:
    """The item that the decision decided; None: it was found without one, on patrol or by a command.

    The log itself says which queue it came from; why the screening stopped it is known as long as the item is kept.
    """
    if not decision.item:
        return None
    row = connection.execute(
        select(items.c.queue, items.c.verdict, items.c.reports, items.c.at_ms, items.c.account, items.c.text).where(
            items.c.id == decision.item
        )
    )
    item = row.mappings().first()
    known = decision.detail
    return Source(
        queue=str(known.get("queue", "") or (item["queue"] if item else "")), verdict=item["verdict"] if item else b"",
        reports=int(known.get("reports", 0) or (item["reports"] if item else 0)),
        at_ms=int(known.get("received_ms", 0) or (item["at_ms"] if item else 0)),
        account=item["account"] if item else "", text=item["text"] if item else "",
    )  # fmt: skip


def of_measure(connection: Connection, measure: Record) -> Decision | None:
    """The decision that led to a measure against an account; None: the measure was taken without one, on the account's page."""
    number = measure.id.removeprefix(REVIEWED)
    if number != measure.id and number.isdecimal():
        return find_decision(connection, int(number))
    if not measure.room:
        return None
    c = decisions.c
    removals = (c.room == measure.room, c.seq == measure.seq, c.what == "remove", c.at_ms <= measure.at_ms)
    row = connection.execute(select(decisions).where(*removals).order_by(c.id.desc()).limit(1)).mappings().first()
    return decision_of(row) if row is not None else None


def _effect(connection: Connection, decision: int) -> Effect | None:
    c = effects.c
    row = connection.execute(select(c.kind, c.done_ms, c.seq, c.failure).where(c.decision == decision)).first()
    return Effect(*row) if row is not None else None
