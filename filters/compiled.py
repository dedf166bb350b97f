"""Terms prepared for searching: plain bytes and arrays, so that a helper process can make them and hand them over.

Preparing 100,000 terms takes seconds; loading what was prepared takes milliseconds (:class:`filters.lexicon.Lexicon`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
from typing import Any, Final, cast, get_type_hints

import msgspec

from filters.automata import serialized
from filters.language import WORDS, surprise
from filters.normalize import CODE_OF, NOISE, READINGS, SYLLABLE_OF, fold, is_han
from filters.rules import Rule, RuleSet
from filters.shuffles import odd_orders, telling_pairs
from filters.trie import Around, Branches, Lists, Numbers, Packed, around, branches, numbered

LONGEST_SOFT: Final = 8
LONGEST_BAG: Final = 4
MAX_READINGS: Final = 4
# Rule number of a harmless phrase that cancels the hits of every rule.
EVERY_RULE: Final = 0xFFFF
# What a soft hit of any kind has to pay before its evidence counts; in eighths of a bit, like all costs.
TERM_COST: Final = 42
# A short list is no reason to believe in its terms more.
LEAST_TERMS: Final = 200
# How many soft candidates chance may bring up in a comment of CHANCE_CHARS characters, over all terms.
CHANCE: Final = 0.5
CHANCE_CHARS: Final = 20
RARELY: Final = 0.002
# Whether a text has a small Latin letter or a digit: terms that are made of those are looked for in such texts only.
HAS_LATIN: Final = re.compile("[0-9a-z]").search


class Compiled(msgspec.Struct, frozen=True):
    """All terms of a rule set; ``rule`` is the number of its rule, per term, ``folded`` its folded form.

    Terms from ``harmless`` on are phrases that cancel. Automata are serialised (empty: none). Pattern ``i`` of ``written`` is how
    the terms ``exact[i]`` are written, and two neighbours that shuffled ones of the terms ``near[i]`` would have; from ``plain`` on
    patterns are such neighbours only. Pattern ``i`` of ``latin``, whose patterns are ASCII, belongs to ``exact[plain + i]``.
    ``sounds`` finds keys of syllables, ``heard`` says of which terms, ``cheapest`` what the cheapest of them costs, ``spelled`` holds
    the same keys; ``around`` tells which syllables stand beside which in them. ``initials`` and ``begun`` are the like for first
    letters; ``initial_sizes[n]`` counts those of ``n`` letters. ``costs`` is the surprise of each term as a text of its own, up to a
    limit. ``dropped`` lists terms that are too short once folded (rule, term); ``quiet`` the terms that are looked for as written
    only, because chance would spell their sounds too often.
    """

    terms: Packed
    folded: Packed
    rule: Numbers
    harmless: int
    plain: int
    written: bytes
    latin: bytes
    exact: Lists
    near: Lists
    sounds: bytes
    heard: Lists
    cheapest: Numbers
    spelled: Branches
    around: Around
    initials: Branches
    begun: Lists
    initial_sizes: tuple[int, ...]
    costs: Numbers
    dropped: tuple[tuple[str, str], ...]
    quiet: tuple[int, ...]


def codes_of(folded: str) -> list[str]:
    """The syllable codes of a term, for each combination of its readings (a bounded number); noise dropped."""
    options: list[tuple[str, ...]] = []
    for char in folded:
        if char in READINGS:
            options.append(tuple(CODE_OF[found] for found in READINGS[char][:2]))
        elif char not in NOISE:
            options.append((char,))
    out = []
    for combination in product(*options):
        out.append("".join(combination))
        if len(out) == MAX_READINGS:
            break
    return out


def initials_of(folded: str) -> str:
    """First letters of a term's syllables; empty when one of its characters has none."""
    letters = [SYLLABLE_OF[code][0] if code in SYLLABLE_OF else code for code in codes_of(folded)[0]]
    return "".join(letters) if all("a" <= letter <= "z" for letter in letters) else ""


