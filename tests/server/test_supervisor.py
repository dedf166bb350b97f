"""server/supervisor.py"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.supervisor import READY, STOPPING, Supervisor


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """A supervisor's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(10)
        yield found


def test_states_arrive_as_datagrams(listener: socket.socket) -> None:
    """Each state is one datagram in the words of sd_notify(3)."""
    supervisor = Supervisor({"NOTIFY_SOCKET": listener.getsockname()})
    supervisor.tell(READY)
    supervisor.tell(STOPPING)
    assert [listener.recv(100), listener.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_an_abstract_socket_is_found() -> None:
    """An address that begins with @ is no file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0barrage-test-{os.getpid()}")
        listener.settimeout(10)
        Supervisor({"NOTIFY_SOCKET": f"@barrage-test-{os.getpid()}"}).tell(READY)
        assert listener.recv(100) == b"READY=1"


async def test_it_is_told_that_the_loop_turns(listener: socket.socket) -> None:
    """Where a watchdog asks, twice within its time, until the task is cancelled."""
    supervisor = Supervisor(
        {"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())}
    )
    beating = asyncio.create_task(supervisor.run())
    for _ in range(3):
        assert await asyncio.to_thread(listener.recv, 100) == b"WATCHDOG=1"
    assert not beating.done()
    beating.cancel()


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "10"}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "10", "WATCHDOG_PID": "1"}],
)
async def test_without_one_nothing_happens(environment: dict[str, str]) -> None:
    """No supervisor, one that is gone, or a watchdog for another process: nothing is sent, raised or waited for."""
    supervisor = Supervisor(environment)
    supervisor.tell(READY)
    await supervisor.run()
