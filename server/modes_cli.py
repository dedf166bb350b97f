"""Commands of operators about modes: of a room, of the whole site, and whose a room is."""

from __future__ import annotations

import re
import time
from typing import Any, Final, get_args

import click

from server.cli import run, with_settings
from server.mode_operations import SetMode, SetOwner, SiteMode
from server.settings import Settings
from server.store.base import RoomMode

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])\Z")
_MODE: Final = click.Choice(get_args(RoomMode))


class Span(click.ParamType):  # type: ignore[type-arg] # generic in its stubs alone
    """A span of time such as ``90s``, ``30m``, ``2h`` or ``1d``, in milliseconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        found = _SPAN.match(value)
        if found is None:
            self.fail(f"{value!r}: a number and a unit, such as 90s, 30m, 2h or 1d", param, ctx)
        return int(found[1]) * _UNITS_S[found[2]] * 1000


_for = click.option("--for", "for_ms", type=Span(), default=0, help="Only for this time (30m, 2h, 1d); then as it was before.")
_code = click.option("--code", default="E4", show_default=True, help="Reason code of family E; `barrage reasons` lists them.")
_basis = click.option("--basis", default="an operation by the operator", help="Why, in one line. It is shown to everyone.")


def _until(for_ms: int) -> int:
    return time.time_ns() // 1_000_000 + for_ms if for_ms else 0


def _term(for_ms: int) -> str:
    return f", for {for_ms // 1000} s" if for_ms else ""


@click.command("mode")
@click.argument("name")
@click.argument("mode", type=_MODE)
@_for
@click.option(
    "--every", "slow_ms", type=Span(), default=0, help="In slow mode: least time between two comments of an author (10s)."
)
@_code
@_basis
@with_settings()
def set_mode(name: str, mode: Any, for_ms: int, slow_ms: int, code: str, basis: str, settings: Settings) -> None:
    """Set the MODE of the room NAME; its viewers and pages are told."""
    request = SetMode(room=name, mode=mode, until_ms=_until(for_ms), slow_ms=slow_ms, code=code, basis=basis)
    done = run(settings, lambda found: found.set_mode(request))
    click.echo(f"room {name} is {mode}{_term(for_ms)} (event {done['seq']})")


@click.command("owner")
@click.argument("name")
@click.argument("account", default="")
@with_settings()
def set_owner(name: str, account: str, settings: Settings) -> None:
    """Name the ACCOUNT whose room NAME is; none: nobody's."""
    done = run(settings, lambda found: found.set_owner(SetOwner(room=name, owner=account)))
    click.echo(f"room {name} belongs to {done['owner'] or 'nobody'}")


@click.group()
def site() -> None:
    """Steer the whole site."""


@site.command("mode")
@click.argument("mode", type=_MODE)
@_for
@_code
@_basis
@with_settings()
def site_mode(mode: Any, for_ms: int, code: str, basis: str, settings: Settings) -> None:
    """Set the MODE of the site: in each room the stricter of it and the room's own mode is in force."""
    request = SiteMode(mode=mode, until_ms=_until(for_ms), code=code, basis=basis)
    done = run(settings, lambda found: found.site_mode(request))
    click.echo(f"the site is {done['mode']}{_term(for_ms)} (decision {done['decision']})")
