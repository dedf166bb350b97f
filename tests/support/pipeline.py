"""The parts between a draft and its viewers, wired as the server wires them, without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

from server.core.audience import COHORTS, Sizes
from server.core.batch import Tick
from server.core.hub import Hub
from server.core.room import Room
from server.core.sampling import Sampler
from server.errors import Refusal
from server.flush import Flusher, Pages, Viewer
from server.history import History
from server.metrics import Stats
from server.pages import PageWork
from server.publish import Publisher
from server.store.base import Committed, Draft, Outcome, RoomInfo, RoomMode, Store
from server.store.faults import FaultyStore
from server.store.memory import MemoryStore
from server.wire import Event, encode_event
from static_mirror import Mirror
from static_mirror.verify import verify
from tests.support.simulation import Lane, simulate

COMMIT_S: Final = 0.010
PAGES_S: Final = 0.005


class Answers:
    """A sink that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[Draft, Outcome | Refusal]] = []
        self.then: Callable[[Draft, Outcome | Refusal], None] = lambda draft, outcome: None

    def answer(self, draft: Draft, outcome: Outcome | Refusal) -> None:
        """Keep the answer, then call ``then``."""
        self.all.append((draft, outcome))
        self.then(draft, outcome)

    @property
    def words(self) -> list[int | str]:
        """The answers in short: the number of what was committed, else a code or the outcome's type."""
        return [_word(outcome) for _, outcome in self.all]

    @property
    def by_key(self) -> dict[str, int | str]:
        """The answers in short, by the draft's key; a second answer for a key is an error."""
        keys = [str(getattr(draft, "key", "")) for draft, _ in self.all]
        assert len(set(keys)) == len(keys), f"answered twice: {sorted(key for key in keys if keys.count(key) > 1)}"
        return dict(zip(keys, self.words, strict=True))


def _word(outcome: Outcome | Refusal) -> int | str:
    if isinstance(outcome, Refusal):
        return outcome.code.name
    if isinstance(outcome, Committed):
        return outcome.event.seq
    return getattr(outcome, "code", "") or type(outcome).__name__


class Pipeline:
    """Everything of one process over ``store`` and the pages folder ``root``; :meth:`load` makes it ready.

    ``wrap`` may put something around the page work that the flusher gets, ``mirror`` another mirror in place of the real one.
    """

    def __init__(
        self,
        store: Store,
        root: Path,
        *,
        writer: Executor,
        workers: Executor,
        readers: Executor,
        now_ms: float = 0.0,
        ring_events: int = 64,
        tick_ms: float = 50,
        tick_max_ms: float = 0,
        queue_max: int = 1000,
        batch_max: int = 100,
        admit_ms: float = 60_000,
        cohorts: Sizes = COHORTS,
        live_per_s: float = 1e6,
        deflate_min: int = 300,
        wrap: Callable[[PageWork], Pages] = lambda pages: pages,
        mirror: type[Mirror] = Mirror,
        on_record: Callable[[], None] = lambda: None,
        on_decision: Callable[[str, Event], None] = lambda room, event: None,
        on_mode: Callable[[], None] = lambda: None,
    ) -> None:
        self.root = root
        self.store = store
        self.stats = Stats()
        self.infos: dict[str, RoomInfo] = {}
        self.modes: list[tuple[str, RoomMode]] = []
        self.batches = 0
        self.hub: Hub[Viewer] = Hub(ring_events, cohorts)
        self.mirror = mirror(root)
        self.pages = PageWork(self.mirror, store, self.infos)
        self.tick = Tick(tick_ms, max(tick_ms, tick_max_ms), now_ms)
        self.flusher = Flusher(
            self.mirror, wrap(self.pages), workers, self.tick, self.stats, Sampler(live_per_s), deflate_min=deflate_min,
            deflate_level=6,
        )  # fmt: skip
        self.publisher = Publisher(
            store, self.hub, self.flusher, writer, self.stats, queue_max=queue_max, batch_max=batch_max, admit_ms=admit_ms,
            on_mode=self._on_mode, after_batch=self._after_batch, on_record=on_record, on_decision=on_decision,
        )  # fmt: skip
        self.history = History(store, self.hub, readers)
        self._mode_changed = on_mode

    def _on_mode(self, room: str, mode: RoomMode) -> None:
        self.modes.append((room, mode))
        self._mode_changed()

    def _after_batch(self) -> None:
        self.batches += 1

    def load(self) -> None:
        """Take the stored rooms into memory and make their pages whole, as at the start of a server; blocks."""
        for info in self.store.rooms():
            self.hold(info)
        self.pages.repair_all(list(self.infos))

    def hold(self, info: RoomInfo) -> Room[Viewer]:
        """Take one room into memory."""
        self.infos[info.name] = info
        return self.hub.add(info.name, info.epoch, info.head, info.mode)

    @property
    def room(self) -> Room[Viewer]:
        """Room ``a``, the one of most tests."""
        return self.hub.rooms["a"]

    def page(self, number: int = 0, room: str = "a") -> str:
        """A page as it is on disk now; empty when there is none."""
        path = self.root / "rooms" / room / "comments" / f"{number}.html"
        return path.read_text() if path.exists() else ""

    def rows(self, room: str = "a") -> int:
        """Rows on the room's pages; everything about the pages is checked."""
        report = verify(self.root / "rooms" / room / "comments")
        assert report.problems == []
        return report.rows


