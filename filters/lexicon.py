"""Terms in memory: one automaton, and for each hit the rule behind it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from daachorse import CharwiseDoubleArrayAhoCorasick

from filters.normalize import FOLD, Offsets, fold
from filters.rules import Rule, RuleSet


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A term found at ``start`` to ``end`` of the original text."""

    rule: Rule
    term: str
    view: str
    start: int
    end: int


class Lexicon:
    """The terms of a rule set, ready to be looked for. Immutable; may be used by several threads."""

    def __init__(self, rules: RuleSet) -> None:
        entries: dict[str, list[tuple[Rule, str]]] = {}
        for rule in rules.rule:
            for term in rule.terms:
                folded = fold(term)
                if len(folded.strip()) >= rule.min_chars:
                    entries.setdefault(folded, []).append((rule, term))
        self._entries = list(entries.values())
        self._automaton = CharwiseDoubleArrayAhoCorasick(list(entries)) if entries else None

    def find(self, text: str) -> list[Hit]:
        """Every term in ``text``."""
        if self._automaton is None:
            return []
        folded = text.translate(FOLD)
        found = self._automaton.find_overlapping(folded)
        return list(self._hits(text, found)) if found else []

    def _hits(self, text: str, found: list[tuple[int, int, int]]) -> Iterable[Hit]:
        offsets = Offsets(text, FOLD)
        for start, end, number in found:
            first, last = offsets.span(start, end)
            for rule, term in self._entries[number]:
                yield Hit(rule, term, "surface" if text[first:last] == term else "folded", first, last)
