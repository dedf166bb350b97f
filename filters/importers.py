"""Open term lists, read as they come: one term a line, comma separated, or tagged. They always go to the suspect tier (hold)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from filters.compiled import compile_rules
from filters.evaluate import one_rule
from filters.normalize import fold

MAX_TERM: Final = 64
_TAGGED: Final = re.compile(r"^(?P<term>[^\t|]+?)\s*[\t|]\s*(?P<tag>[^\t|]*)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Report(msgspec.Struct, frozen=True):
    """What came of a list: its terms, and what an operator should look at before the list comes into force."""

    terms: tuple[str, ...]
    tags: dict[str, int]
    doubled: int
    folded_together: tuple[tuple[str, str], ...]
    short: tuple[str, ...]
    unusable: tuple[str, ...]
    quiet: int


def read_terms(source: str) -> tuple[list[str], dict[str, int], list[str]]:
    """Terms in order, how often each tag occurs, and the lines that hold none. ``#`` and ``//`` begin remarks."""
    terms: list[str] = []
    tags: dict[str, int] = {}
    unusable: list[str] = []
    for line in source.removeprefix("\ufeff").splitlines():
        text = line.strip()
        if not text or text.startswith(("#", "//")):
            continue
        tagged = _TAGGED.match(text)
        if tagged:
            tag = tagged["tag"].strip()
            tags[tag] = tags.get(tag, 0) + 1
            text = tagged["term"].strip()
        for piece in re.split(r"[,，、;；]", text):
            term = piece.strip()
            if not term:
                continue
            if len(term) > MAX_TERM or _CONTROL.search(term) or not fold(term).strip():
                unusable.append(term[:MAX_TERM])
            else:
                terms.append(term)
    return terms, tags, unusable


def examine(source: str, least: int = 1) -> Report:
    """Read a list and report on it. Terms that fold to fewer than ``least`` characters are left out and listed."""
    terms, tags, unusable = read_terms(source)
    unique = list(dict.fromkeys(terms))
    kept: dict[str, str] = {}
    together: list[tuple[str, str]] = []
    short: list[str] = []
    for term in unique:
        folded = fold(term).strip()
        if len(folded) < least:
            short.append(term)
        elif folded in kept:
            together.append((term, kept[folded]))
        else:
            kept[folded] = term
            if len(folded) < 2:
                short.append(term)
    compiled = compile_rules(one_rule(kept.values()))
    return Report(
        terms=tuple(kept.values()),
        tags=tags,
        doubled=len(terms) - len(unique),
        folded_together=tuple(together),
        short=tuple(short),
        unusable=tuple(unusable),
        quiet=len(compiled.quiet),
    )


def to_toml(terms: Iterable[str], code: str, category: str, basis: str, title: str) -> str:
    """A rule file of one holding rule with these terms. The caller vouches that the other fields have no quotes."""
    lines = ["format = 1", f'name = "{code}"', 'version = "1"', "", "[[rule]]", f'code = "{code}"', f'title = "{title}"']
    lines += [f'category = "{category}"', 'tier = "hold"', f'basis = "{basis}"', "terms = ["]
    lines += [f"    {quote(term)}," for term in terms]
    return "\n".join([*lines, "]", ""])


def quote(text: str) -> str:
    """A basic string of TOML."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
