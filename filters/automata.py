"""The automata that find many patterns in one pass, behind one small interface: made of patterns, or loaded from bytes.

Loading is for a thread beside the event loop's: it goes in short steps, between which the loop's thread runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from daachorse import CharwiseDoubleArrayAhoCorasick

# Where which patterns are: start, end, number of the pattern.
Found = list[tuple[int, int, int]]
Finder = Callable[[str], Found]
STEP: Final = 1 << 20
# Between long steps of loading. A sleep of nothing would give up the interpreter's lock, but not the processor that another thread
# may be waiting for, and would take the lock again before that thread could.
BREATH_S: Final = 0.0005


def serialized(patterns: Sequence[str]) -> bytes:
    """An automaton of different patterns, for :func:`loaded`; empty when there are none."""
    return CharwiseDoubleArrayAhoCorasick(list(patterns)).serialize() if patterns else b""


def finder(patterns: Sequence[str]) -> Finder:
    """What tells where which of some different patterns are in a text, overlapping ones too."""
    return CharwiseDoubleArrayAhoCorasick(list(patterns)).find_overlapping if patterns else _nothing


def loaded(automaton: bytes) -> Finder:
    """The like for the patterns of which :func:`serialized` made an automaton, in this version and on this machine."""
    if not automaton:
        return _nothing
    if len(automaton) <= STEP:
        return CharwiseDoubleArrayAhoCorasick.deserialize(automaton).find_overlapping
    _touch(2 * len(automaton))
    found = CharwiseDoubleArrayAhoCorasick.deserialize(automaton).find_overlapping
    time.sleep(BREATH_S)
    return found


def _touch(size: int) -> None:
    """Have so much memory at hand that was used before, gained in short steps.

    Loading an automaton is one long step, in which no other thread runs, and most of which would be the system's, giving out fresh
    pages one by one. The allocator keeps a block as large as one that it has handed back before.
    """
    bytes(size)  # not touched: it tells the allocator what sizes to expect
    blocks = []
    for _ in range(size // STEP):
        blocks.append(bytearray(STEP))
        time.sleep(BREATH_S)


def _nothing(_: str) -> Found:
    return []
