"""The file of setting ``verification_file``: the SMS gateway and the services that verify identities, with their secrets.

Each part is optional; a method whose part is missing is not offered::

    [sms]
    url = "https://sms.example/send"
    headers = { Authorization = "Bearer ..." }
    body = { to = "{phone}", template = { code = "{code}" } }
    expect = { Code = "OK" }            # what a good answer's JSON has, if the status alone does not say

    [id_number]
    url = "https://identity.example/match"
    secret = "..."                      # at least 32 characters

    [network_identity]
    url = "https://identity.example/network"
    secret = "..."
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

from server.errors import ConfigError

_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_Timeout = Annotated[float, msgspec.Meta(gt=0, le=30)]
_Concurrency = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class SmsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An SMS gateway. ``{phone}`` (with +), ``{number}`` (without the country, for Chinese ones), ``{code}`` and ``{minutes}`` are
    filled in, in the texts of ``body`` at any depth."""

    url: str
    body: dict[str, Any]
    headers: dict[str, str] = {}
    expect: dict[str, str] = {}
    timeout_s: _Timeout = 5.0
    concurrency: _Concurrency = 16

    def __repr__(self) -> str:
        return "SmsConfig(...)"


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A verification service; ``secret`` signs questions and answers."""

    url: str
    secret: Annotated[str, msgspec.Meta(min_length=32)]
    timeout_s: _Timeout = 5.0
    concurrency: _Concurrency = 16

    def __repr__(self) -> str:
        return "ServiceConfig(...)"


class VerificationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; None: not offered."""

    sms: SmsConfig | None = None
    id_number: ServiceConfig | None = None
    network_identity: ServiceConfig | None = None


def load(path: Path | None) -> VerificationConfig:
    """Read the file; without one nothing is configured. Raises ConfigError, which holds nothing of the file but names of fields."""
    if path is None:
        return VerificationConfig()
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"verification_file: {path} can be read by other users. Run: chmod 600 {path}")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"verification_file: {path} cannot be read ({error.strerror}).") from None
    try:
        config = msgspec.toml.decode(content, type=VerificationConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # A message of the validation names fields and types; one of the parser could show a line.
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "not valid TOML"
        raise ConfigError(f"verification_file: {path}: {reason}") from None
    for part in ("sms", "id_number", "network_identity"):
        service = getattr(config, part)
        if service is not None and not _is_safe(service.url):
            raise ConfigError(f"verification_file: {path}: {part}.url must begin with https:// (http:// on this machine only)")
    return config


def _is_safe(url: str) -> bool:
    """Names, numbers and tokens go there: never in the clear over a network."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))
    except ValueError:
        return False
