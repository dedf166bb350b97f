"""What two names that look alike have in common: one key, the *skeleton*.

The table ``lookalikes.tsv.xz`` holds Unicode's confusable characters (UTS #39), as ``python -m server.accounts.lookalikes ARCHIVE``
makes it from the wheel of confusable-homoglyphs 3.3.1 (MIT, (c) Victor Felder and Elena Grandi; data (c) Unicode, Inc., Unicode
License v3), which is read and never installed: each line a character, a tab, and the one that stands for all that look like it.
On top of it come what :func:`filters.normalize.fold` evens out (width, case, traditional characters, marks, invisible characters)
and a few pairs that names are forged with in Chinese. A skeleton is compared, never shown.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
import unicodedata
import zipfile
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from filters.normalize import fold

TABLE: Final = "lookalikes.tsv.xz"
_SOURCE: Final = "confusable_homoglyphs/confusables.json"

# After folding: what looks the same in one case or the other, signs used as letters, ideographs a stroke apart.
_LAST: Final = str.maketrans({
    "i": "l", "1": "l", "|": "l", "0": "o", "@": "a", "$": "s",
    "已": "己", "巳": "己", "末": "未", "曰": "日", "士": "土", "戍": "戌", "戊": "戌", "于": "干", "夭": "天", "人": "入",
    "宫": "官", "微": "徽", "园": "圆", "晴": "睛", "囗": "口", "〇": "o",
})  # fmt: skip
_PAIRS: Final = (("rn", "m"), ("vv", "w"))
_WORD: Final = re.compile("[A-Za-z]+")
_SILENT: Final = frozenset("ZPMC")


def skeleton(name: str) -> str:
    """The key of a name: equal for names that a reader could take for one another. Spaces, punctuation and marks do not tell names
    apart, unless a name has nothing else."""
    text = unicodedata.normalize("NFKC", name)
    bare = "".join(text.split())
    return _letters("".join(char for char in text if _tells(char))) or _letters(bare) or bare or text


def words(name: str) -> list[str]:
    """Skeletons of the Latin words in a name, whatever letters they are written with."""
    text = unicodedata.normalize("NFKC", name).translate(_table())
    return [skeleton(word) for word in _WORD.findall(fold(text))]


def _letters(text: str) -> str:
    table = _table()
    # Before folding and after it, since a capital can look like another letter than its small form.
    text = fold(fold(text.translate(table)).translate(table)).casefold().translate(_LAST)
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def _tells(char: str) -> bool:
    """Whether a character tells names apart: not spaces, punctuation and marks, but for those that look like a letter."""
    looks = _table().get(ord(char), "")
    return (
        (looks.isascii() and looks.isalnum())
        or char in "@$"
        or not (unicodedata.category(char)[0] in _SILENT or _is_tone(char))
    )


def _is_tone(char: str) -> bool:
    """Modifiers of emoji: of one hand in two colours, each would be taken for the other."""
    return "\U0001f3fb" <= char <= "\U0001f3ff"


@cache
def _table() -> dict[int, str]:
    content = lzma.decompress(resources.files(__package__).joinpath(TABLE).read_bytes()).decode()
    return {ord(char): stands for char, stands in (line.split("\t") for line in content.splitlines())}


def build(archive: Path) -> str:
    """The table, from the wheel named above. Characters that look alike are a class; an ASCII letter or digit stands for it, or else
    the first of it; single characters that look like several letters keep these."""
    with zipfile.ZipFile(archive) as wheel:
        found = json.loads(wheel.read(_SOURCE))
    parent: dict[str, str] = {}
    longer: dict[str, str] = {}

    def root(char: str) -> str:
        while (above := parent.setdefault(char, char)) != char:
            char = above
        return char

    for one, others in found.items():
        for other in (entry["c"] for entry in others):
            first, second = _bare(one), _bare(other)
            if len(first) == len(second) == 1:
                low, high = sorted((root(first), root(second)), key=_rank)
                parent[high] = low
            elif len(first) == 1 and second.isascii() and second.isalnum() and not first.isascii():
                longer[first] = second
    lines = {char: root(char) for char in parent if root(char) != char and not (char.isascii() and char.isalnum())}
    return "".join(f"{char}\t{stands}\n" for char, stands in sorted({**longer, **lines}.items()))


def _bare(text: str) -> str:
    """Without the direction marks that the source puts around letters of scripts written from the right."""
    return text.strip("\u200e\u200f")


def _rank(char: str) -> tuple[bool, bool, int]:
    return not (char.isascii() and char.isalnum()), not char.isalnum(), ord(char)


def main(archive: str) -> None:
    """Write the table beside this module."""
    content = build(Path(archive)).encode()
    (Path(__file__).parent / TABLE).write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(sys.argv[1])
