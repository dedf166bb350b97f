"""The command line: ``barrage`` or ``python -m server``."""

from __future__ import annotations

import time

import click

from server import __version__, accounts_cli, authority_cli, review_cli, staff_cli
from server import settings as settings_table
from server.accounts.identity import Tokens
from server.cli import Commands, quiet_logs, with_settings
from server.commands import COMMANDS
from server.control import check_user
from server.errors import ConfigError
from server.screening_cli import screen
from server.settings import Settings


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="barrage")
def main() -> None:
    """Barrage: comments that fly over a video and stand on static pages of the same site at the same moment."""


@main.command()
@click.option("--host", help="Address to listen on (setting host).")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one (setting port).")
@click.option("--demo", is_flag=True, default=None, help="Make a demo room and hand out tokens to anyone (setting demo).")
@with_settings("host", "port", "demo")
def serve(settings: Settings) -> None:
    """Run the server until it is told to stop (SIGTERM, or Ctrl-C)."""
    from server import app  # all parts: the other commands start faster without them

    def ready(url: str) -> None:
        click.echo(f"Barrage listening on {url}")
        if settings.demo:
            click.echo(f"Demo room: {url}/rooms/{settings.demo_room}")
            click.echo("To post, sign up there with any mobile number, such as 13800138000: its code appears here.")

    app.serve(settings, ready)


@main.command()
@click.option("--subject", required=True, help="The account; never shown to anyone.")
@click.option("--nickname", required=True, help="The name that is shown.")
@click.option("--ttl", type=click.IntRange(1, 366 * 86_400), default=86_400, show_default=True, help="Life in seconds.")
@click.option("--role", type=click.Choice(["uploader", "reviewer"]), help="A role of the account.")
@click.option("--unverified", is_flag=True, help="An account that may read and not post.")
@with_settings()
def token(subject: str, nickname: str, ttl: int, role: str | None, unverified: bool, settings: Settings) -> None:
    """Print a signed token of an account."""
    check_user(settings.data_dir)
    tokens = Tokens.open(settings)
    now_ms = time.time_ns() // 1_000_000
    click.echo(tokens.issue(subject, nickname, ttl, role or "", not unverified, now_ms=now_ms))


@main.command("settings")
@with_settings()
def show_settings(settings: Settings) -> None:
    """Print every setting with its value in force; an asterisk marks those that differ from the default."""
    group = ""
    for row in settings_table.rows():
        if row.group != group:
            click.echo(("\n" if group else "") + f"# {row.group}")
            group = row.group
        value = settings_table.show(getattr(settings, row.name))
        mark = "*" if value != row.default else " "
        click.echo(f"{mark} {row.name} = {value or '(empty)'}{' ' + row.unit if row.unit else ''}\n      {row.help}")


@main.command("check-config")
@with_settings()
def check_config(settings: Settings) -> None:
    """Check the settings and the files that they name, and say whether a server would start with them. Nothing is changed."""
    from server import preflight  # all parts: the other commands start faster without them

    quiet_logs(settings)
    if found := preflight.problems(settings):
        raise ConfigError("\n".join(found))
    for caution in preflight.cautions(settings):
        click.echo(f"to be considered: {caution}", err=True)
    click.echo("the settings are good")


for _command in (*COMMANDS, *accounts_cli.COMMANDS, *staff_cli.COMMANDS, *review_cli.COMMANDS, *authority_cli.COMMANDS, screen):
    main.add_command(_command)


if __name__ == "__main__":
    main(prog_name="barrage")
