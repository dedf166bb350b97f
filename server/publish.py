"""The one path by which anything enters a room's log: queue, group commit, and what follows a commit.

Ownership: everything here belongs to the event loop but :meth:`Store.append` and :meth:`Store.read`, which run in the writer
thread. At most one batch is in the writer thread. Order::

    submit -> queue -> [writer thread: one durable transaction] -> committed(): ring, answers, room marked due -> flush

Two lanes lead into a batch. When more waits than a batch takes, removals and restorations of what stands in the log overtake the
rest: they depend on nothing that waits. All else keeps its order, notices too, and a mode counts for what comes in from the moment
its notice is submitted (``Room.coming``): so no comment stands in the log behind the closing of its room. When there is too much
to do only comments are refused (:meth:`Publisher.check`), before anything was spent on them.

Crash windows. Before the transaction is durable nobody was told anything. After it, and before the answer: the author retries
with the same key and gets the first answer. After the answer, and before the flush: the pages are repaired from the log at start,
before the first viewer is served.

A commit has three outcomes. *Committed*: the answers go out. *Failed* (StoreUnavailable): nothing was written, authors are
told so. *Unknown* (StoreUnknown): the same drafts are appended again, which by their keys writes nothing twice and tells what the
first attempt did; that is the same code that serves retries of authors. When the attempts are used up the authors hear
``outcome_unknown``, and before anything else is committed the rooms concerned are read again from the log (:meth:`_reconcile`);
when nothing else comes, that is done all the same, so that what stands in the log becomes static and live by itself.

While the store takes no commits every draft is refused at once, and the store is probed with an empty batch until it takes that:
readiness comes back without traffic, which no balancer sends to a process that is not ready.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol, TypeVar

import structlog

from server.core.hub import Hub
from server.core.lanes import Lanes
from server.core.room import Room
from server.errors import Refusal, StoreError, StoreUnavailable, StoreUnknown
from server.flush import Flusher, Viewer
from server.metrics import Stats
from server.store.base import (
    Committed,
    Draft,
    NoticeDraft,
    Outcome,
    RemovalDraft,
    ReportDraft,
    RestorationDraft,
    RoomMode,
    ScreenedDraft,
    Store,
)
from server.wire import Event

T = TypeVar("T")

_UNKNOWN_DELAYS_S = (0.05, 0.2, 0.5, 1.0, 2.0)
_FAULT_PAUSE_S = 5.0
_PROBE_S = 0.5
_RECONCILE_ROWS = 1000

log = structlog.get_logger("publish")


class Sink(Protocol):
    """Who submitted a draft. Called on the event loop, must not raise."""

    def answer(self, draft: Draft, outcome: Outcome | Refusal) -> None:
        """The draft's fate; a Refusal is ``storage_unavailable``, ``outcome_unknown`` or ``shutting_down``."""


