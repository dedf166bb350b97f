"""What all commands share: the options that say which data folder and which settings, errors as one line and an exit code,
and the way to the operations of a running server or, when none runs, of the data folder itself.
"""

from __future__ import annotations

import asyncio
import functools
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click
import msgspec

from server import settings as settings_table
from server.accounts.identity import Tokens
from server.bounds import WHOLE_MAX
from server.control import DataFolderError, check_user, find_server
from server.errors import BarrageError, ConfigError, Refusal, StoreError
from server.logs import configure
from server.operations import LocalOperations, Operations
from server.remote import RemoteOperations, ServerUnreachable
from server.settings import Settings
from static_mirror import MirrorError

EXIT_FAILED: Final = 1
EXIT_SETTINGS: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_DATA_FOLDER: Final = 4
EXIT_STORAGE: Final = 5

_EXITS: Final[tuple[tuple[type[Exception], int], ...]] = (
    # In this order: the first that fits.
    (DataFolderError, EXIT_DATA_FOLDER),
    (ConfigError, EXIT_SETTINGS),
    (ServerUnreachable, EXIT_UNREACHABLE),
    (StoreError, EXIT_STORAGE),
    (MirrorError, EXIT_STORAGE),
    (BarrageError, EXIT_FAILED),
)
WHOLE: Final = click.IntRange(0, WHOLE_MAX)
"""A number of a record, an item or a decision as the operator interface takes it; 0: none."""
NUMBER: Final = click.IntRange(1, WHOLE_MAX)
"""As :data:`WHOLE`, where there is one."""
_T = TypeVar("_T")


class Commands(click.Group):
    """A group whose commands end with a sentence and an exit code where an error of ours stops them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for argument in args:
            if not argument.isascii() and argument != argument.encode("utf-8", "replace").decode():
                raise click.UsageError(f"{argument!r} is not UTF-8. Set the terminal, or the script, to UTF-8.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BarrageError, MirrorError) as error:
            for line in explain(error).splitlines():
                click.echo(f"barrage: {line}", err=True)
            ctx.exit(next(code for kind, code in _EXITS if isinstance(error, kind)))


def explain(error: Exception) -> str:
    """The sentence for an error; a refusal says what to do, then what was wrong."""
    if isinstance(error, Refusal):
        if error.code.name == "storage_unavailable":  # the table's words are for people who comment
            return (
                f"The data folder cannot be read or written at the moment, and nothing was done ({error.detail or error.code.name})."
                " The log of the server, /readyz and `df` say why; try again when that is mended."
            )
        return f"{error.code.en} ({error.code.name}{': ' + error.detail if error.detail else ''})"
    return str(error)


def with_settings(*own: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command its ``settings``, from all sources, with the options that say which.

    ``own`` are options of the command itself that are settings; they win over the others and are not passed on.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--config",
            type=click.Path(path_type=Path),
            envvar="BARRAGE_CONFIG",
            help="TOML file with settings.",
            metavar="FILE",
        )
        @click.option(
            "--data",
            type=click.Path(path_type=Path, readable=False),
            help="Data folder (setting data_dir).",
            metavar="FOLDER",
        )
        @click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any setting; may be repeated.")
        @functools.wraps(command)
        def wrapper(*, config: Path | None, data: Path | None, assignments: tuple[str, ...], **rest: Any) -> None:
            overrides = {name: rest.pop(name) for name in own}
            command(settings=load_settings(config, data, assignments, overrides), **rest)

        return wrapper

    return decorate


def load_settings(
    config: Path | None, data: Path | None, assignments: tuple[str, ...], overrides: dict[str, Any] | None = None
) -> Settings:
    """Settings from all sources; ``overrides`` win over ``--set``, None means not given. Raises ConfigError."""
    given: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment!r} is not accepted. Accepted: NAME=VALUE.")
        given[name.strip().lower().replace("-", "_")] = value.strip()
    given.update({name: value for name, value in (overrides or {}).items() if value is not None})
    if data is not None:
        given["data_dir"] = str(data)
    return settings_table.load(os.environ, config, given)


def actor() -> str:
    """Who runs the command, as records name them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        return f"uid {os.getuid()}"


def require_data_folder(settings: Settings) -> None:
    """A command that only looks does not make a folder. Raises DataFolderError."""
    if not settings.data_dir.is_dir():
        raise DataFolderError(
            f"there is no data folder {settings.data_dir}. Start a server first, or name its folder with --data."
        )


def quiet_logs(settings: Settings) -> None:
    """Of a command, people want to see what went wrong, not the running of the parts."""
    configure(msgspec.structs.replace(settings, log_format="console", log_level="warning"))


class _AsSent:
    """The operations of this process, given each request as a server would read it: the same bounds hold without one."""

    def __init__(self, local: LocalOperations) -> None:
        self._local = local

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        operation = getattr(self._local, name)
        return lambda *given: operation(*map(_as_sent, given))


def _as_sent(given: Any) -> Any:
    """A request as it arrives, anything else as it is. Raises Refusal ``bad_message``, as a server does."""
    if not isinstance(given, msgspec.Struct):
        return given
    try:
        return msgspec.json.decode(msgspec.json.encode(given), type=type(given))
    except msgspec.ValidationError as error:
        raise Refusal("bad_message", str(error)) from None


@asynccontextmanager
async def operations(settings: Settings, create: bool = False) -> AsyncIterator[Operations]:
    """The operations of the server that holds the data folder, or of the folder itself when none does.

    Raises DataFolderError when another command holds it, or there is no such folder and it may not be created.
    """
    server = find_server(settings.data_dir)
    if server is not None:
        check_user(settings.data_dir, root=True)
        async with RemoteOperations(server.url, Tokens.open(settings), actor()) as remote:
            yield remote
        return
    if not create and not settings.data_dir.is_dir():
        raise DataFolderError(
            f"there is no data folder {settings.data_dir}. Start a server first, or name its folder with --data."
        )
    from server import parts  # all of them: wanted by this path only

    async with parts.build_offline(settings) as services:
        yield cast(Operations, _AsSent(LocalOperations(services, actor())))


def run(settings: Settings, work: Callable[[Operations], Awaitable[_T]], create: bool = False) -> _T:
    """Do some work with the operations, to its end; ``create`` as in :func:`operations`."""
    quiet_logs(settings)

    async def whole() -> _T:
        async with operations(settings, create) as found:
            return await work(found)

    return asyncio.run(whole())
