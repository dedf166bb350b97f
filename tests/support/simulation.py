"""An event loop in virtual time: hours pass in milliseconds, and the same seed gives the same run.

Nothing sleeps. When no callback is ready the clock jumps to the next timer. Blocking work that the code under test gives to an
executor runs on the loop's own thread, at a moment of virtual time that its :class:`Lane` chooses: between the call and its result
lies time in which everything else goes on, as with a real thread, but one interleaving per seed.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple
from unittest import mock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START_S = 1_000.0
WALL_S = 1_790_000_000.0


class Stuck(RuntimeError):
    """Nothing is ready, nothing is scheduled, and somebody still waits."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting for the network, tells how long the loop would have waited."""

    def __init__(self, waited: Callable[[float], None]) -> None:
        super().__init__()
        self._waited = waited

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing will ever happen again in this simulation")
        self._waited(timeout)
        return super().select(0)


class Lane(Executor):
    """An executor of ``width`` workers; each call takes between ``least_s`` and ``most_s`` of virtual time.

    What the call does happens at a moment of that time, its result arrives at the end. ``moment`` fixes it (0: at the begin, 1: at
    the end), else it is random. ``dead`` drops what did not happen yet, as the death of the process would. ``running`` calls are
    under way, ``most_at_once`` is the largest number that ever was.
    """

    def __init__(self, least_s: float = 0.001, most_s: float | None = None, *, width: int = 1, seed: int = 0) -> None:
        self.least_s = least_s
        self.most_s = least_s if most_s is None else most_s
        self.moment: float | None = None
        self.dead = False
        self.calls = 0
        self.most_at_once = 0
        self.running = 0
        self._random = random.Random(seed)
        self._free_s = [0.0] * width

    def run(self, loop: SimLoop, call: Callable[[], T]) -> asyncio.Future[T]:
        """Schedule a call; the future gets its result or exception."""
        future: asyncio.Future[T] = loop.create_future()
        worker = min(range(len(self._free_s)), key=self._free_s.__getitem__)
        begin = max(loop.time(), self._free_s[worker])
        end = begin + self._random.uniform(self.least_s, self.most_s)
        self._free_s[worker] = end
        self.calls += 1
        loop.call_at(begin, self._count, 1)
        moment = self._random.random() if self.moment is None else self.moment
        loop.call_at(begin + moment * (end - begin), self._do, loop, call, future, end)
        return future

    def _count(self, change: int) -> None:
        self.running += change
        self.most_at_once = max(self.most_at_once, self.running)

    def _do(self, loop: SimLoop, call: Callable[[], T], future: asyncio.Future[T], end: float) -> None:
        if self.dead:
            return
        try:
            loop.call_at(end, self._deliver, future, call(), None)
        except Exception as error:  # what a thread's future would carry
            loop.call_at(end, self._deliver, future, None, error)

    def _deliver(self, future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
        self._count(-1)
        if future.done() or self.dead:
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


class SimLoop(asyncio.SelectorEventLoop):
    """See the module's text. ``time`` begins at START_S, the wall clock at WALL_S."""

    def __init__(self) -> None:
        self._now_s = START_S
        super().__init__(_Jump(self._pass))

    def _pass(self, seconds: float) -> None:
        self._now_s += seconds

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def wall(self) -> float:
        """Virtual Unix time in seconds."""
        return WALL_S + self._now_s - START_S

    def wall_ns(self) -> int:
        """Virtual Unix time in nanoseconds."""
        return round(self.wall() * 1e9)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Let the lane run the call; any other executor is an error, for a real thread knows no virtual time."""
        assert isinstance(executor, Lane), "a simulation needs lanes as executors"
        return executor.run(self, lambda: func(*args))


def simulate(scenario: Callable[[], Coroutine[Any, Any, T]], loop: SimLoop | None = None) -> T:
    """Run a scenario to its end in virtual time; the clocks of ``time`` that the server reads are the loop's meanwhile."""
    sim = loop or SimLoop()
    with (
        mock.patch("time.monotonic", sim.time),
        mock.patch("time.time", sim.wall),
        mock.patch("time.time_ns", sim.wall_ns),
        asyncio.Runner(loop_factory=lambda: sim) as runner,
    ):
        return runner.run(scenario())
