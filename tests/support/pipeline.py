"""The parts between a draft and its viewers, wired as the server wires them, without a network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from server.core.batch import Tick
from server.core.hub import Hub
from server.core.room import Room
from server.errors import Refusal
from server.flush import Flusher, Pages, Viewer
from server.history import History
from server.metrics import Stats
from server.pages import PageWork
from server.publish import Publisher
from server.store.base import Committed, Draft, Outcome, RoomInfo, RoomMode, Store
from static_mirror import Mirror
from static_mirror.verify import verify


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
        queue_max: int = 1000,
        batch_max: int = 100,
        deflate_min: int = 300,
        wrap: Callable[[PageWork], Pages] = lambda pages: pages,
        mirror: type[Mirror] = Mirror,
    ) -> None:
        self.root = root
        self.store = store
        self.stats = Stats()
        self.infos: dict[str, RoomInfo] = {}
        self.modes: list[tuple[str, RoomMode]] = []
        self.batches = 0
        self.hub: Hub[Viewer] = Hub(ring_events)
        self.mirror = mirror(root)
        self.pages = PageWork(self.mirror, store, self.infos)
        self.tick = Tick(tick_ms, tick_ms, now_ms)
        self.flusher = Flusher(
            self.mirror, wrap(self.pages), workers, self.tick, self.stats, deflate_min=deflate_min, deflate_level=6
        )
        self.publisher = Publisher(
            store, self.hub, self.flusher, writer, self.stats, queue_max=queue_max, batch_max=batch_max,
            on_mode=lambda room, mode: self.modes.append((room, mode)), after_batch=self._after_batch,
        )  # fmt: skip
        self.history = History(store, self.hub, readers)

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
