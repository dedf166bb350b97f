"""server/web/assets.py"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.web.assets import STATIC_DIR, Assets


def test_every_file_is_found_by_digest_and_by_name(tmp_path: Path) -> None:
    """An address with the digest is immutable, the plain one is not; both give the bytes and their type."""
    (tmp_path / "a.js").write_bytes(b"export {}")
    (tmp_path / "notes.txt").write_bytes(b"not served")
    assets = Assets(tmp_path)
    found = assets.find(assets.url("a.js").removeprefix("/assets/"))
    assert found is not None
    assert (found.asset.body, found.asset.content_type, found.immutable) == (
        b"export {}",
        "text/javascript; charset=utf-8",
        True,
    )
    plain = assets.find("a.js")
    assert plain is not None
    assert (plain.asset, plain.immutable) == (found.asset, False)
    assert assets.find("notes.txt") is None


def test_any_change_changes_all_addresses(tmp_path: Path) -> None:
    """Modules import one another by relative address: a change of one gives all a new digest, and old addresses still answer."""
    (tmp_path / "a.js").write_bytes(b"1")
    (tmp_path / "b.js").write_bytes(b"1")
    before = Assets(tmp_path)
    (tmp_path / "b.js").write_bytes(b"2")
    after = Assets(tmp_path)
    assert before.url("a.js") != after.url("a.js")
    old = after.find(f"{before.digest}/a.js")
    assert old is not None
    assert not old.immutable


@pytest.mark.parametrize("path", ["", "x.js", "../views.py", "a/b/site.css", "/site.css/"])
def test_nothing_else_is_found(path: str) -> None:
    """Paths that name no file of ours find nothing."""
    assert Assets().find(path) is None


def test_an_address_needs_a_file() -> None:
    """A template cannot link a file that does not exist."""
    with pytest.raises(KeyError):
        Assets().url("nope.css")


def test_modules_import_only_modules_that_are_served() -> None:
    """Every import of the shipped modules is relative and leads to a shipped module."""
    for path in STATIC_DIR.glob("*.js"):
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        for target in re.findall(r'(?:from|import)\s+"([^"]+)"', code):
            assert target.startswith("./"), path
            assert (STATIC_DIR / target).is_file(), path
