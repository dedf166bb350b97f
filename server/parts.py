"""All parts of one process, built and wired: the only place that makes concrete ones."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import structlog

from filters.config import ScreeningConfig
from server.accounts.identity import Tokens
from server.accounts.people import People
from server.accounts.permit import LEVELS
from server.consequences import Consequences
from server.control import DataLock
from server.conversation import Conversation
from server.core.batch import Tick
from server.core.hub import Hub
from server.core.modes import Term
from server.core.sampling import Sampler
from server.doorway import Doorway
from server.flush import Flusher, Viewer
from server.history import History
from server.metrics import Exposition, Stats
from server.moderation import features
from server.moderation.book import ReviewBook
from server.moderation.mode_keeper import Control
from server.moderation.moderation import Moderation
from server.pages import PageWork
from server.patrol import Patrol
from server.posting import Posting, unix_ms
from server.publish import Publisher
from server.regions import Regions
from server.screening import Screening
from server.settings import Settings
from server.site import Site
from server.store.base import RoomInfo, RoomMode, Store
from server.store.sql import SqlStore
from server.wire import Event
from static_mirror import Mirror

_SWEEP_S = 30
_DRAIN_STEP_S = 0.1
_DRAIN_LAST_S = 1.0
"""How long the viewers that were told last have to answer; a connection still open then is cut."""
_SETTLE_S = 5.0
"""How long, beyond ``drain_s``, a drain waits for pages that cannot be written."""

log = structlog.get_logger("app")


class Parts:
    """One running server: every part, built once, from the settings. Belongs to the event loop it is built on.

    ``store`` may be given by tests and by tools that wrap it; else the data folder's own is opened.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        store: Store,
        screening: Screening,
        people: People,
        regions: Regions,
        review: ReviewBook,
    ) -> None:
        self.settings = settings
        self.tokens = tokens
        self.store = store
        self.screening = screening
        self.people = people
        self.stats = Stats()
        self._exposition = Exposition(self.stats)
        self.infos: dict[str, RoomInfo] = {}
        self.hub: Hub[Viewer] = Hub(settings.ring_events)
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self.readers = ThreadPoolExecutor(2, thread_name_prefix="log-reader")
        self.page_workers = ThreadPoolExecutor(2, thread_name_prefix="page-writer")
        mirror = Mirror(settings.data_dir / "pages", tz=settings.time_zone, max_open=settings.pages_open_max)
        self.mirror = mirror
        self.pages = PageWork(mirror, store, self.infos)
        self.tick = Tick(settings.tick_ms, settings.tick_max_ms, time.monotonic() * 1000)
        self.flusher = Flusher(
            mirror, self.pages, self.page_workers, self.tick, self.stats, Sampler(settings.live_per_s),
            deflate_min=settings.deflate_min_bytes, deflate_level=settings.deflate_level,
        )  # fmt: skip
        self.publisher = Publisher(
            store, self.hub, self.flusher, self.writer, self.stats,
            queue_max=settings.queue_max, batch_max=settings.batch_max, admit_ms=settings.admit_ms,
            on_mode=self._on_mode, after_batch=lambda: self.conversation.after_batch(),
            on_decision=self._on_decision, on_record=lambda: self.moderation.recorded(),
        )  # fmt: skip
        self.consequences = Consequences(store, self.hub, people.book, self.readers)
        self.history = History(store, self.hub, self.readers)
        self.moderation = Moderation(
            settings, people, review, store, read=self.history.read, submit=lambda draft: self.site.submit(draft),
            room=lambda name: self.site.room(name), viewers=lambda name: self.site.viewers(name), clock_ms=unix_ms,
            swarm=lambda: screening.current().memory.swarm,
            began_ms=lambda: min((info.created_ms for info in self.infos.values()), default=0),
            control=Control(
                lambda: self.site.rooms(), lambda name: self.hub.rooms[name].term(), lambda name: self.site.viewers(name),
                self._on_site_mode, lambda: self.posting.raids.noticed(), screening.overlay, lambda: screening.emergency,
                lambda name: self.hub.intake(self.hub.rooms[name], unix_ms()),
            ),
        )  # fmt: skip
        self.posting = Posting(
            settings, self.hub, self.publisher, screening.current, tokens, people, regions, self.stats, self.infos
        )
        self.doorway = Doorway(lambda call: asyncio.get_running_loop().call_soon(call))
        self.conversation = Conversation(
            settings, self.hub, self.posting, tokens, people, self.stats, self.infos, self.history.warm, self.tick, self.doorway
        )
        people.book.listen(self.conversation.sign_ins.changed)
        people.book.listen_ends(self.conversation.sign_ins.ended)
        self.site = Site(
            settings, tokens, store, self.hub, self.publisher, self.flusher, self.history, self.pages, self.writer,
            self.stats, self.infos, self._metrics, screening, people, self.posting, self.moderation,
        )  # fmt: skip

    def _on_mode(self, room: str, mode: RoomMode) -> None:
        log.info("room mode changed", room=room, mode=mode)
        self.conversation.tell_counts()
        self.moderation.mode_changed()

    def _on_site_mode(self, term: Term) -> None:
        if term != self.hub.site:
            log.info("mode of the site", mode=term.mode, until_ms=term.until_ms)
        self.hub.site = term
        self.conversation.tell_counts()
        self.moderation.mode_changed()

    def _on_decision(self, room: str, event: Event) -> None:
        self.consequences.decided(room, event)
        self.moderation.decided(room, event)

    def _metrics(self) -> bytes:
        stats = self.stats
        stats.connections = len(self.conversation.connections)
        stats.rooms = len(self.infos)
        stats.viewers = self.hub.viewers
        stats.queued = self.publisher.queued
        stats.ready, stats.desk_ready = int(self.site.readiness().ready), int(not self.moderation.trouble)
        outbox = self.moderation.outbox
        stats.findings_waiting, stats.findings_overdue = outbox.waiting, outbox.overdue
        stats.cases_overdue = outbox.cases_overdue
        stats.features_unassessed = len(self.moderation.features.missing)
        team = self.moderation.team
        stats.team_load, stats.team_overloaded, stats.team_absent = team.load, team.overloaded, team.absent
        return self._exposition.render()

    async def load(self) -> None:
        """Take all rooms into memory and make their pages whole: nobody is served before what the log says is static.

        Raises StoreError, MirrorError.
        """
        loop = asyncio.get_running_loop()
        for info in await loop.run_in_executor(self.readers, self.store.rooms):
            self.site.hold(info)
        names = list(self.infos)
        repaired = await loop.run_in_executor(self.page_workers, lambda: self.pages.repair_all(names))
        await self.moderation.modes.load()
        await self.consequences.start()
        log.info("rooms loaded", rooms=len(names), pages_repaired=repaired)

    async def check_features(self) -> None:
        """Nothing that the settings switch on lacks its security assessment. Raises ConfigError, StoreUnavailable."""
        now_ms = unix_ms()
        for found in await self.moderation.book.read(lambda sql: features.check_settings(sql, self.settings, now_ms)):
            assert found.assessment is not None
            log.warning("a security assessment ends soon", feature=found.feature.name, until_ms=found.assessment.until_ms)

    async def ensure_demo_room(self) -> None:
        """The demo's room exists."""
        name = self.settings.demo_room
        if name not in self.infos:
            kind = "vod" if self.settings.demo_video_url else "live"
            await self.site.create_room(name, "演示直播间 Demo", kind, self.settings.demo_video_url)  # type: ignore[arg-type]

    async def look_after(self) -> None:
        """Once a second until cancelled: the timer wheel, the pace of flushing, viewer counts, idle rings, damaged pages."""
        told = swept = time.monotonic()
        while True:
            slept = time.monotonic()
            await asyncio.sleep(1.0)
            try:
                now = time.monotonic()
                self.stats.loop_lag_s.observe(max(0.0, now - slept - 1.0))
                self.conversation.second()
                self.tick.adapt(now * 1000, time.thread_time() * 1000)
                if now - told >= self.settings.viewer_count_interval_s:
                    told = now
                    self.conversation.tell_counts()
                if now - swept >= _SWEEP_S:
                    swept = now
                    self.hub.sweep(int(now), int(self.settings.ring_idle_s))
            except Exception:
                log.exception("looking after connections failed")

    async def patrol_pages(self) -> None:
        """Until cancelled, look at the pages of one room after the other and make whole what somebody damaged."""
        await Patrol(self.hub, self.flusher, self.pages, self.stats, every_s=self.settings.page_check_s).run()

    async def drain(self) -> None:
        """Everything acknowledged is committed and static; then viewers are told to come back, spread over ``drain_s``."""
        self.conversation.inbox.drain()
        self.conversation.admission.draining = True
        self.site.drain()
        await self.moderation.drain()
        await self.publisher.drain()
        await self._flush_all()
        await self._close_viewers()
        await self.publisher.drain()  # when each signed-in connection ended is recorded too
        await self.consequences.drain()
        await self.people.drain()

    async def _close_viewers(self) -> None:
        connections = self.conversation.connections
        steps = max(1, round(self.settings.drain_s / _DRAIN_STEP_S))
        for step in range(steps):
            left = self.conversation.close_some(math.ceil(len(connections) / (steps - step)))
            if not left:
                break
            await asyncio.sleep(_DRAIN_STEP_S * random.uniform(0.5, 1.5))  # noqa: S311 # jitter
        deadline = time.monotonic() + _DRAIN_LAST_S
        while connections and time.monotonic() < deadline:  # noqa: ASYNC110 # a few turns; nobody else waits for this
            await asyncio.sleep(_DRAIN_STEP_S / 10)
        await self.cut()

    async def cut(self) -> None:
        """Cut every connection that is left; each hands in the record of its end."""
        for conn in list(self.conversation.connections):
            conn.abort()
        await asyncio.sleep(_DRAIN_STEP_S / 10)

    async def _flush_all(self) -> None:
        """Wait for pages that are behind: for all rooms together at most ``drain_s`` and a little more."""
        wait_s = self.settings.drain_s + _SETTLE_S
        deadline = time.monotonic() + wait_s
        rooms = [room for room in self.hub.rooms.values() if room.sent < room.head]
        waits = {asyncio.ensure_future(self.flusher.visible(room, room.head)): room.name for room in rooms}
        if waits:
            _, late = await asyncio.wait(waits, timeout=wait_s)
            for wait in late:
                wait.cancel()
                log.error("pages are behind the log; they are repaired at the next start", room=waits[wait])
            await asyncio.gather(*waits, return_exceptions=True)
        try:
            await asyncio.wait_for(self.flusher.settle(), max(0.1, deadline - time.monotonic()))
        except TimeoutError:
            log.error("work on pages was not finished; they are repaired at the next start")

    def close(self) -> None:
        """Release threads, files and the store. The loop's work has ended before."""
        for executor in (self.writer, self.readers, self.page_workers):
            executor.shutdown(wait=True, cancel_futures=True)
        self.mirror.close()
        self.store.close()
        self.moderation.close()
        self.people.close()


