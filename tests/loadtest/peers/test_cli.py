"""The command line, with real servers: this one, and a peer in Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from loadtest.__main__ import main
from loadtest.local import LocalServer
from loadtest.peers import cli
from loadtest.peers.catalogue import PEERS, Launch, MissingError, Peer
from loadtest.peers.cli import chosen, compare
from loadtest.peers.comparison import Cell
from loadtest.peers.family import family
from tests.loadtest.peers.support import cell

SMALL = ["--viewers", "5", "--seconds", "0.4", "--warmup-s", "0.1", "--rate", "50"]


@pytest.fixture(autouse=True)
def _own_process() -> Iterator[None]:
    """The command takes one core for itself, and a signal; give them back."""
    cores, handler = os.sched_getaffinity(0), signal.getsignal(signal.SIGTERM)
    yield
    os.sched_setaffinity(0, cores)
    signal.signal(signal.SIGTERM, handler)


def test_this_server_beside_a_peer(tmp_path: Path) -> None:
    """Both are started, measured and ended; the report is JSON and can be kept."""
    path = tmp_path / "report.json"
    done = CliRunner().invoke(
        main, ["peers", "--only", "barrage:plain", "--only", "websockets:plain", *SMALL, "--json", "--save", str(path)]
    )
    found = msgspec.json.decode(path.read_bytes())
    assert [(each["server"], each["variant"], each["rate"]) for each in found["cells"]] == [
        ("barrage", "plain", 50.0),
        ("websockets", "plain", 50.0),
    ]
    assert all(each["broken_rules"] == {} for each in found["cells"])
    assert done.exit_code in {0, 3, 99}  # a busy machine makes figures doubtful, never untrue
    assert '"scheduling"' in done.stdout


def test_a_run_that_is_ended_ends_its_server() -> None:
    """Whoever ends the command by a signal leaves no server behind."""
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", "peers", "--only", "websockets:plain", "--viewers", "5", "--seconds", "60"],
        stderr=subprocess.DEVNULL,
    ) as command:
        servers: list[int] = []

        def started() -> bool:
            servers[:] = [pid for pid in family(command.pid) if b"broadcast.py" in command_line(pid)]
            return bool(servers)

        try:
            assert until_now(started)
        finally:
            command.terminate()
        assert command.wait(60) == 128 + signal.SIGTERM
    assert command_line(servers[0]) == b""


def command_line(pid: int) -> bytes:
    """What a process was started with; empty when there is none, or no more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def until_now(condition: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    """Wait for another process; whether the condition held in time."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


def test_tables_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is a table for the terminal, or Markdown; the exit status says what was found."""
    monkeypatch.setattr(cli, "compare", lambda pairs, rates, course, tell, rounds: ([cell(pairs[0][0], rates[0], 100.0)], {}))
    done = CliRunner().invoke(main, ["peers", "--only", "bun:plain", "--markdown"])
    assert (done.exit_code, "| bun \\* | 100 |" in done.stdout) == (0, True)
    done = CliRunner().invoke(main, ["peers", "--only", "bun:plain"])
    assert (done.exit_code, "bun *" in done.stdout) == (0, True)


def test_cores_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has no such cores, nothing is pinned."""
    seen: list[cli.Course] = []

    def remember(
        pairs: object, rates: object, course: cli.Course, tell: object, rounds: int
    ) -> tuple[list[Cell], dict[str, str]]:
        seen.append(course)
        return [], {}

    monkeypatch.setattr(cli, "compare", remember)
    before = os.sched_getaffinity(0)
    assert CliRunner().invoke(main, ["peers", "--cpu", "4000", "--json"]).exit_code == 0
    assert seen[0].server_cpu is None
    assert os.sched_getaffinity(0) == before


def test_choosing() -> None:
    """A name stands for all variants of a server, a name with a variant for that one; unknown ones are refused."""
    assert chosen(("bun",)) == [("bun", "plain"), ("bun", "deflate")]
    assert chosen(("barrage:deflate", "naive")) == [("barrage", "deflate"), ("naive", "plain")]
    assert len(chosen(())) == 2 + sum(len(peer.variants) for peer in PEERS.values())
    done = CliRunner().invoke(main, ["peers", "--only", "nosuch"])
    assert done.exit_code == 2
    assert "Known: barrage, bun" in done.output


COURSE = cli.Course(
    viewers=5, seconds=0.1, warmup_s=0.0, drain_s=0.1, read_every_s=0.01, server_cpu=None, notify=lambda text: None
)


def test_missing_and_failing_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that is missing is named once and left out; one that does not start is a cell without figures."""

    def missing(launch: Launch) -> list[str]:
        raise MissingError("get it")

    monkeypatch.setitem(PEERS, "bun", Peer("", missing, ("plain", "deflate")))
    monkeypatch.setitem(PEERS, "ws", Peer("", lambda launch: ["/bin/false"]))
    told: list[Cell] = []
    cells, lacking = compare([("bun", "plain"), ("bun", "deflate"), ("ws", "plain")], (50.0,), COURSE, told.append)
    assert lacking == {"bun": "get it"}
    assert cells == told
    assert [(each.server, each.valid) for each in cells] == [("ws", False)]
    assert "does not listen" in cells[0].doubts[0]


def test_this_server_may_fail_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """That this server does not start is told in the same way."""

    class Broken(LocalServer):
        def start(self) -> None:
            raise RuntimeError("the server did not start")

    monkeypatch.setattr("loadtest.peers.cli.LocalServer", Broken)
    found = cli.measure_barrage("plain", 50.0, COURSE)
    assert found.doubts == ["failed: the server did not start"]


def test_saturated_variants_are_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's first variant is measured at every rate; another one only while it kept up."""
    monkeypatch.setattr(cli, "measure_peer", lambda name, variant, rate, course: cell(name, rate, 1.0, variant, cpu_share=0.99))
    cells, _ = compare(chosen(("bun",)), (500.0, 50.0), COURSE, lambda each: None)
    assert [(each.variant, each.rate) for each in cells] == [("plain", 50.0), ("deflate", 50.0), ("plain", 500.0)]


def test_servers_take_turns_in_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """All have a turn before any has its next one; what is missing is asked for once."""
    costs = iter([4.0, 1.0, 5.0, 2.0, 6.0, 3.0])
    asked: list[str] = []

    def measured(name: str, variant: str, rate: float, course: cli.Course) -> Cell:
        asked.append(name)
        if name == "nchan":
            raise MissingError("no nginx")
        return cell(name, rate, next(costs), variant)

    monkeypatch.setattr(cli, "measure_peer", measured)
    pairs = [("bun", "plain"), ("nchan", "plain"), ("ws", "plain")]
    told: list[Cell] = []
    cells, missing = compare(pairs, (50.0,), COURSE, told.append, rounds=3)
    assert asked == ["bun", "nchan", "ws", "bun", "ws", "bun", "ws"]
    assert missing == {"nchan": "no nginx"}
    assert [(each.server, each.figures["deliveries_per_cpu_s"], len(each.rounds)) for each in cells] == [
        ("bun", 5.0, 3),
        ("ws", 2.0, 3),
    ]
    assert len(told) == 6
