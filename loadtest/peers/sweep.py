"""Reading thousands of connections at a fixed beat instead of whenever a byte comes.

A peer that sends one frame per viewer and comment wakes the generator 500,000 times a second, which no generator on one core
follows. So the viewers look into their sockets every few milliseconds, and take all that is there: the generator costs the
same whatever the server does, and every latency is up to one beat longer than it was (half of one on average), for each server
alike. It favours those that send often, since a send wakes nobody.

What the first viewer finds in its socket is parsed frame by frame; whoever stands at the same place and finds the same bytes has
had the same comments (one ``memcmp``, as with single frames).
"""

from __future__ import annotations

import asyncio
import os
import random
from array import array
from collections.abc import Iterable
from contextlib import suppress
from time import perf_counter
from typing import Final, NamedTuple, Self

from loadtest.clients import Client
from loadtest.feed import Batch

SLICE: Final = 32
"""Sockets read in one go before the loop gets its turn, so that comments are published when they are due, not in bunches."""


class Run(NamedTuple):
    """Whole frames that followed each other in a socket, and when viewers found them there since the sweep began."""

    data: bytes
    batches: list[Batch]
    arrivals: array[float]


class Sweep:
    """Reads ``clients``, which are open, every ``every_s`` seconds, half as much more or less, while it is entered.

    ``sweeps`` counts the beats.

    A connection that ends goes back to the event loop, which sees the end as well and tells the client.
    """

    def __init__(self, clients: Iterable[Client], every_s: float) -> None:
        self.sweeps = 0
        self._every_s = every_s
        self._clients = [client for client in clients if client.transport is not None]
        self._open: list[tuple[int, Client]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        for client in self._clients:
            assert client.transport is not None
            client.transport.pause_reading()
            self._open.append((client.transport.get_extra_info("socket").fileno(), client))
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for _, client in self._open:
            _give_back(client)
        self._open.clear()

    async def _run(self) -> None:
        dice = random.Random(1)  # noqa: S311 -- keeps the beat from falling into step with comments that come at one
        next_s = perf_counter()
        while True:
            await self.sweep()
            next_s = max(next_s + self._every_s * dice.uniform(0.5, 1.5), perf_counter())
            await asyncio.sleep(next_s - perf_counter())

    async def sweep(self) -> None:
        """Take what is there."""
        self.sweeps += 1
        runs: dict[tuple[int, int], Run] = {}  # by the number that comes next and the size of what is there
        ended: list[tuple[int, Client]] = []
        for start in range(0, len(self._open), SLICE):
            ended += [entry for entry in self._open[start : start + SLICE] if not _look(*entry, runs)]
            await asyncio.sleep(0)
        for run in runs.values():
            for batch in run.batches:
                batch.arrivals[0].extend(run.arrivals)
        for entry in ended:
            self._open.remove(entry)
            _give_back(entry[1])


def _look(fd: int, client: Client, runs: dict[tuple[int, int], Run]) -> bool:
    """Take what is in one socket; False: the connection ends."""
    buffer = client.get_buffer(0)
    try:
        size = os.readv(fd, (buffer,))
    except BlockingIOError:
        return True
    except OSError:
        return False
    stream = client.stream
    run = runs.get((stream.next, size))
    if run is not None and buffer.startswith(run.data) and _between_frames(client):
        stream.next = run.batches[-1].last + 1
        run.arrivals.append(perf_counter())
        return True
    if size:
        _take(client, size, runs)
    return size > 0 and client.transport is not None and not client.transport.is_closing()


def _take(client: Client, size: int, runs: dict[tuple[int, int], Run]) -> None:
    """Let the client parse what was read; keep it as a run when it was frames of comments and nothing else."""
    stream = client.stream
    first = stream.next
    data = bytes(client.get_buffer(0)[:size]) if _between_frames(client) else b""
    client.buffer_updated(size)
    if not data or (first, size) in runs:
        return
    batches: list[Batch] = []
    number = first
    at = 0
    while number < stream.next and (batch := _beginning(client, number, data, at)) is not None:
        batches.append(batch)
        at += batch.size
        number = batch.last + 1
    if batches and number == stream.next and at == size:
        runs[first, size] = Run(data, batches, array("d"))


def _beginning(client: Client, number: int, data: bytes, at: int) -> Batch | None:
    """The batch whose frame begins with event ``number``, and is what stands at this place of ``data``."""
    return next((each for each in client.feed.expected.get(number, ()) if data.startswith(each.frame, at)), None)


def _between_frames(client: Client) -> bool:
    """Nothing of a frame is under way: what comes next begins one."""
    return not (client._matched or client._carry or client._fragments)


def _give_back(client: Client) -> None:
    transport = client.transport
    if transport is not None and not transport.is_closing():
        transport.resume_reading()
