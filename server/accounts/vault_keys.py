"""The keys of the vault: key-encryption keys and peppers, each in several versions, kept outside the database.

They stand in one small JSON document, either in a file (setting ``vault_keys_file``; ``vault.keys`` of the data folder, made at
first use, where nothing else is set) or in an environment variable (named by ``vault_keys_env``) that a secrets manager fills::

    {"keks": ["BASE64", ...], "peppers": ["BASE64", ...]}

The last of each list is the current one; the others go on to read what was written under them. A version is named after its key
(a part of its SHA-256), so that another key under an old name, say from the wrong backup, is found out rather than used.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog

from server.errors import BarrageError, ConfigError
from server.settings import Settings

KEY_BYTES: Final = 32
FILE_NAME: Final = "vault.keys"
NO_ACCESS_FOR_OTHERS: Final = 0o077

log = structlog.get_logger("vault")


class VaultError(BarrageError):
    """Something of the vault cannot be read: a key is missing, or data were changed. Holds no personal value."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keks: Annotated[list[str], msgspec.Meta(min_length=1, max_length=64)]
    peppers: Annotated[list[str], msgspec.Meta(min_length=1, max_length=64)]


class _Keys(msgspec.Struct, frozen=True):
    """What a document holds, oldest first. ``text`` is the document itself, by which a change is seen."""

    text: bytes
    keks: dict[str, bytes]
    peppers: dict[int, bytes]


