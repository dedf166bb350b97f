"""From the ring to the page and to the viewers, once per room and tick: first static, then live.

A room is in one of three states:

- *quiet* or *waiting* (``timer``): the next flush appends the new rows to the open page with one write, then sends one frame.
- *busy*: pages are being rewritten in a worker thread, because a removal or restoration changes a row that stands on a page
  already, or because the page was found damaged. Commits go on, flushing waits; one flush at a time per room.
- *blocked*: rewriting failed (disk full, folder read-only). It is tried again with growing pauses until it succeeds; meanwhile the
  room takes no comments (temporary refusal), so that what waits in the ring stays bounded by the queue's bound.

What is over a room's budget of live events is left out of the frame, never of the page (:mod:`server.core.sampling`): the frame says
which numbers it stands for and how many comments it leaves out, and whoever wrote one of those gets it beforehand, as an ``echo``.

Crash windows: rows on the page and not yet sent are fetched by viewers as a gap after the restart; rows committed and not yet
on the page are put there by the repair at start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from typing import NamedTuple, Protocol, TypeVar

import structlog

from server.core.audience import Party
from server.core.batch import Pace, Tick
from server.core.frames import text_frame
from server.core.hub import Frames
from server.core.room import Entry, Room
from server.core.sampling import Bucket, Sampler
from server.errors import StoreError
from server.metrics import Stats
from server.wire import encode_echo, encode_events, encode_sampled, page_number
from static_mirror import Mirror, MirrorError

T = TypeVar("T")

_RETRY_FIRST_S = 0.2
_RETRY_MAX_S = 2.0

log = structlog.get_logger("flush")


class Viewer(Protocol):
    """A connection that receives frames. ``write`` never blocks and never raises; it belongs to the event loop. ``author_id`` is the
    public id of who is signed in there (empty: nobody)."""

    author_id: str
    deflate: bool

    @property
    def write(self) -> Callable[[bytes], object]: ...


class _Outlets(NamedTuple):
    """Where the frames of a party go: those who take them plain, and those who take them compressed."""

    plain: tuple[Callable[[bytes], object], ...]
    deflate: tuple[Callable[[bytes], object], ...]

    @staticmethod
    def of(party: Party[Viewer]) -> _Outlets:
        """Derived once for a party: neither of the two changes while somebody watches."""
        if not isinstance(party.derived, _Outlets):
            party.derived = _Outlets(
                tuple(viewer.write for viewer in party.viewers if not viewer.deflate),
                tuple(viewer.write for viewer in party.viewers if viewer.deflate),
            )
        return party.derived


class Pages(Protocol):
    """Blocking work on pages, done in a worker thread; at most one call per room at a time."""

    def rewrite(self, room: str, numbers: Iterable[int], last: int) -> None:
        """Make these pages again from the log, as they stand with ``last`` as newest event. Raises MirrorError, StoreError."""

    def repair(self, room: str, last: int) -> object:
        """Find what is damaged or missing up to ``last`` and make it again. Raises MirrorError, StoreError."""

    def seal(self, room: str, numbers: Iterable[int]) -> None:
        """Give full pages their final form and write the index. Raises MirrorError, StoreError."""


class _State:
    """Where a room stands with its flushing."""

    __slots__ = (
        "bucket",
        "busy",
        "doubt",
        "free",
        "left_out",
        "lock",
        "pace",
        "sealing",
        "timer",
        "to_seal",
        "unsealed",
        "waiters",
    )

    def __init__(self) -> None:
        self.bucket = Bucket()
        self.left_out: set[int] = (
            set()
        )  # visible comments that do not go live, until all viewers were sent what stands around them
        self.pace = Pace()
        self.timer: asyncio.TimerHandle | None = None
        self.busy = False
        self.doubt = False
        self.sealing = False
        self.to_seal: set[int] = set()
        self.unsealed: set[int] = set()  # could not be sealed; tried again with the next full page
        self.waiters: list[asyncio.Future[None]] = []
        # Held during work in the worker thread: a page is never written twice at once, and each writing reads the log after
        # the one before it, so that a sealed page cannot bring back the text of a comment removed meanwhile.
        self.lock = asyncio.Lock()
        self.free = asyncio.Event()

    def wake(self) -> None:
        """Tell those who wait for the next flush."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


