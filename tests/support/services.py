"""A faithful, small implementation of ``server.http.services.Services`` in memory, for tests of routes.

It keeps the duties of the real one that routes can observe: contiguous numbers, one answer per ``(author, key)``, tombstones
without text, events that are the same bytes as on the wire, a follower without a queue. Faults are injected by
``services.fault``; time is ``services.clock_ms`` and moves by hand only.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from filters.config import ScreeningConfig
from filters.swarm import Swarm
from filters.verdict import Action, Verdict
from server.accounts.identity import Identity, Tokens
from server.accounts.people import People
from server.accounts.permit import Permit
from server.core.modes import Term
from server.core.raids import Raid
from server.custody import Custody
from server.errors import Refusal
from server.http.services import Chunk, Readiness
from server.moderation.mode_keeper import Control
from server.moderation.moderation import Moderation
from server.screening import Screening
from server.settings import Settings
from server.store import drafts
from server.store.base import (
    CommentDraft,
    Committed,
    ConnectionDraft,
    Draft,
    NoticeDraft,
    Outcome,
    Recorded,
    Rejected,
    RemovalDraft,
    ReportDraft,
    ReportRecord,
    RestorationDraft,
    RoomInfo,
    RoomKind,
    ScreenedDraft,
    ScreenedRecord,
)
from server.store.found import Found, Hit, Search
from server.store.memory import MemoryStore
from server.store.tallies import Tally, tallies
from server.wire import Event, Say, encode_event
from tests.support.review import open_book as review_book

START_MS = 1_790_000_000_000
LogDraft = CommentDraft | RemovalDraft | RestorationDraft | NoticeDraft


def fixed_tokens() -> Tokens:
    """Tokens with keys that are the same in each test run."""
    return Tokens(secret=b"s" * 32, ring=None, id_key=b"i" * 32, operator_key=b"o" * 32)


def accept_all(text: str) -> Verdict:
    """A screening that lets every text pass."""
    return Verdict(action=Action.ACCEPT, text=text, rules="")


class FakeRoom:
    """A room's log: ``events`` as they are now, ``original`` the comments as they were posted, by number."""

    def __init__(self, info: RoomInfo) -> None:
        self.info = info
        self.events: list[Event] = []
        self.original: dict[int, CommentDraft] = {}
        self.grown = asyncio.Event()


async def _at_once(call: Callable[[], Any]) -> Any:
    return call()


class FakeLog:
    """What the desk reads of the log, of the rooms of the services."""

    def __init__(self, services: FakeServices) -> None:
        self._services = services

    def rooms(self) -> list[RoomInfo]:
        return self._services.rooms()

    def read(self, room: str, after: int, limit: int) -> list[Event]:
        if self._services.room(room) is None:
            raise Refusal("room_not_found")
        return self._services.events(room)[after : after + limit]

    def author(self, room: str, seq: int) -> str:
        return self._services.author_of(room, seq)

    def screened(self, after: int, limit: int, action: str = "") -> list[ScreenedRecord]:
        return self._services.screened_after(after, limit, action)

    def reports(self, after: int, limit: int) -> list[ReportRecord]:
        return self._services.reports_after(after, limit)

    def search(self, wanted: Search, limit: int) -> Found:
        """Comments of a room before a place, newest first: what the desk looks for. Nothing was screened."""
        if wanted.what == "screened":
            return Found(hits=[], next=0, looked=0, oldest_ms=0)
        hits = [hit for hit in self._services.comments(wanted.room) if hit.seq < wanted.before]
        return Found(hits=hits[::-1][:limit], next=0, looked=len(hits), oldest_ms=0)

    def tally(self, since_ms: int, until_ms: int) -> list[Tally]:
        those = [event for room in self._services.rooms() for event in self._services.events(room.name)]
        return tallies((each.kind, each.code, each.role, 1) for each in those if since_ms <= each.at_ms < until_ms)


