"""A whole server in this process, for tests that look inside: every part but the command line, on a loop in a thread of its own.

The timer wheel's time moves by :meth:`RunningServer.advance` only. Whatever is logged at level error, and whatever an event loop
catches, fails the test at the end unless the test took it with :meth:`RunningServer.take_errors`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
import structlog
import uvicorn
import uvloop

from server.accounts.identity import Tokens
from server.accounts.people import People
from server.app import listen, uvicorn_config
from server.core.room import Room
from server.flush import Viewer
from server.moderation.moderation import Moderation
from server.parts import Parts, screening_config
from server.posting import unix_ms
from server.regions import Regions
from server.screening import Screening
from server.settings import Settings, load
from server.store.base import CommentDraft, Committed, Store
from server.store.memory import MemoryStore
from server.store.sql import SqlStore
from server.wire import Event
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.wsclient import RawClient

T = TypeVar("T")

RULES = """
format = 1
name = "tests"
version = "1"

[[rule]]
code = "test.reject"
title = "Refused words"
category = "test"
tier = "reject"
basis = "house rule 1"
views = ["surface"]
terms = ["坏词"]

[[rule]]
code = "test.mask"
title = "Covered words"
category = "test"
tier = "mask"
basis = "house rule 2"
views = ["surface"]
terms = ["遮词"]

