"""server/preflight.py"""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, get_args

import msgspec
import pytest

from server.preflight import cautions, problems
from server.settings import Settings

FILES = [field.name for field in msgspec.structs.fields(Settings) if set(get_args(get_args(field.type)[0])) == {Path, NoneType}]
"""Settings that name a file or a folder which somebody else made."""


def test_good_settings_have_no_problems(tmp_path: Path) -> None:
    """The defaults have none, and nothing is made in the data folder, nor the folder itself."""
    assert problems(Settings(data_dir=tmp_path / "data")) == []
    assert list(tmp_path.iterdir()) == []


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    """Whatever file a setting names is looked for: one sentence for each that is not there, with the setting's name."""
    missing = {name: tmp_path / name for name in FILES}
    second = {
        name: missing.pop(name) for name in ("token_jwks_file", "region_file_v6")
    }  # after another file of the same reader
    for names in (missing, second):
        found = problems(msgspec.structs.replace(Settings(data_dir=tmp_path), **names))
        assert len(found) == len(names)
        for name, path in names.items():
            assert any(name in line and str(path) in line for line in found), (name, found)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"vault_keys_env": "BARRAGE_TEST_NO_SUCH"}, "BARRAGE_TEST_NO_SUCH is not set"),
        ({"assessed_features": ("telepathy",)}, "telepathy is not accepted"),
    ],
)
def test_what_is_no_file_is_checked_too(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Keys in the environment, and names of features."""
    (line,) = problems(Settings(data_dir=tmp_path, **settings))
    assert words in line


def test_files_are_read_as_a_start_reads_them(tmp_path: Path) -> None:
    """A file that is there and is not what it should be is a problem too."""
    rules = tmp_path / "rules.toml"
    rules.write_text("not rules")
    client = tmp_path / "oidc.toml"
    client.write_text(
        '[providers.x]\nname = "X"\nissuer = "https://id.example"\nclient_id = "c"\nclient_secret_file = "/nowhere/secret"\n'
    )
    found = problems(Settings(data_dir=tmp_path, rules_file=rules, oidc_file=client))
    assert len(found) == 2
    assert found[0].startswith(f"rules_file {rules}: ")
    assert "client_secret_file of 'x' cannot be read" in found[1]


def test_a_public_site_is_told_what_it_lacks(tmp_path: Path) -> None:
    """Each by the name of its setting; a demo needs none of it, and who has set them hears nothing."""
    bare = Settings(data_dir=tmp_path)
    assert [line.partition(" ")[0] for line in cautions(bare)] == ["public_url", "privacy_contact"]
    assert cautions(msgspec.structs.replace(bare, demo=True)) == []
    assert cautions(msgspec.structs.replace(bare, public_url="https://site.example", privacy_contact="mail@site.example")) == []
