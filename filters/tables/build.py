"""Make the tables of this package again: ``python -m filters.tables.build`` (needs the development requirements).

Nothing of this runs in a server. Every table is plain text under xz, one entry a line, in a fixed order.
"""

from __future__ import annotations

import lzma
import sys
import unicodedata
from pathlib import Path

import opencc

SURROGATES = range(0xD800, 0xE000)
HANGUL = range(0xAC00, 0xD7B0)


def _strip_marks(text: str) -> str:
    """Canonical decomposition without its marks; Hangul syllables stay whole."""
    out = []
    for char in text:
        if ord(char) in HANGUL:
            out.append(char)
            continue
        out.extend(part for part in unicodedata.normalize("NFD", char) if unicodedata.category(part) not in {"Mn", "Me"})
    return "".join(out)


def _converters() -> list[opencc.OpenCC]:
    return [opencc.OpenCC(name) for name in ("t2s", "tw2s", "hk2s")]


def _fold_once(char: str, converters: list[opencc.OpenCC]) -> str:
    """One step: compatibility form, marks, case, invisible characters, traditional to simplified."""
    category = unicodedata.category(char)
    if category in {"Cf", "Mn", "Me"} or char in "\u115f\u1160\u3164\uffa0\u2800":
        return ""
    folded = _strip_marks(unicodedata.normalize("NFKC", char).casefold())
    for converter in converters:
        if len(folded) == 1 and ord(folded) >= 0x2E80:
            folded = converter.convert(folded)
    return " " if folded and not folded.strip() else folded


def fold_table() -> dict[str, str]:
    """Every character that folds to something else, folded until nothing changes any more."""
    converters = _converters()
    table: dict[str, str] = {}
    for code in range(0x80, 0x110000):
        char = chr(code)
        if code in SURROGATES or unicodedata.category(char) in {"Cn", "Co"}:
            continue
        folded = char
        for _ in range(6):
            again = "".join(_fold_once(part, converters) for part in folded)
            if again == folded:
                break
            folded = again
        else:
            raise AssertionError(f"U+{code:04X} does not settle")
        if folded != char:
            table[char] = folded
    table.update({chr(code): chr(code + 32) for code in range(0x41, 0x5B)})
    return table


def lines(table: dict[str, str]) -> str:
    """The text form of a table: key, tab, value; in order of keys."""
    return "".join(f"{key}\t{value}\n" for key, value in sorted(table.items()))


def write(folder: Path) -> None:
    """Write every table into ``folder``."""
    for name, text in {"fold": lines(fold_table())}.items():
        data = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
        (folder / f"{name}.tsv.xz").write_bytes(data)
        sys.stdout.write(f"{name}: {text.count(chr(10))} entries, {len(data)} bytes\n")


if __name__ == "__main__":
    write(Path(__file__).parent)
