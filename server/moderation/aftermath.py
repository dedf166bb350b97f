"""What decisions mean for people, and what decisions on people mean for comments: between the desk's book and the book of accounts.

Two followers, one in each direction. The desk's decision log is followed into ``accounts.db``: authors are told what became of a
held comment, refusals count for their credit, reporters learn the outcome. (Removals and restorations count by the room logs,
:mod:`server.consequences`.) The ledger of accounts is followed into ``review.db``: a measure that is lifted, by an appeal or by
hand, brings back the comment that it was about.

Each place moves in the transaction that does what is due, in the book that it is done in: what a crash interrupts is done at the
next start, and nothing is done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy import Connection, func, select

from server.accounts import followed, measures
from server.accounts.book import Accounts, Letter, newest_entry, read_kinds
from server.accounts.book import Transaction as AccountsTransaction
from server.accounts.events import Lifted
from server.accounts.standing import Standing
from server.errors import Refusal, StoreError
from server.moderation import deciding, intake, tables
from server.moderation.book import Decision, ReviewBook, Transaction, decision_of
from server.moderation.intake import Log

ROWS: Final = 100
"""Decisions, and entries of the ledger, read at a time."""
LEDGER: Final = "ledger"
_PAUSE_S: Final = 1.0
_MEASURE: Final = "m-review-"
_FOR_PEOPLE: Final = ("publish", "refuse", "keep", "remove", "warn", "undo", "restore")

log = structlog.get_logger("aftermath")


class Told(NamedTuple):
    """A decision with the receipts of signed-in reporters that it decided: receipt, account, outcome."""

    decision: Decision
    reporters: list[tuple[str, str, measures.ReportOutcome]]


def decisions_after(connection: Connection, after: int, limit: int) -> list[Told]:
    """Decisions with ids after ``after`` that mean something for people, in order."""
    row = tables.decisions.c
    query = select(tables.decisions).where(row.id > after, row.what.in_(_FOR_PEOPLE)).order_by(row.id).limit(limit)
    return [Told(each, _reporters(connection, each.id)) for each in map(decision_of, connection.execute(query).mappings())]


def _reporters(connection: Connection, decision: int) -> list[tuple[str, str, measures.ReportOutcome]]:
    row = tables.receipts.c
    query = select(row.receipt, row.account, row.outcome).where(row.decision == decision, row.account != "")
    return [(receipt, account, outcome) for receipt, account, outcome in connection.execute(query.order_by(row.receipt))]


def follow_decision(tx: AccountsTransaction, told: Told) -> None:
    """Do for people what a decision means for them, unless that was done; the place moves to it. Raises Refusal where nothing
    can be done (an erased account); then nothing has changed."""
    decision = told.decision
    if not followed.move(tx, followed.REVIEW, decision.id):
        return
    by = {"actor": decision.actor, "role": decision.role}
    if decision.what == "publish":
        _lift_refusal(tx, decision, by)
        tx.open(decision.account, origin="host", actor="host", role="host")
        tx.tell(decision.account, "review_published", _letter(decision))
    elif decision.what == "refuse" and not decision.seq:  # one that stands in the log, removed, was counted as that
        measures.refused_on_review(
            tx, decision.account, f"decision {decision.id}", decision.code, decision.basis, room=decision.room,
            measure=f"{_MEASURE}{decision.id}", told=_letter(decision), **by,
        )  # fmt: skip
    elif decision.what == "undo":
        _lift_refusal(tx, decision, by)
    for receipt, account, outcome in told.reporters:
        measures.report_decided(tx, account, receipt, outcome, **by)


def _letter(decision: Decision) -> dict[str, Any]:
    """What the author is told. ``key`` is the one that the author's client gave the comment."""
    key = decision.detail.get("key", "")
    return {"room": decision.room, "key": key, "code": decision.code, "basis": decision.basis, "decision": decision.id}


def _lift_refusal(tx: AccountsTransaction, decision: Decision, by: dict[str, str]) -> None:
    """A refusal that is taken back counts no more."""
    measure = measures.find(tx.sql, f"{_MEASURE}{decision.reverses}") if decision.reverses else None
    if measure is not None and not measure.ended_ms:
        code = decision.code if decision.code[0] == "R" else "R1"
        measures.end_refusal(tx, measure, code, decision.basis, **by)


class Lift(NamedTuple):
    """An entry of the ledger that means something for comments: a measure was lifted or, with no ``measure``, an account erased."""

    entry: int
    account: str
    actor: str
    role: str
    measure: measures.Record | None
    code: str
    basis: str


def entries_after(connection: Connection, after: int, limit: int) -> list[Lift]:
    """Such entries with ids after ``after``, in order."""
    found = []
    for entry in read_kinds(connection, after, ("lifted", "erased"), limit):
        event = entry.event
        if isinstance(event, Lifted):
            measure = measures.find(connection, event.measure)
            found.append(Lift(entry.id, entry.account, entry.actor, entry.role, measure, event.code, event.basis))
        else:
            found.append(Lift(entry.id, entry.account, entry.actor, entry.role, None, "", ""))
    return found


