"""The data folder: one process at a time, and how the command line finds the server that holds it.

Whether a server runs is told by the lock alone (``DATA/lock``, held by flock, so that a killed process holds nothing).
``DATA/server.json`` only says where it listens; it is meaningful while the lock is held, and a new holder removes what a killed
one left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from server import __version__
from server.errors import ConfigError

LOCK_WAIT_S: Final = 1.0
_PROBE_GAP_S: Final = 0.02


class DataFolderError(ConfigError):
    """The data folder cannot be used; the text says why and what to do."""


class DataFolderBusy(DataFolderError):
    """Another process holds the data folder."""


DATABASES: Final = ("barrage.db", "accounts.db", "review.db")
"""The books of a data folder, the log first."""


def check_user(data_dir: Path, *, root: bool = False) -> None:
    """Who runs this may write the folder's databases or, before there are any, the folder; without a folder nothing is checked.

    Root could write them all, and the server could not touch what root leaves behind: so root is refused in the folder of another
    user, unless ``root`` says that nothing will be written. Raises DataFolderError, which names the user to be.
    """
    try:
        found = {path: path.stat().st_uid for path in map(data_dir.joinpath, DATABASES) if path.exists()}
        found = found or {data_dir: data_dir.stat().st_uid}
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        raise DataFolderError(
            f"data folder {data_dir} cannot be read ({error.strerror}). Run this as the server's user."
        ) from None
    here = os.geteuid()
    for path, owner in found.items():
        allowed = root if here == 0 else os.access(path, os.R_OK | os.W_OK, effective_ids=True)
        if owner != here and not allowed:
            name = _user(owner)
            raise DataFolderError(
                f"{path} belongs to {name}, and this runs as {_user(here)}. Run it as {name} (sudo -u '{name}' ...), or give the"
                " whole folder to one user (chown -R)."
            )


def _user(number: int) -> str:
    """A user as sudo and chown take it."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


class RunningServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server that holds the data folder listens. ``url`` is for this machine, without a path."""

    url: str
    pid: int
    version: str
    started_ms: int


class DataLock:
    """The exclusive hold of a data folder, from construction to :meth:`release` or the end of the process.

    ``wait_s``: how long to wait for a holder that is only looking (:func:`find_server`) or just going away. Databases that others
    could read, such as copies of a backup, are closed to them. Raises DataFolderError when the folder cannot be made or written or
    is another user's, DataFolderBusy when another process holds it.
    """

    def __init__(self, data_dir: Path, wait_s: float = LOCK_WAIT_S) -> None:
        self._record = data_dir / "server.json"
        check_user(data_dir)
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._file = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataFolderError(
                f"data folder {data_dir} cannot be written ({error.strerror}). "
                "Give it to this user, or choose another with --data or BARRAGE_DATA_DIR."
            ) from None
        try:
            self._hold(data_dir, time.monotonic() + wait_s)
            self._record.unlink(missing_ok=True)
            _close_to_others(data_dir)
        except OSError as error:
            os.close(self._file)
            raise DataFolderError(f"data folder {data_dir} cannot be locked ({error.strerror}).") from None
        except DataFolderBusy:
            os.close(self._file)
            raise

    def _hold(self, data_dir: Path, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DataFolderBusy(_busy(data_dir, self._record)) from None
                time.sleep(_PROBE_GAP_S)
            else:
                return

    def announce(self, url: str, now_ms: int) -> None:
        """Tell the command line where this server listens; to be called once it does. Raises DataFolderError."""
        record = RunningServer(url=url, pid=os.getpid(), version=__version__, started_ms=now_ms)
        draft = self._record.with_name(".server.json")
        try:
            draft.write_bytes(msgspec.json.encode(record))
            draft.replace(self._record)
        except OSError as error:
            raise DataFolderError(
                f"data folder {self._record.parent} cannot be written ({error.strerror}). Free space on its disk, or give it to"
                " this user."
            ) from None

    def release(self) -> None:
        """Give the folder back; idempotent."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                self._record.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def _close_to_others(data_dir: Path) -> None:
    """Source addresses stand in the databases. A file of another user, or on a disk that takes no changes, stays as it is."""
    for path in map(data_dir.joinpath, DATABASES):
        with contextlib.suppress(OSError):
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)


def find_server(data_dir: Path) -> RunningServer | None:
    """The server that holds the data folder, or None when nobody does.

    Raises DataFolderBusy when it is held by a process that does not listen: a server that starts or ends, or a command.
    """
    try:
        file = os.open(data_dir / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataFolderError(f"data folder {data_dir} cannot be read ({error.strerror}).") from None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        server = _read_record(data_dir / "server.json")
        if server is None:
            raise DataFolderBusy(_busy(data_dir, data_dir / "server.json")) from None
        return server
    else:
        return None
    finally:
        os.close(file)


def local_url(host: str, port: int) -> str:
    """The address by which this machine reaches a server that listens on ``host`` and ``port``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 -- compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _read_record(path: Path) -> RunningServer | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunningServer)
    except (OSError, msgspec.DecodeError):
        return None


def _busy(data_dir: Path, record: Path) -> str:
    server = _read_record(record)
    if server is None:
        return (
            f"data folder {data_dir} is in use by another process that starts, ends or runs a command. Try again in a moment."
        )
    return f"data folder {data_dir} is in use by the server at {server.url} (process {server.pid}). Stop that one first."
