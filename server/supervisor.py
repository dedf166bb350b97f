"""What systemd is told where it started the server and asks for it (``Type=notify``): ready, still alive, stopping.

The protocol is sd_notify(3): datagrams to the socket that ``NOTIFY_SOCKET`` names. Whoever starts the server otherwise sees nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
_ALIVE: Final = "WATCHDOG=1"


class Supervisor:
    """The way to who started this process; without one nothing is sent. Never raises and never waits."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        here = str(os.getpid())
        patience = environment.get("WATCHDOG_USEC", "") if environment.get("WATCHDOG_PID", here) == here else ""
        self._beat_s = int(patience) / 2e6 if patience.isdecimal() else 0.0

    def tell(self, state: str) -> None:
        """Send one state. A supervisor that does not listen any more is not missed."""
        if self._address:
            with (
                contextlib.suppress(OSError),
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender,
            ):
                sender.sendto(state.encode(), self._address)

    async def run(self) -> None:
        """Until cancelled: say that the event loop turns, twice within the time in which a supervisor wants to hear it; returns at
        once where none does."""
        while self._address and self._beat_s:
            self.tell(_ALIVE)
            await asyncio.sleep(self._beat_s)
