"""Duty P4 on a real server: what needs a security assessment does not start without one."""

from __future__ import annotations

import os
from pathlib import Path

from server.settings import PREFIX
from tests.duties.public import command
from tests.support import nursery
from tests.support.server import ServerProcess

EMBEDDED = {"assessed_features": "embedding,news_rooms", "allowed_origins": "https://video.example"}


def test_duty_p4_a_server_does_not_start_with_a_feature_that_was_not_assessed(tmp_path: Path) -> None:
    """It says which setting switches it on and which command records the assessment; after that it starts. A room of news, which
    staff make, is refused likewise."""
    data, report = tmp_path / "data", tmp_path / "report.pdf"
    report.write_bytes(b"report")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    flags = [word for name, value in EMBEDDED.items() for word in ("--set", f"{name}={value}")]
    refused = nursery.run(["serve", "--port", "0", "--data", str(data), *flags], clean, timeout_s=60)
    assert refused.returncode == 2
    assert "allowed_origins: it switches on comments on pages of other sites (embedding)" in refused.stderr
    assert "barrage feature assess embedding" in refused.stderr
    done = nursery.run(
        ["feature", "assess", "embedding", "--by", "Institute 3", "--report", str(report), "--on", "2026-01-01", "--until",
         "2030-01-01", "--data", str(data), *flags], clean, timeout_s=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with ServerProcess(data, settings=EMBEDDED) as server:
        news = command(server, "room", "create", "daily", "--news")
        assert (news.returncode, "assessment_required: news_rooms" in news.stderr) == (1, True), news.stderr
        assert command(server, "room", "create", "chat").returncode == 0
