"""Some viewers stop reading for a while: what do the others notice, what does the server keep, and what do they get later?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from loadtest.participants import Participant
from loadtest.stage import Stage, now_s

STALLED: Final = 1
"""Group of the viewers that stop reading."""
RECEIVE_BUFFER_BYTES: Final = 32 * 1024
"""Small, so that the server notices soon: a phone on a bad network has no more either."""


def choose_stalled(stage: Stage) -> list[Participant]:
    """Choose those who will stop reading; none of them sends. To be called before they enter."""
    plan = stage.plan
    stalled = stage.people[max(plan.senders, len(stage.people) - plan.stalled) :]
    for person in stalled:
        person.group = STALLED
        person.receive_buffer_bytes = RECEIVE_BUFFER_BYTES
    return stalled


async def stall(stage: Stage) -> dict[str, Any]:
    """``seconds`` in which all read, ``stall_s`` in which some do not, ``seconds`` in which all do again."""
    plan = stage.plan
    stalled = [person for person in stage.people if person.group == STALLED]
    stage.notify("warming up")
    posting = asyncio.create_task(stage.post(plan.warmup_s + plan.seconds + plan.stall_s + plan.seconds))
    await asyncio.sleep(plan.warmup_s)
    async with stage.watch:
        marks = [now_s()]
        stage.notify("all read")
        await asyncio.sleep(plan.seconds)
        marks.append(now_s())
        stage.notify(f"{len(stalled)} viewers do not read")
        set_reading(stalled, reading=False)
        await asyncio.sleep(plan.stall_s)
        marks.append(now_s())
        stage.notify("all read again")
        set_reading(stalled, reading=True)
        await posting
        drained = await stage.drain()
    marks.append(stage.window()[1])
    before, during, after = [stage.latency((marks[i], marks[i + 1])).summary() for i in range(3)]
    gaps = [last - first + 1 for person in stalled for first, last in person.stream.gaps]
    figures: dict[str, Any] = {
        "drained": drained,
        "others_before": before,
        "others_during": during,
        "others_after": after,
        "others_p99_change": during["p99_ms"] / before["p99_ms"] - 1 if before["p99_ms"] else 0.0,
        "others_gaps": sum(len(person.stream.gaps) for person in stage.people if person.group != STALLED),
        "stalled": len(stalled),
        "stalled_still_there": sum(person.present for person in stalled),
        "stalled_with_gap": sum(bool(person.stream.gaps) for person in stalled),
        "gap_events": {"least": min(gaps, default=0), "most": max(gaps, default=0)},
        **stage.traffic_figures((marks[0], marks[3]), 2 * plan.seconds + plan.stall_s),
    }
    for name, start, end in (("before", 0, 1), ("during", 1, 2), ("after", 2, 3)):
        usage = stage.watch.between(marks[start], marks[end])
        if usage is not None:
            figures[f"server_rss_max_mb_{name}"] = usage.rss_max_mb
        buffers = [size for at_s, size in stage.watch.tcp if marks[start] <= at_s <= marks[end]]
        figures[f"kernel_tcp_max_mb_{name}"] = max(buffers, default=0) / 1e6
    return figures


def set_reading(people: Sequence[Participant], *, reading: bool) -> None:
    """Let these people read again, or stop reading; those without a connection are left alone."""
    for person in people:
        transport = person.client.transport if person.client is not None else None
        if transport is None:
            continue
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()
