"""A crowd that posts without end while its server is killed again and again, and what must be true at the end."""

from __future__ import annotations

import asyncio
import os
import random
from itertools import count
from pathlib import Path

from loadtest.arrivals import Pacer
from loadtest.feed import Feed
from loadtest.ledger import Ledger
from loadtest.local import UNBOUND, LocalServer
from loadtest.participants import Participant, enter_all, leave_all, until
from loadtest.site import Mint, Site
from loadtest.texts import made_up
from loadtest.truth import Violation
from server.settings import PREFIX
from tests.support import nursery
from tests.support.checker import judge, live_is_static

ROOM = "demo"
USERS = 20
VIEWERS = 5
RATE_PER_S = 250.0
UP_MAX_S = 0.8
STARTING_MAX_S = 0.5
"""Every third kill strikes a server a second time while it starts."""


class ForkedServer(LocalServer):
    """Its processes are forked: up in half a second, so that kills strike while it starts, and not while modules are read."""

    def __init__(self, folder: Path, fault: str) -> None:
        super().__init__(folder, settings=UNBOUND)
        self._fault = fault

    def launch(self) -> None:
        """As LocalServer does."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment.update({PREFIX + name.upper(): value for name, value in UNBOUND.items()})
        self._seen = self.output.stat().st_size if self.output.exists() else 0
        entry, first = ("tests.support.faulty_server", [self._fault]) if self._fault else ("server.__main__", [])
        arguments = [*first, "serve", "--port", str(self.port), "--data", str(self.data_dir), "--demo"]
        self._process = nursery.start(arguments, environment, self.output, self.output, entry)  # type: ignore[assignment]


class KilledServer:
    """``rounds`` kills of the server in ``folder`` at moments drawn from ``seed``, under load all the while.

    ``fault`` is one of tests/support/faulty_server.py, or empty. :meth:`run` may be called once.
    """

    def __init__(self, folder: Path, seed: int, rounds: int, fault: str = "") -> None:
        self._dice = random.Random(seed)
        self._rounds = rounds
        self._server = ForkedServer(folder, fault)
        self._ledger = Ledger()
        self._feed = Feed(ROOM)
        self._people: list[Participant] = []
        self._violations: list[Violation] = []
        self.acknowledged = 0
        self.seen_live = 0

    async def run(self) -> list[Violation]:
        """Everything that was ever wrong: on the disk right after a kill, to any viewer, or at the end."""
        await asyncio.to_thread(self._server.start)
        try:
            self._people = await self._gather()
            await enter_all(self._people, per_s=200)
            posting = asyncio.create_task(self._post())
            for _ in range(self._rounds):
                await self._round()
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)
            self._violations += await self._end()
        finally:
            await leave_all(self._people)
            self._server.kill()
        return self._violations

    async def _gather(self) -> list[Participant]:
        site = Site.of(self._server.url, ROOM, deflate=self._dice.random() < 0.5)
        mint = Mint.of(self._server.data_dir)
        await mint.ask(site.origin)
        people = []
        for index in range(USERS + VIEWERS):
            name = f"user-{index}" if index < USERS else f"viewer-{index}"
            token = mint.token(name, name) if index < USERS else None
            dice = random.Random(self._dice.random())
            people.append(Participant(site, self._feed, name, index, token=token, ledger=self._ledger, stay=True, dice=dice))
        return people

    async def _post(self) -> None:
        """At a steady rate, also while nobody listens: those comments go out when their author is back."""
        texts = made_up()
        pacer = Pacer()

        def fire(number: int, due_s: float) -> None:
            user = self._people[self._dice.randrange(USERS)]
            user.say(f"key-{number}", next(texts), due_s)

        await pacer.run((number / RATE_PER_S for number in count()), fire)

    async def _round(self) -> None:
        await until(lambda: all(person.present for person in self._people), 20.0)
        await asyncio.sleep(self._dice.uniform(0.0, UP_MAX_S))
        self._server.kill()
        # What the kernel still holds for the clients arrives before they notice the end.
        await until(lambda: not any(person.present for person in self._people), 10.0)
        self._violations += live_is_static(self._feed.contents, self._server.data_dir, ROOM)
        if self._dice.random() < 1 / 3:
            self._server.launch()
            await asyncio.sleep(self._dice.uniform(0.0, STARTING_MAX_S))
            self._server.kill()
        await asyncio.to_thread(self._server.start)

    async def _end(self) -> list[Violation]:
        def settled() -> bool:
            last = [person.stream.last for person in self._people]
            present = all(person.present for person in self._people)
            return present and not self._ledger.count("open") and min(last) == max(last)

        await until(settled, 30.0)
        await asyncio.sleep(0.3)
        await until(settled, 10.0)
        self.acknowledged = self._ledger.count("acked")
        self.seen_live = len(self._feed.contents.events)
        found = await judge(self._server.url, ROOM, self._people, self._ledger, self._feed.contents)
        if not settled():
            found.append(Violation("stream_short", "the crowd did not settle: somebody waits for an answer or an event"))
        return found
