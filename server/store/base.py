"""What the rest of the server asks of a store: the duties, and the drafts and outcomes that pass through it.

A store keeps one append-only log of events for each room, with contiguous numbers from 1, and the records around the logs.
Two implementations of this interface pass the same contract suite (``tests/contract``).

Threading: :meth:`Store.append`, :meth:`Store.create_room` and :meth:`Store.set_owner` are called from one thread at a time (the
writer thread); the reading methods may be called from any thread, also during an append, and then see either all of a batch or
nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from server.store.found import Found, Search
from server.store.tallies import Tally
from server.wire import Event, Mode

RoomKind = Literal["live", "vod"]
RoomMode = Literal["open", "slow", "shield", "review", "read_only", "closed"]
"""From the loosest to the strictest; :mod:`server.core.modes` says what each means."""

APPROVED: Final = " decision "
"""How the key of a draft begins that stands for a decision of the desk. No client's key has a space."""


class RoomInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A room as stored. ``head`` is the number of the newest event (0: none); ``started_ms`` is position 0 of a live room.

    ``mode`` holds until ``until_ms`` (Unix time; 0: for good), then ``standing`` does again. ``slow_ms`` is the least time between
    two comments of one author in slow mode (0: as the site has it). In a room of ``news`` each comment waits for an approval,
    whatever the mode. ``owner`` is the account whose room it is, empty: nobody's.
    """

    name: str
    title: str
    kind: RoomKind
    mode: RoomMode
    epoch: str
    created_ms: int
    started_ms: int
    head: int
    video_url: str = ""
    standing: RoomMode = "open"
    until_ms: int = 0
    slow_ms: int = 0
    news: bool = False
    owner: str = ""


class CommentDraft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A screened comment to be recorded.

    ``author`` is the internal account, ``author_id`` the public id; ``verdict`` is JSON; ``connection`` the id of a ConnectionDraft.
    ``region``, ``label`` and ``label_kind`` are the server's own words about the author, as in :class:`server.wire.Event`.
    """

    room: str
    author: str
    key: str
    at_ms: int
    pos_ms: int
    text: str
    mode: Mode
    color: str
    size: int
    author_id: str
    author_name: str
    verdict: bytes = b""
    connection: str = ""
    region: str = ""
    label: str = ""
    label_kind: str = ""


class RemovalDraft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Remove comment ``target``. ``author`` is the acting account, ``role`` one of ``author uploader reviewer operator``.

    ``owner``: when not empty, the comment's author must be this account (else ``not_yours``), and the comment must not be
    older than ``not_before_ms`` (else ``too_late``): the author's own recall.
    """

    room: str
    author: str
    key: str
    at_ms: int
    target: int
    code: str
    basis: str
    role: str
    owner: str = ""
    not_before_ms: int = 0


class RestorationDraft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Restore the removed comment ``target``."""

    room: str
    author: str
    key: str
    at_ms: int
    target: int
    code: str
    basis: str
    role: str


class NoticeDraft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Tell a room something: ``notice`` is ``announcement`` (with ``text``), ``mode`` or ``site_mode`` (with ``room_mode``).

    ``mode`` is stored with the room as well, with its term ``until_ms`` (0: none, and then it is the standing mode too) and, for a
    slow mode, its pace ``slow_ms``. ``site_mode`` tells the mode of the whole site and changes nothing of the room. ``code``,
    ``basis`` and ``role`` say why, as in a removal.
    """

    room: str
    author: str
    key: str
    at_ms: int
    notice: Literal["announcement", "mode", "site_mode"]
    text: str = ""
    room_mode: RoomMode | Literal[""] = ""
    code: str = ""
    basis: str = ""
    role: str = ""
    until_ms: int = 0
    slow_ms: int = 0


class ScreenedDraft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A comment that was held or refused: recorded with its verdict, never part of the log by itself.

    It has all fields of a comment, so that one that was held can be published as it was sent.
    """

    room: str
    author: str
    key: str
    at_ms: int
    action: Literal["held", "refused"]
    code: str
    verdict: bytes
    pos_ms: int
    text: str
    mode: Mode
    color: str
    size: int
    author_id: str
    author_name: str
    connection: str = ""
    region: str = ""
    label: str = ""
    label_kind: str = ""


class ConnectionDraft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An authenticated connection: who, from which source address and port, from when to when (``closed_ms`` 0: still open)."""

    id: str
    author: str
    address: str
    port: int
    opened_ms: int
    closed_ms: int = 0


class ReportDraft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A report from the public about comment ``seq`` (0: about the room). ``receipt`` is unique and given to the reporter;
    ``account`` is theirs if they were signed in."""

    receipt: str
    room: str
    seq: int
    at_ms: int
    reason: str
    text: str
    address: str
    port: int
    account: str | None = None


Draft = CommentDraft | RemovalDraft | RestorationDraft | NoticeDraft | ScreenedDraft | ConnectionDraft | ReportDraft


class Committed(msgspec.Struct, frozen=True, gc=False):
    """The draft stands in the log as ``event``. ``fresh`` is false for a retry, which gets the first answer.

    For a removal, ``target`` is the tombstone that the removed comment became; for a restoration, the comment as it is again.
    """

    room: str
    event: Event
    fresh: bool
    target: Event | None = None


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A record was written (``fresh`` false: it was there already). For a screened comment, what its author was first told."""

    fresh: bool
    action: str = ""
    code: str = ""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The draft cannot be: ``code`` of ``server.errors.CODES``. Nothing was written for it; the rest of the batch was."""

    code: str


Outcome = Committed | Recorded | Rejected


class ScreenedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A held or refused comment as read back, with all fields of :class:`ScreenedDraft`; ``id`` counts up and pages the list."""

    id: int
    room: str
    author: str
    key: str
    at_ms: int
    action: str
    code: str
    verdict: bytes
    text: str
    pos_ms: int
    mode: Mode
    color: str
    size: int
    author_id: str
    author_name: str
    connection: str = ""
    region: str = ""
    label: str = ""
    label_kind: str = ""


class ReportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A report as read back (without the reporter's address)."""

    id: int
    receipt: str
    room: str
    seq: int
    at_ms: int
    reason: str
    text: str
    account: str | None = None


class OwnComment(msgspec.Struct, frozen=True, kw_only=True):
    """A comment as its author gets it back, removed or not. ``id`` counts up and pages the list."""

    id: int
    room: str
    seq: int
    at_ms: int
    text: str
    removed: bool
    region: str = ""


class ConnectionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as recorded: source address and port, from when to when (Unix ms; ``closed_ms`` 0: open, or cut by a crash)."""

    id: str
    address: str
    port: int
    opened_ms: int
    closed_ms: int


class Store(Protocol):
    """Duties of every store; see the module's text for threading."""

    def rooms(self) -> list[RoomInfo]:
        """All rooms with their heads, by name. Raises StoreUnavailable."""

    def create_room(
        self, name: str, title: str, kind: RoomKind, at_ms: int, video_url: str = "", *, news: bool = False, owner: str = ""
    ) -> RoomInfo:
        """Create a room with a new random epoch, open, ``started_ms`` being ``at_ms`` for a live room and 0 for a video. Whether
        it is a room of news is said once and for all.

        Raises Refusal ``room_exists``; StoreUnavailable; StoreUnknown, after which :meth:`rooms` tells.
        """

    def set_owner(self, room: str, owner: str) -> None:
        """Name the account whose room it is; empty: nobody's. Raises Refusal ``room_not_found``; StoreUnavailable; StoreUnknown."""

    def append(self, batch: Sequence[Draft]) -> list[Outcome]:
        """Write a batch in one durable transaction and return one outcome for each draft, in order. An empty batch is a durable
        transaction as well, one that changes nothing: it tells whether the store takes commits.

        Events of a room get the numbers after its head, in the order of the batch. ``(author, key)`` is unique over the
        comments, removals, restorations, notices and screened comments of all rooms: a draft that was written before gets
        its first answer with ``fresh`` false, also within one batch; the same key with another room or text gets Rejected
        ``key_reused``. Rejected drafts take no number. When it returns, everything is durable (power loss included).

        Events in outcomes are what :meth:`read` would give at that point of the batch: the first answer to a comment that has been
        removed since names its number, and carries its tombstone.

        Rejected codes: ``room_not_found``; ``key_reused``; ``comment_not_found`` (a target that is no comment, a report about a
        number beyond the head); ``not_yours``, ``already_removed``, ``too_late``, ``not_removed``; ``held_for_review`` (a comment
        in a room of news whose key does not begin with :data:`APPROVED`); ``bad_text`` and ``bad_message`` for NUL, lone surrogates
        and integers of more than 64 bits, which no database holds. (The text of screened comments and of reports is kept in any
        case, with U+FFFD for such characters.)

        Raises StoreUnavailable when nothing was written, StoreUnknown when that cannot be told; the caller may then append
        the same drafts again.
        """

    def read(self, room: str, after: int, limit: int) -> list[Event]:
        """Events with numbers after ``after``, at most ``limit``, in order, as they are *now*: removed comments are tombstones
        without text, and a restoration whose comment was removed again has none either. Raises Refusal ``room_not_found``;
        StoreUnavailable."""

    def actor(self, room: str, seq: int) -> str:
        """The account that wrote an event of any kind; empty: there is no such event. Raises StoreUnavailable."""

    def author(self, room: str, seq: int) -> str:
        """The account behind a comment, removed or not; empty: there is no such comment. Raises StoreUnavailable."""

    def screened(self, after: int, limit: int, action: str = "") -> list[ScreenedRecord]:
        """Held and refused comments with ids after ``after``, in order. Raises StoreUnavailable."""

    def reports(self, after: int, limit: int) -> list[ReportRecord]:
        """Reports with ids after ``after``, in order. Raises StoreUnavailable."""

    def comments_of(self, author: str, after: int, limit: int) -> list[OwnComment]:
        """Comments of an account in all rooms with ids after ``after``, in the order of writing. It looks through the whole
        log: for an export, not for a page. Raises StoreUnavailable."""

    def connections_of(self, author: str, limit: int) -> list[ConnectionRecord]:
        """The newest connections of an account, newest first. Raises StoreUnavailable."""

    def search(self, wanted: Search, limit: int) -> Found:
        """Comments as staff look for them, newest first, at most ``limit`` (at least 1). It looks through a bounded number of
        records and says where to go on; an unknown room has none. Raises StoreUnavailable."""

    def tally(self, since_ms: int, until_ms: int) -> list[Tally]:
        """Events of all rooms from ``since_ms`` to before ``until_ms``, counted by kind, removals and restorations by code and role
        as well, in that order. Raises StoreUnavailable."""

    def purge(self, records_ms: int, decisions_ms: int, keep: Sequence[str], limit: int) -> int:
        """Delete what its term has run out for, at most ``limit`` of each kind in one durable transaction; how many there were.
        Called until it gives 0, by a reader's thread: what is due is looked for through whole tables before the writer waits.

        Connections that were opened before ``records_ms`` are deleted, and reports from before lose their source address; screened
        comments from before ``decisions_ms`` lose their text and nickname (their key stays taken), reports their text. Nothing of the
        accounts in ``keep`` is touched. Raises StoreUnavailable, StoreUnknown.
        """

    def close(self) -> None:
        """Release everything; idempotent."""
