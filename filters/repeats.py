"""The same text again: by one account (it has to wait), and by a crowd (it may be shown once with a count; nobody is to blame).

Texts are compared by their *gist*: folded, without noise, runs of one character collapsed. Volume convicts nobody: a ritual line from
thousands of people is what comments are for.
"""

from __future__ import annotations

import re
from math import inf
from typing import Final

from filters.normalize import NOISE
from filters.rate import ENOUGH, Gcra, drop_first, step_of

_NOISE: Final = re.compile("[" + "".join(map(re.escape, sorted(NOISE))) + "]+")
_RUN: Final = re.compile(r"(.)\1+")
HALF_LIFE_MS: Final = 5_000
SILENT_MS: Final = 24 * HALF_LIFE_MS
"""What nobody said for so long counts as never said: of a million sayings less than a tenth of one would be left."""


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
        # (time of the last one, decayed count), in the order in which they were last heard.
        self._heard: dict[str, tuple[int, float]] = {}
        # So many gists are held when the oldest are looked at next.
        self._look_at = min(ENOUGH, max_keys)

    def allow(self, author: str, room: str, said: str, now_ms: int) -> int:
        """Count one saying against the account's allowance: 0, or (nothing is counted) milliseconds to wait."""
        return self._account.allow(f"{author}\n{room}\n{said}", now_ms)

    def crowd(self, room: str, said: str, now_ms: int) -> int:
        """Count one saying in the room; the decayed number of them when it is a crowd's, else 0."""
        heard = self._heard
        key = f"{room}\n{said}"
        before = heard.get(key)
        if before is None:
            if len(heard) >= self._look_at:
                self._make_room(now_ms)
            heard[key] = (now_ms, 1.0)
            return 1 if self._crowd <= 1 else 0
        del heard[key]
        count = before[1] * 0.5 ** (max(0, now_ms - before[0]) / HALF_LIFE_MS) + 1
        heard[key] = (now_ms, count)
        return round(count) if count >= self._crowd else 0

    def _make_room(self, now_ms: int) -> None:
        """Forget the gists that were silent for long, and where there are too many, those heard longest ago."""
        heard, max_keys = self._heard, self._max_keys
        step = step_of(max_keys)
        drop_first(heard, 2 * step, (now_ms - SILENT_MS, inf))
        if len(heard) >= max_keys:
            drop_first(heard, max(1, max_keys // 256), (inf, inf))
        self._look_at = min(max_keys, max(ENOUGH, len(heard) + step))

    def __len__(self) -> int:
        """Number of gists remembered for rooms."""
        return len(self._heard)
