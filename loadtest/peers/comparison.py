"""All servers in one run: what each cost, and whether this server keeps what its documentation says of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, Final, NamedTuple

import msgspec

from loadtest import report
from loadtest.peers.catalogue import BARRAGE
from loadtest.peers.stages import MeteredStage
from loadtest.processes import Usage, doubts
from loadtest.report import Machine
from loadtest.scenarios.fanout import fanout
from loadtest.truth import summary

EXIT_BROKEN_DUTY: Final = 99
"""A duty does not hold; the code that load tools use for a threshold."""
P99_MAX_MS: Final = 100.0


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One server, in one variant, at one rate. ``doubts`` says why there are no figures; ``broken_rules`` counts what was altered,
    doubled, out of order, or (this server) anything that the other load tests check as well. ``rounds`` are the cells behind
    figures that are medians; those without figures among them count for nothing but are told."""

    server: str
    variant: str
    rate: float
    doubts: list[str] = []
    broken_rules: dict[str, int] = {}
    figures: dict[str, float] = {}
    generator: dict[str, Any] = {}
    rounds: list[Cell] = []

    @property
    def name(self) -> str:
        """Server and variant."""
        return self.server if self.variant == "plain" else f"{self.server}, {self.variant}"

    @property
    def valid(self) -> bool:
        """Its figures can be believed."""
        return bool(self.figures) and not self.doubts

    def spread(self, figure: str) -> tuple[float, float] | None:
        """The least and the most that any round found; None: there was one round."""
        found = [each.figures[figure] for each in self.rounds if each.valid]
        return (min(found), max(found)) if found else None

    @property
    def saturated(self) -> bool:
        """The server did not keep up."""
        return self.valid and (self.figures["cpu_share"] > 0.9 or self.figures["loss_share"] > 0.01)


def median_of(rounds: list[Cell]) -> Cell:
    """One cell for several rounds of the same server, variant and rate: of each figure the median of the rounds that have figures,
    and whatever rule any of them broke. A cell of one round is that round."""
    if len(rounds) == 1:
        return rounds[0]
    sound = [each for each in rounds if each.valid]
    broken: Counter[str] = Counter()
    for each in rounds:
        broken.update(each.broken_rules)
    return msgspec.structs.replace(
        rounds[0],
        doubts=[] if sound else list(dict.fromkeys(doubt for each in rounds for doubt in each.doubts)),
        broken_rules=dict(broken),
        figures={name: median(each.figures[name] for each in sound) for name in sound[0].figures} if sound else {},
        generator={},
        rounds=rounds,
    )


async def measure(stage: MeteredStage, server: str, variant: str) -> Cell:
    """Let everybody in, publish, drain, and account. Raises OSError, HandshakeError, ProtocolError, ReadbackError."""
    async with stage:
        found = await fanout(stage)
        violations = await stage.judge()
        reasons = doubts(Usage.of(stage.watch.own), stage.watch.lag, stage.pacer.lateness)
        if not found["deliveries_per_s"]:
            reasons.append("nothing was delivered")
        return Cell(
            server=server,
            variant=variant,
            rate=stage.plan.rate,
            doubts=reasons,
            broken_rules=summary(violations),
            figures={} if reasons else _figures(stage, found),
            generator=stage.generator_figures(),
        )


def _figures(stage: MeteredStage, found: Mapping[str, Any]) -> dict[str, float]:
    viewers = len(stage.people)
    expected = stage.expected()
    return {
        "deliveries_per_cpu_s": found["deliveries_per_server_cpu_s"],
        "deliveries_per_s": found["deliveries_per_s"],
        "cpu_share": found["server"]["cpu_share"],
        "wait_share": found["server"]["wait_share"],
        "p50_ms": found["delivery"]["p50_ms"],
        "p99_ms": found["delivery"]["p99_ms"],
        "acknowledged_p99_ms": found["acknowledgement"]["p99_ms"],
        "loss_share": 1 - stage.received() / expected if expected else 0.0,
        "kb_per_viewer": (stage.joined_bytes - stage.empty_bytes) / 1000 / viewers,
        "kb_per_viewer_idle": (stage.idle_bytes - stage.empty_bytes) / 1000 / viewers,
        "bytes_per_delivery": found["bytes_per_delivery"],
    }


