"""What decisions do in the room logs, carried out after they are committed: once each, in order, again after a crash (duty P7).

A decision and its effect are written together. Here the effect goes the one path into the log, under a key that is made of the
decision's id, so that carrying it out twice is carrying it out once.

Crash windows. After the decision's commit and before the log's: the effect is open, and the next start carries it out. After the
log's commit, and before it is noted here: it is carried out again, and the log gives the first answer. A fault of the log is
waited out. What the log refuses for good (a comment that is removed already) is noted with the code.

Order. Effects on one comment, and notices of one room, are carried out in the order of their decisions, one at a time; all others
at once, up to :data:`TOGETHER`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection, select, update

from server.errors import Refusal, StoreError
from server.moderation import tables
from server.moderation.book import Decision, Effect, ReviewBook, Transaction
from server.store.base import CommentDraft, Committed, Draft, NoticeDraft, Outcome, RemovalDraft, RestorationDraft

TOGETHER: Final = 64
"""Effects under way at once."""
READ: Final = 1000
"""Open effects in memory; the rest are read from the book when these are done."""
PAUSE_S: Final = 0.5
DRAIN_S: Final = 3.0
"""How long the end of the process waits for effects that the log does not take."""
_MOST_PAUSE_S: Final = 10.0

_TYPES: Final[dict[str, type[Effect]]] = {
    "publish": CommentDraft, "remove": RemovalDraft, "restore": RestorationDraft, "notice": NoticeDraft,
}  # fmt: skip
_e: Final = tables.effects.c

log = structlog.get_logger("effects")


class Open(NamedTuple):
    """An effect that is to be carried out."""

    decision: int
    draft: Effect


class Ended(NamedTuple):
    """How an effect ended: the number of the event that it became, or the code by which the log refused it for good."""

    decision: int
    seq: int
    failure: str


def waiting(connection: Connection, after: int, limit: int) -> list[Open]:
    """Effects that are to be carried out, of decisions with ids after ``after``, in order."""
    query = select(_e.decision, _e.kind, _e.draft).where(_e.done_ms == 0, _e.decision > after)
    rows = connection.execute(query.order_by(_e.decision).limit(limit))
    return [Open(decision, msgspec.json.decode(draft, type=_TYPES[kind])) for decision, kind, draft in rows]


def end(tx: Transaction, ended: list[Ended]) -> None:
    """Note how effects ended."""
    for each in ended:
        values = {"done_ms": tx.now_ms, "seq": each.seq, "failure": each.failure}
        tx.sql.execute(update(tables.effects).where(_e.decision == each.decision, _e.done_ms == 0).values(**values))


def ended_of(connection: Connection, decision: int) -> Ended | None:
    """How a decision's effect ended; None: it has none, or is still to be carried out."""
    row = connection.execute(select(_e.seq, _e.failure).where(_e.decision == decision, _e.done_ms > 0)).first()
    return Ended(decision, row[0], row[1]) if row is not None else None


