"""Looking for terms, and weighing what is found.

An *exact* hit stands in the folded text and may decide alone. A *soft* hit (same sound, look-alike, split, shuffled, emoji, pinyin)
counts only as far as it explains the text better than the text explains itself: its evidence is the surprise of the piece as it
stands, less the surprise of the same piece with the term in its place (:mod:`filters.language`).
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice, pairwise
from operator import add
from typing import Final

import msgspec
from daachorse import CharwiseDoubleArrayAhoCorasick

from filters import lattice
from filters.compiled import EVERY_RULE, FOREIGN, LONGEST_SOFT, Compiled, Index, compile_rules, split, weight
from filters.language import ABBREVIATIONS, ENGLISH, ENGLISH_WORD, SURNAMES, UNKNOWN_HAN, UNKNOWN_LETTER, WORDS, surprise
from filters.lattice import Kind, Step
from filters.normalize import FOLD, NOISE, SECOND_SOUNDS, SOUNDS, Offsets, is_han
from filters.rules import Rule, RuleSet

CONTEXT: Final = 3
MAX_WEIGHED: Final = 48
MAX_HITS: Final = 64
MAX_SOFT: Final = 256
REMEMBERED: Final = 4_096
# What a soft hit of each kind has to pay before its evidence counts; in eighths of a bit, like all costs.
TERM_COST: Final = 42
# A short list is no reason to believe in its terms more.
LEAST_TERMS: Final = 200
PRICE: Final = {Kind.PLAIN: 0, Kind.SECOND: 8, Kind.SHAPE: 16, Kind.SPLIT: 0, Kind.EMOJI: 16, Kind.LATIN: 0}
GAP_PRICE: Final = 16
NAME_CHAR: Final = 104
NAME_PRICE: Final = 32
# A price that marks initials, whose evidence is reckoned in another way.
INITIALS: Final = -1
LETTER_BITS: Final = 4.0
_LETTERS: Final = re.compile(r"(?<![a-z0-9])[a-z]{2,10}(?![a-z0-9])")
_LETTERS_BESIDE_HAN: Final = re.compile("[\u3400-\u9fff][a-z]{2,10}(?![a-z])|(?<![a-z])[a-z]{2,10}[\u3400-\u9fff]")
WORDS_FOR: Final = {
    Kind.SECOND: "same sound",
    Kind.SHAPE: "look-alike",
    Kind.SPLIT: "split character",
    Kind.EMOJI: "emoji read aloud",
    Kind.LATIN: "pinyin",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Bits of evidence that a soft hit needs, by the way in which it was found, and that a crossing of words needs to cancel."""

    sound: float = 5.5
    lattice: float = 5.5
    shuffle: float = 8.0
    initials: float = 2.0
    crossing: float = 10.0


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A term found at ``start`` to ``end`` of the original text.

    ``score`` is the evidence in bits (0: exact). ``cancelled`` says why the hit does not count (empty: it counts).
    """

    rule: Rule
    term: str
    view: str
    start: int
    end: int
    score: float = 0.0
    detail: str = ""
    cancelled: str = ""


class _Soft(msgspec.Struct, frozen=True, gc=False):
    """A candidate to be weighed; offsets are of the folded text."""

    term: int
    start: int
    end: int
    price: int
    need: float
    view: str
    detail: str


class _Keys:
    """An index ready for use."""

    def __init__(self, index: Index) -> None:
        self.keys = split(index.keys)
        self._first = index.first
        self._terms = index.terms
        self.find = (
            CharwiseDoubleArrayAhoCorasick.deserialize(index.automaton).find_overlapping if index.automaton else _nothing
        )

    def terms(self, number: int) -> Iterable[int]:
        return self._terms[self._first[number] : self._first[number + 1]]

    def lookup(self, key: str) -> int:
        """The number of a key, or -1."""
        at = bisect_left(self.keys, key)
        return at if at < len(self.keys) and self.keys[at] == key else -1


def _nothing(_: str) -> list[tuple[int, int, int]]:
    return []


class Lexicon:
    """The terms of a rule set, ready to be looked for. Immutable; may be used by several threads."""

    def __init__(self, rules: RuleSet, compiled: Compiled | None = None, settings: Settings | None = None) -> None:
        """``compiled`` is what :func:`filters.compiled.compile_rules` made of the same rules (None: made here)."""
        compiled = compiled or compile_rules(rules)
        self._settings = settings or Settings()
        self._rules = rules.rule
        self._terms = split(compiled.terms)
        self._folded = split(compiled.folded)
        self._rule_of = compiled.rule
        self._harmless = compiled.harmless
        self._exact = _Keys(compiled.exact)
        self._sounds = _Keys(compiled.sounds)
        self._initials = _Keys(compiled.initials)
        self._initials_of_size = Counter(map(len, self._initials.keys))
        longest = min(LONGEST_SOFT, max(map(len, self._sounds.keys), default=0))
        self._patterns = lattice.Patterns(self._sounds.keys, longest, self._sounds.find)
        self._sums = frozenset(compiled.sums)
        self._sum_list = compiled.sums
        self._sum_terms = compiled.sum_terms
        soft = (self._folded[term] for term in compiled.sum_terms)
        self._weights = _Weights({char: weight(char) for char in set(chain.from_iterable(soft))})
        cap = TERM_COST + round(8 * math.log2(max(compiled.harmless, LEAST_TERMS)))
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._find)
        self._costs = array("H", (min(cap, cost) for cost in compiled.costs))

    def __len__(self) -> int:
        """Number of terms, without harmless phrases."""
        return self._harmless

    def find(self, text: str, folded: str) -> tuple[Hit, ...]:
        """Every term found in ``text`` (``folded`` is its folded form), cancelled ones included, at most MAX_HITS.

        The newest texts are remembered: in a live room most comments are what others just said.
        """
        return self._remembered(text, folded)

    def _find(self, text: str, folded: str) -> tuple[Hit, ...]:
        exact = self._exact.find(folded)
        soft = list(islice(self._candidates(folded), MAX_SOFT))
        if not exact and not soft:
            return ()
        offsets = Offsets(text, FOLD)
        hits = list(self._exact_hits(text, folded, exact, offsets)) if exact else []
        if soft:
            # What is there as written explains the place; of several guesses at one place the best counts.
            taken = [(hit.start, hit.end) for hit in hits if not hit.cancelled]
            best: dict[tuple[int, int], Hit] = {}
            for hit in self._weigh(folded, soft, offsets):
                place = (hit.start, hit.end)
                if any(start < hit.end and hit.start < end for start, end in taken):
                    continue
                if place not in best or hit.score > best[place].score:
                    best[place] = hit
            hits.extend(best.values())
        return tuple(hits[:MAX_HITS])

    # -----------------------------------------------------------------------------------------------------------------
    # Exact

    def _exact_hits(self, text: str, folded: str, found: list[tuple[int, int, int]], offsets: Offsets) -> Iterator[Hit]:
        calm = [
            (start, end, self._rule_of[term])
            for start, end, number in found
            for term in self._exact.terms(number)
            if term >= self._harmless
        ]
        crossing: dict[tuple[int, int], str] = {}
        for start, end, number in found[: 4 * MAX_HITS]:
            for term in self._exact.terms(number):
                if term >= self._harmless:
                    continue
                rule = self._rules[self._rule_of[term]]
                first, last = offsets.span(start, end)
                surface = text[first:last] == self._terms[term]
                if not surface and "folded" not in rule.views:
                    continue
                why = self._calming(calm, start, end, self._rule_of[term], folded)
                if not why and rule.boundary != "none":
                    if (start, end) not in crossing:
                        crossing[start, end] = self._crossing(folded, start, end, term, rule.boundary == "word")
                    why = crossing[start, end]
                yield Hit(rule, self._terms[term], "surface" if surface else "folded", first, last, cancelled=why)

    def _calming(self, calm: list[tuple[int, int, int]], start: int, end: int, rule: int, folded: str) -> str:
        for first, last, of_rule in calm:
            if first <= start and end <= last and of_rule in (rule, EVERY_RULE):
                return f"inside the harmless “{folded[first:last]}”"
        return ""

    def _crossing(self, folded: str, start: int, end: int, term: int, always: bool) -> str:
        """Why the piece is no word of its own here; empty: it may be one."""
        before, after = folded[start - 1 : start], folded[end : end + 1]
        if _joined(before, folded[start]) or _joined(folded[end - 1], after):
            return "part of a longer word or number"
        if not always and not (end - start == 2 and is_han(folded[start]) and is_han(folded[end - 1])):
            return ""
        left, right = folded[max(0, start - CONTEXT) : start], folded[end : end + CONTEXT]
        piece = folded[start:end]
        own = surprise(piece) if always else self._costs[term]
        apart = surprise(left) + own + surprise(right)
        limit = 0.0 if always else self._settings.crossing
        if apart - surprise(left + piece + right) > 8 * limit:
            return "across the bounds of words"
        return ""

    # -----------------------------------------------------------------------------------------------------------------
    # Soft

    def _candidates(self, folded: str) -> Iterator[_Soft]:
        sounds = folded.translate(SOUNDS)
        found = self._sounds.find(sounds)
        if found:
            yield from self._sound_candidates(folded, SOUNDS, found)
        second = folded.translate(SECOND_SOUNDS)
        if second != sounds:
            found = self._sounds.find(second)
            if found:
                yield from self._sound_candidates(folded, SECOND_SOUNDS, found)
        ones = list(map(self._weights.__getitem__, folded))
        twos = list(map(add, ones, ones[1:]))
        threes = list(map(add, twos, ones[2:]))
        fours = list(map(add, threes, ones[3:]))
        apart = self._sums.isdisjoint
        if not (apart(twos) and apart(threes) and apart(fours)):
            yield from self._shuffled(folded, (twos, threes, fours))
        if lattice.is_unusual(folded):
            yield from self._lattice_candidates(folded)
        if self._initials.keys and _LETTERS_BESIDE_HAN.search(folded):
            yield from self._initial_candidates(folded)

    def _sound_candidates(self, folded: str, table: dict[int, str], found: list[tuple[int, int, int]]) -> Iterator[_Soft]:
        offsets = Offsets(folded, table)
        need = self._settings.sound
        for start, end, number in found:
            first, last = offsets.span(start, end)
            gaps = last - first - (end - start)
            piece = folded[first:last]
            spare = surprise(piece) - 8 * need
            for term in self._sounds.terms(number):
                spelled = self._folded[term]
                if spare < self._costs[term] or piece == spelled:
                    continue
                if gaps and "".join(char for char in piece if char not in NOISE) == spelled:
                    yield _Soft(term, first, last, GAP_PRICE, need, "skeleton", "separated")
                else:
                    price = (GAP_PRICE if gaps else 0) + _rarity(piece) + _name(folded, first, spelled)
                    yield _Soft(term, first, last, price, need, "phonetic", "same sound")

    def _shuffled(self, folded: str, sums: tuple[list[int], ...]) -> Iterator[_Soft]:
        """``sums``: for windows of 2, 3 and 4 characters, the sum of the weights in each."""
        need = self._settings.shuffle
        for size, totals in enumerate(sums, start=2):
            price = round(8 * math.log2(math.factorial(size)))
            for start, total in enumerate(totals):
                if total not in self._sums:
                    continue
                at = bisect_left(self._sum_list, total)
                letters = sorted(folded[start : start + size])
                while at < len(self._sum_list) and self._sum_list[at] == total:
                    term = self._sum_terms[at]
                    at += 1
                    spelled = self._folded[term]
                    if folded[start : start + size] != spelled and sorted(spelled) == letters:
                        yield _Soft(term, start, start + size, price, need, "skeleton", "shuffled")

    def _lattice_candidates(self, folded: str) -> Iterator[_Soft]:
        need = self._settings.lattice
        for candidate in lattice.search(folded, self._patterns):
            steps = candidate.steps
            start, end = steps[0].start, steps[-1].end
            gap = any(one.end != two.start for one, two in pairwise(steps))
            for term in self._sounds.terms(candidate.number):
                spelled = [char for char in self._folded[term] if char not in NOISE]
                if not _fits(folded, steps, spelled):
                    continue
                price = sum(PRICE[step.kind] for step in steps) + (GAP_PRICE if gap else 0) + _name(folded, start, spelled[0])
                kinds = sorted({step.kind for step in steps if step.kind})
                view = "skeleton" if all(kind in (Kind.SHAPE, Kind.SPLIT) for kind in kinds) else "phonetic"
                detail = ", ".join([*(WORDS_FOR[kind] for kind in kinds), *(["separated"] if gap else [])])
                yield _Soft(term, start, end, price + _english(folded, start, end), need, view, detail)

    def _initial_candidates(self, folded: str) -> Iterator[_Soft]:
        """Runs of letters that are, from end to end, initials of one term or of several."""
        need = self._settings.initials
        for run in _LETTERS.finditer(folded):
            letters = run.group()
            if letters in ABBREVIATIONS or letters in ENGLISH or not _beside_han(folded, run.start(), run.end()):
                continue
            for start, end, number in self._cut(letters):
                for term in self._initials.terms(number):
                    yield _Soft(term, run.start() + start, run.start() + end, INITIALS, need, "phonetic", "initials")

    def _initials_evidence(self, size: int) -> float:
        """Bits by which the initials of ``size`` letters that terms have are rarer than letters at random."""
        return size * LETTER_BITS - math.log2(self._initials_of_size.get(size, 1))

    def _cut(self, letters: str) -> list[tuple[int, int, int]]:
        """The fewest initials of terms that make up ``letters``; empty: it cannot be cut so."""
        best: list[list[tuple[int, int, int]] | None] = [[], *[None] * len(letters)]
        for end in range(2, len(letters) + 1):
            for start in range(max(0, end - LONGEST_SOFT), end - 1):
                before, here = best[start], best[end]
                if before is None or (here is not None and len(here) <= len(before) + 1):
                    continue
                number = self._initials.lookup(letters[start:end])
                if number >= 0:
                    best[end] = [*before, (start, end, number)]
        return best[-1] or []

    def _weigh(self, folded: str, soft: list[_Soft], offsets: Offsets) -> Iterator[Hit]:
        seen: set[tuple[int, int, int]] = set()
        for one in soft:
            key = (one.start, one.end, one.term)
            if key in seen:
                continue
            seen.add(key)
            rule = self._rules[self._rule_of[one.term]]
            if one.view not in rule.views:
                continue
            if one.price == INITIALS:
                evidence = self._initials_evidence(one.end - one.start)
                if evidence >= one.need:
                    first, last = offsets.span(one.start, one.end)
                    yield Hit(rule, self._terms[one.term], one.view, first, last, evidence, one.detail)
                continue
            need = 8 * one.need + one.price + self._costs[one.term]
            piece = folded[one.start : one.end]
            if surprise(piece) < need:
                continue
            left, right = folded[max(0, one.start - CONTEXT) : one.start], folded[one.end : one.end + CONTEXT]
            evidence = surprise(left + piece + right) - surprise(left) - surprise(right) - need
            if evidence >= 0:
                first, last = offsets.span(one.start, one.end)
                yield Hit(rule, self._terms[one.term], one.view, first, last, evidence / 8 + one.need, one.detail)
            if len(seen) >= MAX_WEIGHED:
                return


def _beside_han(folded: str, start: int, end: int) -> bool:
    return (start > 0 and is_han(folded[start - 1])) or (end < len(folded) and is_han(folded[end]))


def _fits(folded: str, steps: tuple[Step, ...], spelled: list[str]) -> bool:
    """Whether each piece stands for the very character of the term, where its kind tells that."""
    if len(steps) != len(spelled):
        return False
    for step, char in zip(steps, spelled, strict=True):
        if step.kind is Kind.SPLIT and char not in lattice.SPLITS[folded[step.start : step.end]]:
            return False
        if step.kind is Kind.SHAPE and not lattice.alike(folded[step.start], char):
            return False
    return True


def _rarity(piece: str) -> int:
    """What the surprise of uncommon characters goes beyond what an ordinary name would show."""
    return sum(max(0, WORDS.get(char, UNKNOWN_HAN) - NAME_CHAR) for char in piece if is_han(char))


def _name(folded: str, start: int, term: str) -> int:
    """What it costs that the piece begins with a surname, or follows one, that the term has not."""
    if folded[start] in SURNAMES and folded[start] != term[0]:
        return NAME_PRICE
    return NAME_PRICE // 2 if start and folded[start - 1] in SURNAMES else 0


def _english(folded: str, start: int, end: int) -> int:
    """What English words within the piece cost less than the unknown letters that the weighing counts."""
    words = [run for run in lattice.LETTERS.findall(folded[start:end]) if run in ENGLISH]
    return sum(max(0, UNKNOWN_LETTER * len(word) - ENGLISH_WORD) for word in words)


def _joined(one: str, two: str) -> bool:
    """Whether two neighbouring characters belong to one word of letters or one number."""
    return (one.isascii() and one.isalpha() and two.isascii() and two.isalpha()) or (one.isdigit() and two.isdigit())


class _Weights(dict[str, int]):
    """Weights of the characters that terms have; any other breaks every sum, and is not kept."""

    def __missing__(self, char: str) -> int:
        return FOREIGN
