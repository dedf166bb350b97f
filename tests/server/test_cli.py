"""server/cli.py"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from server.cli import (
    EXIT_DATA_FOLDER,
    EXIT_FAILED,
    EXIT_SETTINGS,
    EXIT_STORAGE,
    EXIT_UNREACHABLE,
    Commands,
    actor,
    load_settings,
    operations,
    require_data_folder,
    run,
    with_settings,
)
from server.control import DataFolderBusy, DataFolderError, DataLock
from server.errors import ConfigError, Refusal, StoreUnavailable
from server.operations import CreateRoom
from server.remote import RemoteOperations, ServerUnreachable
from server.settings import Settings
from static_mirror import MirrorError


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BARRAGE_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataFolderBusy("busy"), EXIT_DATA_FOLDER, "barrage: busy\n"),
        (ConfigError("one\ntwo"), EXIT_SETTINGS, "barrage: one\nbarrage: two\n"),
        (ServerUnreachable("gone"), EXIT_UNREACHABLE, "barrage: gone\n"),
        (StoreUnavailable("disk"), EXIT_STORAGE, "barrage: disk\n"),
        (MirrorError("page"), EXIT_STORAGE, "barrage: page\n"),
        (
            Refusal("room_exists"),
            EXIT_FAILED,
            "barrage: A room of this name exists already. Choose another name. (room_exists)\n",
        ),
        (
            Refusal("storage_unavailable", "the review desk"),
            EXIT_FAILED,
            "barrage: The data folder cannot be read or written at the moment, and nothing was done (the review desk). The log of the"
            " server, /readyz and `df` say why; try again when that is mended.\n",
        ),
        (Refusal("not_found", "x"), EXIT_FAILED, "barrage: There is nothing at this address. (not_found: x)\n"),
    ],
)
def test_an_error_of_ours_is_a_sentence_and_an_exit_code(error: Exception, code: int, text: str) -> None:
    """A command that one of our errors stops prints it on standard error, and ends with the code of its kind."""

    @click.group(cls=Commands)
    def main() -> None: ...

    @main.group()
    def inner() -> None: ...

    @inner.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(main, ["inner", "fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", text)


def test_arguments_are_utf_8() -> None:
    """What a terminal with another encoding hands over is told as wrong usage, before anything is done."""

    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    @click.argument("text")
    def say(text: str) -> None:
        click.echo(text)

    assert CliRunner().invoke(main, ["say", "弹幕 😀"]).stdout == "弹幕 😀\n"
    result = CliRunner().invoke(main, ["say", os.fsdecode("弹幕".encode("gbk"))])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is not UTF-8. Set the terminal" in result.stderr


def test_other_errors_are_not_hidden() -> None:
    """A mistake of the program keeps its traceback."""

    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    def fail() -> None:
        raise RuntimeError("bug")

    assert isinstance(CliRunner().invoke(main, ["fail"]).exception, RuntimeError)


def shown(*arguments: str, env: dict[str, str] | None = None) -> tuple[Any, ...]:
    """What the options make of the settings."""
    seen: list[Any] = []

    @click.command()
    @click.option("--port", type=int)
    @click.option("--other")
    @with_settings("port")
    def command(settings: Settings, other: str | None) -> None:
        seen.extend((settings.port, settings.data_dir, settings.tick_ms, other))

    result = CliRunner().invoke(command, arguments, env=env, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return tuple(seen)


def test_options_become_settings(tmp_path: Path) -> None:
    """Own options, the folder, assignments and the file all arrive; an own option wins over an assignment."""
    file = tmp_path / "b.toml"
    file.write_text("tick_ms = 7\nport = 1\n")
    assert shown() == (8080, Path("data"), 50, None)
    assert shown("--config", str(file), "--other", "x") == (1, Path("data"), 7, "x")
    assert shown(env={"BARRAGE_CONFIG": str(file)}) == (1, Path("data"), 7, None)
    assert shown("--set", "tick-ms = 9", "--set", "PORT=2", "--data", "d") == (2, Path("d"), 9, None)
    assert shown("--port", "3", "--set", "port=2", "--set", "data_dir=x", "--data", "d")[:2] == (3, Path("d"))


def test_an_assignment_has_a_name_and_a_value() -> None:
    """``--set`` without an equals sign is a mistake."""
    with pytest.raises(ConfigError, match="--set 'port' is not accepted"):
        load_settings(None, None, ("port",))


def test_the_actor_is_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records name the user; in a container without a name, the number."""
    monkeypatch.setenv("LOGNAME", "alice")
    assert actor() == "alice"
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_123)
    assert actor() == "uid 4000123"


async def test_without_a_server_the_folder_itself_is_worked_on(tmp_path: Path) -> None:
    """While a command works on the folder nobody else does."""
    async with operations(Settings(data_dir=tmp_path)) as found:
        assert not isinstance(found, RemoteOperations)
        with pytest.raises(DataFolderBusy):
            DataLock(tmp_path, wait_s=0)
    DataLock(tmp_path, wait_s=0).release()


async def test_without_a_server_requests_have_the_same_bounds(tmp_path: Path) -> None:
    """What a server would refuse to read is refused by the same words, before anything is done."""
    request = CreateRoom(name="film", video_url="/" + "x" * 2000)
    async with operations(Settings(data_dir=tmp_path)) as found:
        with pytest.raises(Refusal, match="2000") as refused:
            await found.create_room(request)
        assert refused.value.code.name == "bad_message"
        assert await found.list_rooms() == []


async def test_a_running_server_is_asked(tmp_path: Path) -> None:
    """When a server holds the folder the operations go there; when it does not answer, that is said."""
    with DataLock(tmp_path) as lock:
        lock.announce("http://127.0.0.1:9", 1)
        async with operations(Settings(data_dir=tmp_path)) as found:
            assert isinstance(found, RemoteOperations)
            with pytest.raises(ServerUnreachable, match="does not answer"):
                await found.list_rooms()


def test_looking_makes_no_folder(tmp_path: Path) -> None:
    """A command on a folder that is not there says so and leaves nothing; one that creates may make it."""
    settings = Settings(data_dir=tmp_path / "none")
    with pytest.raises(DataFolderError, match="there is no data folder"):
        run(settings, lambda found: found.list_rooms())
    with pytest.raises(DataFolderError, match="there is no data folder"):
        require_data_folder(settings)
    assert list(tmp_path.iterdir()) == []
    assert run(settings, lambda found: found.create_room(CreateRoom(name="demo")), create=True)["room"] == "demo"
    require_data_folder(settings)
