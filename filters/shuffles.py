"""The orders in which a shuffled term could count, told by two neighbouring characters.

A term of four characters has 23 other orders; to look for each would take millions of patterns. But each order has three pairs of
neighbours, a few pairs have a share in all the orders, and pairs that ordinary text seldom has can be chosen. Orders that keep
a term's words whole explain nothing: an order only counts where it is so odd that the evidence could suffice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise, permutations
from typing import Final

from filters.language import WORDS, surprise

# Bits of evidence below which no order is prepared for, whatever the settings ask for.
LEAST_BITS: Final = 8.0
# Share of a character that is in no word.
RARELY: Final = 1e-6


def price(size: int) -> int:
    """What a shuffled term of ``size`` characters has to pay: the choice of an order, in eighths of a bit."""
    return round(8 * math.log2(math.factorial(size)))


def odd_orders(folded: str, cost: int) -> list[str]:
    """The other orders of a term's characters that are surprising enough, given the term's cost."""
    need = 8 * LEAST_BITS + price(len(folded)) + cost
    orders = sorted({"".join(order) for order in permutations(folded)} - {folded})
    return [order for order in orders if surprise(order) >= need]


def telling_pairs(orders: Sequence[str]) -> set[str]:
    """Pairs of neighbours of which every order has at least one, preferably pairs that ordinary text seldom has."""
    left = [set(map("".join, pairwise(order))) for order in orders]
    chosen: set[str] = set()
    while left:
        gain: dict[str, int] = {}
        for pairs in left:
            for pair in pairs:
                gain[pair] = gain.get(pair, 0) + 1
        best = min(gain, key=lambda pair: (_chance(pair) / gain[pair], pair))
        chosen.add(best)
        left = [pairs for pairs in left if best not in pairs]
    return chosen


def _chance(pair: str) -> float:
    """How often two characters stand side by side in ordinary text: within its words, or from one to the next."""
    inside, singles = _shares()
    return inside.get(pair, 0.0) + singles.get(pair[0], RARELY) * singles.get(pair[1], RARELY)


@cache
def _shares() -> tuple[dict[str, float], dict[str, float]]:
    """Shares of pairs within words, and of single characters."""
    pairs: dict[str, float] = {}
    singles: dict[str, float] = {}
    total = 0.0
    for word, cost in WORDS.items():
        share = 2.0 ** (-cost / 8)
        total += share * len(word)
        for pair in map("".join, pairwise(word)):
            pairs[pair] = pairs.get(pair, 0.0) + share
        for char in word:
            singles[char] = singles.get(char, 0.0) + share
    return {pair: share / total for pair, share in pairs.items()}, {char: share / total for char, share in singles.items()}
