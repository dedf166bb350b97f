"""Waiting for what happens in its own time, and measuring time, on a machine that may stand still for a second or two.

A test waits for a condition and never for a while: how long something takes is the machine's matter, unless it is what is promised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 60.0
"""How long a test waits for what must come: far longer than any machine takes. It is lost only where the test fails anyway."""
_POLL_S: Final = 0.005


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds. Raises AssertionError when it never does."""
    for _ in range(
        int(PATIENCE_S / _POLL_S)
    ):  # looks, not seconds: a process that was stopped for a while has still all of them
        if condition():
            return
        await asyncio.sleep(_POLL_S)
    raise AssertionError("it never came true")


def quickest_s(attempt: Callable[[int], float], enough_s: float, tries: int = 5) -> float:
    """The least of the times that several attempts took, each of which gets its number and gives its seconds; no more are made
    once one took less than ``enough_s``.

    A promise such as "within a second" is broken in every attempt by a server that waits for something; a machine or a disk that
    stands still spoils one of them.
    """
    least_s = float("inf")
    for number in range(tries):
        least_s = min(least_s, attempt(number))
        if least_s < enough_s:
            break
    return least_s
