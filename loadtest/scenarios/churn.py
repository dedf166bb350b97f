"""Viewers are cut off at random moments and come back with ``since``; gaps are filled from the history interface."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from loadtest.messages import LogEvent
from loadtest.participants import Participant, until
from loadtest.readback import Reader
from loadtest.stage import Stage, now_s
from loadtest.truth import Stream, Violation


async def churn(stage: Stage) -> dict[str, Any]:
    """Post for ``seconds`` while everybody is cut off every now and then; then fill the gaps and compare with the log."""
    plan = stage.plan
    for person in stage.people:
        person.stay = True
    cuts: list[float] = []
    cutters = [asyncio.create_task(_cut_now_and_then(stage, person, cuts)) for person in stage.people]
    stage.notify("cutting connections")
    async with stage.watch:
        await stage.post(plan.seconds)
        for cutter in cutters:
            cutter.cancel()
        await asyncio.gather(*cutters, return_exceptions=True)
        back = await until(lambda: all(person.present for person in stage.people), plan.away_max_s + plan.drain_s)
        drained = await stage.drain()
        filled = await fill_gaps(stage)
    gaps = [last - first + 1 for person in stage.people for first, last in person.stream.gaps]
    return {
        "cuts": len(cuts),
        "all_came_back": back,
        "drained": drained,
        "gaps": len(gaps),
        "gap_events": sum(gaps),
        "gap_events_filled": filled,
        **stage.traffic_figures(stage.window(), plan.seconds),
    }


async def _cut_now_and_then(stage: Stage, person: Participant, cuts: list[float]) -> None:
    """Until cancelled; notes each cut. Most come back at once, every fourth stays away for longer."""
    dice = random.Random(f"{stage.plan.seed}-{person.index}")  # noqa: S311 -- a repeatable run is meant
    while True:
        await asyncio.sleep(dice.expovariate(1 / stage.plan.cut_every_s))
        if person.present:
            person.away_s = dice.uniform(0, stage.plan.away_max_s) if dice.random() < 0.25 else 0.0
            person.cut()
            cuts.append(now_s())


async def fill_gaps(stage: Stage) -> int:
    """Read every gap from the history, as a client would; what is still missing then is a violation. Returns events filled."""
    history: dict[int, LogEvent] = {}
    filled = 0
    async with Reader(stage.site.origin, stage.plan.room) as reader:
        head = max((person.stream.last for person in stage.people), default=stage.base)
        for person in stage.people:
            have = person.stream.received
            for first, last in person.stream.gaps:
                if not all(number in history for number in range(first, last + 1)):
                    history.update({event.seq: event for event in (await reader.log(first - 1, last)).events})
                found = [number for number in range(first, last + 1) if number in history]
                filled += len(found)
                have += [(number, number) for number in found]
            missing = uncovered(have, stage.base + 1, head)
            if missing:
                person.stream.violations.append(_incomplete(person.stream, missing))
    return filled


def _incomplete(stream: Stream, missing: list[tuple[int, int]]) -> Violation:
    return Violation("stream_hole", f"{stream.name}: {missing[:3]} neither came nor could be read from the history")


def uncovered(runs: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """What of ``first`` to ``last`` lies in none of the runs (ends included), as runs."""
    missing = []
    for start, end in sorted(runs):
        if start > first:
            missing.append((first, min(start - 1, last)))
        first = max(first, end + 1)
        if first > last:
            break
    if first <= last:
        missing.append((first, last))
    return missing
