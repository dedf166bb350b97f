"""The commands ``run`` and ``compare``: a scenario file is played, judged and reported; two results are held side by side."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtest import fleet, outcome, page, report, spec
from loadtest.arena import Arena
from loadtest.comparing import Comparison
from loadtest.conduct import Conductor, Snapshot
from loadtest.launch import finish, pin, settings_of, with_server
from loadtest.outcome import Result
from loadtest.spec import BadScenario, Scenario

_path = click.Path(path_type=Path, dir_okay=False)


class Board:
    """What is shown on the terminal while a run goes on."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._said = ""
        self._snapshot: Snapshot | None = None

    def notify(self, text: str) -> None:
        """What is going on, in a few words."""
        self._said = text

    def show(self, snapshot: Snapshot) -> None:
        """How the run stands."""
        self._snapshot, self._said = snapshot, snapshot.phase

    def __rich__(self) -> Group:
        line = Text.assemble((self._title, "bold"), "  ", self._said)
        if self._snapshot is None:
            return Group(line)
        now = self._snapshot
        table = Table.grid(padding=(0, 3))
        table.add_row(
            f"sent {now.sent:,}", f"acknowledged {now.acked:,}", f"refused {now.refused:,}", f"waiting {now.waiting:,}",
            f"viewers {now.viewers:,}",
        )  # fmt: skip
        table.add_row(
            f"ack p99 {now.ack_p99_ms:,.0f} ms", f"in gaps {now.gap_events:,}",
            "server not watched" if now.server_cpu is None else f"server {now.server_cpu:.0%} of a core",
            "" if now.server_rss_mb is None else f"{now.server_rss_mb:,.0f} MB", f"generator {now.generator_cpu:.0%}",
        )  # fmt: skip
        bar = ProgressBar(total=now.total_s, completed=min(now.elapsed_s, now.total_s), width=60)
        return Group(line, bar, table)


@click.command(epilog="Shipped scenarios: " + ", ".join(spec.names()))
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--url", help="Server to test, such as http://127.0.0.1:8080; without it one is started on this machine.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The server's data folder: keys of tokens and operators.")
@click.option("--token-secret-file", type=_path, help="File with the secret of the server's HS256 tokens.")
@click.option("--operator-key-file", type=_path, help="The server's operator.key: to make rooms and take comments down.")
@click.option("--server-pid", type=int, help="The server's process, when it runs on this machine; else /metrics is read.")
@click.option("--report", "html", type=_path, help="Write the report to this file (HTML).")
@click.option("--json", "json_file", type=_path, help="Write the result to this file (JSON).")
@click.option("--scale", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Times as many people.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="All phases together take this long.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Processes of the generator: one speaks, the others are readers of large rooms.")  # fmt: skip
@click.option("--cpu", type=int, help="Core of the generator. [1 with a server of our own, where there is one]")
@click.option("--server-cpu", type=int, help="Core of a server of our own. [0]")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Setting of a server of our own; may be repeated.")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder of a server of our own, to keep; else a temporary one.")
def run(scenario: Path, url: str | None, scale: float, seconds: float | None, **options: Any) -> None:
    """Play SCENARIO (a TOML file, or the name of a shipped one), judge its thresholds, and check the truth.

    Exit status: 0 sound; 99 a threshold or a rule of truth is broken; 3 the generator was saturated, so that the figures say
    nothing; 2 the input is not right; 1 it did not work.
    """
    try:
        play = spec.resize(spec.read(scenario), scale, seconds)
    except BadScenario as error:
        raise click.UsageError(str(error)) from None
    try:
        parts = fleet.deal(play, options["processes"]) if options["processes"] > 1 else [play]
    except BadScenario as error:
        raise click.UsageError(str(error)) from None
    play_it = _player(parts, scenario.name.removesuffix(".toml"), play, scale, options)
    if url is not None:
        if options["pairs"] or options["folder"]:
            raise click.UsageError("--set and --folder concern a server of our own: leave out --url.")
        pin(options["cpu"])
        sys.exit(play_it(url, options["data_dir"], options["server_pid"]))
    cores = sorted(os.sched_getaffinity(0))
    server_cpu = cores[0] if options["server_cpu"] is None else options["server_cpu"]
    cpu = cores[-1] if options["cpu"] is None else options["cpu"]
    with_server(
        options["folder"], server_cpu, cpu, settings_of(options["pairs"], play.settings()),
        lambda server: play_it(server.url, server.data_dir, server.pid),
    )  # fmt: skip


def _player(parts: list[Scenario], name: str, scenario: Scenario, scale: float, options: dict[str, Any]) -> Any:
    """What plays the scenario against a server, reports, and returns the exit status."""

    def play(url: str, data_dir: Path | None, server_pid: int | None) -> int:
        board = Board(scenario.title)
        with Live(board, console=Console(stderr=True), refresh_per_second=4, transient=True):
            if len(parts) > 1:
                result = _play_together(parts, name, scenario, scale, url, data_dir, server_pid, options, board)
            else:
                result = finish(_play(name, scenario, scale, url, data_dir, server_pid, options, board))
        if options["json_file"] is not None:
            options["json_file"].write_bytes(result.json())
        if options["html"] is not None:
            options["html"].write_text(page.render(result), encoding="utf-8")
        show(result, Console())
        return result.exit_code

    return play


