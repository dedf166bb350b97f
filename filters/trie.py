"""Read-only structures in a few flat buffers: a list of texts, a list of lists of numbers, a trie.

A hundred thousand Python strings take milliseconds to make, and to let go of, while the event loop stands still; a buffer is there
at once. What is asked for is made when it is asked for.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

_BYTES: Final = {"H": 2, "I": 4, "i": 4, "Q": 8}


class Numbers(msgspec.Struct, frozen=True):
    """Numbers of one machine type (``kind``: H, I, i or Q) in the byte order of this machine."""

    kind: str
    data: bytes

    @classmethod
    def of(cls, kind: str, values: Iterable[int]) -> Numbers:
        """Raises OverflowError when a value does not fit."""
        return cls(kind, array(kind, values).tobytes())

    def view(self) -> Sequence[int]:
        """The numbers, without a copy. Raises TypeError when the data is cut short."""
        return memoryview(self.data).cast(self.kind)  # type: ignore[call-overload, no-any-return]

    def __len__(self) -> int:
        return len(self.data) // _BYTES[self.kind]


class Packed(msgspec.Struct, frozen=True):
    """Texts one after another in UTF-8, and where each begins (and the last one ends)."""

    data: bytes
    starts: Numbers

    @classmethod
    def of(cls, texts: Iterable[str]) -> Packed:
        pieces = [text.encode("utf-8", "surrogatepass") for text in texts]
        starts = array("I", [0])
        total = 0
        for piece in pieces:
            total += len(piece)
            starts.append(total)
        return cls(b"".join(pieces), Numbers("I", starts.tobytes()))


class Texts(Sequence[str]):
    """A list of texts over a :class:`Packed`."""

    __slots__ = ("_data", "_starts")

    def __init__(self, packed: Packed) -> None:
        self._data = packed.data
        self._starts = packed.starts.view()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        return self._data[self._starts[number] : self._starts[number + 1]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))


class Lists(msgspec.Struct, frozen=True):
    """Lists of numbers: list ``i`` is ``values[starts[i]:starts[i + 1]]``."""

    starts: Numbers
    values: Numbers

    @classmethod
    def of(cls, lists: Iterable[Sequence[int]]) -> Lists:
        starts = array("I", [0])
        values = array("I")
        for numbers in lists:
            values.extend(numbers)
            starts.append(len(values))
        return cls(Numbers("I", starts.tobytes()), Numbers("I", values.tobytes()))


class Branches(msgspec.Struct, frozen=True):
    """A trie in breadth-first order, as :func:`branches` makes it; see :class:`Trie`."""

    letters: str
    firsts: Numbers
    values: Numbers
    longest: int


def branches(keys: Sequence[str]) -> Branches:
    """The trie of sorted, different keys; the value of a key is its place among them."""
    letters: list[str] = []
    firsts = array("I")
    values = array("i")
    groups = [(0, len(keys), 0)]
    for low, high, depth in groups:  # grows while it is walked through: breadth first
        firsts.append(len(letters))
        value = -1
        if low < high and len(keys[low]) == depth:
            value = low
            low += 1
        values.append(value)
        while low < high:
            key = keys[low]
            after = ord(key[depth]) + 1
            end = bisect_left(keys, key[:depth] + chr(after), low, high) if after <= sys.maxunicode else high
            letters.append(key[depth])
            groups.append((low, end, depth + 1))
            low = end
    firsts.append(len(letters))
    return Branches(
        "".join(letters), Numbers("I", firsts.tobytes()), Numbers("i", values.tobytes()), max(map(len, keys), default=0)
    )


class Trie:
    """Keys by their beginnings. Node 0 is the root; the children of node ``n`` are the nodes ``i + 1`` for the places ``i`` in
    ``firsts[n]`` to ``firsts[n + 1]``, and ``letters[i]`` leads there. ``values[n]`` is the number of the key that ends at a node,
    or -1."""

    __slots__ = ("firsts", "letters", "longest", "values")

    def __init__(self, found: Branches) -> None:
        self.letters = found.letters
        self.firsts = found.firsts.view()
        self.values = found.values.view()
        self.longest = found.longest

    def child(self, node: int, letter: str) -> int:
        """Where ``letter`` leads from a node; 0: nowhere."""
        return self.letters.find(letter, self.firsts[node], self.firsts[node + 1]) + 1

    def number(self, key: str) -> int:
        """The number of a key, or -1."""
        node = 0
        for letter in key:
            node = self.child(node, letter)
            if not node:
                return -1
        return self.values[node]


class Around(msgspec.Struct, frozen=True):
    """Which letters stand beside which in the keys of a trie, as :func:`around` makes it; see :class:`Neighbours`."""

    starts: Numbers
    letters: str


def around(keys: Sequence[str]) -> Around:
    """Of three letters in a row, each by the other two; of keys that have only two, each by the other."""
    mask = _mask(sum(map(len, keys)))
    found: dict[int, set[str]] = {}
    for key in keys:
        if len(key) == 2:
            found.setdefault(_place(0, mask, key[1]), set()).add(key[0])
            found.setdefault(_place(2, mask, key[0]), set()).add(key[1])
        for start in range(len(key) - 2):
            one, two, three = key[start], key[start + 1], key[start + 2]
            found.setdefault(_place(0, mask, two, three), set()).add(one)
            found.setdefault(_place(1, mask, one, three), set()).add(two)
            found.setdefault(_place(2, mask, one, two), set()).add(three)
    letters = []
    starts = array("I")
    total = before = 0
    for place in sorted(found):
        # Places where nothing stands begin and end where the next one begins.
        starts.extend([total] * (place - before))
        before = place
        letters.append("".join(sorted(found[place])))
        starts.append(total)
        before = place + 1
        total += len(letters[-1])
    starts.extend([total] * (_TABLES * (mask + 1) + 1 - before))
    return Around(Numbers("I", starts.tobytes()), "".join(letters))


# Enough for each two of 512 syllables to have a place of their own.
_ALL: Final = (1 << 18) - 1
_TABLES: Final = 3


def _mask(letters: int) -> int:
    """The highest number of a place in each table, for keys of so many letters together."""
    return min(_ALL, (1 << max(9, letters.bit_length() + 1)) - 1)


def _place(which: int, mask: int, one: str, two: str = "\0") -> int:
    """Where the letters beside two others are, in table ``which``. Other pairs may have the same place, which then names the letters
    of both: what asks only wants to know where a closer look is worth while."""
    pair = (ord(one) << 9) + ord(two)
    return which * (mask + 1) + ((pair ^ pair >> 9) & mask)


class Neighbours:
    """Letters by what stands beside them, over an :class:`Around`. It may name some that stand elsewhere, and leaves none out."""

    __slots__ = ("_letters", "_mask", "_starts")

    def __init__(self, found: Around) -> None:
        self._starts = found.starts.view()
        self._mask = len(found.starts) // _TABLES - 1
        self._letters = found.letters

    def beside(self, before: str, behind: str) -> str:
        """The letters that can stand between the letters ``before`` and ``behind`` them (at most two of each count), in any key."""
        starts, letters, mask = self._starts, self._letters, self._mask
        one, two = map(ord, f"\0\0{before}"[-2:])
        three, four = map(ord, f"{behind}\0\0"[:2])
        two_on, three_on, third = two << 9, three << 9, 2 * mask + 2
        # As _place reckons; what a missing letter brings up is only more than there is.
        first = (three_on ^ three) & mask
        second = ((pair := three_on + four) ^ pair >> 9) & mask
        middle = ((pair := two_on + three) ^ pair >> 9) & mask | mask + 1
        last = third + (((pair := (one << 9) + two) ^ pair >> 9) & mask)
        alone = third + ((two_on ^ two) & mask)
        return "".join(
            [
                letters[starts[first] : starts[first + 1]],
                letters[starts[second] : starts[second + 1]],
                letters[starts[middle] : starts[middle + 1]],
                letters[starts[last] : starts[last + 1]],
                letters[starts[alone] : starts[alone + 1]],
            ]
        )

    def follows(self, one: str, two: str, three: str) -> bool:
        """Whether some key has the three letters in a row, or is the first two; at times true where none has."""
        return three in self._at(_place(2, self._mask, one, two)) or two in self._at(_place(2, self._mask, one))

    def in_a_row(self, three: str) -> bool:
        """Whether some key has three letters in a row; at times true where none has."""
        return three[2] in self._at(_place(2, self._mask, three[0], three[1]))

    def _at(self, place: int) -> str:
        return self._letters[self._starts[place] : self._starts[place + 1]]


def numbered(keys: Iterable[str], found: Mapping[str, Sequence[int]]) -> Lists:
    """The lists of ``found`` in the order of ``keys``; an empty one where there is none."""
    return Lists.of(found.get(key, ()) for key in keys)
