"""The last of the tables, made of the others: which usual characters each unusual one looks like, by their syllables.

``python -m filters.tables.shapes`` writes it; to be run after :mod:`filters.tables.build`.
"""

from __future__ import annotations

import lzma
import math
from pathlib import Path
from typing import Final

from filters import tables
from filters.language import RANKS, USUAL, USUAL_RANK
from filters.normalize import CODE_OF, READINGS

# How many usual characters are tried for an unusual one.
MAX_SHAPES: Final = 20
# Of two that are as much alike, the more usual one is the likelier; the last rank that counts as usual counts half.
_HALF: Final = 2 * USUAL_RANK


def make() -> dict[str, str]:
    """Unusual character to the syllable codes of the usual ones that look most like it, without its own, the likeliest first.

    Two characters are as much alike as the parts they share say of all that their parts say; a part says the more, the fewer usual
    characters have it.
    """
    parts = {char: sorted(set(found)) for char, found in tables.pairs("parts").items()}
    usual = sorted(parts.keys() & USUAL & READINGS.keys())
    sharing: dict[str, list[str]] = {}
    for char in usual:
        for part in parts[char]:
            sharing.setdefault(part, []).append(char)
    says = {part: math.log2(len(usual) / len(chars)) for part, chars in sharing.items()}
    whole = {char: sum(says.get(part, 0.0) for part in found) for char, found in parts.items()}
    table = {}
    for char in sorted(parts.keys() - USUAL):
        shared: dict[str, float] = {}
        for part in parts[char]:
            for other in sharing.get(part, ()):
                shared[other] = shared.get(other, 0.0) + says[part]
        likely: dict[str, float] = {}
        for other, common in shared.items():
            code = CODE_OF[READINGS[other][0]]
            alike = common / (whole[char] + whole[other] - common)
            likely[code] = max(likely.get(code, 0.0), alike * (1 - RANKS.get(other, USUAL_RANK) / _HALF))
        for syllable in READINGS.get(char, ())[:1]:
            likely.pop(CODE_OF[syllable], None)
        if likely:
            table[char] = "".join(sorted(likely, key=likely.__getitem__, reverse=True)[:MAX_SHAPES])
    return table


def write(folder: Path) -> None:
    """Make the table and write it into ``folder``."""
    text = "".join(f"{char}\t{codes}\n" for char, codes in sorted(make().items()))
    (folder / "shapes.tsv.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    write(Path(__file__).parent)
