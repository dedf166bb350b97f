"""The rooms of a scenario and the people in them, with their books. What they do is the matter of ``acts``."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple, Self

import httpx

from loadtest import texts
from loadtest.feed import Batch, Feed
from loadtest.frames import HandshakeError, ProtocolError
from loadtest.ledger import Ledger
from loadtest.participants import Participant, enter_all, leave_all, until
from loadtest.readback import TIMEOUT_S
from loadtest.scenarios.stall import RECEIVE_BUFFER_BYTES, STALLED
from loadtest.site import Mint, Site, operator_token
from loadtest.spec import BadScenario, Rooms, Scenario
from loadtest.stage import Notify, judge_room
from loadtest.stats import Histogram
from loadtest.truth import Stream, Violation, same_or_masked

AT_ONCE: Final = 8
"""Requests under way while rooms are made and read back."""


class Person(NamedTuple):
    """What is left of a :class:`Participant` when its process has ended."""

    name: str
    group: int
    present: bool
    losses: list[str]
    absences: list[tuple[float, float]]
    stream: Stream


class Seen(NamedTuple):
    """What the people of one process did and saw in a room."""

    room: str
    base: int
    batches: list[Batch]
    ledger: Ledger
    raid: Ledger
    removal_due: dict[int, float]
    parsed: int
    people: list[Person]


class Room:
    """One room. ``people``: all of its viewers, senders and raiders first; ``present`` of them take part so far.

    ``base`` is the number of the newest event before the run; ``removals`` are confirmed ones, as (comment, removal), and
    ``removal_due`` says when each was due.
    """

    def __init__(self, scenario: Scenario, rooms: Rooms, site: Site, run_id: str, first_index: int) -> None:
        self.rooms = rooms
        self.site = site
        self.ledger = Ledger()
        self.raid = Ledger()
        self.feed = Feed(site.room, groups=2)
        self.base = 0
        self.present = 0
        self.removals: list[tuple[int, int]] = []
        self.removal_due: dict[int, float] = {}
        self.people: list[Any] = []  # of type Participant; of type Person after :meth:`take`
        active = rooms.senders + rooms.raiders
        for number in range(max(rooms.viewers, active)):
            name = f"load-{run_id}-{first_index + number}"
            raider = rooms.senders <= number < active
            person = Participant(
                site, self.feed, name, first_index + number, ledger=self.raid if raider else self.ledger, stay=True
            )
            person.patience_s = 0.0 if raider else scenario.patience_s  # raiders do not wait, they send the next one
            self.people.append(person)
        self.senders = self.people[: rooms.senders]
        self.raiders = self.people[rooms.senders : active]
        self.readers = self.people[active:]
        share = max(phase.slow_share for phase in scenario.phases)
        self.slow = self.readers[len(self.readers) - min(len(self.readers), round(share * len(self.people))) :]
        for person in self.slow:
            person.group = STALLED
            person.receive_buffer_bytes = RECEIVE_BUFFER_BYTES

    def take(self, seen: Seen) -> None:
        """Add what another process saw of this room."""
        self.feed.batches += seen.batches
        self.feed.parsed += seen.parsed
        self.people += seen.people
        self.present = len(self.people)
        if len(seen.ledger) or len(seen.raid) or not self.base:
            self.ledger, self.raid = Ledger.together(self.ledger, seen.ledger), Ledger.together(self.raid, seen.raid)
            self.removal_due |= seen.removal_due
            self.base = seen.base

    @property
    def newest(self) -> int:
        """The highest number that any viewer has received."""
        return max((person.stream.last for person in self.people[: self.present]), default=0)

    def settled(self) -> bool:
        """Every comment is answered, and everybody is there and has everything."""
        if self.ledger.count("open") or self.raid.count("open"):
            return False
        people = self.people[: self.present]
        last = [person.stream.last for person in people]
        return all(person.present for person in people) and (not last or min(last) == max(last))

    def due_times(self) -> dict[int, float]:
        """When each acknowledged comment was due, by number."""
        return {each.seq: each.intended_s for book in (self.ledger, self.raid) for each in book if each.outcome == "acked"}


class Arena:
    """All rooms. An asynchronous context manager: the people of the first phase enter with it, all leave with it.

    ``operator_key`` (a file) lets it make rooms and remove comments; without it the rooms must be there. ``joining`` is how
    long those who entered later needed, from when they were due.
    """

    def __init__(
        self,
        scenario: Scenario,
        url: str,
        *,
        data_dir: Path | None = None,
        token_secret_file: Path | None = None,
        operator_key: Path | None = None,
        first_index: int = 0,
        notify: Notify = lambda text: None,
    ) -> None:
        self.scenario = scenario
        self.run_id = secrets.token_hex(3)
        self.dice = random.Random(scenario.seed)  # noqa: S311 -- a repeatable run is meant
        self.rooms = list(self._make_rooms(url, first_index))
        self.origin = self.rooms[0].site.origin
        self.joining = Histogram()
        made_up = texts.various if len(self.rooms) > 1 else texts.made_up
        self.texts = texts.from_file(Path(scenario.texts)) if scenario.texts else made_up()
        self._notify = notify
        self._serial = 0
        talks = any(room.senders or room.raiders for room in self.rooms)
        self._mint = Mint.of(data_dir, token_secret_file) if talks else None
        self._operator = _secret(operator_key or (data_dir / "operator.key" if data_dir else None))
        if self._operator is None and any(phase.takedowns_per_s for phase in scenario.phases):
            raise BadScenario("`takedowns_per_s` needs the operator interface: give --data-dir or --operator-key-file.")
        self._http: httpx.AsyncClient | None = None
        self._entering: list[asyncio.Task[None]] = []

    def _make_rooms(self, url: str, index: int) -> Iterator[Room]:
        for rooms in self.scenario.rooms:
            for name in rooms.names():
                site = Site.of(url, name, deflate=self.scenario.deflate, per_address=self.scenario.per_address)
                room = Room(self.scenario, rooms, site, self.run_id, index)
                index += len(room.people)
                yield room

    @property
    def http(self) -> httpx.AsyncClient:
        """For everything but live connections."""
        if self._http is None:
            limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
            self._http = httpx.AsyncClient(base_url=self.origin, timeout=TIMEOUT_S, limits=limits, trust_env=False)
        return self._http

    @property
    def people(self) -> list[Participant]:
        """Everybody who takes part so far."""
        return [person for room in self.rooms for person in room.people[: room.present]]

    async def __aenter__(self) -> Self:
        if self._operator is not None:
            self._notify("making rooms")
            await self._each_room(self._make)
        if self._mint is not None:
            await self._mint.ask(self.origin)
            for room in self.rooms:
                for person in (*room.senders, *room.raiders):
                    person.token = self._mint.token(person.name, person.name)
        first = [person for room in self.rooms for person in self._due(room, self.scenario.phases[0].present)]
        try:
            await enter_all(first, per_s=self.scenario.entry_per_s, tick=lambda done: self._say_entered(done, len(first)))
        except BaseException:
            await leave_all(self.people)
            await self.http.aclose()
            raise
        for room in self.rooms:
            room.base = room.newest
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._entering:
            task.cancel()
        await asyncio.gather(*self._entering, return_exceptions=True)
        await leave_all(self.people)
        await self.http.aclose()

    def _say_entered(self, done: int, of: int) -> None:
        if done % 50 == 0 or done == of:
            self._notify(f"{done:,} of {of:,} viewers have entered")

    @staticmethod
    def _due(room: Room, share: float) -> list[Participant]:
        """Those who are to be there at this share, and are not yet; they count as present from now on."""
        active = len(room.senders) + len(room.raiders)
        end = max(active, room.present, round(share * len(room.people)), 1)
        start, room.present = room.present, end
        return room.people[start:end]

    def let_in(self, share: float) -> None:
        """Let people enter, open model: each tries at its time, whatever became of those before it."""
        newcomers = [person for room in self.rooms for person in self._due(room, share)]
        if newcomers:
            self._entering.append(asyncio.create_task(self._let_in(newcomers)))

    async def _let_in(self, newcomers: Sequence[Participant]) -> None:
        async with asyncio.TaskGroup() as group:
            start_s = perf_counter()
            for number, person in enumerate(newcomers):
                due_s = start_s + number / self.scenario.entry_per_s
                await asyncio.sleep(max(0.0, due_s - perf_counter()))
                group.create_task(self._enter_late(person, due_s))

    async def _enter_late(self, person: Participant, due_s: float) -> None:
        try:
            await person.enter()
        except (OSError, HandshakeError, ProtocolError) as error:
            person.losses.append(f"{type(error).__name__}: {error}")
            await person.come_back()
        if person.present:
            self.joining.record_s(perf_counter() - due_s)

    # -- operator -----------------------------------------------------------------------------------------------------

    async def ask_operator(self, path: str, body: dict[str, object]) -> httpx.Response:
        """Post to the operator interface. Raises httpx.HTTPError."""
        assert self._operator is not None
        headers = {"Authorization": f"Bearer {operator_token(self._operator)}"}
        return await self.http.post(f"/api/operator/{path}", json=body, headers=headers)

    async def _make(self, room: Room) -> None:
        """A room that is there already is as good as a new one; one that cannot be entered is noticed at once."""
        await self.ask_operator("rooms", {"name": room.site.room, "title": "Load test"})

    async def _each_room(self, work: Callable[[Room], Awaitable[None]]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(room: Room) -> None:
            async with gate:
                await work(room)

        await asyncio.gather(*(one(room) for room in self.rooms))

    # -- posting ------------------------------------------------------------------------------------------------------

    def next_key(self) -> str:
        """A key that no comment of any run has."""
        self._serial += 1
        return f"{self.run_id}-{self._serial}"

    async def drain(self) -> bool:
        """Wait until every room is settled; returns whether that was so in time."""
        done = lambda: all(room.settled() for room in self.rooms)  # noqa: E731
        in_time = await until(done, self.scenario.drain_s)
        await asyncio.sleep(0.3)  # a tick may still be under way when the last answer is there
        return await until(done, 1.0) if in_time else False

    async def judge(self) -> list[Violation]:
        """Read all rooms back and hold them against what their people saw. Raises ReadbackError."""
        found: list[Violation] = []
        done = 0

        async def one(room: Room) -> None:
            nonlocal done
            books = Ledger.together(room.ledger, room.raid)
            found.extend(
                await judge_room(
                    room.site,
                    room.people[: room.present],
                    books,
                    room.feed,
                    base=room.base,
                    pages=self.scenario.pages,
                    # Raiders' texts, and those of a file, may be masked.
                    same_text=same_or_masked if self.scenario.texts or room.raiders else str.__eq__,
                    removals=room.removals,
                    http=self.http,
                )
            )
            done += 1
            self._notify(f"read back {done:,} of {len(self.rooms):,} rooms")

        await self._each_room(one)
        return found


def _secret(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes().strip()
    except OSError as error:
        if path.name == "operator.key" and isinstance(error, FileNotFoundError):
            return None
        raise BadScenario(f"{path} cannot be read ({error.strerror}).") from None
