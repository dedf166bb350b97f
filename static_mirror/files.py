"""The disk: whole files replaced so that a crash leaves the old one or the new one, and errors told in plain sentences."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from static_mirror.layout import temporary_name

_ADVICE: Final = {
    errno.ENOSPC: "the disk is full. Free space on it",
    errno.EDQUOT: "the disk quota is used up. Raise it or free space",
    errno.EROFS: "the file system is read-only. Mount it writable, and look for disk errors in the system log",
    errno.EACCES: "permission is denied. Give the server's user write access to the pages folder",
    errno.EPERM: "the operation is not permitted. Give the server's user write access to the pages folder",
    errno.EMFILE: "the process has too many open files. Raise its limit (LimitNOFILE, ulimit -n)",
    errno.ENFILE: "the system has too many open files. Raise fs.file-max",
    errno.EIO: "the disk failed to write. Look for disk errors in the system log",
    errno.ENOENT: "a folder was removed while the server runs",
    errno.EISDIR: "a folder stands in the place of a file. Move it away",
    errno.ENOTDIR: "a file stands in the place of a folder. Move it away",
}

# Nothing that stands in a page's place by mistake is followed (a link) or waited for (a pipe).
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class MirrorError(Exception):
    """A page is not as it should be on disk, or could not be written.

    The text is a sentence for the operator. After it nothing is assumed about the room's open page: nothing more is
    appended to it until it was made again from the log (``rebuild.repair``).
    """


def explain(error: OSError, path: str | Path) -> MirrorError:
    """An error of the operating system as one that says what to do."""
    advice = _ADVICE.get(error.errno or 0, f"{error.strerror or error}. See the system log")
    return MirrorError(f"Cannot write {path}: {advice}; the pages are made whole again from the log when it works.")


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however many calls it takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def replace_file(path: Path, data: bytes) -> os.stat_result:
    """Put ``data`` at ``path`` and make it durable; return the new file's status. Raises MirrorError.

    Crash windows: before the rename the old file stands and a temporary file is left over (cleaned by ``rebuild``); after
    it the new one stands, which a loss of power can undo until the folder is synced, so this returns only after that.
    """
    temporary = path.with_name(temporary_name(path.name))
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data)
            os.fsync(fd)
            status = os.fstat(fd)
        finally:
            os.close(fd)
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise explain(error, path) from error
    return status


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, durably. Raises MirrorError."""
    if folder.is_dir():
        return
    made = [folder, *(parent for parent in folder.parents if not parent.exists())]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in made:
            sync_folder(entry.parent)
    except OSError as error:
        raise explain(error, folder) from error


def read_tail(path: Path, limit: int) -> tuple[bytes, int]:
    """The last ``limit`` bytes of a file (all, when it has fewer) and its size; ``(b"", 0)`` when it cannot be read."""
    try:
        fd = os.open(path, _READ)
    except OSError:
        return b"", 0
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, limit, max(0, size - limit)), size
    except OSError:
        return b"", 0
    finally:
        os.close(fd)


def read_file(path: Path) -> bytes | None:
    """A whole file; None when it cannot be read. Pages are at most some hundred kilobytes."""
    try:
        fd = os.open(path, _READ)
    except OSError:
        return None
    try:
        chunks = []
        while chunk := os.read(fd, 1 << 20):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return None
    finally:
        os.close(fd)
