"""server/web/log_words.py"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import server
from server.moderation.scoped import PARTS
from server.web import log_words, record_words

RECORDED = ("log_access", "log_view", "_log")
"""What records that somebody looked at or did something; one of its arguments is the name of that."""


def names() -> Iterator[str]:
    """The names that our code gives: literals among the arguments, from the one that may be the name on."""
    for path in Path(server.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called not in RECORDED:
                continue
            given = [*node.args, *(each.value for each in node.keywords if each.arg == "action")]
            for value in [
                *given,
                *(part for each in given if isinstance(each, ast.IfExp) for part in (each.body, each.orelse)),
            ]:
                if (
                    isinstance(value, ast.Constant)
                    and isinstance(value.value, str)
                    and ("." in value.value or value.value == "refuse")
                ):
                    yield value.value


def test_whatever_is_recorded_of_who_looked_has_words() -> None:
    """A name that is added to the code fails here until it has words, and so does one that nothing is recorded under."""
    found = set(names()) | {f"inspection.{part}" for part in (*PARTS, "export")}
    assert len(found) > 40
    assert found == set(log_words.ACTIONS)


def test_whatever_a_decision_records_has_words() -> None:
    """An act of a decision that records something fails here until it has words."""
    acts = re.compile(r"(inspection|finding|case|feature|training|seats)\.[a-z]+")
    found = {
        node.value
        for path in (Path(server.__file__).parent / "moderation").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and acts.fullmatch(node.value)
    }
    assert found - set(log_words.ACTIONS) == set(record_words.ACTS)
