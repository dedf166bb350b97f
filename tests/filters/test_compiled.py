"""Tests of filters.compiled."""

from __future__ import annotations

import io
import random

import msgspec
import pytest

from filters.compiled import codes_of, compile_rules, dump, initials_of, is_soft, terms_in, undump
from filters.evaluate import one_rule
from filters.language import RANKS
from filters.lexicon import Lexicon
from filters.normalize import CODE_OF, fold
from filters.rules import Rule, RuleSet
from filters.trie import Texts


def test_codes_for_each_reading() -> None:
    """A term has a code for each combination of its readings, without noise."""
    assert codes_of("歧 视") == [CODE_OF["qi"] + CODE_OF["shi"]]
    assert len(codes_of("银行")) == 2
    assert codes_of("加v") == [CODE_OF["jia"] + "v"]


@pytest.mark.parametrize(("term", "letters"), [("东北人", "dbr"), ("加v", "jv"), ("1号", ""), ("好", "h")])
def test_initials(term: str, letters: str) -> None:
    """A term's initials are the first letters of its syllables, where it has them throughout."""
    assert initials_of(term) == letters


def test_soft_terms() -> None:
    """Only terms of several characters with an ideograph, under rules that look at other forms, are looked for in disguise."""
    rule = one_rule(["占位"]).rule[0]
    assert [is_soft(rule, term) for term in ("歧视", "枪", "abc", "一二三四五六七八九")] == [True, False, False, False]
    narrow = Rule(code="t", title="t", category="t", tier="hold", basis="t", terms=("歧视",), views=("surface", "folded"))
    assert not is_soft(narrow, "歧视")


def test_short_terms_are_dropped_and_listed() -> None:
    """A term that folds to fewer characters than its rule asks for is left out, and listed."""
    rule = Rule(code="t", title="t", category="t", tier="hold", basis="t", terms=("８\u200b", "八十八"), min_chars=2)
    compiled = compile_rules(RuleSet(format=1, name="t", version="1", rule=(rule,)))
    assert (compiled.dropped, list(Texts(compiled.terms))) == ((("t", "８\u200b"),), ["八十八"])
    assert terms_in([rule]) == 2


def test_round_trip() -> None:
    """What one process compiled another can use."""
    rules = one_rule(["歧视", "加微信", "gay"])
    compiled = undump(io.BytesIO(dump(compile_rules(rules))).read)
    assert compiled == compile_rules(rules)
    text = "我七市你"
    assert [hit.term for hit in Lexicon(rules, compiled).find(text, fold(text))] == ["歧视"]


def test_chance_is_bounded() -> None:
    """Of very many short terms, those that ordinary text would spell by chance are looked for as written only."""
    usual = [char for char, rank in RANKS.items() if rank < 120]
    pairs = [one + two for one in usual for two in usual if one != two]
    compiled = compile_rules(one_rule(random.Random(1).sample(pairs, 3000)))
    assert 0 < len(compiled.quiet) < 3000
    assert 0 < len(compiled.near.values) < 3000


def test_something_else_is_refused() -> None:
    """Bytes that were not dumped are refused."""
    for data in (b"\x00\x00\x00\x02xx", b"\x00\x00\x00\x09xx", dump(compile_rules(one_rule(["歧视"])))[:-1]):
        with pytest.raises((msgspec.MsgspecError, ValueError)):
            undump(io.BytesIO(data).read)
