"""Alembic's scripts for ``review.db``."""
