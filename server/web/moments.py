"""Moments in words of the site's time zone."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable


def moment_in(time_zone: str) -> Callable[[int], str]:
    """Puts a moment (Unix ms; 0: none) as people read it. Raises ZoneInfoNotFoundError for an unknown zone."""
    zone = zoneinfo.ZoneInfo(time_zone)
    return lambda ms: f"{dt.datetime.fromtimestamp(ms / 1000, zone):%Y-%m-%d %H:%M}" if ms else ""
