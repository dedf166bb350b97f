"""Screening of comments: pure code, in memory, and it imports nothing of the project."""

from __future__ import annotations

from pathlib import Path

from filters.config import ScreeningConfig
from filters.pipeline import Pipeline
from filters.rules import load

STARTER_PACK = Path(__file__).parent / "packs" / "starter.toml"


def default_pipeline(config: ScreeningConfig | None = None) -> Pipeline:
    """A pipeline under the starter pack."""
    return Pipeline(load(STARTER_PACK), config)
