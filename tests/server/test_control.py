"""server/control.py"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server import __version__
from server.control import DATABASES, DataFolderBusy, DataFolderError, DataLock, check_user, find_server, local_url

NOW_MS = 1_790_000_000_000


@contextmanager
def holder(data_dir: Path, announce: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from server.control import DataLock; "
        f"lock = DataLock(Path(sys.argv[1])); {'lock.announce(sys.argv[2], 7);' if announce else ''} "
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir), "http://127.0.0.1:1"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_one_process_holds_the_folder(tmp_path: Path) -> None:
    """A second process is refused with the first one's address and process, at once where it does not want to wait."""
    with holder(tmp_path, announce=True) as process:
        started = time.monotonic()
        with pytest.raises(DataFolderBusy, match=rf"in use by the server at http://127.0.0.1:1 \(process {process.pid}\)"):
            DataLock(tmp_path, wait_s=0)
        assert time.monotonic() - started < 0.5


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """After kill -9 the folder is free, and what the dead server said of itself is gone."""
    with holder(tmp_path, announce=True) as process:
        assert find_server(tmp_path) is not None
        process.kill()
        process.wait()
        assert find_server(tmp_path) is None
        with DataLock(tmp_path, wait_s=0):
            assert not (tmp_path / "server.json").exists()


def test_a_running_server_is_found(tmp_path: Path) -> None:
    """While it holds the folder and has announced itself, its address, process, version and start are known."""
    with DataLock(tmp_path / "new" / "data") as lock:
        lock.announce("http://127.0.0.1:8080", NOW_MS)
        server = find_server(tmp_path / "new" / "data")
        assert server is not None
        assert (server.url, server.pid, server.version, server.started_ms) == (
            "http://127.0.0.1:8080",
            os.getpid(),
            __version__,
            NOW_MS,
        )
    assert find_server(tmp_path / "new" / "data") is None
    assert sorted(item.name for item in (tmp_path / "new" / "data").iterdir()) == ["lock"]


def test_a_holder_that_does_not_listen_is_told(tmp_path: Path) -> None:
    """A server that starts, or a command at work, is neither a server to talk to nor nobody."""
    with holder(tmp_path):
        for _ in range(2):
            with pytest.raises(DataFolderBusy, match="starts, ends or runs a command"):
                find_server(tmp_path)
        (tmp_path / "server.json").write_text("{")
        with pytest.raises(DataFolderBusy, match="starts, ends or runs a command"):
            find_server(tmp_path)


def test_looking_does_not_keep_a_server_from_starting(tmp_path: Path) -> None:
    """A server that starts while another process looks waits for the moment that this takes."""
    DataLock(tmp_path).release()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            try:
                find_server(tmp_path)
            except DataFolderBusy:
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        with DataLock(tmp_path):
            thread.join(60)
            assert not thread.is_alive()
    finally:
        stop.set()


def test_a_folder_that_was_never_used_has_no_server(tmp_path: Path) -> None:
    """Without a lock file there is no server, and looking leaves nothing behind."""
    assert find_server(tmp_path / "none") is None
    assert find_server(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The error names the folder, the reason and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataFolderError, match=r"cannot be written \(.*\)\. Give it to this user, or choose another with --data"
    ):
        DataLock(tmp_path / "file" / "data")


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Looking into a place that is no folder says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="cannot be read"):
        find_server(tmp_path / "file")


def test_a_folder_whose_record_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """A folder in the place of the record stops the start, and the lock is given back."""
    (tmp_path / "server.json").mkdir()
    for _ in range(2):
        with pytest.raises(DataFolderError, match="cannot be locked"):
            DataLock(tmp_path, wait_s=0)
    (tmp_path / "server.json").rmdir()
    DataLock(tmp_path, wait_s=0).release()


def test_the_lock_is_given_back_once(tmp_path: Path) -> None:
    """Releasing twice does nothing twice: the file that got the number meanwhile stays open."""
    lock = DataLock(tmp_path)
    lock.release()
    file = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)
    lock.release()
    os.fstat(file)
    os.close(file)
    DataLock(tmp_path, wait_s=0).release()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("", "http://127.0.0.1:80"),
        ("barrage.example", "http://barrage.example:80"),
    ],
)
def test_the_address_for_this_machine(host: str, url: str) -> None:
    """A server that listens on all addresses is reached by the loopback one."""
    assert local_url(host, 80) == url


def test_a_full_folder_is_named_when_the_server_announces_itself(tmp_path: Path) -> None:
    """The start ends with a sentence, not with a traceback."""
    with DataLock(tmp_path) as lock:
        (tmp_path / ".server.json").mkdir()
        with pytest.raises(DataFolderError, match="cannot be written"):
            lock.announce("http://127.0.0.1:8080", NOW_MS)


SOMEBODY = 54_321


def given_away(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder's log belongs to somebody else, and root is at work."""
    log = data_dir / "barrage.db"
    log.touch(mode=0o600)
    if os.geteuid() == 0:
        os.chown(log, SOMEBODY, SOMEBODY)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_root_keeps_out_of_the_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that root left in it the server could not write: the folder is not held, and the sentence names the user to be."""
    given_away(tmp_path, monkeypatch)
    with pytest.raises(DataFolderError, match=r"barrage\.db belongs to .*, and this runs as root\. Run it as .* \(sudo -u '"):
        DataLock(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["barrage.db"]
    check_user(tmp_path, root=True)  # what only asks a running server


def test_before_there_are_databases_the_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was made for the server's user is not begun by root; without a folder there is nothing to check."""
    check_user(tmp_path / "later")
    check_user(tmp_path)
    if os.geteuid() == 0:
        os.chown(tmp_path, SOMEBODY, SOMEBODY)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(DataFolderError, match="belongs to"):
        check_user(tmp_path)
    for name in DATABASES:
        (tmp_path / name).touch(mode=0o600)
    if os.geteuid() == 0:
        check_user(tmp_path)  # such as a folder that is mounted into a container: its files are ours
    os.chmod(tmp_path, 0o700)


def test_who_cannot_write_the_databases_is_told_whose_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user than root who has no access gets the same sentence, also where nothing would be written; who was given access
    may go on."""
    given_away(tmp_path, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY + 1)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(DataFolderError, match=rf"and this runs as #{SOMEBODY + 1}"):
        check_user(tmp_path, root=True)
    monkeypatch.setattr(os, "access", lambda *_, **__: True)
    check_user(tmp_path)


def test_databases_that_others_could_read_are_closed_to_them(tmp_path: Path) -> None:
    """A copy that was put back from a backup keeps no wider mode than the server gives."""
    for name in DATABASES[:2]:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    with DataLock(tmp_path):
        assert [(tmp_path / name).stat().st_mode & 0o777 for name in DATABASES[:2]] == [0o600, 0o600]
