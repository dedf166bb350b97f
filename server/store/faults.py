"""A store that fails on command: for tests and simulations of everything above a store.

It wraps any store and injects a :class:`Fault` at a step. What a fault leaves behind is exact: after ``FAIL`` and ``LOSE`` the
inner store was never asked, after ``WRITE_THEN_FAIL`` it has done everything. Callers may therefore compare the inner store
with what they were told.
"""

from __future__ import annotations

import enum
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar

from server.errors import StoreUnavailable, StoreUnknown
from server.store.base import (
    ConnectionRecord,
    Draft,
    Outcome,
    OwnComment,
    ReportRecord,
    RoomInfo,
    RoomKind,
    ScreenedRecord,
    Store,
)
from server.store.found import Found, Search
from server.store.tallies import Tally
from server.wire import Event

Step = Literal["rooms", "create_room", "append", "read", "screened", "reports"]
WRITES: Final[frozenset[Step]] = frozenset({"create_room", "append"})

T = TypeVar("T")


class Fault(enum.Enum):
    """What goes wrong at one call of a step.

    A reading step knows ``FAIL`` and ``SLOW`` only: the other faults mean ``FAIL`` there.
    """

    FAIL = "nothing is written; StoreUnavailable"
    LOSE = "nothing is written; StoreUnknown"
    WRITE_THEN_FAIL = "everything is written and durable; StoreUnknown"
    SLOW = "everything is well, after a delay"


class FaultyStore:
    """See :class:`server.store.base.Store`.

    ``sleep`` takes the delay of a slow call in seconds; a test may pass one that waits for an event or moves a fake clock.
    Faults may be planned from any thread. Planned faults come first, then the standing one, then the seeded ones.
    """

    def __init__(self, inner: Store, *, delay_s: float = 0.05, sleep: Callable[[float], object] = time.sleep) -> None:
        self.inner: Final = inner
        self.calls: Final[Counter[Step]] = Counter()
        self.injected: Final[Counter[Fault]] = Counter()
        self._delay_s = delay_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._planned: dict[Step, deque[Fault | None]] = {}
        self._standing: dict[Step, Fault] = {}
        self._random: random.Random | None = None
        self._rates: dict[Fault, float] = {}

    def plan(self, step: Step, *faults: Fault | None) -> None:
        """Give the next calls of ``step`` these faults, one each, in order; None lets a call through."""
        with self._lock:
            self._planned.setdefault(step, deque()).extend(faults)

    def stand(self, step: Step, fault: Fault) -> None:
        """Give every call of ``step`` this fault until :meth:`heal`: a full disk, a lost database."""
        with self._lock:
            self._standing[step] = fault

    def seed(self, seed: int, rates: Mapping[Fault, float]) -> None:
        """Give each call of any step a fault at random; ``rates`` are probabilities with a sum of at most 1."""
        with self._lock:
            self._random = random.Random(seed)  # noqa: S311 - it has to be repeatable, not secret
            self._rates = dict(rates)

    def heal(self) -> None:
        """Forget all faults, planned, standing and seeded."""
        with self._lock:
            self._planned.clear()
            self._standing.clear()
            self._random = None

    def rooms(self) -> list[RoomInfo]:
        """As the inner store, or as the fault says."""
        return self._do("rooms", self.inner.rooms)

    def create_room(
        self, name: str, title: str, kind: RoomKind, at_ms: int, video_url: str = "", *, news: bool = False, owner: str = ""
    ) -> RoomInfo:
        """As the inner store, or as the fault says."""
        return self._do(
            "create_room", lambda: self.inner.create_room(name, title, kind, at_ms, video_url, news=news, owner=owner)
        )

    def set_owner(self, room: str, owner: str) -> None:
        """As the inner store, or as the fault says."""
        return self._do("create_room", lambda: self.inner.set_owner(room, owner))

    def append(self, batch: Sequence[Draft]) -> list[Outcome]:
        """As the inner store, or as the fault says."""
        return self._do("append", lambda: self.inner.append(batch))

    def read(self, room: str, after: int, limit: int) -> list[Event]:
        """As the inner store, or as the fault says."""
        return self._do("read", lambda: self.inner.read(room, after, limit))

    def actor(self, room: str, seq: int) -> str:
        """As the inner store, or as the fault says."""
        return self._do("read", lambda: self.inner.actor(room, seq))

    def author(self, room: str, seq: int) -> str:
        """As the inner store, or as the fault says."""
        return self._do("read", lambda: self.inner.author(room, seq))

    def screened(self, after: int, limit: int, action: str = "") -> list[ScreenedRecord]:
        """As the inner store, or as the fault says."""
        return self._do("screened", lambda: self.inner.screened(after, limit, action))

    def reports(self, after: int, limit: int) -> list[ReportRecord]:
        """As the inner store, or as the fault says."""
        return self._do("reports", lambda: self.inner.reports(after, limit))

    def comments_of(self, author: str, after: int, limit: int) -> list[OwnComment]:
        """As the inner store, or as the fault says."""
        return self._do("read", lambda: self.inner.comments_of(author, after, limit))

    def connections_of(self, author: str, limit: int) -> list[ConnectionRecord]:
        """As the inner store, or as the fault says."""
        return self._do("read", lambda: self.inner.connections_of(author, limit))

    def search(self, wanted: Search, limit: int) -> Found:
        """As the inner store, or as the fault says."""
        return self._do("read", lambda: self.inner.search(wanted, limit))

    def tally(self, since_ms: int, until_ms: int) -> list[Tally]:
        """As the inner store, or as the fault says."""
        return self._do("read", lambda: self.inner.tally(since_ms, until_ms))

    def purge(self, records_ms: int, decisions_ms: int, keep: Sequence[str], limit: int) -> int:
        """As the inner store, or as the fault says."""
        return self._do("append", lambda: self.inner.purge(records_ms, decisions_ms, keep, limit))

    def close(self) -> None:
        """Close the inner store."""
        self.inner.close()

    def _do(self, step: Step, call: Callable[[], T]) -> T:
        fault = self._next(step)
        if fault is None:
            return call()
        if fault is Fault.SLOW:
            self._sleep(self._delay_s)
            return call()
        if fault is Fault.FAIL or step not in WRITES:
            raise StoreUnavailable(f"injected at {step}: nothing was written")
        if fault is Fault.WRITE_THEN_FAIL:
            call()
        raise StoreUnknown(f"injected at {step}: the answer was lost")

    def _next(self, step: Step) -> Fault | None:
        with self._lock:
            self.calls[step] += 1
            fault = self._choose(step)
            if fault is not None:
                self.injected[fault] += 1
            return fault

    def _choose(self, step: Step) -> Fault | None:
        planned = self._planned.get(step)
        if planned:
            return planned.popleft()
        if step in self._standing:
            return self._standing[step]
        if self._random is not None:
            at = self._random.random()
            for fault, rate in self._rates.items():
                at -= rate
                if at < 0:
                    return fault
        return None
