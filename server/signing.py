"""The site's own signature: an Ed25519 key of the data folder, its public half for everybody, and the check of what it signed.

Bundles of inspections are signed with it (:mod:`server.moderation.bundle`). The public half is published by the running server and
printed by ``barrage inspection key``; whoever gets a bundle should have it by such a way, not from the bundle itself.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from server.errors import ConfigError

KEY_FILE: Final = "signing.key"
PUBLIC_BYTES: Final = 32


class SigningKey:
    """The secret half. Safe to use in any thread."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: Final = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        """The public half, 32 bytes."""

    @classmethod
    def open(cls, path: Path) -> SigningKey:
        """The key in a file, made at first use and readable by its owner only. Raises ConfigError.

        Two processes that start together end with the same key: the file appears whole, by a link that fails when another was first.
        """
        try:
            if not path.exists():
                _create(path)
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"{path} can be read by other users. Run: chmod 600 {path}")
            key: Any = load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read or made ({error.strerror}).") from None
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(
                f"{path} is damaged, or no Ed25519 key. Restore it from a backup: with another key old bundles fail."
            )
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(data)

    def jwk(self) -> dict[str, Any]:
        """The public half as a JSON Web Key; ``kid`` is its fingerprint."""
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": fingerprint(self.public),
            "x": text(self.public),
        }


def verifies(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the signature is that of this key over the data."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public: bytes) -> str:
    """What people compare: the first 160 bits of the key's SHA-256, in hexadecimal, in groups."""
    digest = hashlib.sha256(public).hexdigest()[:40]
    return "-".join(digest[at : at + 8] for at in range(0, 40, 8))


def text(data: bytes) -> str:
    """Bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data_of(given: str) -> bytes:
    """The bytes of :func:`text`. Raises ValueError."""
    try:
        return base64.b64decode(given.encode("ascii") + b"=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("not base64url") from None


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
