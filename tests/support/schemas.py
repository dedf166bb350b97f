"""Schemas of new databases, made once: after the first migration of a kind, its statements are run again instead.

Migrating an empty database takes a tenth of a second, and two thousand tests begin with one. What migrations do is tested where
they are (tests/server/store/test_migrate.py, tests/server/accounts/test_tables.py), without this.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect

from server.store import migrate

Upgrade = Callable[[Connection, str, Path], None]
_made: Final[dict[Path, list[str]]] = {}
"""Statements by the folder of the migrations."""

_LISTED: Final = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"


def remembering(upgrade: Upgrade) -> Upgrade:
    """``upgrade``, for an empty SQLite database by what it did to the first one."""

    def quickly(connection: Connection, target: str = "head", scripts: Path = migrate.SCRIPTS) -> None:
        if target != "head" or connection.dialect.name != "sqlite" or inspect(connection).get_table_names():
            upgrade(connection, target, scripts)
        elif scripts in _made:
            for statement in _made[scripts]:
                connection.exec_driver_sql(statement)
        else:
            upgrade(connection, target, scripts)
            statements = [*connection.exec_driver_sql(_LISTED).scalars()]
            # Schemas are all that migrations of an empty database make, and the mark of how far they went.
            _made[scripts] = [*statements, f"INSERT INTO alembic_version VALUES ('{migrate.revision(connection)}')"]

    return quickly
