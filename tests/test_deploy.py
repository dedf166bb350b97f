"""deploy/: what the example configurations promise."""

from __future__ import annotations

import re
from pathlib import Path

from server.cli import EXIT_SETTINGS
from server.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"


def test_nginx_writes_no_token_into_its_log() -> None:
    """The address of a WebSocket may hold a token (``/ws?token=``): requests for it are not logged."""
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    (block,) = re.findall(r"location = /ws \{(.*?)\n    \}", text, re.DOTALL)
    assert re.search(r"^\s*access_log off;", block, re.MULTILINE)


def test_the_unit_knows_what_the_program_does() -> None:
    """systemd hears when the server serves, waits for a drain with the settings as they come, and does not repeat a start with bad
    settings."""
    text = (DEPLOY / "barrage.service").read_text(encoding="utf-8")
    unit = dict(re.findall(r"^(\w+)=(.+)$", text, re.MULTILINE))
    assert unit["Type"] == "notify"
    assert int(unit["WatchdogSec"]) > 0
    assert int(unit["TimeoutStopSec"]) > Settings().drain_s + 10
    assert unit["RestartPreventExitStatus"] == str(EXIT_SETTINGS)
