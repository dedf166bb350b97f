"""The command line: ``python -m loadtest run | compare | micro | long-log | bench | local | replay | peers``."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from loadtest import report, scenarios
from loadtest.launch import finish, pin, settings_of, with_server
from loadtest.local import LocalServer
from loadtest.long_log import long_log
from loadtest.micro import micro
from loadtest.peers.cli import peers
from loadtest.plan import Plan
from loadtest.replay import Outcome, Replay, Speed, read_lines
from loadtest.run_cli import compare, run
from loadtest.scenarios import SCENARIOS
from loadtest.site import Mint, Site
from loadtest.truth import summary

Command = TypeVar("Command", bound=Callable[..., Any])

# Progress and messages go to standard error: standard output is the report, also as JSON.
_console = Console(stderr=True)


@click.group()
def main() -> None:
    """Load tests that check truth as well as speed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def plan_options(*without: str) -> Callable[[Command], Command]:
    """One option for each parameter of the plan; what is not given keeps the scenario's default."""

    def decorate(command: Command) -> Command:
        for field in reversed(msgspec.structs.fields(Plan)):
            if field.name in without:
                continue
            kind, meta = get_args(field.type)
            option = "--" + field.name.replace("_", "-")
            if kind is bool:
                option = f"{option}/--no-{option[2:]}"
            command = click.option(
                option,
                field.name,
                type=_click_type(kind),
                default=None,
                required=field.required,
                help=f"{meta.description} [{_shown(field.default)}]" if not field.required else meta.description,
            )(command)
        return command

    return decorate


def _shown(default: object) -> str:
    return "on" if default is True else "off" if default is False else "none" if default is None else f"{default}"


def _click_type(kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if Path in (kind, *get_args(kind)):
        return click.Path(path_type=Path)
    return int if int in get_args(kind) else kind


def _plan(name: str, given: dict[str, Any]) -> Plan:
    values = {key: value for key, value in given.items() if value is not None}
    return Plan(**{**SCENARIOS[name].defaults, **values})


_cpu = click.option("--cpu", type=int, help="Core to run on; give the server another one (taskset -c, or --server-cpu).")
_json = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
_save = click.option("--save", type=click.Path(path_type=Path), help="Write the report as JSON to this file as well.")
_name = click.argument("name", type=click.Choice(list(SCENARIOS)))

_NAMES = "\n\n".join(["\b\n" + "\n".join(f"{name:8} {scenario.help}" for name, scenario in SCENARIOS.items())])


@main.command(epilog=_NAMES)
@_name
@_cpu
@_json
@_save
@plan_options()
def bench(name: str, cpu: int | None, as_json: bool, save: Path | None, **given: Any) -> None:
    """Measure a running server. Exit status: 0 sound, 1 a rule of truth is broken, 3 the generator was saturated."""
    pin(cpu)
    sys.exit(_bench(name, _plan(name, given), as_json, save))


def _bench(name: str, plan: Plan, as_json: bool, save: Path | None) -> int:
    with _console.status(name) as status:
        found = finish(scenarios.run(name, plan, lambda text: status.update(f"{name}: {text}")))
    if save is not None:
        save.write_bytes(found.json())
    if as_json:
        click.echo(found.json())
    else:
        report.show(found, Console())
    return found.exit_code


_server_cpu = click.option("--server-cpu", type=int, default=0, show_default=True, help="Core of the server.")
_own_cpu = click.option("--cpu", type=int, default=1, show_default=True, help="Core of the generator.")
_set = click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Setting of the server; may be repeated.")
_folder = click.option("--folder", type=click.Path(path_type=Path), help="Folder to work in and to keep; else a temporary one.")


@main.command(epilog=_NAMES)
@_name
@_server_cpu
@_own_cpu
@_set
@_folder
@_json
@_save
@plan_options("url", "data_dir", "token_secret_file", "server_pid")
def local(
    name: str,
    server_cpu: int,
    cpu: int,
    pairs: tuple[str, ...],
    folder: Path | None,
    as_json: bool,
    save: Path | None,
    **given: Any,
) -> None:
    """Start a server on a core of its own, measure it, and stop it. Limits for honest people are lifted by settings."""

    def work(server: LocalServer) -> int:
        plan = _plan(name, {**given, "url": server.url, "data_dir": server.data_dir, "server_pid": server.pid})
        return _bench(name, plan, as_json, save)

    with_server(folder, server_cpu, cpu, settings_of(pairs), work)


# ---------------------------------------------------------------------------------------------------------------------
# Replay

_replay_options = (
    click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), required=True, help="CSV with comments."),
    click.option("--room", default="demo", show_default=True, help="Room to send to."),
    click.option("--speed", default="x1", show_default=True, help="Comments per second (2000), or times as fast (x60)."),
    click.option("--viewers", default=1, show_default=True, help="Readers beside the users."),
    click.option("--deflate/--no-deflate", default=True, show_default=True, help="Offer permessage-deflate, as browsers do."),
    click.option("--per-address", default=100, show_default=True, help="Connections from one source address; 0: one for all."),
    click.option("--entry-per-s", default=500.0, show_default=True, help="New connections per second."),
    click.option("--settle-s", default=60.0, show_default=True, help="How long to wait at most for answers and deliveries."),
    click.option("--patience-s", default=10.0, show_default=True, help="How long to try again what is refused for a time."),
    click.option("--alone/--not-alone", default=True, show_default=True, help="Nobody else posts in the room meanwhile."),
)


