"""Alembic's scripts for ``accounts.db``."""
