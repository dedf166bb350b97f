"""What comes into the queue by itself: held comments and reports, read from the records of the room log (duties P5(3), P10).

The log's records are first: a held comment, or a report, is recorded there before anybody is told, whatever happens to the desk.
Here they are read in the order of their ids. The id up to which they were read stands in ``review.db`` (``places``) and moves in
the transaction that makes the items, so that a crash loses nothing and doubles nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.sqlite import insert

from server.errors import Refusal, StoreError
from server.moderation import queue, tables
from server.moderation.book import ReviewBook, Transaction
from server.reasons import BY_AUTHOR
from server.store.base import CommentDraft, ReportRecord, RoomInfo, ScreenedRecord
from server.store.found import Found, Search
from server.store.tallies import Tally
from server.wire import Event

ROWS: Final = 200
"""Records of one transaction."""
POLL_S: Final = 15.0
"""How often records are looked for that nobody told of, such as those of a commit whose outcome was not known."""
_PAUSE_S: Final = 1.0
HELD: Final = "screened"
REPORTS: Final = "reports"
NEWS_RULE: Final = "news.review"
"""The rule in the verdict of a comment that is held because its room is one for news."""
AUTHOR: Final = "author"

log = structlog.get_logger("intake")


class Log(Protocol):
    """What is read of the room log: the part of :class:`server.store.base.Store` that this needs."""

    def rooms(self) -> list[RoomInfo]: ...
    def read(self, room: str, after: int, limit: int) -> list[Event]: ...
    def author(self, room: str, seq: int) -> str: ...
    def screened(self, after: int, limit: int, action: str = "") -> list[ScreenedRecord]: ...
    def reports(self, after: int, limit: int) -> list[ReportRecord]: ...
    def search(self, wanted: Search, limit: int) -> Found: ...
    def tally(self, since_ms: int, until_ms: int) -> list[Tally]: ...


class Reported(NamedTuple):
    """A report with what it is about. ``event`` None: about the room. ``author`` is the account behind the comment; ``weight``
    how far the reporter is trusted, 0 to 1."""

    record: ReportRecord
    event: Event | None
    author: str
    weight: float


def place(connection: Connection, name: str) -> int:
    """The id of the newest record that was read."""
    return connection.execute(select(tables.places.c.place).where(tables.places.c.name == name)).scalar() or 0


def move(tx: Transaction, name: str, to: int) -> None:
    """All records up to this id are read."""
    query = insert(tables.places).values(name=name, place=to)
    tx.sql.execute(query.on_conflict_do_update(index_elements=["name"], set_={"place": to}))


def go_back(tx: Transaction, name: str, newest: int) -> None:
    """The log ends at record ``newest`` now, and gives ids anew: what waits from records that it lost gives up their names."""
    move(tx, name, newest)
    if name == HELD:
        items = tables.items.c
        query = select(items.id, items.source).where(items.queue.in_(("held", "news")), items.state == "open")
        for item, source in tx.sql.execute(query).all():
            if source.startswith("s:") and int(source[2:]) > newest:
                tx.sql.execute(update(tables.items).where(items.id == item).values(source=f"lost:{item}"))


def take_held(tx: Transaction, records: list[ScreenedRecord], reach: dict[str, int], due_ms: int) -> int:
    """Put held comments into their queues, and move the place behind them; how many. ``reach`` are the viewers by room,
    ``due_ms`` the time in which each is to be decided. Records that were read before are passed over."""
    after, count = place(tx.sql, HELD), 0
    for record in records:
        if record.id <= after or not record.text:  # what was purged waits no more
            continue
        verdict = _verdict(record.verdict)
        reason = _decisive(verdict, record.code)
        news = any(each.get("rule") == NEWS_RULE for each in verdict.get("reasons", []))
        queue.add(tx, queue.New(
            queue="news" if news else "held", source=f"s:{record.id}", room=record.room, account=record.author,
            author_id=record.author_id, author_name=record.author_name, text=record.text, code=record.code,
            rule=str(verdict.get("rules", "")), verdict=record.verdict, draft=_draft(record),
            severity=queue.severity_of(str(reason.get("category", ""))), reach=reach.get(record.room, 0), at_ms=record.at_ms,
            due_ms=record.at_ms + due_ms,
        ))  # fmt: skip
        count += 1
    if records:
        move(tx, HELD, max(after, records[-1].id))
    return count


def take_reports(tx: Transaction, reports: list[Reported], reach: dict[str, int], due_ms: int) -> int:
    """Put reports into the queue, those on one comment together, and move the place behind them; how many there were.

    A report of a comment that staff has removed already has got what it asks for.
    """
    after, count = place(tx.sql, REPORTS), 0
    for each in reports:
        if each.record.id <= after:
            continue
        _take_report(tx, each, reach.get(each.record.room, 0), due_ms)
        count += 1
    if reports:
        move(tx, REPORTS, max(after, reports[-1].record.id))
    return count


def _take_report(tx: Transaction, each: Reported, reach: int, due_ms: int) -> None:
    record, event = each.record, each.event
    receipt = {
        "receipt": record.receipt, "at_ms": record.at_ms, "due_ms": record.at_ms + due_ms, "reason": record.reason,
        "account": record.account or "", "words": record.id if record.text.strip() else 0,
    }  # fmt: skip
    if event is not None and event.removed_by:
        done = {"item": 0, "outcome": "upheld", "code": event.code, "decision": _removal(tx, record), "decided_ms": tx.now_ms}
        tx.sql.execute(insert(tables.receipts).values(**receipt, **done).on_conflict_do_nothing())
        return
    source = f"c:{record.room}:{record.seq}" if event is not None else f"r:{record.room}"
    item = queue.add(tx, queue.New(
        queue="report", source=source, room=record.room, seq=record.seq, account=each.author,
        author_id=event.author_id if event else "", author_name=event.author_name if event else "", text=event.text if event else
        "", severity=queue.severity_of(record.reason), reach=reach, weight=0.0, at_ms=record.at_ms, due_ms=record.at_ms + due_ms,
    ))  # fmt: skip
    inserted = tx.sql.execute(insert(tables.receipts).values(item=item, **receipt).on_conflict_do_nothing())
    if inserted.rowcount:
        queue.reported(tx, item, record.reason, each.weight)


def _removal(tx: Transaction, record: ReportRecord) -> int:
    decision = tables.decisions.c
    query = select(func.max(decision.id)).where(
        decision.room == record.room, decision.seq == record.seq, decision.what == "remove"
    )
    return tx.sql.execute(query).scalar() or 0


def recalled(tx: Transaction, room: str, seq: int) -> None:
    """Its author has taken a comment back: what waits about it is withdrawn, and who reported it has got what they asked for."""
    items = [each.id for each in queue.about(tx.sql, room, seq)]
    if items:
        queue.withdraw(tx, items)
        receipt = tables.receipts.c
        told = {"outcome": "upheld", "code": BY_AUTHOR, "decided_ms": tx.now_ms}
        tx.sql.execute(update(tables.receipts).where(receipt.item.in_(items), receipt.decided_ms == 0).values(**told))


def forget(tx: Transaction, account: str) -> None:
    """The account is erased: its held comments wait no more."""
    items = tables.items.c
    query = select(items.id).where(items.account == account, items.state == "open", items.queue.in_(("held", "news")))
    queue.withdraw(tx, list(tx.sql.execute(query).scalars()))


def _draft(record: ScreenedRecord) -> CommentDraft:
    """The held comment as it would be published; its key and time give way to those of the decision."""
    return CommentDraft(
        room=record.room, author=record.author, key=record.key, at_ms=record.at_ms, pos_ms=record.pos_ms, text=record.text,
        mode=record.mode, color=record.color, size=record.size, author_id=record.author_id, author_name=record.author_name,
        connection=record.connection, region=record.region, label=record.label, label_kind=record.label_kind,
    )  # fmt: skip


def _verdict(data: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _decisive(verdict: dict[str, Any], code: str) -> dict[str, Any]:
    """The reason that stopped the comment."""
    return next((each for each in verdict.get("reasons", []) if each.get("code") == code), {})


class Intake:
    """Reads records into the queue. Belongs to the event loop; its task runs only while there is something to read.

    ``read`` runs a call of the log in a reader's thread, ``reach`` tells the viewers of a room, ``weight`` how far an account's
    reports are trusted. Bound: :data:`ROWS` records at a time; what is beyond waits in the log.
    """

    def __init__(
        self,
        book: ReviewBook,
        records: Log,
        *,
        read: Callable[[Callable[[], Any]], Awaitable[Any]],
        reach: Callable[[str], int],
        weight: Callable[[str], Awaitable[float]],
        held_due_ms: int,
        report_due_ms: int,
    ) -> None:
        self._book = book
        self._log = records
        self._read = read
        self._reach = reach
        self._weight = weight
        self._held_due_ms = held_due_ms
        self._report_due_ms = report_due_ms
        self._places: dict[str, int] | None = None
        self._recalled: list[tuple[str, int]] = []
        self._wake = False
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.trouble = ""
        """Why nothing comes in at the moment, for the operator; empty: it does."""

    def arrived(self) -> None:
        """A held comment or a report was recorded; or one may have been."""
        self._wake = True
        if self._task is None and not self._stopping.is_set():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def decided(self, room: str, event: Event) -> None:
        """A removal or restoration was committed in a room's log. What a crash loses of this, a reviewer finds removed."""
        if event.kind == "removal" and event.role == AUTHOR and len(self._recalled) < ROWS:
            self._recalled.append((room, event.target))
            self.arrived()

    async def caught_up(self) -> None:
        """Return when everything that was recorded before is in the queue, or cannot be at the moment."""
        self.arrived()
        while (task := self._task) is not None and not self.trouble:
            await asyncio.wait([task], timeout=0.05)

    async def run(self) -> None:
        """Until cancelled: look for what nobody told of."""
        while True:
            self.arrived()
            await asyncio.sleep(POLL_S)

    async def drain(self) -> None:
        """End; the next start reads on."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._wake and not self._stopping.is_set():
                self._wake = False
                try:
                    await self._settle_recalled()
                    while await self._take():
                        if self._stopping.is_set():
                            return
                except (StoreError, Refusal) as error:
                    if self.trouble != str(error):
                        log.error("what was held or reported does not reach the queue yet", error=str(error))
                    self.trouble = str(error)
                    self._wake = True
                    await asyncio.sleep(0 if self._stopping.is_set() else _PAUSE_S)
                else:
                    self.trouble = ""
        except Exception:  # a fault of ours: the next record, or the next look, begins anew
            log.exception("what was held or reported cannot be read")
        finally:
            self._task = None

    async def _settle_recalled(self) -> None:
        those = list(self._recalled)
        if those:

            def work(tx: Transaction) -> None:
                for room, seq in those:
                    recalled(tx, room, seq)

            await self._book.write(work)
            del self._recalled[: len(those)]

    async def _take(self) -> bool:
        """Read some records; whether there may be more."""
        places = self._places
        if places is None:
            places = self._places = await self._fit()
        held: list[ScreenedRecord] = await self._read(lambda: self._log.screened(places[HELD], ROWS, "held"))
        if held:
            reach = {each.room: self._reach(each.room) for each in held}
            await self._book.write(lambda tx: take_held(tx, held, reach, self._held_due_ms))
            places[HELD] = held[-1].id
        found: list[ReportRecord] = await self._read(lambda: self._log.reports(places[REPORTS], ROWS))
        if found:
            reports = [await self._about(each) for each in found]
            reach = {each.room: self._reach(each.room) for each in found}
            await self._book.write(lambda tx: take_reports(tx, reports, reach, self._report_due_ms))
            places[REPORTS] = found[-1].id
        return max(len(held), len(found)) == ROWS

    async def _about(self, record: ReportRecord) -> Reported:
        account = record.account or ""
        weight = await self._weight(account) if account else queue.NEUTRAL
        if not record.seq:
            return Reported(record, None, "", weight)
        events: list[Event] = await self._read(lambda: self._log.read(record.room, record.seq - 1, 1))
        event = events[0] if events and events[0].kind == "comment" else None
        author: str = await self._read(lambda: self._log.author(record.room, record.seq)) if event else ""
        return Reported(record, event, author, weight)

    async def _fit(self) -> dict[str, int]:
        """The places, brought back to the log's ends if the log is older than the book knows it, as after restoring a backup."""

        def work(connection: Connection) -> dict[str, int]:
            return {name: place(connection, name) for name in (HELD, REPORTS)}

        found = await self._book.read(work)
        looks: dict[str, Callable[[int, int], Any]] = {HELD: self._log.screened, REPORTS: self._log.reports}
        for name, look in looks.items():
            at = found[name]
            there = await self._read(lambda: look(at - 1, 1)) if at else []  # noqa: B023 - awaited here
            if at and not (there and there[0].id >= at):
                newest = 0
                while rows := await self._read(lambda: look(newest, ROWS)):  # noqa: B023
                    newest = rows[-1].id
                log.warning("the log is older than the desk knows it, as after restoring a backup", records=name, newest=newest)
                await self._book.write(lambda tx: go_back(tx, name, newest))  # noqa: B023
                found[name] = newest
        return found
