"""Evasions that one character table cannot undo: split characters, look-alikes, emoji read aloud, pinyin, fillers.

A folded text that has something unusual in it (an uncommon ideograph, a pictograph, a run of pinyin) is laid out as a lattice: from
each position edges lead on, each with the syllable that this piece of text may stand for. The paths that spell a term's
syllables are the candidates; :mod:`filters.lexicon` then weighs them against the text as it stands.

Work is bounded by :data:`MAX_PATHS` for one text; what lies beyond is not looked at (the plain forms have seen it all the same).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

from filters import tables
from filters.automata import Finder, finder
from filters.language import ENGLISH, USUAL, WORDS, is_face
from filters.normalize import CODE_OF, GAP, NOISE, READINGS, is_han
from filters.pinyin import HAS_LETTERS, LETTERS, MAX_WAYS, cuts_of, is_pinyin, syllables_in
from filters.trie import Around, Branches, Neighbours, Trie

MAX_PATHS: Final = 80
MAX_GAP: Final = 3
# Unusual characters at least this far apart are looked at one by one, and at most so many.
CLOSE: Final = 4
MAX_ALONE: Final = 4
# More guesses than this at an unusual character are worth a look at how far a pattern around it can reach.
FEW: Final = 2


class Kind(enum.IntEnum):
    """How a piece of text stands for a character of a term."""

    PLAIN = 0
    SECOND = 1
    SHAPE = 2
    SPLIT = 3
    EMOJI = 4
    LATIN = 5


# To look a member up in its class takes as long as several other steps.
PLAIN, SECOND, SHAPE, SPLIT, PICTURE, LATIN = Kind


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
EMOJI: Final[dict[str, str]] = {
    char: "".join(CODE_OF[syllable] for syllable in found.split() if syllable in CODE_OF)
    for char, found in tables.pairs("emoji").items()
}
# Codes of the usual characters that an unusual one looks like, the nearest first.
SHAPES: Final[dict[str, str]] = tables.pairs("shapes")
SPLITS: Final[dict[str, str]] = tables.pairs("splits")
SPLIT_PIECES: Final = max(map(len, SPLITS))
# The syllables of the whole characters, by their pieces.
_WHOLES: Final = {
    parts: [CODE_OF[READINGS[whole][0]] for whole in wholes if whole in READINGS]
    for parts, wholes in SPLITS.items()
    if not READINGS.keys().isdisjoint(wholes)
}
_find_splits: Final = finder(list(_WHOLES))
PARTS: Final[dict[str, frozenset[str]]] = {char: frozenset(parts) for char, parts in tables.pairs("parts").items()}


def _unusual() -> frozenset[str]:
    """Characters at which a text is worth a lattice: pictographs, parts that are no characters, ideographs seldom used."""
    parts = {char for sequence in SPLITS for char in sequence}
    pictures = {char for char in EMOJI if char >= "\u2300" and not is_face(char)}
    return frozenset(({*READINGS, *PARTS} | parts) - USUAL | pictures)


UNUSUAL: Final = _unusual()
# A face says something only where the sentence goes on after it.
_FACE_INSIDE: Final = re.compile("[\U0001f600-\U0001f64f\U0001f90c-\U0001f93a\U0001f970-\U0001f97a](?=[\u3400-\u9fff])")


def alike(char: str, other: str) -> bool:
    """Whether two ideographs share a part that few characters have."""
    return not PARTS.get(char, _NOTHING).isdisjoint(PARTS.get(other, _NOTHING))


Edge = tuple[str, Kind]
# What a piece of several characters may stand for: its end, the syllable, the kind.
Long = tuple[int, str, Kind]


@lru_cache(maxsize=20_000)
def _edges(char: str) -> tuple[Edge, ...]:
    """What a single character may stand for."""
    found = READINGS.get(char)
    if not found:
        return ((char, PLAIN), *((code, PICTURE) for code in EMOJI.get(char, ())))
    return (
        (CODE_OF[found[0]], PLAIN),
        *((CODE_OF[second], SECOND) for second in found[1:2]),
        *((code, SHAPE) for code in SHAPES.get(char, "")),
    )


def _second(char: str) -> str:
    """The code of a character's second reading, or nothing."""
    return "".join([CODE_OF[found] for found in READINGS.get(char, ())[1:2]])


