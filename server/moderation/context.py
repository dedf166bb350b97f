"""What the book tells around an item: equal texts, the reports behind it, the record of its author, what was decided about it before.

Reading functions over a connection, each bounded.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, distinct, func, literal_column, select

from server.moderation import tables
from server.moderation.book import Decision, decision_of
from server.moderation.queue import OPEN, Item

DAYS: Final = 90
"""How far back an author's record is shown."""
WORDS_SHOWN: Final = 5
"""Of how many reports of an item the words are shown."""
_DAY_MS: Final = 86_400_000
_LATEST: Final = 5

_d: Final = tables.decisions.c
_i: Final = tables.items.c
_r: Final = tables.receipts.c


class Equal(NamedTuple):
    """Other open items of the queue with an equal text: how many, by how many authors, in how many rooms."""

    number: int
    authors: int
    rooms: int


class Reported(NamedTuple):
    """Reports for one reason: how many, and when the first of them came and is due."""

    reason: str
    number: int
    first_ms: int
    due_ms: int


class Words(NamedTuple):
    """Where the words of a report stand: under the id ``record`` of barrage.db, if that is still the report of this ``receipt``."""

    record: int
    receipt: str


class Record(NamedTuple):
    """What was decided about an author lately: how often each, by ``what``, and the newest of them."""

    counts: dict[str, int]
    latest: list[Decision]


def equal(connection: Connection, item: Item) -> Equal:
    """How many others could be decided together with this item."""
    if not item.digest:
        return Equal(0, 0, 0)
    query = select(func.count(), func.count(distinct(_i.author_id)), func.count(distinct(_i.room))).where(
        _i.queue == item.queue, _i.digest == item.digest, OPEN, _i.id != item.id
    )
    return Equal(*connection.execute(query).one())


def reports(connection: Connection, item: Item) -> list[Reported]:
    """The reports that an item is made of, the most frequent reason first."""
    count = func.count()
    query = select(_r.reason, count, func.min(_r.at_ms), func.min(_r.due_ms)).where(_r.item == item.id)
    rows = connection.execute(query.group_by(_r.reason).order_by(count.desc(), _r.reason))
    return [Reported(*row) for row in rows]


def words(connection: Connection, item: Item) -> list[Words]:
    """The newest reports of an item with which their senders wrote something, newest first."""
    query = select(_r.words, _r.receipt).where(_r.item == item.id, literal_column("words") != literal_column("0"))
    return [Words(*row) for row in connection.execute(query.order_by(_r.words.desc()).limit(WORDS_SHOWN))]


def record(connection: Connection, account: str, now_ms: int) -> Record:
    """The author's record at the desk."""
    if not account:
        return Record({}, [])
    about = (_d.account == account, _d.at_ms >= now_ms - DAYS * _DAY_MS)
    counts = connection.execute(select(_d.what, func.count()).where(*about).group_by(_d.what)).all()
    newest = connection.execute(select(tables.decisions).where(*about).order_by(_d.id.desc()).limit(_LATEST)).mappings()
    return Record({row[0]: row[1] for row in counts}, [decision_of(row) for row in newest])


def earlier(connection: Connection, item: Item) -> list[Decision]:
    """What was decided on this very comment or item before, the newest first."""
    about = (_d.item == item.id) if not item.seq else (_d.room == item.room) & (_d.seq == item.seq)
    query = select(tables.decisions).where(about).order_by(_d.id.desc()).limit(_LATEST)
    return [decision_of(row) for row in connection.execute(query).mappings()]
