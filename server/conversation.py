"""What is said on a WebSocket connection: one object for all connections of the process, the state stands in each connection.

Each handler is synchronous. Whatever a client sends, the answer is a message of the protocol or a close code; a fault of ours is
logged and answered with ``internal_error``, and disturbs nobody else.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog
from websockets.http11 import Request

from server import wire
from server.accounts.identity import Tokens
from server.accounts.people import People
from server.admission import Admission, Refused, target_of
from server.core import modes
from server.core.address import limit_key, parse_networks
from server.core.batch import Tick
from server.core.frames import PING, text_frame
from server.core.hub import Hub
from server.core.inbox import Inbox
from server.core.room import Room
from server.core.wheel import Wheel
from server.doorway import Doorway
from server.errors import Refusal
from server.flush import Viewer
from server.metrics import Stats
from server.posting import Posting, unix_ms
from server.settings import Settings
from server.signin import SignIns
from server.store.base import CommentDraft, Committed, Draft, Outcome, Recorded, RemovalDraft, RoomInfo
from server.ws import Connection

_STRIKE_WINDOW_S = 600

log = structlog.get_logger("conversation")


class Conversation:
    """Handlers of all connections, and the timer wheel that looks after them. Belongs to the event loop.

    ``rooms`` are the stored rooms by name (kept current by the app), ``warm`` fills a room's ring from the store and calls back.
    Who joins or is lost passes through ``doorway``, as newcomers do before. ``clock`` gives seconds of a monotonic clock;
    :meth:`second` reads it, so that tests can move time.
    """

    def __init__(
        self,
        settings: Settings,
        hub: Hub[Viewer],
        posting: Posting,
        tokens: Tokens,
        people: People,
        stats: Stats,
        rooms: dict[str, RoomInfo],
        warm: Callable[[Room[Viewer], Callable[[], None]], None],
        tick: Tick,
        doorway: Doorway,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.stats = stats
        self.trusted_proxies = parse_networks(settings.trusted_proxies)
        self._hub = hub
        self._posting = posting
        self._rooms = rooms
        self._warm = warm
        self._tick = tick
        self._doorway = doorway
        self.clock = clock
        self.admission = Admission(settings, stats)
        self.limits = self.admission.limits
        self.sign_ins = SignIns(settings, tokens, people, posting, self.limits)
        self.inbox: Inbox[Connection] = Inbox(Connection.serve, _later, time.monotonic, self._beat_s)
        self.now_s = int(clock())
        self._wheel: Wheel[Connection] = Wheel(self.now_s)
        self.connections: set[Connection] = set()
        self._dirty: list[Connection] = []
        self._process = secrets.token_hex(6)
        self._counter = 0
        self._told: dict[str, tuple[dict[str, Any], int]] = {}
        self._turned: dict[str, int] = {}  # when the mode of a watched room changed last

    def _beat_s(self) -> float:
        """What is read and committed together is sent together: in a room that is flushed in many turns there is a beat for each."""
        return min(self.settings.commit_ms, self._tick.beat_ms) / 1000

    # -- coming and going ---------------------------------------------------------------------------------------------

    def admit(self, conn: Connection, request: Request) -> Refused | None:
        """May this request become a connection? Status and text of the refusal; None: it may."""
        refused = self.admission.refused(request, conn.address)
        if refused is None:
            self.connections.add(conn)
        return refused

    def opened(self, conn: Connection, target: str) -> None:
        """The handshake is done: say hello, sign in and join as the address asks."""
        self._counter += 1
        conn.id = f"{self._process}-{self._counter}"
        conn.opened_s = conn.seen_s = self.now_s
        self.stats.connections_total += 1
        first_s = int(min(self.settings.ping_interval_s, self.settings.idle_timeout_s, self.settings.join_timeout_s))
        self._wheel.put(conn, random.randint(1, max(1, first_s)))  # noqa: S311 # spreads load
        _, token, room = target_of(target)
        self._guard(conn, lambda: self._greet(conn, token, room), room)

    def _greet(self, conn: Connection, token: str, room: str) -> None:
        if token:
            try:
                self.sign_ins.sign_in(conn, token, lambda: self._guard(conn, lambda: self._welcome(conn, room, None), room))
            except Refusal as refusal:
                self._welcome(conn, room, refusal)
        else:
            self._welcome(conn, room, None)

    def _welcome(self, conn: Connection, room: str, problem: Refusal | None) -> None:
        if conn.closing:
            return
        conn.send(self.sign_ins.hello(conn))
        if problem is not None:
            conn.send(wire.encode_error(problem.code.name, problem.detail))
        if room:
            self._join(conn, wire.Join(room))

    def left(self, conn: Connection) -> None:
        """The connection is gone; nothing happens when that is known already."""
        for room in conn.rooms:
            room.exit(conn)
        conn.rooms = ()
        self._wheel.remove(conn)
        if conn.stalled_s:
            conn.stalled_s = 0
            self.stats.stalled -= 1
        if conn in self.connections:
            self.connections.discard(conn)
            self.limits.close(limit_key(conn.address))
        self.sign_ins.sign_out(conn)

    def lost(self, conn: Connection) -> None:
        """The connection ended without a word. It is forgotten at once; closing its socket takes longest, and waits in line."""
        self.left(conn)
        self._doorway.enter(conn.transport.close)

    def closing(self, conn: Connection, wait_s: int) -> None:
        """The closing handshake began: no more frames, and an end to waiting."""
        for room in conn.rooms:
            room.exit(conn)
        self._wheel.put(conn, wait_s)

    def stalled(self, conn: Connection) -> None:
        """The transport's buffer is full."""
        if self.now_s - conn.stalled_since_s > _STRIKE_WINDOW_S:
            conn.strikes = 0
        conn.strikes += 1
        conn.stalled_s = conn.stalled_since_s = max(1, self.now_s)
        self.stats.stalled += 1
        for room in conn.rooms:
            room.cool(conn)
        if not conn.closing:
            self._wheel.put(conn, int(self.settings.slow_close_s))

    def resumed(self, conn: Connection) -> None:
        """The buffer drained: the exact gap of each room, then on from the newest."""
        conn.stalled_s = 0
        self.stats.stalled -= 1
        if conn.closing:
            return
        if conn.strikes > self.settings.slow_strikes:
            self.stats.slow_closes += 1
            conn.close("too_slow")
            return
        for room in conn.rooms:
            gap = room.thaw(conn)
            if gap is not None:
                self._send_gap(conn, room, gap)
                if conn.stalled_s:
                    # That gap filled the buffer anew: stalled() cooled the rooms thawed so far, the others are still cold.
                    return
                if self._turned.get(room.name, 0) >= conn.stalled_since_s:  # its mode changed, and that was told to the others
                    conn.send(wire.encode_state(room.name, self.state(room)))
        self._wheel.put(conn, int(self.settings.ping_interval_s))

    # -- messages -----------------------------------------------------------------------------------------------------

    def on_error(self, conn: Connection, code: str) -> None:
        """The frame cannot be a message."""
        self.stats.error(code)
        conn.send(wire.encode_error(code))

    def on_message(self, conn: Connection, data: bytes) -> None:
        """One text message, checked as UTF-8."""
        self.stats.frames_in += 1
        self.stats.bytes_in += len(data)
        try:
            message = wire.decode(data)
            if type(message) is wire.Say:
                self._say(conn, message)
            else:
                self._other(conn, message)
        except Refusal as refusal:
            named = wire.addressed(data)
            if named is None:
                self._failed(conn, refusal)
            else:
                self._refuse(conn, *named, refusal)
        except Exception as error:
            self._failed(conn, error)

    def _guard(self, conn: Connection, handler: Callable[[], None], room: str = "") -> None:
        try:
            handler()
        except Exception as error:
            self._failed(conn, error, room)

    def _failed(self, conn: Connection, error: Exception, room: str = "") -> None:
        """Answer a message that could not be served; ``room`` is the one that it asked for, if any."""
        if isinstance(error, Refusal):
            self.stats.error(error.code.name)
            conn.send(wire.encode_error(error.code.name, error.detail, room))
        else:
            log.error("a message could not be served", connection=conn.id, exc_info=error)
            conn.send(wire.encode_error("internal_error"))

    def _other(self, conn: Connection, message: wire.ClientMessage) -> None:
        match message:
            case wire.Ping():
                conn.send(wire.PONG)
            case wire.Auth(token=token):
                self.sign_ins.sign_in(conn, token, lambda: self._guard(conn, lambda: conn.send(self.sign_ins.hello(conn))))
            case wire.Join():
                self._in_turn(conn, message.room, lambda: self._join(conn, message))
            case wire.Leave(room=name):
                self._guard(conn, lambda: self._leave(conn, name), name)
            case wire.Recall():
                self._recall(conn, message)
            case _:
                raise AssertionError(f"no handler for {type(message).__name__}")

    # -- rooms --------------------------------------------------------------------------------------------------------

    def _in_turn(self, conn: Connection, room: str, join: Callable[[], None]) -> None:
        """Serve the join of a room when its turn has come; whatever the connection sends after it waits with it."""

        def serve() -> None:
            if not conn.closing:
                self._guard(conn, join, room)
            conn.release()

        if self._doorway.free:
            self._doorway.enter(lambda: self._guard(conn, join, room))
        else:
            conn.hold()
            self._doorway.enter(serve)

    def _join(self, conn: Connection, message: wire.Join) -> None:
        room = self._posting.find(message.room)
        if self.admission.hasty(limit_key(conn.address)):
            raise Refusal("too_many_requests")
        if room not in conn.rooms and len(conn.rooms) >= self.settings.rooms_per_connection:
            raise Refusal("too_many_rooms")
        self._hub.touch(room, self.now_s)
        if room.visible - room.first + 1 < min(room.visible, self.settings.join_recent):
            # The ring has less than a newcomer gets, as after a start: fill it once for all who join meanwhile.
            self._warm(room, lambda: self._joined(conn, room, message.since))
        else:
            self._joined(conn, room, message.since)

    def _joined(self, conn: Connection, room: Room[Viewer], since: wire.Since | None) -> None:
        if conn.closing:
            return
        if room not in conn.rooms and len(conn.rooms) >= self.settings.rooms_per_connection:
            # Asked again, since several rooms may have been waiting for their rings.
            self.stats.error("too_many_rooms")
            conn.send(wire.encode_error("too_many_rooms", room=room.name))
            return
        after = since.seq if since is not None and since.epoch == room.epoch and since.seq >= 0 else None
        resume = room.resume(after, self.settings.join_recent, self.settings.resume_max)
        if room not in conn.rooms:
            conn.rooms = (*conn.rooms, room)
        room.enter(conn)
        page = wire.page_path(room.name, room.visible)
        conn.send(wire.encode_joined(room.name, room.epoch, resume.head, self.state(room), resume.events, page))
        if resume.missing is not None:
            self._send_gap(conn, room, resume.missing)
        if conn.stalled_s:
            room.cool(conn)

    def _send_gap(self, conn: Connection, room: Room[Viewer], gap: tuple[int, int]) -> None:
        first, last = gap
        self.stats.gaps += 1
        self.stats.gap_events += last - first + 1
        conn.send(wire.encode_gap(room.name, first, last, wire.page_path(room.name, first)))

    def state(self, room: Room[Viewer]) -> dict[str, Any]:
        """What a viewer is told of a room."""
        info = self._rooms[room.name]
        state = {
            "kind": info.kind,
            "title": info.title,
            "viewers": room.viewers,
            "started_ms": info.started_ms,
        }
        state.update(self._mode(room))
        return state

    def _mode(self, room: Room[Viewer]) -> dict[str, Any]:
        """The mode in force, its end where it has one, the pace that it sets, and whether comments of the room wait in any case."""
        term = self._hub.in_force(room, unix_ms())
        told: dict[str, Any] = {"mode": term.mode}
        if term.until_ms:
            told["until_ms"] = term.until_ms
        if modes.paced(term.mode):
            told["slow_ms"] = room.slow_ms or round(self.settings.slow_mode_s * 1000)
        if self._rooms[room.name].news:
            told["news"] = True
        return told

    def _leave(self, conn: Connection, name: str) -> None:
        room = self._posting.find(name)
        if room not in conn.rooms:
            raise Refusal("not_joined")
        room.exit(conn)
        conn.rooms = tuple(other for other in conn.rooms if other is not room)
        conn.send(wire.encode_left(name))

    # -- comments -----------------------------------------------------------------------------------------------------

    def _say(self, conn: Connection, say: wire.Say) -> None:
        if conn.identity is not None and conn.standing is None:
            # It could not be read before. Once more, and the comment is judged by what comes of it.
            self.sign_ins.load(conn, lambda: self._guard(conn, lambda: self._submit(conn, say)))
        else:
            self._submit(conn, say)

    def _submit(self, conn: Connection, say: wire.Say) -> None:
        try:
            self._posting.say(conn, say, conn)
        except Refusal as refusal:
            self._refuse(conn, say.room, say.key, refusal)

    def _recall(self, conn: Connection, recall: wire.Recall) -> None:
        key = recall.key or f"recall-{recall.seq}"
        try:
            self._posting.recall(conn, recall, key, conn)
        except Refusal as refusal:
            self._refuse(conn, recall.room, key, refusal)

    def _refuse(self, conn: Connection, room: str, key: str, refusal: Refusal) -> None:
        self.stats.comment("refused", refusal.code.name)
        conn.send(wire.encode_refused("refused", room, key, refusal.code.name, refusal.detail, refusal.retry_after_ms))

    def on_outcome(self, conn: Connection, draft: Draft, outcome: Outcome | Refusal) -> None:
        """A draft of this connection has its fate; answers of one batch are written together by :meth:`after_batch`."""
        if type(outcome) is Committed and type(draft) is CommentDraft:  # what nearly all are
            if outcome.fresh:
                self.stats.comment("accepted")
                self.stats.acks += 1
                self.stats.ack_s.observe((unix_ms() - draft.at_ms) / 1000)
            payload = wire.encode_ack(draft.room, draft.key, outcome.event.seq)
        else:
            payload = self._told_of(draft, outcome)
        if not conn.answers:
            self._dirty.append(conn)
        conn.collect(payload)

    def _told_of(self, draft: Draft, outcome: Outcome | Refusal) -> bytes:
        """The answer where it is not the acknowledgement of a comment."""
        key: str = getattr(draft, "key", "")
        room: str = getattr(draft, "room", "")
        if isinstance(draft, RemovalDraft):
            key = key.removeprefix(f" {room} ")
        if isinstance(outcome, Committed):
            return wire.encode_ack(room, key, outcome.event.seq)
        if isinstance(outcome, Recorded):
            # What was recorded first counts: a retry of a held comment hears that it is held, of a refused one that it is refused.
            held = outcome.action == "held"
            self.stats.comment("held" if held else "refused", outcome.code)
            return wire.encode_refused("held" if held else "refused", room, key, outcome.code)
        if isinstance(outcome, Refusal):
            self.stats.comment("refused", outcome.code.name)
            return wire.encode_refused("refused", room, key, outcome.code.name, outcome.detail, outcome.retry_after_ms)
        self.stats.comment("refused", outcome.code)
        return wire.encode_refused("refused", room, key, outcome.code)

    def after_batch(self) -> None:
        """All answers of a batch are collected: one write for each connection."""
        dirty, self._dirty = self._dirty, []
        for conn in dirty:
            conn.send_answers()

    # -- time ---------------------------------------------------------------------------------------------------------

    def second(self) -> None:
        """Called about once a second: pings, idle and slow connections, deadlines."""
        self.now_s = int(self.clock())
        for conn in self._wheel.advance(self.now_s):
            self._look_after(conn)

    def _look_after(self, conn: Connection) -> None:
        settings = self.settings
        quiet_s = self.now_s - conn.seen_s
        if conn.closing:
            conn.abort()
            return
        if conn.stalled_s:
            left = settings.slow_close_s - (self.now_s - conn.stalled_s)
            if left <= 0:
                self.stats.slow_closes += 1
                conn.close("too_slow")
            else:
                self._wheel.put(conn, int(left) + 1)
            return
        if quiet_s >= settings.idle_timeout_s:
            conn.close("idle")
            return
        unjoined_s = self.now_s - conn.opened_s
        if not conn.rooms and unjoined_s >= settings.join_timeout_s:
            conn.close("no_room")
            return
        if quiet_s >= settings.ping_interval_s / 2:
            conn.write(PING)
        wait_s = min(settings.ping_interval_s, settings.idle_timeout_s - quiet_s)
        if not conn.rooms:
            wait_s = min(wait_s, settings.join_timeout_s - unjoined_s)
        self._wheel.put(conn, math.ceil(wait_s))

    def tell_counts(self) -> None:
        """Send the state of rooms whose mode or approximate number of viewers changed; under load the number can wait."""
        for room in list(self._hub.watched()):
            mode = self._mode(room)
            now, told = (mode, room.viewers), self._told.get(room.name)
            if now != told and not (self._tick.strained and told is not None and told[0] == mode):
                self._told[room.name] = now
                if told is not None and told[0] != mode:
                    self._turned[room.name] = max(1, self.now_s)
                frame = text_frame(wire.encode_state(room.name, self.state(room)))
                for viewer in tuple(room.hot):
                    viewer.write(frame)

    def close_some(self, count: int) -> int:
        """Close up to ``count`` connections with ``restarting``, for a drain; returns how many are left to close."""
        left = [conn for conn in self.connections if not conn.closing]
        for conn in left[:count]:
            conn.close("restarting")
        return max(0, len(left) - count)


def _later(after_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(after_s, call)