# Codes that an unusual character may stand for besides its own: its second reading first, then what it looks like.
_GUESSES: Final = {
    char: codes
    for char in (*UNUSUAL, *EMOJI)
    if (codes := _second(char) + SHAPES.get(char, "") if char in READINGS else EMOJI.get(char, ""))
}


# Characters without any of which nothing here has work to do; every astral one is among them. One range, one table: quick.
_ODD: Final = "".join(sorted(char for char in UNUSUAL if char < "\U00010000")) + "\U00010000-\U0010ffff"
hint: Final = re.compile(f"[a-z{_ODD}]").search
_odd_ones: Final = re.compile(f"[{_ODD}]").finditer
# Fillers among syllable codes: gaps, symbols, pictographs.
_FILLER: Final = re.compile(
    f"[{GAP}"
    + "".join(chr(code) for code in (*range(0x2300, 0xD800), *range(0xF900, 0x10000)) if not chr(code).isalpha())
    + "\U0001d000-\U0001d3ff\U0001f000-\U0001ffff]"
)
# These and more: where it finds nothing, nothing is a filler by :func:`_is_filler` either.
_PERHAPS_FILLER: Final = re.compile(_FILLER.pattern[:-1] + "\U00010000-\U0010ffff]")


# Words of two characters of which one is unusual.
_ODD_WORDS: Final = frozenset(word for word in WORDS if len(word) == 2 and not UNUSUAL.isdisjoint(word))


def marks_of(folded: str, start: int = 0) -> list[int] | None:
    """Positions of unusual characters, of which none is before ``start``; None: the text is not worth a lattice. (Pinyin makes it
    worth one without any.)

    A character is not unusual where it makes up a word with its neighbours: 狰狞, 懵懂.
    """
    marks = []
    for match in _odd_ones(folded, start):
        place = match.start()
        char = match.group()
        if char < "\U00010000" or char in UNUSUAL:
            if folded[place : place + 2] not in _ODD_WORDS and folded[max(0, place - 1) : place + 1] not in _ODD_WORDS:
                marks.append(place)
        elif _FACE_INSIDE.match(folded, place):
            marks.append(place)
    if marks:
        return marks
    runs = [run for run in LETTERS.findall(folded) if is_pinyin(run)]
    worth = any(run not in ENGLISH for run in runs) or (len(runs) > 1 and any(map(is_han, folded)))
    return [] if worth else None


def _longs(folded: str, marks: list[int]) -> dict[int, list[Long]]:
    """Pieces of several characters, by where they start: syllables in Latin letters, and near unusual characters split ones."""
    out: dict[int, list[Long]] = {}
    runs = [run for run in LETTERS.finditer(folded) if is_pinyin(run.group())] if HAS_LETTERS(folded) else []
    for run in runs:
        if len(runs) == 1 and run.group() in ENGLISH:
            continue
        for start, end, code in syllables_in(run.group()):
            out.setdefault(run.start() + start, []).append((run.start() + end, code, LATIN))
    begun = 0
    for mark in marks:
        # Marks are in order, and what is near two of them is looked at once.
        first, last = max(begun, mark - CLOSE), mark + CLOSE + SPLIT_PIECES
        begun = mark + CLOSE + 1
        near = folded[first:last]
        for start, end, _ in _find_splits(near):
            if first + start < begun:
                here = out.setdefault(first + start, [])
                here.extend((first + end, code, SPLIT) for code in _WHOLES[near[start:end]])
    return out


def _alone(folded: str, marks: list[int], longest: int) -> bool:
    """Whether no term could cover two of the unusual characters, other than repetitions of one."""
    if len(marks) == 1:
        return True
    near = [(one, two) for one, two in pairwise(marks) if two - one < longest]
    return all(folded[one] == folded[two] for one, two in near)


# Whether some term of a pattern has, at a place of its (so many) syllables, something that a character looks like.
MayStand = Callable[[int, int, int, str], bool]


class Patterns(Trie):
    """The patterns to be spelled: of syllable codes and plain characters, at least two each."""

    __slots__ = ("find", "may_stand", "neighbours")

    def __init__(self, spelled: Branches, around: Around, find: Finder, may_stand: MayStand) -> None:
        """``find`` tells where which patterns are in a text of codes; ``may_stand`` which of them a look-alike could belong to."""
        super().__init__(spelled)
        self.neighbours = Neighbours(around)
        self.find = find
        self.may_stand = may_stand


# The pieces that led to a node, the last one first: (those before, start, end, kind).
Trail = tuple[Any, int, int, Kind]
# Position, node of the trie, whether one of the pieces is not plain or stands apart from the one before, the pieces.
Path = tuple[int, int, bool, Trail]


