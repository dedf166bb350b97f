"""The server: its socket, its signals, and the loop in which all parts run."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from types import FrameType
from typing import Any

import structlog
import uvicorn
import uvloop

from server import __version__
from server.control import DataLock, local_url
from server.conversation import Conversation
from server.errors import ConfigError
from server.http.edge import http_class
from server.http.routes import web_app
from server.logs import configure
from server.parts import Parts, build
from server.preflight import cautions
from server.settings import Settings
from server.supervisor import READY, STOPPING, Supervisor
from server.ws import Connection

_BACKLOG = 4096
_OWN_FILES = 256
"""Descriptors for databases, logs, files of the site and services of others."""

log = structlog.get_logger("app")


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
    with DataLock(settings.data_dir) as lock:
        sock = listen(settings.host, settings.port)
        _raise_file_limit(settings)
        for caution in cautions(settings):
            log.warning(caution)
        try:
            uvloop.run(_serve(settings, sock, lock, ready))
        finally:
            sock.close()


async def _serve(settings: Settings, sock: socket.socket, lock: DataLock, ready: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    supervisor = Supervisor()
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
            _named(loop, "say alive", supervisor.run()),
        ]
        serving = loop.create_task(server.serve(sockets=[sock]))
        while not server.started and not serving.done():  # noqa: ASYNC110 # uvicorn has no event for it
            await asyncio.sleep(0.005)
        url = local_url(settings.host, sock.getsockname()[1])
        lock.announce(url, parts.site.now_ms())
        _settle_memory()
        # No address, so that in a log each address is somebody's who was not to be there.
        log.info("serving", version=__version__, listens=sock.getsockname()[1], data_dir=str(parts.settings.data_dir))
        ready(url)
        supervisor.tell(READY)
        await _first(stopping.wait(), asyncio.shield(serving))
        supervisor.tell(STOPPING)
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


def _raise_file_limit(settings: Settings) -> None:
    """One descriptor per viewer: take what the system allows, and say so when that is less than the settings may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:  # "unlimited" is a negative number
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = settings.connections_max + settings.http_connections_max + settings.pages_open_max + _OWN_FILES
    if not settings.demo and hard != resource.RLIM_INFINITY and hard < needed:
        log.warning(
            "fewer open files are allowed than the settings may need: raise the limit (LimitNOFILE), or lower connections_max",
            allowed=hard, needed=needed,
        )  # fmt: skip
