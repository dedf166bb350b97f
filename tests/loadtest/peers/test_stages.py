"""One run of a peer: what is delivered, lost, altered, and what it costs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from loadtest.participants import until
from loadtest.peers.catalogue import PEERS, Launch
from loadtest.peers.comparison import measure
from loadtest.peers.dialects import PLAIN, SOCKET_IO
from loadtest.peers.process import PeerProcess, free_port
from loadtest.peers.stages import MeteredStage, PeerStage
from loadtest.plan import Plan
from tests.loadtest.peers.support import FaithlessPeer, Fault
from tests.loadtest.support import small_plan
from tests.support.fake_barrage import FakeBarrage
from tests.support.fake_barrage import Faults as OwnFaults

READ_EVERY_S = 0.005
VIEWERS = 5


def plan(url: str, **fields: Any) -> Plan:
    """A run of a fraction of a second."""
    base: dict[str, Any] = {
        "viewers": VIEWERS, "senders": 0, "rate": 100.0, "seconds": 0.3, "warmup_s": 0.05, "drain_s": 0.5,
        "server_pid": os.getpid(),
    }  # fmt: skip
    return Plan(url=url, **{**base, **fields})


@pytest.mark.parametrize(
    ("name", "variant"), [("websockets", "plain"), ("websockets", "deflate"), ("starlette", "plain"), ("naive", "plain")]
)
async def test_a_real_peer(name: str, variant: str, tmp_path: Path) -> None:
    """Every comment reaches every viewer of a real server, plain and compressed, and the server's cost is known."""
    if name == "naive" and shutil.which("gcc") is None:
        pytest.skip("no C compiler here")
    port = free_port()
    with PeerProcess(PEERS[name].command(Launch(tmp_path, port, variant)), port, tmp_path) as process:
        stage = PeerStage(
            plan(process.url, server_pid=process.pid, deflate=variant == "deflate", drain_s=5.0),
            PEERS[name].dialect,
            read_every_s=READ_EVERY_S,
            idle_s=0.05,
        )
        cell = await measure(stage, name, variant)
    assert cell.broken_rules == {}
    assert stage.expected() == stage.received() == 35 * VIEWERS
    if cell.valid:
        assert cell.figures["loss_share"] == 0
        assert cell.figures["bytes_per_delivery"] > 80
        assert 0 < cell.figures["p50_ms"] <= cell.figures["p99_ms"]


@pytest.mark.parametrize(
    ("fault", "lost", "rule"),
    [
        (lambda number, text: [] if number == 7 else [text], 1, ""),
        (lambda number, text: [text, text] if number == 7 else [text], 0, "stream_double"),
        (lambda number, text: [text.replace("#ffffff", "#000000")] if number == 7 else [text], 29, "protocol_broken"),
    ],
)
async def test_one_wrong_delivery_is_found(fault: Fault, lost: int, rule: str) -> None:
    """A comment that one viewer does not get counts as lost; one that is doubled or altered breaks a rule."""
    async with FaithlessPeer(fault) as server:
        stage = PeerStage(plan(server.url), PLAIN, read_every_s=READ_EVERY_S, idle_s=0.01)
        cell = await measure(stage, "faithless", "plain")
    assert stage.expected() - stage.received() == lost
    assert set(cell.broken_rules) == ({rule} if rule else set())


async def test_a_server_that_delivers_nothing() -> None:
    """A run without a single delivery has no figures: something is out of order, and not the server's speed."""
    async with FaithlessPeer(lambda number, text: []) as server:
        stage = PeerStage(plan(server.url, viewers=1, drain_s=0.1), PLAIN, read_every_s=READ_EVERY_S, idle_s=0.01)
        cell = await measure(stage, "silent", "plain")
    assert "nothing was delivered" in cell.doubts
    assert not cell.valid


async def test_comments_in_a_wrapping() -> None:
    """A peer that wants a greeting and wraps comments is measured by the same meter; reading whenever bytes come works too."""
    async with FaithlessPeer(greeting='0{"sid":"x"}') as server:
        stage = PeerStage(plan(server.url), SOCKET_IO, read_every_s=0.0, idle_s=0.01)
        cell = await measure(stage, "wrapping", "plain")
    assert cell.broken_rules == {}
    assert stage.expected() == stage.received()


async def test_a_publisher_that_is_cut_off() -> None:
    """A server that ends the publisher's connection fails the run, with a reason."""
    async with FaithlessPeer() as server:
        stage = PeerStage(plan(server.url), PLAIN, read_every_s=READ_EVERY_S, idle_s=0.01)
        async with stage:
            stage.publisher.cut()
            assert await until(lambda: stage.publisher.client is None, 2.0)
            with pytest.raises(ConnectionResetError, match="cut the publisher off"):
                stage.fire(0, 0.0)


async def test_this_server_is_read_in_the_same_way(tmp_path: Path) -> None:
    """A server of our protocol is measured with all rules of truth; a viewer that is not told of a comment is found."""
    for faults, rules in ((OwnFaults(), set[str]()), (OwnFaults(drop={7}), {"stream_hole"})):
        async with FakeBarrage(faults, tick_s=0.02) as server:
            own = small_plan(server.url, tmp_path, server_pid=os.getpid(), drain_s=1.0)
            stage = MeteredStage(own, read_every_s=READ_EVERY_S, idle_s=0.01)
            cell = await measure(stage, "barrage", "plain")
        assert set(cell.broken_rules) == rules
        assert stage.expected() - stage.received() == len(rules)
