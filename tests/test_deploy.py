"""deploy/: what the example configurations promise."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from server.cli import EXIT_SETTINGS
from server.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


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


def test_the_command_is_found_through_a_link_and_takes_no_code_from_where_it_is_called(tmp_path: Path) -> None:
    """``/usr/local/bin/barrage`` may lead to it, and a ``server.py`` of somebody else in the current folder is not run."""
    (recipe,) = re.findall(r"(printf .*) > \$\(VENV\)/bin/barrage", (ROOT / "Makefile").read_text(encoding="utf-8"))
    script = subprocess.run(["sh", "-c", recipe.replace("\\#", "#").replace("$$", "$")], capture_output=True, check=True)
    (tmp_path / "bin").mkdir()
    for name, content in (("barrage", script.stdout), ("python", b'#!/bin/sh\nprintf "%s|" "$0" "$@"\n')):
        (tmp_path / "bin" / name).write_bytes(content)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path / "bin" / "barrage")
    called = subprocess.run([tmp_path / "link", "serve", "a b"], capture_output=True, check=True, text=True).stdout
    assert called == f"{tmp_path}/bin/python|-P|-m|server|serve|a b|"
    assert "python -P -m server" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
