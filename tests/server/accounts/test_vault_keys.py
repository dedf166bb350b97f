"""The keys of the vault: where they come from, their versions, their names."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.accounts.vault_keys import VaultError, VaultKeys, kek_name, new_document, new_key, pepper_number
from server.errors import ConfigError
from server.settings import Settings

FIXED = base64.b64encode(bytes(32)).decode()


def _nothing(name: str) -> None:
    raise AssertionError(f"{name} was asked for")


def test_first_use_makes_a_file_for_its_owner_only(tmp_path: Path) -> None:
    """Without a setting, keys are made in the data folder at first use, with mode 0600, and are the same the next time."""
    settings = Settings(data_dir=tmp_path / "data")
    keys = VaultKeys.open(settings, _nothing)
    path = tmp_path / "data" / "vault.keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["vault.keys"]
    again = VaultKeys.open(settings, _nothing)
    assert (again.keks, again.peppers) == (keys.keks, keys.peppers)
    assert again.kek_bytes(again.kek) == keys.kek_bytes(keys.kek)


def test_the_first_of_two_processes_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process has made meanwhile is used, not replaced."""
    path = tmp_path / "vault.keys"
    other = new_document()
    link = os.link

    def late(source: str, target: str) -> None:
        path.write_bytes(other)
        path.chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    assert path.read_bytes() == other


def test_a_named_file_is_never_made(tmp_path: Path) -> None:
    """A key file that the settings name must be there: a new one in its place would make everything unreadable."""
    with pytest.raises(ConfigError, match="cannot be read"):
        VaultKeys.open(Settings(data_dir=tmp_path, vault_keys_file=tmp_path / "secret"), _nothing)
    assert not (tmp_path / "secret").exists()


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Keys that other users can read are no keys; the message says what to run."""
    path = tmp_path / "vault.keys"
    path.write_bytes(new_document())
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        VaultKeys.open(Settings(data_dir=tmp_path), _nothing)


def test_a_folder_that_cannot_be_written_is_a_config_error(tmp_path: Path) -> None:
    """When the file cannot be made the start stops with its name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        VaultKeys.open(Settings(data_dir=tmp_path / "file" / "data"), _nothing)


def test_the_environment_can_hold_the_keys(tmp_path: Path) -> None:
    """A variable that the settings name holds the document, nothing is written, and keys are added there only."""
    document = new_document()
    settings = Settings(data_dir=tmp_path, vault_keys_env="SECRETS")
    keys = VaultKeys.open(settings, lambda name: document.decode() if name == "SECRETS" else None)
    assert keys.kek in keys.keks
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="environment"):
        keys.add_kek()
    with pytest.raises(ConfigError, match="SECRETS is not set"):
        VaultKeys.open(settings, lambda name: None)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        '{"keks": [], "peppers": []}',
        json.dumps({"keks": ["short"], "peppers": [FIXED]}),
        json.dumps({"keks": ["*" * 44], "peppers": [FIXED]}),
        json.dumps({"keks": [FIXED], "peppers": [FIXED], "more": 1}),
    ],
)
def test_damaged_documents_are_refused_without_showing_them(document: str) -> None:
    """Whatever is not two lists of 32-byte keys is refused, and the message holds nothing of it."""
    with pytest.raises(ConfigError, match="vault's keys") as caught:
        VaultKeys(document.encode)
    assert "short" not in str(caught.value)


def test_a_key_must_not_stand_twice() -> None:
    """One key for two purposes, or twice, is a mistake of copying."""
    key = new_key()
    for document in ({"keks": [key], "peppers": [key]}, {"keks": [key, key], "peppers": [new_key()]}):
        with pytest.raises(ConfigError, match="twice"):
            VaultKeys(json.dumps(document).encode)


def test_a_version_is_named_after_its_key() -> None:
    """Another key has another name, so a wrong file cannot pass for the right one; the name does not give the key away."""
    one, other = bytes(32), bytes(31) + b"\1"
    assert kek_name(one) != kek_name(other)
    assert pepper_number(one) != pepper_number(other)
    assert 0 < pepper_number(one) < 2**48
    assert one.hex() not in kek_name(one)


def test_added_versions_become_current_and_the_old_ones_stay(tmp_path: Path) -> None:
    """The newest version is the current one; older ones go on to be known, also to whoever opens the file later."""
    keys = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    first, first_pepper = keys.kek, keys.pepper
    second, second_pepper = keys.add_kek(), keys.add_pepper()
    assert (keys.keks, keys.peppers) == ((first, second), (first_pepper, second_pepper))
    again = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    assert (again.kek, again.pepper) == (second, second_pepper)
    assert again.kek_bytes(first) == keys.kek_bytes(first)
    assert stat.S_IMODE((tmp_path / "vault.keys").stat().st_mode) == 0o600


def test_a_running_server_learns_of_a_new_version(tmp_path: Path) -> None:
    """Keys that a command added are found when they are asked for, without a restart."""
    server = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    command = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    kek, pepper = command.add_kek(), command.add_pepper()
    assert server.kek_bytes(kek) == command.kek_bytes(kek)
    assert server.kek == kek
    assert server.pepper_bytes(pepper) == command.pepper_bytes(pepper)


def test_nothing_is_written_under_a_version_that_was_given_up(tmp_path: Path) -> None:
    """A running server uses the newest version from the moment on that a command has put it there; without the file, what it has."""
    server = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    command = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    assert server.kek == command.kek
    assert (command.add_kek(), command.add_pepper()) == (server.kek, server.pepper)
    command.add_kek()
    assert server.keks == command.keks
    assert server.peppers == command.peppers
    (tmp_path / "vault.keys").unlink()
    assert server.kek == command.kek


def test_unknown_versions_are_vault_errors(tmp_path: Path) -> None:
    """A version that is nowhere is named in the error; an unreadable file leaves the keys in force and is logged."""
    keys = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    kek = keys.kek
    with pytest.raises(VaultError, match="0123456789abcdef"):
        keys.kek_bytes("0123456789abcdef")
    (tmp_path / "vault.keys").write_text("{}")
    with capture_logs() as logs, pytest.raises(VaultError, match="pepper 7"):
        keys.pepper_bytes(7)
    assert logs[0]["log_level"] == "warning"
    assert keys.kek == kek


def test_dropping_removes_old_versions_only(tmp_path: Path) -> None:
    """Old versions leave the file for good; the current ones cannot be dropped."""
    keys = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    first, pepper = keys.kek, keys.pepper
    with pytest.raises(ValueError, match="current"):
        keys.drop([first])
    keys.add_kek()
    keys.add_pepper()
    keys.drop([first], [pepper])
    assert len(keys.keks) == len(keys.peppers) == 1
    with pytest.raises(VaultError):
        keys.kek_bytes(first)
    with pytest.raises(VaultError):
        keys.pepper_bytes(pepper)


def test_a_file_that_cannot_be_written_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a new version cannot be written, the old document and the old keys stay in force."""
    keys = VaultKeys.open(Settings(data_dir=tmp_path), _nothing)
    before = (tmp_path / "vault.keys").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    kek = keys.kek
    with pytest.raises(ConfigError, match="No space left"):
        keys.add_kek()
    assert keys.kek == kek
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [before]