def replay_options(command: Command) -> Command:
    """What both forms of the replay take."""
    for option in reversed(_replay_options):
        command = option(command)
    return command


@main.command()
@click.option("--url", required=True, help="Address of the server, such as http://127.0.0.1:8080.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The server's data folder; tokens are signed with its token.key."
)
@click.option("--token-secret-file", type=click.Path(path_type=Path), help="File with the secret of the server's HS256 tokens.")
@_cpu
@_json
@replay_options
def replay(
    url: str, data_dir: Path | None, token_secret_file: Path | None, cpu: int | None, as_json: bool, **given: Any
) -> None:
    """Send a file of comments as the people who wrote them, and account for every one.

    Exit status: 0 when every comment was answered and log, acknowledgements, live frames and static pages agree; else 1.
    """
    pin(cpu)
    try:
        mint = Mint.of(data_dir, token_secret_file)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(_replay(url, mint, as_json, **given))


@main.command(name="local-replay")
@_server_cpu
@_own_cpu
@_set
@_folder
@_json
@replay_options
def local_replay(server_cpu: int, cpu: int, pairs: tuple[str, ...], folder: Path | None, as_json: bool, **given: Any) -> None:
    """Start a server on a core of its own, replay a file into it, and stop it."""
    with_server(
        folder,
        server_cpu,
        cpu,
        settings_of(pairs),
        lambda server: _replay(server.url, Mint.of(server.data_dir), as_json, **given),
    )


def _replay(
    url: str,
    mint: Mint,
    as_json: bool,
    *,
    file: Path,
    room: str,
    speed: str,
    viewers: int,
    deflate: bool,
    per_address: int,
    entry_per_s: float,
    settle_s: float,
    patience_s: float,
    alone: bool,
) -> int:
    try:
        lines, pace = read_lines(file), Speed.of(speed)
        site = Site.of(url, room, deflate=deflate, per_address=per_address)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console, transient=True) as progress:
        task = progress.add_task("entering", total=None)
        step = lambda text, done, total: progress.update(task, description=text, completed=done, total=total)  # noqa: E731
        outcome = finish(
            Replay(
                site,
                mint,
                lines,
                pace,
                viewers=viewers,
                entry_per_s=entry_per_s,
                settle_s=settle_s,
                patience_s=patience_s,
                alone=alone,
                step=step,
            ).run()
        )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_as_object(outcome)), indent=2))
    else:
        _show_replay(outcome, Console())
    return outcome.exit_code


def _as_object(outcome: Outcome) -> dict[str, Any]:
    return {
        "command": report.command(),
        "commit": report.commit(),
        "machine": report.machine(),
        "true": not outcome.violations,
        "counts": outcome.counts,
        "broken_rules": summary(outcome.violations),
        "violations": outcome.violations[: report.VIOLATIONS_MAX],
    }


def _show_replay(outcome: Outcome, console: Console) -> None:
    table = Table(title="replay", title_justify="left", show_header=False)
    for name, value in msgspec.structs.asdict(outcome.counts).items():
        if isinstance(value, dict):
            for code, count in value.items():
                table.add_row(f"  {code}", f"{count:,}")
        else:
            table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:,.1f}")
    console.print(table)
    report.show_violations(outcome.violations, summary(outcome.violations), console)


for _command in (run, compare, micro, long_log, peers):
    main.add_command(_command)

if __name__ == "__main__":
    main()
