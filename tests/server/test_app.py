"""server/app.py: the tasks that look after the server, draining, and the whole of a server's life."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import signal
import socket
import sqlite3
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from server import app, parts
from server.accounts.identity import Tokens
from server.control import DataLock, find_server
from server.errors import ConfigError
from server.settings import Settings, load
from server.store.base import NoticeDraft
from server.store.faults import Fault, FaultyStore
from server.store.memory import MemoryStore
from server.store.sql import SqlStore
from server.ws import Connection
from static_mirror import MirrorError
from tests.support.running import RunningServer, running, settings_for
from tests.support.server import ServerProcess
from tests.support.waiting import quickest_s
from tests.support.wsclient import RawClient, close_frame, request, text

FREE: dict[str, Any] = {"joins_per_s": 10_000, "joins_burst": 10_000, "frames_burst": 10_000}


# -- listening --------------------------------------------------------------------------------------------------------


def test_a_free_port_is_taken() -> None:
    """Port 0 takes any; an IPv6 address is listened on as well."""
    with app.listen("127.0.0.1", 0) as four, app.listen("::1", 0) as six:
        assert four.getsockname()[1]
        assert six.family is socket.AF_INET6


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 1), ("127.0.0.1", 70_000), ("no.such.host.invalid", 0), ("203.0.113.1", 0)]
)
def test_an_address_that_cannot_be_had_is_explained(host: str, port: int) -> None:
    """The error names the address and what to do."""
    with contextlib.ExitStack() as stack:
        if port == 1:
            port = stack.enter_context(app.listen(host, 0)).getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on {host} port {port}: .*--port"):
            app.listen(host, port)


# -- looking after ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def task_of(server: RunningServer, make: Callable[[], Any]) -> Iterator[asyncio.Task[None]]:
    """A background task of the server, running in this block."""
    task = server.call(lambda: app._named(asyncio.get_running_loop(), "under test", make()))
    try:
        yield task
    finally:
        server.call(task.cancel)


def test_once_a_second_the_server_looks_after_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time goes on, viewers are told their number, and idle rings are emptied."""
    monkeypatch.setattr(parts, "_SWEEP_S", 0)
    with running(tmp_path, rooms=("demo", "idle"), viewer_count_interval_s=1, ring_idle_s=1, **FREE) as server:
        server.append(3, room="idle")
        server.parts.conversation.clock = time.monotonic
        before = server.parts.conversation.now_s
        with server.connect() as client, task_of(server, server.parts.look_after):
            assert client.read_until("state")["state"]["viewers"] == 1
            with server.connect(room="idle"):
                pass
            server.eventually(lambda: server.room("idle").first > server.room("idle").head)
        assert server.parts.conversation.now_s > before


