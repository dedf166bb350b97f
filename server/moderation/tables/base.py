"""What the tables of ``review.db`` share."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Integer, MetaData, Text

REVISION: Final = "0001"
"""The newest migration of ``review.db``."""

APPEND_ONLY: Final = (
    "decisions",
    "views",
    "exports",
    "deliveries",
    "case_steps",
    "seats",
    "training_attempts",
    "training_marks",
)
"""Tables of records: triggers refuse every change."""

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def text(name: str, *extra: Any, default: str | None = "", **options: Any) -> Column[str]:
    """A column of text that is never NULL. ``default`` None: a row must give it."""
    return Column(name, Text, *extra, nullable=False, server_default=default, **options)


def whole(name: str, default: str | None = "0", **options: Any) -> Column[int]:
    """A column of whole numbers that is never NULL. ``default`` None: a row must give it."""
    return Column(name, Integer, nullable=False, server_default=default, **options)
