"""Tables of the review team: seats, shifts, training sets with their questions, attempts and marks."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table
from sqlalchemy import text as sql_text

from server.moderation.tables.base import metadata, text, whole

# How many reviewers the platform has committed to at a time: append-only, the newest row of a queue stands. ``queue`` empty: of all
# queues together.
seats: Final = Table(
    "seats",
    metadata,
    Column("id", Integer, primary_key=True),
    whole("at_ms", None),
    text("queue"),
    whole("number", None),
    text("actor", default=None),
    text("role", default=None),
    Index(None, "queue", "id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# Who is to review, and when: one row fills one seat. Whether somebody was there is told by the decision log and the claims.
shifts: Final = Table(
    "shifts",
    metadata,
    Column("id", Integer, primary_key=True),
    text("member", default=None),  # staff:NAME
    text("queue"),  # empty: all queues
    whole("from_ms", None),
    whole("until_ms", None),
    text("planned_by", default=None),
    whole("planned_ms", None),
    text("cancelled_by"),
    whole("cancelled_ms"),
    CheckConstraint("from_ms < until_ms", name="span"),
    Index(None, "from_ms"),
    Index(None, "member", "from_ms"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# A version of a training set. Versions of one set share ``series`` (the id of the first). What is published does not change any more;
# at most one version of a series is in force: published and not retired.
training_sets: Final = Table(
    "training_sets",
    metadata,
    Column("id", Integer, primary_key=True),
    whole("series"),
    whole("version", "1"),
    text("title", default=None),
    text("author", default=None),
    whole("created_ms", None),
    whole("published_ms"),
    whole("retired_ms"),
    Index(None, "series", "version", unique=True),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# A comment and the right judgement on it: a code by which it goes, or K1, it may stay. ``item`` is the decided item that it was taken
# from; neither room nor author go along.
training_questions: Final = Table(
    "training_questions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("training", Integer, ForeignKey("training_sets.id"), nullable=False),
    text("text", default=None),
    text("code", default=None),
    text("why"),
    whole("item"),
    Index(None, "training", "id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# A member has begun: which questions, in which order (JSON list of ids). Append-only, so nobody draws until the questions please.
training_attempts: Final = Table(
    "training_attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("training", Integer, ForeignKey("training_sets.id"), nullable=False),
    text("member", default=None),
    whole("begun_ms", None),
    Column("questions", LargeBinary, nullable=False),
    Index(None, "member", "training", "id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# How an attempt ended; ``id`` is the attempt's. ``answers`` is a JSON list of codes in the order of the questions. A pass holds until
# ``until_ms``, by the settings of the day on which it was made. Append-only.
training_marks: Final = Table(
    "training_marks",
    metadata,
    Column("id", Integer, ForeignKey("training_attempts.id"), primary_key=True),
    whole("series", None),
    text("member", default=None),
    whole("at_ms", None),
    Column("answers", LargeBinary, nullable=False),
    whole("points", None),
    whole("most", None),
    whole("mark", None),  # percent, rounded down
    whole("needed", None),
    whole("passed", None),
    whole("until_ms"),
    Index("ix_training_marks_member", "member", "series", sql_text("id DESC")),
    Index(None, "at_ms"),
    sqlite_strict=True,
)
