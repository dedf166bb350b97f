"""The command ``peers``: start each server, measure it, stop it, and compare."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import uvloop
from rich.console import Console

from loadtest import report
from loadtest.frames import HandshakeError, ProtocolError
from loadtest.launch import collect_rarely
from loadtest.local import UNBOUND, LocalServer
from loadtest.peers import table
from loadtest.peers.catalogue import BARRAGE, PEERS, Launch, MissingError
from loadtest.peers.comparison import Cell, Comparison, measure, median_of, scheduling, verdicts
from loadtest.peers.process import PeerProcess, StartError, free_port
from loadtest.peers.stages import READ_EVERY_S, MeteredStage, PeerStage
from loadtest.plan import Plan
from loadtest.readback import ReadbackError

SENDERS: Final = 50
"""Authors of this server's comments; they are viewers as well. A peer has one publisher."""
OWN_VARIANTS: Final = ("plain", "deflate")


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all servers. ``server_cpu`` None: not pinned."""

    viewers: int
    seconds: float
    warmup_s: float
    drain_s: float
    read_every_s: float
    server_cpu: int | None
    notify: Callable[[str], None]

    def plan(self, rate: float, variant: str, **where: Any) -> Plan:
        """One cell's plan."""
        return Plan(
            viewers=self.viewers, seconds=self.seconds, warmup_s=self.warmup_s, drain_s=self.drain_s, rate=rate,
            deflate=variant == "deflate", **where,
        )  # fmt: skip


