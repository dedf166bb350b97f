"""The file of gateway and services: read strictly, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.accounts.verify import config
from server.errors import ConfigError

SECRET = "s" * 32
GOOD = f"""
[sms]
url = "https://sms.example/send"
headers = {{ Authorization = "Bearer hidden" }}
body = {{ to = "{{phone}}" }}
[id_number]
url = "http://127.0.0.1:9/match"
secret = "{SECRET}"
"""


def _write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "verification.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_parts_that_are_missing_are_not_offered(tmp_path: Path) -> None:
    """Without a file nothing is configured; with one, what stands in it. Secrets show in no representation."""
    assert config.load(None) == config.VerificationConfig()
    found = config.load(_write(tmp_path, GOOD))
    assert found.sms is not None
    assert found.sms.body == {"to": "{phone}"}
    assert found.id_number is not None
    assert found.network_identity is None
    assert "hidden" not in repr(found)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sms", "not valid TOML"),
        (f'secret = "{SECRET}', "not valid TOML"),
        ("[other]", "other"),
        ('[id_number]\nurl = "https://x.example"\nsecret = "short"', "secret"),
        (f'[id_number]\nurl = "http://x.example"\nsecret = "{SECRET}"', "id_number.url"),
        (f'[network_identity]\nurl = "https://["\nsecret = "{SECRET}"', "network_identity.url"),
        ('[sms]\nurl = "ftp://localhost"\nbody = {}', "sms.url"),
        ('[sms]\nurl = "https://x.example"\nbody = {}\ntimeout_s = 0', "timeout_s"),
    ],
)
def test_mistakes_are_named_without_values(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong stops the start with the name of the field; no secret is in the message."""
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(_write(tmp_path, text))
    assert SECRET not in str(caught.value)


def test_the_file_must_be_there_and_private(tmp_path: Path) -> None:
    """A file that others can read, or that is missing, is refused."""
    with pytest.raises(ConfigError, match="chmod 600"):
        config.load(_write(tmp_path, GOOD, 0o644))
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "none.toml")
