"""Tables of cases: incidents, rectifications and penalties, with each step and piece of evidence."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy import text as sql_text

from server.moderation.tables.base import metadata, text, whole

cases: Final = Table(
    "cases",
    metadata,
    Column("id", Text, primary_key=True),
    text("kind", CheckConstraint("kind IN ('incident', 'rectification', 'penalty')", name="kind"), default=None),
    text("source", CheckConstraint("source IN ('authority', 'own', 'complaint')", name="source"), default=None),
    text("reference"),  # the authority's number, or that of the complaint
    text("title", default=None),
    text("facts", default=None),
    text("opened_by", default=None),
    whole("opened_ms", None),
    whole("due_ms", None),
    whole("closed_ms"),
    text("closed_by"),
    whole("alarmed_ms"),
    Index("ix_cases_open", "due_ms", sqlite_where=sql_text("closed_ms = 0")),
    Index(None, "opened_ms"),
    sqlite_strict=True,
)

# What was done, in order: append-only. ``evidence``: a decision by its id, or a file by its SHA-256 (``sha256``) and name.
case_steps: Final = Table(
    "case_steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.id"), nullable=False),
    whole("at_ms", None),
    text("actor", default=None),
    text("role", default=None),
    text(
        "kind",
        CheckConstraint("kind IN ('note', 'evidence', 'penalty', 'deadline', 'closed', 'reopened')", name="kind"),
        default=None,
    ),
    text("words"),
    whole("decision"),
    text("sha256"),
    whole("due_ms"),
    Index(None, "case_id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
