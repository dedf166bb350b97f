"""What the desk keeps, for how long, and what is deleted then; never under a legal hold (duties P11, P12, T9).

:data:`TABLES` names every table of ``review.db`` with its purpose and its term; a test fails for a table that is not there. The
decision log and the records of views are append-only and stay: they hold codes, roles and numbers, no text of people, but what
members of staff searched for, as they typed it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, select, update

from server.accounts import holds
from server.accounts.book import Accounts
from server.moderation.book import ReviewBook, Transaction
from server.moderation.tables import effects, items, receipts, swarm_members, training_questions, training_sets
from server.settings import Settings

DAY_MS: Final = 86_400_000
BATCH: Final = 500
"""Rows of one transaction: a decision never waits for a long one."""


class Kept(NamedTuple):
    """A table: what it is kept for, the setting of its term (empty: for good), and what goes when the term is over."""

    table: str
    purpose: str
    term: str = ""
    goes: str = ""


TABLES: Final = (
    Kept("decisions", "the decision log: what was decided, why, by whom; the public figures come from it"),
    Kept("effects", "what a decision does in a room's log", "review_texts_days", "the comment in it, once it is done"),
    Kept("items", "what waits for a decision, and was decided", "review_texts_days",
         "text, nickname, public id, verdict and the comment as it was sent, after the decision"),
    Kept("receipts", "what became of a report, for who sent it", "review_texts_days", "the row, after the outcome"),
    Kept("places", "how far the logs were read"),
    Kept("views", "who looked at what"),
    Kept("draws", "the draws of the second review, for anybody to check"),
    Kept("seconds", "what was judged again"),
    Kept("swarms", "groups that acted together, without their members"),
    Kept("swarm_members", "who was found to act in a group", "review_swarms_days", "the row"),
)  # fmt: skip
"""Tables of the parts of the desk that have terms of their own add theirs in :data:`OTHERS`."""

OTHERS: Final = (
    Kept("inspections", "who asked for which inspection, and who approved it"),
    Kept("exports", "which bundles were handed out"),
    Kept("findings", "what was reported to the authority"),
    Kept("deliveries", "when it was sent and acknowledged"),
    Kept("cases", "incidents and rectifications"),
    Kept("case_steps", "what was done about them, with evidence"),
    Kept("assessments", "security assessments of features"),
    Kept("seats", "how many reviewers the platform has committed to"),
    Kept("shifts", "who was to review, and when"),
    Kept("training_sets", "which training was asked for"),
    Kept("training_questions", "what reviewers are trained with", "review_texts_days", "the text, after the set was retired"),
    Kept("training_attempts", "who began which training"),
    Kept("training_marks", "who passed it"),
)


class Cutoffs(NamedTuple):
    """What is older than these moments (Unix ms) goes; ``keep`` are accounts under a hold. ``everything``: a hold covers all."""

    texts_ms: int
    swarms_ms: int
    keep: tuple[str, ...]
    everything: bool


def cutoffs(held: list[str], now_ms: int, settings: Settings) -> Cutoffs:
    """The moments, and what is held; ``held`` are the scopes of the holds in force."""
    return Cutoffs(
        texts_ms=now_ms - settings.review_texts_days * DAY_MS,
        swarms_ms=now_ms - settings.review_swarms_days * DAY_MS,
        keep=tuple(sorted({scope for scope in held if scope != holds.EVERYTHING})),
        everything=holds.EVERYTHING in held,
    )


def purge(tx: Transaction, found: Cutoffs) -> dict[str, int]:
    """Delete one batch from each table; the rows by table. Call it again until all are 0."""
    if found.everything:
        return {}
    return {
        "items": _empty_items(tx, found), "effects": _empty_effects(tx, found), "receipts": _drop_receipts(tx, found),
        "swarm_members": _drop_members(tx, found), "training_questions": _empty_questions(tx, found),
    }  # fmt: skip


def _empty_items(tx: Transaction, found: Cutoffs) -> int:
    c = items.c
    filled = (c.text != "") | (c.author_name != "") | (c.author_id != "") | (c.draft != b"") | (c.verdict != b"")
    old = (c.decided_ms > 0, c.decided_ms < found.texts_ms, c.state != "open", c.account.not_in(found.keep))
    ids = tx.sql.execute(select(c.id).where(*old, filled).limit(BATCH)).scalars().all()
    empty = {"text": "", "author_name": "", "author_id": "", "digest": "", "draft": b"", "verdict": b""}
    tx.sql.execute(update(items).where(c.id.in_(ids)).values(**empty))
    return len(ids)


def _empty_effects(tx: Transaction, found: Cutoffs) -> int:
    """What was published stands in the room's log; the copy of it here has done its work."""
    from_item = select(items.c.account).where(items.c.decision == effects.c.decision).scalar_subquery()
    old = (effects.c.done_ms > 0, effects.c.done_ms < found.texts_ms, effects.c.kind == "publish", effects.c.draft != b"{}")
    kept = from_item.in_(found.keep) if found.keep else None
    query = select(effects.c.decision).where(*old, *([~kept | from_item.is_(None)] if kept is not None else []))
    ids = tx.sql.execute(query.limit(BATCH)).scalars().all()
    tx.sql.execute(update(effects).where(effects.c.decision.in_(ids)).values(draft=b"{}"))
    return len(ids)


def _drop_receipts(tx: Transaction, found: Cutoffs) -> int:
    c = receipts.c
    old: list[Any] = [c.decided_ms > 0, c.decided_ms < found.texts_ms, c.account.not_in(found.keep)]
    ids = tx.sql.execute(select(c.receipt).where(*old).limit(BATCH)).scalars().all()
    tx.sql.execute(delete(receipts).where(c.receipt.in_(ids)))
    return len(ids)


def _drop_members(tx: Transaction, found: Cutoffs) -> int:
    c = swarm_members.c
    rows = tx.sql.execute(
        select(c.swarm, c.account).where(c.at_ms < found.swarms_ms, c.account.not_in(found.keep)).limit(BATCH)
    ).all()
    for swarm, account in rows:
        tx.sql.execute(delete(swarm_members).where(c.swarm == swarm, c.account == account))
    return len(rows)


def _empty_questions(tx: Transaction, found: Cutoffs) -> int:
    c, sets = training_questions.c, training_sets.c
    retired = select(sets.id).where(sets.retired_ms > 0, sets.retired_ms < found.texts_ms)
    ids = tx.sql.execute(select(c.id).where(c.training.in_(retired), c.text != "").limit(BATCH)).scalars().all()
    tx.sql.execute(update(training_questions).where(c.id.in_(ids)).values(text="", why=""))
    return len(ids)


class Retention:
    """Purges ``review.db``; belongs to the event loop. ``accounts`` has the holds, so they are asked for before each batch."""

    def __init__(self, settings: Settings, book: ReviewBook, accounts: Accounts, clock_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._book = book
        self._accounts = accounts
        self._clock_ms = clock_ms

    async def purge(self) -> dict[str, int]:
        """Delete whatever its term has run out for, in small transactions; how much, by table. Raises StoreError."""
        totals: dict[str, int] = {}
        while True:
            held = await self._accounts.read(lambda sql: [each.scope for each in holds.in_force(sql)])
            found = cutoffs(held, self._clock_ms(), self._settings)
            counts = await self._book.write(lambda tx: purge(tx, found))  # noqa: B023 - awaited here
            for name, number in counts.items():
                totals[name] = totals.get(name, 0) + number
            if not any(counts.values()):
                return totals
