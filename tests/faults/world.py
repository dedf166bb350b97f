"""A real server under load whose storage is harmed, and everybody who watches what it says meanwhile.

A :class:`World` has a crowd that posts without end and sends again what is refused for a time; a viewer, a reader of the event
stream and a reader of the history, who compare each message with the disk at the moment they get it; a monitor of ``/readyz``
and ``/healthz``; and one person who posts single comments and looks at the answer. :meth:`World.whole` holds all of it together.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from loadtest.feed import Feed
from loadtest.ledger import Ledger, Submission
from loadtest.local import UNBOUND
from loadtest.messages import Ack, Answer, Held, Refused, decode
from loadtest.participants import Participant, enter_all, leave_all, until
from loadtest.site import Mint, Site
from loadtest.texts import made_up
from loadtest.truth import Violation
from server.accounts.identity import Tokens
from server.remote import RemoteOperations
from server.settings import load
from server.wire import page_number
from static_mirror.layout import comments_folder
from static_mirror.verify import verify
from tests.support.checker import judge, told
from tests.support.server import ServerProcess

ROOM: Final = "demo"
SENDERS: Final = 3
VIEWERS: Final = 2
RATE_PER_S: Final = 40.0
FILL_AT_ONCE: Final = 300
SETTINGS: Final = {**UNBOUND, "drain_s": "0", "log_level": "info", "page_check_s": "1"}
PATIENCE_S: Final = 30.0
"""How long anything may take on a machine with other work to do; far more than it takes."""
QUIET_S: Final = 0.6
"""In which two dozen comments come, and a dozen ticks pass."""


class Watch:
    """Events as people outside received them, each compared with the static pages at that moment.

    ``reached`` is how far each of them has come, ``ahead`` are the numbers that were live and not static. While :meth:`blind` is
    entered, the disk is being changed under the server, so that it cannot be told what stood there when a message left.
    """

    def __init__(self, data: Path) -> None:
        self._folder = comments_folder(data / "pages", ROOM)
        self._blind = 0
        self.reached = {"frames": 0, "stream": 0, "history": 0}
        self.ahead: list[int] = []

    @contextmanager
    def blind(self) -> Iterator[None]:
        """Do not look at the disk."""
        self._blind += 1
        try:
            yield
        finally:
            self._blind -= 1

    async def frames(self, url: str) -> None:
        """Be a viewer."""
        async with connect(url, max_size=None) as socket:
            async for message in socket:
                self._take("frames", json.loads(message))

    async def stream(self, url: str) -> None:
        """Read the event stream from the beginning."""
        async with (
            httpx.AsyncClient(timeout=None) as client,  # a stream is quiet for as long as its room is
            client.stream("GET", url, headers={"Last-Event-ID": "0"}) as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    self._take("stream", json.loads(line[6:]))

    async def history(self, url: str) -> None:
        """Ask for what is new, again and again. Refusals are for others to judge."""
        after = 0
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            while True:
                answer = await client.get(url, params={"after": after, "limit": 1000})
                if answer.status_code == 200:
                    self._take("history", answer.json())
                    after = self.reached["history"]
                await asyncio.sleep(0.1)

    def _take(self, source: str, message: dict[str, Any]) -> None:
        pages: dict[int, set[int]] = {}
        told = {"joined": "head", "gap": "to"}.get(message.get("op", ""), "")
        self.reached[source] = max(self.reached[source], message.get(told, 0))
        for event in message.get("events", ()):
            seq: int = event["seq"]
            self.reached[source] = max(self.reached[source], seq)
            number = page_number(seq)
            if number not in pages:
                pages[number] = rows_of(self._folder / f"{number}.html")
            if seq not in pages[number] and not self._blind:
                self.ahead.append(seq)


class Monitor:
    """What a balancer and a supervisor see: ``/readyz`` and ``/healthz``, several times a second, but while ``paused``.

    ``unready`` has each different complaint since the last clearing, ``faults`` what must not be.
    """

    def __init__(self) -> None:
        self.paused = False
        self.ready: bool | None = None
        self.checks: dict[str, str] = {}
        self.unready: list[dict[str, str]] = []
        self.faults: list[str] = []

    async def run(self, url: str) -> None:
        """Ask without end."""
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            while True:
                try:
                    health, readiness = await client.get("/healthz"), await client.get("/readyz")
                except httpx.HTTPError as error:
                    if not self.paused:
                        self.faults.append(repr(error))
                else:
                    self._note(health, readiness)
                await asyncio.sleep(0.05)

    def _note(self, health: httpx.Response, readiness: httpx.Response) -> None:
        if health.status_code != 200:
            self.faults.append(f"/healthz: {health.status_code}")
        body = readiness.json()
        self.ready, self.checks = body["ready"], body["checks"]
        if readiness.status_code != (200 if self.ready else 503):
            self.faults.append(f"/readyz: {readiness.status_code}")
        if not self.ready and (not self.unready or self.unready[-1] != self.checks):
            self.unready.append(self.checks)


class World:
    """See the module's text. Made by :func:`world`."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.server = server
        self.dice = random.Random(seed)
        self.ledger = Ledger()
        self.feed = Feed(ROOM)
        self.watch = Watch(server.data)
        self.monitor = Monitor()
        self.people: list[Participant] = []
        self.took_s = 0.0
        self._log_from = 0
        self._flow: asyncio.Task[None] | None = None
        self._keys = count(1)
        self._texts = made_up()

    @property
    def pages(self) -> Path:
        """The folder of the room's pages."""
        return comments_folder(self.server.data / "pages", ROOM)

    # -- the crowd ----------------------------------------------------------------------------------------------------

    async def gather(self) -> None:
        """The crowd enters the room."""
        site, mint = Site.of(self.server.url, ROOM), Mint.of(self.server.data)
        await mint.ask(site.origin)
        for index in range(SENDERS + VIEWERS):
            name = f"user-{index}"
            token = mint.token(name, name) if index < SENDERS else None
            dice = random.Random(self.dice.random())
            person = Participant(site, self.feed, name, index, token=token, ledger=self.ledger, stay=True, dice=dice)
            self.people.append(person)
        await enter_all(self.people, per_s=200)

    def flow(self, rate_per_s: float = RATE_PER_S) -> None:
        """From now on comments flow."""
        self._flow = asyncio.get_running_loop().create_task(self._post(rate_per_s))

    async def _post(self, rate_per_s: float) -> None:
        while True:
            await asyncio.sleep(self.dice.uniform(0.5, 1.5) / rate_per_s)
            self.post()

    def post(self, number: int = 1) -> None:
        """The crowd posts comments and does not wait for their answers."""
        for _ in range(number):
            person = self.people[self.dice.randrange(SENDERS)]
            person.say(f"key-{next(self._keys)}", next(self._texts), time.perf_counter())

    async def fill(self, events: int) -> None:
        """Post until the room has so many comments, and all is settled. Not faster than all can read."""
        while (missing := events - self.ledger.count("acked")) > 0:
            self.post(min(missing, FILL_AT_ONCE))
            await self.wait(self._settled)

    async def hush(self) -> None:
        """Nobody posts any more."""
        if self._flow is not None:
            self._flow.cancel()
            await asyncio.gather(self._flow, return_exceptions=True)
            self._flow = None

    async def still(self) -> None:
        """Nobody posts any more; return when every comment has its final answer and has reached every viewer."""
        await self.hush()
        for submission in [each for each in self.ledger if each.author == "asker" and each.outcome == "open"]:
            await self._ask(submission)
        await self.wait(self._settled)

    def _settled(self) -> bool:
        newest = max((submission.seq for submission in self.ledger), default=0)
        reached = {person.stream.last for person in self.people}
        return (
            all(person.present for person in self.people)
            and not self.ledger.count("open")
            and len(reached) == 1
            and min(*reached, *self.watch.reached.values()) >= newest
        )

    @property
    def live(self) -> int:
        """The newest number that anybody has received."""
        return max(*self.watch.reached.values(), *(person.stream.last for person in self.people))

    # -- one person ---------------------------------------------------------------------------------------------------

    async def say(self, text: str) -> Answer:
        """Somebody posts one comment; the answer, which took ``took_s``. Raises TimeoutError."""
        return await self._ask(self.ledger.add("asker", f"asker-{next(self._keys)}", text))

    async def _ask(self, submission: Submission) -> Answer:
        async with self.seat() as socket:
            return await self._ask_from(socket, submission)

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[ClientConnection]:
        """Somebody in the room, signed in: with nothing left to record before the first comment."""
        mint = Mint.of(self.server.data)
        await mint.ask(self.server.url)
        async with connect(self.server.ws_url(ROOM, mint.token("asker", "asker")), max_size=None) as socket:
            await _answer(socket, "joined")
            yield socket

    async def say_from(self, socket: ClientConnection, text: str) -> Answer:
        """As :meth:`say`, by somebody who is there already."""
        return await self._ask_from(socket, self.ledger.add("asker", f"asker-{next(self._keys)}", text))

    async def _ask_from(self, socket: ClientConnection, submission: Submission) -> Answer:
        started = time.perf_counter()
        self.ledger.sent(submission, started)
        said = {"op": "say", "room": ROOM, "key": submission.key, "text": submission.text}
        await socket.send(json.dumps(said))
        answer = decode(await asyncio.wait_for(_answer(socket, "ack", "held", "refused"), PATIENCE_S))
        self.took_s = time.perf_counter() - started
        assert isinstance(answer, Ack | Held | Refused)
        self.ledger.answer(answer, time.perf_counter())
        return answer

    async def refused(self, within_s: float, code: str = "storage_unavailable") -> None:
        """Somebody posts and is refused for a time, and hears it in time."""
        answer = await self.say("谁在？")
        assert isinstance(answer, Refused), (answer, self.state())
        assert (answer.code, answer.temporary) == (code, True), answer
        assert self.took_s < within_s, self.took_s

    async def nothing_goes_live(self) -> None:
        """For a while nobody receives anything, though comments flow; what was on its way before may still arrive."""
        for _ in range(5):
            live = self.live
            await asyncio.sleep(QUIET_S)
            if self.live == live:
                return
        raise AssertionError(self.state())

    async def accepted(self) -> int:
        """Somebody posts and is acknowledged; the number."""
        answer = await self.say("我在。")
        assert isinstance(answer, Ack), (answer, self.state())
        return answer.seq

    # -- the operator -------------------------------------------------------------------------------------------------

    def operator(self) -> RemoteOperations:
        """The operator interface, as the command line uses it."""
        tokens = Tokens.open(load({}, None, {"data_dir": str(self.server.data)}))
        return RemoteOperations(self.server.url, tokens, "op")

    async def stop(self) -> None:
        """The server ends in good order."""
        self.monitor.paused = True
        assert await asyncio.to_thread(self.server.terminate) == 0, self.state()

    async def kill(self) -> None:
        """The server ends at once (SIGKILL)."""
        self.monitor.paused = True
        await asyncio.to_thread(self.server.kill)

    async def start(self) -> None:
        """The server starts again, and everybody comes back."""
        await asyncio.to_thread(self.server.start)
        await self.wait(lambda: all(person.present for person in self.people))
        for person in self.people:
            person.losses.clear()
        self.monitor.paused = False

    def mark(self) -> None:
        """What is logged and complained of from now on is looked at."""
        self._log_from = len(self.server.logs())
        self.monitor.unready.clear()

    def logged(self, *levels: str) -> list[str]:
        """Lines logged since :meth:`mark`, of these levels or all: event, and error where there is one."""
        lines = [json.loads(line) for line in self.server.logs()[self._log_from :].splitlines() if line.startswith("{")]
        return [f"{line['event']} {line.get('error', '')}".rstrip() for line in lines if not levels or line["level"] in levels]

    def said(self, pattern: str, *levels: str) -> bool:
        """Does some line logged since :meth:`mark` fit the pattern?"""
        return any(re.search(pattern, line) for line in self.logged(*levels))

    async def unready(self, check: str) -> str:
        """Wait until ``/readyz`` complains of ``check``; what it says."""
        await self.wait(lambda: self.monitor.ready is False and self.monitor.checks.get(check, "ok") != "ok")
        return self.monitor.checks[check]

    async def ready(self) -> None:
        """Wait until ``/readyz`` is content."""
        await self.wait(lambda: self.monitor.ready)

    async def wait(self, condition: Callable[[], object]) -> None:
        """Wait for a condition. Raises AssertionError with what is known when it does not come."""
        if not await until(lambda: bool(condition()), PATIENCE_S):
            raise AssertionError(self.state())

    def state(self) -> str:
        """How all stands, for people who read a failed test."""
        counts = {outcome: self.ledger.count(outcome) for outcome in ("open", "acked", "held", "refused")}
        return (
            f"{counts} {dict(self.ledger.refusals)} live {self.live} ahead {self.watch.ahead[:9]}"
            f" last {[person.stream.last for person in self.people]} present {[person.present for person in self.people]}"
            f" ready {self.monitor.ready} {self.monitor.checks}\n{self.server.logs()[-4000:]}"
        )

    # -- the end ------------------------------------------------------------------------------------------------------

    async def whole(self) -> None:
        """All is well: every comment is acknowledged, recorded once, was live and then stood on the disk, and stands on whole
        pages; nobody was cut off, and no fault of ours was logged."""
        await self.still()
        await self.ready()
        violations = await judge(self.server.url, ROOM, self.people, self.ledger, self.feed.contents)
        violations += [
            Violation("live_not_static", f"event {seq} was not on the disk when it came") for seq in self.watch.ahead
        ]
        violations += [Violation("page_differs", problem) for problem in verify(self.pages).problems]
        violations += [Violation("protocol_broken", fault) for fault in self.monitor.faults]
        violations += [Violation("stream_short", f"{person.name}: {person.losses}") for person in self.people if person.losses]
        assert not violations, told(violations) + "\n" + self.state()
        assert self.ledger.count("acked") == len(self.ledger), self.state()
        assert "Traceback" not in self.server.logs(), self.server.logs()[-8000:]


