"""The tables, as the newest migration leaves them; a test compares the two.

Three choices carry the speed of the log:

- ``events`` grows at one end of the file, whatever the room, with a narrow index for ``(room_id, seq)``. Clustered by room, every
  insert costs 40 % more, because SQLite appends cheaply at the end of a table only.
- ``keys`` is clustered, and begins with the key, not the author. Clients whose keys begin with the time (UUID version 7, say) then
  add at one end of it too; with random keys every comment writes a disk page of its own.
- The head of a room is the last entry of ``events``, not a column of ``rooms``: one truth, nothing to update.

Numbers of other events (``target``, ``removed_by``) are no foreign keys: an insert of many rows would look for children of
each new row, without an index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISION: Final = "0003"
"""The newest migration: what a database must be at for this version of the server."""

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite stores every integer in as many bytes as it needs and calls all of them INTEGER.
Big: Final = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str, default: str | None = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _number(name: str) -> Column[int]:
    return Column(name, Big, nullable=False, server_default=text("0"))


def _mode(name: str) -> Column[str]:
    modes = "'open', 'slow', 'shield', 'review', 'read_only', 'closed'"
    check = CheckConstraint(f"{name} IN ({modes})", name=name)
    return Column(name, Text, check, nullable=False, server_default="open")


# ``mode`` holds until ``until_ms`` (0: for good), then ``standing`` does again. ``slow_ms`` is the pace of the slow mode, 0 the
# site's. ``news`` 1: each comment waits for an approval. ``owner`` is the account whose room it is.
rooms: Final = Table(
    "rooms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("title"),
    Column("kind", Text, CheckConstraint("kind IN ('live', 'vod')", name="kind"), nullable=False),
    Column("epoch", Text, nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("started_ms", Big, nullable=False),
    _text("video_url"),
    _mode("mode"),
    _mode("standing"),
    _number("until_ms"),
    _number("slow_ms"),
    _number("news"),
    _text("owner"),
    sqlite_strict=True,
)

# ``text`` is kept as evidence when a comment is removed (``removed_by``). Erasing makes ``text`` and ``salt`` NULL and ``region``
# empty; ``text_hash`` stays for ever, so that an event's leaf (see leaf.py) outlives both. ``author`` is the account that acts.
events: Final = Table(
    "events",
    metadata,
    Column("room_id", Integer, ForeignKey("rooms.id"), nullable=False),
    Column("seq", Big, nullable=False),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('comment', 'removal', 'restoration', 'notice')", name="kind"),
        nullable=False,
    ),
    Column("at_ms", Big, nullable=False),
    Column("pos_ms", Big, nullable=False, server_default=text("0")),
    _text("author", None),
    _text("author_id"),
    _text("author_name"),
    _text("mode", "scroll"),
    _text("color", "#ffffff"),
    Column("size", Integer, nullable=False, server_default=text("25")),
    Column("salt", LargeBinary),
    Column("text_hash", LargeBinary),
    Column("text", Text),
    Column("target", Big),
    _text("code"),
    _text("basis"),
    _text("role"),
    Column("removed_by", Big),
    _text("notice"),
    _text("room_mode"),
    Column("verdict", LargeBinary),
    _text("connection"),
    _text("region"),
    _text("label"),
    _text("label_kind"),
    _number("until_ms"),
    _number("slow_ms"),
    PrimaryKeyConstraint("room_id", "seq"),
    sqlite_strict=True,
)

# Every (author, key) that was ever used. ``seq`` is the event; NULL: a screened comment.
keys: Final = Table(
    "keys",
    metadata,
    Column("key", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("room_id", Integer, nullable=False),
    Column("seq", Big),
    PrimaryKeyConstraint("key", "author"),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)

screened: Final = Table(
    "screened",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("room_id", Integer, ForeignKey("rooms.id"), nullable=False),
    _text("author", None),
    _text("key", None),
    Column("at_ms", Big, nullable=False),
    Column("action", Text, CheckConstraint("action IN ('held', 'refused')", name="action"), nullable=False),
    _text("code", None),
    Column("verdict", LargeBinary, nullable=False),
    Column("pos_ms", Big, nullable=False),
    _text("text", None),
    _text("mode", None),
    _text("color", None),
    Column("size", Integer, nullable=False),
    _text("author_id", None),
    _text("author_name", None),
    _text("connection"),
    _text("region"),
    _text("label"),
    _text("label_kind"),
    UniqueConstraint("key", "author"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

connections: Final = Table(
    "connections",
    metadata,
    Column("id", Text, primary_key=True),
    _text("author", None),
    _text("address", None),
    Column("port", Integer, nullable=False),
    Column("opened_ms", Big, nullable=False),
    Column("closed_ms", Big, nullable=False),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)

reports: Final = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("receipt", Text, nullable=False, unique=True),
    Column("room_id", Integer, ForeignKey("rooms.id"), nullable=False),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    _text("reason", None),
    _text("text", None),
    _text("address", None),
    Column("port", Integer, nullable=False),
    Column("account", Text),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
