"""The command line."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from loadtest.__main__ import main
from tests.loadtest.support import fake_in_thread, secret_file
from tests.loadtest.test_replay import ROWS, write
from tests.support.fake_barrage import Faults

SMALL = ["--viewers", "4", "--senders", "2", "--seconds", "0.2", "--warmup-s", "0", "--drain-s", "2", "--rate", "50"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_bench(tmp_path: Path) -> None:
    """A scenario is measured, printed, and saved as JSON."""
    saved = tmp_path / "report.json"
    secret = str(secret_file(tmp_path))
    with fake_in_thread() as server:
        result = run("bench", "fanout", "--url", server.url, "--token-secret-file", secret, "--save", str(saved), *SMALL)
    assert result.exit_code in (0, 3), result.output
    assert "rules hold" in result.stdout
    assert msgspec.json.decode(saved.read_bytes())["plan"]["viewers"] == 4


def test_bench_as_json(tmp_path: Path) -> None:
    """Standard output is one JSON object; a broken rule makes the exit status 1."""
    arguments = ["--token-secret-file", str(secret_file(tmp_path)), "--cpu", str(min(os.sched_getaffinity(0))), *SMALL]
    with fake_in_thread(Faults(unpaged={1})) as server:
        result = run("bench", "fanout", "--json", "--url", server.url, *arguments)
    assert result.exit_code == 1
    assert "page_missing" in msgspec.json.decode(result.stdout)["broken_rules"]


def test_bench_without_a_server(tmp_path: Path) -> None:
    """What cannot work is said in a sentence, without a traceback."""
    result = run("bench", "fanout", "--url", "http://127.0.0.1:1", "--token-secret-file", str(secret_file(tmp_path)), *SMALL)
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "Traceback" not in result.output
    assert "--data-dir" in run("bench", "fanout", "--url", "http://127.0.0.1:1").output


def test_options_of_the_plan() -> None:
    """Every parameter is an option, with its default."""
    text = " ".join(run("bench", "--help").output.split())
    for part in (
        "--cut-every-s FLOAT",
        "[steady|poisson]",
        "--no-deflate",
        "[20.0]",
        "[none]",
        "[on]",
        "churn Viewers are cut off",
    ):
        assert part in text


def replay(url: str, tmp_path: Path, *more: str) -> Result:
    path, secret = str(write(tmp_path, ROWS)), str(secret_file(tmp_path))
    return run("replay", "--url", url, "--file", path, "--token-secret-file", secret, "--speed", "100", *more)


def test_replay(tmp_path: Path) -> None:
    """A file is replayed and its account printed; a refusal is told by its code."""
    with fake_in_thread(Faults(refuse={"bottom": "banned_content"})) as server:
        result = replay(server.url, tmp_path)
    assert result.exit_code == 0, result.output
    lines = {" ".join(line.strip("│ ").split("│")[0].split()): line for line in result.stdout.splitlines()}
    assert " 4 " in lines["acknowledged"]
    assert " 4 " in lines["on pages"]
    assert " 1 " in lines["banned_content"]


def test_replay_as_json(tmp_path: Path) -> None:
    """The account as JSON has counts, broken rules, command and machine; the exit status tells of broken rules."""
    with fake_in_thread(Faults(unpaged={1})) as server:
        result = replay(server.url, tmp_path, "--json")
    assert result.exit_code == 1
    data = msgspec.json.decode(result.stdout)
    assert data["counts"]["acknowledged"] == 5
    assert data["counts"]["on_pages"] == 4
    assert data["broken_rules"]["page_missing"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--speed", "fast"), "Accepted: comments per second"),
        (("--url", "ftp://x"), "Accepted: an address"),
        ((), "Connect call"),
    ],
)
def test_replay_that_cannot_work(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """Bad options, and a server that is not there, are told in a sentence."""
    result = replay("http://127.0.0.1:1", tmp_path, *arguments)
    assert result.exit_code == 1
    assert says in " ".join(result.output.split())


def test_replay_without_a_secret(tmp_path: Path) -> None:
    """Without a secret for tokens nobody could post."""
    result = run("replay", "--url", "http://127.0.0.1:1", "--file", str(write(tmp_path, ROWS)))
    assert result.exit_code == 1
    assert "--data-dir" in result.output


@pytest.mark.slow
def test_local(tmp_path: Path) -> None:
    """A real server is started on a folder, measured, found true, and stopped."""
    core = str(min(os.sched_getaffinity(0)))
    cpus = ["--cpu", core, "--server-cpu", core]
    result = run("local", "fanout", "--folder", str(tmp_path), "--set", "tick_ms=20", "--json", *cpus, *SMALL)
    assert result.exit_code in (0, 3), result.output
    found = msgspec.json.decode(result.stdout)
    assert found["true"]
    assert (tmp_path / "data" / "barrage.db").exists()


@pytest.mark.slow
def test_local_replay(tmp_path: Path) -> None:
    """A file is replayed into a real server, and everything agrees."""
    core = str(min(os.sched_getaffinity(0)))
    arguments = ["--file", str(write(tmp_path, ROWS)), "--speed", "100", "--cpu", core, "--server-cpu", core]
    result = run("local-replay", *arguments)
    assert result.exit_code == 0, result.output


def test_local_with_bad_settings(tmp_path: Path) -> None:
    """A setting without a value, or one that the server does not take, is told in a sentence."""
    assert "give NAME=VALUE" in run("local", "fanout", "--set", "tick_ms", *SMALL).output
    result = run("local", "fanout", "--set", "tick_ms=never", *SMALL)
    assert result.exit_code == 1
    assert "'never' is not accepted" in result.output
