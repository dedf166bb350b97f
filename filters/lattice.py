"""Evasions that one character table cannot undo: split characters, look-alikes, emoji read aloud, pinyin, fillers.

A folded text that has something unusual in it (an uncommon ideograph, a pictograph, a run of pinyin) is laid out as a lattice: from
each position edges lead on, each with the syllable that this piece of text may stand for. The paths that spell a term's
syllables are the candidates; :mod:`filters.lexicon` then weighs them against the text as it stands.

Work is bounded by :data:`MAX_PROBES` for one text; what lies beyond is not looked at (the plain forms have seen it all the same).
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from filters import tables
from filters.language import ENGLISH, RANKS
from filters.normalize import CODE_OF, NOISE, READINGS, is_han

MAX_PROBES: Final = 1500
MAX_GAP: Final = 3
USUAL_RANK: Final = 3000
SHARED_BY: Final = 60


class Kind(enum.IntEnum):
    """How a piece of text stands for a character of a term."""

    PLAIN = 0
    SECOND = 1
    SHAPE = 2
    SPLIT = 3
    EMOJI = 4
    LATIN = 5


class Step(NamedTuple):
    """Characters ``start`` to ``end`` of the folded text stand for one character of the term."""

    start: int
    end: int
    kind: Kind


class Candidate(NamedTuple):
    """A path through the lattice that spells the syllables of pattern ``number``."""

    number: int
    steps: tuple[Step, ...]


_NOTHING: Final[frozenset[str]] = frozenset()
EMOJI: Final[dict[str, tuple[str, ...]]] = {
    char: tuple(CODE_OF[syllable] for syllable in found.split() if syllable in CODE_OF)
    for char, found in tables.pairs("emoji").items()
}
SPLITS: Final[dict[str, str]] = tables.pairs("splits")
_SPLIT_STARTS: Final = frozenset(parts[:size] for parts in SPLITS for size in range(1, len(parts)))
PARTS: Final[dict[str, frozenset[str]]] = {char: frozenset(parts) for char, parts in tables.pairs("parts").items()}


def _unusual() -> frozenset[str]:
    """Characters at which a text is worth a lattice: pictographs, parts that are no characters, ideographs seldom used."""
    rare = {char for char in (*READINGS, *PARTS) if RANKS.get(char, USUAL_RANK) >= USUAL_RANK}
    parts = {char for sequence in SPLITS for char in sequence if RANKS.get(char, USUAL_RANK) >= USUAL_RANK}
    return frozenset(rare | parts | {char for char in EMOJI if char >= "\u2300"})


UNUSUAL: Final = _unusual()
_SYLLABLES: Final = frozenset(syllable for syllable in CODE_OF if syllable not in {"m", "n", "ng", "hm", "hng", "r"})
LETTERS: Final = re.compile(r"[a-z]{2,48}")


@lru_cache(maxsize=20_000)
def is_pinyin(run: str) -> bool:
    """Whether a run of letters can be cut into syllables from end to end."""
    reached = [True] + [False] * len(run)
    for end in range(1, len(run) + 1):
        reached[end] = any(reached[start] and run[start:end] in _SYLLABLES for start in range(max(0, end - 6), end))
    return reached[-1]


def alike(char: str, other: str) -> bool:
    """Whether two ideographs share a part that few characters have."""
    return not PARTS.get(char, _NOTHING).isdisjoint(PARTS.get(other, _NOTHING))


@lru_cache(maxsize=1)
def _sharing() -> dict[str, tuple[str, ...]]:
    """Part to the usual characters that have it."""
    found: dict[str, list[str]] = {}
    for char, parts in PARTS.items():
        if RANKS.get(char, USUAL_RANK) < USUAL_RANK:
            for part in parts:
                found.setdefault(part, []).append(char)
    return {part: tuple(chars) for part, chars in found.items() if len(chars) <= SHARED_BY}


@lru_cache(maxsize=20_000)
def shape_codes(char: str) -> tuple[str, ...]:
    """Syllable codes of the usual characters that look like ``char``, without its own."""
    sharing = _sharing()
    found = {READINGS[other][0] for part in PARTS.get(char, _NOTHING) for other in sharing.get(part, ()) if other in READINGS}
    return tuple(CODE_OF[syllable] for syllable in sorted(found - set(READINGS.get(char, ())[:1])))


Edge = tuple[int, str, Kind]


def is_unusual(folded: str) -> bool:
    """Whether a text is worth a lattice."""
    if not UNUSUAL.isdisjoint(folded):
        return True
    runs = [run for run in LETTERS.findall(folded) if is_pinyin(run)]
    return any(run not in ENGLISH for run in runs) or (len(runs) > 1 and any(map(is_han, folded)))


def _lay(folded: str) -> tuple[list[list[Edge]], list[bool]]:
    """The edges from each position, and whether a position has an unusual one."""
    edges: list[list[Edge]] = []
    marked = []
    latin = {run.start(): run for run in LETTERS.finditer(folded) if is_pinyin(run.group())}
    run_end, foreign, alone = 0, False, len(latin) < 2
    for start, char in enumerate(folded):
        here: list[Edge] = []
        unusual = False
        found = READINGS.get(char)
        if found:
            here.append((start + 1, CODE_OF[found[0]], Kind.PLAIN))
            if len(found) > 1:
                here.append((start + 1, CODE_OF[found[1]], Kind.SECOND))
            if RANKS.get(char, USUAL_RANK) >= USUAL_RANK:
                unusual = True
                here.extend((start + 1, code, Kind.SHAPE) for code in shape_codes(char))
        else:
            here.append((start + 1, char, Kind.PLAIN))
        if start in latin:
            run_end, foreign = latin[start].end(), alone and latin[start].group() in ENGLISH
        if start < run_end:
            unusual = not foreign
            for end in range(start + 1, min(start + 6, run_end) + 1):
                if folded[start:end] in _SYLLABLES:
                    here.append((end, CODE_OF[folded[start:end]], Kind.LATIN))
        elif char in EMOJI:
            unusual = True
            here.extend((start + 1, code, Kind.EMOJI) for code in EMOJI[char])
        if char in _SPLIT_STARTS:
            for end in range(start + 2, min(start + 4, len(folded)) + 1):
                wholes = SPLITS.get(folded[start:end], "")
                unusual = unusual or bool(wholes)
                here.extend((end, CODE_OF[READINGS[whole][0]], Kind.SPLIT) for whole in wholes if whole in READINGS)
                if folded[start:end] not in _SPLIT_STARTS:
                    break
        edges.append(here)
        marked.append(unusual)
    return edges, marked


def search(folded: str, patterns: Sequence[str], longest: int) -> list[Candidate]:
    """Paths that spell one of ``patterns`` (sorted, of syllable codes and plain characters; the longest has ``longest``).

    Every path has at least one piece that is not plain, or skips noise or a pictograph inside.
    """
    edges, marked = _lay(folded)
    near = _within_reach(marked, longest)
    found: list[Candidate] = []
    probes = 0
    size, count = len(folded), len(patterns)
    for first in range(size):
        if not near[first]:
            continue
        paths: list[tuple[int, str, tuple[Step, ...], int]] = [(first, "", (), 0)]
        while paths:
            position, spelled, steps, low = paths.pop()
            for end, code, kind in edges[position]:
                probes += 1
                longer = spelled + code
                at = bisect_left(patterns, longer, low)
                if at == count or not patterns[at].startswith(longer):
                    continue
                taken = (*steps, Step(position, end, kind))
                if patterns[at] == longer and len(taken) > 1 and _is_evasive(taken):
                    found.append(Candidate(at, taken))
                if end < size:
                    paths.append((end, longer, taken, at))
            if probes > MAX_PROBES:
                return found
            if steps and _is_filler(folded[position]) and position + 1 < size and position - steps[-1].end < MAX_GAP:
                paths.append((position + 1, spelled, steps, low))
    return found


def _is_filler(char: str) -> bool:
    return char in NOISE or (char >= "\u2300" and not is_han(char) and not char.isalpha())


def _is_evasive(steps: tuple[Step, ...]) -> bool:
    return any(step.kind for step in steps) or steps[-1].end - steps[0].start > len(steps)


def _within_reach(marked: list[bool], longest: int) -> list[bool]:
    """Whether an unusual edge lies at most ``longest`` positions (and gaps) ahead."""
    out = [False] * len(marked)
    distance = longest + 1
    for position in range(len(marked) - 1, -1, -1):
        distance = 0 if marked[position] else distance + 1
        out[position] = distance <= longest
    return out
