"""How soon every viewer knows of a room's mode, while the room is busy: ``python -m loadtest.modes``.

A server of our own, one room with many viewers, senders that keep it busy, and an operator who changes its mode again and again.
Each change carries a pace of its own (``slow_ms``), by which viewers tell it in the bytes that they get: in the ``state`` message,
which the page obeys, and in the notice, an event of the log that is on the static page by then. Measured is the time from the
moment before the operator's request to the bytes at each viewer, by one clock.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from typing import Final

import click
import httpx
import orjson

from loadtest import frames
from loadtest.launch import finish, settings_of, with_server
from loadtest.local import LocalServer
from loadtest.site import Mint, Site, operator_token

ROOM: Final = "modes"
GOAL_S: Final = 2.0
FIRST_MS: Final = 1_000
"""The pace of the first change; each later one is a millisecond more."""
_WARM_S: Final = 5.0
_WAIT_S: Final = 10.0
_BETWEEN_S: Final = 1.0
_TOGETHER: Final = 100
_MARK: Final = re.compile(rb'"slow_ms":(\d+)([,}])')
_TAIL: Final = 32  # longer than any mark


class Changes:
    """When each viewer was told of each change; ``states`` and ``notices`` map the pace to times of arrival."""

    def __init__(self) -> None:
        self.states: dict[int, list[float]] = {}
        self.notices: dict[int, list[float]] = {}

    def begin(self, pace_ms: int) -> None:
        """A change is about to be asked for."""
        self.states[pace_ms], self.notices[pace_ms] = [], []

    def scan(self, data: bytes, now_s: float) -> None:
        """Note what the bytes tell: in a state the pace is the last field, in a notice the reason follows."""
        for pace, end in _MARK.findall(data):
            told = self.notices if end == b"," else self.states
            arrivals = told.get(int(pace))
            if arrivals is not None:
                arrivals.append(now_s)


class Viewer(asyncio.Protocol):
    """One connection. It reads, and looks for nothing but modes."""

    def __init__(self, site: Site, changes: Changes, token: str | None = None) -> None:
        self._handshake = frames.Handshake(
            f"{site.host}:{site.port}", site.target(token, join=True), origin=site.origin, deflate=False
        )
        self._changes = changes
        self._tail = b""
        self.transport: asyncio.Transport | None = None
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = transport  # type: ignore[assignment] # a stream's
        transport.write(self._handshake.request)  # type: ignore[attr-defined] # a stream's

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        seen = self._tail + data
        if not self.joined.done() and b'"op":"joined"' in seen:
            self.joined.set_result(None)
        if b'"slow_ms"' in seen:
            # What stands in the tail whole was counted before.
            self._changes.scan(seen[_begin(self._tail, seen) :], time.monotonic())
        self._tail = seen[-_TAIL:]

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.lost = True
        self._gone.set()
        if not self.joined.done():
            self.joined.set_exception(exc or ConnectionError("closed before it joined"))

    async def leave(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.abort()
        await self._gone.wait()

    def say(self, number: int) -> None:
        """Post a comment."""
        words = orjson.dumps({"op": "say", "room": ROOM, "key": f"k{number}", "text": f"弹幕 {number}"})
        if self.transport is not None and not self.lost:
            self.transport.write(frames.frame(words))


def _begin(tail: bytes, seen: bytes) -> int:
    """Where bytes begin that were not looked through: after the last mark that lies in the tail as a whole."""
    ends = [found.end() for found in _MARK.finditer(seen) if found.end() <= len(tail)]
    return ends[-1] if ends else 0


async def connect(site: Site, changes: Changes, count: int, tokens: list[str] | None = None) -> list[Viewer]:
    """So many connections in the room, a few at a time."""
    loop = asyncio.get_running_loop()

    async def one(index: int) -> Viewer:
        token = tokens[index] if tokens is not None else None
        _, viewer = await loop.create_connection(
            lambda: Viewer(site, changes, token), site.host, site.port, local_addr=site.local_address(index)
        )
        await asyncio.wait_for(viewer.joined, 60)
        return viewer

    found: list[Viewer] = []
    for start in range(0, count, _TOGETHER):
        found += await asyncio.gather(*(one(index) for index in range(start, min(start + _TOGETHER, count))))
    return found


async def busy(senders: list[Viewer], rate: float) -> None:
    """Until cancelled, ``rate`` comments a second, each sender in its turn."""
    number, began = 0, time.monotonic()
    while True:
        await asyncio.sleep(0.02)
        due = int((time.monotonic() - began) * rate)
        while number < due:
            senders[number % len(senders)].say(number)
            number += 1


async def measure(server: LocalServer, viewers: int, senders: int, rate: float, changes: int) -> dict[str, float]:
    """Quantiles in milliseconds over all viewers and changes, and how many viewers were not told in time."""
    site = Site.of(server.url, ROOM)
    secret = (server.data_dir / "operator.key").read_bytes().strip()
    mint = Mint.of(server.data_dir)
    await mint.ask(site.origin)
    told = Changes()
    async with httpx.AsyncClient(base_url=site.origin, timeout=120) as http:

        async def ask(path: str, body: dict[str, object]) -> None:
            headers = {"Authorization": f"Bearer {operator_token(secret)}", "Connection": "close"}
            answer = await http.post(f"/api/operator/{path}", json=body, headers=headers)
            answer.raise_for_status()

        await ask("rooms", {"name": ROOM})
        everybody = await connect(site, told, viewers)
        tokens = [mint.token(f"sender-{index}", f"Sender {index}") for index in range(senders)]
        speaking = await connect(site, told, senders, tokens)
        load = asyncio.create_task(busy(speaking, rate))
        await asyncio.sleep(_WARM_S)
        asked: dict[int, float] = {}
        answered: list[float] = []
        for pace_ms in range(FIRST_MS, FIRST_MS + changes):
            told.begin(pace_ms)
            asked[pace_ms] = time.monotonic()
            await ask("mode", {"room": ROOM, "mode": "slow", "slow_ms": pace_ms, "code": "E1", "basis": "measured"})
            answered.append(time.monotonic() - asked[pace_ms])
            end = time.monotonic() + _WAIT_S
            while len(told.notices[pace_ms]) < viewers + senders and time.monotonic() < end:  # noqa: ASYNC110 # bytes tell nobody
                await asyncio.sleep(0.01)
            await asyncio.sleep(_BETWEEN_S)
        load.cancel()
        lost = sum(viewer.lost for viewer in everybody)
        for viewer in (*everybody, *speaking):
            await viewer.leave()
    return _figures(told, asked, answered, viewers + senders) | {"connections lost": lost}


def _figures(told: Changes, asked: dict[int, float], answered: list[float], everybody: int) -> dict[str, float]:
    found: dict[str, float] = {"answer to the operator, slowest ms": 1000 * max(answered)}
    for name, arrivals in (("state", told.states), ("notice", told.notices)):
        times = sorted(moment - asked[pace] for pace, moments in arrivals.items() for moment in moments)
        expected = everybody * len(asked)
        found[f"{name}: viewers told"] = len(times)
        found[f"{name}: not within {GOAL_S:g} s"] = expected - sum(each <= GOAL_S for each in times)
        for label, share in (("median", 0.5), ("p99", 0.99), ("slowest", 1.0)):
            found[f"{name}: {label} ms"] = 1000 * times[min(int(share * len(times)), len(times) - 1)] if times else math.inf
    return found


@click.command()
@click.option("--viewers", default=5000, show_default=True)
@click.option("--senders", default=400, show_default=True)
@click.option("--rate", default=200.0, show_default=True, help="Comments a second that are sent to the room.")
@click.option("--changes", default=10, show_default=True)
@click.option("--server-cpu", type=int, default=None, help="Core of the server.")
@click.option("--cpu", type=int, default=None, help="Core of the viewers.")
def main(viewers: int, senders: int, rate: float, changes: int, server_cpu: int | None, cpu: int | None) -> None:
    """How soon every viewer knows of a room's mode, while the room is busy."""

    def work(server: LocalServer) -> int:
        figures = finish(measure(server, viewers, senders, rate, changes))
        for name, value in figures.items():
            click.echo(f"{name:45} {value:10.0f}")
        late = figures[f"state: not within {GOAL_S:g} s"] + figures[f"notice: not within {GOAL_S:g} s"]
        return 1 if late else 0

    with_server(None, server_cpu, cpu, settings_of(()), work)


if __name__ == "__main__":
    main()
