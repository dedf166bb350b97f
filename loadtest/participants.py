"""People: an identity, one stream of events, and comments that are not settled yet, over any number of connections.

A participant behaves as a good client of the protocol does: it comes back after a back-off with jitter, joins with ``since``,
sends what was not answered again under the same key, and repeats what was refused for a time. Everything is bounded.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Final

import msgspec

from loadtest.clients import Client
from loadtest.feed import Feed
from loadtest.frames import Handshake, HandshakeError, ProtocolError, frame
from loadtest.ledger import Ledger, Submission
from loadtest.messages import Answer, Fault, Joined, Refused
from loadtest.site import Site
from loadtest.truth import Stream
from server.wire import Join, Mode, Say, Since

CONNECT_TIMEOUT_S: Final = 30.0
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 2.0
TRIES_MAX: Final = 40
"""How often one comment is sent at most, and how often a connection is tried in a row."""
PATIENCE_S: Final = 60.0
"""For how long an author tries a comment again that is refused for a time."""

_encode: Final = msgspec.json.Encoder().encode


class Look(msgspec.Struct, frozen=True, gc=False):
    """How a comment flies; ``pos_ms`` None: now."""

    pos_ms: int | None = None
    mode: Mode = "scroll"
    color: str = "#ffffff"
    size: int = 25


PLAIN: Final = Look()


class Participant:
    """One person in one room. ``token`` None: a reader.

    ``stay``: come back after a lost connection. ``dice`` makes back-offs; ``receive_buffer_bytes`` bounds what the kernel takes
    in for a viewer that does not read (0: the system's choice). ``present``: the room is joined at the moment. ``losses`` says
    why connections ended, and why new ones could not be had. ``away_s`` is how long it stays away before it comes back;
    after ``patience_s`` a comment that is still refused for a time is given up;
    ``settled`` is told of each comment whose fate is known; ``room_kind`` is ``live`` or ``vod`` after the first join.
    ``absences`` holds, for each return after a loss, when it was back and how long that took beyond ``away_s``, in seconds.
    """

    __slots__ = (
        "_joined",
        "_looks",
        "_lost_s",
        "_rejoin",
        "_reopening",
        "_waiting",
        "absences",
        "away_s",
        "client",
        "dice",
        "feed",
        "group",
        "index",
        "leaving",
        "ledger",
        "losses",
        "name",
        "open_submissions",
        "patience_s",
        "present",
        "random_mask",
        "receive_buffer_bytes",
        "room_kind",
        "settled",
        "site",
        "stay",
        "stream",
        "token",
    )

    def __init__(
        self,
        site: Site,
        feed: Feed,
        name: str,
        index: int,
        *,
        token: str | None = None,
        ledger: Ledger | None = None,
        group: int = 0,
        stay: bool = False,
        dice: random.Random | None = None,
    ) -> None:
        self.site = site
        self.feed = feed
        self.name = name
        self.index = index
        self.token = token
        self.ledger = ledger if ledger is not None else Ledger()
        self.group = group
        self.stay = stay
        self.dice = dice or random.Random(index)  # noqa: S311 -- back-offs are no secret
        self.random_mask = False
        self.receive_buffer_bytes = 0
        self.away_s = 0.0
        self.patience_s = PATIENCE_S
        self.room_kind = ""
        self.settled: Callable[[Participant, Submission], None] | None = None
        self.stream = Stream(name)
        self.client: Client | None = None
        self.leaving = False
        self.present = False
        self.losses: list[str] = []
        self.absences: list[tuple[float, float]] = []
        self._lost_s = 0.0
        self.open_submissions: dict[str, Submission] = {}
        self._looks: dict[str, Look] = {}
        self._waiting: set[str] = set()  # keys that a timer will send again
        self._joined: asyncio.Future[None] | None = None
        self._rejoin = False
        self._reopening: asyncio.Task[None] | None = None

    # -- coming and going ---------------------------------------------------------------------------------------------

    async def enter(self) -> None:
        """Connect and join. Raises OSError (also for a time-out), HandshakeError or ProtocolError."""
        loop = asyncio.get_running_loop()
        self._rejoin = bool(self.stream.epoch)
        self._joined = loop.create_future()
        handshake = Handshake(
            f"{self.site.host}:{self.site.port}",
            self.site.target(self.token, join=not self._rejoin),
            origin=self.site.origin,
            deflate=self.site.deflate,
        )
        client = self.client = Client(self, self.feed, handshake, group=self.group, random_mask=self.random_mask)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                sock = await self._connect(loop)
                await loop.create_connection(lambda: client, sock=sock)
                await self._joined
        except BaseException:
            self.client = None
            client.abort()
            raise

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.site.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.receive_buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer_bytes)
            local = self.site.local_address(self.index)
            if local is not None:
                sock.bind(local)
            await loop.sock_connect(sock, (self.site.host, self.site.port))
        except BaseException:
            sock.close()
            raise
        return sock

    async def come_back(self) -> None:
        """Come back after a lost connection, with growing pauses; gives up after :data:`TRIES_MAX` tries."""
        pause_s = BACKOFF_FIRST_S
        await asyncio.sleep(self.away_s)
        for _ in range(TRIES_MAX):
            await asyncio.sleep(pause_s * self.dice.uniform(0.5, 1.5))
            if self.leaving:
                return
            try:
                await self.enter()
            except (OSError, HandshakeError, ProtocolError) as error:  # OSError includes TimeoutError and ConnectionError
                self.losses.append(f"{type(error).__name__}: {error}")
                pause_s = min(pause_s * 2, BACKOFF_MAX_S)
            else:
                return

    async def leave(self) -> None:
        """End the connection in order, and everything that was to bring it back."""
        self.leaving = True
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.gather(self._reopening, return_exceptions=True)
        if self.client is not None:
            self.client.close()

    def cut(self) -> None:
        """Cut the connection at once, as a lost network does."""
        if self.client is not None:
            self.client.abort()

    # -- posting ------------------------------------------------------------------------------------------------------

    def compose(self, key: str, text: str, intended_s: float) -> bytes:
        """Post a comment whose frame the caller writes, together with others; returns the frame."""
        submission = self.ledger.add(self.name, key, text, intended_s)
        self.open_submissions[key] = submission
        self.ledger.sent(submission, perf_counter())
        return frame(_encode(Say(self.site.room, key, text)))

    def say(self, key: str, text: str, intended_s: float, look: Look = PLAIN) -> Submission:
        """Post a comment now; without a connection it goes out after the next join. It stands in ``ledger``."""
        submission = self.ledger.add(self.name, key, text, intended_s)
        self.open_submissions[key] = submission
        if look is not PLAIN:
            self._looks[key] = look
        if self.present:
            self._send(submission)
        return submission

    def _send(self, submission: Submission) -> None:
        client = self.client
        if client is None:
            return
        look = self._looks.get(submission.key, PLAIN)
        self.ledger.sent(submission, perf_counter())
        client.send(
            _encode(
                Say(
                    self.site.room,
                    submission.key,
                    submission.text,
                    pos_ms=look.pos_ms,
                    mode=look.mode,
                    color=look.color,
                    size=look.size,
                )
            )
        )

    def _again(self, submission: Submission) -> None:
        self._waiting.discard(submission.key)
        if submission.key in self.open_submissions and self.present:
            self._send(submission)

    # -- what the connection tells ------------------------------------------------------------------------------------

    def on_open(self, client: Client) -> None:
        """A first join stands in the address; a later one says where to go on."""
        if self._rejoin:
            client.send(_encode(Join(self.site.room, Since(self.stream.epoch, self.stream.last))))

    def on_joined(self, client: Client, message: Joined) -> None:
        """Send again what was never answered."""
        self.present = True
        if self._lost_s:
            now_s = perf_counter()
            self.absences.append((now_s, max(0.0, now_s - self._lost_s - self.away_s)))
            self._lost_s = 0.0
        self.room_kind = message.state.kind
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(None)
        for submission in self.open_submissions.values():
            if submission.key not in self._waiting:
                self._send(submission)

    def on_answer(self, client: Client, message: Answer, now_s: float) -> None:
        """Settle the comment, or send it again later when the refusal is temporary."""
        submission = self.ledger.answer(message, now_s)
        if submission is None:
            return
        if isinstance(message, Refused) and message.temporary:
            delay_s = max(message.retry_after_ms / 1000, BACKOFF_FIRST_S * min(submission.tries, 20))
            delay_s *= self.dice.uniform(1.0, 1.5)
            if submission.tries < TRIES_MAX and now_s + delay_s < submission.sent_s + self.patience_s:
                self._waiting.add(submission.key)
                asyncio.get_running_loop().call_later(delay_s, self._again, submission)
                return
            self.ledger.give_up(submission, now_s)
        self.open_submissions.pop(submission.key, None)
        self._looks.pop(submission.key, None)
        if self.settled is not None:
            self.settled(self, submission)

    def on_fault(self, client: Client, message: Fault) -> None:
        """The join itself failed: the connection is of no use."""
        if self._joined is not None and not self._joined.done():
            self._joined.set_exception(ConnectionRefusedError(f"{message.code}: {message.detail}"))

    def on_lost(self, client: Client, error: Exception | None) -> None:
        """Note why, and come back when this participant stays."""
        if client is not self.client:
            return
        if not self.leaving:
            self.losses.append(f"close {client.close_code}" if error is None else f"{type(error).__name__}: {error}")
        for submission in self.open_submissions.values():
            submission.doubtful = submission.doubtful or submission.tries > 0
        was_present, self.present, self.client = self.present, False, None
        if was_present and not self.leaving:
            self._lost_s = perf_counter()
        if self._joined is not None and not self._joined.done():
            self._joined.set_exception(error or ConnectionResetError(f"closed with {client.close_code} before the join"))
        if self.stay and not self.leaving and was_present:
            self._reopening = asyncio.get_running_loop().create_task(self.come_back())


async def enter_all(
    participants: Sequence[Participant], *, per_s: float, at_once: int = 64, tick: Callable[[int], None] | None = None
) -> None:
    """Let all participants enter, at most ``per_s`` new connections a second and ``at_once`` under way.

    ``tick`` is told how many have entered. Raises the first error of any of them, after the others were ended.
    """
    done = 0

    async def one(participant: Participant) -> None:
        nonlocal done
        async with gate:
            await participant.enter()
        done += 1
        if tick is not None:
            tick(done)

    gate = asyncio.Semaphore(at_once)
    start = perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for number, participant in enumerate(participants):
                early_s = start + number / per_s - perf_counter()
                if early_s > 0.001:
                    await asyncio.sleep(early_s)
                group.create_task(one(participant))
    except ExceptionGroup as error:
        raise error.exceptions[0] from None


async def leave_all(participants: Sequence[Participant]) -> None:
    """Let all participants leave, and wait until the connections are gone (at most 5 s, then they are cut)."""
    await asyncio.gather(*(participant.leave() for participant in participants))
    await until(lambda: all(participant.client is None for participant in participants), 5.0)
    for participant in participants:
        participant.cut()
    await until(lambda: all(participant.client is None for participant in participants), 1.0)


async def until(
    condition: Callable[[], bool], timeout_s: float, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> bool:
    """Wait until ``condition`` holds; returns whether it did in time."""
    end = perf_counter() + timeout_s
    while not condition():
        if perf_counter() > end:
            return False
        await pause(0.02)
    return True
