"""Faults of the disk and of hands: each is noticed, told in a sentence, and gone when the pages were made again."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from static_mirror import Mirror, MirrorError, repair, seal
from static_mirror.verify import verify
from tests.static_mirror.logs import ROOM, TITLE, Log, folder_of, page_path, snapshot, started


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Writing beyond ``size`` bytes of a file is cut short, then fails: what a full disk or quota does, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for a few pages. Needs the right to mount."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def check_whole_again(mirror: Mirror, root: Path, log: Log) -> None:
    """After the fault, one repair makes the pages whole and appending goes on."""
    repair(mirror, ROOM, TITLE, log.head, log.read)
    mirror.append(ROOM, log.comment(2))
    report = verify(folder_of(root))
    assert (report.rows, report.problems) == (log.head, [])


def _remove(path: Path) -> None:
    path.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_suffix(".bak"))


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def _lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"<p>by hand")


def _replace(path: Path) -> None:
    data = path.read_bytes()
    path.rename(path.with_suffix(".bak"))
    path.write_bytes(data)


def _remove_folder(path: Path) -> None:
    for entry in path.parent.iterdir():
        entry.unlink()
    path.parent.rmdir()


@pytest.mark.parametrize("held", [True, False], ids=["descriptor held", "descriptor closed"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_remove, "was removed while the server runs"),
        (_move, "was removed while the server runs"),
        (_cut, "bytes where"),
        (_lengthen, "bytes where"),
        (_replace, "was replaced while the server runs"),
        (_remove_folder, "was removed while the server runs"),
    ],
)
def test_an_open_page_touched_by_hand_is_noticed(tmp_path: Path, damage: Callable[[Path], None], told: str, held: bool) -> None:
    """Whatever was done to the open page, the next append fails before a row is written to a file that nobody reads."""
    log = Log(20)
    mirror = started(tmp_path, log, max_open=1)
    mirror.append(ROOM, log.comment(1))
    if not held:
        repair(mirror, "other", "", 0, log.read)
        mirror.append("other", log.events[:1])
    damage(page_path(tmp_path, 0))
    rows = log.comment(3)
    with pytest.raises(MirrorError, match=told):
        mirror.append(ROOM, rows)
    assert all(b"text 22<" not in data for path, data in snapshot(tmp_path).items())
    with pytest.raises(MirrorError, match="in doubt"):
        mirror.append(ROOM, rows)
    check_whole_again(mirror, tmp_path, log)


def test_a_page_in_the_way_of_the_next_one(tmp_path: Path) -> None:
    """When the page to be begun exists already, nothing is appended to it; the repair puts it right."""
    log = Log(250)
    mirror = started(tmp_path, log)
    page_path(tmp_path, 1).write_bytes(b"by hand")
    log.comment(20)
    with pytest.raises(MirrorError, match=r"1\.html exists"):
        mirror.append(ROOM, log.events[250:])
    check_whole_again(mirror, tmp_path, log)


def test_a_write_that_is_cut_short(tmp_path: Path) -> None:
    """A short write is an error, and readers do not see half a row: the page is cut back to its last whole one."""
    log = Log(5)
    mirror = started(tmp_path, log)
    before = page_path(tmp_path, 0).read_bytes()
    with (
        no_file_longer_than(len(before) + 1000),
        pytest.raises(MirrorError, match=r"took 1000 of \d+ bytes: the disk or a quota"),
    ):
        mirror.append(ROOM, log.comment(50))
    assert page_path(tmp_path, 0).read_bytes() == before
    check_whole_again(mirror, tmp_path, log)


def test_a_write_that_fails(tmp_path: Path) -> None:
    """An error of the write itself is told with the file's name, and so is one while the next page is begun."""
    log = Log(5)
    mirror = started(tmp_path, log)
    with (
        no_file_longer_than(page_path(tmp_path, 0).stat().st_size),
        pytest.raises(MirrorError, match=r"Cannot write .*0\.html"),
    ):
        mirror.append(ROOM, log.comment(1))
    check_whole_again(mirror, tmp_path, log)


def test_a_repair_that_fails_is_done_again(tmp_path: Path) -> None:
    """While the disk has no room a repair fails with the old page in place; afterwards the same call succeeds."""
    log = Log(5)
    mirror = started(tmp_path, log)
    before = snapshot(folder_of(tmp_path))
    log.comment(5)
    with no_file_longer_than(100), pytest.raises(MirrorError, match="Cannot write"):
        repair(mirror, ROOM, TITLE, log.head, log.read)
    assert snapshot(folder_of(tmp_path)) == before
    check_whole_again(mirror, tmp_path, log)


def test_disk_full(small_disk: Path) -> None:
    """With the disk full, appends, seals and repairs fail with a sentence; once there is space again all is made whole."""
    log = Log(200)
    mirror = started(small_disk, log)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * _free(small_disk))
    with pytest.raises(MirrorError, match="full"):
        mirror.append(ROOM, log.comment(50))
    with pytest.raises(MirrorError, match=r"the disk is full\. Free space on it"):
        repair(mirror, ROOM, TITLE, log.head, log.read)
    with pytest.raises(MirrorError, match="the disk is full"):
        seal(mirror, ROOM, [0], Log(256).read)
    assert not list(folder_of(small_disk).glob("*.tmp"))
    ballast.unlink()
    check_whole_again(mirror, small_disk, log)


def test_read_only_disk(small_disk: Path) -> None:
    """A folder that became read-only is told as such; when it is writable again all is made whole."""
    log = Log(100)
    mirror = started(small_disk, log)
    remount(small_disk, "ro")
    with pytest.raises(MirrorError, match=r"the file system is read-only\. Mount it writable"):
        mirror.append(ROOM, log.comment(1))
    with pytest.raises(MirrorError, match="the file system is read-only"):
        repair(mirror, ROOM, TITLE, log.head, log.read)
    remount(small_disk, "rw")
    check_whole_again(mirror, small_disk, log)


def test_a_mirror_on_a_read_only_disk_does_not_start(small_disk: Path) -> None:
    """Its first writing, of the style, says why."""
    remount(small_disk, "ro")
    with pytest.raises(MirrorError, match="the file system is read-only"):
        Mirror(small_disk)


def test_descriptors_used_up(tmp_path: Path) -> None:
    """Without a free descriptor an append fails with advice, and goes on after a repair when there are some again."""
    log = Log(5)
    mirror = started(tmp_path, log)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with pytest.raises(MirrorError, match="too many open files"):
            mirror.append(ROOM, log.comment(1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    check_whole_again(mirror, tmp_path, log)
