"""Bounds and rates of the screening, in one frozen record: everything that an operator or a load test may set."""

from __future__ import annotations

import msgspec


class ScreeningConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds, lengths in code points; a rate's interval of 0 switches it off.

    A rate lets ``burst`` comments through at once and one more every interval. ``level_weights`` holds what one comment costs
    an author of each credit level (the last entry stands for all higher levels): 2 means half the rate. ``raid_weight`` is
    multiplied to it in a room that is being raided, for authors below ``raid_level``. ``crowd``: from so many of one text within
    some seconds on, a room's verdicts name it, so that players may show it once. ``max_keys`` bounds every memory of keys.
    """

    max_chars: int = 100
    account_interval_ms: int = 1_000
    account_burst: int = 8
    room_interval_ms: int = 1_500
    room_burst: int = 8
    address_interval_ms: int = 50
    address_burst: int = 200
    repeat_interval_ms: int = 2_000
    repeat_burst: int = 10
    crowd: int = 20
    raid_weight: int = 4
    raid_level: int = 2
    max_keys: int = 200_000
    level_weights: tuple[int, ...] = (3, 1)

    def __post_init__(self) -> None:
        if not 1 <= self.max_chars <= 1_000:
            raise ValueError(f"max_chars must be 1 to 1000, not {self.max_chars}: the time of one screening is bounded by it")
        if not self.level_weights or min(self.level_weights) < 1:
            raise ValueError("level_weights needs at least one weight, each at least 1")
