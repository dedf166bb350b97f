"""What the console proposes for an item: the code and basis that a reviewer is likely to need, and what to mark and to veil.

Pure: from what the item says of itself. A proposal decides nothing; it saves key strokes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

from server.moderation.queue import Item
from server.moderation.statement import Rule, rules_of
from server.reasons import BASIS_MAX_CHARS, BY_AUTHOR, REASONS, REMOVAL_CODES, recorded_basis

QUICK: Final = ("S1", "S2", "L8", "L7", "L6", "P1", "M1", "L9", "A1")
"""The codes of the number keys 1 to 9, always the same, so that hands learn them."""
CODES: Final = (*QUICK, *(code for code in REASONS if code in REMOVAL_CODES and code not in QUICK and code[0] != BY_AUTHOR[0]))
"""All codes that a reviewer removes or refuses by: those of the keys first."""
KEEPING: Final = {"held": "K1", "news": "K1", "report": "K2", "swarm": "K2", "second": "K1"}
"""The code of what may appear or stay, by queue."""

_BY_CATEGORY: Final = {
    "advertising": "S1", "fraud": "S1", "flood": "S2", "swarm": "S3", "abuse": "L8", "hatred": "L4", "rumour": "L6",
    "gambling": "L7", "sexual": "L7", "violence": "L7", "terror": "L7", "superstition": "L5", "cult": "L5", "minors": "M1",
    "personal-data": "P1", "privacy": "P2", "news": "N1",
}  # fmt: skip
_HARMFUL: Final = frozenset({"L7", "M1", "M2"})
_HARMFUL_CATEGORIES: Final = frozenset({"sexual", "violence", "terror", "minors"})


class Suggestion(NamedTuple):
    """``code``: of a removal or refusal; ``basis``, as it is recorded, goes with it. ``harmful``: the text is veiled until somebody
    wants to see it."""

    code: str
    basis: str
    harmful: bool
    rules: tuple[Rule, ...]


class Piece(NamedTuple):
    """A part of a text. ``rules``: which rules stopped it there, by their places in the list of rules; empty: none."""

    text: str
    rules: tuple[int, ...]


def suggest(item: Item) -> Suggestion:
    """The proposal for an item; of one that is judged blind nothing is told but that all is open."""
    if item.queue == "second":
        return Suggestion(QUICK[0], recorded_basis(QUICK[0], ""), False, ())
    rules = rules_of(item.verdict)
    named = item.code if item.code in CODES else ""
    of_rule = next((rule for rule in rules if rule.category in _BY_CATEGORY), None)
    # That a comment stands in a room of news says nothing against it: N1 is for what a rule took for news.
    code = named or (_BY_CATEGORY[of_rule.category] if of_rule else "A1")
    basis = of_rule.basis[:BASIS_MAX_CHARS] if of_rule is not None and of_rule.basis and not named else ""
    harmful = code in _HARMFUL or any(rule.category in _HARMFUL_CATEGORIES for rule in rules)
    return Suggestion(code, recorded_basis(code, basis), harmful, rules)


def pieces(text: str, rules: Sequence[Rule]) -> list[Piece]:
    """The text in parts, so that what rules stopped can be marked; together they are the text again."""
    spans = [(max(0, rule.start), min(len(text), rule.end), number) for number, rule in enumerate(rules)]
    spans = [each for each in spans if each[0] < each[1]]
    cuts = sorted({0, len(text), *(start for start, _, _ in spans), *(end for _, end, _ in spans)})
    return [
        Piece(text[low:high], tuple(number for start, end, number in spans if start <= low and high <= end))
        for low, high in itertools.pairwise(cuts)
    ]