def is_soft(rule: Rule, folded: str) -> bool:
    """Whether a term is also looked for in other forms than as it is written."""
    if not 2 <= len(folded) <= LONGEST_SOFT or ("skeleton" not in rule.views and "phonetic" not in rule.views):
        return False
    return any(map(is_han, folded))


class _Gathered:
    """The terms of a rule set, numbered, and by which forms they are to be found."""

    def __init__(self, rules: RuleSet) -> None:
        self.terms: list[str] = []
        self.folded: list[str] = []
        self.rule: list[int] = []
        self.dropped: list[tuple[str, str]] = []
        self.exact: dict[str, list[int]] = {}
        self.sounds: dict[str, list[int]] = {}
        self.initials: dict[str, list[int]] = {}
        self.bags: list[int] = []
        for number, rule in enumerate(rules.rule):
            for term in rule.terms:
                self._term(number, rule, term)
        self.harmless = len(self.terms)
        for number, rule in enumerate(rules.rule):
            for phrase in rule.harmless:
                self._add(number, phrase, fold(phrase).strip())
        for phrase in rules.harmless:
            self._add(EVERY_RULE, phrase, fold(phrase).strip())
        self.exact.pop("", None)

    def _term(self, number: int, rule: Rule, term: str) -> None:
        folded = fold(term).strip()
        if len(folded) < rule.min_chars:
            self.dropped.append((rule.code, term))
            return
        added = self._add(number, term, folded)
        if not is_soft(rule, folded):
            return
        for code in codes_of(folded):
            if len(code) > 1:
                self.sounds.setdefault(code, []).append(added)
        letters = initials_of(folded)
        if len(letters) > 1:
            self.initials.setdefault(letters, []).append(added)
        if len(folded) <= LONGEST_BAG and len(set(folded)) > 1:
            self.bags.append(added)

    def _add(self, number: int, term: str, folded: str) -> int:
        self.exact.setdefault(folded, []).append(len(self.terms))
        self.terms.append(term)
        self.folded.append(folded)
        self.rule.append(number)
        return len(self.terms) - 1


def compile_rules(rules: RuleSet) -> Compiled:
    """Prepare every term of ``rules``. Terms that fold to fewer characters than their rule asks for are dropped, and listed."""
    found = _Gathered(rules)
    quiet = _quieten(found.sounds, found.bags, found.folded)
    cap = TERM_COST + round(8 * math.log2(max(found.harmless, LEAST_TERMS)))
    costs = [min(cap, surprise(folded)) for folded in found.folded]
    near = _shuffled(found.bags, found.folded, costs)
    latin = sorted(key for key in found.exact if key.isascii() and HAS_LATIN(key))
    written = sorted(found.exact.keys() - set(latin))
    pairs = sorted(near.keys() - set(written))
    sounds, initials = sorted(found.sounds), sorted(found.initials)
    sizes = Counter(map(len, initials))
    return Compiled(
        terms=Packed.of(found.terms),
        folded=Packed.of(found.folded),
        rule=Numbers.of("H", found.rule),
        harmless=found.harmless,
        plain=len(written),
        written=serialized([*written, *pairs]),
        latin=serialized(latin),
        exact=numbered([*written, *latin], found.exact),
        near=numbered([*written, *pairs], near),
        sounds=serialized(sounds),
        heard=numbered(sounds, found.sounds),
        cheapest=Numbers.of("H", (min(costs[term] for term in found.sounds[key]) for key in sounds)),
        spelled=branches(sounds),
        around=around(sounds),
        initials=branches(initials),
        begun=numbered(initials, found.initials),
        initial_sizes=tuple(sizes[size] for size in range(max(sizes, default=0) + 1)),
        costs=Numbers.of("H", costs),
        dropped=tuple(found.dropped),
        quiet=quiet,
    )


