"""deploy/: what the example configurations promise."""

from __future__ import annotations

import re
from pathlib import Path

DEPLOY = Path(__file__).parents[1] / "deploy"


def test_nginx_writes_no_token_into_its_log() -> None:
    """The address of a WebSocket may hold a token (``/ws?token=``): requests for it are not logged."""
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    (block,) = re.findall(r"location = /ws \{(.*?)\n    \}", text, re.DOTALL)
    assert re.search(r"^\s*access_log off;", block, re.MULTILINE)
