"""Bring a database to the schema of this version of the server, inside one transaction of the caller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from server.errors import ConfigError
from server.store import schema

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS: Final = Path(__file__).parent / "migrations"


def ensure(connection: Connection, name: str, newest: str = schema.REVISION, scripts: Path = SCRIPTS) -> None:
    """Migrate the database called ``name`` to the revision ``newest`` by ``scripts``; quick when it is there already.

    Raises ConfigError for a database of a newer server, and for one that is not ours.
    """
    found = revision(connection)
    if found == newest:
        return
    if not found and inspect(connection).get_table_names():
        raise ConfigError(f"{name} is the database of another program; name another data folder")
    if found > newest:
        raise ConfigError(
            f"{name} has schema {found}, this server knows {newest}: it was written by a newer version."
            " Start that version, or restore a backup from before the upgrade"
        )
    upgrade(connection, scripts=scripts)


def revision(connection: Connection) -> str:
    """The schema that a database is at; empty for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def upgrade(connection: Connection, target: str = "head", scripts: Path = SCRIPTS) -> None:
    """Run the migrations up to ``target``."""
    from alembic import command  # takes a third of a second, and is needed for new and old databases only

    command.upgrade(config(connection, scripts), target)


def downgrade(connection: Connection, target: str) -> None:
    """Undo the migrations down to ``target`` (``base``: all). What the newer tables held is lost."""
    from alembic import command

    command.downgrade(config(connection), target)


def config(connection: Connection, scripts: Path = SCRIPTS) -> Config:
    """Alembic's configuration: our scripts, over ``connection``."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config
