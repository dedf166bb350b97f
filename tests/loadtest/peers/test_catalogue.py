"""The commands that start peers, and what is said when something is missing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from loadtest.peers import catalogue
from loadtest.peers.catalogue import PEERS, SERVERS, Launch, MissingError


def executable(path: Path, text: str = "#!/bin/sh\nexit 0\n") -> Path:
    """A program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has nothing: no programs, no npm packages, no environment of the peers."""
    folder = tmp_path / "bare"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(catalogue, "HERE", folder)
    monkeypatch.setattr(catalogue, "NCHAN_MODULES", (folder,))
    monkeypatch.setattr("shutil.which", lambda name: str(folder / name) if (folder / name).exists() else None)
    return folder


@pytest.mark.parametrize("name", ["bun", "nchan", "ws", "socketio", "naive"])
def test_what_is_missing_is_said_with_how_to_get_it(name: str, bare: Path) -> None:
    """A peer that cannot be started names what it lacks and the command that brings it."""
    with pytest.raises(MissingError, match=r"get it with: (make bench-peers|apt-get install)"):
        PEERS[name].command(Launch(bare, 1, "plain"))


def test_node_without_the_package(bare: Path) -> None:
    """Node alone is not enough."""
    executable(bare / "node")
    with pytest.raises(MissingError, match="no npm package ws"):
        PEERS["ws"].command(Launch(bare, 1, "plain"))
    (bare / "node_modules" / "ws").mkdir(parents=True)
    assert PEERS["ws"].command(Launch(bare, 7, "framed"))[1:] == [str(SERVERS / "ws.mjs"), "7", "framed"]


def test_an_environment_that_is_not_there(tmp_path: Path) -> None:
    """A peer in an environment of its own needs it."""
    with pytest.raises(MissingError, match="make bench-peers"):
        catalogue.python("picows_loop.py", tmp_path / "python")(Launch(tmp_path, 1, "plain"))


def test_a_bun_that_does_not_run_is_passed_over(bare: Path) -> None:
    """Of the binaries that are there, the first that this processor runs is taken."""
    executable(bare / "node_modules/@oven/bun-linux-x64/bin/bun", "#!/bin/sh\nexit 132\n")
    executable(bare / "node_modules/@oven/bun-linux-x64-baseline/bin/bun", "no program at all")
    with pytest.raises(MissingError):
        PEERS["bun"].command(Launch(bare, 1, "plain"))
    own = executable(bare / "bun")
    assert PEERS["bun"].command(Launch(bare, 9, "deflate")) == [str(own), str(SERVERS / "bun.mjs"), "9", "deflate"]


def test_nginx_is_given_a_configuration_of_this_run(bare: Path) -> None:
    """Every placeholder of the template is filled, with files of this run alone."""
    executable(bare / "nginx")
    (bare / "ngx_nchan_module.so").touch()
    command = PEERS["nchan"].command(Launch(bare, 8123, "deflate"))
    text = (bare / "nginx.conf").read_text()
    assert command[0] == str(bare / "nginx")
    assert "@" not in text
    assert "listen 127.0.0.1:8123 " in text
    assert "nchan_deflate_message_for_websocket on;" in text


@pytest.mark.skipif(not any(os.access(f"/usr/bin/{name}", os.X_OK) for name in ("gcc", "cc")), reason="no C compiler here")
def test_the_naive_limit_compiles(tmp_path: Path) -> None:
    """The C program is made anew for each run."""
    command = PEERS["naive"].command(Launch(tmp_path, 1, "plain"))
    assert os.access(command[0], os.X_OK)


def test_every_script_is_there() -> None:
    """The catalogue names no file that does not exist, and the first variant of each peer does not compress."""
    assert {path.name for path in SERVERS.iterdir() if path.is_file()} == {
        "broadcast.py", "bun.mjs", "naive.c", "nchan.conf", "picows_loop.py", "plain_starlette.py", "socketio.mjs", "ws.mjs",
    }  # fmt: skip
    assert all(peer.variants[0] == "plain" for peer in PEERS.values())
