"""Tables of inspections: who may look at what under which case, and which bundles were made of it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from server.moderation.tables.base import metadata, text, whole

# ``scope`` is JSON of :class:`server.moderation.inspection.Scope`; ``inspectors`` names members of staff, with spaces between.
inspections: Final = Table(
    "inspections",
    metadata,
    Column("id", Text, primary_key=True),
    text("case_number", default=None),
    text("reason", default=None),
    Column("scope", LargeBinary, nullable=False),
    text("inspectors", default=None),
    text("asked_by", default=None),
    whole("asked_ms", None),
    text("decided_by"),
    whole("decided_ms"),
    whole("granted"),
    whole("expires_ms", None),
    text("revoked_by"),
    whole("revoked_ms"),
    Index(None, "asked_ms"),
    sqlite_strict=True,
)

# Bundles that left the house: append-only. ``manifest_sha256`` names one for good.
exports: Final = Table(
    "exports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("inspection", Text, ForeignKey("inspections.id"), nullable=False),
    whole("at_ms", None),
    text("actor", default=None),
    text("role", default=None),
    text("manifest_sha256", default=None),
    whole("records", None),
    Index(None, "inspection"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
