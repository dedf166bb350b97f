"""The benchmark of the static pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import micro_pages


def test_report_has_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A short run prints a line per batch size and one for sealing, and leaves nothing in the folder."""
    monkeypatch.setattr(micro_pages, "ROUNDS", 1)
    monkeypatch.setattr("sys.argv", ["micro_pages", "--rows", "300", "--folder", str(tmp_path)])
    micro_pages.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "append, batches of 1",
        "append, batches of 10",
        "append, batches of 100",
        "append, batches of 1000",
        "seal and index",
    ]
    assert all(float(line.split()[-3]) > 0 for line in lines[1:])
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_full_page_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Sealing needs at least one full page."""
    monkeypatch.setattr("sys.argv", ["micro_pages", "--rows", "10"])
    with pytest.raises(SystemExit) as exit_info:
        micro_pages.main()
    assert exit_info.value.code == 2
    assert "at least 256" in capsys.readouterr().err
