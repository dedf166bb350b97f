"""One scenario played by several processes: the first one speaks, and reads the small rooms; the others are the crowds.

A crowd is readers of rooms that have many. It does to its people what the phases say (they come, are cut, stop reading), and
nothing else. Times are of one clock on a machine, so what all processes saw is put together as if one had: the arrivals that a crowd
noted count from when the first process meant to send. Every process watches itself, and the doubts of any are those of the run.

Processes that share cores do not count alike: the first one must keep its times, so the crowds yield to it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final, cast

import click
import msgspec
import uvloop

from loadtest.arena import Arena
from loadtest.conduct import Conductor, Gathered, Snapshot
from loadtest.launch import collect_rarely, pin
from loadtest.outcome import Result
from loadtest.spec import BadScenario, Phase, Rooms, Scenario

INDEXES: Final = 100_000
"""Numbers of people that a process may have, so that no two processes use the same source addresses."""
CROWD_MIN: Final = 50
"""Readers of a room for which a crowd is worth while."""
CROWD_NICE: Final = 10
"""How much nicer a crowd is: on a shared core who speaks gets nine parts of ten, as soon as it wants them."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one process is told. ``rank`` 0 speaks; higher ranks yield to lower ones."""

    rank: int
    scenario: Scenario
    url: str
    data_dir: str | None
    token_secret_file: str | None
    operator_key: str | None
    server_pid: int | None
    cpu: int | None


def deal(scenario: Scenario, processes: int) -> list[Scenario]:
    """The scenario in parts, one for each process: the first with everybody but the readers of large rooms, who are divided among the
    others. One part when there is nothing to divide. Raises BadScenario."""
    if any(phase.until_broken for phase in scenario.phases):
        raise BadScenario("`until_broken` is decided by one process: leave out --processes.")
    large = [rooms for rooms in scenario.rooms if rooms.count == 1 and _readers(rooms) >= CROWD_MIN]
    if processes < 2 or not large:
        return [scenario]
    rooms = [_speakers(each) if each in large else each for each in scenario.rooms]
    share = min(1.0, 1 / (processes - 1))
    crowd = [msgspec.structs.replace(each, viewers=ceil(_readers(each) * share), senders=0, raiders=0) for each in large]
    readers, everybody = sum(map(_readers, large)), sum(max(each.viewers, _active(each)) for each in large)
    entry = sum(each.count * each.viewers for each in rooms) / scenario.viewers
    return [
        msgspec.structs.replace(scenario, rooms=rooms, entry_per_s=max(1.0, scenario.entry_per_s * entry)),
        *(
            msgspec.structs.replace(
                scenario, rooms=crowd, seed=scenario.seed + rank, entry_per_s=scenario.entry_per_s * (1 - entry) * share,
                phases=[_reading(phase, everybody / readers) for phase in scenario.phases],
            )
            for rank in range(1, processes)
        ),
    ]  # fmt: skip


def _active(rooms: Rooms) -> int:
    return rooms.senders + rooms.raiders


def _readers(rooms: Rooms) -> int:
    """Those who may belong to a crowd; one person at least stays with the first process, to see where the log stands."""
    return rooms.viewers - max(1, _active(rooms))


def _speakers(rooms: Rooms) -> Rooms:
    return msgspec.structs.replace(rooms, viewers=max(1, _active(rooms)))


