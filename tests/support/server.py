"""A real server in a process of its own: for tests that kill it, end it, read its logs or drive browsers at it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from server.accounts.identity import Tokens
from server.settings import PREFIX, load
from tests.support import nursery
from tests.support.waiting import PATIENCE_S

ROOT: Final = Path(__file__).parents[2]
_LISTENING: Final = re.compile(r"^Barrage listening on http://127\.0\.0\.1:(\d+)\s*$", re.MULTILINE)
_POLL_S: Final = 0.01


class ServerFailed(AssertionError):
    """The process ended, or did not listen in time; the text holds what it wrote."""


class ServerProcess:
    """``python -m server serve`` over ``data``, started by :meth:`start` or by entering the context, killed at its end.

    It is a process of its own, born by :mod:`tests.support.nursery`.
    ``settings`` become environment variables (``{"tick_ms": 20}`` is ``BARRAGE_TICK_MS=20``; none of the caller's pass through).
    ``port`` is 0 until the first start takes a free one; later starts use that again, so that clients can come back.
    Output goes to files beside ``data``, so that no pipe can fill; :meth:`logs` has all starts of this object.
    """

    def __init__(self, data: Path, *, settings: Mapping[str, object] | None = None, demo: bool = True, port: int = 0) -> None:
        self.data = data
        self.port = port
        self._demo = demo
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._env.update({PREFIX + name.upper(): _text(value) for name, value in (settings or {}).items()})
        self._out = data.with_name(f"{data.name}.stdout")
        self._err = data.with_name(f"{data.name}.stderr")
        self._process: nursery.Child | subprocess.Popen[bytes] | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = PATIENCE_S) -> Self:
        """Start, and return when the server listens. Raises ServerFailed."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        seen = self._out.stat().st_size if self._out.exists() else 0
        arguments = ["serve", "--port", str(self.port), "--data", str(self.data), *(["--demo"] if self._demo else [])]
        self._process = nursery.start(arguments, self._env, self._out, self._err)
        deadline = time.monotonic() + timeout_s
        while True:
            found = _LISTENING.search(self._out.read_bytes()[seen:].decode())
            if found is not None:
                self.port = int(found[1])
                return self
            if self._process.poll() is not None:
                raise ServerFailed(f"exit code {self._process.returncode}\n{self.output()}{self.logs()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"not listening after {timeout_s} s\n{self.output()}{self.logs()}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """SIGKILL, and wait for the end; nothing happens when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self, timeout_s: float = PATIENCE_S) -> int:
        """SIGTERM, and wait for the end; returns the exit code. Raises subprocess.TimeoutExpired, after killing it."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, and do not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the end; returns the exit code (negative: the signal). Raises subprocess.TimeoutExpired, after killing it."""
        assert self._process is not None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    # -- looking at it ------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """The process has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    def ws_url(self, room: str = "demo", token: str = "") -> str:
        """Address that joins ``room`` at once, signed in where a token is given."""
        return f"ws://127.0.0.1:{self.port}/ws?room={room}" + (f"&token={token}" if token else "")

    def token(self, subject: str = "alice", nickname: str = "小明", *, ttl_s: int = 3600, verified: bool = True) -> str:
        """A token that this server accepts, made with the secret of its data folder."""
        tokens = Tokens.open(load({}, None, {"data_dir": str(self.data)}))
        return tokens.issue(subject, nickname, ttl_s, verified=verified)

    def output(self) -> str:
        """What it wrote on standard output, in all its starts."""
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    def logs(self) -> str:
        """What it wrote on standard error, in all its starts."""
        return self._err.read_text(errors="replace") if self._err.exists() else ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value)