def search(folded: str, spoken: str, marks: list[int], patterns: Patterns) -> list[Candidate]:
    """Paths that spell one of ``patterns``; ``spoken`` are the text's syllables, ``marks`` as :func:`marks_of` found them.

    Every path has at least one piece that is not plain, or skips noise or a pictograph inside.
    """
    if not marks:
        found = _pinyin(folded, spoken, patterns)
        if found is not None:
            return found
    elif len(marks) == 1 and not HAS_LETTERS(folded):
        # By far the most frequent case, in fewer steps: what follows would come to the same.
        mark = marks[0]
        if not _find_splits(folded[max(0, mark - CLOSE) : mark + CLOSE + SPLIT_PIECES]):
            return _one(folded[mark], mark, spoken, patterns)
    longs = _longs(folded, marks)
    if not longs and _alone(folded, marks, min(patterns.longest, CLOSE)):
        return [candidate for mark in marks[:MAX_ALONE] for candidate in _one(folded[mark], mark, spoken, patterns)]
    edges = list(map(_edges, folded))
    found = []
    budget = MAX_PATHS
    paths: list[Path] = []
    for first in _starts(spoken, marks, longs, patterns):
        _step((first, 0, False, _ROOT), edges, longs, patterns, paths, found)
        while paths:
            budget -= 1
            if budget < 0:
                return found
            _step(paths.pop(), edges, longs, patterns, paths, found)
    return found


def _starts(spoken: str, marks: list[int], longs: dict[int, list[Long]], patterns: Patterns) -> list[int]:
    """Where paths over an unusual piece may begin: near it, or where three plain syllables are some that a pattern has."""
    follows = patterns.neighbours.follows
    odd = {*marks, *longs}
    starts = set()
    for mark in odd:
        for start in range(max(0, mark - patterns.longest + 1), mark + 1):
            three = range(start, start + 3)
            if (
                mark in three
                or not odd.isdisjoint(three)
                or _FILLER.search(spoken, start, start + 3)
                or follows(*spoken[start : start + 3])
            ):
                starts.add(start)
    return sorted(starts)


_ROOT: Final[Any] = ()


def _pinyin(folded: str, spoken: str, patterns: Patterns) -> list[Candidate] | None:
    """Candidates in a text whose only unusual pieces are pinyin: every way to cut it, each in one scan; None: too many ways."""
    ways: list[list[Step]] = [[]]
    place = 0
    for run in LETTERS.finditer(folded):
        if not is_pinyin(run.group()):
            continue
        cuts = cuts_of(run.group())
        if len(ways) * (len(cuts) + 1) > 2 * MAX_WAYS:
            return None
        between = [Step(at, at + 1, PLAIN) for at in range(place, run.start())]
        pieces = [[Step(run.start() + start, run.start() + end, LATIN) for start, end in cut] for cut in cuts]
        # Or the letters are those of a term: 女fen坑.
        pieces.append([Step(at, at + 1, PLAIN) for at in range(run.start(), run.end())])
        ways = [[*way, *between, *cut] for way in ways for cut in pieces]
        place = run.end()
    tail = [Step(at, at + 1, PLAIN) for at in range(place, len(folded))]
    found = []
    for way in ways:
        steps = [*way, *tail]
        codes = [CODE_OF[folded[one.start : one.end]] if one.kind else spoken[one.start] for one in steps]
        kept = [number for number, code in enumerate(codes) if steps[number].kind or not _is_filler(code)]
        for first, last, pattern in patterns.find("".join([codes[number] for number in kept])):
            path = tuple(steps[number] for number in kept[first:last])
            gaps = [two.start - one.end for one, two in pairwise(path)]
            if max(gaps, default=0) <= MAX_GAP and any(step.kind for step in path):
                found.append(Candidate(pattern, path))
    return found


