"""Comments that are made up or come from a file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from loadtest.texts import from_file, made_up, raid, serial


def test_made_up_comments_are_all_different() -> None:
    """No two are alike, none is long, and none has a digit that could be taken for a contact."""
    texts = list(islice(made_up(), 20_000))
    assert len(set(texts)) == len(texts)
    assert max(map(len, texts)) <= 25
    assert not any(char.isdigit() for text in texts for char in text)


def test_serials_are_unique() -> None:
    """Different numbers have different serials."""
    assert len({serial(number) for number in range(10_000)}) == 10_000


def test_from_file(tmp_path: Path) -> None:
    """Lines that can be comments come over and over."""
    path = tmp_path / "texts.txt"
    path.write_text("one\n\n  two  \n" + "x" * 101 + "\n")
    assert list(islice(from_file(path), 5)) == ["one", "two", "one", "two", "one"]


def test_from_a_file_without_comments(tmp_path: Path) -> None:
    """A file that is empty or missing is refused by name."""
    path = tmp_path / "texts.txt"
    with pytest.raises(ValueError, match=r"texts\.txt cannot be read"):
        from_file(path)
    path.write_text("\n\n")
    with pytest.raises(ValueError, match=r"texts\.txt has no line"):
        from_file(path)


def test_raiders() -> None:
    """Raiders repeat themselves, and write the same for the same seed."""
    one, other = raid(1), raid(1)
    first = [next(one) for _ in range(50)]
    assert first == [next(other) for _ in range(50)]
    assert 5 < len(set(first)) < 50