def screening_config(settings: Settings) -> ScreeningConfig:
    """The screening's bounds from the settings."""
    return ScreeningConfig(
        max_chars=settings.comment_max_chars,
        account_interval_ms=round(1000 / settings.rate_account_per_s),
        account_burst=settings.rate_account_burst,
        room_interval_ms=round(1000 / settings.rate_room_per_s),
        room_burst=settings.rate_room_burst,
        address_interval_ms=round(1000 / settings.rate_address_per_s),
        address_burst=settings.rate_address_burst,
        repeat_interval_ms=round(settings.repeat_interval_s * 1000),
        repeat_burst=settings.repeat_burst,
        level_weights=tuple(level.rate for level in LEVELS),
    )


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Parts]:
    """All parts over the data folder, rooms loaded and pages whole. The caller holds the folder's lock. Raises ConfigError,
    StoreError, MirrorError."""
    tokens = Tokens.open(settings)
    screening = Screening(settings.data_dir / "rules", settings.rules_file, screening_config(settings))
    regions = Regions.open(settings)
    store = SqlStore.open(settings.data_dir / "barrage.db")
    try:
        people = People.open(settings, unix_ms, lambda text: screening.current().inspect(text))
        try:
            review = Moderation.open_book(settings, unix_ms)
        except BaseException:
            people.close()
            raise
    except BaseException:
        store.close()
        raise
    try:
        parts = Parts(settings, tokens, store, screening, people, regions, review)
    except BaseException:
        review.close()
        people.close()
        store.close()
        raise
    try:
        await parts.load()
        yield parts
    finally:
        parts.close()


@asynccontextmanager
async def build_offline(settings: Settings) -> AsyncIterator[Site]:
    """The services without a server, for commands while none runs: the same path, on the data folder itself."""
    with DataLock(settings.data_dir):
        async with build(settings) as parts:
            try:
                yield parts.site
            finally:
                await parts.moderation.drain()
            await parts.publisher.drain()
            await parts._flush_all()
            await parts.consequences.drain()
            await parts.people.drain()
