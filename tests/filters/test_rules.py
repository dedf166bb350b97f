"""Tests of filters.rules."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from filters import STARTER_PACK
from filters.rules import RuleError, load, loads, schema

HEAD = 'format = 1\nname = "t"\nversion = "1"\n'
RULE = '[[rule]]\ncode = "a.b"\ntitle = "t"\ncategory = "c"\ntier = "hold"\nbasis = "b"\n'


def test_a_rule_file() -> None:
    """A rule file is read with its defaults, and its hash follows its content, not its spelling."""
    rules = loads(HEAD + RULE + 'terms = ["词"]')
    assert (rules.rule[0].code, rules.rule[0].terms, rules.rule[0].boundary) == ("a.b", ("词",), "auto")
    assert rules.hash == loads(HEAD + "# remark\n" + RULE + "terms = [ '词' ]").hash
    assert rules.hash != loads(HEAD + RULE + 'terms = ["词语"]').hash


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("format = ", "Invalid"),
        (HEAD, "rule"),
        (HEAD + RULE + 'terms = ["词"]\ntyop = 1', "tyop"),
        (HEAD + RULE.replace("hold", "ban") + 'terms = ["词"]', "ban"),
        (HEAD + RULE.replace('"b"', '""') + 'terms = ["词"]', "basis"),
        (HEAD + (RULE + 'terms = ["词"]\n') * 2, "twice"),
        (HEAD + RULE + 'terms = ["词"]\nsince = 2026-02-01\nuntil = 2026-01-01', "ends before"),
        (HEAD + RULE, "needs either terms"),
        (HEAD + RULE + 'terms = ["词"]\ncheck = "contact"', "needs either terms"),
        (HEAD + RULE + 'terms = ["a\\nb"]', "terms"),
    ],
)
def test_bad_rules(source: str, what: str) -> None:
    """What is wrong with a rule file is said, with the file's name."""
    with pytest.raises(RuleError, match=f"origin.*{what}"):
        loads(source, "origin")


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that is not there, or not UTF-8, is a rule error with its path."""
    with pytest.raises(RuleError, match="missing"):
        load(tmp_path / "missing.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleError, match="bad"):
        load(tmp_path / "bad.toml")


def test_published_schema() -> None:
    """The schema in the documentation is that of the code."""
    published = Path(__file__).parents[2] / "docs" / "screening-rules.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == json.loads(orjson.dumps(schema()))


def test_starter_pack() -> None:
    """The starter pack has a few hundred terms, and every rule a basis."""
    rules = load(STARTER_PACK)
    assert 300 <= sum(len(rule.terms) for rule in rules.rule) <= 1000
    assert all(rule.basis for rule in rules.rule)