[[rule]]
code = "test.hold"
title = "Words that wait"
category = "test"
tier = "hold"
basis = "house rule 3"
views = ["surface"]
terms = ["待审"]
"""
"""The screening of tests: one word for each tier. With it a test does not depend on the pack that we ship."""

_WAIT_S = 1.5 * PATIENCE_S


class FakeClock:
    """Seconds that pass only when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class RunningServer:
    """See the module's text. ``parts`` belong to the server's loop: touch them by :meth:`call` and :meth:`run` only."""

    def __init__(self, settings: Settings, store: Store, rooms: Sequence[str], send_buffer: int) -> None:
        self.settings = settings
        self.port = 0
        self.parts: Parts
        self.clock: FakeClock
        self._store = store
        self._rooms = rooms
        self._send_buffer = send_buffer
        self._logs: list[dict[str, Any]] = []
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._ready = threading.Event()
        self._keys = itertools.count(1)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="server", daemon=True)  # a test that failed must not hang

    # -- asking it ----------------------------------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_S)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the server's loop and return its result."""

        async def once() -> T:
            return function()

        return self.run(once())

    def advance(self, seconds: int) -> None:
        """Let seconds pass for the timer wheel, one after the other."""

        def pass_seconds() -> None:
            for _ in range(seconds):
                self.clock.now += 1
                self.parts.conversation.second()

        self.call(pass_seconds)

    def eventually(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds on the server's loop. Raises AssertionError when it never does."""
        self.run(eventually(condition))

    def token(
        self,
        subject: str = "alice",
        nickname: str = "小明",
        *,
        ttl_s: int = 3600,
        verified: bool = True,
        now_ms: int | None = None,
    ) -> str:
        """A token that this server accepts."""
        return self.parts.tokens.issue(subject, nickname, ttl_s, verified=verified, now_ms=now_ms)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    def ws_url(self, room: str = "demo", token: str = "") -> str:
        """Address that joins ``room`` at once, signed in where a token is given."""
        return f"ws://127.0.0.1:{self.port}/ws?room={room}" + (f"&token={token}" if token else "")

    def connect(
        self,
        room: str = "demo",
        account: str = "",
        *,
        extensions: str = "",
        timeout_s: float = PATIENCE_S,
        receive_buffer: int = 0,
    ) -> RawClient:
        """A raw client that has said its greetings (``hello``, and ``joined`` where a room is named); ``account`` signs in."""
        client = RawClient(self.port, timeout_s=timeout_s, receive_buffer=receive_buffer)
        token = f"&token={self.token(account)}" if account else ""
        with ExitStack() as failed:
            failed.callback(client.close)
            client.handshake(f"/ws?room={room}{token}" if room else f"/ws?{token}", extensions=extensions)
            assert client.read()["op"] == "hello"
            if room:
                assert client.read_until("joined")["room"] == room
            failed.pop_all()
        return client

    @contextmanager
    def changed(self, **settings: Any) -> Iterator[None]:
        """For a while the WebSocket side goes by other settings. Bounds that were built at the start stay."""
        parts = (self.parts.conversation, self.parts.conversation.sign_ins, self.parts.posting)
        before = parts[0].settings
        after = msgspec.structs.replace(before, **settings)
        for part in parts:
            part.settings = after
        try:
            yield
        finally:
            for part in parts:
                part.settings = before

    # -- its rooms ----------------------------------------------------------------------------------------------------

    def room(self, name: str = "demo") -> Room[Viewer]:
        """The room as held in memory; look at it by :meth:`call` where it may move."""
        return self.parts.hub.rooms[name]

    def append(self, count: int, text: str = "弹幕", room: str = "demo") -> int:
        """Put comments into a room's log, past screening and rates; returns the newest number when all are live."""

        async def submit() -> int:
            now_ms = self.parts.site.now_ms()
            drafts = [
                CommentDraft(
                    room=room, author="script", key=f"{next(self._keys)}", at_ms=now_ms, pos_ms=0, text=text, mode="scroll",
                    color="#ffffff", size=25, author_id="script", author_name="Script",
                )
                for _ in range(count)
            ]  # fmt: skip
            outcomes = await asyncio.gather(*map(self.parts.site.submit, drafts))
            assert all(isinstance(outcome, Committed) for outcome in outcomes)
            await self.parts.flusher.visible(self.room(room), self.room(room).head)
            return self.room(room).head

        return self.run(submit())

    def event(self, seq: int, room: str = "demo") -> Event:
        """The event of this number, when it is live."""

        async def wait() -> Event:
            found = self.room(room)
            await self.parts.flusher.visible(found, seq)
            entries = found.slice(seq - 1, 1)
            assert entries
            return entries[0].event

        return self.run(wait())

    # -- what it logged -----------------------------------------------------------------------------------------------

    def logged(self, level: str) -> list[dict[str, Any]]:
        """What was logged at this level."""
        return [entry for entry in self._logs if entry["log_level"] == level]

    def hears(self, thread: threading.Thread) -> bool:
        """Is a line that this thread logs ours? Lines of helper threads are everybody's."""
        return thread is self._thread or not any(thread is other._thread for other in _active)

    def log(self, entry: dict[str, Any]) -> None:
        """Keep a line of the log."""
        self._logs.append(entry)

    def take_errors(self) -> list[dict[str, Any]]:
        """What was logged at level error, and is expected by the caller."""
        errors = self.logged("error") + self.logged("critical")
        self._logs[:] = [entry for entry in self._logs if entry not in errors]
        return errors

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Return when it listens."""
        self._thread.start()
        assert self._ready.wait(_WAIT_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End it without a drain."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_WAIT_S)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        try:
            try:
                runner.run(self._serve())
            finally:
                # A transport that is open still is warned of. As an error that would keep the loop from closing it and ending.
                with warnings.catch_warnings(record=True) as left:
                    warnings.simplefilter("always")
                    runner.close()
            assert not left, [str(each.message) for each in left]
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_fault)
        self._stop = asyncio.Event()
        settings = self.settings
        screening = Screening(settings.data_dir / "rules", settings.rules_file, screening_config(settings))
        people = People.open(settings, unix_ms)
        self.parts = parts = Parts(
            settings, Tokens.open(settings), self._store, screening, people, Regions.open(settings),
            Moderation.open_book(settings, unix_ms),
        )  # fmt: skip
        self.clock = FakeClock(parts.conversation.now_s)
        parts.conversation.clock = self.clock
        sock = listen("127.0.0.1", 0)
        if self._send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)  # accepted sockets inherit it
        try:
            await parts.load()
            parts.moderation.start()
            for room in self._rooms:
                if room not in parts.infos:
                    await parts.site.create_room(room, room, "vod" if room.startswith("vod") else "live")
            server = uvicorn.Server(uvicorn_config(parts))
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            while not server.started:  # noqa: ASYNC110 # uvicorn has no event for it
                await asyncio.sleep(0.001)
            self.port = sock.getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            for conn in list(parts.conversation.connections):
                conn.abort()
            server.should_exit = True
            await serving
            await parts.moderation.drain()
            await parts.publisher.drain()
            await parts.flusher.settle()
            await parts.consequences.drain()
            await parts.people.drain()
        finally:
            sock.close()
            parts.close()

    def _on_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._logs.append({"log_level": "error", "logger": "asyncio", **context})


_active: list[RunningServer] = []
"""Several servers may run at once; what they log is told apart by their threads."""


def _hear(entry: dict[str, Any]) -> None:
    thread = threading.current_thread()
    for server in _active:
        if server.hears(thread):
            server.log(entry)


def _collect(logger: object, method: str, event: MutableMapping[str, Any]) -> NoReturn:
    """Processor: keep what our own parts log."""
    _hear({**event, "log_level": "error" if method == "exception" else method})
    raise structlog.DropEvent


class _Collector(logging.Handler):
    """Keeps what libraries log beside what we log."""

    def emit(self, record: logging.LogRecord) -> None:
        _hear({"log_level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()})


_collector = _Collector(logging.INFO)
_before: list[Any] = []
"""The processors to be put back when no server runs any more."""


@contextmanager
def _listening(server: RunningServer) -> Iterator[None]:
    """While the context lasts nothing is printed, and everything that is logged reaches the server that it comes from."""
    if not _active:
        _before[:] = structlog.get_config()["processors"]
        logging.getLogger().addHandler(_collector)
    _active.append(server)
    structlog.configure(processors=[_collect])
    try:
        yield
    finally:
        _active.remove(server)
        if not _active:
            logging.getLogger().removeHandler(_collector)
            structlog.configure(processors=[*_before])


@contextmanager
def running(
    data: Path,
    *,
    rooms: Sequence[str] = ("demo",),
    store: Store | None = None,
    sql: bool = False,
    send_buffer: int = 0,
    **settings: Any,
) -> Iterator[RunningServer]:
    """A running server over ``data``.

    ``rooms`` are made where they are missing (those whose name begins with ``vod`` for a video), the store is ``store``, or SQLite
    with ``sql``, or memory. ``send_buffer`` is what the kernel holds for a client that does not read (bytes; 0: much). Anything
    else is a setting; the screening goes by :data:`RULES`.
    """
    effective = settings_for(data, **settings)
    if store is None:
        store = SqlStore.open(data / "barrage.db") if sql else MemoryStore()
    server = RunningServer(effective, store, rooms, send_buffer)
    with _listening(server):
        server.start()
        try:
            yield server
        finally:
            server.stop()
    assert not server.take_errors()


def settings_for(data: Path, **values: Any) -> Settings:
    """Settings of a server over ``data`` on a free port, screened by the rules of tests."""
    data.mkdir(parents=True, exist_ok=True)
    rules = data / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    return load({}, None, {"data_dir": str(data), "rules_file": str(rules), "port": 0, **values})
