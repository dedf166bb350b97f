"""The first tables: rooms, events, keys, screened comments, connections, reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def upgrade() -> None:
    """Make all tables."""
    _rooms()
    _events()
    _screened()
    _records()


def downgrade() -> None:
    """Drop all tables, with everything in them."""
    for table in ("reports", "connections", "screened", "keys", "events", "rooms"):
        op.drop_table(table)


def _rooms() -> None:
    op.create_table(
        "rooms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _text("title"),
        sa.Column("kind", sa.Text(), sa.CheckConstraint("kind IN ('live', 'vod')", name=op.f("ck_rooms_kind")), nullable=False),
        sa.Column(
            "mode",
            sa.Text(),
            sa.CheckConstraint("mode IN ('open', 'read_only', 'closed')", name=op.f("ck_rooms_mode")),
            nullable=False,
        ),
        _text("epoch", None),
        sa.Column("created_ms", _BIG, nullable=False),
        sa.Column("started_ms", _BIG, nullable=False),
        _text("video_url"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rooms")),
        sa.UniqueConstraint("name", name=op.f("uq_rooms_name")),
        sqlite_strict=True,
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            sa.CheckConstraint("kind IN ('comment', 'removal', 'restoration', 'notice')", name=op.f("ck_events_kind")),
            nullable=False,
        ),
        sa.Column("at_ms", _BIG, nullable=False),
        sa.Column("pos_ms", _BIG, nullable=False, server_default=sa.text("0")),
        _text("author", None),
        _text("author_id"),
        _text("author_name"),
        _text("mode", "scroll"),
        _text("color", "#ffffff"),
        sa.Column("size", sa.Integer(), nullable=False, server_default=sa.text("25")),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("text_hash", sa.LargeBinary()),
        sa.Column("text", sa.Text()),
        sa.Column("target", _BIG),
        _text("code"),
        _text("basis"),
        _text("role"),
        sa.Column("removed_by", _BIG),
        _text("notice"),
        _text("room_mode"),
        sa.Column("verdict", sa.LargeBinary()),
        _text("connection"),
        sa.PrimaryKeyConstraint("room_id", "seq", name=op.f("pk_events")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_events_room_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "keys",
        _text("key", None),
        _text("author", None),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("seq", _BIG),
        sa.PrimaryKeyConstraint("key", "author", name=op.f("pk_keys")),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )


def _screened() -> None:
    op.create_table(
        "screened",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        _text("author", None),
        _text("key", None),
        sa.Column("at_ms", _BIG, nullable=False),
        sa.Column(
            "action",
            sa.Text(),
            sa.CheckConstraint("action IN ('held', 'refused')", name=op.f("ck_screened_action")),
            nullable=False,
        ),
        _text("code", None),
        sa.Column("verdict", sa.LargeBinary(), nullable=False),
        sa.Column("pos_ms", _BIG, nullable=False),
        _text("text", None),
        _text("mode", None),
        _text("color", None),
        sa.Column("size", sa.Integer(), nullable=False),
        _text("author_id", None),
        _text("author_name", None),
        _text("connection"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screened")),
        sa.UniqueConstraint("key", "author", name=op.f("uq_screened_key")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_screened_room_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )


def _records() -> None:
    op.create_table(
        "connections",
        _text("id", None),
        _text("author", None),
        _text("address", None),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("opened_ms", _BIG, nullable=False),
        sa.Column("closed_ms", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("receipt", None),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("at_ms", _BIG, nullable=False),
        _text("reason", None),
        _text("text", None),
        _text("address", None),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint("receipt", name=op.f("uq_reports_receipt")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_reports_room_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
