"""The SQL store does the same as the store in memory, whatever happens to both."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from server.errors import Refusal
from server.store.base import Committed, Draft, Recorded, RoomInfo, Store
from server.store.memory import MemoryStore
from server.store.sql import SqlStore
from tests.support import drafts as make

ROOMS = st.sampled_from(["a", "a", "b", "nowhere"])
AUTHORS = st.sampled_from(["ann", "bob"])
KEYS = st.sampled_from([f"k{number}" for number in range(12)])
TEXTS = st.sampled_from(["你好", "加V", "a\0", "\ud800"])
TARGETS = st.integers(-1, 12)
TIMES = st.integers(1, 5)
OWNERS = st.sampled_from(["", "ann", "bob"])


def built(maker: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Draft]:
    """Drafts of one kind with these fields."""
    drawn: st.SearchStrategy[Draft] = st.fixed_dictionaries(fields).map(lambda values: maker(**values))
    return drawn


KEYED: dict[str, Any] = {"room": ROOMS, "author": AUTHORS, "key": KEYS, "at_ms": TIMES}
COMMENTS = built(make.comment, **KEYED, text=TEXTS)
DRAFTS = st.one_of(
    COMMENTS,
    COMMENTS,
    built(make.removal, **KEYED, target=TARGETS, owner=OWNERS, not_before_ms=TIMES),
    built(make.restoration, **KEYED, target=TARGETS),
    built(make.announcement, **KEYED, text=TEXTS),
    built(make.room_mode, **KEYED, mode=st.sampled_from(["open", "read_only", "closed", ""])),
    built(make.held, **KEYED, text=TEXTS, action=st.sampled_from(["held", "refused"])),
    built(make.connection, identifier=st.sampled_from(["c1", "c2"]), closed_ms=st.sampled_from([0, 0, 5, 6])),
    built(make.report, receipt=st.sampled_from(["R1", "R2"]), room=ROOMS, seq=TARGETS, text=TEXTS),
)


def without_epoch(rooms: list[RoomInfo]) -> list[RoomInfo]:
    """Rooms without what is random in them."""
    return [replace(room, epoch="") for room in rooms]


@functools.cache
def new_database() -> Path:
    """A database without rooms; making the tables takes longer than all steps of an example."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    SqlStore.open(folder / "new.db").close()
    return folder / "new.db"


class TwoStores(RuleBasedStateMachine):
    """Every step is done to both; everything that can be seen must be equal after it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "barrage.db"
        shutil.copy(new_database(), self.path)
        self.sql = SqlStore.open(self.path)
        self.memory = MemoryStore()

    def both(self) -> tuple[Store, Store]:
        """The two stores."""
        return self.sql, self.memory

    @initialize()
    def first_room(self) -> None:
        """There is a room."""
        self.create("a")

    @rule(name=st.sampled_from(["a", "b"]))
    def create(self, name: str) -> None:
        """Make a room, perhaps once more."""
        answers: list[RoomInfo | str] = []
        for store in self.both():
            try:
                answers.append(replace(store.create_room(name, name, "live", 1), epoch=""))
            except Refusal as refusal:
                answers.append(refusal.code.name)
        assert answers[0] == answers[1]

    @rule(batch=st.lists(DRAFTS, max_size=14))
    def append(self, batch: list[Draft]) -> None:
        """Append a batch of anything."""
        assert self.sql.append(batch) == self.memory.append(batch)

    @rule(batch=st.lists(DRAFTS, max_size=5))
    def append_twice(self, batch: list[Draft]) -> None:
        """A batch whose answer was lost is appended again: the same numbers and answers, and nothing fresh."""
        first = self.sql.append(batch)
        again = self.sql.append(batch)
        assert first == self.memory.append(batch)
        assert again == self.memory.append(batch)
        for before, after in zip(first, again, strict=True):
            if isinstance(before, Committed | Recorded):
                assert isinstance(after, Committed | Recorded)
                assert not after.fresh
            if isinstance(before, Committed):
                assert isinstance(after, Committed)
                assert after.event.seq == before.event.seq

    @rule()
    def restart(self) -> None:
        """Close the database and open it again."""
        self.sql.close()
        self.sql = SqlStore.open(self.path)

    @rule(after=st.integers(-1, 8), limit=st.integers(-1, 8))
    def page(self, after: int, limit: int) -> None:
        """Read any part of everything."""
        for room in ("a", "b"):
            if room in {found.name for found in self.memory.rooms()}:
                assert self.sql.read(room, after, limit) == self.memory.read(room, after, limit)
        for action in ("", "held", "refused"):
            assert self.sql.screened(after, limit, action) == self.memory.screened(after, limit, action)
        assert self.sql.reports(after, limit) == self.memory.reports(after, limit)

    @invariant()
    def all_is_equal(self) -> None:
        """Rooms and logs are the same, and the numbers have no gap."""
        rooms = without_epoch(self.sql.rooms())
        assert rooms == without_epoch(self.memory.rooms())
        for room in rooms:
            log = self.sql.read(room.name, 0, 1_000)
            assert log == self.memory.read(room.name, 0, 1_000)
            assert [event.seq for event in log] == list(range(1, room.head + 1))

    def teardown(self) -> None:
        """Leave no file behind."""
        self.sql.close()
        self.folder.cleanup()


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
