"""Looking for terms, and weighing what is found.

An *exact* hit stands in the folded text and may decide alone. A *soft* hit (same sound, look-alike, split, shuffled, emoji, pinyin)
counts only as far as it explains the text better than the text explains itself: its evidence is the surprise of the piece as it
stands, less the surprise of the same piece with the term in its place (:mod:`filters.language`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

import msgspec

from filters import lattice
from filters.automata import Found, loaded
from filters.compiled import EVERY_RULE, HAS_LATIN, LONGEST_SOFT, Compiled, compile_rules
from filters.language import (
    ABBREVIATIONS,
    ENGLISH,
    rarity,
    surprise,
    surprise_within,
)
from filters.normalize import FOLD, GAP, NOISE, Offsets, has_second, is_han, syllables
from filters.prices import GAP_PRICE, described, fits, price_of_name, price_of_steps
from filters.rules import Rule, RuleSet
from filters.shuffles import price as price_of_order
from filters.trie import Lists, Texts, Trie

CONTEXT: Final = 3
MAX_WEIGHED: Final = 48
MAX_HITS: Final = 64
MAX_SOFT: Final = 256
# A price that marks initials, whose evidence is reckoned in another way.
INITIALS: Final = -1
LETTER_BITS: Final = 4.0
_LETTERS: Final = re.compile(r"(?<![a-z0-9])[a-z]{2,10}(?![a-z0-9])")
_LETTERS_BESIDE_HAN: Final = re.compile("[\u3400-\u9fff][a-z]{2,10}(?![a-z])|(?<![a-z])[a-z]{2,10}[\u3400-\u9fff]")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Bits of evidence that a soft hit needs, by the way in which it was found, and that a crossing of words needs to cancel."""

    sound: float = 6.0
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


class _Places:
    """Where the characters of a folded text came from, worked out when something was found."""

    __slots__ = ("_folded", "_offsets", "_text")

    def __init__(self, text: str, folded: str) -> None:
        self._text = text
        self._folded = folded
        self._offsets: Offsets | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """See :meth:`filters.normalize.Offsets.span`."""
        if self._text == self._folded:
            return start, end
        if self._offsets is None:
            self._offsets = Offsets(self._text, FOLD)
        return self._offsets.span(start, end)


class _Soft(msgspec.Struct, frozen=True, gc=False):
    """A candidate to be weighed; offsets are of the folded text."""

    term: int
    start: int
    end: int
    price: int
    need: float
    view: str
    detail: str


class _Of:
    """Lists of terms, by number."""

    __slots__ = ("_starts", "_terms")

    def __init__(self, lists: Lists) -> None:
        self._starts = lists.starts.view()
        self._terms = lists.values.view()

    def __getitem__(self, number: int) -> Iterable[int]:
        return self._terms[self._starts[number] : self._starts[number + 1]]


