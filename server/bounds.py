"""Bounds of whole numbers that come from outside: what every reader of JSON, and every database, holds exactly."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

WHOLE_MAX: Final = 2**53 - 1

Whole = Annotated[int, Meta(ge=0, le=WHOLE_MAX)]
"""A number of an event, an item, a decision, or Unix milliseconds; 0: none."""
Number = Annotated[int, Meta(ge=1, le=WHOLE_MAX)]
"""As :data:`Whole`, where there is one."""
