"""Mounts for tests of full and read-only disks: undone at the end, whatever happened."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_BUSY_TRIES = 60


class Mounts:
    """File systems laid over folders. ``over`` are the folders with one, in the order of mounting."""

    def __init__(self) -> None:
        self.over: list[Path] = []

    def tmpfs(self, folder: Path, size_kib: int) -> None:
        """Lay an empty file system of this size over a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "barrage-test", str(folder))
        self.over.append(folder)

    def read_only(self, folder: Path) -> None:
        """Make a folder read-only for everything that is opened from now on: lay a read-only view of it over itself."""
        _run("mount", "--bind", str(folder), str(folder))
        self.over.append(folder)
        for attempt in range(_BUSY_TRIES):
            try:
                _run("mount", "-o", "remount,ro,bind", str(folder))
            except OSError as error:
                if "busy" not in str(error) or attempt == _BUSY_TRIES - 1:
                    raise
                time.sleep(0.05)  # the server has a file open for writing at this moment: it looks whether it can write again
            else:
                return

    def undo(self) -> None:
        """Take the newest mount away; who has files of it open keeps them."""
        _run("umount", "--lazy", str(self.over.pop()))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    """Mounts that end with the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes the rights of root")
    made = Mounts()
    try:
        made.tmpfs(tmp_path / "trial", 64)
    except OSError as error:
        pytest.skip(f"mounting is not permitted here ({error})")
    made.undo()
    try:
        yield made
    finally:
        while made.over:
            made.undo()
