"""A server of our own on a temporary folder, for measurements and for tests that kill it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from loadtest.tied import tied

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0

UNBOUND: Final[dict[str, str]] = {
    "rate_account_per_s": "1000",
    "rate_account_burst": "1000000",
    "rate_room_per_s": "1000",
    "rate_room_burst": "1000000",
    "rate_address_per_s": "1000",
    "rate_address_burst": "10000000",
    "repeat_interval_s": "0",
    "frames_per_s": "100000",
    "frames_burst": "100000",
    "joins_per_s": "10000",
    "joins_burst": "100000",
    "connections_per_address": "20000",
    "connections_per_account": "20000",
    "http_connections_max": "100000",
    "http_connections_per_address": "100000",
    "drain_s": "0.2",
    "log_level": "warning",
}
"""Settings under which the limits for honest people do not bind: a few accounts and addresses stand for a whole crowd."""

_LISTENING: Final = re.compile(r"Barrage listening on (http://\S+:(\d+))")


class LocalServer:
    """One server process after the other on the same data folder and port. Use as a context manager, or start and stop by hand.

    ``cpu`` pins it to one core (None: not pinned). ``settings`` become environment variables; those of this process do not
    reach it. ``entry`` are the interpreter's arguments before ``serve``. It is asked to end when the thread that started it ends.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cpu: int | None = None,
        settings: Mapping[str, str] | None = None,
        entry: Sequence[str] = ("-m", "server"),
    ) -> None:
        self.data_dir = folder / "data"
        self.output = folder / "server.log"
        self.url = ""
        self.port = 0  # the first start takes a free one
        self._cpu = cpu
        self._settings = dict(settings or {})
        self._entry = tuple(entry)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0  # bytes of output that earlier processes wrote

    @property
    def pid(self) -> int:
        """Id of the running process. Raises RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def start(self) -> None:
        """Start a process and wait until it listens. Raises RuntimeError with the end of its output when it does not."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start a process, and do not wait for it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BARRAGE_")}
        environment.update({f"BARRAGE_{name.upper()}": value for name, value in self._settings.items()})
        environment["PYTHONUNBUFFERED"] = "1"
        command = [sys.executable, *self._entry, "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.output.open("ab") as output:
            self._seen = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and our own arguments
                tied([*command, "--data", str(self.data_dir), "--demo"]),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
                cwd=Path(__file__).parents[1],
            )  # fmt: skip
        if self._cpu is not None:
            os.sched_setaffinity(self._process.pid, {self._cpu})

    def wait(self) -> None:
        """Wait until the process listens. Raises RuntimeError with the end of its output when it does not."""
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self._process is not None:
            match = _LISTENING.search(self.output.read_bytes()[self._seen :].decode(errors="replace"))
            if match:
                self.url, self.port = match[1], int(match[2])
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.output.read_text(errors='replace')[-2000:]}")

    def stop(self) -> int:
        """Ask it to end, and wait; returns its exit status. One that does not end is killed."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL
        self._process = None
        return status

    def kill(self) -> None:
        """End it at once, as a power cut does to a process: nothing of its own is run any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
