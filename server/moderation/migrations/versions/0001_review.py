"""The first tables of review.db."""

from __future__ import annotations

from alembic import op

from server.moderation.tables import APPEND_ONLY, metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables, and the triggers that keep the records append-only."""
    metadata.create_all(op.get_bind())
    for table in APPEND_ONLY:
        _guard(table)


def downgrade() -> None:
    """Drop all tables, with everything in them."""
    metadata.drop_all(op.get_bind())


def _guard(table: str) -> None:
    said = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {said}")
    # REPLACE deletes rows without asking triggers of DELETE.
    there = f"EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"  # noqa: S608 - names of this file
    op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} {said}")
