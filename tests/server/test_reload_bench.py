"""Tests of server.reload_bench."""

from __future__ import annotations

from pathlib import Path

from server.reload_bench import measure


async def test_report(tmp_path: Path) -> None:
    """The report tells the loop's pauses without and with rules coming into force, and the load of the machine."""
    lines = [line async for line in measure(tmp_path / "rules", 200, alone_s=0.2, reloads=1)]
    assert [line.split(",")[0] for line in lines[:2]] == ["loop left alone", "reload of 200 terms"]
    assert all("longest pause" in line and "over 10 ms" in line for line in lines[:2])
    assert lines[2].startswith("load of the machine")
