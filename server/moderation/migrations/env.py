"""Run by Alembic: migrate over the connection that :mod:`server.moderation.book` hands over, in one transaction."""

from __future__ import annotations

from alembic import context

from server.moderation.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
