"""All rooms of a process, and the frames that a flush sends to their viewers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from server.core import frames, modes
from server.core.audience import COHORTS, Sizes
from server.core.modes import Term
from server.core.room import Room
from server.store.base import RoomMode

V = TypeVar("V")


class Frames:
    """One payload as it goes to viewers: framed once per encoding, the deflated form only when somebody wants it.

    ``deflated`` falls back to the plain frame for payloads below ``deflate_min`` bytes, and where compression gains nothing.
    """

    __slots__ = ("_deflate_min", "_deflated", "_level", "_payload", "plain")

    def __init__(self, payload: bytes, deflate_min: int, level: int) -> None:
        self.plain = frames.text_frame(payload)
        self._payload = payload
        self._deflate_min = deflate_min
        self._level = level
        self._deflated: bytes | None = None

    @property
    def deflated(self) -> bytes:
        if self._deflated is None:
            self._deflated = self.plain
            if len(self._payload) >= self._deflate_min:
                deflated = frames.deflated_frame(self._payload, self._level)
                if len(deflated) < len(self.plain):
                    self._deflated = deflated
        return self._deflated


class Hub(Generic[V]):
    """Rooms by name. Rooms are made when first touched, from what the store says of them; their number is the store's.

    The rings are the only large thing: :meth:`sweep` empties those of rooms that nobody watches and nobody posts to.
    ``site`` is the mode of the whole site; ``cohorts`` as in :class:`server.core.audience.Audience`.
    """

    __slots__ = ("_cohorts", "_ring_events", "_touched", "rooms", "site")

    def __init__(self, ring_events: int, cohorts: Sizes = COHORTS) -> None:
        self.rooms: dict[str, Room[V]] = {}
        self._ring_events = ring_events
        self._cohorts = cohorts
        self._touched: dict[str, int] = {}
        self.site = Term()

    def add(self, name: str, epoch: str, head: int, mode: RoomMode) -> Room[V]:
        """Hold a room whose log stands at ``head``, all of it on its pages."""
        room = self.rooms[name] = Room(name, epoch, head, mode, self._ring_events, self._cohorts)
        return room

    def in_force(self, room: Room[V], now_ms: int) -> Term:
        """The mode that viewers of the room are told, with its end (0: none) and what comes after it, as far as that is known."""
        own, site = room.term(), self.site
        first, second = (site, own) if modes.at_least(site.at(now_ms), own.at(now_ms)) else (own, site)
        if first.at(now_ms) == second.at(now_ms):
            until_ms = max(first.until_ms, second.until_ms) if first.until_ms and second.until_ms else 0
        else:
            until_ms = first.until_ms
        return Term(first.at(now_ms), until_ms, modes.strictest(first.standing, second.standing))

    def intake(self, room: Room[V], now_ms: int) -> RoomMode:
        """The mode by which comments for the room are taken."""
        if not (room.coming or room.until_ms or self.site.until_ms):
            return modes.strictest(room.mode, self.site.mode)  # nearly always, and asked for each comment
        return modes.strictest(room.term().at(now_ms), self.site.at(now_ms), *room.coming)

    def touch(self, room: Room[V], now_s: int) -> None:
        """The room is in use; its ring stays."""
        self._touched[room.name] = now_s

    def sweep(self, now_s: int, idle_s: int) -> int:
        """Empty the rings of rooms without viewers that were not touched for ``idle_s``; returns how many."""
        idle = [name for name, at in self._touched.items() if now_s - at >= idle_s and not self.rooms[name].viewers]
        for name in idle:
            self.rooms[name].forget()
            del self._touched[name]
        return len(idle)

    def watched(self) -> Iterator[Room[V]]:
        """Rooms with viewers."""
        return (self.rooms[name] for name in self._touched if self.rooms[name].viewers)

    @property
    def viewers(self) -> int:
        """Sum of viewers over rooms; a connection that watches two rooms counts twice."""
        return sum(room.viewers for room in self.watched())
