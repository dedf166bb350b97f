"""The commands ``run`` and ``compare``."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from loadtest import outcome
from loadtest.__main__ import main
from loadtest.conduct import Snapshot
from loadtest.run_cli import Board, show
from tests.loadtest.scenario_files import SMALL, result, small_file, untrue
from tests.loadtest.support import fake_in_thread, secret_file
from tests.support.fake_barrage import Faults

TAKEDOWNS = """
title = "Takedowns"
drain_s = 5
entry_per_s = 100

[[rooms]]
name = "one"
viewers = 6
senders = 3

[[rooms]]
name = "many"
count = 2
viewers = 2
senders = 1

[[phases]]
name = "all"
seconds = 1
rate = 60
takedowns_per_s = 10
page_reads_per_s = 10

[thresholds]
loss = 0
removal_failures = 0
page_error_share = 0
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def play(folder: Path, text: str, *more: str, faults: Faults | None = None) -> Result:
    with fake_in_thread(faults) as server:
        arguments = ["--url", server.url, "--token-secret-file", str(secret_file(folder)), *more]
        return run("run", small_file(folder, text), *arguments)


def test_run(tmp_path: Path) -> None:
    """A scenario is played against a server; page and JSON are written; the verdict is printed."""
    html, saved = tmp_path / "r.html", tmp_path / "r.json"
    done = play(tmp_path, SMALL, "--report", str(html), "--json", str(saved))
    assert done.exit_code in (0, 3), done.output
    assert "rules hold" in done.stdout
    found = outcome.load(saved)
    assert (found.scenario, found.counts["sent"]) == ("small", 30)
    assert "<h1>Small</h1>" in html.read_text()


def test_exit_status_of_broken_thresholds(tmp_path: Path) -> None:
    """A threshold that does not hold, and a delivery that is lost, make the exit status 99."""
    done = play(tmp_path, SMALL.replace("p99_ms = 5000", "p99_ms = 0.001"))
    assert done.exit_code in (99, 3), done.output
    lost = play(tmp_path, SMALL.replace("drain_s = 2", "drain_s = 0.2"), faults=Faults(drop={5}))
    assert lost.exit_code == 99, lost.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "nothing"), "Shipped scenarios: "),
        (("run", "quiet-room", "--scale", "0"), "'--scale'"),
        (("run", "quiet-room", "--url", "http://127.0.0.1:1", "--set", "tick_ms=5"), "leave out --url"),
        (("run", "quiet-room", "--set", "tick_ms"), "give NAME=VALUE"),
        (("run", "quiet-room", "--url", "ftp://x"), "Accepted: an address"),
        (("run", "takedowns", "--url", "http://127.0.0.1:1", "--token-secret-file", "README.md"), "--operator-key-file"),
        (("compare", "README.md", "README.md"), "is no result"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], says: str) -> None:
    """What is wrong with the input is told in a sentence, with exit status 2."""
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.output.split())


def test_a_scenario_with_an_unknown_key(tmp_path: Path) -> None:
    """An unknown key in a file is bad input."""
    done = run("run", small_file(tmp_path, SMALL + "speed = 1"))
    assert done.exit_code == 2
    assert "unknown key thresholds.speed" in done.output


def test_compare(tmp_path: Path) -> None:
    """Two saved results are printed side by side, and written as a page."""
    one, two, html = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "c.html"
    one.write_bytes(result().json())
    two.write_bytes(result(figures={"p99_ms": 150.0}, scale=2.0).json())
    done = run("compare", str(one), str(two), "--report", str(html))
    assert done.exit_code == 0, done.output
    assert "3.00" in done.stdout
    assert "worse" in done.stdout
    assert "The scale differs" in done.stdout
    assert "<svg" in html.read_text()


def test_what_is_printed() -> None:
    """Every verdict is printed with its reasons."""
    console = Console(width=200, record=True, file=io.StringIO())
    show(result(doubts=["all: busy"]), console)
    show(result(figures={"p99_ms": 2000.0}, violations=untrue()), console)
    text = console.export_text()
    for part in ("invalid: all: busy", "broken", "not measured", "A note.", "refused: overloaded", "Untrue"):
        assert part in text


def test_the_board() -> None:
    """While a run goes on its phase, counts and costs are shown; a server that cannot be watched is said to be so."""
    board = Board("Small")
    board.notify("making rooms")
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(board)
    board.show(
        Snapshot(
            phase="storm", elapsed_s=1.0, total_s=4.0, sent=1234, acked=1200, refused=4, waiting=30, viewers=50, ack_p99_ms=12.0,
            gap_events=0, server_cpu=None, server_rss_mb=None, generator_cpu=0.25,
        )
    )  # fmt: skip
    console.print(board)
    text = console.export_text()
    for part in ("making rooms", "storm", "sent 1,234", "server not watched", "generator 25%"):
        assert part in text


@pytest.mark.slow
def test_a_server_of_our_own(tmp_path: Path) -> None:
    """A server is started, its rooms are made, comments are removed under load and stay removed, and it is stopped."""
    core = str(min(os.sched_getaffinity(0)))
    saved = tmp_path / "r.json"
    done = run("run", small_file(tmp_path, TAKEDOWNS), "--cpu", core, "--server-cpu", core, "--json", str(saved))
    found = outcome.load(saved)
    assert found.true, done.output
    assert done.exit_code in (0, 3), done.output
    assert found.counts["removals"] >= 5
    assert found.counts["page reads"] >= 5
    assert found.cost_source == "process"
    assert found.rooms == 3