class Lexicon:
    """The terms of a rule set, ready to be looked for. Immutable; may be used by several threads."""

    def __init__(self, rules: RuleSet, compiled: Compiled | None = None, settings: Settings | None = None) -> None:
        """``compiled`` is what :func:`filters.compiled.compile_rules` made of the same rules (None: made here)."""
        compiled = compiled or compile_rules(rules)
        self._settings = settings or Settings()
        self._rules = rules.rule
        self._terms = Texts(compiled.terms)
        self._folded = Texts(compiled.folded)
        self._rule_of = compiled.rule.view()
        self._costs = compiled.costs.view()
        self._harmless = compiled.harmless
        self._plain = compiled.plain
        self._find_written = loaded(compiled.written)
        self._find_latin = loaded(compiled.latin)
        self._find_sounds = loaded(compiled.sounds)
        self._exact = _Of(compiled.exact)
        self._near = _Of(compiled.near)
        self._heard = _Of(compiled.heard)
        self._cheapest = compiled.cheapest.view()
        self._begun = _Of(compiled.begun)
        self._initials = Trie(compiled.initials)
        self._initial_sizes = compiled.initial_sizes
        self._patterns = lattice.Patterns(compiled.spelled, compiled.around, self._find_sounds, self._may_stand)

    def __len__(self) -> int:
        """Number of terms, without harmless phrases."""
        return self._harmless

    def find(self, text: str, folded: str, spoken: str = "") -> tuple[Hit, ...]:
        """Every term found in ``text``, cancelled ones included, at most MAX_HITS.

        ``folded`` is its folded form, ``spoken`` the syllables of that (empty: they are found here).
        """
        written = self._find_written(folded)
        spoken = spoken or syllables(folded)
        # One look for both readings: no key goes on over the end of a line.
        lines = f"{spoken}\n{syllables(folded, second=True)}" if has_second(folded) else spoken
        heard = self._find_sounds(lines.replace(GAP, ""))
        letters = HAS_LATIN(folded)
        latin = self._find_latin(folded) if letters else ()
        hinted = lattice.hint(folded)
        if not (written or heard or latin or hinted):
            return ()
        exact: Found = []
        soft: Iterable[_Soft] = ()
        if written:
            plain = self._plain
            exact = [one for one in written if one[2] < plain]
            soft = self._shuffled(folded, written)
        if latin:
            exact = sorted([*exact, *((start, end, self._plain + number) for start, end, number in latin)], key=_place)
        if heard:
            soft = chain(self._sound_candidates(folded, spoken, heard), soft)
        if hinted:
            soft = chain(soft, self._marked(folded, spoken, hinted.start(), marks_only=letters is None))
        found = list(islice(soft, MAX_SOFT))
        return self._judge(text, folded, exact, found) if exact or found else ()

    def _judge(self, text: str, folded: str, exact: Found, soft: list[_Soft]) -> tuple[Hit, ...]:
        offsets = _Places(text, folded)
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

    def _exact_hits(self, text: str, folded: str, found: Found, offsets: _Places) -> Iterator[Hit]:
        calm = [
            (start, end, self._rule_of[term])
            for start, end, number in found
            for term in self._exact[number]
            if term >= self._harmless
        ]
        crossing: dict[tuple[int, int], str] = {}
        for start, end, number in found[: 4 * MAX_HITS]:
            for term in self._exact[number]:
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

    def _sound_candidates(self, folded: str, spoken: str, found: Found) -> Iterator[_Soft]:
        """``found`` in the syllables ``spoken`` without their gaps, or behind them in the second ones."""
        places = [place for place, code in enumerate(spoken) if code != GAP] if GAP in spoken else range(len(spoken))
        need = self._settings.sound
        size = len(places)
        seen: set[tuple[int, int]] = set()
        for start, end, number in found:
            if start > size:
                start, end = start - size - 1, end - size - 1  # found in the second line
            if (start, number) in seen:
                continue
            seen.add((start, number))
            first, last = places[start], places[end - 1] + 1
            piece = folded[first:last]
            spare = surprise(piece) - 8 * need
            if spare < self._cheapest[number]:
                continue
            gaps = last - first - (end - start)
            for term in self._heard[number]:
                if spare < self._costs[term]:
                    continue
                spelled = self._folded[term]
                if piece == spelled:
                    continue
                if gaps and "".join(char for char in piece if char not in NOISE) == spelled:
                    yield _Soft(term, first, last, GAP_PRICE, need, "skeleton", "separated")
                else:
                    price = (GAP_PRICE if gaps else 0) + rarity(piece) + price_of_name(folded, first, spelled)
                    yield _Soft(term, first, last, price, need, "phonetic", "same sound")

    def _shuffled(self, folded: str, written: Found) -> Iterator[_Soft]:
        """Where neighbours that were found stand among all the characters of one of their terms."""
        for start, end, number in written:
            for term in self._near[number]:
                spelled = self._folded[term]
                size = len(spelled)
                around = folded[max(0, end - size) : start + size]
                if not all(map(around.__contains__, spelled)):
                    continue
                letters = sorted(spelled)
                for first in range(max(0, end - size), min(start, len(folded) - size) + 1):
                    piece = folded[first : first + size]
                    if piece != spelled and sorted(piece) == letters:
                        need, price = self._settings.shuffle, price_of_order(size)
                        yield _Soft(term, first, first + size, price, need, "skeleton", "shuffled")

    def _marked(self, folded: str, spoken: str, start: int, *, marks_only: bool) -> Iterator[_Soft]:
        """Candidates of a text whose first letter or unusual character is at ``start``; ``marks_only``: it has no letter."""
        marks = lattice.marks_of(folded, start)
        if marks is not None:
            yield from self._lattice_candidates(folded, spoken, marks)
        if not marks_only and self._initial_sizes and _LETTERS_BESIDE_HAN.search(folded):
            yield from self._initial_candidates(folded)

    def _lattice_candidates(self, folded: str, spoken: str, marks: list[int]) -> Iterator[_Soft]:
        need = self._settings.lattice
        for number, steps in lattice.search(folded, spoken, marks, self._patterns):
            start, end = steps[0].start, steps[-1].end
            spare = surprise(folded[start:end]) - 8 * need
            if spare < self._cheapest[number]:
                continue
            for term in self._heard[number]:
                spelled = self._folded[term]
                if spare < self._costs[term] or not fits(folded, steps, spelled):
                    continue
                price = price_of_steps(folded, steps) + price_of_name(folded, start, spelled)
                view, detail = described(steps)
                yield _Soft(term, start, end, price, need, view, detail)

    def _may_stand(self, number: int, place: int, size: int, char: str) -> bool:
        """Whether ``char`` looks like what some term of pattern ``number``, of ``size`` syllables, has at a place."""
        for term in self._heard[number]:
            spelled = self._folded[term]
            # Where there is noise in the term, its places are others: that is looked into later.
            if len(spelled) != size or lattice.alike(char, spelled[place]):
                return True
        return False

    def _initial_candidates(self, folded: str) -> Iterator[_Soft]:
        """Runs of letters that are, from end to end, initials of one term or of several."""
        need = self._settings.initials
        for run in _LETTERS.finditer(folded):
            letters = run.group()
            if letters in ABBREVIATIONS or letters in ENGLISH or not _beside_han(folded, run.start(), run.end()):
                continue
            for start, end, number in self._cut(letters):
                for term in self._begun[number]:
                    yield _Soft(term, run.start() + start, run.start() + end, INITIALS, need, "phonetic", "initials")

    def _initials_evidence(self, size: int) -> float:
        """Bits by which the initials of ``size`` letters that terms have are rarer than letters at random."""
        return size * LETTER_BITS - math.log2(self._initial_sizes[size])

    def _cut(self, letters: str) -> list[tuple[int, int, int]]:
        """The fewest initials of terms that make up ``letters``; empty: it cannot be cut so."""
        best: list[list[tuple[int, int, int]] | None] = [[], *[None] * len(letters)]
        for end in range(2, len(letters) + 1):
            for start in range(max(0, end - LONGEST_SOFT), end - 1):
                before, here = best[start], best[end]
                if before is None or (here is not None and len(here) <= len(before) + 1):
                    continue
                number = self._initials.number(letters[start:end])
                if number >= 0:
                    best[end] = [*before, (start, end, number)]
        return best[-1] or []

    def _weigh(self, folded: str, soft: list[_Soft], offsets: _Places) -> Iterator[Hit]:
        seen: set[tuple[int, int, int]] = set()
        added: dict[tuple[int, int], int] = {}
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
            place = (one.start, one.end)
            if place not in added:
                left, right = folded[max(0, one.start - CONTEXT) : one.start], folded[one.end : one.end + CONTEXT]
                added[place] = surprise_within(left, piece, right)
            evidence = added[place] - need
            if evidence >= 0:
                first, last = offsets.span(one.start, one.end)
                yield Hit(rule, self._terms[one.term], one.view, first, last, evidence / 8 + one.need, one.detail)
            if len(seen) >= MAX_WEIGHED:
                return


def _beside_han(folded: str, start: int, end: int) -> bool:
    return (start > 0 and is_han(folded[start - 1])) or (end < len(folded) and is_han(folded[end]))


def _joined(one: str, two: str) -> bool:
    """Whether two neighbouring characters belong to one word of letters or one number."""
    return (one.isascii() and one.isalpha() and two.isascii() and two.isalpha()) or (one.isdigit() and two.isdigit())


def _place(found: tuple[int, int, int]) -> tuple[int, int]:
    """In the order in which one automaton would have found them."""
    return found[1], found[0]
