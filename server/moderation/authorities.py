"""The file of setting ``authorities_file``: whom findings are reported to, and by which way::

    [cyberspace]
    title = "某市互联网信息办公室"
    way = "webhook"                     # or "sftp" or "print"
    acknowledge_h = 24                  # later than this without an acknowledgement is an alarm
    url = "https://reports.example/findings"
    secret = "..."                      # at least 32 characters, of the HMAC

    [police]
    title = "某市公安局网安支队"
    way = "sftp"
    host = "files.example"
    port = 22
    user = "platform"
    folder = "inbox"
    key_file = "/etc/barrage/police.key"    # the private key that signs in
    host_key = "ssh-ed25519 AAAA..."        # the server's own key: no other server is trusted

Without the file there is one authority, ``authority``, whose findings are printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from server.errors import ConfigError

Way = Literal["webhook", "sftp", "print"]
HOUR_MS: Final = 3_600_000
_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NEEDS: Final[dict[Way, tuple[str, ...]]] = {
    "webhook": ("url", "secret"),
    "sftp": ("host", "user", "folder", "key_file", "host_key"),
    "print": (),
}
_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Authority(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One authority; which fields are given depends on the way."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    way: Way
    acknowledge_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 90)] = 24.0
    url: str = ""
    secret: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    host: str = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 22
    user: str = ""
    folder: str = ""
    key_file: str = ""
    host_key: str = ""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 20.0

    @property
    def acknowledge_ms(self) -> int:
        """How long an acknowledgement may take."""
        return round(self.acknowledge_h * HOUR_MS)

    def __repr__(self) -> str:
        return f"Authority({self.title!r}, {self.way!r})"


DEFAULT: Final[Mapping[str, Authority]] = {"authority": Authority(title="主管部门 Competent authority", way="print")}


def load(path: Path | None) -> Mapping[str, Authority]:
    """The authorities by name, in the order of the file. Raises ConfigError, which holds nothing of the file but names of fields."""
    if path is None:
        return DEFAULT
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"authorities_file: {path} can be read by other users. Run: chmod 600 {path}")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"authorities_file: {path} cannot be read ({error.strerror}).") from None
    try:
        found: dict[Any, Authority] = msgspec.toml.decode(content, type=dict[_Name, Authority])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # A message of the validation names fields and types; one of the parser could show a line.
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "not valid TOML"
        raise ConfigError(f"authorities_file: {path}: {reason}") from None
    if not found:
        raise ConfigError(f"authorities_file: {path} names no authority.")
    for name, authority in found.items():
        problem = _problem(authority)
        if problem:
            raise ConfigError(f"authorities_file: {path}: {name}: {problem}")
    return found


def _problem(authority: Authority) -> str:
    missing = [field for field in _NEEDS[authority.way] if not getattr(authority, field)]
    if missing:
        return f"{authority.way} needs {', '.join(missing)}"
    if authority.way == "webhook":
        if len(authority.secret) < 32:
            return "secret: at least 32 characters"
        if not _is_safe(authority.url):
            return "url must begin with https:// (http:// on this machine only)"
    return ""


def _is_safe(url: str) -> bool:
    """What is reported goes there: never in the clear over a network."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))
    except ValueError:
        return False
