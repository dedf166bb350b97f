"""Skeletons: names that a reader could take for one another have the same key."""

from __future__ import annotations

import json
import lzma
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts import lookalikes
from server.accounts.lookalikes import skeleton, words


@pytest.mark.parametrize(
    "names",
    [
        ["admin", "Admin", "ADMIN", "АDMIN", "аdmin", "admln", "adm1n", "adrnin", "ａｄｍｉｎ",
         "𝕒𝒹𝓂𝒾𝓃", "ádmin", "a d-m_i.n", "@dmin", "a\u200bdmin"],
        ["Bill", "BiII", "B1ll", "bi|l", "Вill"],
        ["OOO", "000", "ооо", "ΟΟΟ", "〇〇〇", "o0O"],
        ["官方", "官 方", "官·方", "官方。", "宫方", "\u2060官方"],
        ["管理员", "管理員"],
        ["张三", "張三", "张 三"],
        ["自己", "自已", "自巳"],
        ["日本", "曰本"],
        ["一二", "ー二", "一ニ"],
        ["👋", "👋🏽"],
        ["wave", "vvave"],
        ["$am", "sam"],
        ["...", "…", ". . ."],
    ],
)  # fmt: skip
def test_these_look_alike(names: list[str]) -> None:
    """Other letters, cases, widths, scripts, marks, spaces or strokes do not make another name."""
    assert len({skeleton(name) for name in names}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("小明", "小红"),
        ("明", "月"),
        ("abc", "abd"),
        ("👋", "👍"),
        ("大", "太"),
        ("一", "二"),
        ("user3", "user8"),
        ("ab", "abb"),
        ("hn", "h"),
    ],
)
def test_these_do_not(one: str, other: str) -> None:
    """Names that nobody mixes up stay apart."""
    assert skeleton(one) != skeleton(other)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=24))
def test_a_skeleton_is_never_empty_and_ignores_case_and_spaces(name: str) -> None:
    """Whatever the name, there is a key, and spaces around and between change nothing."""
    assert skeleton(name)
    assert skeleton(f" {name} ") == skeleton(name)


@given(st.from_regex(r"[A-Za-z0-9]{1,24}", fullmatch=True))
def test_case_never_matters(name: str) -> None:
    """Capitals and small letters are one."""
    assert skeleton(name) == skeleton(name.upper()) == skeleton(name.lower())


def test_words_of_a_name() -> None:
    """Latin words are found between digits, signs and other scripts, and in letters that look Latin."""
    assert words("Admin123小明 official") == [skeleton("admin"), skeleton("official")]
    assert words("аdmin") == [skeleton("admin")]
    assert words("badminton") == [skeleton("badminton")]
    assert words("小明") == []


def test_the_table_is_made_from_its_source(tmp_path: Path) -> None:
    """Chains of confusables end with the ASCII letter, or else the first; directions are dropped; ASCII letters stay as they are."""
    source = {
        "а": [{"c": "a"}], "a": [{"c": "а"}, {"c": "ɑ"}], "ɑ": [{"c": "a"}],
        "\u200eא\u200e": [{"c": "ℵ"}], "ℵ": [{"c": "\u200eא\u200e"}],
        "rn": [{"c": "m"}], "m": [{"c": "rn"}], "㎙": [{"c": "fm"}], "ab": [{"c": "cd"}], "I": [{"c": "l"}], "l": [{"c": "I"}],
    }  # fmt: skip
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("confusable_homoglyphs/confusables.json", json.dumps(source))
    lines = dict(line.split("\t") for line in lookalikes.build(wheel).splitlines())
    assert lines == {"а": "a", "ɑ": "a", "ℵ": "א", "㎙": "fm"}


def test_the_table_is_written_beside_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes the compressed table."""
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("confusable_homoglyphs/confusables.json", json.dumps({"а": [{"c": "a"}]}))
    monkeypatch.setattr(lookalikes, "__file__", str(tmp_path / "lookalikes.py"))
    lookalikes.main(str(wheel))
    assert lzma.decompress((tmp_path / lookalikes.TABLE).read_bytes()).decode() == "а\ta\n"