class Batches(FaultyStore):
    """Notes the keys of each batch, then does as the faults say."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), sleep=lambda seconds: None)
        self.batches: list[list[str]] = []

    def append(self, batch: Sequence[Draft]) -> list[Outcome]:
        self.batches.append([str(getattr(draft, "key", "-")) for draft in batch])
        return super().append(batch)


class World:
    """A pipeline with rooms ``a`` and ``b`` over a store that fails on command, for one scenario in virtual time.

    A commit takes COMMIT_S, work on pages PAGES_S, a flush happens at once unless ``options`` say otherwise.
    """

    def __init__(self, root: Path, **options: Any) -> None:
        self.store = Batches()
        self.store.create_room("a", "Room A", "live", 1)
        self.store.create_room("b", "Room B", "live", 1)
        self.writer, self.workers, self.readers = Lane(COMMIT_S), Lane(PAGES_S, width=4), Lane(width=2)
        lanes = {"writer": self.writer, "workers": self.workers, "readers": self.readers}
        self.parts = Pipeline(self.store, root, **({"tick_ms": 0, "now_ms": time.monotonic() * 1000} | lanes | options))
        self.parts.load()
        self.answers = Answers()
        self.publisher = self.parts.publisher
        self.room = self.parts.room

    def submit(self, *drafts: Draft) -> None:
        """Submit drafts in one turn of the loop."""
        for draft in drafts:
            self.publisher.submit(draft, self.answers)

    async def settle(self) -> None:
        """Until everything is answered and flushed, and nothing more would happen by itself."""
        await asyncio.sleep(60)

    def log(self, room: str = "a") -> list[Event]:
        """The log as it is now, whatever the faults."""
        return self.store.inner.read(room, 0, 10_000)

    def assert_whole(self, room: str = "a") -> None:
        """Ring, pages and log say the same, and all of it is visible."""
        held_room = self.parts.hub.rooms[room]
        log = self.log(room)
        assert [event.seq for event in log] == list(range(1, len(log) + 1))
        assert (held_room.head, held_room.visible) == (len(log), len(log))
        newest = held_room.newest(10_000)
        assert [entry.event for entry in newest] == log[held_room.first - 1 :]
        assert [entry.data for entry in newest] == [encode_event(entry.event) for entry in newest]
        assert self.parts.rows(room) == len(log)


def run_world(root: Path, scenario: Callable[[World], Coroutine[Any, Any, None]], **options: Any) -> World:
    """Run a scenario in virtual time over a new world, which it returns."""

    async def whole() -> World:
        world = World(root, **options)
        await scenario(world)
        return world

    return simulate(whole)