def follow_entry(tx: Transaction, lift: Lift, removed: bool) -> Decision | None:
    """Do for comments what an entry of the ledger means for them, unless that was done; the place moves to it. ``removed``: the
    comment of a lifted removal stands in its log as removed. What waits of an erased account is withdrawn."""
    if lift.entry <= intake.place(tx.sql, LEDGER):
        return None
    intake.move(tx, LEDGER, lift.entry)
    measure = lift.measure
    by: dict[str, Any] = {"actor": lift.actor, "role": lift.role}
    if measure is None:
        intake.forget(tx, lift.account)
    elif measure.rung == "delete" and removed:
        return deciding.restore(tx, measure.room, measure.seq, lift.account, lift.code, lift.basis, **by)
    elif measure.rung == "refuse" and measure.id.startswith(_MEASURE):
        decision = int(measure.id.removeprefix(_MEASURE))
        try:
            return deciding.reverse(tx, decision, "K1", lift.basis, **by)
        except Refusal as refusal:  # it was taken back already, or its text is deleted
            log.info("a refused comment is not published", decision=decision, reason=str(refusal))
    return None


class Aftermath:
    """Follows both books. Belongs to the event loop; its task runs only while there is something to follow.

    ``read`` runs a call of the room log in a reader's thread. Bound: :data:`ROWS` at a time; the rest waits in the books.
    """

    def __init__(
        self, book: ReviewBook, accounts: Accounts, records: Log, read: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._book = book
        self._accounts = accounts
        self._log = records
        self._read = read
        self._decisions = -1  # up to which decision, and entry, this process has read; -1: it has not begun
        self._entries = -1
        self._wake = False
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.trouble = ""
        """Why nothing follows at the moment, for the operator; empty: it does."""
        book.listen(self._decided)
        accounts.listen(self._changed)

    def start(self) -> None:
        """Begin to follow, and catch up with what a crash left."""
        self._work()

    def _decided(self, decided: list[Decision]) -> None:
        if any(each.what in _FOR_PEOPLE for each in decided):
            self._work()

    def _changed(self, standing: Standing, letters: list[Letter]) -> None:
        if standing.erased or any(each.kind == "measure_lifted" for each in letters):
            self._work()

    def _work(self) -> None:
        self._wake = True
        if self._task is None and not self._stopping:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._wake:
                self._wake = False
                try:
                    if self._entries < 0:
                        await self._begin()
                    while await self._follow_decisions() or await self._follow_entries():
                        pass
                except (StoreError, Refusal) as error:
                    if self.trouble != str(error):
                        log.error("decisions do not reach people yet", error=str(error))
                    self.trouble, self._wake = str(error), True
                    if self._stopping:
                        return
                    await asyncio.sleep(_PAUSE_S)
                else:
                    self.trouble = ""
        except Exception:  # a fault of ours: the next decision begins anew
            log.exception("decisions do not reach people")
        finally:
            self._task = None

    async def _begin(self) -> None:
        """The places. A book that is older than the other knows it, as after restoring a backup, is followed from its end."""
        newest = await self._accounts.read(newest_entry)

        def settle(tx: Transaction) -> tuple[int, int]:
            at = intake.place(tx.sql, LEDGER)
            if not at or at > newest:  # entries from before there was a desk are not followed
                at = newest
                intake.move(tx, LEDGER, at)
            return at, tx.sql.execute(select(func.max(tables.decisions.c.id))).scalar() or 0

        entries, last = await self._book.write(settle)
        self._decisions = await self._accounts.write(lambda tx: followed.fit_review(tx, last))
        self._entries = entries

    async def _follow_decisions(self) -> bool:
        found = await self._book.read(lambda connection: decisions_after(connection, self._decisions, ROWS))
        for told in found:
            try:
                await self._accounts.write(lambda tx: follow_decision(tx, told))  # noqa: B023 - awaited here
            except Refusal as refusal:
                log.warning("a decision is not told", decision=told.decision.id, reason=str(refusal))
            self._decisions = told.decision.id
        return bool(found)

    async def _follow_entries(self) -> bool:
        found, newest = await self._accounts.read(
            lambda connection: (entries_after(connection, self._entries, ROWS), newest_entry(connection))
        )
        for lift in found:
            removed = await self._is_removed(lift.measure)
            try:
                await self._book.write(lambda tx: follow_entry(tx, lift, removed))  # noqa: B023 - awaited here
            except Refusal as refusal:
                log.warning("a lifted measure changes nothing", measure=lift.measure and lift.measure.id, reason=str(refusal))
            self._entries = lift.entry
        if len(found) < ROWS:
            self._entries = max(self._entries, newest)
        return bool(found)

    async def _is_removed(self, measure: measures.Record | None) -> bool:
        if measure is None or not measure.seq:
            return False
        room, seq = measure.room, measure.seq
        try:
            events = await self._read(lambda: self._log.read(room, seq - 1, 1))
        except Refusal as refusal:
            if refusal.code.temporary:
                raise
            return False  # a room of a log that is older than the books
        return bool(events and events[0].removed_by)

    async def drain(self) -> None:
        """All is followed, and the place in the ledger noted; what a fault prevents is left to the next start."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._entries > 0:
            try:
                await self._book.write(lambda tx: intake.move(tx, LEDGER, max(self._entries, intake.place(tx.sql, LEDGER))))
            except StoreError as error:
                log.error("the place in the ledger is not noted; the next start reads on from an older one", error=str(error))