def test_a_fault_while_looking_after_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is logged, and the next second is looked after again."""
    with running(tmp_path) as server:
        calls: list[float] = []

        def broken() -> None:
            calls.append(time.monotonic())
            raise RuntimeError("a fault")

        monkeypatch.setattr(server.parts.conversation, "second", broken)
        with task_of(server, server.parts.look_after):
            server.eventually(lambda: len(calls) == 2)
        assert {error["event"] for error in server.take_errors()} == {"looking after connections failed"}


def test_damaged_pages_are_made_whole_by_the_patrol(tmp_path: Path) -> None:
    """A page that was removed or cut is made again from the log, and the operator is told."""
    with running(tmp_path, page_check_s=1) as server:
        server.append(3)
        page = tmp_path / "pages" / "rooms" / "demo" / "comments" / "0.html"
        whole = page.read_bytes()
        with task_of(server, server.parts.patrol_pages):
            for damage in (page.unlink, lambda: page.write_bytes(whole[:-10])):
                damage()
                server.eventually(lambda: page.exists() and page.read_bytes() == whole)
            server.eventually(lambda: server.parts.stats.pages_rebuilt >= 2)
        assert "static pages were damaged and are made again from the log" in {
            line["event"] for line in server.logged("warning")
        }


def test_a_task_that_ends_by_a_fault_is_reported(tmp_path: Path) -> None:
    """No background task ends in silence."""

    async def broken() -> None:
        raise RuntimeError("a fault")

    with running(tmp_path) as server, task_of(server, broken) as task:
        server.eventually(task.done)
        (error,) = server.take_errors()
        assert (error["event"], error["task"]) == ("a background task ended", "under test")


def test_a_change_of_mode_is_told_and_logged(tmp_path: Path) -> None:
    """Viewers hear of it at once, not with the next count."""
    with running(tmp_path) as server, server.connect() as client:
        draft = NoticeDraft(room="demo", author="op", key="1", at_ms=1, notice="mode", room_mode="closed")
        server.run(server.parts.site.submit(draft))
        assert client.read_until("state")["state"]["mode"] == "closed"
        assert "room mode changed" in {line["event"] for line in server.logged("info")}


# -- draining ---------------------------------------------------------------------------------------------------------


def test_a_drain_tells_everybody_to_come_back(tmp_path: Path) -> None:
    """Each viewer gets 1012, spread over drain_s; meanwhile newcomers, comments and readiness are refused."""
    with running(tmp_path, drain_s=1.0, **FREE) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect(account=f"a{number}")) for number in range(20)]
        closed: list[float] = []
        threads = [threading.Thread(target=answer_close, args=(client, closed)) for client in clients]
        for thread in threads:
            thread.start()
        threading.Thread(target=lambda: server.run(server.parts.drain())).start()
        server.eventually(lambda: server.parts.conversation.admission.draining)
        assert httpx.get(server.url + "/readyz").status_code == 503
        with RawClient(server.port) as late:
            late.send(request())
            answer = late.answer()
            assert (answer.status, answer.header("retry-after")) == (503, "5")
        assert server.parts.stats.connections_refused == {"shutting_down": 1}
        for client in clients:
            with contextlib.suppress(ConnectionError):  # some are closed already
                client.send(text({"op": "say", "room": "demo", "key": "late", "text": "late"}))
        for thread in threads:
            thread.join(60)
        assert len(closed) == 20
        assert max(closed) - min(closed) > 0.4
        assert server.room().head == 0
        assert server.parts.stats.closes == {"restarting": 20}


def answer_close(client: RawClient, closed: list[float]) -> None:
    """Read up to the close, which must be 1012, and answer it as a good client does."""
    while (got := client.read_frame()).opcode != 8:
        if got.opcode == 1:
            message = json.loads(got.payload)
            assert message["op"] != "refused" or message["code"] == "shutting_down"
    assert got.payload == b"\x03\xf4restarting"
    closed.append(time.monotonic())
    client.send(close_frame(1012))
    client.expect_end()
    client.end()


def test_what_was_taken_before_a_drain_is_committed_static_and_answered(tmp_path: Path) -> None:
    """A drain waits for the commit under way: its author gets the ack, and the page has the row, before the close."""
    released = threading.Event()
    store = FaultyStore(MemoryStore(), sleep=lambda seconds: released.wait(60))
    with running(tmp_path, store=store, drain_s=0, **FREE) as server, server.connect(account="last") as author:
        server.eventually(lambda: store.calls["append"] and not server.parts.publisher.queued)
        store.plan("append", Fault.SLOW)
        author.send_text({"op": "say", "room": "demo", "key": "k", "text": "最后一句"})
        server.eventually(lambda: store.injected[Fault.SLOW])
        drain = threading.Thread(target=lambda: server.run(server.parts.drain()))
        drain.start()
        server.eventually(lambda: server.parts.conversation.admission.draining)
        assert author.silent()
        released.set()
        assert author.read_until("ack")["seq"] == 1
        assert author.read_until("events")["events"][0]["text"] == "最后一句"
        assert author.read_close() == (1012, "restarting")
        drain.join(60)
        assert "最后一句" in (tmp_path / "pages" / "rooms" / "demo" / "comments" / "0.html").read_text()


def test_a_drain_cuts_those_who_do_not_answer_and_records_their_end(tmp_path: Path) -> None:
    """One second after the last close who is still there is cut; of each sign-in the end is recorded all the same."""
    inner = MemoryStore()
    store = FaultyStore(inner)
    with running(tmp_path, store=store, drain_s=0, **FREE) as server, server.connect(account="deaf"):
        server.eventually(lambda: inner._connections)
        store.stand("append", Fault.SLOW)
        server.run(server.parts.drain())
        assert not server.parts.conversation.connections
        (record,) = inner._connections.values()
        assert record.closed_ms >= record.opened_ms > 0


def flush_all_s(server: RunningServer) -> float:
    """How long it takes to wait for the pages of all rooms, or to give up."""
    started = time.monotonic()
    server.run(server.parts._flush_all())
    return time.monotonic() - started


def test_a_drain_does_not_wait_for_ever_for_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that cannot be written are left to the repair at the next start; rooms are waited for together, the operator is told."""
    monkeypatch.setattr(parts, "_SETTLE_S", 0.5)
    names = ("demo", "one", "two", "three")
    with running(tmp_path, rooms=names, drain_s=0) as server:

        def broken(*_: object) -> None:
            raise MirrorError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(server.parts.mirror, "append", broken)
            patch.setattr(server.parts.pages, "repair", broken)
            with server.connect(account="last") as author:
                for name in names:
                    author.ask({"op": "say", "room": name, "key": name, "text": "x"}, "ack")
                took_s = quickest_s(lambda _: flush_all_s(server), 4 * 0.5)
                server.run(server.parts.drain())
        events = [error["event"] for error in server.take_errors()]
        assert took_s < 4 * 0.5
        assert events.count("pages are behind the log; they are repaired at the next start") >= len(names)
        assert "work on pages was not finished; they are repaired at the next start" in events
        server.eventually(lambda: not server.room().pending)


