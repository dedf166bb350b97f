"""A room as held in memory: where its log stands, its newest events, and who watches.

Theory of operation. Three numbers tell how far the room's log has come::

    1 ........ first-1 | first ........ visible | visible+1 ........ head
    only in the store  |  ring: live and static |  ring: pending (durable, not yet flushed)

``head`` moves when a batch is committed, ``visible`` when the rows are on the static page (just before they are sent). Whatever is
handed out (live, resume, history) ends at ``visible``: nobody receives what is not static. The ring is a cache of the log:
:meth:`forget` empties it and :meth:`warm` fills it again from the store, at the start of a room as after any doubt.

Who watches stands in :mod:`server.core.audience`: large rooms are sent in turns, so that some viewers are behind ``visible`` for a
moment. The ring keeps what they were not sent yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from msgspec import structs

from server.core.audience import COHORTS, Audience, Party, Sizes
from server.core.modes import Term
from server.store.base import RoomMode
from server.wire import SAID, Event, encode_event

V = TypeVar("V")


class Entry(NamedTuple):
    """An event and its encoding, made once."""

    event: Event
    data: bytes


class Resume(NamedTuple):
    """What a joining client gets: ``events`` are contiguous and end at ``head``; ``missing`` is the announced gap before them."""

    events: list[bytes]
    head: int
    missing: tuple[int, int] | None


class Room(Generic[V]):
    """See the module's text. ``V`` is the type of a viewer. The ring holds at most ``ring_events`` entries besides pending ones.

    ``mode``, ``standing``, ``until_ms`` and ``slow_ms`` are as in :class:`server.store.base.RoomInfo`; ``coming`` are the modes whose
    notices wait for their commit.
    """

    __slots__ = (
        "_audience", "_ring", "_ring_events", "changes", "coming", "epoch", "head", "mode", "name", "slow_ms", "standing",
        "until_ms", "visible",
    )  # fmt: skip

    def __init__(self, name: str, epoch: str, head: int, mode: RoomMode, ring_events: int, cohorts: Sizes = COHORTS) -> None:
        self.name = name
        self.epoch = epoch
        self.head = head
        self.visible = head
        self.mode: RoomMode = mode
        self.standing: RoomMode = mode
        self.until_ms = 0
        self.slow_ms = 0
        self.coming: list[RoomMode] = []
        self.changes = 0
        self._ring: deque[Entry] = deque()
        self._ring_events = ring_events
        self._audience: Audience[V] = Audience(head, cohorts)

    @property
    def first(self) -> int:
        """The oldest number in the ring; ``head + 1`` when the ring is empty."""
        return self.head - len(self._ring) + 1

    @property
    def pending(self) -> int:
        """Events that are committed and not yet flushed."""
        return self.head - self.visible

    # -- the log moves on ---------------------------------------------------------------------------------------------

    def commit(self, event: Event) -> None:
        """Take the event after ``head``. Raises ValueError for any other number: then the ring is in doubt."""
        if event.seq != self.head + 1:
            raise ValueError(f"event {event.seq} does not follow {self.head} in room {self.name}")
        self.head = event.seq
        self._ring.append(Entry(event, encode_event(event)))

    def replace(self, event: Event) -> None:
        """The comment became a tombstone, or was restored: what the ring holds of it changes, and ``changes`` counts it.

        Its text stands in its restorations as well; they follow it, as in the store's reading.
        """
        self.changes += 1
        index = event.seq - self.first
        if 0 <= index < len(self._ring):
            self._ring[index] = Entry(event, encode_event(event))
        said = {name: getattr(event, name) for name in SAID}
        for index, (held, _) in enumerate(self._ring):
            if held.target == event.seq and held.kind == "restoration":
                held = structs.replace(held, **said)
                self._ring[index] = Entry(held, encode_event(held))

    def take_mode(self, notice: Event) -> None:
        """The room's own mode is that of the notice now."""
        mode: RoomMode = notice.room_mode  # type: ignore[assignment] # the store took it from a RoomMode
        self.mode, self.until_ms = mode, notice.until_ms
        if not notice.until_ms:
            self.standing = mode
        self.slow_ms = notice.slow_ms or self.slow_ms

    def term(self) -> Term:
        """The room's own mode."""
        return Term(self.mode, self.until_ms, self.standing)

    def batch(self) -> list[Entry]:
        """The pending events, in order."""
        return list(islice(self._ring, self.visible + 1 - self.first, None))

    def published(self, last: int) -> None:
        """Events up to ``last`` are on the page: they become visible, and the ring drops what is over its size."""
        self.visible = last
        self._audience.moved(last)
        self._trim()

    def _trim(self) -> None:
        surplus = len(self._ring) - self.pending - max(self._ring_events, self.visible - self.sent)
        for _ in range(surplus):
            self._ring.popleft()

    # -- the ring as a cache ------------------------------------------------------------------------------------------

    def warm(self, events: Iterable[Event]) -> None:
        """Put older events, read from the store, before what the ring has. Events that do not join up are left out."""
        for event in sorted(events, key=lambda event: event.seq, reverse=True):
            if event.seq == self.first - 1 and len(self._ring) < self._ring_events + self.pending:
                self._ring.appendleft(Entry(event, encode_event(event)))

    def forget(self) -> None:
        """Empty the ring but for pending events, and what some viewers were not sent yet."""
        for _ in range(len(self._ring) - (self.head - self.sent)):
            self._ring.popleft()

    def slice(self, after: int, limit: int) -> list[Entry] | None:
        """Visible events after ``after``, at most ``limit``; None when the ring does not reach back so far."""
        if after >= self.visible:
            return []
        if after + 1 < self.first:
            return None
        start = after + 1 - self.first
        return list(islice(self._ring, start, min(start + limit, self.visible + 1 - self.first)))

    def newest(self, limit: int) -> list[Entry]:
        """The newest visible events of the ring, oldest first, at most ``limit``."""
        start = max(self.first, self.visible - limit + 1)
        return self.slice(start - 1, limit) or []

    def resume(self, after: int | None, recent: int, most: int) -> Resume:
        """What a client gets that has everything up to ``after`` (None: has nothing and wants ``recent`` events)."""
        if after is None:
            entries = self.newest(recent)
            return Resume([entry.data for entry in entries], self.visible, None)
        after = min(after, self.visible)
        entries = self.newest(min(most, self.visible - after))
        begin = entries[0].event.seq if entries else self.visible + 1
        missing = (after + 1, begin - 1) if begin > after + 1 else None
        return Resume([entry.data for entry in entries], self.visible, missing)

    # -- who watches --------------------------------------------------------------------------------------------------

    @property
    def viewers(self) -> int:
        """Connections that watch this room."""
        return self._audience.viewers

    @property
    def hot(self) -> set[V]:
        """Those who get every frame; not to be changed."""
        return self._audience.hot

    @property
    def cold(self) -> Mapping[V, int]:
        """Those whose transport is full, with the first number that each misses."""
        return self._audience.cold

    @property
    def parts(self) -> int:
        """In how many turns the viewers are sent something, evenly over a tick."""
        return self._audience.parts

    @property
    def sent(self) -> int:
        """Up to where all viewers were sent; what is visible after it waits for some of them to have their turn."""
        return self._audience.sent

    def turns(self) -> list[tuple[list[Entry], Party[V]]]:
        """Whose turn it is, and what each of them is sent: who calls sends it at once."""
        turns = [
            (self.slice(turn.sent, self.visible - turn.sent) or [], turn.party) for turn in self._audience.turns(self.visible)
        ]
        self._trim()
        return turns

    def enter(self, viewer: V) -> None:
        """From now on the viewer gets every frame; it was handed out everything that is visible."""
        self._audience.enter(viewer, self.visible)

    def exit(self, viewer: V) -> None:
        """The viewer is gone; nothing happens if it was not there."""
        self._audience.leave(viewer)

    def cool(self, viewer: V) -> None:
        """The viewer's transport is full: it gets no frames, and what it misses begins after what it was sent last."""
        self._audience.cool(viewer)

    def thaw(self, viewer: V) -> tuple[int, int] | None:
        """The transport drained: back among the hot ones; returns the exact gap, None when nothing was missed."""
        return self._audience.thaw(viewer, self.visible)
