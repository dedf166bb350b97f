"""Tests of filters.repeats."""

from __future__ import annotations

from filters.normalize import fold
from filters.rate import ENOUGH, step_of
from filters.repeats import HALF_LIFE_MS, SILENT_MS, Repeats, gist


def test_gist() -> None:
    """Texts that differ in spaces, punctuation and stretched characters have one gist; a text of signs alone keeps itself."""
    assert gist(fold("玩到关服！！")) == gist("玩 到 关关关服") == "玩到关服"
    assert gist("???") == "???"


def test_one_account() -> None:
    """One account may say one thing a few times, then it waits; elsewhere, and with other words, it does not."""
    repeats = Repeats(10_000, 2, 5, 100)
    assert [repeats.allow("a", "r", "x", 1000) for _ in range(3)] == [0, 0, 10_000]
    assert repeats.allow("a", "r2", "x", 1000) == repeats.allow("a", "r", "y", 1000) == repeats.allow("b", "r", "x", 1000) == 0


def test_crowd_rises_and_decays() -> None:
    """A crowd is named while it lasts, and forgotten after."""
    repeats = Repeats(0, 1, 5, 100)
    counts = [repeats.crowd("r", "x", 1000 + number) for number in range(8)]
    assert counts[:4] == [0, 0, 0, 0]
    assert counts[-1] == 8
    assert repeats.crowd("r", "x", 1000 + 20 * HALF_LIFE_MS) == 0


def test_memory_is_bounded() -> None:
    """The gist heard longest ago is forgotten first."""
    repeats = Repeats(0, 1, 2, 2)
    for said in ("x", "y", "x", "z"):
        repeats.crowd("r", said, 1)
    assert len(repeats) == 2
    assert repeats.crowd("r", "x", 1) == 3
    assert repeats.crowd("r", "y", 1) == 0


def test_silence_is_forgotten() -> None:
    """Where many are held, gists that nobody says any more make room by themselves, a few at a time; one that is said stays."""
    repeats = Repeats(0, 1, 3, 100_000)
    for number in range(ENOUGH - 1):
        repeats.crowd("r", str(number), 0)
    assert [repeats.crowd("r", "x", at_ms) for at_ms in (0, 0, SILENT_MS)] == [0, 0, 0]
    for number in range(2 * ENOUGH):
        repeats.crowd("r", f"late {number}", SILENT_MS + number // 100)
    assert 2 * ENOUGH < len(repeats) <= 2 * ENOUGH + step_of(100_000)
    assert [repeats.crowd("r", "x", SILENT_MS) for _ in range(2)] == [0, 3]