def _shuffled(bags: list[int], folded: list[str], costs: list[int]) -> dict[str, list[int]]:
    """Two neighbours to the terms whose shuffled characters they tell."""
    near: dict[str, list[int]] = {}
    for term in sorted(bags):
        for pair in telling_pairs(odd_orders(folded[term], costs[term])):
            near.setdefault(pair, []).append(term)
    return near


def _quieten(sounds: dict[str, list[int]], bags: list[int], folded: list[str]) -> tuple[int, ...]:
    """Take out of ``sounds`` and ``bags`` what ordinary text would spell by chance too often, the likeliest first."""
    quiet = set()
    chance = sorted((math.prod(_chance_of_sound().get(code, RARELY) for code in key), key) for key in sounds)
    budget = CHANCE / CHANCE_CHARS
    for likely, key in chance:
        budget -= likely
        if budget < 0:
            quiet.update(sounds.pop(key))
    shuffles = []
    for term in bags:
        chars = folded[term]
        likely = math.factorial(len(chars)) * math.prod(_chance_of_char().get(char, RARELY) for char in chars)
        shuffles.append((likely, term))
    budget = CHANCE / CHANCE_CHARS
    bags.clear()
    for likely, term in sorted(shuffles):
        budget -= likely
        if budget >= 0:
            bags.append(term)
    return tuple(sorted(quiet))


@cache
def _chance_of_char() -> dict[str, float]:
    """Share of each ideograph in ordinary text."""
    shares: dict[str, float] = {}
    for word, cost in WORDS.items():
        for char in word:
            shares[char] = shares.get(char, 0.0) + 2 ** (-cost / 8)
    total = sum(shares.values())
    return {char: share / total for char, share in shares.items()}


@cache
def _chance_of_sound() -> dict[str, float]:
    """Share of each syllable code in ordinary text."""
    shares: dict[str, float] = {}
    for char, share in _chance_of_char().items():
        if char in READINGS:
            code = CODE_OF[READINGS[char][0]]
            shares[code] = shares.get(code, 0.0) + share
    return shares


def terms_in(rules: Iterable[Rule]) -> int:
    """How many terms ``rules`` have."""
    return sum(len(rule.terms) for rule in rules)


_SIZE: Final = 4


def dump(compiled: Compiled) -> bytes:
    """Everything as one string of bytes, for another process of the same version on the same machine.

    A small head comes first, then the buffers one after another, so that the reader takes them in short steps.
    """
    pieces: list[bytes] = []

    def bare(value: Any) -> Any:
        if isinstance(value, bytes):
            pieces.append(value)
            return len(pieces) - 1
        if isinstance(value, dict):
            return {name: bare(item) for name, item in value.items()}
        return value

    tree = bare(msgspec.to_builtins(compiled, builtin_types=(bytes,)))
    head = msgspec.msgpack.encode((tree, list(map(len, pieces))))
    return b"".join([len(head).to_bytes(_SIZE, "big"), head, *pieces])


def undump(read: Callable[[int], bytes]) -> Compiled:
    """What :func:`dump` made; ``read`` gives the next so many bytes. Raises msgspec.MsgspecError or ValueError when it is something
    else, and what ``read`` raises."""

    def exactly(size: int) -> bytes:
        data = read(size)
        if len(data) != size:
            raise ValueError(f"{size} bytes of compiled rules should follow, not {len(data)}")
        return data

    head = exactly(int.from_bytes(exactly(_SIZE), "big"))
    tree, sizes = msgspec.msgpack.decode(head, type=tuple[dict[str, Any], list[int]])
    pieces = [exactly(size) for size in sizes]

    def whole(kind: Any, value: Any) -> Any:
        if kind is bytes:
            return pieces[value]
        if isinstance(value, dict):
            return kind(**{name: whole(_KINDS[kind][name], item) for name, item in value.items()})
        return msgspec.convert(value, kind)

    return cast(Compiled, whole(Compiled, tree))


_KINDS: Final[dict[Any, dict[str, Any]]] = {
    kind: get_type_hints(kind) for kind in (Around, Branches, Compiled, Lists, Numbers, Packed)
}
