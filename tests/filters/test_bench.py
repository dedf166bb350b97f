"""Tests of filters.bench."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from filters.bench import COMMENT_CHARS, cut, made_comments, made_terms, run


def test_made_material_is_repeatable() -> None:
    """Terms and comments are the same for everybody; comments have twenty characters."""
    assert made_terms(500) == made_terms(500)
    assert len(set(made_terms(500))) == 500
    assert {len(text) for text in made_comments(200)} == {COMMENT_CHARS}
    assert cut(["一二三" * 7, "四" * 20]) == [("一二三" * 7)[:20], "三" + "四" * 19]


def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has a line for everything, for the parts, and for other ways of matching, installed or not."""

    class AhoCorasick:
        def __init__(self, _: list[str]) -> None: ...

        def find_matches_as_indexes(self, _: str) -> list[int]:
            return []

    library = ModuleType("ahocorasick_rs")
    library.AhoCorasick = AhoCorasick  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ahocorasick_rs", library)
    with_peers = "\n".join(run(300, 90, None, peers=True))
    assert all(
        name in with_peers
        for name in ("everything on", "terms alone, all forms", "fold alone", "ahocorasick_rs alone", "re alternation")
    )
    monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    assert "not installed" in "\n".join(run(300, 90, ["今天的直播真的太好看了吧哈哈" * 20], peers=True))
    assert "re alternation" not in "\n".join(run(300, 90, None, peers=False))
