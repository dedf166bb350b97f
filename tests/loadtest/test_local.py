"""A server of our own, here a small script in its place."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import local
from loadtest.local import LocalServer

SCRIPT = """
import os, signal, sys, time
print(sys.argv[1:], {name: value for name, value in os.environ.items() if name.startswith("BARRAGE")})
behaviour = sys.argv[1]
if behaviour == "fails":
    sys.exit("no, I will not")
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour != "silent":
    print("Barrage listening on http://127.0.0.1:4321")
time.sleep(30)
"""


def server(folder: Path, behaviour: str = "serves", cpu: int | None = None) -> LocalServer:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return LocalServer(folder, cpu=cpu, settings={"tick_ms": "20"}, entry=(str(script), behaviour))


def test_life_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started with its settings and nothing of ours, pinned, found where it listens, and stopped in order."""
    monkeypatch.setenv("BARRAGE_KILL_ROUNDS", "4")
    core = min(os.sched_getaffinity(0))
    with server(tmp_path, cpu=core) as running:
        assert (running.url, running.port) == ("http://127.0.0.1:4321", 4321)
        assert os.sched_getaffinity(running.pid) == {core}
        output = running.output.read_text()
        assert "{'BARRAGE_TICK_MS': '20'}" in output
        assert f"'--port', '0', '--data', '{tmp_path / 'data'}', '--demo'" in output
        assert running.stop() == -signal.SIGTERM
    assert running.stop() == 0
    with pytest.raises(RuntimeError, match="does not run"):
        _ = running.pid


def test_next_start_on_the_same_port(tmp_path: Path) -> None:
    """After a kill the next process takes the port of the first, so that clients can come back."""
    running = server(tmp_path)
    running.start()
    running.kill()
    running.start()
    running.kill()
    assert "'--port', '4321'" in running.output.read_text()


def test_a_server_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends, or never listens, is an error with what it said."""
    with pytest.raises(RuntimeError, match="no, I will not"):
        server(tmp_path, "fails").start()
    monkeypatch.setattr(local, "START_TIMEOUT_S", 0.3)
    with pytest.raises(RuntimeError, match="did not start"):
        server(tmp_path, "silent").start()


def test_a_server_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ignores the signal is killed."""
    monkeypatch.setattr(local, "STOP_TIMEOUT_S", 0.2)
    running = server(tmp_path, "stubborn")
    running.start()
    assert running.stop() == -signal.SIGKILL


PARENT = """
import os, sys
from pathlib import Path
from loadtest.local import LocalServer
folder = Path(sys.argv[1])
running = LocalServer(folder, entry=(str(folder / "script.py"), "serves"))
running.start()
print(running.pid, flush=True)
sys.stdin.read()
"""


def test_a_server_ends_with_who_started_it(tmp_path: Path) -> None:
    """Whoever started it may be killed and stop nothing any more: the server does not stay behind."""
    (tmp_path / "script.py").write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(local.__file__).parents[1],
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        left = os.pidfd_open(int(parent.stdout.readline()))
        try:
            assert select.select([left], [], [], 0)[0] == []
            parent.kill()
            assert select.select([left], [], [], 10)[0] == [left], "the server outlived who started it"
        finally:
            os.close(left)
