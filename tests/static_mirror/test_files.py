"""Whole files replaced, and errors in plain sentences."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from static_mirror import files
from static_mirror.files import MirrorError


def test_replace_file_puts_new_bytes_under_a_new_inode(tmp_path: Path) -> None:
    """The old file is replaced whole, never written into, and the status is that of the new one."""
    path = tmp_path / "0.html"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        status = files.replace_file(path, b"new and longer")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new and longer"
    assert (status.st_ino, status.st_size) == (path.stat().st_ino, 14)
    assert stat.S_IMODE(status.st_mode) & 0o444 == 0o444 & ~_umask()
    assert os.listdir(tmp_path) == ["0.html"]


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def test_replace_file_takes_over_what_a_crash_left(tmp_path: Path) -> None:
    """A longer temporary file of an earlier attempt does not show through."""
    (tmp_path / ".0.html.tmp").write_bytes(b"x" * 1000)
    files.replace_file(tmp_path / "0.html", b"short")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"0.html": b"short"}


def test_replace_file_follows_no_link(tmp_path: Path) -> None:
    """A link in place of the temporary file is an error, so nothing outside the folder is written."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (tmp_path / ".0.html.tmp").symlink_to(outside)
    with pytest.raises(MirrorError, match="Cannot write"):
        files.replace_file(tmp_path / "0.html", b"x")
    assert outside.read_bytes() == b"mine"


def test_a_failed_replacement_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """When the new file cannot get its name, no temporary file stays behind."""
    path = tmp_path / "0.html"
    path.mkdir()
    with pytest.raises(MirrorError, match=r"Cannot write .*0\.html"):
        files.replace_file(path, b"x")
    assert os.listdir(tmp_path) == ["0.html"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full. Free space on it"),
        (errno.EROFS, "read-only. Mount it writable"),
        (errno.EISDIR, "a folder stands in the place of a file. Move it away"),
        (errno.ENOTDIR, "a file stands in the place of a folder. Move it away"),
        (errno.EACCES, "write access to the pages folder"),
        (errno.EMFILE, "LimitNOFILE"),
        (errno.EIO, "disk errors"),
        (errno.ELOOP, "Too many levels of symbolic links. See the system log"),
    ],
)
def test_errors_say_what_to_do(number: int, advice: str) -> None:
    """Each error names the file, what is wrong and what helps."""
    text = str(files.explain(OSError(number, os.strerror(number)), Path("/srv/0.html")))
    assert text.startswith("Cannot write /srv/0.html: ")
    assert advice in text


def test_make_folder(tmp_path: Path) -> None:
    """Folders are made with their parents, and again without harm; a file in the way is an error."""
    folder = tmp_path / "a" / "b"
    files.make_folder(folder)
    files.make_folder(folder)
    assert folder.is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MirrorError, match="Cannot write"):
        files.make_folder(tmp_path / "file" / "b")


def test_reading(tmp_path: Path) -> None:
    """A tail is the last bytes with the file's size; what cannot be read is empty, links, folders and pipes are not read."""
    path = tmp_path / "0.html"
    path.write_bytes(b"0123456789")
    assert files.read_tail(path, 4) == (b"6789", 10)
    assert files.read_tail(path, 40) == (b"0123456789", 10)
    assert files.read_file(path) == b"0123456789"
    (tmp_path / "link").symlink_to(path)
    for name in ("link", "missing"):
        assert files.read_tail(tmp_path / name, 4) == (b"", 0)
        assert files.read_file(tmp_path / name) is None
    assert files.read_tail(tmp_path, 4) == (b"", 0)
    assert files.read_file(tmp_path) is None
    os.mkfifo(tmp_path / "pipe")
    assert files.read_tail(tmp_path / "pipe", 4) == (b"", 0)
    assert not files.read_file(tmp_path / "pipe")