async def _answer(socket: Any, *ops: str) -> bytes:
    """The next message with one of these ``op``."""
    async for message in socket:
        if json.loads(message)["op"] in ops:
            data: bytes = message.encode()
            return data
    raise ConnectionResetError("the server ended the connection")


def rows_of(path: Path) -> set[int]:
    """Numbers of the rows in a page file; none when it cannot be read."""
    try:
        return {int(seq) for seq in re.findall(rb'<article id="c(\d+)"', path.read_bytes())}
    except OSError:
        return set()


async def _for_ever(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin again whenever the server ends a connection."""
    while True:
        with suppress(OSError, WebSocketException, httpx.HTTPError):
            await work()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def world(data: Path, seed: int = 1, **settings: object) -> AsyncIterator[World]:
    """A server over ``data`` that is ended at the end, with its crowd present and nobody posting yet."""
    server = ServerProcess(data, settings={**SETTINGS, **settings})
    await asyncio.to_thread(server.start)
    made = World(server, seed)
    tasks: Sequence[asyncio.Task[None]] = ()
    try:
        await made.gather()
        api = f"{server.url}/api/rooms/{ROOM}"
        works: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (
            lambda: made.monitor.run(server.url),
            lambda: made.watch.frames(server.ws_url(ROOM)),
            lambda: made.watch.stream(f"{api}/stream"),
            lambda: made.watch.history(f"{api}/events"),
        )
        tasks = [asyncio.create_task(_for_ever(work)) for work in works]
        await made.ready()
        yield made
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        await made.hush()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await leave_all(made.people)
        await asyncio.to_thread(server.kill)
