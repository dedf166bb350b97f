"""server/web/moments.py"""

from __future__ import annotations

from server.web.moments import moment_in


def test_a_moment_is_told_in_the_sites_zone() -> None:
    """To the minute; no moment is no text."""
    assert moment_in("Asia/Shanghai")(1_790_000_000_000) == "2026-09-21 22:13"
    assert moment_in("UTC")(1_790_000_000_000) == "2026-09-21 14:13"
    assert moment_in("UTC")(0) == ""
