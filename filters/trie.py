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

# Ranges remembered: more than there are syllables, for each kind of neighbour.
MAX_RANGES: Final = 8_192
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

    places: Numbers
    starts: Numbers
    letters: str


def around(keys: Iterable[str]) -> Around:
    """Of three letters in a row, each by the other two; of keys that have only two, each by the other."""
    found: dict[int, set[str]] = {}
    for key in keys:
        if len(key) == 2:
            found.setdefault(_place(3, key[1]), set()).add(key[0])
            found.setdefault(_place(4, key[0]), set()).add(key[1])
        for start in range(len(key) - 2):
            one, two, three = key[start], key[start + 1], key[start + 2]
            found.setdefault(_place(0, two, three), set()).add(one)
            found.setdefault(_place(1, one, three), set()).add(two)
            found.setdefault(_place(2, one, two), set()).add(three)
    places = sorted(found)
    letters = ["".join(sorted(found[place])) for place in places]
    starts = array("I", [0])
    for some in letters:
        starts.append(starts[-1] + len(some))
    return Around(Numbers.of("Q", places), Numbers("I", starts.tobytes()), "".join(letters))


def _place(which: int, one: str, two: str = "\0") -> int:
    return which << 42 | ord(one) << 21 | ord(two)


class Neighbours:
    """Letters by what stands beside them, over an :class:`Around`."""

    __slots__ = ("_letters", "_places", "_ranges", "_starts")

    def __init__(self, found: Around) -> None:
        self._places = found.places.view()
        self._starts = found.starts.view()
        self._letters = found.letters
        # Where the places of a first letter begin and end, of those asked for.
        self._ranges: dict[int, tuple[int, int]] = {}

    def beside(self, before: str, behind: str) -> str:
        """The letters that can stand between the letters ``before`` and ``behind`` them (at most two of each count), in any key."""
        found = []
        if len(behind) > 1:
            found.append(self._at(_place(0, behind[0], behind[1])))
        if before and behind:
            found.append(self._at(_place(1, before[-1], behind[0])))
        if len(before) > 1:
            found.append(self._at(_place(2, before[-2], before[-1])))
        if behind:
            found.append(self._at(_place(3, behind[0])))
        if before:
            found.append(self._at(_place(4, before[-1])))
        return "".join(found)

    def follows(self, one: str, two: str, three: str) -> bool:
        """Whether some key has the three letters in a row, or is the first two."""
        return three in self._at(_place(2, one, two)) or two in self._at(_place(4, one))

    def _at(self, place: int) -> str:
        low, high = self._ranges.get(place >> 21) or self._range(place >> 21)
        if low == high:
            return ""
        number = bisect_left(self._places, place, low, high)
        if number == high or self._places[number] != place:
            return ""
        return self._letters[self._starts[number] : self._starts[number + 1]]

    def _range(self, first: int) -> tuple[int, int]:
        low = bisect_left(self._places, first << 21)
        found = low, bisect_left(self._places, (first + 1) << 21, low)
        if len(self._ranges) >= MAX_RANGES:
            self._ranges.clear()
        self._ranges[first] = found
        return found


def numbered(keys: Iterable[str], found: Mapping[str, Sequence[int]]) -> Lists:
    """The lists of ``found`` in the order of ``keys``; an empty one where there is none."""
    return Lists.of(found.get(key, ()) for key in keys)
