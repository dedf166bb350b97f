"""Server processes that do not have to read every module again: they are forked from one that has.

A start of ``python -m server`` takes two seconds of a processor's time, nearly all of it for modules and tables. A worker of the
tests keeps one process that has read them, does nothing else and has a single thread; each server is a fork of it that runs the
same command line in the same way, with standard streams, environment and folder of its own. What a start from nothing does is for
tests/server/test_main.py, and for runs that count covered lines, which start each process anew.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
_POLL_S: Final = 0.005
_READ_BEFORE: Final = (
    "server.__main__",
    "server.app",
    "alembic.command",
    "alembic.ddl.sqlite",
    "sqlalchemy.dialects.sqlite.pysqlite",
)
"""Modules that a server reads before it listens. No thread and no connection may come of reading them."""


class Child:
    """A forked process, as ``subprocess.Popen`` shows one: whoever asked for it waits for it."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or the negative number of the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(_POLL_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that forks, of one worker of the tests; it ends with the worker."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, question: Mapping[str, Any]) -> Any:
        """One question, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], out: Path, err: Path, entry: str) -> Child:
        """See :func:`start`."""
        question = {"entry": entry, "run": [*arguments], "environment": {**environment}, "out": str(out), "err": str(err)}
        return Child(self, self.ask(question))

    def close(self) -> None:
        """End it; what it forked goes on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@functools.cache
def nursery() -> Nursery:
    """That of this worker, made when it is first wanted."""
    made = Nursery()
    atexit.register(made.close)
    return made


def start(
    arguments: Sequence[str], environment: Mapping[str, str], out: Path, err: Path, entry: str = "server.__main__"
) -> Child | subprocess.Popen[bytes]:
    """Run ``barrage`` (or the function ``main`` of another module) in a process of its own: forked, or begun from nothing where
    covered lines are counted. ``out`` and ``err`` are files that its output is added to; they are there at the return."""
    with out.open("ab") as standard, err.open("ab") as errors:
        if not any(name.startswith("COVERAGE_PROCESS") for name in environment):
            return nursery().start(arguments, environment, out, err, entry)
        command = [sys.executable, "-m", entry, *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=standard, stderr=errors
        )


def run(arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run ``barrage`` to its end. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        code = start(arguments, environment, out, err).wait(timeout_s)
        return subprocess.CompletedProcess([*arguments], code, out.read_text(), err.read_text())


# -- in the process that forks -----------------------------------------------------------------------------------------


def _serve() -> None:
    """Answer questions until the worker goes. Returns, or raises SystemExit, in a fork when its command has ended."""
    for name in _READ_BEFORE:
        importlib.import_module(name)
    from server.settings import Settings
    from server.web.assets import Assets
    from server.web.views import Views

    Views(Settings(), Assets())  # compiles the templates, once for all forks
    gc.freeze()  # forks share these objects, and need not look through them
    ended: dict[int, int] = {}
    while line := sys.stdin.readline():
        question = json.loads(line)
        if "poll" in question:
            answer = _poll(question["poll"], ended)
        else:
            answer = os.fork()
            if not answer:
                _become(question)
                return
        print(json.dumps(answer), flush=True)


def _poll(pid: int, ended: dict[int, int]) -> int | None:
    if pid not in ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended[pid] = os.waitstatus_to_exitcode(status)
    return ended.get(pid)


def _become(question: dict[str, Any]) -> None:
    """In a fork: be ``python -m ENTRY`` with these arguments."""
    streams = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(question["out"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666),
        os.open(question["err"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666),
    )
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(question["environment"])
    time.tzset()
    sys.argv = ["barrage", *question["run"]]
    importlib.import_module(question["entry"]).main()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the worker, which then closes the pipe
        _serve()
