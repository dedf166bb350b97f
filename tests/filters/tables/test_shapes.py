"""Tests of filters.tables.shapes."""

from __future__ import annotations

from pathlib import Path

from filters import tables
from filters.tables.shapes import MAX_SHAPES, make, write


def test_the_table_is_what_the_others_make(tmp_path: Path) -> None:
    """The table that is kept is the one that the other tables give now."""
    made = make()
    assert tables.pairs("shapes") == made
    assert max(map(len, made.values())) == MAX_SHAPES
    write(tmp_path)
    assert (tmp_path / "shapes.tsv.xz").stat().st_size > 1_000
