"""Tests of filters.lexicon."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.lexicon import MAX_HITS, Hit, Lexicon
from filters.normalize import fold
from filters.rules import Rule, RuleSet
from tests.filters.timing import best_of, bound

TERMS: tuple[str, ...] = (
    *("歧视", "恶心", "东北人", "加微信", "婊子", "犯罪分子", "贷款", "赌场", "国人", "诈骗电话"),
    *("gay", "89", "枪", "舔狗", "杀人犯"),
)


def lexicon(terms: tuple[str, ...] = TERMS, harmless: tuple[str, ...] = (), everywhere: tuple[str, ...] = ()) -> Lexicon:
    rule = Rule(code="t", title="t", category="t", tier="reject", basis="t", terms=terms, harmless=harmless)
    return Lexicon(RuleSet(format=1, name="t", version="1", rule=(rule,), harmless=everywhere))


LEXICON = lexicon()
TAILS = itertools.cycle("一二三四五六七八九十")


def find(text: str, within: Lexicon = LEXICON) -> list[Hit]:
    return [hit for hit in within.find(text, fold(text)) if not hit.cancelled]


@pytest.mark.parametrize(
    ("text", "term", "view", "piece"),
    [
        ("这是歧视吧", "歧视", "surface", "歧视"),
        ("这是歧視吧", "歧视", "folded", "歧視"),
        ("求加\u200b微信呀", "加微信", "folded", "加\u200b微信"),
        ("我七市你的观点", "歧视", "phonetic", "七市"),
        ("快加 薇.信 领", "加微信", "phonetic", "加 薇.信"),
        ("快加 微.信 领", "加微信", "skeleton", "加 微.信"),
        ("这群舌忝犭句真多", "舔狗", "skeleton", "舌忝犭句"),
        ("⌚子都不如", "婊子", "phonetic", "⌚子"),
        ("就是fan zui fen zi", "犯罪分子", "phonetic", "fan zui fen zi"),
        ("一群北东人干的", "东北人", "skeleton", "北东人"),
        ("他是個脎人犯吧", "杀人犯", "skeleton", "脎人犯"),
        ("全是zpdh啊", "诈骗电话", "phonetic", "zpdh"),
        ("so GAY!", "gay", "folded", "GAY"),
        ("有枪吗", "枪", "surface", "枪"),
    ],
)
def test_found(text: str, term: str, view: str, piece: str) -> None:
    """A term is found as written, folded, by its skeleton or by its sound, with the span of the original text."""
    found = {(hit.term, hit.view, text[hit.start : hit.end]) for hit in find(text)}
    assert (term, view, piece) in found


@pytest.mark.parametrize(
    "text",
    [
        "其实不是这样",  # sounds like 歧视, and is a word
        "编号1890",  # 89 inside a number
        "legayo",  # gay inside a word
        "中国人民银行",  # 国人 across the bounds of words
        "她是女子高中的",  # 女子 could be 好
        "哈哈哈哈哈😂😂",
        "up主yyds",
        "We can fan the women",
    ],
)
def test_left_alone(text: str) -> None:
    """What ordinary words spell by chance is not counted."""
    assert find(text) == []


def test_harmless_phrase_cancels() -> None:
    """A longer harmless phrase cancels the hit inside it, and the hit says so; elsewhere in the text the term counts."""
    calm = lexicon(("赌场",), harmless=("赌场风云",))
    first, second = calm.find("赌场风云里的赌场", fold("赌场风云里的赌场"))
    assert (first.cancelled, second.cancelled) == ("inside the harmless “赌场风云”", "")
    assert lexicon(("赌场",), everywhere=("赌场风云",)).find("赌场风云", "赌场风云")[0].cancelled


def test_surface_only() -> None:
    """A rule that looks at the surface alone finds a term as written and in no other way."""
    rule = Rule(code="t", title="t", category="t", tier="hold", basis="t", terms=("歧视",), views=("surface",))
    narrow = Lexicon(RuleSet(format=1, name="t", version="1", rule=(rule,)))
    assert [hit.term for hit in find("歧视", narrow)] == ["歧视"]
    assert find("歧視 七市", narrow) == []


def test_word_boundary() -> None:
    """A rule may ask that its terms stand as words of their own."""
    rule = Rule(code="t", title="t", category="t", tier="hold", basis="t", terms=("枪",), boundary="word")
    strict = Lexicon(RuleSet(format=1, name="t", version="1", rule=(rule,)))
    assert find("他有枪", strict)
    assert find("一把手枪", strict) == []


def test_no_terms() -> None:
    """A lexicon without terms finds nothing."""
    empty = lexicon(())
    assert len(empty) == 0
    assert empty.find("任何内容 zpdh 🐴", "任何内容 zpdh 🐴") == ()


def test_evidence_grows_with_length() -> None:
    """The evidence of a soft hit is in bits, at least what was asked for."""
    (short,) = (hit for hit in find("我七市你的观点") if hit.term == "歧视")
    assert short.score >= 5.5
    assert find("歧视")[0].score == 0


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_any_text(text: str) -> None:
    """Looking for terms takes any text, and every span lies within it."""
    for hit in LEXICON.find(text, fold(text)):
        assert 0 <= hit.start < hit.end <= len(text)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["歧视", "🐴", "女子", "xian", "菈蚑", "人"]), st.integers(1, 500))
def test_bounded_results(piece: str, times: int) -> None:
    """However often a text repeats itself, the number of hits is bounded."""
    text = piece * times
    assert len(LEXICON.find(text, fold(text))) <= MAX_HITS


@pytest.mark.parametrize(
    "text", ["歧视" * 50, "🐴👻" * 50, "xianxianxi" * 10, "蚑婊㩻掭" * 25, "啊" * 100, "a" * 100, "女子了一" * 25]
)
def test_bounded_time(text: str) -> None:
    """The longest comment made to hurt takes less than five milliseconds of processor time."""

    def work() -> None:
        changed = text[:-1] + next(TAILS)  # a changed last character keeps the text from being remembered
        LEXICON.find(changed, fold(changed))

    LEXICON.find(text, fold(text))
    assert best_of(20, work, bound(0.005)) < bound(0.005)
