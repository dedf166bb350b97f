"""Viewers read a room to which comments come at a steady rate, whatever the server does."""

from __future__ import annotations

import asyncio
from typing import Any

from loadtest.stage import Stage


async def fanout(stage: Stage) -> dict[str, Any]:
    """Post for ``warmup_s`` and ``seconds``; the clock stops when everybody has everything."""
    plan = stage.plan
    stage.notify("warming up")
    posting = asyncio.create_task(stage.post(plan.warmup_s + plan.seconds))
    await asyncio.sleep(plan.warmup_s)
    async with stage.watch:
        stage.notify("measuring")
        await posting
        drained = await stage.drain()
    window = stage.window()
    return {
        "drained": drained,
        "accepted_per_s": stage.accepted_per_s(window[0], plan.seconds),
        "delivery": stage.latency(window).summary(),
        "acknowledgement": stage.ack_latency(window).summary(),
        **stage.traffic_figures(window, plan.seconds),
        "gaps": sum(len(person.stream.gaps) for person in stage.people),
    }
