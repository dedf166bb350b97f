"""The screening as the server holds it: the pipeline in force, exchanged by one reference when rules are loaded again."""

from __future__ import annotations

from pathlib import Path

from filters import STARTER_PACK, default_pipeline
from filters.config import ScreeningConfig
from filters.pipeline import Pipeline
from filters.rules import load
from server.errors import ConfigError


class Screening:
    """Owns the current pipeline; :meth:`current` is called for each comment. ``rules_file`` None stands for the starter pack."""

    def __init__(self, rules_file: Path | None, config: ScreeningConfig) -> None:
        self._config = config
        try:
            self._pipeline = default_pipeline(config) if rules_file is None else Pipeline(load(rules_file), config)
        except (OSError, ValueError) as error:
            raise ConfigError(f"rules_file {rules_file or STARTER_PACK}: {error}") from None

    def current(self) -> Pipeline:
        """The pipeline in force."""
        return self._pipeline