def measure_peer(name: str, variant: str, rate: float, course: Course) -> Cell:
    """Start a peer for this cell alone. Raises MissingError; a cell that fails otherwise says so in its doubts."""
    peer = PEERS[name]
    with tempfile.TemporaryDirectory(prefix="barrage-peer-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # a worker may run as another user
        port = free_port()
        command = peer.command(Launch(folder, port, variant))
        try:
            with PeerProcess(command, port, folder, course.server_cpu) as process:
                plan = course.plan(rate, variant, url=process.url, senders=0, server_pid=process.pid)
                stage = PeerStage(plan, peer.dialect, course.notify, course.read_every_s)
                return _finish(stage, name, variant)
        except (StartError, OSError, HandshakeError, ProtocolError) as error:
            return _failed(name, variant, rate, error)


def measure_barrage(variant: str, rate: float, course: Course) -> Cell:
    """Start this server as it is shipped, for this cell alone."""
    with tempfile.TemporaryDirectory(prefix="barrage-peer-") as folder:
        server = LocalServer(Path(folder), cpu=course.server_cpu, settings=UNBOUND)
        try:
            server.start()
            plan = course.plan(
                rate,
                variant,
                url=server.url,
                data_dir=server.data_dir,
                server_pid=server.pid,
                senders=min(SENDERS, course.viewers),
            )
            return _finish(MeteredStage(plan, course.notify, course.read_every_s), BARRAGE, variant)
        except (RuntimeError, OSError, HandshakeError, ProtocolError, ReadbackError) as error:
            return _failed(BARRAGE, variant, rate, error)
        finally:
            server.stop()


def _finish(stage: MeteredStage, server: str, variant: str) -> Cell:
    gc.collect()
    return uvloop.run(measure(stage, server, variant))


def _failed(server: str, variant: str, rate: float, error: Exception) -> Cell:
    return Cell(server=server, variant=variant, rate=rate, doubts=[f"failed: {str(error) or type(error).__name__}"])


def chosen(only: tuple[str, ...]) -> list[tuple[str, str]]:
    """Servers and variants: all, or those named (``bun``, ``bun:deflate``). Raises ValueError."""
    everything = [(BARRAGE, variant) for variant in OWN_VARIANTS]
    everything += [(name, variant) for name, peer in PEERS.items() for variant in peer.variants]
    names = {name for name, _ in everything} | {f"{name}:{variant}" for name, variant in everything}
    for name in only:
        if name not in names:
            raise ValueError(
                f"{name!r} is not known. Known: {', '.join([BARRAGE, *PEERS])}, and those with a variant, such as bun:deflate."
            )
    return [pair for pair in everything if not only or pair[0] in only or ":".join(pair) in only]


def compare(
    pairs: list[tuple[str, str]], rates: tuple[float, ...], course: Course, tell: Callable[[Cell], None], rounds: int = 1
) -> tuple[list[Cell], dict[str, str]]:
    """Measure every server at every rate, the lower rates first; also returns what is missing, by server.

    In each of the ``rounds`` at a rate every server has its turn, so that a slow hour of the machine is an hour of them all.
    A variant that was saturated at a lower rate, and is not its server's first one, is not tried at a higher rate.
    """
    cells: list[Cell] = []
    missing: dict[str, str] = {}
    spent: set[tuple[str, str]] = set()
    for rate in sorted(rates):
        found: dict[tuple[str, str], list[Cell]] = {}
        for server, variant in pairs * rounds:
            if server in missing or (server, variant) in spent:
                continue
            try:
                own = server == BARRAGE
                cell = measure_barrage(variant, rate, course) if own else measure_peer(server, variant, rate, course)
            except MissingError as error:
                missing[server] = str(error)
                continue
            found.setdefault((server, variant), []).append(cell)
            tell(cell)
        for pair, measured in found.items():
            cells.append(median_of(measured))
            if cells[-1].saturated and pair[1] != "plain":
                spent.add(pair)
    return cells, missing


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Only this server, or this variant (bun:deflate); may be repeated.")
@click.option(
    "--rate", "rates", multiple=True, type=float, default=(50.0, 500.0), show_default=True, help="Comments per second."
)
@click.option("--viewers", default=1000, show_default=True, help="Connections that read the room.")
@click.option("--seconds", default=10.0, show_default=True, help="How long to measure each server at each rate.")
@click.option(
    "--rounds",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    help="How often each server has its turn at a rate; the figures are medians.",
)
@click.option("--warmup-s", default=2.0, show_default=True, help="Seconds of the same load before measuring.")
@click.option("--drain-s", default=5.0, show_default=True, help="How long to wait at most for the last deliveries.")
@click.option(
    "--read-every-ms",
    default=READ_EVERY_S * 1000,
    show_default=True,
    help="Beat at which viewers read; 0: whenever a byte comes.",
)
@click.option("--server-cpu", type=int, default=0, show_default=True, help="Core of the server.")
@click.option("--cpu", type=int, default=1, show_default=True, help="Core of the meter.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the report as Markdown.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the report as JSON to this file as well.")
def peers(
    only: tuple[str, ...],
    rates: tuple[float, ...],
    viewers: int,
    seconds: float,
    rounds: int,
    warmup_s: float,
    drain_s: float,
    read_every_ms: float,
    server_cpu: int,
    cpu: int,
    as_json: bool,
    as_markdown: bool,
    save: Path | None,
) -> None:
    """Measure this server and its peers in one run.

    Exit status: 0 sound and every duty holds, 1 a rule of truth is broken, 3 figures were withheld, 99 a duty does not hold.
    """
    console = Console(stderr=True)
    try:
        pairs = chosen(only)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None
    cores = os.sched_getaffinity(0)
    pinned = {server_cpu, cpu} <= cores
    if pinned:
        os.sched_setaffinity(0, {cpu})
    collect_rarely()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the server under test is ended too
    # Before the first server starts: the tree, or its ranking, may change while the run goes on.
    started, load = datetime.now(UTC).isoformat(timespec="seconds"), os.getloadavg()[0]
    commit, ranked = report.commit(), scheduling()
    with console.status("starting") as status:

        def tell(cell: Cell) -> None:
            figure = (
                f"{cell.figures['deliveries_per_cpu_s']:,.0f} deliveries per CPU-second"
                if cell.valid
                else "; ".join(cell.doubts)
            )
            console.print(f"{cell.name}, {cell.rate:g}/s: {figure}", highlight=False, markup=False, soft_wrap=True)

        course = Course(
            viewers=viewers, seconds=seconds, warmup_s=warmup_s, drain_s=drain_s, read_every_s=read_every_ms / 1000,
            server_cpu=server_cpu if pinned else None, notify=status.update,
        )  # fmt: skip
        cells, missing = compare(pairs, rates, course, tell, rounds)
    found = Comparison(
        started=started, command=report.command(), commit=commit, machine=report.machine(),
        scheduling=ranked if ranked == scheduling() else f"{ranked}, then {scheduling()}",
        load=(load, os.getloadavg()[0]), viewers=viewers, seconds=seconds, rounds=rounds,
        read_every_ms=read_every_ms,
        server_cpu=course.server_cpu, cells=cells, missing=missing, verdicts=verdicts(cells),
    )  # fmt: skip
    if save is not None:
        save.write_bytes(found.json())
    if as_json:
        click.echo(found.json())
    elif as_markdown:
        click.echo(table.markdown(found))
    else:
        table.show(found, Console() if sys.stdout.isatty() else Console(width=table.WIDTH))
    sys.exit(found.exit_code)
