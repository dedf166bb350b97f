"""Table of the feature registry: security assessments on record."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Table, Text

from server.moderation.tables.base import metadata, text, whole

# ``sha256`` is that of the report; the report itself is kept where the operator keeps papers.
assessments: Final = Table(
    "assessments",
    metadata,
    Column("id", Text, primary_key=True),
    text("feature", default=None),
    text("assessor", default=None),
    text("result", CheckConstraint("result IN ('passed', 'failed')", name="result"), default=None),
    text("sha256", default=None),
    text("reference"),  # of the filing with the authority
    whole("assessed_ms", None),
    whole("until_ms", None),
    text("actor", default=None),
    text("role", default=None),
    whole("at_ms", None),
    text("revoked_by"),
    whole("revoked_ms"),
    Index(None, "feature"),
    sqlite_strict=True,
)
