"""Tables made by :mod:`filters.tables.build` from other libraries, so that none of those is needed at run time."""

from __future__ import annotations

import lzma
from functools import cache
from importlib import resources


def text(name: str) -> str:
    """The text of table ``name``."""
    return lzma.decompress(resources.files(__package__).joinpath(f"{name}.tsv.xz").read_bytes()).decode()


@cache
def pairs(name: str) -> dict[str, str]:
    """A table of key and value. The caller must not change it."""
    return dict(line.split("\t", 1) for line in text(name).split("\n") if line)


def words(name: str) -> list[str]:
    """The words of a plain list, which is kept readable; lines that begin with ``#`` are remarks."""
    content = resources.files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return [word for line in content.splitlines() if not line.startswith("#") for word in line.split()]
