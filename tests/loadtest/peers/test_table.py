"""What people read."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console

from loadtest.peers import table
from loadtest.peers.comparison import Cell, median_of
from tests.loadtest.peers.support import cell
from tests.loadtest.peers.test_comparison import comparison

CELLS = [
    cell("bun", 50.0, 90.0, "deflate"),
    Cell(server="ws", variant="plain", rate=50.0, doubts=["sent 60 ms late"]),
    cell("bun", 50.0, 100.0, loss_share=0.25),
    cell("barrage", 50.0, 95.0),
    cell("naive", 50.0, 120.0),
]


def test_this_server_comes_first_and_the_cheapest_peer_next() -> None:
    """Rows are in order of cost, those without figures last; the best variant of a server bears an asterisk."""
    rows = list(table.rows(comparison(*CELLS), 50.0))
    assert [row[0] for row in rows] == ["barrage *", "naive *", "bun *", "bun, deflate", "ws"]
    assert rows[2][5] == "25.0%"
    assert rows[-1][1] == "withheld: sent 60 ms late"
    assert {len(row) for row in rows} == {len(table.HEADINGS)}


def test_the_terminal_shows_everything() -> None:
    """Figures, what is missing, broken rules, verdicts, and where the figures come from."""
    broken = msgspec.structs.replace(CELLS[0], broken_rules={"stream_double": 3})
    out = io.StringIO()
    table.show(comparison(*CELLS[1:], broken), Console(file=out, width=table.WIDTH))
    text = out.getvalue()
    for part in (
        "50 comments/s to 1,000 viewers", "missing nchan: no nginx", "broken bun, deflate at 50/s: {'stream_double': 3}",
        "does not hold: 50/s: deliveries per CPU-second at least 1 times those of bun (0.95 times)",
        "holds: p99 under 100 ms (50 ms)", "`python -m loadtest peers`, commit abc", "load average 0.5 before and 1.5 after",
    ):  # fmt: skip
        assert part in text


def test_what_the_rounds_found_stands_beside_their_median() -> None:
    """For what a machine's mood changes most; and what the figures come from says so."""
    rounds = [cell("bun", 50.0, figure, p99_ms=p99) for figure, p99 in ((900.0, 7.0), (1200.0, 9.0), (1000.0, 8.0))]
    found = msgspec.structs.replace(comparison(median_of(rounds)), rounds=3)
    (row,) = table.rows(found, 50.0)
    assert (row[1], row[4]) == ("1,000 (900 to 1,200)", "8 (7 to 9)")
    assert "10 s each, medians of 3 rounds (least to most); " in table.origin(found)
    assert "10 s each; " in table.origin(comparison(*CELLS))


def test_markdown() -> None:
    """The same as a table for the documentation."""
    text = table.markdown(comparison(*CELLS))
    assert "| barrage \\* | 95 | 50% | 10 | 50 | 0 | 6.0 | 6.0 | 100 |" in text
    assert "- Does not hold: 50/s" in text
    assert "1,000 viewers who read every 20 ms, 10 s each" in text
