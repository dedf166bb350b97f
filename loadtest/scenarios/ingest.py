"""How many comments a second are accepted: a closed model, in which each sender always has some under way."""

from __future__ import annotations

import asyncio
from typing import Any

from loadtest.ledger import Submission
from loadtest.participants import Participant
from loadtest.stage import Stage, now_s


class _Windows:
    """Keeps ``in_flight`` comments of each sender under way; what one turn of the loop answers goes out in one write."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._due: dict[Participant, int] = {}
        self.open = True

    def start(self) -> None:
        """Fill all windows."""
        for sender in self._stage.senders:
            sender.settled = self._settled
            self._due[sender] = self._stage.plan.in_flight
        self._fill()

    def _settled(self, sender: Participant, submission: Submission) -> None:
        if not self.open:
            return
        if not self._due:
            asyncio.get_running_loop().call_soon(self._fill)
        self._due[sender] = self._due.get(sender, 0) + 1

    def _fill(self) -> None:
        stage, at_s = self._stage, now_s()
        for sender, count in self._due.items():
            if sender.client is not None:
                frames = [sender.compose(stage.next_key(), next(stage.texts), at_s) for _ in range(count)]
                sender.client.write(b"".join(frames))
        self._due.clear()


async def ingest(stage: Stage) -> dict[str, Any]:
    """Send as fast as answers come for ``warmup_s`` and ``seconds``."""
    plan = stage.plan
    windows = _Windows(stage)
    stage.notify("warming up")
    windows.start()
    await asyncio.sleep(plan.warmup_s)
    async with stage.watch:
        stage.notify("measuring")
        await asyncio.sleep(plan.seconds)
    window = stage.window()
    windows.open = False
    drained = await stage.drain()
    accepted_per_s = stage.accepted_per_s(window[0], window[1] - window[0])
    figures: dict[str, Any] = {
        "drained": drained,
        "accepted_per_s": accepted_per_s,
        "acknowledgement": stage.ack_latency(window).summary(),
        **stage.traffic_figures(window, window[1] - window[0]),
        "gaps": sum(len(person.stream.gaps) for person in stage.people),
    }
    usage = stage.watch.between(*window)
    if usage is not None and accepted_per_s:
        figures["server_cpu_us_per_comment"] = usage.cpu_share / accepted_per_s * 1e6
    return figures
