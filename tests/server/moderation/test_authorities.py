"""server/moderation/authorities.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from server.errors import ConfigError
from server.moderation.authorities import DEFAULT, HOUR_MS, load

GOOD = """
[cac]
title = "网信办"
way = "webhook"
url = "https://authority.example/findings"
secret = "0123456789abcdef0123456789abcdef"
acknowledge_h = 2

[police]
title = "公安局"
way = "sftp"
host = "files.example"
user = "platform"
folder = "inbox"
key_file = "/etc/barrage/police.key"
host_key = "ssh-ed25519 AAAA"
"""


def write(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "authorities.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_authorities_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    """With how long an acknowledgement may take; a secret shows in no representation."""
    found = load(write(tmp_path, GOOD))
    assert list(found) == ["cac", "police"]
    assert found["cac"].acknowledge_ms == 2 * HOUR_MS
    assert "0123456789abcdef" not in repr(found)


def test_without_a_file_findings_are_printed() -> None:
    """There is one authority then."""
    assert load(None) is DEFAULT
    assert [authority.way for authority in DEFAULT.values()] == ["print"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no authority"),
        ("x", "not valid TOML"),
        ('[a]\ntitle = "t"', "way"),
        ('[A]\ntitle = "t"\nway = "print"', r"\^\[a-z\]"),
        ('[a]\ntitle = "t"\nway = "print"\nmore = 1', "more"),
        ('[a]\ntitle = "t"\nway = "webhook"', "a: webhook needs url, secret"),
        ('[a]\ntitle = "t"\nway = "webhook"\nurl = "https://a.example"\nsecret = "short"', "secret: at least 32"),
        (GOOD.replace("https://", "http://"), "cac: url must begin with https"),
        (GOOD.replace("https://authority.example", "https://[")  , "cac: url must begin with https"),
        (GOOD.replace("files.example", ""), "police: sftp needs host"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_said(tmp_path: Path, text: str, said: str) -> None:
    """By the field; nothing of its secrets."""
    with pytest.raises(ConfigError, match=said) as caught:
        load(write(tmp_path, text))
    assert "0123456789abcdef" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """It holds secrets; one that is not there is said too."""
    with pytest.raises(ConfigError, match="chmod 600"):
        load(write(tmp_path, GOOD, 0o644))
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none")
