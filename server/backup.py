"""Copies of a data folder's databases and keys, made while a server works in it or none does.

The books that follow the log are copied before it, so that none of the copies knows more than the copy of the log: what is missing
in a book is read from the log again at the next start (:mod:`server.consequences`, :mod:`server.moderation.intake`).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from server.control import DATABASES, DataFolderError
from server.errors import ConfigError, StoreUnavailable
from server.store.embedded import faults

VAULT_KEYS: Final = "vault.keys"
_FOLDERS: Final = ("rules", "transparency")


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied. ``bytes`` is the size of all; ``vault_keys``: whether the folder has keys that are to be kept apart."""

    path: str
    files: int
    bytes: int
    vault_keys: bool


def make(data_dir: Path, to: Path) -> Backup:
    """Copy the databases, the keys but those of the vault, the rules and the published figures into the new folder ``to``.

    It appears under its name when it is whole, on the disk and every database in it was checked; the caller may read the data
    folder and keeps it from beginning or ending meanwhile. Raises ConfigError when ``to`` is there or cannot be written,
    DataFolderError when there is nothing to copy, StoreUnavailable when a database cannot be read, has no room, or is damaged.
    """
    if to.exists():
        raise ConfigError(f"{to} is there already. Choose another name.")
    if not (data_dir / DATABASES[0]).exists():
        raise DataFolderError(
            f"there is no {DATABASES[0]} in {data_dir}. Name the server's data folder with --data or --config."
        )
    draft = to.with_name(f".{to.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of one that was interrupted
        draft.mkdir(parents=True, mode=0o700)
        try:
            for name in reversed(DATABASES):
                if (data_dir / name).exists():
                    _copy_database(data_dir / name, draft / name)
            for key in sorted(data_dir.glob("*.key")):
                _copy_private(key, draft / key.name)
            for name in _FOLDERS:
                if (data_dir / name).is_dir():
                    shutil.copytree(data_dir / name, draft / name)
            files = [path for path in draft.rglob("*") if path.is_file()]
            for path in [*files, draft]:
                _sync(path)
            size = sum(path.stat().st_size for path in files)
            draft.rename(to)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        _sync(to.parent)
    except OSError as error:
        raise ConfigError(f"{to} cannot be written ({error.strerror}). Name a folder that is not there yet.") from None
    return Backup(path=str(to), files=len(files), bytes=size, vault_keys=(data_dir / VAULT_KEYS).exists())


def _copy_database(source: Path, to: Path) -> None:
    """One moment of a database, as a file that needs no other beside it."""
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with faults(source):
        reading, writing = sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True), sqlite3.connect(to)
        try:
            reading.execute("PRAGMA query_only=ON")
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode=DELETE")
            (found,) = writing.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            writing.close()
            reading.close()
    if found != "ok":
        raise StoreUnavailable(f"{source} is damaged, and so would be the copy ({found}). Restore it from an older backup.")


def _copy_private(source: Path, to: Path) -> None:
    with open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(source.read_bytes())


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
