"""Starting and ending a peer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.peers import process as module
from loadtest.peers.process import PeerProcess, StartError, free_port

LISTEN = """
import signal, socket, sys, time
if sys.argv[2:]: signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""


def gone(pid: int) -> bool:
    """No such process."""
    return not Path(f"/proc/{pid}").exists()


def test_it_listens_inside_and_has_ended_after(tmp_path: Path) -> None:
    """The peer runs on its core while the context is entered; the starter keeps its own cores."""
    port, before = free_port(), os.sched_getaffinity(0)
    core = max(before)
    with PeerProcess([sys.executable, "-c", LISTEN, str(port)], port, tmp_path, cpu=core) as peer:
        pid = peer.pid
        socket.create_connection(("127.0.0.1", port)).close()
        assert os.sched_getaffinity(pid) == {core}
        assert peer.url == f"http://127.0.0.1:{port}"
    assert gone(pid)
    assert os.sched_getaffinity(0) == before
    with pytest.raises(RuntimeError):
        _ = peer.pid
    peer.stop()


def test_one_that_ends_says_what_it_wrote(tmp_path: Path) -> None:
    """A peer that does not start is an error with the end of its output."""
    peer = PeerProcess([sys.executable, "-c", "raise SystemExit('out of order')"], free_port(), tmp_path)
    with pytest.raises(StartError, match="out of order"), peer:
        pass


def test_one_that_does_not_listen_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that runs without listening does not stay."""
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.3)
    peer = PeerProcess([sys.executable, "-c", "import time; time.sleep(60)"], free_port(), tmp_path)
    with pytest.raises(StartError, match="it wrote nothing"), peer:
        pass
    with pytest.raises(RuntimeError):
        _ = peer.pid


def test_one_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that ignores the request to end is ended all the same."""
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.2)
    port = free_port()
    with PeerProcess([sys.executable, "-c", LISTEN, str(port), "stubborn"], port, tmp_path) as peer:
        pid = peer.pid
    assert gone(pid)


def test_a_request_to_end_waits_for_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while the peer is being launched is heard once the peer is known, and the peer is ended."""
    port, pids = free_port(), []
    launch = subprocess.Popen

    def disturbed(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = launch(*arguments, **options)
        pids.append(process.pid)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", disturbed)
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with pytest.raises(SystemExit), PeerProcess([sys.executable, "-c", LISTEN, str(port)], port, tmp_path):
            pass
    finally:
        signal.signal(signal.SIGTERM, before)
    assert gone(pids[0])
