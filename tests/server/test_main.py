"""server/__main__.py"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from server import __version__
from server.__main__ import main
from server.accounts.identity import Tokens
from server.cli import EXIT_DATA_FOLDER, EXIT_SETTINGS
from server.control import DataLock, find_server
from server.settings import Settings, rows
from tests.support.server import ROOT, ServerProcess


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BARRAGE_")]:
        monkeypatch.delenv(name)


def barrage(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A server that ends by itself, because it cannot start."""
    command = [sys.executable, "-m", "server", "serve", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_demo_server_says_where_it_is(tmp_path: Path) -> None:
    """Standard output has the address and the demo room's, the logs are elsewhere; SIGTERM and Ctrl-C end it with code 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with ServerProcess(tmp_path / "data", settings={"drain_s": 0}) as server:
            deadline = time.monotonic() + 60
            while "its code appears here" not in (said := server.output().rpartition("Barrage listening on")[2]):
                assert time.monotonic() < deadline, said
                time.sleep(0.02)  # it is found by others a moment before it has said all
            lines = server.output().splitlines()[-3:]
            assert lines[:2] == [f"Barrage listening on {server.url}", f"Demo room: {server.url}/rooms/demo"]
            assert "its code appears here" in lines[2]
            found = find_server(tmp_path / "data")
            assert found is not None
            assert (found.url, found.pid) == (server.url, server.pid)
            server.signal(number)
            assert server.wait() == 0
            assert find_server(tmp_path / "data") is None


def test_a_server_that_is_no_demo_has_no_demo_room(tmp_path: Path) -> None:
    """Without ``--demo`` there is no room and one line."""
    with ServerProcess(tmp_path / "data", settings={"drain_s": 0}, demo=False) as server:
        assert server.output().splitlines() == [f"Barrage listening on {server.url}"]


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """The message names host and port and what to do; no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = started("--port", str(port), "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (EXIT_SETTINGS, "")
    assert done.stderr.startswith(f"barrage: cannot listen on 127.0.0.1 port {port}: ")
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_in_use_is_told(tmp_path: Path) -> None:
    """A second server over one folder does not start, and names the first."""
    with DataLock(tmp_path) as lock:
        lock.announce("http://127.0.0.1:7", 1)
        done = started("--port", "0", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (EXIT_DATA_FOLDER, "")
    owner = f"the server at http://127.0.0.1:7 (process {os.getpid()})"
    assert done.stderr == f"barrage: data folder {tmp_path} is in use by {owner}. Stop that one first.\n"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that cannot be made stops the start with one line."""
    (tmp_path / "file").write_text("")
    done = started("--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert done.returncode == EXIT_DATA_FOLDER
    assert re.fullmatch(r"barrage: data folder .* cannot be written \(.*\)\. Give it .*\n", done.stderr)


def test_bad_settings_are_told_all_at_once() -> None:
    """Each mistake is one line; nothing was started."""
    result = barrage("serve", "--port", "70000", "--set", "tikc_ms=5")
    assert (result.exit_code, result.stdout) == (EXIT_SETTINGS, "")
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["barrage", "barrage"]


def test_a_token_is_printed(tmp_path: Path) -> None:
    """The command prints a token that a server over this folder accepts, and nothing else."""
    result = barrage(
        "token", "--subject", "u1", "--nickname", "小明", "--ttl", "60", "--role", "uploader", "--data", str(tmp_path)
    )
    tokens = Tokens.open(Settings(data_dir=tmp_path))
    now_ms = time.time_ns() // 1_000_000
    identity = tokens.verify(result.stdout.strip(), now_ms)
    assert (identity.subject, identity.nickname, identity.verified, identity.role) == ("u1", "小明", True, "uploader")
    assert abs(identity.expires_ms - now_ms - 60_000) < 10_000
    result = barrage("token", "--subject", "u1", "--nickname", "n", "--unverified", "--data", str(tmp_path))
    assert not tokens.verify(result.stdout.strip(), now_ms).verified


def test_a_token_with_a_bad_nickname_is_not_made(tmp_path: Path) -> None:
    """What would not verify is refused with the reason."""
    result = barrage("token", "--subject", "u1", "--nickname", "", "--data", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nickname: 1 to 24 characters" in result.stderr


def test_all_settings_are_printed(tmp_path: Path) -> None:
    """Every setting is shown with its value in force; changed ones are marked; no secret is among them."""
    result = barrage("settings", "--set", "tick_ms=20", "--data", str(tmp_path))
    for row in rows():
        assert re.search(rf"^[ *] {row.name} = ", result.stdout, re.MULTILINE), row.name
    marked = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("*")]
    assert marked == ["data_dir", "tick_ms"]
    assert list(tmp_path.iterdir()) == []


def test_settings_can_be_checked() -> None:
    """Good settings are said to be good; bad ones end with the code for settings."""
    assert barrage("check-config").stdout == "the settings are good\n"
    assert "to be considered: privacy_contact is empty" in barrage("check-config").stderr
    assert barrage("check-config", "--set", "demo=true").stderr == ""
    assert barrage("check-config", "--set", "tick_ms=0").exit_code == EXIT_SETTINGS
    wrong = barrage("check-config", "--set", "rules_file=/nowhere", "--set", "region_file=/nowhere")
    assert (wrong.exit_code, wrong.stdout, wrong.stderr.count("/nowhere: ")) == (EXIT_SETTINGS, "", 2)


def test_version_and_help() -> None:
    """``--version`` and ``--help`` of every command work without a data folder."""
    assert barrage("--version").stdout.strip().endswith(__version__)
    assert isinstance(main, click.Group)
    for name, command in main.commands.items():
        result = barrage(name, "--help")
        assert result.exit_code == 0
        assert command.help, name


def test_the_module_is_the_command(tmp_path: Path) -> None:
    """``python -m server`` is ``barrage``."""
    done = subprocess.run(
        [sys.executable, "-m", "server", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("Usage: barrage ")
