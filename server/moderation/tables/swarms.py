"""Tables of groups that act together: found by :mod:`filters.swarm`, judged by people."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table
from sqlalchemy import text as sql_text

from server.moderation.tables.base import metadata, text, whole

swarms: Final = Table(
    "swarms",
    metadata,
    Column("id", Integer, primary_key=True),
    text("kind", CheckConstraint("kind IN ('comments', 'reports')", name="kind"), default=None),
    whole("first_ms", None),
    whole("last_ms", None),
    whole("members"),
    whole("texts"),  # the most that one of them shares with others
    whole("rooms"),
    whole("item"),
    Index("ix_swarms_last", "kind", "last_ms"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# ``account`` is an account, or the pseudonym of an address without one; ``peers`` JSON: those it was found to act with.
swarm_members: Final = Table(
    "swarm_members",
    metadata,
    Column("swarm", Integer, ForeignKey("swarms.id"), primary_key=True),
    text("account", default=None, primary_key=True),
    whole("at_ms", None),
    whole("texts"),
    whole("rooms"),
    Column("peers", LargeBinary, nullable=False, server_default=sql_text("x'5b5d'")),
    Index(None, "account"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
