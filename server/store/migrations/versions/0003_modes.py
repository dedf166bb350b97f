"""More modes of rooms, their terms, rooms of news, owners of rooms; the account of who reports.

SQLite cannot change a check of a column, and a table that others refer to cannot be made anew within a transaction. So ``mode`` is
made again beside the old column, which is dropped: that rewrites the few rows of rooms, and no event.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OLD = "'open', 'read_only', 'closed'"
_NEW = "'open', 'slow', 'shield', 'review', 'read_only', 'closed'"


def upgrade() -> None:
    """Add the columns; rooms keep their mode, without a term."""
    _mode(_NEW)
    op.add_column("rooms", _text("standing", "open", _NEW))
    op.execute("UPDATE rooms SET standing = mode")
    op.add_column("rooms", _number("until_ms"))
    op.add_column("rooms", _number("slow_ms"))
    op.add_column("rooms", _number("news"))
    op.add_column("rooms", _text("owner", ""))
    op.add_column("events", _number("until_ms"))
    op.add_column("events", _number("slow_ms"))
    op.add_column("reports", sa.Column("account", sa.Text()))


def downgrade() -> None:
    """Drop the columns, with what they hold. A room of a mode that was not there before is read only: that lets in no more than it
    did."""
    op.drop_column("reports", "account")
    for name in ("slow_ms", "until_ms"):
        op.drop_column("events", name)
    for name in ("owner", "news", "slow_ms", "until_ms", "standing"):
        op.drop_column("rooms", name)
    op.execute("UPDATE rooms SET mode = 'read_only' WHERE mode IN ('slow', 'shield', 'review')")
    _mode(_OLD)


def _mode(allowed: str) -> None:
    """``mode`` again, last of the columns, with another check."""
    op.add_column("rooms", _text("newer", "open", allowed, "mode"))
    op.execute("UPDATE rooms SET newer = mode")
    op.drop_column("rooms", "mode")
    op.alter_column("rooms", "newer", new_column_name="mode")


def _text(name: str, default: str, allowed: str = "", check: str = "") -> sa.Column[str]:
    checks = [sa.CheckConstraint(f"{name} IN ({allowed})", name=op.f(f"ck_rooms_{check or name}"))] if allowed else []
    return sa.Column(name, sa.Text(), *checks, nullable=False, server_default=default)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, _BIG, nullable=False, server_default=sa.text("0"))
