"""The last of the tables, made of the others: which usual characters each unusual one looks like, by their syllables.

``python -m filters.tables.shapes`` writes it; to be run after :mod:`filters.tables.build`.
"""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Final

from filters import tables
from filters.language import USUAL
from filters.normalize import CODE_OF, READINGS

# A part that more usual characters share than this says nothing about a look-alike; and how many of them are tried.
SHARED_BY: Final = 60
MAX_SHAPES: Final = 24


def make() -> dict[str, str]:
    """Unusual character to the syllable codes of the usual ones that look most like it, without its own, the nearest first."""
    parts = {char: sorted(set(found)) for char, found in tables.pairs("parts").items()}
    sharing: dict[str, list[str]] = {}
    for char in sorted(parts.keys() & USUAL & READINGS.keys()):
        for part in parts[char]:
            sharing.setdefault(part, []).append(CODE_OF[READINGS[char][0]])
    table = {}
    for char in sorted(parts.keys() - USUAL):
        nearness: dict[str, int] = {}
        for part in parts[char]:
            codes = sharing.get(part, [])
            if len(codes) <= SHARED_BY:
                for code in codes:
                    # The fewer share a part, the more it says.
                    nearness[code] = nearness.get(code, 0) + 1000 // len(codes)
        for syllable in READINGS.get(char, ())[:1]:
            nearness.pop(CODE_OF[syllable], None)
        if nearness:
            table[char] = "".join(sorted(nearness, key=nearness.__getitem__, reverse=True)[:MAX_SHAPES])
    return table


def write(folder: Path) -> None:
    """Make the table and write it into ``folder``."""
    text = "".join(f"{char}\t{codes}\n" for char, codes in sorted(make().items()))
    (folder / "shapes.tsv.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    write(Path(__file__).parent)
