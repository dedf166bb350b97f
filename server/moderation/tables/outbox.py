"""Tables of the outbox: findings for authorities, and each attempt to deliver one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text
from sqlalchemy import text as sql_text

from server.moderation.tables.base import metadata, text, whole

# What an authority is told. ``evidence`` is JSON of :class:`server.moderation.outbox.Evidence`; ``sealed`` are personal data that the
# law asks for, encrypted with the vault's key, and empty once the authority has them. ``next_ms`` 0: nothing is to be sent by itself.
findings: Final = Table(
    "findings",
    metadata,
    Column("id", Text, primary_key=True),
    text("authority", default=None),
    text("title", default=None),
    text("summary", default=None),
    text("code", default=None),
    text("basis", default=None),
    Column("evidence", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False, server_default=sql_text("x''")),
    text("actor", default=None),
    text("role", default=None),
    whole("at_ms", None),
    whole("due_ms", None),
    text("state", CheckConstraint("state IN ('open', 'sent', 'acknowledged', 'withdrawn')", name="state"), default="open"),
    whole("attempts"),
    whole("next_ms"),
    whole("sent_ms"),
    text("trouble"),  # why the last attempt failed
    whole("ended_ms"),  # acknowledged or withdrawn
    text("ended_by"),
    text("how"),  # answer, file or hand
    text("reference"),  # the authority's own number
    whole("alarmed_ms"),
    Index("ix_findings_next", "next_ms", sqlite_where=sql_text("next_ms > 0")),
    Index("ix_findings_open", "due_ms", sqlite_where=sql_text("ended_ms = 0")),
    Index(None, "at_ms"),
    sqlite_strict=True,
)

# Each attempt, and each print: append-only. ``digest`` is the SHA-256 of what was sent.
deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("finding", Text, ForeignKey("findings.id"), nullable=False),
    whole("at_ms", None),
    text("way", default=None),
    whole("done"),
    text("detail"),
    text("digest"),
    Index(None, "finding"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
