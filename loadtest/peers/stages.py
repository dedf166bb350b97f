"""One server with one room full of viewers: what a run of a peer, and of this server beside the peers, is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Self

from loadtest.participants import Participant, leave_all, until
from loadtest.peers import dialects
from loadtest.peers.dialects import Dialect
from loadtest.peers.family import FamilyWatch
from loadtest.peers.people import PeerFeed, PeerPerson, PeerSite
from loadtest.peers.sweep import Sweep
from loadtest.plan import Plan
from loadtest.stage import Notify, Stage
from loadtest.truth import Violation

IDLE_S = 2.0
"""How long viewers do nothing before memory is read for the second time."""

READ_EVERY_S = 0.02
"""The beat at which viewers read; up to this much longer every latency is."""


class MeteredStage(Stage):
    """This server, read as its peers are: at a fixed beat, with the memory of its viewers.

    ``empty_bytes`` is the size of the server after its first viewer has come and gone, ``joined_bytes`` right after all joined,
    ``idle_bytes`` after they did nothing for a while.
    """

    def __init__(
        self, plan: Plan, notify: Notify = lambda text: None, read_every_s: float = READ_EVERY_S, idle_s: float = IDLE_S
    ) -> None:
        super().__init__(plan, notify)
        self.meter = FamilyWatch(plan.server_pid)
        self.watch = self.meter
        self.empty_bytes = 0
        self.joined_bytes = 0
        self.idle_bytes = 0
        self._read_every_s = read_every_s
        self._idle_s = idle_s
        self._reading = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.open()
        self.empty_bytes = self.meter.server_sample().rss_bytes
        await super().__aenter__()
        self.joined_bytes = self.meter.server_sample().rss_bytes
        self.notify("idle")
        if self._read_every_s:
            clients = [person.client for person in self.people if person.client is not None]
            await self._reading.enter_async_context(Sweep(clients, self._read_every_s))
        await asyncio.sleep(self._idle_s)
        self.idle_bytes = self.meter.server_sample().rss_bytes
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._reading.aclose()
        await super().__aexit__(*error)

    async def open(self) -> None:
        """Let a first viewer come and go, so that what a server does only once is no cost of its viewers."""
        first = Participant(self.site, self.feed, f"first-{self.run_id}", len(self.people))
        await first.enter()
        await leave_all([first])

    def expected(self) -> int:
        """How many deliveries there must be: every comment that was sent, at every viewer."""
        return self.pacer.fired * len(self.people)

    def received(self) -> int:
        """How many deliveries there were, each comment once for a viewer."""
        return sum(
            last - max(first, self.base + 1) + 1
            for person in self.people
            for first, last in person.stream.received
            if last > self.base
        )


class PeerStage(MeteredStage):
    """A peer: one publisher, and viewers that are sent what it publishes."""

    def __init__(
        self,
        plan: Plan,
        dialect: Dialect,
        notify: Notify = lambda text: None,
        read_every_s: float = READ_EVERY_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self.dialect = dialect
        self._due_s: dict[int, float] = {}
        super().__init__(plan, notify, read_every_s, idle_s)

    def _make_people(self) -> Iterator[Participant]:
        """Viewers alone: the publisher does not read."""
        feed = self.feed = self.comments = PeerFeed(self.plan.room, self.dialect)
        site = PeerSite.at(self.site, self.dialect.address(self.plan.room, publishes=False))
        self.publisher = PeerPerson(
            site.publishing(self.dialect), PeerFeed(self.plan.room, self.dialect), "publisher", self.plan.viewers
        )
        self.publisher.dialect = self.dialect
        for index in range(self.plan.viewers):
            person = PeerPerson(site, feed, f"viewer-{index}", index)
            person.dialect = self.dialect
            yield person

    async def open(self) -> None:
        """The publisher comes first, and stays."""
        await self.publisher.enter()

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        await leave_all([self.publisher])

    def fire(self, number: int, due_s: float) -> None:
        """Publish one comment. Raises ConnectionError when the server has cut the publisher off."""
        if self.publisher.client is None:
            raise ConnectionResetError(f"the server cut the publisher off: {', '.join(self.publisher.losses)}")
        text = dialects.comment(self.plan.room, self.run_id, number + 1, next(self.texts))
        self._due_s[number + 1] = due_s
        self.comments.published[number + 1] = text
        self.publisher.client.send(self.dialect.write(text))

    def due_times(self) -> dict[int, float]:
        """By number of the comment."""
        return self._due_s

    async def drain(self) -> bool:
        """Wait until everybody has the last comment; returns whether that was so in time."""
        self.notify("draining")
        last = len(self._due_s)
        return await until(
            lambda: all(person.stream.next > last for person in self.people if person.present), self.plan.drain_s
        )

    async def judge(self) -> list[Violation]:
        """What was altered, doubled or out of order. What never came is counted by :meth:`received`."""
        found = [violation for person in self.people for violation in person.stream.violations]
        return found + [
            Violation("protocol_broken", f"{person.name}: {loss}") for person in self.people for loss in person.losses
        ]
