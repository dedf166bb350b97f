"""What lies within the scope of an inspection, read from the room log, the book of accounts and the desk's book.

One generator for each kind of record, for pages and bundles alike: whatever leaves this module was let through by
:meth:`server.moderation.inspection.Scope.covers`. Reading is blocking, for a reader's thread.

People are told by the ids of their accounts; who reported something is not told at all, nor is any address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple

import msgspec
from sqlalchemy import select

from server.accounts import tables as accounts_tables
from server.accounts.book import Accounts
from server.accounts.measures import record as measure_of
from server.moderation import tables
from server.moderation.book import ReviewBook, decision_of
from server.moderation.inspection import Scope
from server.moderation.intake import Log
from server.store.found import Hit, Search
from server.wire import Event

Part = Literal["events", "screened", "decisions", "reports", "measures"]
PARTS: Final[tuple[Part, ...]] = ("events", "screened", "decisions", "reports", "measures")

_ROWS: Final = 1000
_SLACK_MS: Final = 60_000
"""By how much an event may stand before an older one: commits are in groups, and clocks are set."""

Record = dict[str, Any]


class Sources(NamedTuple):
    """Where records are read from."""

    store: Log
    accounts: Accounts
    book: ReviewBook


def records(sources: Sources, scope: Scope, part: Part) -> Iterator[Record]:
    """The records of one kind within the scope, oldest first (of several rooms: room by room). Raises StoreUnavailable."""
    return _READERS[part](sources, scope)


def _events(sources: Sources, scope: Scope) -> Iterator[Record]:
    for room, head in _rooms(sources, scope):
        for chunk in _chunks(sources.store, room, head, scope):
            said = {hit.seq: hit for hit in sources.store.search(Search(room=room, before=chunk[-1].seq + 1), len(chunk)).hits}
            for event in chunk:
                record = _event(sources.store, room, event, said.get(event.target or event.seq))
                if scope.covers(event.at_ms, room, record["account"], (event.code,)):
                    yield record


def _event(store: Log, room: str, event: Event, said: Hit | None) -> Record:
    """An event with the account that it is about. A removed comment has its text here: what was removed is what is inspected. Of
    a removal or restoration only the number of its comment is told, which may lie outside of the scope."""
    record: Record = {"room": room, "seq": event.seq, "kind": event.kind, "at_ms": event.at_ms, "account": ""}
    if event.kind == "comment":
        found = said if said is not None and said.seq == event.seq else None
        record |= {
            "account": found.author if found else store.author(room, event.seq), "pos_ms": event.pos_ms,
            "text": found.text if found else event.text, "author_id": found.author_id if found else event.author_id,
            "author_name": found.author_name if found else event.author_name, "region": event.region, "label": event.label,
            "removed_by": event.removed_by, "code": event.code, "basis": event.basis, "role": event.role,
        }  # fmt: skip
    elif event.kind in {"removal", "restoration"}:
        record |= {
            "account": said.author if said is not None else store.author(room, event.target), "target": event.target,
            "code": event.code, "basis": event.basis, "role": event.role,
        }  # fmt: skip
    else:
        record |= {"notice": event.notice, "text": event.text, "room_mode": event.room_mode, "code": event.code}
    return record


def _rooms(sources: Sources, scope: Scope) -> list[tuple[str, int]]:
    """The rooms of a scope, and where their logs stand."""
    return [(room.name, room.head) for room in sources.store.rooms() if not scope.rooms or room.name in scope.rooms]


def _chunks(store: Log, room: str, head: int, scope: Scope) -> Iterator[list[Event]]:
    """The part of a room's log that the time span leaves, with a little more around it."""
    after = _first(store, room, scope.since_ms - _SLACK_MS, head) - 1
    while chunk := store.read(room, after, _ROWS):
        yield chunk
        after = chunk[-1].seq
        if chunk[-1].at_ms >= scope.until_ms + _SLACK_MS:
            break