class FakeServices:
    """See the module's text. ``pages_dir`` need not exist unless the routes under test read pages."""

    def __init__(self, pages_dir: Path, settings: Settings | None = None, tokens: Tokens | None = None) -> None:
        self._rules_dir = pages_dir / "rules"
        self.settings = settings or Settings()
        self.tokens = tokens or fixed_tokens()
        self.pages_dir = pages_dir
        self.clock_ms = START_MS
        self.uptime_ms = 0
        self.fault: Refusal | None = None
        self.checks: dict[str, str] = {"store": "ok"}
        self.draining = False
        self.keep_alive_s = 15.0
        self.followers = 0
        self.healed: list[tuple[str, int]] = []
        self.healable: set[tuple[str, int]] = set()
        self.rebuilt: list[str] = []
        self.viewer_counts: dict[str, int] = {}
        self.raids: list[Raid] = []
        self.verdict_counts: dict[tuple[str, str], int] = {}
        self.connections: list[ConnectionDraft] = []
        self._rooms: dict[str, FakeRoom] = {}
        self._answers: dict[tuple[str, str], tuple[LogDraft | ScreenedDraft, Committed | Recorded]] = {}
        self._screened: list[ScreenedRecord] = []
        self._reports: list[ReportRecord] = []

    @functools.cached_property
    def swarm(self) -> Swarm:
        """The screening's memory of who says what."""
        return Swarm()

    @functools.cached_property
    def rules(self) -> Screening:
        """The real rule book over the starter pack: made when a test asks for it, since that takes a moment."""
        return Screening(self._rules_dir, None, ScreeningConfig())

    @functools.cached_property
    def people(self) -> People:
        """The real ones, over a book in the folder of the pages: made when a test asks for them. Tests that do end them."""
        self.pages_dir.mkdir(parents=True, exist_ok=True)
        return People.open(msgspec.structs.replace(self.settings, data_dir=self.pages_dir), self.now_ms, accept_all)

    @functools.cached_property
    def custody(self) -> Custody:
        """The real one over the people and an empty store: it gives back and erases what stands in the book."""
        return Custody(
            self.settings, self.people, MemoryStore(), read=_at_once, write=_at_once, submit=self.submit, clock_ms=self.now_ms
        )  # fmt: skip

    @functools.cached_property
    def moderation(self) -> Moderation:
        """The real one over the people, a book in the folder of the pages, and the rooms here. Tests that use it
        end it by :meth:`end`."""
        people = self.people
        return Moderation(
            self.settings, people, review_book(self.pages_dir, self.now_ms), FakeLog(self), read=_at_once, submit=self.submit,
            room=self.room, viewers=self.viewers, clock_ms=self.now_ms, swarm=lambda: self.swarm, began_ms=lambda: START_MS,
            control=Control(
                self.rooms, self.own_mode, self.viewers, raids=self.take_raids,
                overlay=lambda source, by: self.rules.overlay(source, by), terms=lambda: self.rules.emergency,
            ),
        )  # fmt: skip

    # -- set up by tests

    def add_room(self, name: str, title: str = "", kind: RoomKind = "live", video_url: str = "") -> RoomInfo:
        """Create a room at once."""
        if name in self._rooms:
            raise Refusal("room_exists")
        info = RoomInfo(
            name=name,
            title=title or name,
            kind=kind,
            mode="open",
            epoch=f"{len(self._rooms) + 1:016x}",
            created_ms=self.clock_ms,
            started_ms=self.clock_ms,
            head=0,
            video_url=video_url,
        )
        self._rooms[name] = FakeRoom(info)
        return info

    def say(self, room: str, text: str, author: str = "author", name: str = "小明", pos_ms: int = 0) -> Event:
        """Put a comment into the log at once."""
        number = len(self._rooms[room].events) + 1
        outcome = self.append(
            CommentDraft(
                room=room,
                author=author,
                key=f"say-{room}-{number}",
                at_ms=self.clock_ms,
                pos_ms=pos_ms,
                text=text,
                mode="scroll",
                color="#ffffff",
                size=25,
                author_id=self.tokens.public_id(author),
                author_name=name,
            )
        )
        assert isinstance(outcome, Committed)
        return outcome.event

    def comments(self, room: str) -> list[Hit]:
        """The comments of a room with their texts, removed or not, oldest first."""
        found = self._rooms[room]
        return [
            Hit(
                room=room, seq=seq, at_ms=draft.at_ms, author=draft.author, author_id=draft.author_id,
                author_name=draft.author_name, text=draft.text,
                state="removed" if found.events[seq - 1].removed_by else "public", code=found.events[seq - 1].code,
            )
            for seq, draft in sorted(found.original.items())
        ]  # fmt: skip

    def events(self, room: str) -> list[Event]:
        """The log as it is now."""
        return list(self._rooms[room].events)

    async def end(self) -> None:
        """End the parts that a test has asked for."""
        if "moderation" in self.__dict__:
            await self.moderation.drain()
            self.moderation.close()
        if "people" in self.__dict__:
            await self.people.drain()
            self.people.close()

    def author_of(self, room: str, seq: int) -> str:
        """The account behind a comment; empty: there is no such comment."""
        draft = self._rooms[room].original.get(seq) if room in self._rooms else None
        return draft.author if draft is not None else ""

    def screened_after(self, after: int, limit: int, action: str) -> list[ScreenedRecord]:
        """Held and refused comments as the store would give them."""
        return [r for r in self._screened if r.id > after and action in ("", r.action)][:limit]

    def reports_after(self, after: int, limit: int) -> list[ReportRecord]:
        """Reports as the store would give them."""
        return [r for r in self._reports if r.id > after][:limit]

    def drain(self) -> None:
        """Begin the end: readiness off, followers end."""
        self.draining = True
        for room in self._rooms.values():
            room.grown.set()

    # -- Services

    def now_ms(self) -> int:
        return self.clock_ms

    def steady_ms(self) -> int:
        return self.uptime_ms

    def room(self, name: str) -> RoomInfo | None:
        room = self._rooms.get(name)
        return None if room is None else room.info

    def rooms(self) -> list[RoomInfo]:
        return [self._rooms[name].info for name in sorted(self._rooms)]

    def own_mode(self, name: str) -> Term:
        """The room's own mode."""
        info = self._rooms[name].info
        return Term(info.mode, info.until_ms, info.standing)

    def take_raids(self) -> list[Raid]:
        """Raids that a test has put there."""
        found, self.raids = self.raids, []
        return found

    def viewers(self, name: str) -> int:
        return self.viewer_counts.get(name, 0)

    async def newest(self, name: str, limit: int) -> list[Event]:
        return self._open(name).events[-limit:] if limit else []

    async def history(self, name: str, after: int, limit: int) -> list[bytes]:
        return [encode_event(event) for event in self._open(name).events[after : after + limit]]

    async def follow(self, name: str, after: int | None) -> AsyncIterator[Chunk]:
        room = self._open(name)
        cursor = room.info.head if after is None else after
        self.followers += 1
        try:
            while not self.draining:
                head, ring = room.info.head, self.settings.ring_events
                if cursor < head - ring:
                    yield Chunk(cursor + 1, head - ring, [])
                    cursor = head - ring
                elif cursor < head:
                    yield Chunk(cursor + 1, head, [encode_event(event) for event in room.events[cursor:head]])
                    cursor = head
                else:
                    room.grown.clear()
                    try:
                        await asyncio.wait_for(room.grown.wait(), self.keep_alive_s)
                    except TimeoutError:
                        yield Chunk(0, 0, [])
        finally:
            self.followers -= 1

    async def submit(self, draft: Draft) -> Outcome:
        self._fail()
        return self.append(draft)

    async def post(self, identity: Identity, say: Say, address: str, port: int) -> Outcome:
        self._fail()
        if say.room not in self._rooms:
            raise Refusal("room_not_found")
        Permit(await self.people.standing(identity.subject), identity, self.people.required, self.clock_ms).check(say)
        record = ConnectionDraft(
            id=f"form-{len(self.connections) + 1}", author=identity.subject, address=address, port=port, opened_ms=self.clock_ms,
            closed_ms=self.clock_ms,
        )  # fmt: skip
        self.append(record)
        draft = CommentDraft(
            room=say.room, author=identity.subject, key=say.key, at_ms=self.clock_ms, pos_ms=say.pos_ms or 0, text=say.text,
            mode=say.mode, color=say.color, size=say.size, author_id=self.tokens.public_id(identity.subject),
            author_name=identity.nickname, connection=record.id,
        )  # fmt: skip
        outcome = self.append(draft)
        if isinstance(outcome, Rejected):
            raise Refusal(outcome.code)
        return outcome

    async def create_room(
        self, name: str, title: str, kind: RoomKind, video_url: str = "", *, news: bool = False, owner: str = ""
    ) -> RoomInfo:
        self._fail()
        found = self.room(name)
        if found is not None and (found.title, found.kind, found.video_url) == (title, kind, video_url):
            return found
        self.add_room(name, title, kind, video_url)
        return self.change_room(name, news=news, owner=owner)

    def change_room(self, name: str, **fields: Any) -> RoomInfo:
        """Change what is stored of a room."""
        room = self._open(name)
        room.info = msgspec.structs.replace(room.info, **fields)
        return room.info

    async def set_owner(self, name: str, owner: str) -> None:
        self._fail()
        self.change_room(name, owner=owner)

    async def author(self, name: str, seq: int) -> str:
        self._fail()
        return self.author_of(name, seq)

    async def screened(self, after: int, limit: int, action: str) -> list[ScreenedRecord]:
        self._fail()
        return self.screened_after(after, limit, action)

    async def reports(self, after: int, limit: int) -> list[ReportRecord]:
        self._fail()
        return self.reports_after(after, limit)

    def heads(self) -> dict[str, int]:
        return {name: room.info.head for name, room in self._rooms.items()}

    async def search(self, wanted: Search, limit: int) -> Found:
        """As the stores do, but without their bound; screened comments are not looked through."""
        self._fail()
        hits = [
            hit
            for name in sorted(self._rooms)
            for hit in self.comments(name)
            if wanted.what == "published" and wanted.room in ("", name) and wanted.text.lower() in hit.text.lower()
            and wanted.author in ("", hit.author, hit.author_id) and wanted.code in ("", hit.code)
            and wanted.from_ms <= hit.at_ms < (wanted.until_ms or 2**62) and hit.seq < (wanted.before or 2**62)
        ]  # fmt: skip
        hits.sort(key=lambda hit: (-hit.at_ms, -hit.seq))
        return Found(hits=hits[:limit], next=0, looked=len(hits), oldest_ms=hits[-1].at_ms if hits else 0)

    def verdicts(self) -> dict[tuple[str, str], int]:
        return dict(self.verdict_counts)

    async def rebuild(self, name: str) -> dict[str, Any]:
        room = self._open(name)
        self.rebuilt.append(name)
        return {"pages": (len(room.events) + 255) // 256, "events": len(room.events)}

    async def heal_page(self, name: str, number: int) -> bool:
        self._fail()
        self.healed.append((name, number))
        return (name, number) in self.healable

    def readiness(self) -> Readiness:
        ready = not self.draining and all(check == "ok" for check in self.checks.values())
        return Readiness(ready, dict(self.checks))

    def metrics(self) -> bytes:
        return b"# HELP barrage_rooms Rooms in memory.\n# TYPE barrage_rooms gauge\nbarrage_rooms %d\n" % len(self._rooms)

    # -- the log

    def append(self, draft: Draft) -> Outcome:
        """What the store would answer for a batch of this one draft."""
        if isinstance(draft, ConnectionDraft):
            self.connections.append(draft)
            return Recorded(True)
        if isinstance(draft, ReportDraft):
            return self._append_report(draft)
        before = self._answers.get((draft.author, draft.key))
        if before is not None:
            first, answer = before
            same = first.room == draft.room and getattr(first, "text", "") == getattr(draft, "text", "")
            return msgspec.structs.replace(answer, fresh=False) if same else Rejected("key_reused")
        outcome = self._append_screened(draft) if isinstance(draft, ScreenedDraft) else self._append_event(draft)
        if not isinstance(outcome, Rejected):
            self._answers[draft.author, draft.key] = (draft, outcome)
        return outcome

    def _append_event(self, draft: LogDraft) -> Committed | Rejected:
        room = self._rooms.get(draft.room)
        if room is None:
            return Rejected("room_not_found")
        seq = len(room.events) + 1
        target: Event | None = None
        if isinstance(draft, CommentDraft):
            event = _comment(draft, seq)
            room.original[seq] = draft
        elif isinstance(draft, NoticeDraft):
            event = Event(
                seq=seq,
                kind="notice",
                at_ms=draft.at_ms,
                notice=draft.notice,
                text=draft.text,
                room_mode=draft.room_mode,
                code=draft.code,
                basis=draft.basis,
                role=draft.role,
                until_ms=draft.until_ms,
                slow_ms=draft.slow_ms,
            )
            room.info = msgspec.structs.replace(room.info, **drafts.mode_of_room(draft))
        else:
            code = _cannot(room, draft)
            if code:
                return Rejected(code)
            event, target = self._remove(room, draft, seq) if isinstance(draft, RemovalDraft) else _restore(room, draft, seq)
            room.events[draft.target - 1] = target
        room.events.append(event)
        room.info = msgspec.structs.replace(room.info, head=seq)
        room.grown.set()
        return Committed(draft.room, event, True, target)

    @staticmethod
    def _remove(room: FakeRoom, draft: RemovalDraft, seq: int) -> tuple[Event, Event]:
        comment = room.events[draft.target - 1]
        event = Event(
            seq=seq,
            kind="removal",
            at_ms=draft.at_ms,
            target=draft.target,
            code=draft.code,
            basis=draft.basis,
            role=draft.role,
        )
        tombstone = Event(
            seq=comment.seq,
            kind="comment",
            at_ms=comment.at_ms,
            pos_ms=comment.pos_ms,
            removed_by=seq,
            code=draft.code,
            basis=draft.basis,
            role=draft.role,
        )
        return event, tombstone

    def _append_screened(self, draft: ScreenedDraft) -> Recorded:
        self._screened.append(drafts.screened(len(self._screened) + 1, draft))
        return Recorded(True, draft.action, draft.code)

    def _append_report(self, draft: ReportDraft) -> Outcome:
        room = self._rooms.get(draft.room)
        if room is None:
            return Rejected("room_not_found")
        if draft.seq > len(room.events):
            return Rejected("comment_not_found")
        if any(record.receipt == draft.receipt for record in self._reports):
            return Recorded(False)
        self._reports.append(
            ReportRecord(
                id=len(self._reports) + 1,
                receipt=draft.receipt,
                room=draft.room,
                seq=draft.seq,
                at_ms=draft.at_ms,
                reason=draft.reason,
                text=draft.text,
                account=draft.account,
            )
        )
        return Recorded(True)

    def _open(self, name: str) -> FakeRoom:
        self._fail()
        room = self._rooms.get(name)
        if room is None:
            raise Refusal("room_not_found")
        return room

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault


def _comment(draft: CommentDraft, seq: int) -> Event:
    return Event(
        seq=seq,
        kind="comment",
        at_ms=draft.at_ms,
        pos_ms=draft.pos_ms,
        text=draft.text,
        mode=draft.mode,
        color=draft.color,
        size=draft.size,
        author_id=draft.author_id,
        author_name=draft.author_name,
        region=draft.region,
        label=draft.label,
        label_kind=draft.label_kind,
    )


def _cannot(room: FakeRoom, draft: RemovalDraft | RestorationDraft) -> str:
    """Why the removal or restoration cannot be, as a refusal code; empty when it can."""
    original = room.original.get(draft.target)
    if original is None:
        return "comment_not_found"
    removed = bool(room.events[draft.target - 1].removed_by)
    if isinstance(draft, RestorationDraft):
        return "" if removed else "not_removed"
    if draft.owner and draft.owner != original.author:
        return "not_yours"
    if removed:
        return "already_removed"
    return "too_late" if draft.owner and original.at_ms < draft.not_before_ms else ""


def _restore(room: FakeRoom, draft: RestorationDraft, seq: int) -> tuple[Event, Event]:
    comment = _comment(room.original[draft.target], draft.target)
    event = msgspec.structs.replace(
        comment,
        seq=seq,
        kind="restoration",
        at_ms=draft.at_ms,
        target=draft.target,
        code=draft.code,
        basis=draft.basis,
        role=draft.role,
    )
    return event, comment
