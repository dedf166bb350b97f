"""The running server as the HTTP routes and the command line see it: implements ``server.http.services.Services``."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import msgspec

from server.accounts.identity import Identity, Tokens
from server.accounts.people import People
from server.core.hub import Hub
from server.core.room import Room
from server.custody import Custody
from server.errors import Refusal, StoreError
from server.flush import Flusher, Viewer
from server.history import History
from server.http.services import Chunk, Readiness, Rules
from server.metrics import Stats
from server.moderation.moderation import Moderation
from server.pages import PAGE_FAULTS, PageWork
from server.posting import FormSpeaker, Posting, unix_ms
from server.publish import Publisher
from server.settings import Settings
from server.store.base import (
    Committed,
    Draft,
    NoticeDraft,
    Outcome,
    RemovalDraft,
    ReportDraft,
    ReportRecord,
    RestorationDraft,
    RoomInfo,
    RoomKind,
    ScreenedRecord,
    Store,
)
from server.store.found import Found, Search
from server.wire import Event, Say

_KEEP_ALIVE_S = 15.0
_CHUNK_EVENTS = 1000
_PAGES_WAIT_S = 10.0
_HEAL_PAUSE_S = 1.0
"""From the end of a room's healing to the begin of the next one. Anyone may ask for it, and it keeps the room's flushes waiting."""


class _Answer:
    """Turns the sink's callback into an awaitable."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def answer(self, draft: Draft, outcome: Outcome | Refusal) -> None:
        if self.future.done():
            return
        if isinstance(outcome, Refusal):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Site:
    """See ``Services`` for what each method promises. ``infos`` are the stored rooms by name, shared with the conversation."""

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        store: Store,
        hub: Hub[Viewer],
        publisher: Publisher,
        flusher: Flusher,
        history: History,
        pages: PageWork,
        writer: Executor,
        stats: Stats,
        infos: dict[str, RoomInfo],
        metrics: Callable[[], bytes],
        rules: Rules,
        people: People,
        posting: Posting,
        moderation: Moderation,
    ) -> None:
        self.settings = settings
        self.tokens = tokens
        self.stats = stats
        self._store = store
        self._hub = hub
        self._publisher = publisher
        self._flusher = flusher
        self._history = history
        self._pages = pages
        self._writer = writer
        self._infos = infos
        self._metrics = metrics
        self.rules = rules
        self.people = people
        self.moderation = moderation
        self.custody = Custody(
            settings,
            people,
            store,
            read=history.read,
            write=history.run,
            submit=self.submit,
            clock_ms=self.now_ms,
            purge_desk=moderation.retention.purge,
        )
        self._posting = posting
        self._forms = itertools.count(1)
        self._process = secrets.token_hex(6)
        self.draining = asyncio.Event()
        # Of each room the healing under way, or the one that ended within the pause: what it found is the answer to all who ask.
        self._heals: dict[str, asyncio.Task[str]] = {}

    @property
    def pages_dir(self) -> Path:
        return self.settings.data_dir / "pages"

    def now_ms(self) -> int:
        return unix_ms()

    def steady_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    # -- reading ------------------------------------------------------------------------------------------------------

    def room(self, name: str) -> RoomInfo | None:
        info = self._infos.get(name)
        return None if info is None else self._current(info)

    def rooms(self) -> list[RoomInfo]:
        return [self._current(self._infos[name]) for name in sorted(self._infos)]

    def _current(self, info: RoomInfo) -> RoomInfo:
        room = self._hub.rooms[info.name]
        return msgspec.structs.replace(
            info, mode=self._hub.in_force(room, self.now_ms()).mode, standing=room.standing, until_ms=room.until_ms,
            slow_ms=room.slow_ms, head=room.visible,
        )  # fmt: skip

    def viewers(self, name: str) -> int:
        room = self._hub.rooms.get(name)
        return room.viewers if room is not None else 0

    def _find(self, name: str) -> Room[Viewer]:
        room = self._hub.rooms.get(name)
        if room is None:
            raise Refusal("room_not_found")
        self._hub.touch(room, int(time.monotonic()))
        return room

    async def newest(self, name: str, limit: int) -> list[Event]:
        return await self._history.newest(self._find(name), limit)

    async def history(self, name: str, after: int, limit: int) -> list[bytes]:
        return await self._history.events(self._find(name), after, limit)

    async def follow(self, name: str, after: int | None) -> AsyncIterator[Chunk]:
        room = self._find(name)
        position = room.visible if after is None else max(0, min(after, room.visible))
        self.stats.streams += 1
        try:
            async for chunk in self._chunks(room, position):
                yield chunk
        finally:
            self.stats.streams -= 1

    async def _chunks(self, room: Room[Viewer], position: int) -> AsyncIterator[Chunk]:
        while not self.draining.is_set():
            entries = room.slice(position, _CHUNK_EVENTS)
            if entries is None:
                # The ring moves on while the reader takes the chunk: the place is that of the chunk.
                first, position = position + 1, room.first - 1
                yield Chunk(first, position, [])
            elif entries:
                first, position = position + 1, entries[-1].event.seq
                yield Chunk(first, position, [entry.data for entry in entries])
            else:
                try:
                    await asyncio.wait_for(asyncio.shield(self._flusher.next_flush(room)), _KEEP_ALIVE_S)
                except TimeoutError:
                    yield Chunk(0, 0, [])

    async def author(self, name: str, seq: int) -> str:
        return await self._history.read(lambda: self._store.author(name, seq))

    async def screened(self, after: int, limit: int, action: str) -> list[ScreenedRecord]:
        return await self._history.read(lambda: self._store.screened(after, limit, action))

    async def reports(self, after: int, limit: int) -> list[ReportRecord]:
        return await self._history.read(lambda: self._store.reports(after, limit))

    def heads(self) -> dict[str, int]:
        return {name: room.visible for name, room in self._hub.rooms.items()}

    async def search(self, wanted: Search, limit: int) -> Found:
        return await self._history.read(lambda: self._store.search(wanted, limit))

    def verdicts(self) -> dict[tuple[str, str], int]:
        return {(str(verdict), code): count for (verdict, code), count in self.stats.comments.items()}

    # -- writing ------------------------------------------------------------------------------------------------------

    async def submit(self, draft: Draft) -> Outcome:
        name: str = getattr(draft, "room", "")
        room = self._find(name) if name else None
        # A report is a record: it needs no page, and is wanted most when something is wrong.
        control = isinstance(draft, RemovalDraft | RestorationDraft | NoticeDraft)
        self._publisher.check("" if isinstance(draft, ReportDraft) else name, control=control)
        answer = _Answer()
        self._publisher.submit(draft, answer)
        outcome = await answer.future
        if room is not None and control and type(outcome) is Committed:
            try:
                await asyncio.wait_for(self._flusher.visible(room, outcome.event.seq), _PAGES_WAIT_S)
            except TimeoutError:
                raise Refusal("storage_unavailable", "recorded, but the pages cannot be written at the moment") from None
        return outcome

    async def post(self, identity: Identity, say: Say, address: str, port: int) -> Outcome:
        standing = await self.people.standing(identity.subject)
        id_ = f"{self._process}-form-{next(self._forms)}"
        answer = _Answer()
        self._posting.say(FormSpeaker(self._posting, id_, identity, standing, address, port), say, answer)
        return await answer.future

    async def create_room(
        self, name: str, title: str, kind: RoomKind, video_url: str = "", *, news: bool = False, owner: str = ""
    ) -> RoomInfo:
        try:
            info = await self._stored(name, title, kind, video_url, news, owner)
            await self._flusher.exclusive(self._hub.rooms[name], lambda last: self._pages.repair(name, last))
        except PAGE_FAULTS as error:
            raise Refusal("storage_unavailable", retry_after_ms=1000) from error
        return info

    async def _stored(self, name: str, title: str, kind: RoomKind, video_url: str, news: bool, owner: str) -> RoomInfo:
        """The room, held in memory: new, or one that was made by the same request before. Raises Refusal ``room_exists``, StoreError.

        A caller that was told of a fault cannot know how far its first attempt came: to the store, to memory, or to the page.
        """
        loop = asyncio.get_running_loop()
        try:
            info = await loop.run_in_executor(
                self._writer,
                lambda: self._store.create_room(name, title, kind, self.now_ms(), video_url, news=news, owner=owner),
            )
        except Refusal:
            if name not in self._infos:  # an earlier attempt whose outcome nobody knew has written it
                rooms = await loop.run_in_executor(self._writer, self._store.rooms)
                self.hold(next(room for room in rooms if room.name == name))
            info = self._infos[name]
            if (info.title, info.kind, info.video_url, info.news) != (title, kind, video_url, news):
                raise
            return self._current(info)
        self.hold(info)
        return info

    async def set_owner(self, name: str, owner: str) -> None:
        self._find(name)
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, lambda: self._store.set_owner(name, owner))
        except StoreError as error:
            raise Refusal("storage_unavailable", retry_after_ms=1000) from error
        self._infos[name] = msgspec.structs.replace(self._infos[name], owner=owner)

    def hold(self, info: RoomInfo) -> None:
        """Take a stored room into memory; nothing happens if it is there."""
        if info.name in self._infos:
            return
        self._infos[info.name] = info
        room = self._hub.add(info.name, info.epoch, info.head, info.mode)
        room.standing, room.until_ms, room.slow_ms = info.standing, info.until_ms, info.slow_ms

    async def rebuild(self, name: str) -> dict[str, Any]:
        room = self._find(name)
        try:
            report = await self._flusher.exclusive(room, lambda last: self._pages.rebuild(name, last))
        except PAGE_FAULTS as error:
            raise Refusal("storage_unavailable", str(error), retry_after_ms=1000) from error
        return report._asdict()

    async def heal_page(self, name: str, number: int) -> bool:
        room = self._hub.rooms.get(name)
        if room is None or number < 0 or number > self._pages.last_page(room.visible):
            return False
        heal = self._heals.get(name)
        if heal is None:
            loop = asyncio.get_running_loop()
            heal = self._heals[name] = loop.create_task(self._heal(room))
            heal.add_done_callback(lambda _: loop.call_later(_HEAL_PAUSE_S, self._heals.pop, name))
        if await asyncio.shield(heal):  # it is that of others, too
            raise Refusal("storage_unavailable", retry_after_ms=1000)
        return True

    async def _heal(self, room: Room[Viewer]) -> str:
        """Repair the room's pages; what went wrong, or empty."""
        try:
            await self._flusher.exclusive(room, lambda last: self._pages.repair(room.name, last))
        except PAGE_FAULTS as error:
            return str(error) or type(error).__name__
        return ""

    # -- how it stands ------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """The end begins: readiness goes off, and followers end."""
        self.draining.set()
        self._flusher.wake()

    def readiness(self) -> Readiness:
        checks = {
            "store": self._publisher.trouble or self._history.trouble or "ok",
            "pages": self._flusher.trouble or "ok",
            "accounts": self.people.trouble or "ok",
            "queue": "ok" if self._publisher.queued < self.settings.queue_max else "full",
            "drain": "draining" if self.draining.is_set() else "ok",
        }
        return Readiness(all(text == "ok" for text in checks.values()), checks)

    def metrics(self) -> bytes:
        return self._metrics()
