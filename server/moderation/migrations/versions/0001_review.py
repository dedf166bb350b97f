"""The first tables of review.db."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "training_marks", "training_questions", "training_attempts", "swarm_members", "seconds", "exports", "effects",
    "deliveries", "case_steps", "views", "training_sets", "swarms", "shifts", "seats", "receipts", "places", "items",
    "inspections", "findings", "draws", "decisions", "cases", "assessments",
)  # fmt: skip
"""In an order in which they can be dropped."""
_APPEND_ONLY = (
    "decisions", "views", "exports", "deliveries", "case_steps", "seats", "training_attempts", "training_marks",
)  # fmt: skip


def upgrade() -> None:
    """Make all tables, and the triggers that keep the records append-only."""
    _queue()
    _cases()
    _features()
    _inspection()
    _outbox()
    _second()
    _swarms()
    _team()
    for table in _APPEND_ONLY:
        _guard(table)


def downgrade() -> None:
    """Drop all tables, with everything in them."""
    for table in _TABLES:
        op.drop_table(table)


def _text(name: str, *extra: sa.CheckConstraint, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), *extra, nullable=False, server_default=default)


def _int(name: str, *extra: sa.CheckConstraint, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), *extra, nullable=False, server_default=default)


def _real(name: str, default: str | None = "0") -> sa.Column[float]:
    return sa.Column(name, sa.REAL(), nullable=False, server_default=default)


def _blob(name: str, default: sa.TextClause | None = None) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False, server_default=default)


def _guard(table: str) -> None:
    said = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {said}")
    # REPLACE deletes rows without asking triggers of DELETE.
    there = f"EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"  # noqa: S608 - names of this file
    op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} {said}")


def _queue() -> None:
    op.create_table(
        "decisions",
        _int("id", default=None),
        _int("at_ms", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        _int("automated"),
        _text("what", default=None),
        _text("code", default=None),
        _text("basis", default=None),
        _text("rule"),
        _text("room"),
        _int("seq"),
        _int("item"),
        _text("account"),
        _int("reverses"),
        _int("until_ms"),
        _text("request"),
        _blob("detail"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_decisions_account"), "decisions", ["account", "id"])
    op.create_index(op.f("ix_decisions_actor"), "decisions", ["actor", "id"])
    op.create_index(op.f("ix_decisions_at_ms"), "decisions", ["at_ms"])
    op.create_index(op.f("ix_decisions_code"), "decisions", ["code", "id"])
    op.create_index(op.f("ix_decisions_item"), "decisions", ["item"])
    op.create_index(op.f("ix_decisions_reverses"), "decisions", ["reverses"], sqlite_where=sa.text("reverses != 0"))
    op.create_index(op.f("ix_decisions_room"), "decisions", ["room", "seq"])
    op.create_index(op.f("ix_decisions_what"), "decisions", ["what", "id"])
    op.create_index(
        op.f("uq_decisions_request"), "decisions", ["actor", "request"], unique=True, sqlite_where=sa.text("request != ''")
    )
    op.create_table(
        "items",
        _int("id", default=None),
        _text(
            "queue",
            sa.CheckConstraint("queue IN ('held', 'news', 'report', 'swarm', 'second')", name=op.f("ck_items_queue")),
            default=None,
        ),
        _text("source", default=None),
        _text("room"),
        _int("seq"),
        _text("account"),
        _text("author_id"),
        _text("author_name"),
        _text("text"),
        _text("digest"),
        _text("code"),
        _text("rule"),
        _blob("verdict", default=sa.text("x''")),
        _blob("draft", default=sa.text("x''")),
        _int("severity"),
        _int("reach"),
        _int("reports"),
        _real("weight"),
        _real("priority"),
        _int("at_ms", default=None),
        _int("due_ms"),
        _text(
            "state",
            sa.CheckConstraint("state IN ('open', 'decided', 'withdrawn')", name=op.f("ck_items_state")),
            default="open",
        ),
        _text("claimed_by"),
        _int("claimed_ms"),
        _int("lease_until_ms"),
        _text("barred"),
        _int("version"),
        _int("decision"),
        _int("decided_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_items_account"), "items", ["account", "id"])
    op.create_index(op.f("ix_items_at_ms"), "items", ["at_ms", "queue"])
    op.create_index(op.f("ix_items_claimed"), "items", ["claimed_by", "lease_until_ms"], sqlite_where=sa.text("state = 'open'"))
    op.create_index(op.f("ix_items_decided_ms"), "items", ["decided_ms"])
    op.create_index(op.f("ix_items_digest"), "items", ["queue", "digest"], sqlite_where=sa.text("state = 'open'"))
    op.create_index(op.f("ix_items_due"), "items", ["queue", "due_ms"], sqlite_where=sa.text("state = 'open'"))
    op.create_index(op.f("ix_items_leased"), "items", ["queue", "lease_until_ms"], sqlite_where=sa.text("state = 'open'"))
    op.create_index(
        op.f("ix_items_next"),
        "items",
        ["queue", sa.text("priority DESC"), "id", "severity", "at_ms", "room", "code", "author_id"],
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_index(
        op.f("ix_items_of_author"),
        "items",
        ["queue", "author_id", sa.text("priority DESC"), "id", "severity", "at_ms", "room", "code"],
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_index(
        op.f("ix_items_of_code"),
        "items",
        ["queue", "code", sa.text("priority DESC"), "id", "severity", "at_ms", "room", "author_id"],
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_index(
        op.f("ix_items_of_room"),
        "items",
        ["queue", "room", sa.text("priority DESC"), "id", "severity", "at_ms", "code", "author_id"],
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_index(op.f("ix_items_room"), "items", ["room", "seq"])
    op.create_index(op.f("ix_items_since"), "items", ["queue", "at_ms"], sqlite_where=sa.text("state = 'open'"))
    op.create_index(op.f("uq_items_source"), "items", ["queue", "source"], unique=True, sqlite_where=sa.text("state = 'open'"))
    op.create_table(
        "places",
        _text("name", default=None),
        _int("place", default=None),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_places")),
        sqlite_strict=True,
    )
    op.create_table(
        "receipts",
        _text("receipt", default=None),
        _int("item", default=None),
        _int("at_ms", default=None),
        _int("due_ms", default=None),
        _text("reason", default=None),
        _text("account"),
        _text("outcome"),
        _text("code"),
        _int("decision"),
        _int("decided_ms"),
        _int("words"),
        sa.PrimaryKeyConstraint("receipt", name=op.f("pk_receipts")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_receipts_account"), "receipts", ["account"], sqlite_where=sa.text("account != ''"))
    op.create_index(op.f("ix_receipts_at_ms"), "receipts", ["at_ms"])
    op.create_index(op.f("ix_receipts_due"), "receipts", ["due_ms"], sqlite_where=sa.text("decided_ms = 0"))
    op.create_index(op.f("ix_receipts_item"), "receipts", ["item"])
    op.create_index(op.f("ix_receipts_words"), "receipts", ["item", "words"], sqlite_where=sa.text("words != 0"))
    op.create_table(
        "views",
        _int("id", default=None),
        _int("at_ms", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        _text("action", default=None),
        _text("subject"),
        _text("case_number"),
        _text("detail"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_views")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_views_actor"), "views", ["actor", "id"])
    op.create_index(op.f("ix_views_case_number"), "views", ["case_number", "id"])
    op.create_table(
        "effects",
        _int("decision", default=None),
        _text("kind", default=None),
        _blob("draft"),
        _int("done_ms"),
        _int("seq"),
        _text("failure"),
        sa.PrimaryKeyConstraint("decision", name=op.f("pk_effects")),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_effects_decision")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_effects_open"), "effects", ["decision"], sqlite_where=sa.text("done_ms = 0"))


def _cases() -> None:
    op.create_table(
        "cases",
        _text("id", default=None),
        _text(
            "kind",
            sa.CheckConstraint("kind IN ('incident', 'rectification', 'penalty')", name=op.f("ck_cases_kind")),
            default=None,
        ),
        _text(
            "source",
            sa.CheckConstraint("source IN ('authority', 'own', 'complaint')", name=op.f("ck_cases_source")),
            default=None,
        ),
        _text("reference"),
        _text("title", default=None),
        _text("facts", default=None),
        _text("opened_by", default=None),
        _int("opened_ms", default=None),
        _int("due_ms", default=None),
        _int("closed_ms"),
        _text("closed_by"),
        _int("alarmed_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_cases_open"), "cases", ["due_ms"], sqlite_where=sa.text("closed_ms = 0"))
    op.create_index(op.f("ix_cases_opened_ms"), "cases", ["opened_ms"])
    op.create_table(
        "case_steps",
        _int("id", default=None),
        _text("case_id", default=None),
        _int("at_ms", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        _text(
            "kind",
            sa.CheckConstraint(
                "kind IN ('note', 'evidence', 'penalty', 'deadline', 'closed', 'reopened')", name=op.f("ck_case_steps_kind")
            ),
            default=None,
        ),
        _text("words"),
        _int("decision"),
        _text("sha256"),
        _int("due_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_steps")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_steps_case_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_case_steps_case_id"), "case_steps", ["case_id"])


def _features() -> None:
    op.create_table(
        "assessments",
        _text("id", default=None),
        _text("feature", default=None),
        _text("assessor", default=None),
        _text("result", sa.CheckConstraint("result IN ('passed', 'failed')", name=op.f("ck_assessments_result")), default=None),
        _text("sha256", default=None),
        _text("reference"),
        _int("assessed_ms", default=None),
        _int("until_ms", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        _int("at_ms", default=None),
        _text("revoked_by"),
        _int("revoked_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessments")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_assessments_feature"), "assessments", ["feature"])


def _inspection() -> None:
    op.create_table(
        "inspections",
        _text("id", default=None),
        _text("case_number", default=None),
        _text("reason", default=None),
        _blob("scope"),
        _text("inspectors", default=None),
        _text("asked_by", default=None),
        _int("asked_ms", default=None),
        _text("decided_by"),
        _int("decided_ms"),
        _int("granted"),
        _int("expires_ms", default=None),
        _text("revoked_by"),
        _int("revoked_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspections")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_inspections_asked_ms"), "inspections", ["asked_ms"])
    op.create_table(
        "exports",
        _int("id", default=None),
        _text("inspection", default=None),
        _int("at_ms", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        _text("manifest_sha256", default=None),
        _int("records", default=None),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
        sa.ForeignKeyConstraint(["inspection"], ["inspections.id"], name=op.f("fk_exports_inspection")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_exports_inspection"), "exports", ["inspection"])


def _outbox() -> None:
    op.create_table(
        "findings",
        _text("id", default=None),
        _text("authority", default=None),
        _text("title", default=None),
        _text("summary", default=None),
        _text("code", default=None),
        _text("basis", default=None),
        _blob("evidence"),
        _blob("sealed", default=sa.text("x''")),
        _text("actor", default=None),
        _text("role", default=None),
        _int("at_ms", default=None),
        _int("due_ms", default=None),
        _text(
            "state",
            sa.CheckConstraint("state IN ('open', 'sent', 'acknowledged', 'withdrawn')", name=op.f("ck_findings_state")),
            default="open",
        ),
        _int("attempts"),
        _int("next_ms"),
        _int("sent_ms"),
        _text("trouble"),
        _int("ended_ms"),
        _text("ended_by"),
        _text("how"),
        _text("reference"),
        _int("alarmed_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_findings_at_ms"), "findings", ["at_ms"])
    op.create_index(op.f("ix_findings_next"), "findings", ["next_ms"], sqlite_where=sa.text("next_ms > 0"))
    op.create_index(op.f("ix_findings_open"), "findings", ["due_ms"], sqlite_where=sa.text("ended_ms = 0"))
    op.create_table(
        "deliveries",
        _int("id", default=None),
        _text("finding", default=None),
        _int("at_ms", default=None),
        _text("way", default=None),
        _int("done"),
        _text("detail"),
        _text("digest"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.ForeignKeyConstraint(["finding"], ["findings.id"], name=op.f("fk_deliveries_finding")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_deliveries_finding"), "deliveries", ["finding"])


def _second() -> None:
    op.create_table(
        "draws",
        _text("day", default=None),
        _text("seed", default=None),
        _real("share", default=None),
        _text("commitment", default=None),
        _int("begun_ms", default=None),
        _int("drawn_ms"),
        _text("digest"),
        _int("decisions"),
        _int("chosen"),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_draws")),
        sqlite_strict=True,
    )
    op.create_table(
        "seconds",
        _int("decision", default=None),
        _text("day", default=None),
        _text("judge_not"),
        _int("item"),
        _int("agrees", sa.CheckConstraint("agrees IN (-1, 0, 1)", name=op.f("ck_seconds_agrees")), default="-1"),
        _int("judgement"),
        _int("judged_ms"),
        _int("settled"),
        _int("settled_ms"),
        sa.PrimaryKeyConstraint("decision", name=op.f("pk_seconds")),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_seconds_decision")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_seconds_day"), "seconds", ["day"])
    op.create_index(op.f("ix_seconds_item"), "seconds", ["item"])
    op.create_index(op.f("ix_seconds_judged_ms"), "seconds", ["judged_ms"])
    op.create_index(op.f("ix_seconds_open"), "seconds", ["decision"], sqlite_where=sa.text("agrees = 0 AND settled = 0"))
    op.create_index(op.f("ix_seconds_unmade"), "seconds", ["decision"], sqlite_where=sa.text("item = 0"))


def _swarms() -> None:
    op.create_table(
        "swarms",
        _int("id", default=None),
        _text("kind", sa.CheckConstraint("kind IN ('comments', 'reports')", name=op.f("ck_swarms_kind")), default=None),
        _int("first_ms", default=None),
        _int("last_ms", default=None),
        _int("members"),
        _int("texts"),
        _int("rooms"),
        _int("item"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_swarms")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_swarms_last"), "swarms", ["kind", "last_ms"])
    op.create_table(
        "swarm_members",
        _int("swarm", default=None),
        _text("account", default=None),
        _int("at_ms", default=None),
        _int("texts"),
        _int("rooms"),
        _blob("peers", default=sa.text("x'5b5d'")),
        sa.PrimaryKeyConstraint("swarm", "account", name=op.f("pk_swarm_members")),
        sa.ForeignKeyConstraint(["swarm"], ["swarms.id"], name=op.f("fk_swarm_members_swarm")),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_swarm_members_account"), "swarm_members", ["account"])


def _team() -> None:
    op.create_table(
        "seats",
        _int("id", default=None),
        _int("at_ms", default=None),
        _text("queue"),
        _int("number", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seats")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_seats_queue"), "seats", ["queue", "id"])
    op.create_table(
        "shifts",
        _int("id", default=None),
        _text("member", default=None),
        _text("queue"),
        _int("from_ms", default=None),
        _int("until_ms", default=None),
        _text("planned_by", default=None),
        _int("planned_ms", default=None),
        _text("cancelled_by"),
        _int("cancelled_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shifts")),
        sa.CheckConstraint("from_ms < until_ms", name=op.f("ck_shifts_span")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_shifts_from_ms"), "shifts", ["from_ms"])
    op.create_index(op.f("ix_shifts_member"), "shifts", ["member", "from_ms"])
    op.create_table(
        "training_sets",
        _int("id", default=None),
        _int("series"),
        _int("version", default="1"),
        _text("title", default=None),
        _text("author", default=None),
        _int("created_ms", default=None),
        _int("published_ms"),
        _int("retired_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_sets")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_training_sets_series"), "training_sets", ["series", "version"], unique=True)
    op.create_table(
        "training_attempts",
        _int("id", default=None),
        _int("training", default=None),
        _text("member", default=None),
        _int("begun_ms", default=None),
        _blob("questions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_attempts")),
        sa.ForeignKeyConstraint(["training"], ["training_sets.id"], name=op.f("fk_training_attempts_training")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_training_attempts_member"), "training_attempts", ["member", "training", "id"])
    op.create_table(
        "training_questions",
        _int("id", default=None),
        _int("training", default=None),
        _text("text", default=None),
        _text("code", default=None),
        _text("why"),
        _int("item"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_questions")),
        sa.ForeignKeyConstraint(["training"], ["training_sets.id"], name=op.f("fk_training_questions_training")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_training_questions_training"), "training_questions", ["training", "id"])
    op.create_table(
        "training_marks",
        _int("id", default=None),
        _int("series", default=None),
        _text("member", default=None),
        _int("at_ms", default=None),
        _blob("answers"),
        _int("points", default=None),
        _int("most", default=None),
        _int("mark", default=None),
        _int("needed", default=None),
        _int("passed", default=None),
        _int("until_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_marks")),
        sa.ForeignKeyConstraint(["id"], ["training_attempts.id"], name=op.f("fk_training_marks_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_training_marks_at_ms"), "training_marks", ["at_ms"])
    op.create_index(op.f("ix_training_marks_member"), "training_marks", ["member", "series", sa.text("id DESC")])
