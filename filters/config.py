"""Bounds and rates of the screening, in one frozen record: everything that an operator or a load test may set."""

from __future__ import annotations

import msgspec


class ScreeningConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds, lengths in code points; a rate's interval of 0 switches it off.

    A rate lets ``burst`` comments through at once and one more every interval. ``level_weights`` holds what one comment costs
    an author of each credit level (the last entry stands for all higher levels): 2 means half the rate.
    """

    max_chars: int = 100
    account_interval_ms: int = 1_000
    account_burst: int = 8
    room_interval_ms: int = 1_500
    room_burst: int = 6
    address_interval_ms: int = 50
    address_burst: int = 200
    max_keys: int = 200_000
    level_weights: tuple[int, ...] = (3, 1)
