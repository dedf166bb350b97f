"""A simulated site with its review desk, in virtual time: authors who post, reviewers who decide, modes, faults, crashes.

All parts are the server's own, over the real store (SQLite) and the desk's real book. A :class:`Desk` lives through several
lives: each builds all parts anew over the same files and ends in a crash: what is in memory is gone, and what a thread had not
done yet never happens. What must hold at every moment is checked by :meth:`Desk.check`.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest import mock

from sqlalchemy import select

from filters.config import ScreeningConfig
from filters.swarm import Swarm
from server.accounts.identity import Identity
from server.accounts.people import People
from server.accounts.standing import Standing
from server.errors import Refusal
from server.moderation import deciding, queue, tables
from server.moderation.book import Decision, ReviewBook, decision_of
from server.moderation.mode_keeper import Control
from server.moderation.moderation import Moderation
from server.moderation.queue import Item, Queue
from server.posting import FormSpeaker, Posting, unix_ms
from server.reasons import REMOVAL_CODES
from server.regions import Regions
from server.screening import Screening
from server.settings import Settings
from server.site import Site
from server.store.base import Committed, Draft, NoticeDraft, Outcome, Recorded, RoomMode
from server.store.embedded import Embedded
from server.store.faults import Fault, FaultyStore
from server.store.sql import SqlStore
from server.wire import Event, Say
from tests.support.pipeline import Pipeline
from tests.support.review import open_book
from tests.support.services import fixed_tokens
from tests.support.simulation import Lane, SimLoop
from tests.support.viewers import FakeViewer

T = TypeVar("T")

NEWS: Final = "news"
ROOMS: Final = (NEWS, "talk")
AUTHORS: Final = ("ann", "bob", "cat")
_FREELY: Final = ScreeningConfig(
    account_interval_ms=1, account_burst=1000, room_interval_ms=1, room_burst=1000, address_interval_ms=1, address_burst=1000
)


@functools.cache
def _screening() -> Screening:
    """The starter pack, compiled once for all lives."""
    return Screening(Path(tempfile.mkdtemp()) / "rules", None, _FREELY)


class Sent:
    """A comment that somebody sent, and what they were told."""

    def __init__(self, room: str, text: str) -> None:
        self.room, self.text = room, text
        self.outcome: Outcome | Refusal | None = None

    def answer(self, draft: Draft, outcome: Outcome | Refusal) -> None:
        """See :class:`server.publish.Sink`."""
        self.outcome = outcome

    @property
    def held(self) -> bool:
        """Were they told that it waits for review?"""
        return isinstance(self.outcome, Recorded) and self.outcome.action == "held"


class Desk:
    """See the module's text. ``sent`` is everything that anybody sent; ``decided`` what reviewers were told of their decisions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = FaultyStore(SqlStore.open(folder / "barrage.db"), sleep=lambda seconds: None)
        for room in ROOMS:
            self.store.inner.create_room(room, room, "live", 1, news=room == NEWS)
        self.settings = Settings(data_dir=folder, agreement_required=False, public_url="")
        self.sent: list[Sent] = []
        self.looked_at: dict[str, list[Item]] = {}
        self.decided: list[tuple[str, Decision]] = []
        self.viewers: list[FakeViewer] = []
        self.now_s = 0.0
        self._life: ExitStack | None = None
        self.begin()

    # -- lives --------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the server; its virtual time goes on where the last one's ended."""
        self._life = life = ExitStack()
        self.loop = loop = SimLoop()
        loop._now_s += self.now_s
        for name, clock in (("monotonic", loop.time), ("time", loop.wall), ("time_ns", loop.wall_ns)):
            life.enter_context(mock.patch(f"time.{name}", clock))
        self.runner = life.enter_context(asyncio.Runner(loop_factory=lambda: loop))
        self.lanes = [Lane(0.005, 0.02, seed=1), Lane(0.001, width=2, seed=2), Lane(0.001, width=2, seed=3)]
        self.run(self._build())

    async def _build(self) -> None:
        writer, workers, readers = self.lanes
        self.parts = parts = Pipeline(
            self.store, self.folder / "pages", writer=writer, workers=workers, readers=readers, tick_ms=0,
            on_record=lambda: self.moderation.recorded(), on_decision=lambda room, event: self.moderation.decided(room, event),
            on_mode=lambda: self.moderation.mode_changed(),
        )  # fmt: skip
        parts.load()
        people = People.open(self.settings, unix_ms)
        book = open_book(self.folder, unix_ms)
        self._in_lanes(book._file)
        self._in_lanes(people.book._file)
        self.posting = Posting(
            self.settings, parts.hub, parts.publisher, _screening().current, fixed_tokens(), people, Regions(None, None),
            parts.stats, parts.infos,
        )  # fmt: skip
        self.moderation = Moderation(
            self.settings, people, book, self.store, read=parts.history.read, submit=lambda draft: self.site.submit(draft),
            room=lambda name: self.site.room(name), viewers=lambda name: 0, clock_ms=unix_ms, swarm=Swarm, began_ms=lambda: 1,
            control=Control(lambda: self.site.rooms(), lambda name: parts.hub.rooms[name].term()),
        )  # fmt: skip
        self.site = Site(
            self.settings, fixed_tokens(), self.store, parts.hub, parts.publisher, parts.flusher, parts.history, parts.pages,
            writer, parts.stats, parts.infos, bytes, _screening(), people, self.posting, self.moderation,
        )  # fmt: skip
        self.viewers = []
        for room in ROOMS:
            viewer = FakeViewer()
            viewer.join(parts.hub.rooms[room])
            self.viewers.append(viewer)
        self.moderation.start()

    def _in_lanes(self, file: Embedded) -> None:
        """Its threads run in virtual time, and die with the rest."""
        for name, lane in (("_writer", Lane(0.002, 0.01, seed=4)), ("_reader", Lane(0.001, width=2, seed=5))):
            getattr(file, name).shutdown()
            setattr(file, name, lane)
            self.lanes.append(lane)

    def crash(self) -> None:
        """The process dies: nothing that is under way goes on."""
        assert self._life is not None
        for lane in self.lanes:
            lane.dead = True
        self.now_s = self.loop.time() - 1000.0
        self.moderation.close()
        self.site.people.close()
        self.parts.mirror.close()
        self._life.close()
        self._life = None

    def end(self) -> None:
        """For good."""
        if self._life is not None:
            self.crash()
        self.store.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on the server's loop; what else is under way goes on meanwhile."""
        return self.runner.run(work)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.run(asyncio.sleep(seconds))

    # -- people -------------------------------------------------------------------------------------------------------

    def say(self, room: str, author: str) -> None:
        """Somebody sends a comment with a text of its own."""
        sent = Sent(room, f"sentence {len(self.sent)} of {author}.")
        self.sent.append(sent)
        self.run(self._say(sent, author))

    async def _say(self, sent: Sent, author: str) -> None:
        identity = Identity(subject=author, nickname=author, verified=True, role="", expires_ms=0)
        standing = Standing(account=author, last=1, verified="phone", strength=1, lesson="1")
        speaker = FormSpeaker(self.posting, f"c-{len(self.sent)}", identity, standing, "192.0.2.7", 40_000)
        try:
            self.posting.say(speaker, Say(room=sent.room, key=f"k{len(self.sent)}", text=sent.text), sent)
        except Refusal as refusal:
            sent.outcome = refusal

    def set_mode(self, room: str, mode: RoomMode) -> None:
        """The mode of a room is decided."""
        code = "E5" if mode == "open" else "E1"
        draft = NoticeDraft(room=room, author="", key="", at_ms=0, notice="mode", room_mode=mode)
        self.run(
            self.moderation.write(lambda tx: deciding.notice(tx, "mode", draft, code, "x", actor="staff:boss", role="senior"))
        )

    def claim(self, reviewer: str, name: Queue) -> None:
        """A reviewer takes the next items, and looks at them."""
        found = self.run(self.moderation.write(lambda tx: queue.claim_next(tx, name, reviewer, number=2)))
        self.looked_at.setdefault(reviewer, []).extend(found)

    def look(self, reviewer: str, name: Queue) -> None:
        """A reviewer looks at what waits without taking it."""
        found = self.run(self.moderation.look(lambda c: queue.listed(c, name, queue.EVERYTHING, unix_ms(), 3)))
        self.looked_at.setdefault(reviewer, []).extend(found)

    def decide(self, reviewer: str, publish: bool) -> str:
        """A reviewer decides what they looked at, perhaps long ago. Returns the code of the refusal, if it is one."""
        items = self.looked_at.get(reviewer, [])
        if not items:
            return "nothing"
        item = items.pop(0)
        verdict: Any = "publish" if publish else "refuse"
        code = "K1" if publish else "S1"
        try:
            made = self.run(self.moderation.write(
                lambda tx: deciding.decide_item(tx, item.id, item.version, verdict, code, "x", actor=reviewer, role="reviewer")
            ))  # fmt: skip
        except Refusal as refusal:
            return refusal.code.name
        self.decided.append((reviewer, made))
        return ""

    def undo(self, reviewer: str) -> str:
        """A reviewer takes their last decision back. Returns the code of the refusal, if it is one."""
        mine = [decision for who, decision in self.decided if who == reviewer]
        if not mine:
            return "nothing"
        try:
            item = self.run(self.moderation.write(lambda tx: deciding.undo(tx, mine[-1].id, actor=reviewer, role="reviewer")))
        except Refusal as refusal:
            return refusal.code.name
        self.decided.remove((reviewer, mine[-1]))
        self.looked_at.setdefault(reviewer, []).insert(0, item)
        return ""

    def store_fails(self, fault: Fault | None) -> None:
        """The log's database fails at each commit; None: it does no more."""
        if fault is None:
            self.store.heal()
        else:
            self.store.stand("append", fault)

    # -- what must hold -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every text that is live, static or in a log may be there; every removal says why; nothing is there twice."""
        book = ReviewBook(self.folder / "review.db", unix_ms)
        try:
            rows = book.read_now(lambda c: list(c.execute(select(tables.decisions)).mappings()))
            approvals = [decision for decision in map(decision_of, rows) if decision.what == "publish"]
            items = {
                row[0]: row[1]
                for row in book.read_now(lambda c: c.execute(select(tables.items.c.id, tables.items.c.text)).all())
            }
        finally:
            book.close()
        approved = {items[decision.item] for decision in approvals}
        waits = {sent.text for sent in self.sent if sent.held or sent.room == NEWS} - approved
        for room in ROOMS:
            log = self.store.inner.read(room, 0, 10_000)
            self._check_log(log)
            seen = {event.text for event in log if event.text} | {text for text in waits if text in self._shown(room)}
            assert not seen & waits, f"{sorted(seen & waits)} are public in {room} without an approval"

    @staticmethod
    def _check_log(log: list[Event]) -> None:
        texts = [event.text for event in log if event.kind == "comment" and event.text]
        assert len(texts) == len(set(texts)), "a comment stands in the log twice"
        for event in log:
            if event.kind == "removal":
                assert event.code in REMOVAL_CODES, f"{event} has no code"
                assert event.basis, f"{event} has no basis"
                assert event.role, f"{event} has no role"

    def _shown(self, room: str) -> str:
        """Everything of a room that anybody can see: frames, ring, pages."""
        held = self.parts.hub.rooms[room]
        pages = "".join(path.read_text() for path in sorted((self.folder / "pages/rooms" / room).rglob("*.html")))
        ring = "".join(entry.event.text for entry in held.newest(10_000))
        return pages + ring + "".join(text for viewer in self.viewers if viewer.room is held for text in self._heard(viewer))

    @staticmethod
    def _heard(viewer: FakeViewer) -> Iterator[str]:
        for event in viewer.events.values():
            yield str(event.get("text", ""))

    def check_done(self) -> None:
        """In the end: the log takes commits, rooms are open, and each approval that was not taken back is a comment of the log,
        once."""
        self.store_fails(None)
        self.pass_time(60)
        for room in ROOMS:
            self.set_mode(room, "open")
        self.pass_time(60)
        self.check()
        rows = self.run(self.moderation.look(lambda c: list(c.execute(select(tables.effects)).mappings())))
        assert [row["decision"] for row in rows if not row["done_ms"]] == [], "effects are left open"
        committed = [sent for sent in self.sent if isinstance(sent.outcome, Committed)]
        texts = {event.text for room in ROOMS for event in self.store.inner.read(room, 0, 10_000)}
        assert {sent.text for sent in committed} <= texts, "what was acknowledged is gone"
        numbers = {row["decision"]: (row["seq"], row["failure"]) for row in rows if row["kind"] == "publish"}
        assert all(seq and not failure for seq, failure in numbers.values()), numbers
