"""server/signing.py"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from server import signing
from server.errors import ConfigError
from server.signing import SigningKey


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """A second opening gives the same key."""
    path = tmp_path / "keys" / "signing.key"
    first, second = SigningKey.open(path), SigningKey.open(path)
    assert first.public == second.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["signing.key"]
    assert first.jwk()["kid"] == signing.fingerprint(first.public)
    assert signing.data_of(first.jwk()["x"]) == first.public


def test_a_signature_holds_for_its_key_and_data_alone(tmp_path: Path) -> None:
    """Not for other data, another key, or bytes that are no key."""
    key, other = SigningKey.open(tmp_path / "a"), SigningKey.open(tmp_path / "b")
    signed = key.sign(b"data")
    assert signing.verifies(key.public, signed, b"data")
    assert not signing.verifies(key.public, signed, b"Data")
    assert not signing.verifies(other.public, signed, b"data")
    assert not signing.verifies(b"short", signed, b"data")


def test_a_key_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """Damaged, of another kind, readable by others, or not to be read at all."""
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no key")
    damaged.chmod(0o600)
    opened = tmp_path / "opened"
    SigningKey.open(opened)
    opened.chmod(0o644)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    for path, said in ((damaged, "damaged"), (opened, "chmod 600"), (folder, "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            SigningKey.open(path)
    with pytest.raises(ValueError, match="base64url"):
        signing.data_of("é")
    with pytest.raises(ValueError, match="base64url"):
        signing.data_of("a")
