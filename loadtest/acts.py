"""What people do in one part of a run: they post, flood, lose their connections, do not read, open pages, take comments down.

Everything is due at intended times (open model): what takes long does not delay what comes after it, and every time that is
noted counts from when the act was due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import accumulate
from time import perf_counter
from typing import Final, NamedTuple

import httpx
import msgspec

from loadtest import texts
from loadtest.arena import Arena, Room
from loadtest.arrivals import Pacer, Segment, varying
from loadtest.ledger import Ledger, Submission
from loadtest.participants import Participant
from loadtest.scenarios.stall import set_reading
from loadtest.spec import Phase
from loadtest.truth import Violation
from server.wire import page_number

REMOVABLE_MAX: Final = 10_000
_REASON: Final = "S2"
_BASIS: Final = "load test"


class Act(NamedTuple):
    """One page read or one removal: when it was due, how long it took from then, and whether it succeeded."""

    due_s: float
    seconds: float
    good: bool


class _Removed(msgspec.Struct):
    seq: int


class Acts:
    """What happened besides comments. ``cuts`` are the times of cut connections; ``violations`` what a page did not show."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.reads: list[Act] = []
        self.removals: list[Act] = []
        self.cuts: list[float] = []
        self.violations: list[Violation] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._removable: deque[tuple[Room, int]] = deque(maxlen=REMOVABLE_MAX)
        self._turns: dict[int, int] = {}
        self._posting = [room for room in arena.rooms if room.senders and room.rooms.weight]
        self._weights = list(accumulate(room.rooms.weight / room.rooms.count for room in self._posting))
        self._raided = [room for room in arena.rooms if room.raiders]
        self._raid_texts = texts.raid(arena.scenario.seed)
        if any(phase.takedowns_per_s for phase in arena.scenario.phases):
            for room in self._posting:
                for person in room.senders:
                    person.settled = self._note_removable(room)

    def _note_removable(self, room: Room) -> Callable[[Participant, Submission], None]:
        def note(person: Participant, submission: Submission) -> None:
            if submission.outcome == "acked":
                self._removable.append((room, submission.seq))

        return note

    async def play(self, phase: Phase, step: int, segments: list[Segment], pacer: Pacer, start_s: float) -> None:
        """One step of a phase, to the end of its time. ``pacer`` keeps account of the comments."""
        arena, seconds = self.arena, sum(segment.seconds for segment in segments)
        if step == 0:
            arena.let_in(phase.present)
            self._cut_at_once(phase.cut_share)
        slow = self._slow(phase.slow_share)
        set_reading(slow, reading=False)
        seed = None if arena.scenario.arrivals == "steady" else arena.scenario.seed * 1000 + step

        def steady(per_s: float) -> list[Segment]:
            return [Segment(seconds, per_s, per_s)]

        others: list[tuple[float, Callable[[int, float], None]]] = [
            (phase.raid_per_s, self._raid),
            (phase.page_reads_per_s, lambda number, due_s: self._start(self._read_page(number, due_s))),
            (phase.takedowns_per_s, lambda number, due_s: self._start(self._take_down(due_s))),
            (
                len(self._cuttable()) / phase.cut_every_s if phase.cut_every_s else 0.0,
                lambda number, due_s: self._cut_one(phase),
            ),
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(pacer.run(varying(segments, seed), self._say, start_s))
            for number, (per_s, act) in enumerate(others, 1):
                if per_s:
                    group.create_task(Pacer().run(varying(steady(per_s), arena.scenario.seed * 1000 + number), act, start_s))
            group.create_task(asyncio.sleep(max(0.0, start_s + seconds - perf_counter())))
        set_reading(slow, reading=True)

    async def finish(self, timeout_s: float) -> None:
        """Wait for page reads and removals that are under way; those that do not end in time have failed."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- comments -----------------------------------------------------------------------------------------------------

    def _say(self, number: int, due_s: float) -> None:
        arena = self.arena
        room = self._posting[0]
        if len(self._posting) > 1:
            room = arena.dice.choices(self._posting, cum_weights=self._weights)[0]
        self._next(room.senders, room.ledger).say(arena.next_key(), next(arena.texts), due_s)

    def _raid(self, number: int, due_s: float) -> None:
        room = self._raided[number % len(self._raided)]
        self._next(room.raiders, room.raid).say(self.arena.next_key(), next(self._raid_texts), due_s)

    def _next(self, people: list[Participant], book: Ledger) -> Participant:
        """They post in turn."""
        turn = self._turns[id(book)] = self._turns.get(id(book), -1) + 1
        return people[turn % len(people)]

    # -- connections --------------------------------------------------------------------------------------------------

    def _slow(self, share: float) -> list[Participant]:
        return [
            person for room in self.arena.rooms for person in room.slow[: round(share * len(room.people))] if person.present
        ]

    def _cut_at_once(self, share: float) -> None:
        people = self._cuttable() if share else []
        for person in self.arena.dice.sample(people, round(share * len(people))):
            self._cut(person, 0.0)

    def _cut_one(self, phase: Phase) -> None:
        """Most come back at once, every fourth stays away for longer."""
        dice = self.arena.dice
        person = dice.choice(self._cuttable())
        self._cut(person, dice.uniform(0, phase.away_max_s) if dice.random() < 0.25 else 0.0)

    def _cuttable(self) -> list[Participant]:
        return [person for room in self.arena.rooms if room.rooms.cut for person in room.people[: room.present]]

    def _cut(self, person: Participant, away_s: float) -> None:
        transport = person.client.transport if person.present and person.client is not None else None
        if transport is not None and not transport.is_closing():
            person.away_s = away_s
            person.cut()
            self.cuts.append(perf_counter())

    # -- pages and removals -------------------------------------------------------------------------------------------

    async def _read_page(self, number: int, due_s: float) -> None:
        """Of ten reads six open the newest page, two the room's, two an older page; the newest must show what was live."""
        room = self.arena.dice.choice(self.arena.rooms)
        known = room.newest
        name, newest = room.site.room, page_number(max(known, 1))
        kind = number % 10
        path = f"/rooms/{name}/comments/{newest}.html"
        if kind in (3, 8):
            path = f"/rooms/{name}"
        elif kind in (1, 6):
            path = f"/rooms/{name}/comments/{self.arena.dice.randint(0, newest)}.html"
        good = False
        try:
            answer = await self.arena.http.get(path)
            good = answer.status_code == httpx.codes.OK
            if good and kind not in (1, 3, 6, 8) and known > room.base and b'id="c%d"' % known not in answer.content:
                self.violations.append(
                    Violation("live_not_static", f"event {known} was live, and {path} read after it has it not")
                )
        except httpx.HTTPError:
            pass
        finally:
            self.reads.append(Act(due_s, perf_counter() - due_s, good))

    async def _take_down(self, due_s: float) -> None:
        """Remove the newest comment that is acknowledged; none there: nothing to do."""
        if not self._removable:
            return
        room, target = self._removable.pop()
        body: dict[str, object] = {"room": room.site.room, "seq": target, "code": _REASON, "basis": _BASIS}
        good = False
        try:
            answer = await self.arena.ask_operator("removal", {**body, "key": self.arena.next_key()})
            if answer.is_success:
                seq = msgspec.json.decode(answer.content, type=_Removed).seq
                room.removals.append((target, seq))
                room.removal_due[seq] = due_s
                good = True
        except (httpx.HTTPError, msgspec.DecodeError):
            pass
        finally:
            self.removals.append(Act(due_s, perf_counter() - due_s, good))
