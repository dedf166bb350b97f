"""The same text again: by one account (it has to wait), and by a crowd (it may be shown once with a count; nobody is to blame).

Texts are compared by their *gist*: folded, without noise, runs of one character collapsed. Volume convicts nobody: a ritual line from
thousands of people is what comments are for.
"""

from __future__ import annotations

import re
from typing import Final

from filters.normalize import NOISE
from filters.rate import Gcra

_NOISE: Final = re.compile("[" + "".join(map(re.escape, sorted(NOISE))) + "]+")
_RUN: Final = re.compile(r"(.)\1+")
HALF_LIFE_MS: Final = 5_000


def gist(folded: str) -> str:
    """What two texts that differ in spaces, punctuation and stretched characters have in common."""
    # Noise is no letter and no digit.
    bare = folded if folded.isalnum() else _NOISE.sub("", folded)
    return _RUN.sub(_first, bare) or folded


def _first(run: re.Match[str]) -> str:
    return run[1]


class Repeats:
    """Gists by account and by room. Bounded; pure; used by one thread."""

    def __init__(self, interval_ms: int, burst: int, crowd: int, max_keys: int) -> None:
        """An account may say one gist in one room ``burst`` times at once and then every ``interval_ms`` (0: as often as it likes).

        ``crowd``: from so many within some seconds on, a gist of a room counts as a crowd's. ``max_keys`` bounds each memory; the
        gists heard longest ago are forgotten first.
        """
        self._account = Gcra(interval_ms, burst, max_keys)
        self._crowd = crowd
        self._max_keys = max_keys
        # (decayed count, time of the last one), in the order in which they were last heard.
        self._heard: dict[str, tuple[float, int]] = {}

    def allow(self, author: str, room: str, said: str, now_ms: int) -> int:
        """Count one saying against the account's allowance: 0, or (nothing is counted) milliseconds to wait."""
        return self._account.allow(f"{author}\n{room}\n{said}", now_ms)

    def crowd(self, room: str, said: str, now_ms: int) -> int:
        """Count one saying in the room; the decayed number of them when it is a crowd's, else 0."""
        key = f"{room}\n{said}"
        count, last_ms = self._heard.pop(key, (0.0, now_ms))
        count = count * 0.5 ** (max(0, now_ms - last_ms) / HALF_LIFE_MS) + 1
        if len(self._heard) >= self._max_keys:
            del self._heard[next(iter(self._heard))]
        self._heard[key] = (count, now_ms)
        return round(count) if count >= self._crowd else 0

    def __len__(self) -> int:
        """Number of gists remembered for rooms."""
        return len(self._heard)
