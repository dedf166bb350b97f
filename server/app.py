"""The composition root: the only place that builds concrete parts and wires them together."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from types import FrameType
from typing import Any

import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette

from filters.config import ScreeningConfig
from server.accounts.identity import Tokens
from server.accounts.people import People
from server.accounts.permit import LEVELS
from server.consequences import Consequences
from server.control import DataLock, local_url
from server.conversation import Conversation
from server.core.batch import Tick
from server.core.hub import Hub
from server.core.modes import Term
from server.core.sampling import Sampler
from server.doorway import Doorway
from server.errors import ConfigError
from server.flush import Flusher, Viewer
from server.history import History
from server.http import (
    account,
    account_agreement,
    account_api,
    account_privacy,
    account_sign_in,
    account_statements,
    api,
    demo,
    errors,
    health,
    openapi,
    operator,
    pages,
    public_accounts,
    room_owner,
    signing_key,
    staff,
    stream,
    transparency,
)
from server.http.edge import http_class
from server.logs import configure
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
from server.ws import Connection
from static_mirror import Mirror

_SWEEP_S = 30
_DRAIN_STEP_S = 0.1
_DRAIN_LAST_S = 1.0
"""How long the viewers that were told last have to answer; a connection still open then is cut."""
_SETTLE_S = 5.0
"""How long, beyond ``drain_s``, a drain waits for pages that cannot be written."""
_BACKLOG = 4096

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
            queue_max=settings.queue_max, batch_max=settings.batch_max, admit_ms=settings.admit_ms, commit_ms=settings.commit_ms,
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
                self.tick.adapt(now * 1000)
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
        rooms = [room for room in self.hub.rooms.values() if room.pending]
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


def web_app(site: Site) -> Starlette:
    """The HTTP routes over the services."""
    routes = [
        *health.routes, *openapi.routes, *api.routes, *stream.routes, *operator.routes, *demo.routes, *account_sign_in.routes,
        *account_agreement.routes, *account.routes, *account_statements.routes, *room_owner.routes,
        *account_privacy.routes, *account_api.routes,
        *public_accounts.routes, *transparency.routes,
        *signing_key.routes,
        *staff.routes, *pages.routes,
    ]  # fmt: skip
    app = Starlette(routes=routes, exception_handlers=errors.handlers, middleware=errors.middleware)
    app.state.services = site
    pages.prepare(app)
    return app


class _Server(uvicorn.Server):
    """uvicorn, with our drain before its own shutting down. A second signal ends at once."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_signal()


def uvicorn_config(parts: Parts) -> uvicorn.Config:
    """uvicorn as we use it: our HTTP and WebSocket edges over its loop, and the routes."""
    return uvicorn.Config(
        web_app(parts.site), http=http_class(parts.settings, parts.doorway), ws=connection_class(parts.conversation),
        lifespan="off", log_config=None, access_log=False, proxy_headers=False, server_header=False, timeout_graceful_shutdown=5,
        backlog=_BACKLOG,
    )  # fmt: skip


def connection_class(conversation: Conversation) -> type[asyncio.Protocol]:
    """The class that uvicorn's ``ws=`` hook instantiates for each upgraded connection."""

    class BoundConnection(Connection):
        __slots__ = ()

        def __init__(self, config: object, server_state: object, app_state: object) -> None:
            super().__init__(conversation)

    return BoundConnection


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ConfigError that says what to do when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        sock.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {getattr(error, 'strerror', None) or error}. "
            "Choose another with --port (0 takes a free one), or stop what uses it."
        ) from None
    return sock


def serve(settings: Settings, ready: Callable[[str], None] = lambda url: None) -> None:
    """Run the server until SIGTERM or SIGINT; ``ready`` gets its address. Raises ConfigError, StoreError, MirrorError."""
    configure(settings)
    _raise_file_limit()
    with DataLock(settings.data_dir) as lock:
        sock = listen(settings.host, settings.port)
        try:
            uvloop.run(_serve(settings, sock, lock, ready))
        finally:
            sock.close()


async def _serve(settings: Settings, sock: socket.socket, lock: DataLock, ready: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(build(settings))
        await parts.check_features()
        parts.moderation.start()
        if settings.demo:
            await parts.ensure_demo_room()
        stopping, forced = asyncio.Event(), asyncio.Event()
        server = _Server(
            uvicorn_config(parts), lambda: loop.call_soon_threadsafe((forced if stopping.is_set() else stopping).set)
        )
        tasks = [
            _named(loop, "look after", parts.look_after()),
            _named(loop, "catch up", parts.screening.run()),
            _named(loop, "patrol pages", parts.patrol_pages()),
            _named(loop, "fresh keys", parts.tokens.run()),
            _named(loop, "look after accounts", parts.people.run()),
            _named(loop, "erase and purge", parts.site.custody.run()),
            _named(loop, "review desk", parts.moderation.run()),
        ]
        serving = loop.create_task(server.serve(sockets=[sock]))
        while not server.started and not serving.done():  # noqa: ASYNC110 # uvicorn has no event for it
            await asyncio.sleep(0.005)
        url = local_url(settings.host, sock.getsockname()[1])
        lock.announce(url, parts.site.now_ms())
        _settle_memory()
        ready(url)
        await _first(stopping.wait(), asyncio.shield(serving))
        log.info("draining", connections=len(parts.conversation.connections))
        await _first(_named(loop, "drain", parts.drain()), forced.wait())
        if forced.is_set():
            await parts.cut()
        server.should_exit = True
        server.force_exit = forced.is_set()
        await serving
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        log.info("stopped")


async def _first(*works: Awaitable[object]) -> None:
    """Return when one of ``works`` has ended, the others are cancelled. What a work raises is for others to report."""
    tasks = [asyncio.ensure_future(work) for work in works]
    _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _named(loop: asyncio.AbstractEventLoop, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = loop.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a background task ended", task=task.get_name(), exc_info=error)


def _settle_memory() -> None:
    """What is there now stays; collecting cycles rarely keeps pauses away from the loop (events are not tracked at all).

    The youngest are looked at early, since when thousands come at once all of theirs stay: 50,000 objects took 30 ms, in which no
    comment moved.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 100, 50)
    sys.setswitchinterval(0.001)


def _raise_file_limit() -> None:
    """One descriptor per viewer: take what the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
