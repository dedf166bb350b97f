"""Comments that are made up or come from a file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from filters import default_pipeline
from filters.config import ScreeningConfig
from filters.verdict import Action, Candidate
from loadtest.texts import from_file, made_up, raid, serial, various


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


def test_various_texts_look_like_nobody_s_campaign() -> None:
    """In many rooms, said by few accounts each, they are let through by the rules that ship; no two are alike."""
    pipeline = default_pipeline(
        ScreeningConfig(account_interval_ms=0, room_interval_ms=0, address_interval_ms=0, repeat_interval_ms=0)
    )
    said = list(islice(various(), 1500))
    assert len(set(said)) == len(said)
    verdicts = [
        pipeline.screen(Candidate(text=text, room=f"room{at % 21}", author=f"account{at % 60}"), at * 10, at * 10)
        for at, text in enumerate(said)
    ]
    assert {verdict.action for verdict in verdicts} == {Action.ACCEPT}
