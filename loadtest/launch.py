"""What all commands share: cores, a server of our own, and errors in one sentence."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import uvloop

from loadtest.frames import HandshakeError, ProtocolError
from loadtest.local import UNBOUND, LocalServer
from loadtest.participants import CONNECT_TIMEOUT_S
from loadtest.readback import ReadbackError

T = TypeVar("T")


def pin(cpu: int | None) -> None:
    """Run on this core from now on; None: on any."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


def collect_rarely() -> None:
    """Keep the garbage collector from the thousands of clients that live through the whole run: looking at all of them again and
    again makes a generator late by tenths of a second. The youngest objects are looked at in small portions."""
    gc.set_threshold(10_000, 500, 100)


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; what cannot work is said in one sentence."""
    collect_rarely()
    try:
        return uvloop.run(work)
    except TimeoutError:
        raise click.ClickException(f"the server did not let somebody in within {CONNECT_TIMEOUT_S:g} s") from None
    except (OSError, HandshakeError, ProtocolError, ReadbackError, ValueError) as error:
        raise click.ClickException(str(error) or type(error).__name__) from None


def settings_of(pairs: tuple[str, ...], more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Settings of a server of our own: limits lifted, then ``more``, then NAME=VALUE pairs. Raises click.BadParameter."""
    settings = {**UNBOUND, **(more or {})}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r}: give NAME=VALUE", param_hint="--set")
        settings[name.lower()] = value
    return settings


def with_server(
    folder: Path | None,
    server_cpu: int | None,
    cpu: int | None,
    settings: Mapping[str, str],
    work: Callable[[LocalServer], int],
) -> None:
    """Start a server, do the work, stop the server, and exit with the work's status."""
    with tempfile.TemporaryDirectory(prefix="barrage-load-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        server = LocalServer(place, cpu=server_cpu, settings=settings)
        try:
            server.start()
        except RuntimeError as error:
            raise click.ClickException(str(error)) from None
        pin(cpu)
        try:
            status = work(server)
        finally:
            server.stop()
    sys.exit(status)
