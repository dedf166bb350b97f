"""Who takes part in a simulated site: authors that ask until they know, an operator, viewers that stall and come back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from server.errors import Refusal
from server.store.base import Committed, Draft, Outcome, Recorded, Rejected
from tests.support.drafts import announcement, comment, held, removal, restoration, room_mode
from tests.support.viewers import FakeViewer

if TYPE_CHECKING:
    from tests.sim.world import World

ROOMS: Final = ("a", "b", "c")
WEIGHTS: Final = (70, 25, 5)
TEMPORARY: Final = {"storage_unavailable", "outcome_unknown", "overloaded", "shutting_down"}


class Entry:
    """One draft and its fate. ``doubt``: an attempt had no certain end, so that it may stand in the log unknown to its author."""

    def __init__(self, draft: Draft, text: str) -> None:
        self.draft = draft
        self.text = text
        self.doubt = False
        self.waiting = False
        self.final: Outcome | None = None

    @property
    def room(self) -> str:
        """The draft's room."""
        name: str = getattr(self.draft, "room")  # noqa: B009 # not every draft has one, these have
        return name


class Attempt:
    """The sink of one submission: it must be answered once, unless the server dies first."""

    def __init__(self, world: World, entry: Entry) -> None:
        self._world = world
        self._life = world.life
        self._entry = entry
        self._answered = False
        entry.waiting = True

    def answer(self, draft: Draft, outcome: Outcome | Refusal) -> None:
        """Note the outcome, and whether it can be true."""
        world, entry = self._world, self._entry
        if self._life != world.life:
            return
        if self._answered or draft is not entry.draft:
            world.fault(f"{draft} is answered twice, or for another")
        self._answered = True
        entry.waiting = False
        if isinstance(outcome, Refusal):
            self._refused(outcome)
        elif entry.final is None or isinstance(entry.final, Rejected):  # what was rejected is not kept, and may be tried again
            entry.final = outcome
        elif not _same(entry.final, outcome):
            world.fault(f"{draft} was answered {entry.final}, and now {outcome}")
        if isinstance(outcome, Committed):
            world.committed(entry, outcome)

    def _refused(self, refusal: Refusal) -> None:
        world, entry = self._world, self._entry
        if refusal.code.name not in TEMPORARY:
            world.fault(f"{entry.draft} is refused with {refusal}")
        if refusal.code.name == "outcome_unknown":
            entry.doubt = True
        elif not entry.doubt and entry.final is None and entry.text and world.stands(entry):
            world.fault(f"{entry.draft} is said to have failed, and stands in the log")


def _same(first: Outcome, second: Outcome) -> bool:
    if isinstance(first, Committed) and isinstance(second, Committed):
        return first.room == second.room and first.event.seq == second.event.seq
    if isinstance(first, Recorded) and isinstance(second, Recorded):
        return (first.action, first.code) == (second.action, second.code)
    return first == second


class Author:
    """An account that says a number of things, some of them twice, and asks again until it knows."""

    def __init__(self, world: World, name: str, budget: int) -> None:
        self.world = world
        self.name = name
        self.budget = budget
        self.entries: list[Entry] = []

    def choose(self) -> Entry | None:
        """What to send now: something unanswered, something new, now and then something answered already."""
        rng = self.world.rng
        open_entries = [entry for entry in self.entries if entry.final is None and not entry.waiting]
        if open_entries and (rng.random() < 0.5 or len(self.entries) >= self.budget):
            return rng.choice(open_entries)
        if len(self.entries) < self.budget:
            self.entries.append(self.invent(len(self.entries)))
            return self.entries[-1]
        done = [entry for entry in self.entries if not entry.waiting]
        return rng.choice(done) if done and rng.random() < 0.02 else None

    def invent(self, number: int) -> Entry:
        """A new comment, now and then one that is held."""
        world = self.world
        (room,) = world.rng.choices(ROOMS, WEIGHTS)
        text = f"<{self.name}&{number}>弹幕"
        make = held if world.rng.random() < 0.03 else comment
        fields = {
            "room": room,
            "author": self.name,
            "text": text,
            "at_ms": world.now_ms(),
            "author_name": f"name of {self.name}",
            "author_id": f"id of {self.name}",
        }
        return Entry(make(f"{self.name}-{number}", **fields), text if make is comment else "")

    async def live(self) -> None:
        """Send at random moments for as long as the server lives."""
        world = self.world
        while True:
            await asyncio.sleep(world.rng.expovariate(world.pace))
            entry = self.choose()
            if entry is not None:
                world.send(entry)


