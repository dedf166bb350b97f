"""A store in memory: the reference against which the others are compared, and the fake for tests of the parts above.

It keeps everything that :class:`server.store.base.Store` promises but durability. One lock makes an append one step for
readers. Nothing bounds it: it is meant for tests and simulations.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from server.errors import Refusal, StoreUnavailable
from server.store import drafts
from server.store.base import (
    CommentDraft,
    Committed,
    ConnectionDraft,
    ConnectionRecord,
    Draft,
    NoticeDraft,
    Outcome,
    OwnComment,
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
from server.store.tallies import Tally, tallies
from server.wire import Event


@dataclass(slots=True)
class _Entry:
    """``event`` as it was written; ``removed_by`` as it is now."""

    event: Event
    author: str
    removed_by: int = 0


@dataclass(slots=True)
class _Room:
    info: RoomInfo
    log: list[_Entry] = field(default_factory=list)

    def now(self, seq: int) -> Event:
        """Event ``seq`` as readers see it now."""
        entry = self.log[seq - 1]
        if entry.removed_by:
            return drafts.tombstone(entry.event, self.log[entry.removed_by - 1].event)
        if entry.event.kind == "restoration":
            return drafts.with_comment(entry.event, self.now(entry.event.target))
        return entry.event


@dataclass(slots=True)
class _First:
    """What was first done for a key: an event of the log, or a screened comment."""

    identity: tuple[str | int, ...]
    room: _Room
    seq: int = 0
    screened: ScreenedDraft | None = None


class MemoryStore:
    """See :class:`server.store.base.Store`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._rooms: dict[str, _Room] = {}
        self._keys: dict[tuple[str, str], _First] = {}
        self._screened: list[ScreenedRecord] = []
        self._reports: list[ReportRecord] = []
        self._receipts: set[str] = set()
        self._connections: dict[str, ConnectionDraft] = {}
        self._written: list[tuple[str, int]] = []

    def rooms(self) -> list[RoomInfo]:
        """All rooms with their heads, by name."""
        with self._open():
            return [replace(room.info, head=len(room.log)) for _, room in sorted(self._rooms.items())]

    def create_room(
        self, name: str, title: str, kind: RoomKind, at_ms: int, video_url: str = "", *, news: bool = False, owner: str = ""
    ) -> RoomInfo:
        """Create a room. Raises Refusal ``room_exists``."""
        with self._open():
            if name in self._rooms:
                raise Refusal("room_exists", name)
            info = RoomInfo(
                name=name,
                title=title,
                kind=kind,
                mode="open",
                epoch=secrets.token_hex(8),
                created_ms=at_ms,
                started_ms=at_ms if kind == "live" else 0,
                head=0,
                video_url=video_url,
                news=news,
                owner=owner,
            )
            self._rooms[name] = _Room(info)
            return info

    def set_owner(self, room: str, owner: str) -> None:
        """Name the account whose room it is. Raises Refusal ``room_not_found``."""
        with self._open():
            if room not in self._rooms:
                raise Refusal("room_not_found", room)
            self._rooms[room].info = replace(self._rooms[room].info, owner=owner)

    def append(self, batch: Sequence[Draft]) -> list[Outcome]:
        """Take a batch; readers see all of it or nothing."""
        with self._open():
            return [self._append_one(draft) for draft in batch]

    def read(self, room: str, after: int, limit: int) -> list[Event]:
        """Events after ``after`` as they are now. Raises Refusal ``room_not_found``."""
        with self._open():
            if room not in self._rooms:
                raise Refusal("room_not_found", room)
            found = self._rooms[room]
            first = max(after, 0)
            return [found.now(seq) for seq in range(first + 1, min(first + max(limit, 0), len(found.log)) + 1)]

    def actor(self, room: str, seq: int) -> str:
        """The account that wrote an event; empty: no such event."""
        entry = self._entry(room, seq)
        return "" if entry is None else entry.author

    def author(self, room: str, seq: int) -> str:
        """The account behind a comment; empty: no such comment."""
        entry = self._entry(room, seq)
        return entry.author if entry is not None and entry.event.kind == "comment" else ""

    def _entry(self, room: str, seq: int) -> _Entry | None:
        with self._open():
            log = self._rooms[room].log if room in self._rooms else []
            return log[seq - 1] if 0 < seq <= len(log) else None

    def screened(self, after: int, limit: int, action: str = "") -> list[ScreenedRecord]:
        """Held and refused comments after ``after``."""
        with self._open():
            return [r for r in self._screened if r.id > after and action in ("", r.action)][: max(limit, 0)]

    def reports(self, after: int, limit: int) -> list[ReportRecord]:
        """Reports after ``after``."""
        with self._open():
            return [record for record in self._reports if record.id > after][: max(limit, 0)]

    def comments_of(self, author: str, after: int, limit: int) -> list[OwnComment]:
        """Comments of an account after ``after``, in the order of writing."""
        with self._open():
            return [each for each in self._own(author) if each.id > after][: max(limit, 0)]

    def _own(self, author: str) -> Iterator[OwnComment]:
        for number, (room, seq) in enumerate(self._written, 1):
            entry = self._rooms[room].log[seq - 1]
            if entry.author == author and entry.event.kind == "comment":
                said = entry.event
                yield OwnComment(
                    id=number, room=room, seq=seq, at_ms=said.at_ms, text=said.text, removed=bool(entry.removed_by),
                    region=said.region,
                )  # fmt: skip

    def connections_of(self, author: str, limit: int) -> list[ConnectionRecord]:
        """The newest connections of an account, newest first."""
        with self._open():
            mine = [each for each in self._connections.values() if each.author == author]
            return [
                ConnectionRecord(
                    id=each.id, address=each.address, port=each.port, opened_ms=each.opened_ms, closed_ms=each.closed_ms
                )
                for each in sorted(mine, key=lambda each: (-each.opened_ms, each.id))[: max(limit, 0)]
            ]

    def search(self, wanted: Search, limit: int) -> Found:
        """Comments as staff look for them, newest first."""
        with self._open():
            before = wanted.before or 2**62
            numbered = self._log_of(wanted) if wanted.what == "published" else self._screened_of(wanted)
            looked = [(place, hit) for place, hit in numbered if place < before and _in_time(wanted, hit.at_ms)]
            hits = [(place, hit) for place, hit in reversed(looked) if _fits(wanted, hit)][:limit]
            first = hits[-1][0] if len(hits) == limit else 1
            past = [(place, hit) for place, hit in looked if place >= first]
            return Found(
                hits=[hit for _, hit in hits], next=first if first > 1 else 0, looked=len(past),
                oldest_ms=past[0][1].at_ms if past else 0,
            )  # fmt: skip

    def _log_of(self, wanted: Search) -> Iterator[tuple[int, Hit]]:
        for number, (room, seq) in enumerate(self._written, 1):
            entry = self._rooms[room].log[seq - 1]
            if wanted.room in ("", room) and entry.event.kind == "comment":
                said = entry.event
                code = self._rooms[room].log[entry.removed_by - 1].event.code if entry.removed_by else ""
                yield seq if wanted.room else number, Hit(
                    room=room, seq=seq, at_ms=said.at_ms, author=entry.author, author_id=said.author_id,
                    author_name=said.author_name, text=said.text, state="removed" if entry.removed_by else "public", code=code,
                )  # fmt: skip

    def _screened_of(self, wanted: Search) -> Iterator[tuple[int, Hit]]:
        for record in self._screened:
            if wanted.room in ("", record.room):
                draft = self._keys[record.author, record.key].screened
                assert draft is not None
                yield record.id, Hit(
                    room=record.room, seq=0, at_ms=record.at_ms, author=record.author, author_id=draft.author_id,
                    author_name=draft.author_name, text=record.text, state=draft.action, code=record.code,
                )  # fmt: skip

    def tally(self, since_ms: int, until_ms: int) -> list[Tally]:
        """Events of a time, counted."""
        with self._open():
            those = [entry.event for room in self._rooms.values() for entry in room.log]
            return tallies((each.kind, each.code, each.role, 1) for each in those if since_ms <= each.at_ms < until_ms)

    def purge(self, records_ms: int, decisions_ms: int, keep: Sequence[str], limit: int) -> int:
        """Delete connections and empty screened comments whose term has run out. (Addresses of reports are not kept here.)"""
        with self._open():
            gone = [each.id for each in self._connections.values() if each.opened_ms < records_ms and each.author not in keep]
            for identifier in gone[:limit]:
                del self._connections[identifier]
            old = [
                place
                for place, each in enumerate(self._screened)
                if each.at_ms < decisions_ms and each.author not in keep and each.text
            ]
            for place in old[:limit]:
                self._screened[place] = replace(self._screened[place], text="")
            told = [place for place, each in enumerate(self._reports) if each.at_ms < decisions_ms and each.text]
            for place in told[:limit]:
                self._reports[place] = replace(self._reports[place], text="")
            return len(gone[:limit]) + len(old[:limit]) + len(told[:limit])

    def close(self) -> None:
        """Refuse everything from now on; idempotent."""
        self._closed = True

    def connection(self, identifier: str) -> ConnectionDraft | None:
        """The connection as recorded, for tests."""
        return self._connections.get(identifier)

    def _open(self) -> threading.Lock:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return self._lock

    def _append_one(self, draft: Draft) -> Outcome:
        code = drafts.fault(draft)
        if code:
            return Rejected(code)
        if isinstance(draft, ConnectionDraft):
            return self._connect(draft)
        room = self._rooms.get(draft.room)
        if room is None:
            return Rejected("room_not_found")
        if isinstance(draft, ReportDraft):
            return self._report(room, draft)
        first = self._keys.get((draft.author, draft.key))
        if first is not None:
            return self._again(first, draft)
        if isinstance(draft, ScreenedDraft):
            return self._screen(room, draft)
        return self._write(room, draft)

    def _again(self, first: _First, draft: drafts.KeyedDraft) -> Outcome:
        if first.identity != drafts.identity(draft):
            return Rejected("key_reused")
        if first.screened is not None:
            return Recorded(fresh=False, action=first.screened.action, code=first.screened.code)
        return self._committed(first.room, first.seq, fresh=False)

    def _committed(self, room: _Room, seq: int, *, fresh: bool) -> Committed:
        event = room.now(seq)
        target = room.now(event.target) if event.target else None
        return Committed(room=room.info.name, event=event, fresh=fresh, target=target)

    def _write(self, room: _Room, draft: CommentDraft | RemovalDraft | RestorationDraft | NoticeDraft) -> Outcome:
        seq = len(room.log) + 1
        if isinstance(draft, CommentDraft):
            if drafts.needs_approval(room.info.news, draft):
                return Rejected("held_for_review")
            event = drafts.comment(seq, draft)
        elif isinstance(draft, NoticeDraft):
            event = drafts.notice(seq, draft)
            room.info = replace(room.info, **drafts.mode_of_room(draft))
        else:
            if not 0 < draft.target < seq or room.log[draft.target - 1].event.kind != "comment":
                return Rejected("comment_not_found")
            target = room.log[draft.target - 1]
            code = drafts.obstacle(draft, target.author, target.event.at_ms, target.removed_by)
            if code:
                return Rejected(code)
            event = drafts.decision(seq, draft)
            target.removed_by = seq if event.kind == "removal" else 0
        room.log.append(_Entry(event, draft.author))
        self._written.append((draft.room, seq))
        self._keys[draft.author, draft.key] = _First(drafts.identity(draft), room, seq)
        return self._committed(room, seq, fresh=True)

    def _screen(self, room: _Room, draft: ScreenedDraft) -> Outcome:
        self._screened.append(drafts.screened(len(self._screened) + 1, draft))
        self._keys[draft.author, draft.key] = _First(drafts.identity(draft), room, screened=draft)
        return Recorded(fresh=True, action=draft.action, code=draft.code)

    def _connect(self, draft: ConnectionDraft) -> Outcome:
        known = self._connections.get(draft.id)
        if known is None:
            self._connections[draft.id] = draft
            return Recorded(fresh=True)
        if known.closed_ms or not draft.closed_ms:
            return Recorded(fresh=False)
        self._connections[draft.id] = replace(known, closed_ms=draft.closed_ms)
        return Recorded(fresh=True)

    def _report(self, room: _Room, draft: ReportDraft) -> Outcome:
        if draft.receipt in self._receipts:
            return Recorded(fresh=False)
        if not 0 <= draft.seq <= len(room.log):
            return Rejected("comment_not_found")
        self._receipts.add(draft.receipt)
        self._reports.append(
            ReportRecord(
                id=len(self._reports) + 1,
                receipt=draft.receipt,
                room=draft.room,
                seq=draft.seq,
                at_ms=draft.at_ms,
                reason=draft.reason,
                text=drafts.storable(draft.text),
                account=draft.account,
            )
        )
        return Recorded(fresh=True)


def _in_time(wanted: Search, at_ms: int) -> bool:
    return wanted.from_ms <= at_ms and (not wanted.until_ms or at_ms < wanted.until_ms)


def _fits(wanted: Search, hit: Hit) -> bool:
    return (
        wanted.text.lower() in hit.text.lower()
        and wanted.author in ("", hit.author, hit.author_id)
        and wanted.code in ("", hit.code)
    )
