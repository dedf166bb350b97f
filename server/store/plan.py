"""What a batch of drafts becomes: rows to write and outcomes to tell. Pure: no database, no clock.

The store gathers what the drafts refer to (:class:`Known`), :func:`make` decides, the store writes. The decisions follow the
batch in order, and each sees those before it: a comment may be sent, removed and restored in one batch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec.structs import replace

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
    RestorationDraft,
    ScreenedDraft,
)
from server.store.leaf import SALT_BYTES, said, text_hash
from server.wire import Event, Kind, Mode

Key = tuple[str, str]
"""``(author, key)``."""
Place = tuple[int, int]
"""``(room_id, seq)``."""

# The columns of the flat lists of a plan, in order.
COMMENT_COLUMNS: Final = (
    "room_id", "seq", "kind", "at_ms", "pos_ms", "author", "author_id", "author_name", "mode", "color", "size",
    "salt", "text_hash", "text", "verdict", "connection", "region", "label", "label_kind",
)  # fmt: skip
OTHER_COLUMNS: Final = (
    "room_id", "seq", "kind", "at_ms", "author", "salt", "text_hash", "text", "target", "code", "basis", "role", "notice",
    "room_mode", "until_ms", "slow_ms",
)  # fmt: skip
KEY_COLUMNS: Final = ("author", "key", "room_id", "seq")
SCREENED_COLUMNS: Final = (
    "room_id", "author", "key", "at_ms", "action", "code", "verdict", "pos_ms", "text", "mode", "color", "size", "author_id",
    "author_name", "connection", "region", "label", "label_kind",
)  # fmt: skip
CONNECTION_COLUMNS: Final = ("id", "author", "address", "port", "opened_ms", "closed_ms")
REPORT_COLUMNS: Final = ("receipt", "room_id", "seq", "at_ms", "reason", "text", "address", "port", "account")


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An event as it stands in the database: what was written, and ``removed_by`` as it is now.

    ``text`` None: erased, or never there.
    """

    room_id: int
    seq: int
    kind: Kind
    at_ms: int
    pos_ms: int
    author: str
    author_id: str
    author_name: str
    mode: Mode
    color: str
    size: int
    text: str | None
    target: int
    code: str
    basis: str
    role: str
    removed_by: int
    notice: str
    room_mode: str
    region: str
    label: str
    label_kind: str
    until_ms: int = 0
    slow_ms: int = 0


