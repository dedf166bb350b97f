"""A peer's process: started on a core of its own, awaited, and ended by its id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from loadtest.tied import tied

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 10.0


class StartError(Exception):
    """The process ended, or did not listen in time; the text has the end of what it wrote."""


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class PeerProcess:
    """One server. A context manager: it listens inside, and has ended after.

    ``command`` starts it and keeps it in the foreground; it listens on ``port`` of the loopback address. ``cpu`` pins it and all
    that it starts to one core (None: not pinned). What it writes goes to ``folder``. It ends with whoever started it.
    """

    def __init__(self, command: Sequence[str], port: int, folder: Path, cpu: int | None = None) -> None:
        self.port = port
        self.output = folder / "output.log"
        self._command = list(command)
        self._cpu = cpu
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Id of the process. Raises RuntimeError when it was not started."""
        if self._process is None:
            raise RuntimeError("the peer does not run")
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        try:
            self._launch()
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        # A child begins with its parent's cores, so that every thread of its runtime has them from the first moment.
        own = os.sched_getaffinity(0)
        if self._cpu is not None:
            os.sched_setaffinity(0, {self._cpu})
        # A request to end this process waits until the child is known; otherwise nobody would end the child.
        asked: list[int] = []
        handler = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
        try:
            with self.output.open("wb") as output:
                self._process = subprocess.Popen(  # noqa: S603 -- the commands of the catalogue
                    tied(self._command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        finally:
            os.sched_setaffinity(0, own)
            signal.signal(signal.SIGTERM, handler)
            if asked:
                signal.raise_signal(signal.SIGTERM)

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        said = self.output.read_text(errors="replace").strip()[-2000:]
        raise StartError(f"{self._command[0]} does not listen: {said or 'it wrote nothing'}")

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