class Effects:
    """See the module's text. Belongs to the event loop; its task runs only while there is something to carry out.

    ``submit`` is the one path into the log; ``held_back`` says of a draft that it must wait for now (a comment for a closed room).
    Bounds: :data:`TOGETHER`, :data:`READ`. Overflow action: what is beyond stays in the book until there is room.
    """

    def __init__(
        self,
        book: ReviewBook,
        submit: Callable[[Draft], Awaitable[Outcome]],
        held_back: Callable[[Effect], bool] = lambda draft: False,
    ) -> None:
        self._book = book
        self._submit = submit
        self._held_back = held_back
        self._todo: dict[int, Effect] = {}
        self._under_way: set[int] = set()
        self._busy: set[tuple[Any, ...]] = set()
        self._ended: list[tuple[Ended, Committed | Refusal]] = []
        self._waiters: dict[int, list[asyncio.Future[Committed]]] = {}
        self._read_up_to = 0
        self._more = True
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.trouble = ""
        """Why effects are waiting, for the operator; empty: they are not."""
        book.listen(self._decided)

    @property
    def open(self) -> int:
        """How many are in memory, to be carried out."""
        return len(self._todo)

    def start(self) -> None:
        """Carry out, in the background, what a crash or a fault left."""
        self._more = True
        self._work()

    def wake(self) -> None:
        """Something that was held back may go on: all that is open is read again."""
        self._read_up_to, self._more = 0, True
        self._work()

    def _decided(self, decided: list[Decision]) -> None:
        if decided:
            self._more = True
            self._work()

    async def settled(self, decision: int) -> Committed:
        """Wait until the decision's effect stands in the log. Raises the Refusal by which the log refuses it: one that is temporary
        means that it will be carried out later."""
        future: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(decision, []).append(future)
        self._more = True
        self._work()
        try:
            return await future
        finally:
            waiters = self._waiters.get(decision, [])
            if future in waiters:
                waiters.remove(future)
            if not waiters:
                self._waiters.pop(decision, None)

    def _work(self) -> None:
        self._wake.set()
        if self._task is None and not self._stopping:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        pause_s = PAUSE_S
        try:
            while not self._stopping:
                self._wake.clear()
                try:
                    await self._read()
                    await self._note()
                except StoreError as error:
                    self.trouble = str(error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _MOST_PAUSE_S)
                    continue
                pause_s = PAUSE_S
                self._begin()
                if not (self._tasks or self._more or self._ended or self._wake.is_set()):
                    return
                await self._wake.wait()
        except Exception:  # a fault of ours: the next decision begins anew
            log.exception("effects cannot be carried out")
        finally:
            self._task = None

    async def _read(self) -> None:
        """Take open effects into memory; those of decisions that somebody waits for again are looked up, too."""
        room = READ - len(self._todo)
        if self._more and room > 0:
            self._more = False
            after = self._read_up_to
            found = await self._book.read(lambda connection: waiting(connection, after, room))
            self._more = self._more or len(found) == room
            for each in found:
                self._todo.setdefault(each.decision, each.draft)
            if found and self._read_up_to == after:
                self._read_up_to = found[-1].decision
        here = self._todo.keys() | {each.decision for each, _ in self._ended}
        for decision in [each for each in self._waiters if each not in here and (each <= self._read_up_to or not self._more)]:
            await self._tell_ended(decision)

    async def _tell_ended(self, decision: int) -> None:
        """Somebody asks about an effect that ended before: the log, asked again, gives the first answer."""

        def work(connection: Connection) -> tuple[Ended | None, Effect | None]:
            row = connection.execute(select(_e.kind, _e.draft).where(_e.decision == decision)).first()
            draft = msgspec.json.decode(row[1], type=_TYPES[row[0]]) if row is not None else None
            return ended_of(connection, decision), draft

        ended, draft = await self._book.read(work)
        if draft is None:
            self._answer(decision, Refusal("decision_not_found", "it does nothing in a room's log"))
        elif ended is not None and ended.failure:
            self._answer(decision, Refusal(ended.failure))
        else:
            self._todo[decision] = draft

    def _begin(self) -> None:
        """Start what may go on now, in the order of decisions."""
        seen = set(self._busy)
        for decision, draft in sorted(self._todo.items()):
            if len(self._under_way) >= TOGETHER:
                return
            conflict = _conflict(decision, draft)
            if decision in self._under_way or conflict in seen:
                continue
            seen.add(conflict)
            self._busy.add(conflict)
            self._under_way.add(decision)
            task = asyncio.get_running_loop().create_task(self._carry_out(decision, draft, conflict))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an effect failed", exc_info=error)

    async def _carry_out(self, decision: int, draft: Effect, conflict: tuple[Any, ...]) -> None:
        try:
            try:
                # Asked in the same turn in which it is submitted: the closing of its room may have been submitted just before.
                if self._held_back(draft):
                    self._todo.pop(decision, None)
                    self._answer(decision, Refusal("room_closed", "it will be done when the room is open again"))
                    return
                outcome = await self._submit(draft)
            except Refusal as refusal:
                self._refused(decision, refusal)
                if refusal.code.temporary:
                    self.trouble = str(refusal)
                    await asyncio.sleep(PAUSE_S)
                return
            except Exception:  # a fault of ours: it is tried again, and not without a pause
                await asyncio.sleep(PAUSE_S)
                raise
            if isinstance(outcome, Committed):
                self.trouble = ""
                self._todo.pop(decision, None)
                self._ended.append((Ended(decision, outcome.event.seq, ""), outcome))
            else:
                self._refused(decision, Refusal(getattr(outcome, "code", "") or "internal_error"))
        finally:
            self._under_way.discard(decision)
            self._busy.discard(conflict)

    def _refused(self, decision: int, refusal: Refusal) -> None:
        if not refusal.code.temporary:
            log.warning("what was decided cannot be", decision=decision, code=refusal.code.name)
            self._todo.pop(decision, None)
            self._ended.append((Ended(decision, 0, refusal.code.name), refusal))
        else:
            self._answer(decision, refusal)

    def _answer(self, decision: int, answer: Committed | Refusal) -> None:
        for future in self._waiters.pop(decision, []):
            if future.done():
                continue
            if isinstance(answer, Refusal):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _note(self) -> None:
        """Note what ended, all of it in one transaction; then tell who waits for it. Raises StoreError; they are told all the
        same."""
        ended = list(self._ended)
        if not ended:
            return
        try:
            await self._book.write(lambda tx: end(tx, [each for each, _ in ended]))
            del self._ended[: len(ended)]
        finally:
            for each, answer in ended:
                self._answer(each.decision, answer)

    async def drain(self) -> None:
        """Carry out what can be at once, and note it; the rest is left to the next start."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=DRAIN_S)
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=2 * PAUSE_S)
        for task in list(self._tasks):
            task.cancel()
        for decision in list(self._waiters):
            self._answer(decision, Refusal("shutting_down"))
        try:
            await self._note()
        except StoreError as error:
            log.error("effects are not noted as carried out; the next start asks the log", error=str(error))


def _conflict(decision: int, draft: Effect) -> tuple[Any, ...]:
    """What effects must share for their order to matter."""
    if isinstance(draft, RemovalDraft | RestorationDraft):
        return (draft.room, draft.target)
    if isinstance(draft, NoticeDraft):
        return (draft.room,)
    return (decision,)
