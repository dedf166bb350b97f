"""Pages of short and long logs are made and opened, and compared."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from loadtest.long_log import LONG, SHORT, Found, Opening, drafts, long_log, ratios, same_rows


@given(least=st.integers(1, 10**7), like=st.integers(1, 10**4))
def test_the_newest_pages_have_as_many_rows(least: int, like: int) -> None:
    """Else the longer page would cost more by itself; less than a page is added for it."""
    number = same_rows(least, like)
    assert least <= number < least + 256
    assert number % 256 == like % 256


def test_drafts_fill_the_batches() -> None:
    """All comments come, each under a key of its own."""
    batches = list(drafts("r", 4100))
    assert [len(batch) for batch in batches] == [2000, 2000, 100]
    assert len({getattr(draft, "key") for batch in batches for draft in batch}) == 4100  # noqa: B009 - drafts of any kind


def opening(page: str, room: str, ms: float, cpu_ms: float) -> Opening:
    return Opening(page=page, room=room, size=1, ms=ms, cpu_ms=cpu_ms)


def test_what_costs_more_than_a_fifth_more_is_found() -> None:
    """Time and processor are judged for each page; a server too fast to be timed has no ratio."""
    openings = [
        opening("a", SHORT, 1.0, 0.5),
        opening("a", LONG, 1.2, 0.61),
        opening("b", SHORT, 1.0, 0.0),
        opening("b", LONG, 0.9, 0.0),
    ]
    assert ratios(openings) == {"a, time": 1.2, "a, processor": 1.22, "b, time": 0.9}


def test_the_command_makes_opens_and_compares(tmp_path: Path) -> None:
    """A small run has every figure; the pages of both rooms stand there and are of the same size in rows."""
    given = ["--short", "40", "--long", "600", "--opens", "10", "--cpu", "0", "--folder", str(tmp_path), "--json"]
    done = CliRunner().invoke(long_log, given)
    assert done.exit_code in {0, 99}, done.output
    found = msgspec.convert(json.loads(done.stdout), Found)
    assert (found.comments, found.pages) == ({SHORT: 40, LONG: 808}, 4)
    assert {(each.page, each.room) for each in found.openings} == {
        (page, room) for page in ("newest static page", "room page") for room in (SHORT, LONG)
    }
    assert all(each.ms > 0 and each.size > 1000 for each in found.openings)
    newest = tmp_path / "long-log" / "data" / "pages" / "rooms" / LONG / "comments" / "3.html"
    assert newest.read_text().count("<article ") == 40
    assert found.exit_code == done.exit_code
    assert CliRunner().invoke(long_log, given).exit_code == 1, "the folder is there already"


@pytest.mark.parametrize(("ratio", "status"), [(1.2, 0), (1.21, 99)])
def test_the_verdict(ratio: float, status: int) -> None:
    """A fifth more is allowed, and no more."""
    machine = {"system": "", "cpu": "", "cpus": 1, "cores": [], "memory_gb": 1.0, "python": ""}
    made = {"command": "", "commit": "", "machine": machine, "comments": {}, "openings": [], "pages": 1, "ratios": {"a": ratio}}
    made |= dict.fromkeys(("log_s", "rebuild_s", "rebuild_cpu_s", "rebuild_rows_per_s"), 1)
    assert msgspec.convert(made, Found).exit_code == status
