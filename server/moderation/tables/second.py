"""Tables of the second review: the seeds of the daily draw, and what was judged again."""

from __future__ import annotations

from typing import Final

from sqlalchemy import REAL, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy import text as sql_text

from server.moderation.tables.base import metadata, text, whole

# One row a day of the site's time zone. ``commitment`` is published when the day begins, ``seed`` after its end, when the draw has
# been made over that day's decisions (``digest`` of their published lines). Share and seed cannot change in between: both are in the
# commitment.
draws: Final = Table(
    "draws",
    metadata,
    Column("day", Text, primary_key=True),  # 2026-11-22
    text("seed", default=None),
    Column("share", REAL, nullable=False),
    text("commitment", default=None),
    whole("begun_ms", None),
    whole("drawn_ms"),
    text("digest"),
    whole("decisions"),
    whole("chosen"),
    sqlite_strict=True,
)

# Decisions that were drawn, each with its item and what came of it. ``agrees`` -1: not judged yet. What was judged differently waits
# for a senior (``settled`` is the decision that ends it).
seconds: Final = Table(
    "seconds",
    metadata,
    Column("decision", Integer, ForeignKey("decisions.id"), primary_key=True),
    text("day", default=None),
    text("judge_not"),  # who decided first, and so does not judge
    whole("item"),
    Column("agrees", Integer, CheckConstraint("agrees IN (-1, 0, 1)", name="agrees"), nullable=False, server_default="-1"),
    whole("judgement"),
    whole("judged_ms"),
    whole("settled"),
    whole("settled_ms"),
    Index("ix_seconds_item", "item"),
    Index("ix_seconds_unmade", "decision", sqlite_where=sql_text("item = 0")),
    Index("ix_seconds_open", "decision", sqlite_where=sql_text("agrees = 0 AND settled = 0")),
    Index(None, "judged_ms"),
    Index(None, "day"),
    sqlite_strict=True,
)
