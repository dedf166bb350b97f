"""Tests of filters.importers."""

from __future__ import annotations

from filters.importers import examine, quote, read_terms, to_toml
from filters.rules import loads


def test_plain_comma_and_tagged() -> None:
    """Terms are read one a line, separated by commas, or with a tag; remarks and empty lines are passed over."""
    terms, tags, unusable = read_terms("\ufeff# remark\n// remark\n爱液,\n刷单、返现\n赌场|博彩\n枪支\t武器\n\n" + "长" * 65)
    assert terms == ["爱液", "刷单", "返现", "赌场", "枪支"]
    assert tags == {"博彩": 1, "武器": 1}
    assert unusable == ["长" * 64]


def test_report() -> None:
    """The report tells what is doubled, what folds together, what is short, and what chance would spell."""
    report = examine("赌场\n賭場\n赌场\n枪\nＱ\n加微信", least=2)
    assert report.terms == ("赌场", "加微信")
    assert (report.doubled, report.folded_together, report.short) == (1, (("賭場", "赌场"),), ("枪", "Ｑ"))
    assert report.quiet == 0
    assert examine("枪").short == ("枪",)


def test_rule_file_of_a_list() -> None:
    """A list becomes one holding rule, whatever quotes its terms have."""
    rules = loads(to_toml(['a"b', "c\\d"], "import.list", "imported", "house rule", "A list"))
    assert (rules.rule[0].tier, rules.rule[0].terms) == ("hold", ('a"b', "c\\d"))
    assert quote('"') == '"\\""'
