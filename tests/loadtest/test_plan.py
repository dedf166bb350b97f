"""The table of parameters."""

from __future__ import annotations

from typing import get_args

import msgspec

from loadtest.plan import Plan
from loadtest.scenarios import SCENARIOS


def test_every_parameter_is_explained() -> None:
    """Each has a sentence, and can therefore be an option of the command line."""
    for field in msgspec.structs.fields(Plan):
        _, meta = get_args(field.type)
        assert meta.description.endswith(".")


def test_scenarios_make_plans() -> None:
    """The defaults of every scenario are parameters of the plan."""
    for scenario in SCENARIOS.values():
        assert Plan(url="http://127.0.0.1:1", **scenario.defaults).url == "http://127.0.0.1:1"
        assert scenario.help.endswith((".", "?"))
