"""server/documents.py (whether the documents are up to date is in tests/test_docs.py)"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.documents import BLOCKS, DOCS, fill, made, write
from server.errors import CLOSES, CODES
from server.reasons import REASONS
from server.settings import document


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_a_block_is_a_table(name: str) -> None:
    """Each block is a Markdown table whose rows have the cells of its head."""
    head, line, *rows = BLOCKS[name]().splitlines()
    cells = head.count(" | ")
    assert line == "|" + " --- |" * (cells + 1)
    assert rows
    assert all(row.replace("\\|", "").count(" | ") == cells for row in rows)


@pytest.mark.parametrize(("name", "count"), [("codes", len(CODES)), ("closes", len(CLOSES)), ("reasons", len(REASONS))])
def test_a_table_of_the_program_is_shown_whole(name: str, count: int) -> None:
    """Nothing of a table is left out."""
    assert len(BLOCKS[name]().splitlines()) == count + 2


def test_blocks_are_filled_and_the_rest_is_left() -> None:
    """What stands between the marks is replaced, what stands outside is kept, and filling again changes nothing."""
    text = (
        "before\n<!-- exits:begin -->\nstale\n<!-- exits:end -->\nbetween\n<!-- closes:begin -->\n<!-- closes:end -->\nafter\n"
    )
    filled = fill(text)
    assert filled.startswith("before\n<!-- exits:begin -->\n| exit code |")
    assert "stale" not in filled
    assert "\n<!-- exits:end -->\nbetween\n<!-- closes:begin -->\n| code |" in filled
    assert filled.endswith("<!-- closes:end -->\nafter\n")
    assert fill(filled) == filled


def test_a_block_that_nothing_makes_is_an_error() -> None:
    """A misspelt mark does not pass unseen."""
    with pytest.raises(KeyError):
        fill("<!-- nothing:begin -->\n<!-- nothing:end -->")


def test_settings_are_made_as_a_whole(tmp_path: Path) -> None:
    """``settings.md`` is the settings' own document."""
    assert made(tmp_path / "settings.md") == document()


def test_a_folder_is_brought_up_to_date(tmp_path: Path) -> None:
    """A damaged copy of the documents is whole again; running the module as a program changes nothing of good ones."""
    copy = tmp_path / "docs"
    shutil.copytree(DOCS, copy)
    operating = copy / "operating.md"
    operating.write_text(operating.read_text().replace("| exit code |", "| nonsense |"))
    (copy / "settings.md").write_text("")
    write(copy)
    before = {path.name: path.read_text() for path in DOCS.glob("*.md")}
    assert {path.name: path.read_text() for path in copy.glob("*.md")} == {name: fill(text) for name, text in before.items()}
    subprocess.run([sys.executable, "-m", "server.documents"], cwd=DOCS.parent, check=True, timeout=60)
    assert {path.name: path.read_text() for path in DOCS.glob("*.md")} == before