class Flusher:
    """See the module's text. Belongs to the event loop; ``worker`` runs the blocking work on pages."""

    def __init__(
        self,
        mirror: Mirror,
        pages: Pages,
        worker: Executor,
        tick: Tick,
        stats: Stats,
        sampler: Sampler,
        *,
        deflate_min: int,
        deflate_level: int,
    ) -> None:
        self._mirror = mirror
        self._pages = pages
        self._worker = worker
        self._tick = tick
        self._stats = stats
        self._sampler = sampler
        self._deflate_min = deflate_min
        self._deflate_level = deflate_level
        self._states: dict[str, _State] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, str] = {}
        self._complaints: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """Why pages of some room cannot be written at the moment; empty when all can."""
        return next(iter((*self._troubles.values(), *self._complaints.values())), "")

    def complain(self, room: str, trouble: str) -> None:
        """Who looks after a room's pages could not mend them; empty: they are whole. The room goes on: what cannot be written
        blocks it when it comes to that."""
        if trouble:
            self._complaints[room] = trouble
        else:
            self._complaints.pop(room, None)

    def blocked(self, room: str) -> bool:
        """The room's pages cannot be written at the moment."""
        return room in self._troubles

    def due(self, room: Room[Viewer]) -> None:
        """The room has pending events, or viewers that were not sent all: flush it at once after a pause, else at the next tick."""
        state = self._state(room.name)
        if state.timer is not None or state.busy:
            return
        delay = state.pace.delay_ms(self._tick.current_ms / room.parts, _now_ms())
        if delay <= 0:
            self._flush(room, state)
        else:
            self._later(room, state, delay)

    def _later(self, room: Room[Viewer], state: _State, delay_ms: float) -> None:
        state.timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self._on_timer, room, state)

    async def visible(self, room: Room[Viewer], seq: int) -> None:
        """Return when event ``seq`` is on the page and was sent to everybody who gets live frames."""
        while room.sent < seq:
            await asyncio.shield(self.next_flush(room))  # the future is that of others, too

    def next_flush(self, room: Room[Viewer]) -> asyncio.Future[None]:
        """Done after the room's next flush, or when :meth:`wake` was called. One future serves all who wait."""
        waiters = self._state(room.name).waiters
        if not waiters or waiters[-1].done():
            waiters[:] = [asyncio.get_running_loop().create_future()]
        return waiters[-1]

    def wake(self) -> None:
        """Let all who wait for a flush look at how things stand."""
        for state in self._states.values():
            state.wake()

    def sealing(self, room: str) -> bool:
        """Full pages of the room wait for their final form: they are no damage, and about to be written anyway."""
        state = self._states.get(room)
        return state is not None and state.sealing

    async def exclusive(self, room: Room[Viewer], work: Callable[[int], T]) -> T:
        """Run blocking work on a room's pages while nothing is appended to them; ``work`` gets the newest visible number.

        Commits go on meanwhile, flushing waits. Work that has begun goes on to its end, also when the caller is cancelled.
        Raises what ``work`` raises; MirrorError at once when the room is blocked, for that may last.
        """
        state = self._state(room.name)
        while state.busy:
            if room.name in self._troubles:
                raise MirrorError(self._troubles[room.name])
            await state.free.wait()
        self._occupy(state)
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._spawn(self._exclusive(room, state, work, result))
        return await result

    async def beside(self, room: Room[Viewer], work: Callable[[], T]) -> T:
        """Run blocking work that does not touch the open page, while rows are appended to that; no other work on the room's pages
        runs meanwhile. Raises what ``work`` raises."""
        return await self._in_worker(self._state(room.name), work)

    async def _exclusive(self, room: Room[Viewer], state: _State, work: Callable[[int], T], result: asyncio.Future[T]) -> None:
        try:
            found = await self._in_worker(state, lambda: work(room.visible))
        except Exception as error:
            if not result.done():
                result.set_exception(error)
        else:
            if not result.done():
                result.set_result(found)
        finally:
            self._release(state)
            self.due(room)

    async def settle(self) -> None:
        """Wait for rewriting and sealing under way; for the end of a drain. Pending timers fire by themselves."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _state(self, room: str) -> _State:
        state = self._states.get(room)
        if state is None:
            state = self._states[room] = _State()
        return state

    @staticmethod
    def _occupy(state: _State) -> None:
        state.busy = True
        state.free.clear()

    @staticmethod
    def _release(state: _State) -> None:
        state.busy = False
        state.free.set()

    # -- the hot path -------------------------------------------------------------------------------------------------

    def _on_timer(self, room: Room[Viewer], state: _State) -> None:
        state.timer = None
        self._flush(room, state)

    def _flush(self, room: Room[Viewer], state: _State) -> None:
        if state.busy or room.sent == room.head:
            return
        started, parts = _now_ms(), room.parts
        period = self._tick.current_ms / parts
        state.pace.flushed(period, started)
        full: Iterable[int] = ()
        if room.pending:
            entries = room.batch()
            last = room.head
            changed = {event.target for event, _ in entries if event.target and event.target <= room.visible}
            if changed or state.doubt:
                self._start_rewrite(room, state, changed, last)
                return
            try:
                full = self._mirror.append(room.name, [event for event, _ in entries])
            except Exception as error:  # MirrorError, or a fault of our own: the page is in doubt after either
                self._doubt(room, state, error)
                self._start_rewrite(room, state, changed, last)
                return
            self._publish(room, state, last)
        size = self._send(room, state)
        if full:
            self._seal(room, state, full)
        spent_ms = _now_ms() - started
        self._tick.spent(spent_ms, size, parts)
        self._stats.flush_s.observe(spent_ms / 1000)
        if room.sent < room.visible and state.timer is None:
            self._later(room, state, max(0.0, period - spent_ms))

    def _publish(self, room: Room[Viewer], state: _State, last: int) -> None:
        """The rows up to ``last`` are static: make them visible, and choose what does not go live of them."""
        # Read from the ring again: a comment removed since the rows were taken must not go out with its text.
        entries = room.batch()[: last - room.visible]
        room.published(last)
        surplus = self._sampler.too_many(len(entries), state.bucket, self._tick.share, _now_ms())
        if surplus:
            chosen = self._sampler.leave_out([event.seq for event, _ in entries if event.kind == "comment"], surplus)
            state.left_out |= chosen
            self._stats.left_out += len(chosen)
        self._stats.page_lag_s.observe(max(0.0, time.time() - entries[0].event.at_ms / 1000))

    def _send(self, room: Room[Viewer], state: _State) -> int:
        """Send what is visible to those whose turn it is, one write per viewer; returns the bytes of the largest frame."""
        size = 0
        self._stats.flushes += 1
        for entries, party in room.turns():
            if entries:
                size = max(size, self._write(room.name, entries, party, state.left_out))
        if state.left_out:
            state.left_out = {seq for seq in state.left_out if seq > room.sent}
        state.wake()
        return size

    def _write(self, room: str, entries: list[Entry], party: Party[Viewer], left_out: set[int]) -> int:
        # A write may pause a viewer, which takes it out of its cohort; what is missing begins after this frame.
        viewers = len(party.viewers)
        if left_out and any(event.seq in left_out for event, _ in entries):
            payload, live = self._sampled(room, party.viewers, entries, left_out)
        else:
            payload, live = encode_events(room, [data for _, data in entries]), len(entries)
        frames = Frames(payload, self._deflate_min, self._deflate_level)
        plain = sent = frames.plain
        outlets = _Outlets.of(party)
        for write in outlets.plain:
            write(plain)
        if outlets.deflate:
            sent = frames.deflated
            for write in outlets.deflate:
                write(sent)
        self._stats.deliveries += live * viewers
        self._stats.bytes_out += len(plain) * len(outlets.plain) + len(sent) * len(outlets.deflate)
        return len(sent)

    def _sampled(self, room: str, viewers: Iterable[Viewer], entries: list[Entry], left_out: set[int]) -> tuple[bytes, int]:
        """The payload without those, and how many it has; their authors get them beforehand, so that each reader still takes its
        events in order."""
        own: dict[str, list[bytes]] = {}
        kept: list[bytes] = []
        for event, data in entries:
            if event.seq in left_out:
                own.setdefault(event.author_id, []).append(data)
            else:
                kept.append(data)
        own.pop("", None)  # a tombstone has no author
        for viewer in viewers:
            echoes = own.get(viewer.author_id)
            if echoes is not None:
                echo = text_frame(encode_echo(room, echoes))
                viewer.write(echo)
                self._stats.bytes_out += len(echo)
        payload = encode_sampled(room, entries[0].event.seq, entries[-1].event.seq, len(entries) - len(kept), kept)
        return payload, len(kept)

    # -- the slow path ------------------------------------------------------------------------------------------------

    def _doubt(self, room: Room[Viewer], state: _State, error: Exception) -> None:
        state.doubt = True
        self._stats.page_errors += 1
        log.warning("a static page is not as it should be; it is made again from the log", room=room.name, error=str(error))

    def _start_rewrite(self, room: Room[Viewer], state: _State, changed: set[int], last: int) -> None:
        self._occupy(state)
        first = room.visible + 1
        numbers = {page_number(seq) for seq in changed} | set(range(page_number(first), page_number(last) + 1))
        self._spawn(self._rewrite(room, state, numbers, last))

    async def _rewrite(self, room: Room[Viewer], state: _State, numbers: set[int], last: int) -> None:
        pause = _RETRY_FIRST_S
        while True:
            try:
                if state.doubt:
                    await self._in_worker(state, lambda: self._pages.repair(room.name, last))
                await self._in_worker(state, lambda: self._pages.rewrite(room.name, sorted(numbers), last))
                break
            except Exception as error:  # MirrorError, StoreError, or a fault of our own: the room must not fall silent
                self._stats.page_errors += 1
                if self._troubles.get(room.name) != str(error):
                    log.error(
                        "static pages cannot be written; the room is refused until they can", room=room.name, error=str(error),
                        exc_info=None if isinstance(error, MirrorError | StoreError) else error,
                    )  # fmt: skip
                state.doubt = True
                self._troubles[room.name] = str(error)
                state.free.set()  # those who wait for the room hear of it
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_MAX_S)
        if self._troubles.pop(room.name, None) is not None:
            log.info("static pages can be written again", room=room.name)
        state.doubt = False
        self._release(state)
        self._publish(room, state, last)
        self._send(room, state)
        self.due(room)

    def _seal(self, room: Room[Viewer], state: _State, numbers: Iterable[int]) -> None:
        """Full pages get their final form soon; until then they stand complete as they are, and after a crash repair seals them."""
        state.to_seal.update(numbers)
        if not state.sealing:
            state.sealing = True
            self._spawn(self._seal_all(room, state))

    async def _seal_all(self, room: Room[Viewer], state: _State) -> None:
        earlier, state.unsealed = state.unsealed, set()
        try:
            while state.to_seal or earlier:
                # What failed before comes last and by itself: a page that cannot be sealed keeps no other one from it.
                waiting = state.to_seal or earlier
                numbers = sorted(waiting)
                waiting.clear()
                try:
                    await self._in_worker(state, lambda: self._pages.seal(room.name, numbers))  # noqa: B023 # awaited here
                except Exception as error:  # MirrorError, StoreError, or a fault of our own
                    # The full pages stay as they are, valid and complete; the next full page, doubt or start has them sealed.
                    state.unsealed.update(numbers)
                    self._stats.page_errors += 1
                    log.warning(
                        "a full page could not be sealed", room=room.name, error=str(error),
                        exc_info=None if isinstance(error, MirrorError | StoreError) else error,
                    )  # fmt: skip
        finally:
            state.sealing = False

    async def _in_worker(self, state: _State, call: Callable[[], T]) -> T:
        async with state.lock:
            return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work on pages failed", exc_info=error)


def _now_ms() -> float:
    return time.monotonic() * 1000
