"""What the HTTP routes ask of the running server; ``server.app`` implements it, tests may with a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from filters.book import Change
from server.accounts.identity import Identity, Tokens
from server.accounts.people import People
from server.custody import Custody
from server.moderation.moderation import Moderation
from server.settings import Settings
from server.store.base import Draft, Outcome, ReportRecord, RoomInfo, RoomKind, ScreenedRecord
from server.store.found import Found, Search
from server.wire import Event, Say


class Readiness(msgspec.Struct, frozen=True):
    """``ready``: traffic is welcome. ``checks`` maps each check to ``ok`` or a sentence that says what is wrong."""

    ready: bool
    checks: dict[str, str]


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of a room's live stream: encoded events with numbers ``first`` ... ``last`` (both included).

    ``events`` is empty for a gap (these numbers were skipped, they stand on the pages) and for a keep-alive (``first`` is 0).
    """

    first: int
    last: int
    events: list[bytes]


class Rules(Protocol):
    """The rules of the screening in force, and how they change; ``server.screening`` implements it. Called on the event loop.

    Whatever is refused leaves the rules as they are. Refusals: ``bad_rules`` (cannot be used, or there are none to go back to),
    ``rules_busy`` (another change is under way), ``storage_unavailable``.
    """

    async def reload(self, source: str, by: str) -> Change:
        """Compile and check a rule file's text and put it into force: from the return on each comment is judged by it."""

    async def rollback(self, by: str) -> Change:
        """Put the rules before the current ones into force again."""

    async def overlay(self, source: str | None, by: str) -> int:
        """Put emergency terms (the text of a small rule file) beside the rules, or None: take them out. Returns how many there are
        then. They outlive reloads and restarts."""

    async def history(self) -> list[Change]:
        """Which rules were in force since when, oldest first."""


class Services(Protocol):
    """The running server as seen by HTTP routes. All methods are called on the event loop."""

    @property
    def settings(self) -> Settings: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def pages_dir(self) -> Path: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def people(self) -> People: ...
    @property
    def custody(self) -> Custody: ...
    @property
    def moderation(self) -> Moderation: ...

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    def steady_ms(self) -> int:
        """Milliseconds of a clock that nobody sets, for rates: its zero means nothing."""

    def room(self, name: str) -> RoomInfo | None:
        """The room with its current mode; ``head`` is the newest number that is live and static. None: no such room."""

    def rooms(self) -> list[RoomInfo]:
        """All rooms, by name."""

    def viewers(self, name: str) -> int:
        """Approximate number of viewers of a room."""

    async def newest(self, name: str, limit: int) -> list[Event]:
        """The newest events of a room that are live and static, oldest first. Raises Refusal."""

    async def history(self, name: str, after: int, limit: int) -> list[bytes]:
        """Encoded events after ``after`` that are live and static, in order, at most ``limit``. Raises Refusal."""

    def follow(self, name: str, after: int | None) -> AsyncIterator[Chunk]:
        """Live events after ``after`` (None: from now on) until the server drains; a keep-alive Chunk after 15 quiet seconds.
        The follower is a cursor into the room's ring: no queue stands behind it. Raises Refusal."""

    def heads(self) -> dict[str, int]:
        """The newest number of each room that is live and static, by name."""

    async def search(self, wanted: Search, limit: int) -> Found:
        """Comments as staff look for them, newest first (:meth:`server.store.base.Store.search`). Raises Refusal."""

    def verdicts(self) -> dict[tuple[str, str], int]:
        """Comments since the process began, by what the screening made of them and the code of the refusal."""

    async def submit(self, draft: Draft) -> Outcome:
        """Pass a draft through the one path (commit, page, live). Returns when it is durable; for a removal, restoration or
        notice, when the pages show it. Raises Refusal (``overloaded``, ``storage_unavailable``, ``outcome_unknown``, ...)."""

    async def post(self, identity: Identity, say: Say, address: str, port: int) -> Outcome:
        """A comment from a form, by the same path as one from a connection: checks, screening, log. Returns when it is durable:
        ``Committed``, or ``Recorded`` with action ``held`` (or what a retry of its key was first told). Raises Refusal."""

    async def create_room(
        self, name: str, title: str, kind: RoomKind, video_url: str = "", *, news: bool = False, owner: str = ""
    ) -> RoomInfo:
        """Create a room with its first page; ``news``: each comment waits for an approval; ``owner``: the account whose room
        it is. A room of the same name, title, kind, video and ``news`` is given as it is, so that a request may be repeated. Raises
        Refusal ``room_exists`` (it differs), ``storage_unavailable``."""

    async def set_owner(self, name: str, owner: str) -> None:
        """Name the account whose room it is; empty: nobody's. Raises Refusal ``room_not_found``, ``storage_unavailable``."""

    async def author(self, name: str, seq: int) -> str:
        """The account behind a comment, removed or not; empty: no such comment. For staff alone. Raises Refusal."""

    async def screened(self, after: int, limit: int, action: str) -> list[ScreenedRecord]:
        """Held and refused comments. Raises Refusal."""

    async def reports(self, after: int, limit: int) -> list[ReportRecord]:
        """Reports of the public. Raises Refusal."""

    async def rebuild(self, name: str) -> dict[str, Any]:
        """Make all pages of a room again from its log; returns counts. Raises Refusal."""

    async def heal_page(self, name: str, number: int) -> bool:
        """A page file that should be there is not, or is damaged: make it again from the log. False: no such page."""

    def readiness(self) -> Readiness:
        """Whether this process should get traffic."""

    def metrics(self) -> bytes:
        """Prometheus text format."""
