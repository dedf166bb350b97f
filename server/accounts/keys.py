"""Keys that tokens are signed with: secret files of our own, and public key sets (JWKS) of a host platform.

The algorithm that a key may verify follows from the key's type alone (:data:`ALGORITHMS`), never from the token; so a public
key cannot be passed off as an HMAC secret. Symmetric keys are taken from secret files only, never from a key set.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from server.errors import ConfigError

SECRET_MIN_BYTES: Final = 32
RSA_MIN_BITS: Final = 2048
JWKS_MAX_BYTES: Final = 256 * 1024
JWKS_MAX_KEYS: Final = 64
REFRESH_GAP_S: Final = 10.0
"""Least time between two readings of a key set, however many tokens name unknown keys."""
FETCH_TIMEOUT_S: Final = 5.0

_log = structlog.get_logger("barrage.keys")


class VerifyKey(NamedTuple):
    """A key with its id (empty: none) and the values of a token's ``alg`` that it verifies."""

    kid: str
    algorithms: frozenset[str]
    key: Key


def secret_key(secret: bytes) -> VerifyKey:
    """The key of a secret: HS256 and nothing else."""
    return VerifyKey("", frozenset({"HS256"}), OctKey.import_key(secret))


def read_secret(path: Path) -> bytes:
    """The secret in a file that the operator gave, without surrounding white space. Raises ConfigError."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"token_secret_file: {path} cannot be read ({error.strerror}).") from None
    if len(secret) < SECRET_MIN_BYTES:
        raise ConfigError(f"token_secret_file: {path} has {len(secret)} bytes. Accepted: at least {SECRET_MIN_BYTES}.")
    return secret


def read_or_create_secret(path: Path) -> bytes:
    """The secret in a file of the data folder; made at first use, readable by its owner only.

    Two processes that start together end with the same secret: the file appears whole, by a link that fails when another
    was first. Raises ConfigError when it cannot be read or made, or when others may read it.
    """
    try:
        if not path.exists():
            _create_secret(path)
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by other users. Run: chmod 600 {path}")
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read or made ({error.strerror}).") from None
    if len(secret) < SECRET_MIN_BYTES:
        raise ConfigError(
            f"{path} is damaged. Restore it from a backup, or delete it: a new one makes its tokens and ids anew."
        )
    return secret


def _create_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------------------------
# Key sets


def parse_jwks(data: bytes) -> tuple[VerifyKey, ...]:
    """The usable signature keys of a key set: RSA from 2048 bits (RS256), P-256 (ES256), Ed25519 (EdDSA).

    Other keys are passed over, since platforms publish keys of many uses in one set. Raises ValueError when the set cannot
    be understood or has no usable key.
    """
    if len(data) > JWKS_MAX_BYTES:
        raise ValueError(f"larger than {JWKS_MAX_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > JWKS_MAX_KEYS:
        raise ValueError(f"not a key set of at most {JWKS_MAX_KEYS} keys")
    keys = tuple(key for entry in entries if (key := _public_key(entry)) is not None)
    if not keys:
        raise ValueError("no usable key (RSA from 2048 bits, P-256 or Ed25519, for signatures)")
    return keys


def _public_key(entry: Any) -> VerifyKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        algorithms, key = _import_public(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if key is None or not algorithms & {entry.get("alg", next(iter(algorithms), ""))}:
        return None
    kid = entry.get("kid", "")
    return VerifyKey(kid, algorithms, key) if isinstance(kid, str) else None


def _import_public(entry: dict[str, Any]) -> tuple[frozenset[str], Key | None]:
    match entry.get("kty"), entry.get("crv"):
        case "RSA", _ if len(entry["n"]) * 6 >= RSA_MIN_BITS:  # before the library warns of a weak key
            rsa = RSAKey.import_key(entry)
            return frozenset({"RS256"}), rsa if rsa.public_key.key_size >= RSA_MIN_BITS else None
        case "EC", "P-256":
            return frozenset({"ES256"}), ECKey.import_key(entry)
        case "OKP", "Ed25519":
            # RFC 9864 names the curve itself as algorithm; most platforms still write EdDSA.
            return frozenset({"EdDSA", "Ed25519"}), OKPKey.import_key(entry)
        case _:
            return frozenset(), None


def fetch_jwks(url: str) -> bytes:
    """Read a key set over HTTP: no redirects, bounded in size and time. Blocking. Raises OSError or httpx.HTTPError."""
    with httpx.Client(timeout=FETCH_TIMEOUT_S, follow_redirects=False) as client, client.stream("GET", url) as answer:
        answer.raise_for_status()
        data = bytearray()
        for piece in answer.iter_bytes():
            data += piece
            if len(data) > JWKS_MAX_BYTES:
                raise OSError("the answer is too large")
        return bytes(data)


class KeyRing:
    """The keys of a host platform's set, read again from time to time and when a token names an unknown key.

    Owned by the event loop; only ``read`` runs in a thread. The last good set stays in force when a reading fails.
    ``generation`` counts the sets: whoever caches by key compares it.
    """

    def __init__(self, read: Callable[[], bytes], refresh_s: float) -> None:
        self._read = read
        self._refresh_s = refresh_s
        self._keys: tuple[VerifyKey, ...] = ()
        self._wanted = asyncio.Event()
        self._data = b""
        self._may_ask = True
        self.generation = 0

    @property
    def loaded(self) -> bool:
        """Whether a set was ever read."""
        return bool(self._keys)

    def find(self, algorithm: str, kid: str) -> list[VerifyKey]:
        """Keys that may have signed a token with this header."""
        return [key for key in self._keys if algorithm in key.algorithms and (not kid or not key.kid or key.kid == kid)]

    def ask(self) -> bool:
        """A token names an unknown key: read the set again soon. False when that was just done, so the key is not there."""
        if self._may_ask:
            self._wanted.set()
        return self._may_ask

    def load(self, data: bytes) -> None:
        """Put a set in force. Raises ValueError when it cannot be understood; the old one then stays."""
        if data != self._data:
            self._keys = parse_jwks(data)
            self._data = data
            self.generation += 1

    async def run(self) -> None:
        """Keep the set fresh until cancelled; a failed reading is logged and tried again."""
        while True:
            self._wanted.clear()
            self._may_ask = False
            try:
                self.load(await asyncio.to_thread(self._read))
            except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                _log.warning("key_set_unreadable", error=f"{type(error).__name__}: {error}", kept=len(self._keys))
            await asyncio.sleep(min(REFRESH_GAP_S, self._refresh_s))
            self._may_ask = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._refresh_s - REFRESH_GAP_S, 0)):
                    await self._wanted.wait()