def _play_together(
    parts: list[Scenario],
    name: str,
    scenario: Scenario,
    scale: float,
    url: str,
    data_dir: Path | None,
    server_pid: int | None,
    options: dict[str, Any],
    board: Board,
) -> Result:
    """Play the parts of a scenario in a process each: the first on this one's core, the others on those that are left."""
    here = sorted(os.sched_getaffinity(0))
    others = [core for core in range(os.cpu_count() or 1) if core not in {*here, options["server_cpu"] or 0}] or here
    try:
        arena = Arena(
            scenario, url, data_dir=data_dir, token_secret_file=options["token_secret_file"],
            operator_key=options["operator_key_file"],
        )  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    orders = [
        fleet.Order(
            rank=rank, scenario=part, url=url, data_dir=_text(data_dir), token_secret_file=_text(options["token_secret_file"]),
            operator_key=_text(options["operator_key_file"]), server_pid=server_pid,
            cpu=others[rank % len(others)] if rank else here[0],
        )
        for rank, part in enumerate(parts)
    ]  # fmt: skip
    return fleet.Fleet(orders, arena, board.show, board.notify).run(name, url, scale)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


async def _play(
    name: str,
    scenario: Scenario,
    scale: float,
    url: str,
    data_dir: Path | None,
    server_pid: int | None,
    options: dict[str, Any],
    board: Board,
) -> Result:
    try:
        arena = Arena(
            scenario,
            url,
            data_dir=data_dir,
            token_secret_file=options["token_secret_file"],
            operator_key=options["operator_key_file"],
            notify=board.notify,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    async with arena:
        return await Conductor(arena, server_pid, board.show, board.notify).run(name, url, scale)


def show(result: Result, console: Console) -> None:
    """Print what a run came to."""
    colour = {0: "green", outcome.EXIT_BROKEN: "red"}.get(result.exit_code, "yellow")
    console.print(f"[bold]{result.title}[/]: [bold {colour}]{result.verdict}[/]", soft_wrap=True)
    table = Table(show_header=True)
    for head in ("threshold", "where", "asked", "found", ""):
        table.add_column(head)
    for each in result.judgements:
        sign = "at least" if each.name in spec.MINIMA else "at most"
        mark = {True: "[green]holds[/]", False: "[red]broken[/]", None: "[yellow]not measured[/]"}[each.holds]
        table.add_row(
            each.name,
            each.where or "whole run",
            f"{sign} {each.limit:,.6g}",
            "" if each.value is None else f"{each.value:,.4g}",
            mark,
        )
    if result.judgements:
        console.print(table)
    figures = Table(show_header=False, title="figures", title_justify="left")
    for name, count in result.counts.items():
        figures.add_row(name, f"{count:,}")
    for name, value in result.figures.items():
        if value is not None:
            figures.add_row(name.replace("_", " "), f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}")
    for code, count in result.refusals.items():
        figures.add_row(f"refused: {code}", f"{count:,}")
    console.print(figures)
    if result.by_rooms:
        console.print(_rooms_table(result))
    for doubt in result.doubts:
        console.print(f"[bold yellow]invalid[/]: {doubt}; what was timed is withheld", soft_wrap=True)
    for note in result.notes:
        console.print(note, soft_wrap=True, highlight=False)
    report.show_violations(result.violations, result.broken_rules, console)


def _rooms_table(result: Result) -> Table:
    """p50 and p99 of deliveries by kind of rooms, phase by phase."""
    table = Table(title="delivery by rooms, p50 and p99 in ms", title_justify="left")
    phases = list(result.by_rooms[0].phases)
    for head in ("rooms", "whole run", *phases, "rise"):
        table.add_column(head, justify="left" if head == "rooms" else "right")
    for each in result.by_rooms:
        rise = each.figures["p99_rise"]
        cells = [_two(figures) for figures in (each.figures, *(each.phases[phase] for phase in phases))]
        table.add_row(each.name, *cells, "" if rise is None else f"{rise:.2f}x")
    return table


def _two(figures: outcome.Figures) -> str:
    return " / ".join("-" if figures[name] is None else f"{figures[name]:,.0f}" for name in ("p50_ms", "p99_ms"))


@click.command()
@click.argument("before", type=_path)
@click.argument("after", type=_path)
@click.option("--report", "html", type=_path, help="Write the comparison to this file as well (HTML).")
def compare(before: Path, after: Path, html: Path | None) -> None:
    """Hold two results of `run --json` side by side, as ratios. Exit status 2 when one of them is none."""
    try:
        both = Comparison.of(outcome.load(before), outcome.load(after))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    console = Console()
    table = Table(title=both.title, title_justify="left")
    for head in ("figure", before.name, after.name, "ratio", ""):
        table.add_column(head, justify="left" if head in {"figure", ""} else "right")
    for row in both.rows:
        colour = {"better": "green", "worse": "red"}.get(row.change, "")
        table.add_row(
            row.name, row.before_text, row.after_text, row.ratio_text, f"[{colour}]{row.change}[/]" if colour else row.change
        )
    console.print(table)
    for note in both.notes:
        console.print(note, soft_wrap=True, highlight=False)
    if html is not None:
        html.write_text(page.render_comparison(both), encoding="utf-8")
