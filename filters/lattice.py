"""Evasions that one character table cannot undo: split characters, look-alikes, emoji read aloud, pinyin, fillers.

A folded text that has something unusual in it (an uncommon ideograph, a pictograph, a run of pinyin) is laid out as a lattice: from
each position edges lead on, each with the syllable that this piece of text may stand for. The paths that spell a term's
syllables are the candidates; :mod:`filters.lexicon` then weighs them against the text as it stands.

Work is bounded by :data:`MAX_PATHS` for one text; what lies beyond is not looked at (the plain forms have seen it all the same).
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from filters import tables
from filters.language import ENGLISH, USUAL, is_face
from filters.normalize import CODE_OF, NOISE, READINGS, is_han

MAX_PATHS: Final = 80
MAX_GAP: Final = 3
# Unusual characters at least this far apart are looked at one by one, and at most so many.
CLOSE: Final = 4
MAX_ALONE: Final = 4
# A part that more usual characters share than this says nothing about a look-alike; and how many of them are tried.
SHARED_BY: Final = 60
MAX_SHAPES: Final = 24


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
_SPLIT_STARTS: Final = frozenset(parts[:size] for parts in SPLITS for size in range(2, len(parts) + 1))
PARTS: Final[dict[str, frozenset[str]]] = {char: frozenset(parts) for char, parts in tables.pairs("parts").items()}


def _unusual() -> frozenset[str]:
    """Characters at which a text is worth a lattice: pictographs, parts that are no characters, ideographs seldom used."""
    parts = {char for sequence in SPLITS for char in sequence}
    pictures = {char for char in EMOJI if char >= "\u2300" and not is_face(char)}
    return frozenset(({*READINGS, *PARTS} | parts) - USUAL | pictures)


UNUSUAL: Final = _unusual()
# A face says something only where the sentence goes on after it.
_FACE_INSIDE: Final = re.compile("[\U0001f600-\U0001f64f\U0001f90c-\U0001f93a\U0001f970-\U0001f97a](?=[\u3400-\u9fff])")
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
def _sharing() -> dict[str, tuple[tuple[str, int], ...]]:
    """Part to the syllable codes of the usual characters that have it, each with its weight: the fewer share it, the more."""
    found: dict[str, list[str]] = {}
    for char in sorted(PARTS.keys() & USUAL & READINGS.keys()):
        for part in PARTS[char]:
            found.setdefault(part, []).append(CODE_OF[READINGS[char][0]])
    return {
        part: tuple((code, 1000 // len(codes)) for code in codes) for part, codes in found.items() if len(codes) <= SHARED_BY
    }


@lru_cache(maxsize=20_000)
def shape_codes(char: str) -> tuple[str, ...]:
    """Syllable codes of the usual characters that look most like ``char``, without its own."""
    sharing = _sharing()
    nearness: dict[str, int] = {}
    for part in sorted(PARTS.get(char, _NOTHING)):
        for code, weight in sharing.get(part, ()):
            nearness[code] = nearness.get(code, 0) + weight
    for syllable in READINGS.get(char, ())[:1]:
        nearness.pop(CODE_OF[syllable], None)
    return tuple(sorted(nearness, key=nearness.__getitem__, reverse=True)[:MAX_SHAPES])


Edge = tuple[str, Kind]
# What a piece of several characters may stand for: its end, the syllable, the kind.
Long = tuple[int, str, Kind]


@lru_cache(maxsize=20_000)
def _edges(char: str) -> tuple[Edge, ...]:
    """What a single character may stand for."""
    found = READINGS.get(char)
    if not found:
        return ((char, Kind.PLAIN), *((code, Kind.EMOJI) for code in EMOJI.get(char, ())))
    edges = [(CODE_OF[found[0]], Kind.PLAIN), *((CODE_OF[second], Kind.SECOND) for second in found[1:2])]
    if char not in USUAL:
        edges.extend((code, Kind.SHAPE) for code in shape_codes(char))
    return tuple(edges)


def is_unusual(folded: str) -> bool:
    """Whether a text is worth a lattice."""
    if not UNUSUAL.isdisjoint(folded) or _FACE_INSIDE.search(folded):
        return True
    runs = [run for run in LETTERS.findall(folded) if is_pinyin(run)]
    return any(run not in ENGLISH for run in runs) or (len(runs) > 1 and any(map(is_han, folded)))


def _longs(folded: str, marks: list[int]) -> dict[int, list[Long]]:
    """Pieces of several characters, by where they start: syllables in Latin letters, and near unusual characters split ones."""
    out: dict[int, list[Long]] = {}
    runs = [run for run in LETTERS.finditer(folded) if is_pinyin(run.group())]
    for run in runs:
        if len(runs) == 1 and run.group() in ENGLISH:
            continue
        for start in range(run.start(), run.end()):
            ends = range(start + 1, min(start + 6, run.end()) + 1)
            pieces = [(end, folded[start:end]) for end in ends]
            out[start] = [(end, CODE_OF[piece], Kind.LATIN) for end, piece in pieces if piece in _SYLLABLES]
    for start in range(len(folded) - 1):
        if folded[start : start + 2] not in _SPLIT_STARTS or not any(abs(mark - start) <= CLOSE for mark in marks):
            continue
        for end in range(start + 2, min(start + 4, len(folded)) + 1):
            wholes = SPLITS.get(folded[start:end], "")
            here = [(end, CODE_OF[READINGS[whole][0]], Kind.SPLIT) for whole in wholes if whole in READINGS]
            if here:
                out.setdefault(start, []).extend(here)
    return out


def _marks(folded: str) -> list[int]:
    """Positions of unusual characters."""
    marked = [position for position, char in enumerate(folded) if char in UNUSUAL]
    if not folded.isascii():
        marked.extend(match.start() for match in _FACE_INSIDE.finditer(folded))
    return marked


def _alone(folded: str, marks: list[int], longest: int) -> bool:
    """Whether no term could cover two of the unusual characters, other than repetitions of one."""
    near = [(one, two) for one, two in pairwise(marks) if two - one < longest]
    return all(folded[one] == folded[two] for one, two in near)


Finder = Callable[[str], list[tuple[int, int, int]]]


class Patterns:
    """The patterns to be spelled: sorted, of syllable codes and plain characters, at least two each."""

    __slots__ = ("find", "firsts", "keys", "longest", "starts")

    def __init__(self, keys: Sequence[str], longest: int, find: Finder) -> None:
        """``longest`` is the length of the longest pattern; ``find`` tells where which patterns are in a text of codes."""
        self.keys = keys
        self.find = find
        self.longest = longest
        # Made here once, where rules are loaded, so that no comment has to wait for it.
        _sharing()
        self.firsts = frozenset(key[0] for key in keys)
        # Beginnings of two and of three codes: most paths end here, at the price of one look into a set.
        self.starts = frozenset(key[:2] for key in keys) | frozenset(key[:3] for key in keys)


# Position, what was spelled, the pieces that did (start, end, kind), the lowest pattern that is still possible.
Path = tuple[int, str, tuple[tuple[int, int, Kind], ...], int]


def search(folded: str, patterns: Patterns) -> list[Candidate]:
    """Paths that spell one of ``patterns``.

    Every path has at least one piece that is not plain, or skips noise or a pictograph inside.
    """
    marks = _marks(folded)
    longs = _longs(folded, marks)
    edges = list(map(_edges, folded))
    if not longs and _alone(folded, marks, min(patterns.longest, CLOSE)):
        return [candidate for mark in marks[:MAX_ALONE] for candidate in _one(folded, mark, edges, patterns)]
    marks.extend(longs)
    starts = sorted({start for mark in marks for start in range(max(0, mark - patterns.longest + 1), mark + 1)})
    found: list[Candidate] = []
    budget = MAX_PATHS
    size = len(folded)
    firsts = patterns.firsts
    for first in starts:
        paths: list[Path] = [
            (first + 1, code, ((first, first + 1, kind),), 0)
            for code, kind in edges[first]
            if code in firsts and first + 1 < size
        ]
        if first in longs:
            paths += [
                (end, code, ((first, end, kind),), 0) for end, code, kind in longs[first] if code in firsts and end < size
            ]
        while paths:
            budget -= 1
            if budget < 0:
                return found
            _follow(paths, edges, longs, patterns, found)
    return found


def _one(folded: str, mark: int, edges: list[tuple[Edge, ...]], patterns: Patterns) -> list[Candidate]:
    """Candidates around a single unusual character: every reading of it in turn between the plain ones, in one scan."""
    reach = patterns.longest + MAX_GAP
    around = range(max(0, mark - reach), min(len(folded), mark + reach))
    places = [place for place in around if place == mark or not _is_filler(edges[place][0][0])]
    at = places.index(mark)
    before = "".join(edges[place][0][0] for place in places[:at])
    behind = "".join(edges[place][0][0] for place in places[at + 1 :])
    readings = edges[mark][1:]
    stride = len(places) + 1
    blob = "\n".join([before + code + behind for code, _ in readings])
    found = []
    for start, end, number in patterns.find(blob):
        which, first = divmod(start, stride)
        last = first + end - start
        if first <= at < last:
            kinds = (readings[which][1] if place == mark else Kind.PLAIN for place in places[first:last])
            steps = tuple(Step(place, place + 1, kind) for place, kind in zip(places[first:last], kinds, strict=True))
            found.append(Candidate(number, steps))
    return found


def _follow(
    paths: list[Path],
    edges: list[tuple[Edge, ...]],
    longs: dict[int, list[Long]],
    patterns: Patterns,
    found: list[Candidate],
) -> None:
    """Take the last path every way on that can still spell a pattern: onto ``paths``, and into ``found`` where a pattern ends."""
    position, spelled, steps, low = paths.pop()
    starts = patterns.starts
    short = len(spelled) < 3
    size = len(edges)
    after = position + 1
    for code, kind in edges[position]:
        longer = spelled + code
        if not short or longer in starts:
            _advance(longer, (*steps, (position, after, kind)), low, patterns.keys, size, paths, found)
    if position in longs:
        for end, code, kind in longs[position]:
            longer = spelled + code
            if not short or longer in starts:
                _advance(longer, (*steps, (position, end, kind)), low, patterns.keys, size, paths, found)
    if after < size and position - steps[-1][1] < MAX_GAP and _is_filler(edges[position][0][0]):
        paths.append((after, spelled, steps, low))


def _advance(
    longer: str,
    steps: tuple[tuple[int, int, Kind], ...],
    low: int,
    keys: Sequence[str],
    size: int,
    paths: list[Path],
    found: list[Candidate],
) -> None:
    at = bisect_left(keys, longer, low)
    if at == len(keys) or not keys[at].startswith(longer):
        return
    end = steps[-1][1]
    if keys[at] == longer and _is_evasive(steps):
        found.append(Candidate(at, tuple(map(Step._make, steps))))
    if end < size:
        paths.append((end, longer, steps, at))


def _is_filler(char: str) -> bool:
    return char in NOISE or (char >= "\u2300" and not "\ue000" <= char <= "\uf8ff" and not char.isalpha())


def _is_evasive(steps: tuple[tuple[int, int, Kind], ...]) -> bool:
    return any(kind for _, _, kind in steps) or steps[-1][1] - steps[0][0] > len(steps)
