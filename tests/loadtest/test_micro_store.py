"""The benchmark of the store runs and reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import micro_store


def test_the_report_has_a_line_for_each_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small run measures everything, alone and beside a busy thread, and leaves no file."""
    micro_store.main(["--drafts", "200", "--batch", "10", "--rooms", "2", "--folder", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("alone") == lines.count("beside a busy thread") == 1
    assert sum(line.startswith("  append, batches of 10") for line in lines) == 4
    assert sum(line.startswith("  insert, ") for line in lines) == 6
    assert sum(line.startswith("  read ") for line in lines) == 8
    assert list(tmp_path.iterdir()) == []


def test_batches_differ_in_every_draft() -> None:
    """No key comes twice, all rooms are used, and ordered keys go up."""
    batches = micro_store.make_batches(100, 30, 4, ordered=True)
    made = [draft for batch in batches for draft in batch]
    keys = [getattr(draft, "key") for draft in made]  # noqa: B009 - drafts of any kind
    assert [len(batch) for batch in batches] == [30, 30, 30, 10]
    assert len(set(keys)) == 100
    assert [key[:12] for key in keys] == sorted(key[:12] for key in keys)
    assert {getattr(draft, "room") for draft in made} == {"room0", "room1", "room2", "room3"}  # noqa: B009