class Operator(Author):
    """Removes, restores, announces and changes modes."""

    def invent(self, number: int) -> Entry:
        rng, key = self.world.rng, f"op-{number}"
        (room,) = rng.choices(ROOMS, WEIGHTS)
        fields: dict[str, Any] = {"room": room, "author": self.name, "at_ms": self.world.now_ms()}
        head = self.world.parts.hub.rooms[room].head
        choice = rng.random()
        if choice < 0.6 and head:
            return Entry(removal(rng.randint(max(1, head - rng.choice([5, 50, 5000])), head), key, **fields), "")
        if choice < 0.8 and head:
            removed = sorted(seq for name, seq in self.world.removed if name == room)
            return Entry(restoration(rng.choice(removed or [1]), key, **fields), "")
        if choice < 0.9:
            return Entry(announcement(f"notice {number}", key, **fields), "")
        return Entry(room_mode(rng.choice(["open", "read_only"]), key, **fields), "")


class Watcher(FakeViewer):
    """A viewer that stalls, leaves, comes back to where it was, and reads its gaps from the history."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(deflate=number % 2 == 0, author_id=f"id of author{number}" if number % 2 else "")
        self.world = world
        self.name = ROOMS[0] if number % 3 else world.rng.choice(ROOMS)
        self.look = self._look
        self.look_back = lambda events: world.look_at_texts(self.name, events)

    def _look(self, events: list[dict[str, Any]]) -> None:
        self.world.look_at_pages(self.name, events)
        self.world.look_at_texts(self.name, events)

    @property
    def missing(self) -> list[int]:
        """Numbers of gaps, and of what frames left out, that were not read yet."""
        return [seq for seq in self.skipped if seq not in self.events]

    async def live(self) -> None:
        """Watch for as long as the server lives."""
        world = self.world
        while True:
            await asyncio.sleep(world.rng.expovariate(1.0))
            if self.room is None:
                await self._come()
            elif world.calm:
                self.drain()
            else:
                self._act(world.rng.random())
            await self._read_gaps()

    async def _come(self) -> None:
        """Join as a connection does: an empty ring is filled first, also when that fails."""
        room = self.world.parts.hub.rooms[self.name]
        self.world.parts.hub.touch(room, int(self.world.loop.time()))
        if self.begin is not None and self.position > room.visible:
            self.faults.append(f"had {self.position} of {self.name}, of which {room.visible} are left")
        if room.first > room.visible > 0:
            warmed = asyncio.Event()
            self.world.parts.history.warm(room, warmed.set)
            await warmed.wait()
        self.join(room, recent=self.world.rng.choice([0, 10, 50]), most=self.world.rng.choice([0, 5, 40, 1000]))

    def _act(self, choice: float) -> None:
        if choice < 0.2:
            self.stall()
        elif choice < 0.5:
            self.drain()
        elif choice < 0.6:
            self.leave()
        elif choice < 0.8:
            self.patience = self.world.rng.randint(1, 4)

    async def _read_gaps(self) -> None:
        missing = self.missing
        if not missing or (not self.world.calm and self.world.rng.random() < 0.5):
            return
        room = self.world.parts.hub.rooms[self.name]
        limit = self.world.rng.choice([1, 20, 300, 1000])
        with suppress(Refusal):
            found = await self.world.parts.history.events(room, missing[0] - 1, limit)
            for event in self.world.read(self.name, missing[0], found):
                if event["seq"] in set(missing):
                    self.events[event["seq"]] = event


def outcome_word(outcome: Outcome | None) -> str:
    """An outcome in short."""
    if isinstance(outcome, Committed):
        return str(outcome.event.seq)
    return outcome.code if isinstance(outcome, Rejected | Recorded) else "none"