# ---------------------------------------------------------------------------------------------------------------------
# What must hold


class Duty(NamedTuple):
    """At ``rate`` comments a second, at least ``times`` the deliveries per second of processor time that ``peer`` makes."""

    rate: float
    peer: str
    times: float


DUTIES: Final = (Duty(50.0, "bun", 1.0), Duty(500.0, "bun", 5.0), Duty(500.0, "nchan", 10.0))


class Verdict(msgspec.Struct, frozen=True):
    """One duty, and what was found."""

    holds: bool
    duty: str
    found: str


def best(cells: Iterable[Cell], server: str, rate: float) -> Cell | None:
    """A server's cheapest variant at a rate; None: it has no figures there."""
    own = [cell for cell in cells if cell.valid and cell.server == server and cell.rate == rate]
    return max(own, key=lambda cell: cell.figures["deliveries_per_cpu_s"], default=None)


def verdicts(cells: list[Cell]) -> list[Verdict]:
    """Every duty that the cells can tell of."""
    found: list[Verdict] = []
    for rate, peer, times in DUTIES:
        ours, theirs = best(cells, BARRAGE, rate), best(cells, peer, rate)
        if ours is not None and theirs is not None:
            ratio = ours.figures["deliveries_per_cpu_s"] / theirs.figures["deliveries_per_cpu_s"]
            duty = f"{rate:g}/s: deliveries per CPU-second at least {times:g} times those of {peer}"
            found.append(Verdict(ratio >= times, duty, f"{ratio:.2f} times"))
    memory = {
        name: [
            cell.figures["kb_per_viewer"] for cell in cells if cell.valid and cell.server == name and cell.variant == "plain"
        ]
        for name in (BARRAGE, "bun")
    }
    if memory[BARRAGE] and memory["bun"]:
        ours_kb, theirs_kb = max(memory[BARRAGE]), min(memory["bun"])
        found.append(
            Verdict(ours_kb <= theirs_kb, "memory per viewer at most that of bun", f"{ours_kb:.1f} and {theirs_kb:.1f} KB")
        )
    slowest = max((cell.figures["p99_ms"] for cell in cells if cell.valid and cell.server == BARRAGE), default=None)
    if slowest is not None:
        found.append(Verdict(slowest < P99_MAX_MS, f"p99 under {P99_MAX_MS:g} ms", f"{slowest:.0f} ms"))
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The report


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All cells of a run. ``load`` is the machine's load average before and after it, ``missing`` says which peers were not
    there and how to get them, ``scheduling`` how the kernel ranked server and meter."""

    started: str
    command: str
    commit: str
    machine: Machine
    scheduling: str
    load: tuple[float, float]
    viewers: int
    seconds: float
    rounds: int
    read_every_ms: float
    server_cpu: int | None
    cells: list[Cell]
    missing: dict[str, str]
    verdicts: list[Verdict]

    @property
    def exit_code(self) -> int:
        """0: sound, and every duty holds. 1: a rule of truth is broken. 3: some figures are withheld. 99: a duty does not hold."""
        if any(cell.broken_rules for cell in self.cells):
            return report.EXIT_UNTRUE
        if not all(cell.valid for cell in self.cells):
            return report.EXIT_INVALID
        return report.EXIT_OK if all(verdict.holds for verdict in self.verdicts) else EXIT_BROKEN_DUTY

    def json(self) -> bytes:
        """The report as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def scheduling() -> str:
    """How the kernel ranks this process and those that it starts."""
    policy = os.sched_getscheduler(0)
    names = {os.SCHED_OTHER: "ordinary scheduling", os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_RR: "SCHED_RR"}
    rank = os.sched_getparam(0).sched_priority
    return names.get(policy, f"policy {policy}") + (f" {rank}" if rank else "")
