"""What viewers cost that do nothing: memory and processor time of the server."""

from __future__ import annotations

import asyncio
from typing import Any

from loadtest.stage import Stage


async def idle(stage: Stage) -> dict[str, Any]:
    """Everybody sits there for ``seconds``."""
    await asyncio.sleep(stage.plan.warmup_s)
    stage.notify("measuring")
    async with stage.watch:
        await asyncio.sleep(stage.plan.seconds)
    usage = stage.watch.between(*stage.window())
    figures: dict[str, Any] = {"viewers": sum(person.present for person in stage.people)}
    if usage is not None:
        figures["server"] = stage.server_figures(usage)
        grown = usage.rss_last_mb * 1e6 - stage.server_empty_bytes
        figures["server"]["rss_kb_per_viewer"] = grown / 1000 / len(stage.people)
    return figures
