"""A simulated site: rooms, authors, viewers and everything that can go wrong with them, from one seed.

One :class:`World` lives through several *lives* of a server. Each life builds all parts anew over the same store and pages folder,
in its own virtual time, and ends in a crash: what is in memory is gone, what a thread had not done yet never happens. The last
life has no faults and ends in order. Everything that a person would notice at once is checked as it happens and noted in
``faults``; what must be true at the end is checked by :func:`tests.sim.checker.check`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from server.core.audience import COHORTS, Sizes
from server.core.room import Room
from server.errors import Refusal, StoreError
from server.flush import Viewer
from server.store.base import Committed
from server.store.faults import Fault, FaultyStore
from server.store.memory import MemoryStore
from server.wire import PAGE_ROWS
from static_mirror import Mirror, MirrorError
from tests.sim.people import ROOMS, TEMPORARY, Attempt, Author, Entry, Operator, Watcher
from tests.support.pipeline import Pipeline
from tests.support.simulation import Lane, SimLoop, simulate

RATES: Final = {Fault.FAIL: 0.03, Fault.LOSE: 0.03, Fault.WRITE_THEN_FAIL: 0.04, Fault.SLOW: 0.02}
PATIENCE_S: Final = 3600.0


class World:
    """See the module's text. ``mirror`` may be one with a planted fault."""

    def __init__(self, seed: int, root: Path, *, mirror: type[Mirror] = Mirror, authors: int = 10, budget: int = 60) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.root = root
        self.store = FaultyStore(MemoryStore(), sleep=lambda seconds: None)
        for room in ROOMS:
            self.store.inner.create_room(room, f"Room {room}", "live", 1)
        self.life = 0
        self.calm = False
        self.pace = 2.0
        self.removed: set[tuple[str, int]] = set()
        self.faults: list[str] = []
        self.authors = [Author(self, f"author{number}", budget) for number in range(authors)]
        self.authors.append(Operator(self, "operator", budget))
        self.viewers = [Watcher(self, number) for number in range(9)]
        self.parts: Pipeline
        self.lanes: list[Lane]
        self.loop: SimLoop
        self._mirror = mirror
        self._changed: dict[tuple[str, int], int] = {}
        self._texts: dict[tuple[str, int], str] = {}
        self._static: dict[str, int] = {}

    # -- what people see ----------------------------------------------------------------------------------------------

    def fault(self, text: str) -> None:
        """Somebody saw what nobody may see."""
        self.faults.append(f"life {self.life}, {self.loop.time():.3f} s: {text}")

    def now_ms(self) -> int:
        """Unix time."""
        return int(self.loop.wall() * 1000)

    def entries(self) -> list[Entry]:
        """Everything that anybody said."""
        return [entry for author in self.authors for entry in author.entries]

    def log(self, room: str) -> list[Any]:
        """The log as it is now, whatever the faults."""
        return self.store.inner.read(room, 0, 100_000)

    def stands(self, entry: Entry) -> bool:
        """Is this comment in the log?"""
        return any(event.text == entry.text for event in self.log(entry.room))

    def moderated(self, room: str, seq: int) -> bool:
        """Was this event ever removed, as far as anybody was told?"""
        return (room, seq) in self._changed

    def send(self, entry: Entry) -> None:
        """Submit, unless the server refuses at once."""
        try:
            self.parts.publisher.check(entry.room)
        except Refusal as refusal:
            if refusal.code.name not in TEMPORARY:
                self.fault(f"{entry.draft} is refused with {refusal}")
        else:
            self.parts.publisher.submit(entry.draft, Attempt(self, entry))

    def committed(self, entry: Entry, outcome: Committed) -> None:
        """An author heard of a number: it must stand in the log, and a removal must be in force from now on."""
        room, event = outcome.room, outcome.event
        (stored,) = self.store.inner.read(room, event.seq - 1, 1)
        if stored.kind != event.kind or (entry.text and stored.text not in (entry.text, "")):
            self.fault(f"{entry.draft} is acknowledged as {event.seq}, which is {stored}")
        if event.target and event.seq > self._changed.get((room, event.target), 0):
            self._changed[room, event.target] = event.seq
            if event.kind == "removal":
                self.removed.add((room, event.target))
            else:
                self.removed.discard((room, event.target))
        elif entry.text:
            self._texts[room, event.seq] = entry.text

    def look_at_pages(self, room: str, events: list[dict[str, Any]]) -> None:
        """Live events arrive at a viewer: they must be static. Each is looked at once, for it may be damaged later."""
        if not events or events[-1]["seq"] <= self._static.get(room, 0):
            return
        self._static[room] = events[-1]["seq"]
        for number in {(event["seq"] - 1) // PAGE_ROWS for event in events}:
            page = self.parts.page(number, room)
            for event in events:
                if (event["seq"] - 1) // PAGE_ROWS == number and f'<article id="c{event["seq"]}" ' not in page:
                    self.fault(f"{room} {event['seq']} is live and not static")

    def look_at_texts(self, room: str, events: list[dict[str, Any]]) -> None:
        """Events arrive at somebody: they say nothing of what was removed."""
        for event in events:
            said = event.get("comment", event) if event["kind"] == "restoration" else event
            number = event.get("target", event["seq"])
            if event["kind"] not in ("comment", "restoration") or not said.get("text") or (room, number) not in self.removed:
                continue
            if self.store.inner.read(room, number - 1, 1)[0].removed_by:  # else restored, and its operator does not know yet
                self.fault(f"{room} {event['seq']} goes out with the text of {number}, which is removed")

    def read(self, room: str, first: int, found: list[bytes]) -> list[dict[str, Any]]:
        """Events from the history: contiguous, and without removed texts."""
        events = [json.loads(data) for data in found]
        if [event["seq"] for event in events] != list(range(first, first + len(events))):
            self.fault(f"the history of {room} after {first - 1} gives {[event['seq'] for event in events][:5]} ...")
        self.look_at_texts(room, events)
        return events

    # -- lives --------------------------------------------------------------------------------------------------------

    def run(self, lives: int = 4) -> None:
        """Live through some lives with faults, then through one without, to its end."""
        for _ in range(lives):
            self._begin_life(calm=False)
            simulate(lambda: self._live(self.rng.uniform(0.5, 12)), self.loop)
            self._break_pages_at_rest()
        self._begin_life(calm=True)
        simulate(self._last_life, self.loop)

    def _begin_life(self, *, calm: bool) -> None:
        self.life += 1
        self.calm = calm
        self.loop = SimLoop()
        self._static.clear()
        for entry in self.entries():
            entry.doubt = entry.doubt or entry.waiting
            entry.waiting = False

    async def _start(self) -> None:
        """The server starts, as often as it takes."""
        seeds = [self.rng.randrange(2**32) for _ in range(3)]
        self.lanes = lanes = [
            Lane(0.001, 0.02, seed=seeds[0]),
            Lane(0.001, 0.1, width=2, seed=seeds[1]),
            Lane(0.0005, 0.05, width=2, seed=seeds[2]),
        ]
        self._trouble()
        while True:
            self.parts = Pipeline(
                self.store, self.root, writer=lanes[0], workers=lanes[1], readers=lanes[2], now_ms=self.loop.time() * 1000,
                ring_events=self.rng.choice([8, 64, 1024]), queue_max=30, batch_max=self.rng.choice([1, 7, 100]),
                mirror=self._mirror, live_per_s=(2, 8, 1000)[(self.seed + self.life) % 3],
                cohorts=(Sizes(2, 1), COHORTS)[self.seed % 2],
            )  # fmt: skip
            try:
                self.parts.load()
            except (StoreError, MirrorError):
                self.parts.mirror.close()
            else:
                return

    def _trouble(self) -> None:
        self.store.heal()
        if not self.calm:
            self.store.seed(self.rng.randrange(2**32), RATES)

    def _people(self) -> list[Coroutine[Any, Any, None]]:
        people: list[Author | Watcher] = [*self.authors, *self.viewers]
        return [person.live() for person in people]

    async def _live(self, seconds: float) -> None:
        await self._start()
        tasks = [asyncio.create_task(work) for work in (*self._people(), self._gremlin())]
        await asyncio.sleep(seconds)
        for _ in range(self.rng.choice([0, 100])):  # most crashes come in the middle of something
            if any(entry.waiting for entry in self.entries()):
                break
            await asyncio.sleep(0.002)
        self._report(tasks)
        await self._die()

    async def _die(self) -> None:
        """kill -9: nothing more is written, sent or answered; threads do not finish what they have not done."""
        self.life += 1
        for viewer in self.viewers:
            viewer.leave()
        for lane in self.lanes:
            lane.dead = True
        self.parts.mirror.close()
        self._give_back()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _last_life(self) -> None:
        await self._start()
        tasks = [asyncio.create_task(work) for work in self._people()]
        begin_s = self.loop.time()
        while not self._done():
            await asyncio.sleep(1)
            if self.loop.time() - begin_s > PATIENCE_S:
                self.fault("not everything came to its end")
                break
        self._report(tasks)
        await self.parts.publisher.drain()
        for room in self.parts.hub.rooms.values():
            await asyncio.wait_for(self.parts.flusher.visible(room, room.head), 60)
        await self.parts.flusher.settle()
        for task in tasks:
            task.cancel()

    def _done(self) -> bool:
        for author in self.authors:
            if len(author.entries) < author.budget or any(entry.final is None for entry in author.entries):
                return False
        rooms = self.parts.hub.rooms
        return all(
            viewer.room is not None
            and not viewer.missing
            and viewer.position == rooms[viewer.name].visible == rooms[viewer.name].head
            for viewer in self.viewers
        )

    def _report(self, tasks: list[asyncio.Task[None]]) -> None:
        """People live on until they are cancelled; one that ended met a bug, of ours or of the simulation."""
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    def _folder(self, room: str) -> Path:
        return self.root / "rooms" / room / "comments"

    async def _gremlin(self) -> None:
        to_store = [self._stop_store, self._forget_rings]
        to_pages = [self._hurt_page, self._lose_page, self._take_folder, self._rebuild]
        while True:
            await asyncio.sleep(self.rng.expovariate(1.5))
            # Pages are damaged between two pieces of work on them: within one, nobody could tell whose fault it is.
            await self.rng.choice(to_store if self.lanes[1].running else to_store + to_pages)()

    async def _hurt_page(self) -> None:
        """Somebody edits the open page."""
        room = self.rng.choice(ROOMS)
        page = self._folder(room) / f"{self.parts.hub.rooms[room].visible // PAGE_ROWS}.html"
        if page.is_file():
            data = page.read_bytes()
            page.write_bytes(self.rng.choice([data[: self.rng.randint(0, len(data))], data + b"<p>graffiti", b""]))

    async def _lose_page(self) -> None:
        """Somebody deletes a page; whoever finds it missing has it made again."""
        room = self.rng.choice(ROOMS)
        pages = (
            [path for path in self._folder(room).glob("*.html") if path.stem.isdecimal()] if self._folder(room).is_dir() else []
        )
        if pages:
            self.rng.choice(sorted(pages)).unlink()
            await self._exclusive(room, self.parts.pages.repair)

    async def _rebuild(self) -> None:
        await self._exclusive(self.rng.choice(ROOMS), self.parts.pages.rebuild)

    async def _exclusive(self, name: str, work: Any) -> None:
        room: Room[Viewer] = self.parts.hub.rooms[name]
        with suppress(StoreError, MirrorError):
            await self.parts.flusher.exclusive(room, lambda last: work(name, last))

    async def _take_folder(self) -> None:
        """The disk is gone for a while."""
        folder = self._folder(self.rng.choice(ROOMS))
        if folder.is_dir():
            folder.rename(folder.with_name("away"))
            folder.write_text("no folder")
            await asyncio.sleep(self.rng.uniform(0.1, 4))
            self._give_back()

    def _give_back(self) -> None:
        for away in sorted(self.root.glob("rooms/*/away")):
            away.with_name("comments").unlink()
            away.rename(away.with_name("comments"))

    async def _stop_store(self) -> None:
        """The database is gone for a while."""
        step = self.rng.choice(["append", "append", "read"])
        self.store.stand(step, self.rng.choice([Fault.FAIL, Fault.LOSE, Fault.WRITE_THEN_FAIL]))  # type: ignore[arg-type]
        await asyncio.sleep(self.rng.uniform(0.1, 6))
        self._trouble()

    async def _forget_rings(self) -> None:
        self.parts.hub.sweep(int(self.loop.time()) + 1, 0)
        self.rng.choice(list(self.parts.hub.rooms.values())).forget()

    def _break_pages_at_rest(self) -> None:
        """A loss of power cuts what was not synced; a kill leaves a temporary file."""
        room = self.rng.choice(ROOMS)
        pages = sorted(self._folder(room).glob("[0-9]*.html"), key=lambda path: int(path.stem))
        if pages and self.rng.random() < 0.5:
            data = pages[-1].read_bytes()
            pages[-1].write_bytes(data[: self.rng.randint(0, len(data))])
        if self.rng.random() < 0.3:
            (self._folder(room) / ".0.html.tmp").write_bytes(b"half a page")