class FirstScreened(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the author of a screened comment was first told."""

    author: str
    key: str
    room_id: int
    text: str
    action: str
    code: str


@dataclass(slots=True)
class Room:
    """A room during one batch: ``base`` was its head before, ``fresh`` are its new events with their accounts."""

    id: int
    base: int
    head: int
    news: bool = False
    fresh: list[tuple[Event, str]] = field(default_factory=list)


@dataclass(slots=True)
class Known:
    """What the store knows of the things that a batch names.

    ``events`` holds the events of ``first`` and all targets, and whatever they refer to; ``connections`` maps ids to
    ``closed_ms``; ``receipts`` are those of reports that are recorded already.
    """

    rooms: dict[str, Room]
    first: dict[Key, Place | FirstScreened] = field(default_factory=dict)
    events: dict[Place, Row] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    receipts: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Plan:
    """Rows as flat lists in the order of the ``*_COLUMNS``, changes, and one outcome for each draft."""

    outcomes: list[Outcome] = field(default_factory=list)
    comments: list[Any] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    screened: list[Any] = field(default_factory=list)
    connections: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    reports: list[Any] = field(default_factory=list)
    removed: dict[Place, int | None] = field(default_factory=dict)
    modes: dict[int, dict[str, Any]] = field(default_factory=dict)


_Other = RemovalDraft | RestorationDraft | NoticeDraft | ScreenedDraft | ConnectionDraft | ReportDraft

_NO_ROOM: Final = Rejected("room_not_found")
_REUSED: Final = Rejected("key_reused")
_NO_COMMENT: Final = Rejected("comment_not_found")
_UNAPPROVED: Final = Rejected("held_for_review")


def make(batch: Sequence[Draft], known: Known, entropy: Callable[[int], bytes] = os.urandom) -> Plan:
    """Decide about ``batch``; ``known.rooms`` carries the new heads afterwards. ``entropy`` gives the salts.

    Raises UnicodeEncodeError for a text that cannot be encoded.
    """
    return _Planner(known, entropy).run(batch)


class _Planner:
    def __init__(self, known: Known, entropy: Callable[[int], bytes]) -> None:
        self.known = known
        self.entropy = entropy
        self.plan = Plan()

    def run(self, batch: Sequence[Draft]) -> Plan:
        """The comments, nearly all drafts of a busy batch, are done in this loop; everything else has its method."""
        rooms, first, plan = self.known.rooms, self.known.first, self.plan
        outcomes, comments, keys = plan.outcomes, plan.comments, plan.keys
        salts, at = self.entropy(SALT_BYTES * len(batch)), 0
        sha256 = hashlib.sha256
        for draft in batch:
            if not isinstance(draft, CommentDraft):
                outcomes.append(self._other(draft))
                continue
            author, text = draft.author, draft.text
            encoded = said(text, draft.region)  # of a lone surrogate: the whole batch is looked through, see drafts.fault
            if "\0" in text or "\0" in draft.author_name or "\0" in draft.label:
                outcomes.append(Rejected(drafts.fault(draft)))
                continue
            room = rooms.get(draft.room)
            if room is None:
                outcomes.append(_NO_ROOM)
                continue
            key = (author, draft.key)
            if key in first:
                outcomes.append(self._again(first[key], room, draft))
                continue
            if room.news and drafts.needs_approval(room.news, draft):
                outcomes.append(_UNAPPROVED)
                continue
            salt = salts[at : at + SALT_BYTES]
            at += SALT_BYTES
            room.head = seq = room.head + 1
            first[key] = (room.id, seq)
            event = drafts.comment(seq, draft)
            room.fresh.append((event, author))
            comments += (
                room.id, seq, "comment", draft.at_ms, draft.pos_ms, author, draft.author_id, draft.author_name, draft.mode,
                draft.color, draft.size, salt, sha256(salt + encoded).digest(), text, draft.verdict, draft.connection,
                draft.region, draft.label, draft.label_kind,
            )  # fmt: skip
            keys += (author, draft.key, room.id, seq)
            outcomes.append(Committed(room=draft.room, event=event, fresh=True))
        return plan

    def _other(self, draft: _Other) -> Outcome:
        code = drafts.fault(draft)
        if code:
            return Rejected(code)
        if isinstance(draft, ConnectionDraft):
            return self._connection(draft)
        room = self.known.rooms.get(draft.room)
        if room is None:
            return _NO_ROOM
        if isinstance(draft, ReportDraft):
            return self._report(room, draft)
        key = (draft.author, draft.key)
        if key in self.known.first:
            return self._again(self.known.first[key], room, draft)
        if isinstance(draft, ScreenedDraft):
            return self._screened(room, draft)
        if isinstance(draft, NoticeDraft):
            return self._notice(room, draft)
        return self._decision(room, draft)

    def _again(self, first: Place | FirstScreened, room: Room, draft: drafts.KeyedDraft) -> Outcome:
        """The first answer for a key that is in use, if ``draft`` is a retry; see :func:`server.store.drafts.identity`."""
        if isinstance(first, FirstScreened):
            if not isinstance(draft, CommentDraft | ScreenedDraft):
                return _REUSED
            if first.room_id != room.id or first.text != drafts.storable(draft.text):
                return _REUSED
            return Recorded(fresh=False, action=first.action, code=first.code)
        room_id, seq = first
        if room_id != room.id or not self._is_retry(room, seq, draft):
            return _REUSED
        return self._committed(room, draft.room, seq, fresh=False)

    def _is_retry(self, room: Room, seq: int, draft: drafts.KeyedDraft) -> bool:
        event, _ = self._written(room, seq)
        if isinstance(draft, CommentDraft | ScreenedDraft):
            row = self.known.events.get((room.id, seq))
            erased = row is not None and row.text is None
            return event.kind == "comment" and (erased or event.text == draft.text)
        if isinstance(draft, NoticeDraft):
            return drafts.notice(seq, draft) == replace(event, at_ms=draft.at_ms)
        kind = "removal" if isinstance(draft, RemovalDraft) else "restoration"
        return event.kind == kind and event.target == draft.target

    def _written(self, room: Room, seq: int) -> tuple[Event, str]:
        """Event ``seq`` as it was written, without what other events say of it, and its account."""
        if seq > room.base:
            return room.fresh[seq - room.base - 1]
        row = self.known.events[room.id, seq]
        return event_of(row), row.author

    def _removed_by(self, room: Room, seq: int) -> int:
        place = (room.id, seq)
        if place in self.plan.removed:
            return self.plan.removed[place] or 0
        return self.known.events[place].removed_by if seq <= room.base else 0

    def _now(self, room: Room, seq: int) -> Event:
        """Event ``seq`` as readers will see it after the batch so far."""
        event, _ = self._written(room, seq)
        if event.kind == "restoration":
            return drafts.with_comment(event, self._now(room, event.target))
        removed_by = self._removed_by(room, seq)
        return drafts.tombstone(event, self._written(room, removed_by)[0]) if removed_by else event

    def _committed(self, room: Room, name: str, seq: int, *, fresh: bool) -> Committed:
        event = self._now(room, seq)
        target = self._now(room, event.target) if event.target else None
        return Committed(room=name, event=event, fresh=fresh, target=target)

    def _log(self, room: Room, event: Event, draft: drafts.KeyedDraft) -> Outcome:
        """Give ``draft`` its place in the log as ``event``, whose number is the next one."""
        key = (draft.author, draft.key)
        room.head = event.seq
        room.fresh.append((event, draft.author))
        self.known.first[key] = (room.id, event.seq)
        self.plan.keys += (*key, room.id, event.seq)
        salt = digest = text = None
        if event.kind == "notice":
            text, salt = event.text, self.entropy(SALT_BYTES)
            digest = text_hash(salt, text)
        self.plan.others += (
            room.id, event.seq, event.kind, event.at_ms, draft.author, salt, digest, text, event.target or None, event.code,
            event.basis, event.role, event.notice, event.room_mode, event.until_ms, event.slow_ms,
        )  # fmt: skip
        return self._committed(room, draft.room, event.seq, fresh=True)

    def _notice(self, room: Room, draft: NoticeDraft) -> Outcome:
        changes = drafts.mode_of_room(draft)
        if changes:
            self.plan.modes.setdefault(room.id, {}).update(changes)
        return self._log(room, drafts.notice(room.head + 1, draft), draft)

    def _decision(self, room: Room, draft: RemovalDraft | RestorationDraft) -> Outcome:
        seq = draft.target
        if not 0 < seq <= room.head:
            return _NO_COMMENT
        comment, author = self._written(room, seq)
        if comment.kind != "comment":
            return _NO_COMMENT
        code = drafts.obstacle(draft, author, comment.at_ms, self._removed_by(room, seq))
        if code:
            return Rejected(code)
        event = drafts.decision(room.head + 1, draft)
        self.plan.removed[room.id, seq] = event.seq if event.kind == "removal" else None
        return self._log(room, event, draft)

    def _screened(self, room: Room, draft: ScreenedDraft) -> Outcome:
        key, text = (draft.author, draft.key), drafts.storable(draft.text)
        self.known.first[key] = FirstScreened(*key, room.id, text, draft.action, draft.code)
        self.plan.keys += (*key, room.id, None)
        self.plan.screened += (
            room.id, *key, draft.at_ms, draft.action, draft.code, draft.verdict, draft.pos_ms, text, draft.mode, draft.color,
            draft.size, draft.author_id, draft.author_name, draft.connection, draft.region, draft.label, draft.label_kind,
        )  # fmt: skip
        return Recorded(fresh=True, action=draft.action, code=draft.code)

    def _connection(self, draft: ConnectionDraft) -> Outcome:
        """A connection is recorded when it opens and once more when it closes; what else comes changes nothing."""
        closed_ms = self.known.connections.get(draft.id)
        if closed_ms is not None and (closed_ms or not draft.closed_ms):
            return Recorded(fresh=False)
        opened = self.plan.connections.get(draft.id)
        if opened is None:
            opened = (draft.id, draft.author, draft.address, draft.port, draft.opened_ms)
        self.plan.connections[draft.id] = (*opened[:5], draft.closed_ms)
        self.known.connections[draft.id] = draft.closed_ms
        return Recorded(fresh=True)

    def _report(self, room: Room, draft: ReportDraft) -> Outcome:
        if draft.receipt in self.known.receipts:
            return Recorded(fresh=False)
        if not 0 <= draft.seq <= room.head:
            return _NO_COMMENT
        self.known.receipts.add(draft.receipt)
        self.plan.reports += (
            draft.receipt, room.id, draft.seq, draft.at_ms, draft.reason, drafts.storable(draft.text), draft.address, draft.port,
            draft.account,
        )  # fmt: skip
        return Recorded(fresh=True)


def event_of(row: Row) -> Event:
    """The event as it was written; the text of an erased comment is empty."""
    return Event(
        seq=row.seq,
        kind=row.kind,
        at_ms=row.at_ms,
        pos_ms=row.pos_ms,
        text=row.text or "",
        mode=row.mode,
        color=row.color,
        size=row.size,
        author_id=row.author_id,
        author_name=row.author_name,
        target=row.target,
        code=row.code,
        basis=row.basis,
        role=row.role,
        notice=row.notice,
        room_mode=row.room_mode,
        region=row.region,
        label=row.label,
        label_kind=row.label_kind,
        until_ms=row.until_ms,
        slow_ms=row.slow_ms,
    )
