"""Region and label of a comment.

SQLite adds such columns without writing a row: rows of before have them empty, which is what they say of comments of before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("events", "screened")
_COLUMNS = ("region", "label", "label_kind")


def upgrade() -> None:
    """Add the columns."""
    for table in _TABLES:
        for name in _COLUMNS:
            op.add_column(table, sa.Column(name, sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the columns, with what they hold."""
    for table in _TABLES:
        for name in reversed(_COLUMNS):
            op.drop_column(table, name)