def new_key() -> str:
    """A new key as it stands in the document."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def new_document() -> bytes:
    """A document with one key-encryption key and one pepper."""
    return _encode([new_key()], [new_key()])


def kek_name(key: bytes) -> str:
    """The name of a key-encryption key: 16 hexadecimal digits."""
    return hashlib.sha256(b"barrage key-encryption key\0" + key).hexdigest()[:16]


def pepper_number(key: bytes) -> int:
    """The number of a pepper: 48 bits."""
    return int.from_bytes(hashlib.sha256(b"barrage pepper\0" + key).digest()[:6], "big")


class VaultKeys:
    """The keys in force. Used from any thread: the keys are exchanged by one assignment.

    A command may change the file while the server runs, so the file is looked at whenever the newest version is wanted, and read
    again when it was replaced: nothing is written under a version that was given up. Keys of the environment change by a restart.
    """

    def __init__(self, read: Callable[[], bytes], path: Path | None = None) -> None:
        """``read`` gives the document; ``path`` is its file, None where it is not ours to write. Raises ConfigError."""
        self._read = read
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys = _parse(read())

    @classmethod
    def open(cls, settings: Settings, environment: Callable[[str], str | None] = os.environ.get) -> VaultKeys:
        """Read the keys, making those of the data folder at first use. Raises ConfigError (which never holds a key)."""
        if settings.vault_keys_env:
            name = settings.vault_keys_env
            return cls(lambda: _from_environment(name, environment))
        path = settings.vault_keys_file or settings.data_dir / FILE_NAME
        if settings.vault_keys_file is None and not path.exists():
            _create(path, new_document())
        return cls(lambda: _from_file(path), path)

    @property
    def kek(self) -> str:
        """The name of the current key-encryption key."""
        return next(reversed(self._newest().keks))

    @property
    def pepper(self) -> int:
        """The number of the current pepper."""
        return next(reversed(self._newest().peppers))

    @property
    def keks(self) -> tuple[str, ...]:
        """Names of all key-encryption keys, oldest first."""
        return tuple(self._newest().keks)

    @property
    def peppers(self) -> tuple[int, ...]:
        """Numbers of all peppers, oldest first."""
        return tuple(self._newest().peppers)

    def kek_bytes(self, name: str) -> bytes:
        """A key-encryption key. Raises VaultError when it is not there."""
        if name not in self._keys.keks:
            self.reload()
        try:
            return self._keys.keks[name]
        except KeyError:
            raise VaultError(f"key-encryption key {name} is missing; put it back into the vault's keys") from None

    def pepper_bytes(self, number: int) -> bytes:
        """A pepper. Raises VaultError when it is not there."""
        if number not in self._keys.peppers:
            self.reload()
        try:
            return self._keys.peppers[number]
        except KeyError:
            raise VaultError(f"pepper {number} is missing; put it back into the vault's keys") from None

    def _newest(self) -> _Keys:
        if self._path is not None:
            with contextlib.suppress(OSError):  # whoever needs another key than those in memory will say so
                found = self._path.stat()
                seen = found.st_ino, found.st_mtime_ns
                if seen != self._seen:
                    self._seen = seen
                    self.reload()
        return self._keys

    def reload(self) -> None:
        """Read the document again; one that cannot be used leaves the keys as they are, and is logged."""
        try:
            data = self._read()
            if data != self._keys.text:
                self._keys = _parse(data)
        except ConfigError as error:
            log.warning("the vault's keys cannot be read again; the old ones stay in force", error=str(error))

    # -- for commands

    def add_kek(self) -> str:
        """Add a key-encryption key to the file and make it the current one; its name. Rewrap keys afterwards
        (:meth:`server.accounts.vault.Vault.rotate`). Raises ConfigError where the keys are not in a file."""
        document = self._document()
        self._write([*document.keks, new_key()], document.peppers)
        return self.kek

    def add_pepper(self) -> int:
        """Add a pepper to the file and make it the current one; its number. Raises ConfigError."""
        document = self._document()
        self._write(document.keks, [*document.peppers, new_key()])
        return self.pepper

    def drop(self, keks: Sequence[str] = (), peppers: Sequence[int] = ()) -> None:
        """Remove old versions from the file for good: what was written under them cannot be read any more, in no backup either.
        Raises ConfigError, ValueError for a current one."""
        if self.kek in keks or self.pepper in peppers:
            raise ValueError("the current version cannot be dropped")
        document = self._document()
        self._write(
            [text for text in document.keks if kek_name(_key(text)) not in keks],
            [text for text in document.peppers if pepper_number(_key(text)) not in peppers],
        )

    def _document(self) -> _Document:
        if self._path is None:
            raise ConfigError(
                "The vault's keys come from the environment: add or remove them there, the newest last in its list. "
                "A new one: openssl rand -base64 32"
            )
        self.reload()
        return _decode(self._keys.text)

    def _write(self, keks: list[str], peppers: list[str]) -> None:
        assert self._path is not None
        text = _encode(keks, peppers)
        keys = _parse(text)
        try:
            draft = _draft(self._path, text)
            try:
                os.replace(draft, self._path)
            finally:
                draft.unlink(missing_ok=True)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written ({error.strerror}).") from None
        self._keys = keys


def _encode(keks: list[str], peppers: list[str]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_Document(keks, peppers)), indent=1) + b"\n"


def _decode(text: bytes) -> _Document:
    try:
        return msgspec.json.decode(text, type=_Document)
    except msgspec.DecodeError:
        raise ConfigError('The vault\'s keys are not of the form {"keks": [...], "peppers": [...]}.') from None


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"The vault's keys: each key is {KEY_BYTES} bytes in base64 (openssl rand -base64 {KEY_BYTES}).")
    return key


def _parse(text: bytes) -> _Keys:
    document = _decode(text)
    keks = [_key(each) for each in document.keks]
    peppers = [_key(each) for each in document.peppers]
    if len({*keks, *peppers}) != len(keks) + len(peppers):
        raise ConfigError("The vault's keys: the same key stands there twice.")
    return _Keys(text, {kek_name(key): key for key in keks}, {pepper_number(key): key for key in peppers})


def _from_environment(name: str, environment: Callable[[str], str | None]) -> bytes:
    found = environment(name)
    if not found:
        raise ConfigError(f"vault_keys_env: the environment variable {name} is not set.")
    return found.encode("utf-8", "replace")


def _from_file(path: Path) -> bytes:
    try:
        if path.stat().st_mode & NO_ACCESS_FOR_OTHERS:
            raise ConfigError(f"{path} can be read by other users. Run: chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"vault_keys_file: {path} cannot be read ({error.strerror}).") from None


def _create(path: Path, text: bytes) -> None:
    """Put a new file in place, whole and durable; where another process was first, its file stays."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path, text)
        try:
            os.link(draft, path)
            _sync_folder(path.parent)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made ({error.strerror}).") from None


def _draft(path: Path, text: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a key that is lost in a crash takes with it whatever was written under it."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
