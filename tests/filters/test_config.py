"""Tests of filters.config."""

from __future__ import annotations

import pytest

from filters.config import ScreeningConfig


@pytest.mark.parametrize("bad", [{"max_chars": 0}, {"max_chars": 1001}, {"level_weights": ()}, {"level_weights": (0,)}])
def test_senseless_settings(bad: dict[str, int]) -> None:
    """Settings that make no sense, or would unbind the time of a screening, are refused."""
    with pytest.raises(ValueError, match=r"must be|needs"):
        ScreeningConfig(**bad)  # type: ignore[arg-type]
