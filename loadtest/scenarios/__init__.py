"""The scenarios of the meter. Each is given a stage with its people in the room, and returns figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from loadtest import report
from loadtest.plan import Plan
from loadtest.processes import Usage, doubts
from loadtest.report import Report
from loadtest.scenarios.churn import churn
from loadtest.scenarios.fanout import fanout
from loadtest.scenarios.idle import idle
from loadtest.scenarios.ingest import ingest
from loadtest.scenarios.stall import choose_stalled, stall
from loadtest.stage import Notify, Stage


class Scenario(NamedTuple):
    """``defaults`` are the plan's parameters that differ from its own defaults; ``groups`` of viewers are kept
    apart; ``prepare`` is called before anybody enters."""

    run: Callable[[Stage], Awaitable[dict[str, Any]]]
    defaults: Mapping[str, Any]
    help: str
    groups: int = 1
    prepare: Callable[[Stage], object] = lambda stage: None


SCENARIOS: Final[dict[str, Scenario]] = {
    "fanout": Scenario(fanout, {}, "Viewers read a room to which comments come at a steady rate."),
    "ingest": Scenario(
        ingest,
        {"viewers": 100, "senders": 100},
        "How many comments a second are accepted when senders always have some under way.",
    ),
    "stall": Scenario(
        stall,
        {"rate": 1000.0},
        "Some viewers stop reading for a while; what do the others notice, and what do they get?",
        2,
        choose_stalled,
    ),
    "idle": Scenario(idle, {"viewers": 5000, "senders": 0}, "What viewers cost that do nothing."),
    "churn": Scenario(
        churn,
        {"viewers": 200, "rate": 200.0, "seconds": 60.0},
        "Viewers are cut off at random moments and come back; gaps are filled.",
    ),
}


async def run(name: str, plan: Plan, notify: Notify = lambda text: None) -> Report:
    """Run a scenario and judge it. Raises OSError, HandshakeError, ProtocolError when people cannot enter; ReadbackError."""
    scenario = SCENARIOS[name]
    stage = Stage(plan, notify, scenario.groups)
    scenario.prepare(stage)
    async with stage:
        figures = await scenario.run(stage)
        violations = await stage.judge()
        return report.make(
            name,
            plan,
            doubts=doubts(Usage.of(stage.watch.own), stage.watch.lag, stage.pacer.lateness),
            violations=violations,
            figures={**stage.comment_figures(), **figures},
            generator=stage.generator_figures(),
        )
