"""Terms prepared for searching: plain bytes and arrays, so that a helper process can make them and hand them over.

Preparing 100,000 terms takes seconds; loading what was prepared takes milliseconds (:class:`filters.lexicon.Lexicon`).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product
from typing import Final

import msgspec
from daachorse import CharwiseDoubleArrayAhoCorasick

from filters.language import WORDS, surprise
from filters.normalize import CODE_OF, NOISE, READINGS, SYLLABLE_OF, fold, is_han
from filters.rules import Rule, RuleSet

LONGEST_SOFT: Final = 8
LONGEST_BAG: Final = 4
MAX_READINGS: Final = 4
# Rule number of a harmless phrase that cancels the hits of every rule.
EVERY_RULE: Final = 0xFFFF
# Weight of a character that is in no term: no sum of weights reaches it.
FOREIGN: Final = 1 << 30
# How many soft candidates chance may bring up in a comment of CHANCE_CHARS characters, over all terms.
CHANCE: Final = 0.5
CHANCE_CHARS: Final = 20
RARELY: Final = 0.002


class Index(msgspec.Struct, frozen=True):
    """Sorted keys, and for key ``i`` the terms ``terms[first[i]:first[i + 1]]``; ``automaton`` is serialised (empty: none)."""

    keys: str
    first: array[int]
    terms: array[int]
    automaton: bytes


class Compiled(msgspec.Struct, frozen=True):
    """All terms of a rule set. ``terms`` and ``folded`` hold one a line; ``rule`` is the rule's number, per term.

    Terms from ``harmless`` on are phrases that cancel. ``sums`` and ``sum_terms`` are the bags of characters, in order of sums;
    ``costs`` the surprise of each term as a text of its own. ``dropped`` lists terms that are too short once folded (rule, term);
    ``quiet`` the terms that are looked for as written only, because chance would spell their sounds too often.
    """

    terms: str
    folded: str
    rule: array[int]
    harmless: int
    exact: Index
    sounds: Index
    initials: Index
    sums: array[int]
    sum_terms: array[int]
    costs: array[int]
    dropped: tuple[tuple[str, str], ...]
    quiet: tuple[int, ...]


def weight(char: str) -> int:
    """A fixed pseudo-random number of 27 bits for a character (splitmix64); sums of a few stay single machine words."""
    mixed = (ord(char) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return mixed >> 37


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


def compile_rules(rules: RuleSet) -> Compiled:
    """Prepare every term of ``rules``. Terms that fold to fewer characters than their rule asks for are dropped, and listed."""
    terms: list[str] = []
    folded_terms: list[str] = []
    numbers: array[int] = array("H")
    dropped: list[tuple[str, str]] = []
    exact: dict[str, list[int]] = {}
    sounds: dict[str, list[int]] = {}
    initials: dict[str, list[int]] = {}
    bags: list[tuple[int, int]] = []

    def add(term: str, number: int) -> int:
        folded = fold(term).strip()
        exact.setdefault(folded, []).append(len(terms))
        terms.append(term)
        folded_terms.append(folded)
        numbers.append(number)
        return len(terms) - 1

    for number, rule in enumerate(rules.rule):
        for term in rule.terms:
            folded = fold(term).strip()
            if len(folded) < rule.min_chars:
                dropped.append((rule.code, term))
                continue
            added = add(term, number)
            if not is_soft(rule, folded):
                continue
            for code in codes_of(folded):
                if len(code) > 1:
                    sounds.setdefault(code, []).append(added)
            letters = initials_of(folded)
            if len(letters) > 1 and any(map(is_han, folded)):
                initials.setdefault(letters, []).append(added)
            if len(folded) <= LONGEST_BAG and len(set(folded)) > 1:
                bags.append((sum(map(weight, folded)), added))
    harmless = len(terms)
    for number, rule in enumerate(rules.rule):
        for phrase in rule.harmless:
            add(phrase, number)
    for phrase in rules.harmless:
        add(phrase, EVERY_RULE)
    quiet = _quieten(sounds, bags, folded_terms)
    bags.sort()
    return Compiled(
        terms="\n".join(terms),
        folded="\n".join(folded_terms),
        rule=numbers,
        harmless=harmless,
        exact=_index(exact, searched=True),
        sounds=_index(sounds, searched=True),
        initials=_index(initials, searched=False),
        sums=array("q", (total for total, _ in bags)),
        sum_terms=array("I", (term for _, term in bags)),
        costs=array("H", map(surprise, folded_terms)),
        dropped=tuple(dropped),
        quiet=quiet,
    )


def _quieten(sounds: dict[str, list[int]], bags: list[tuple[int, int]], folded: list[str]) -> tuple[int, ...]:
    """Take out of ``sounds`` and ``bags`` what ordinary text would spell by chance too often, the likeliest first."""
    quiet = set()
    chance = sorted((math.prod(_chance_of_sound().get(code, RARELY) for code in key), key) for key in sounds)
    budget = CHANCE / CHANCE_CHARS
    for likely, key in chance:
        budget -= likely
        if budget < 0:
            quiet.update(sounds.pop(key))
    shuffles = []
    for total, term in bags:
        chars = folded[term]
        likely = math.factorial(len(chars)) * math.prod(_chance_of_char().get(char, RARELY) for char in chars)
        shuffles.append((likely, total, term))
    budget = CHANCE / CHANCE_CHARS
    bags.clear()
    for likely, total, term in sorted(shuffles):
        budget -= likely
        if budget >= 0:
            bags.append((total, term))
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


def _index(entries: dict[str, list[int]], *, searched: bool) -> Index:
    keys = sorted(entries)
    first: array[int] = array("I", [0])
    terms: array[int] = array("I")
    for key in keys:
        terms.extend(entries[key])
        first.append(len(terms))
    automaton = CharwiseDoubleArrayAhoCorasick(keys).serialize() if searched and keys else b""
    return Index("\n".join(keys), first, terms, automaton)


def split(lines: str) -> Sequence[str]:
    """The entries of a field that holds one a line."""
    return lines.split("\n") if lines else []


def terms_in(rules: Iterable[Rule]) -> int:
    """How many terms ``rules`` have."""
    return sum(len(rule.terms) for rule in rules)


_ARRAYS: Final = {"first": "I", "terms": "I", "rule": "H", "sums": "q", "sum_terms": "I", "costs": "H"}
_INDEXES: Final = ("exact", "sounds", "initials")
_SIZE: Final = 4


def dump(compiled: Compiled) -> bytes:
    """Everything as one string of bytes, for another process of the same version on the same machine.

    A small directory comes first, then the pieces one after another, so that the reader takes them in short steps.
    """
    pieces: dict[str, bytes] = {}
    for name in _INDEXES:
        index: Index = getattr(compiled, name)
        pieces[f"{name}.keys"] = index.keys.encode("utf-8", "surrogatepass")
        pieces[f"{name}.first"] = index.first.tobytes()
        pieces[f"{name}.terms"] = index.terms.tobytes()
        pieces[f"{name}.automaton"] = index.automaton
    for name in ("terms", "folded"):
        pieces[name] = getattr(compiled, name).encode("utf-8", "surrogatepass")
    for name in ("rule", "sums", "sum_terms", "costs"):
        pieces[name] = getattr(compiled, name).tobytes()
    sizes = {name: len(piece) for name, piece in pieces.items()}
    head = msgspec.msgpack.encode((compiled.harmless, compiled.dropped, compiled.quiet, sizes))
    return b"".join([len(head).to_bytes(_SIZE, "big"), head, *pieces.values()])


def undump(data: bytes | memoryview) -> Compiled:
    """What :func:`dump` made. Raises msgspec.DecodeError, KeyError or ValueError when it is something else."""
    view = memoryview(data)
    start = _SIZE + int.from_bytes(view[:_SIZE], "big")
    harmless, dropped, quiet, sizes = msgspec.msgpack.decode(
        view[_SIZE:start], type=tuple[int, tuple[tuple[str, str], ...], tuple[int, ...], dict[str, int]]
    )
    pieces: dict[str, memoryview] = {}
    for name, size in sizes.items():
        pieces[name] = view[start : start + size]
        start += size

    def text(name: str) -> str:
        return str(pieces[name], "utf-8", "surrogatepass")

    def numbers(name: str) -> array[int]:
        values: array[int] = array(_ARRAYS[name.rpartition(".")[2]])
        values.frombytes(pieces[name])
        return values

    exact, sounds, initials = (
        Index(text(f"{name}.keys"), numbers(f"{name}.first"), numbers(f"{name}.terms"), bytes(pieces[f"{name}.automaton"]))
        for name in _INDEXES
    )
    return Compiled(
        terms=text("terms"),
        folded=text("folded"),
        rule=numbers("rule"),
        harmless=harmless,
        exact=exact,
        sounds=sounds,
        initials=initials,
        sums=numbers("sums"),
        sum_terms=numbers("sum_terms"),
        costs=numbers("costs"),
        dropped=dropped,
        quiet=quiet,
    )