def _first(store: Log, room: str, at_ms: int, head: int) -> int:
    """The number of the first event that is not older than ``at_ms``, by halving; the one after the head when all are."""
    low, high = 1, head + 1
    while low < high:
        middle = (low + high) // 2
        if store.read(room, middle - 1, 1)[0].at_ms >= at_ms:
            high = middle
        else:
            low = middle + 1
    return low


def _screened(sources: Sources, scope: Scope) -> Iterator[Record]:
    for room in scope.rooms or ("",):
        for account in scope.accounts or ("",):
            found: list[Hit] = []
            before = 0
            while True:
                wanted = Search(what="screened", room=room, author=account, from_ms=scope.since_ms, until_ms=scope.until_ms,
                                before=before)  # fmt: skip
                page = sources.store.search(wanted, _ROWS)
                found += [hit for hit in page.hits if scope.covers(hit.at_ms, hit.room, hit.author, (hit.code,))]
                before = page.next
                if not before:
                    break
            for hit in reversed(found):
                yield {
                    "room": hit.room, "at_ms": hit.at_ms, "account": hit.author, "author_id": hit.author_id,
                    "author_name": hit.author_name, "action": hit.state, "code": hit.code, "text": hit.text,
                }  # fmt: skip


def _decisions(sources: Sources, scope: Scope) -> Iterator[Record]:
    table = tables.decisions
    span = (table.c.at_ms >= scope.since_ms, table.c.at_ms < scope.until_ms)
    after = 0
    while True:
        query = select(table).where(*span, table.c.id > after).order_by(table.c.id).limit(_ROWS)
        rows = sources.book.read_now(lambda c: c.execute(query).mappings().all())  # noqa: B023 - read at once
        for decision in map(decision_of, rows):
            if scope.covers(decision.at_ms, decision.room, decision.account, (decision.code,)):
                yield msgspec.to_builtins(decision)
        if len(rows) < _ROWS:
            break
        after = rows[-1]["id"]


def _reports(sources: Sources, scope: Scope) -> Iterator[Record]:
    after = 0
    while rows := sources.store.reports(after, _ROWS):
        after = rows[-1].id
        for report in rows:
            if not scope.since_ms <= report.at_ms < scope.until_ms or (scope.rooms and report.room not in scope.rooms):
                continue  # before its author is asked for
            account = sources.store.author(report.room, report.seq) if report.seq else ""
            if scope.covers(report.at_ms, report.room, account, (report.reason,)):
                record = {
                    "receipt": report.receipt, "room": report.room, "seq": report.seq, "at_ms": report.at_ms,
                    "account": account, "code": report.reason, "words": report.text,
                }  # fmt: skip
                yield record | _outcome(sources, report.receipt)


def _outcome(sources: Sources, receipt: str) -> Record:
    table = tables.receipts.c
    query = select(table.outcome, table.decision, table.decided_ms).where(table.receipt == receipt)
    outcome, decision, decided_ms = sources.book.read_now(lambda c: c.execute(query).first()) or ("", 0, 0)
    return {"outcome": outcome, "decision": decision, "decided_ms": decided_ms}


def _measures(sources: Sources, scope: Scope) -> Iterator[Record]:
    table = accounts_tables.measures
    query = select(table).where(table.c.at_ms >= scope.since_ms, table.c.at_ms < scope.until_ms)
    if scope.accounts:
        query = query.where(table.c.account.in_(scope.accounts))
    rows = sources.accounts.read_now(lambda c: c.execute(query.order_by(table.c.at_ms, table.c.id)).mappings().all())
    for measure in map(measure_of, rows):
        if scope.covers(measure.at_ms, measure.room, measure.account, (measure.code,)):
            yield msgspec.to_builtins(measure)


_READERS: Final[dict[Part, Callable[[Sources, Scope], Iterator[Record]]]] = {
    "events": _events,
    "screened": _screened,
    "decisions": _decisions,
    "reports": _reports,
    "measures": _measures,
}
