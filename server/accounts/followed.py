"""How far the room logs were read into the book: removals and restorations, each counted for its author exactly once.

The place of a room moves in the transaction that counts a decision, so that whoever reads on from it after a crash counts nothing
twice and leaves nothing out. Plain functions over a transaction; :mod:`server.consequences` reads the logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from server.accounts import measures
from server.accounts.book import Transaction
from server.accounts.tables import followed, withdrawals
from server.wire import Event

BEGUN: Final = ""
"""The row of no room: there since the book follows the logs. A room that came later is read from its first event."""
REVIEW: Final = " review"
"""The row of the desk's decision log, whose newest decision that was followed is its number. No room's name has a space."""
OWN: Final = "author"
"""The role of an author who recalls a comment of one's own: that is no measure."""


def begin(tx: Transaction, heads: Mapping[str, int]) -> None:
    """Begin to follow the logs at ``heads`` (the newest number by room); nothing happens if that was done before."""
    if tx.sql.execute(select(followed.c.seq).where(followed.c.room == BEGUN)).first() is not None:
        return
    rows = [{"room": room, "seq": seq} for room, seq in {BEGUN: 0, **heads}.items()]
    tx.sql.execute(insert(followed).on_conflict_do_nothing(), rows)


def fit(tx: Transaction, heads: Mapping[str, int]) -> list[str]:
    """The logs may be older than the book, when a backup of theirs was put back: bring places that lie beyond them back to
    ``heads``, or what is decided under these numbers from now on would never count. Comments of erased accounts, which the
    backup may hold again, are to be removed once more. Returns the rooms; empty: the logs are those that the book knows."""
    beyond = [room for room, seq in places(tx.sql).items() if seq > heads.get(room, 0)]
    for room in beyond:
        row = followed.c.room == room
        if room in heads:
            tx.sql.execute(update(followed).where(row).values(seq=heads[room]))
        else:
            tx.sql.execute(delete(followed).where(row))  # should it come again, it is read from its first event
    if beyond:
        tx.sql.execute(update(withdrawals).values(after=0, done_ms=0))
    return beyond


def places(connection: Connection) -> dict[str, int]:
    """The number of the newest event that was read, by room; a room that is missing was not read yet."""
    return {
        room: seq for room, seq in connection.execute(select(followed.c.room, followed.c.seq)) if room not in (BEGUN, REVIEW)
    }


def fit_review(tx: Transaction, last: int) -> int:
    """The place in the desk's decision log, whose newest decision is ``last``: brought back to it where the log is older than
    this book."""
    place = tx.sql.execute(select(followed.c.seq).where(followed.c.room == REVIEW)).scalar() or 0
    if place > last:
        tx.sql.execute(update(followed).where(followed.c.room == REVIEW).values(seq=last))
    return min(place, last)


def move(tx: Transaction, room: str, seq: int) -> bool:
    """All up to ``seq`` is read. Returns whether the place was behind."""
    query = insert(followed).values(room=room, seq=seq)
    moved = query.on_conflict_do_update(index_elements=["room"], set_={"seq": seq}, where=followed.c.seq < seq)
    return tx.sql.execute(moved).rowcount > 0


def count(tx: Transaction, room: str, event: Event, author: str, actor: str) -> None:
    """Count a removal or restoration for the comment's author, unless that was done; the place moves to it.

    Raises Refusal for a decision that no measure can be made of; then nothing has changed.
    """
    if not move(tx, room, event.seq) or event.role == OWN or not author:
        return
    act = measures.count_removal if event.kind == "removal" else measures.discount_removal
    act(tx, author, room, event.target, event.code, event.basis, actor=actor, role=event.role)