class Publisher:
    """See the module's text. ``on_mode`` is told of mode changes, ``on_decision`` of removals and restorations in the order of
    the log, ``on_record`` that held comments or reports were recorded; ``after_batch`` runs once after all answers of a batch.

    Bounds: ``queue_max`` drafts wait in each lane (overflow: Refusal ``overloaded``); a batch has at most ``batch_max``; a comment
    that would wait longer than ``admit_ms`` is not taken. A commit costs about the same for one draft as for fifty: what comes
    during one shares the next, and what many say at about the same time comes together (:mod:`server.core.inbox`).
    """

    def __init__(
        self,
        store: Store,
        hub: Hub[Viewer],
        flusher: Flusher,
        writer: Executor,
        stats: Stats,
        *,
        queue_max: int,
        batch_max: int,
        admit_ms: float,
        on_mode: Callable[[str, RoomMode], None],
        after_batch: Callable[[], None],
        on_decision: Callable[[str, Event], None] = lambda room, event: None,
        on_record: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._flusher = flusher
        self._writer = writer
        self._stats = stats
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._admit_s = admit_ms / 1000
        self._on_mode = on_mode
        self._on_decision = on_decision
        self._on_record = on_record
        self._after_batch = after_batch
        self._queue: Lanes[tuple[Draft, Sink]] = Lanes()
        self._turn_s = 0.0
        self._running: asyncio.Task[None] | None = None
        self._doubtful: set[str] = set()
        self._draining = False
        self._trouble = ""
        self._went_back = ""

    @property
    def trouble(self) -> str:
        """Why comments are refused at the moment, for the operator; empty: they are not."""
        return self._went_back or self._trouble

    # -- arriving -----------------------------------------------------------------------------------------------------

    def check(self, room: str, *, control: bool = False) -> None:
        """Could a draft for this room be taken now? ``room`` is empty for a record, which needs no page; ``control`` is what an
        operator does, and a recall: that must get through when there is too much of all else. Raises Refusal ``shutting_down``,
        ``overloaded``, ``storage_unavailable``.

        Called before the screening, so that an overloaded server does not spend its time on what it must refuse.
        """
        if self._draining:
            raise Refusal("shutting_down")
        if (self._queue.urgent if control else self._queue.ordinary) >= self._queue_max:
            raise Refusal("overloaded", retry_after_ms=1000)
        if self._trouble or self._went_back or self._flusher.blocked(room):
            raise Refusal("storage_unavailable", retry_after_ms=1000)
        if control:
            return
        held = self._hub.rooms.get(room)
        # The latter, since pages that are written too slowly must not let the ring grow for ever.
        if self._late() or (held is not None and held.pending >= self._queue_max):
            raise Refusal("overloaded", retry_after_ms=1000)

    def _late(self) -> bool:
        """Would a comment wait for too long? Those before it do, or this turn of the loop has gone on for so long already.

        A turn reads what came during the one before it. When it takes long, what is read late in it has waited as long at least; and
        when more comes than can be done each turn is longer than the last. So the bound on a turn bounds them all: to refuse costs
        a fraction of what a comment costs.
        """
        now = time.monotonic()
        if not self._turn_s:
            self._turn_s = now
            asyncio.get_running_loop().call_soon(self._turned)
        return now - min(self._turn_s, self._queue.oldest_s) > self._admit_s

    def _turned(self) -> None:
        self._turn_s = 0.0

    def submit(self, draft: Draft, sink: Sink) -> None:
        """Queue a draft that :meth:`check` let pass; its sink is answered later. Never blocks."""
        urgent = isinstance(draft, RemovalDraft | RestorationDraft) and self._stands(draft.room, draft.target)
        if isinstance(draft, NoticeDraft) and (coming := self._coming(draft)) is not None:
            coming.append(draft.room_mode)  # type: ignore[arg-type] # a mode's notice names one
        self._queue.put((draft, sink), time.monotonic(), urgent=urgent)
        self._start()

    def _coming(self, draft: NoticeDraft) -> list[RoomMode] | None:
        """Where the mode that is on its way with this draft is kept; None: it brings none."""
        held = self._hub.rooms.get(draft.room)
        return held.coming if held is not None and draft.notice == "mode" and draft.room_mode else None

    def _answer(self, draft: Draft, sink: Sink, outcome: Outcome | Refusal) -> None:
        if isinstance(draft, NoticeDraft) and (coming := self._coming(draft)):
            coming.remove(draft.room_mode)  # type: ignore[arg-type] # as above
        sink.answer(draft, outcome)

    def _stands(self, room: str, seq: int) -> bool:
        held = self._hub.rooms.get(room)
        return held is not None and seq <= held.head

    def _start(self) -> None:
        if self._running is None:
            # The task starts in the next turn of the loop, so that all messages read in this turn share the commit.
            self._running = asyncio.get_running_loop().create_task(self._run())
            self._running.add_done_callback(self._ended)

    @property
    def queued(self) -> int:
        """Drafts that wait for a commit."""
        return len(self._queue)

    async def drain(self) -> None:
        """Take no more drafts; return when all that were taken are answered."""
        self._draining = True
        while self._running is not None:
            await asyncio.wait([self._running])

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("commit loop failed", exc_info=error)
        if (self._queue or ((self._doubtful or self._trouble) and not self._draining)) and not task.cancelled():
            self._start()

    # -- group commit -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Commit until the queue is empty, no room is in doubt and the store takes commits; what arrives during a commit forms
        the next batch."""
        while self._queue or ((self._doubtful or self._trouble) and not self._draining):
            if not self._queue:
                await self._recover()
                continue
            batch = self._queue.take(self._batch_max)
            try:
                await self._commit(batch)
            except BaseException as error:
                # A fault of our own: nobody may wait for ever, and the rooms are read again before the next commit.
                self._doubtful.update(draft.room for draft, _ in batch if hasattr(draft, "room"))
                self._refuse(batch, "outcome_unknown")
                if not isinstance(error, Exception):
                    raise
                log.error("a commit failed", exc_info=error)

    async def _recover(self) -> None:
        """Nobody waits for a commit: read rooms in doubt again, and see whether the store takes commits; once more in a while."""
        try:
            await self._reconcile()
            if self._trouble:
                await self._in_writer(lambda: self._store.append([]))
        except StoreError as error:
            self._broken(error)
            await asyncio.sleep(_PROBE_S)
        except Exception as error:  # whatever it is, comments must not stay refused after it ended
            log.error("rooms in doubt could not be read again", exc_info=error)
            await asyncio.sleep(_FAULT_PAUSE_S)
        else:
            self._healed()

    async def _commit(self, batch: deque[tuple[Draft, Sink]]) -> None:
        drafts = [draft for draft, _ in batch]
        unknown = False
        for delay in (*_UNKNOWN_DELAYS_S, 0.0):
            try:
                await self._reconcile()
                started = time.perf_counter()
                outcomes = await self._in_writer(lambda: self._store.append(drafts))
            except StoreUnavailable as error:
                self._broken(error)
                if not unknown:
                    self._refuse(batch, "storage_unavailable")
                    return
            except StoreUnknown as error:
                self._broken(error)
                unknown = True
            else:
                self._healed()
                self._stats.commits += 1
                self._stats.batch_drafts.observe(len(batch))
                self._stats.commit_s.observe(time.perf_counter() - started)
                self._committed(batch, outcomes)
                return
            await asyncio.sleep(delay)
        self._doubtful.update(draft.room for draft in drafts if hasattr(draft, "room"))
        self._refuse(batch, "outcome_unknown")

    async def _in_writer(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    def _broken(self, error: StoreError) -> None:
        if isinstance(error, StoreUnknown):
            self._stats.commits_unknown += 1
        else:
            self._stats.commits_failed += 1
        if self._trouble != str(error):
            log.error("the store does not take commits; comments are refused until it does", error=str(error))
        self._trouble = str(error)

    def _healed(self) -> None:
        if self._trouble:
            log.info("the store takes commits again")
        self._trouble = ""

    def _refuse(self, batch: deque[tuple[Draft, Sink]], code: str) -> None:
        """Answer all of the batch that have no answer yet."""
        refusal = Refusal(code, retry_after_ms=1000)
        while batch:
            draft, sink = batch.popleft()
            self._answer(draft, sink, refusal)
        self._after_batch()

    # -- after a commit -----------------------------------------------------------------------------------------------

    def _committed(self, batch: deque[tuple[Draft, Sink]], outcomes: Sequence[Outcome]) -> None:
        """Synchronous on purpose: nothing comes between the ring, the answers and marking the rooms due.

        Who was answered leaves ``batch``: no fault of ours leads to a second answer.
        """
        due: dict[str, Room[Viewer]] = {}
        recorded = False
        try:
            for outcome in outcomes:
                if type(outcome) is Committed:
                    room = self._hub.rooms[outcome.room]
                    # A retry of what is known already has a number up to head; one that only now turns out written is applied.
                    if outcome.event.seq == room.head + 1:
                        self._apply(room, outcome)
                        due[room.name] = room
                    elif outcome.event.seq > room.head:
                        self._doubtful.add(room.name)
                    elif outcome.fresh:
                        self._log_went_back(outcome, room)
                draft, sink = batch.popleft()
                recorded |= type(draft) is ReportDraft or (type(draft) is ScreenedDraft and draft.action == "held")
                self._answer(draft, sink, Refusal("outcome_unknown") if self._went_back else outcome)
        finally:
            self._after_batch()
            for room in due.values():
                self._due(room)
            if recorded:
                self._on_record()

    def _due(self, room: Room[Viewer]) -> None:
        try:
            self._flusher.due(room)
        except Exception as error:  # a fault of ours in one room must not hold up the others; this one is read again
            log.error("a room could not be flushed", room=room.name, exc_info=error)
            self._doubtful.add(room.name)

    def _log_went_back(self, outcome: Committed, room: Room[Viewer]) -> None:
        """A new event got a number that was given before: somebody put an older database in place of ours while we run.

        What memory, pages and viewers have is not what the log says any more. Nothing more is acknowledged; a restart reads the
        log anew.
        """
        if not self._went_back:
            self._went_back = (
                f"the log of room {room.name} went back from {room.head} to {outcome.event.seq}: an older database was put in "
                "place of the server's own while it ran. Restart the server."
            )
            log.error("the log went back; comments are refused until a restart", error=self._went_back)

    def _apply(self, room: Room[Viewer], outcome: Committed) -> None:
        event = outcome.event
        room.commit(event)
        self._stats.events += 1
        if outcome.target is not None:
            room.replace(outcome.target)
            self._on_decision(room.name, event)
        elif event.kind == "notice" and event.notice == "mode":
            room.take_mode(event)
            self._on_mode(room.name, room.mode)

    async def _reconcile(self) -> None:
        """Read rooms in doubt again from the log, and go on as after a commit. Raises StoreUnavailable."""
        for name in sorted(self._doubtful):
            room = self._hub.rooms.get(name)
            while room is not None:
                after = room.head
                events = await self._in_writer(lambda: self._store.read(name, after, _RECONCILE_ROWS))  # noqa: B023 # awaited here
                for event in events:
                    target = None
                    if event.target:
                        number = event.target
                        target = (await self._in_writer(lambda: self._store.read(name, number - 1, 1)))[0]  # noqa: B023
                    self._apply(room, Committed(name, event, True, target))
                if len(events) < _RECONCILE_ROWS:
                    self._flusher.due(room)
                    break
            self._doubtful.discard(name)