# -- a server's life --------------------------------------------------------------------------------------------------


@pytest.fixture
def own_process() -> Iterator[None]:
    """What a server changes for the whole process is put back: logging, signals, the collector, the limit of files."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    handled = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)
    assert {number: signal.getsignal(number) for number in handled} == handled, "uvicorn puts its handlers back"


def serve_and(settings: Settings, work: Callable[[str], None]) -> None:
    """Run a server in this thread, ``work`` with its address beside it, and stop the server by SIGTERM when that is done."""
    faults: list[BaseException] = []

    def beside(url: str) -> None:
        try:
            work(url)
        except BaseException as error:
            faults.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    threads: list[threading.Thread] = []

    def ready(url: str) -> None:
        threads.append(threading.Thread(target=beside, args=(url,)))
        threads[0].start()

    app.serve(settings, ready)
    threads[0].join(60)
    if faults:
        raise faults[0]


@pytest.mark.usefixtures("own_process")
def test_a_server_lives_and_ends(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It holds its folder, says where it listens, serves, raises the limit of files, and at SIGTERM ends by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1000), hard))
    settings = settings_for(tmp_path, demo=True, drain_s=0)
    token = Tokens.open(settings).issue("alice", "小明", 600)

    def work(url: str) -> None:
        found = find_server(tmp_path)
        assert found is not None
        assert found.url == url
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        with urllib.request.urlopen(url + "/healthz") as answer:
            assert answer.status == 200
        with RawClient(int(url.rpartition(":")[2])) as client:
            client.handshake(f"/ws?room=demo&token={token}")
            assert client.ask({"op": "say", "room": "demo", "key": "k", "text": "你好"}, "ack")["seq"] == 1

    serve_and(settings, work)
    assert find_server(tmp_path) is None
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines if line["logger"] == "app"] == ["rooms loaded", "serving", "draining", "stopped"]
    assert {line["level"] for line in lines} == {"info"}
    with contextlib.closing(SqlStore.open(tmp_path / "barrage.db")) as store:
        assert [event.text for event in store.read("demo", 0, 10)] == ["你好"]


@pytest.mark.usefixtures("own_process")
def test_a_second_signal_ends_a_drain_at_once(tmp_path: Path) -> None:
    """Who cannot wait for the drain sends the signal again."""
    settings = settings_for(tmp_path, demo=True, drain_s=300)
    clients: list[RawClient] = []

    def work(url: str) -> None:
        clients.append(RawClient(int(url.rpartition(":")[2])))
        clients[0].handshake()
        threading.Thread(target=second_signal, args=(url,)).start()

    def second_signal(url: str) -> None:
        while httpx.get(url + "/readyz", timeout=60).status_code != 503:  # the first one has begun the drain then
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    started = time.monotonic()
    serve_and(settings, work)
    assert time.monotonic() - started < settings.drain_s / 2
    clients[0].close()


@pytest.mark.usefixtures("own_process")
def test_a_port_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    """The error comes before anything else is touched, and the folder is free again."""
    with app.listen("127.0.0.1", 0) as sock:
        settings = settings_for(tmp_path, host="127.0.0.1")
        settings = load(
            {}, None, {"data_dir": str(tmp_path), "port": sock.getsockname()[1], "rules_file": str(settings.rules_file)}
        )
        with pytest.raises(ConfigError, match="cannot listen"):
            app.serve(settings)
    DataLock(tmp_path, wait_s=0).release()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_with_success_and_its_viewers_are_told(tmp_path: Path, number: signal.Signals) -> None:
    """At SIGTERM or Ctrl-C viewers get 1012, what was acknowledged is in the log, each sign-in has its end, the exit code is 0."""
    with ServerProcess(tmp_path / "data", settings={"drain_s": 0.5}) as server:
        with RawClient(server.port) as client, RawClient(server.port) as silent:
            silent.handshake()
            client.handshake(f"/ws?room=demo&token={server.token()}")
            assert client.ask({"op": "say", "room": "demo", "key": "k", "text": "再见"}, "ack")["seq"] == 1
            server.signal(number)
            assert client.read_close() == (1012, "restarting")
            client.send(close_frame(1012))
            client.expect_end()
            assert silent.read_close() == (1012, "restarting")
            assert server.wait() == 0
            assert silent.ended()
        assert '"level":"error"' not in server.logs()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "barrage.db")) as database:
        assert database.execute("SELECT count(*) FROM connections WHERE closed_ms = 0").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM connections").fetchone() == (1,)


def test_connections_are_made_by_uvicorn_for_one_conversation(tmp_path: Path) -> None:
    """The class for uvicorn's hook makes connections bound to our conversation, without a dictionary each."""
    with running(tmp_path) as server:
        made = server.call(lambda: app.connection_class(server.parts.conversation)(None, None, None))  # type: ignore[call-arg]
        assert isinstance(made, Connection)
        assert made.conversation is server.parts.conversation
        assert not hasattr(made, "__dict__")