def _one(char: str, mark: int, spoken: str, patterns: Patterns) -> list[Candidate]:
    """Candidates around a single unusual character: every reading of it that fits between its neighbours in turn, in one scan."""
    guesses = _GUESSES.get(char, "")
    longest = patterns.longest - 1
    first, last = max(0, mark - longest), mark + 1 + longest
    left, right = spoken[first:mark], spoken[mark + 1 : last]
    places: Sequence[int] = range(first, last)
    if _PERHAPS_FILLER.search(left + right):
        reach = longest + MAX_GAP + 1
        before = _no_fillers(spoken, max(0, mark - reach), mark)[-longest:]
        behind = _no_fillers(spoken, mark + 1, min(len(spoken), mark + reach))[:longest]
        left, right = "".join([spoken[place] for place in before]), "".join([spoken[place] for place in behind])
        places = [*before, mark, *behind]
    possible = patterns.neighbours.beside(left[-2:], right[:2])
    fitting = [number for number, code in enumerate(guesses) if code in possible]
    if not fitting:
        return []
    if len(fitting) > FEW:
        # Most rows of three are in no pattern, and no pattern goes on beyond such a one: the lines to look through get short.
        in_a_row = patterns.neighbours.in_a_row
        if len(left) > 2 and not in_a_row(left[-3:]):
            left, places = left[-2:], places[len(left) - 2 :]
        if len(right) > 2 and not in_a_row(right[:3]):
            right = right[:2]
    at = len(left)
    seconds = len(READINGS.get(char, ())) > 1
    stride = at + len(right) + 2
    found = []
    for start, end, number in patterns.find("\n".join([left + guesses[which] + right for which in fitting])):
        line, start = divmod(start, stride)
        end -= line * stride
        if start <= at < end:
            odd = SECOND if fitting[line] < seconds else SHAPE if char in READINGS else PICTURE
            if odd is SHAPE and not patterns.may_stand(number, at - start, end - start, char):
                continue
            steps = tuple([Step(place, place + 1, odd if place == mark else PLAIN) for place in places[start:end]])
            found.append(Candidate(number, steps))
    return found


def _no_fillers(spoken: str, first: int, last: int) -> list[int]:
    """Places from ``first`` to ``last`` where no filler is; most are syllables, which is quick to tell."""
    return [place for place in range(first, last) if "\ue000" <= (code := spoken[place]) <= "\uf8ff" or not _is_filler(code)]


def _step(
    path: Path,
    edges: list[tuple[Edge, ...]],
    longs: dict[int, list[Long]],
    patterns: Patterns,
    paths: list[Path],
    found: list[Candidate],
) -> None:
    """Take a path every way on that can still spell a pattern: onto ``paths``, and into ``found`` where a pattern ends."""
    position, node, evasive, trail = path
    letters, firsts, values = patterns.letters, patterns.firsts, patterns.values
    low, high = firsts[node], firsts[node + 1]
    size = len(edges)
    apart = trail is not _ROOT and trail[2] != position
    here = edges[position]
    if high - low < len(here):
        # Few ways to go on, and many to read the character: it is quicker to ask the other way round.
        here = tuple(edge for edge in here if edge[0] in letters[low:high])
    ways: list[Long] = [(position + 1, code, kind) for code, kind in here]
    if position in longs:
        ways += longs[position]
    for end, code, kind in ways:
        child = letters.find(code, low, high) + 1
        if not child:
            continue
        odd = evasive or apart or kind is not PLAIN
        ahead: Trail = (trail, position, end, kind)
        number = values[child]
        if number >= 0 and odd:
            found.append(Candidate(number, _steps(ahead)))
        if end < size and (end in longs or _goes_on(edges[end], letters, firsts[child], firsts[child + 1])):
            paths.append((end, child, odd, ahead))
    if trail is not _ROOT and position + 1 < size and position - trail[2] < MAX_GAP and _is_filler(edges[position][0][0]):
        paths.append((position + 1, node, evasive, trail))


def _goes_on(edges: tuple[Edge, ...], letters: str, low: int, high: int) -> bool:
    """Whether one of ``edges`` leads on from a node whose children are these, as far as that is told sooner than tried; or may be
    skipped."""
    if low == high or len(edges) > FEW:
        return low < high
    code = edges[0][0]
    return (
        letters.find(code, low, high) >= 0
        or (len(edges) > 1 and letters.find(edges[1][0], low, high) >= 0)
        or (not "\ue000" <= code <= "\uf8ff" and _is_filler(code))
    )


def _steps(trail: Trail) -> tuple[Step, ...]:
    steps = []
    while trail is not _ROOT:
        trail, start, end, kind = trail
        steps.append(Step(start, end, kind))
    return tuple(reversed(steps))


@lru_cache(maxsize=4_096)
def _is_filler(char: str) -> bool:
    return char == GAP or char in NOISE or (char >= "\u2300" and not "\ue000" <= char <= "\uf8ff" and not char.isalpha())