def _reading(phase: Phase, everybody: float) -> Phase:
    """What a phase is for readers alone; ``everybody``: how many times as many people there are as readers."""
    return msgspec.structs.replace(
        phase, rate=0.0, to_rate=None, steps=1, burst_times=1.0, burst_at_s=0.0, burst_s=0.0, raid_per_s=0.0, page_reads_per_s=0.0,
        takedowns_per_s=0.0, slow_share=min(1.0, phase.slow_share * everybody),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# A process


def work(connection: Connection, order: bytes) -> None:
    """What a process does, from its start to its end: enters, tells that it is there, waits, plays, waits, and tells what it saw."""
    told = msgspec.msgpack.decode(order, type=Order)
    pin(told.cpu)
    collect_rarely()
    _yield_to_others(told.rank)
    try:
        gathered = pickle.dumps(uvloop.run(_work(connection, told)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        connection.send(("failed", str(error) or type(error).__name__))
    else:
        connection.send(("done", gathered))


def _yield_to_others(rank: int) -> None:
    policy = os.sched_getscheduler(0)
    with suppress(OSError):  # a process may always be nicer; a kernel without priorities is no reason to stop
        if policy in (os.SCHED_FIFO, os.SCHED_RR):
            priority = os.sched_getparam(0).sched_priority
            os.sched_setscheduler(0, policy, os.sched_param(max(1, priority - min(1, rank))))
        elif rank:
            os.nice(CROWD_NICE)


def _need_no_priority() -> None:
    """Who only listens must not take a core from those who measure, whatever happens."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


async def _work(connection: Connection, told: Order) -> Gathered:
    loop = asyncio.get_running_loop()

    async def heard() -> Any:
        return await loop.run_in_executor(None, connection.recv)

    async def others_ready() -> None:
        """The crowds wait until everything was said and delivered to those who said it."""
        if told.rank:
            await heard()

    arena = Arena(
        told.scenario, told.url, data_dir=_path(told.data_dir), token_secret_file=_path(told.token_secret_file),
        operator_key=_path(told.operator_key), first_index=told.rank * INDEXES,
        notify=lambda text: connection.send(("notify", text)) if not told.rank else None,
    )  # fmt: skip
    async with arena:
        conductor = Conductor(
            arena, told.server_pid, show=lambda snapshot: connection.send(("show", snapshot)),
            notify=lambda text: connection.send(("notify", text)) if not told.rank else None,
        )  # fmt: skip
        connection.send(("ready", None))
        await heard()
        await conductor.play(others_ready)
        return conductor.gather()


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


# ---------------------------------------------------------------------------------------------------------------------
# All of them


class Fleet:
    """Starts the processes, keeps them in step, and makes one result. ``orders`` by rank; ``arena`` is of the whole scenario, and is
    never entered."""

    def __init__(
        self,
        orders: Sequence[Order],
        arena: Arena,
        show: Callable[[Snapshot], None] = lambda snapshot: None,
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._orders = orders
        self._arena = arena
        self._show = show
        self._notify = notify
        self._latest: dict[int, Snapshot] = {}
        self._gathered: dict[int, Gathered] = {}
        self._ready: set[int] = set()

    def run(self, name: str, url: str, scale: float = 1.0) -> Result:
        """Play the scenario. Raises click.ClickException when one of the processes fails."""
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in self._orders]
        processes = [
            context.Process(target=work, args=(theirs, msgspec.msgpack.encode(order)), daemon=True)
            for order, (_, theirs) in zip(self._orders, pipes, strict=True)
        ]
        ours = [mine for mine, _ in pipes]
        try:
            for process, (_, theirs) in zip(processes, pipes, strict=True):
                process.start()
                theirs.close()
            _need_no_priority()
            self._listen(ours)
        finally:
            for process in processes:
                process.kill()
                process.join()
        conductor = Conductor(self._arena, None)
        conductor.take([self._gathered[rank] for rank in range(len(self._orders))])
        return msgspec.structs.replace(conductor.result(name, url, scale), workers=len(self._orders))

    def _listen(self, ours: list[Connection]) -> None:
        ranks = {id(connection): rank for rank, connection in enumerate(ours)}
        while len(self._gathered) < len(ours):
            # What has ended without a word has closed its end, which is heard as the end of the file.
            heard = wait([each for each in ours if ranks[id(each)] not in self._gathered])
            for connection in cast("list[Connection]", heard):
                rank = ranks[id(connection)]
                try:
                    kind, value = connection.recv()
                except (EOFError, OSError):
                    raise click.ClickException(f"process {rank + 1} of the generator ended by itself") from None
                self._hear(rank, kind, value, ours)

    def _hear(self, rank: int, kind: str, value: Any, ours: list[Connection]) -> None:
        if kind == "failed":
            raise click.ClickException(value)
        if kind == "ready":
            self._ready.add(rank)
            if len(self._ready) == len(ours):
                for connection in ours:
                    connection.send("begin")
        elif kind == "show":
            self._latest[rank] = value
            if not rank:
                self._show(_together(list(self._latest.values())))
        elif kind == "done":
            self._gathered[rank] = pickle.loads(value)  # noqa: S301 -- from a process that we started
            if not rank:
                for connection in ours[1:]:
                    connection.send("all is said")
        else:
            self._notify(value)


def _together(snapshots: Sequence[Snapshot]) -> Snapshot:
    """How all processes stand; the first one speaks."""
    return snapshots[0]._replace(
        viewers=sum(each.viewers for each in snapshots),
        gap_events=sum(each.gap_events for each in snapshots),
        generator_cpu=max(each.generator_cpu for each in snapshots),
    )
