"""Reading at a beat, by real sockets."""

from __future__ import annotations

import asyncio
import socket

from loadtest.clients import Client
from loadtest.frames import Handshake
from loadtest.messages import Fault
from loadtest.participants import until
from loadtest.peers.dialects import PLAIN, comment
from loadtest.peers.people import PeerFeed, PeerPerson
from loadtest.peers.sweep import Sweep
from loadtest.site import Site

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %b\r\n\r\n"


class Pair:
    """A viewer, already let in, and the other end of its connection."""

    def __init__(self, feed: PeerFeed) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.person = PeerPerson(Site.of("http://127.0.0.1:1", "demo"), feed, "ann", 0)
        self.person.dialect = PLAIN
        handshake = Handshake("h", "/", origin="http://h", deflate=False)
        self.client = self.person.client = Client(self.person, feed, handshake)
        self._answer = ANSWER % handshake._accept

    async def open(self) -> None:
        """Shake hands."""
        client = self.client
        await asyncio.get_running_loop().create_connection(lambda: client, sock=self.near)
        self.far.recv(4096)
        self.far.sendall(self._answer)
        assert await until(lambda: self.person.present, 2.0)


def published(feed: PeerFeed, number: int) -> bytes:
    """A server's frame with a new comment."""
    text = feed.published[number] = comment("demo", "abc", number, f"text {number}")
    return bytes((0x81, len(text))) + text


async def open_pairs(feed: PeerFeed, count: int) -> list[Pair]:
    """Several viewers of a room."""
    pairs = [Pair(feed) for _ in range(count)]
    for pair in pairs:
        await pair.open()
    return pairs


async def test_equal_bytes_are_parsed_once_and_count_for_everybody() -> None:
    """Viewers who find the same frames in their sockets have had the same comments, each at its own time, in order."""
    feed = PeerFeed("demo", PLAIN)
    pairs = await open_pairs(feed, 4)
    frames = published(feed, 1) + published(feed, 2)
    for pair in pairs:
        pair.far.sendall(frames)
    sweep = Sweep([pair.client for pair in pairs], every_s=60.0)
    async with sweep:
        assert await until(lambda: pairs[-1].person.stream.last == 2, 2.0)
    assert [pair.person.stream.received for pair in pairs] == [[(1, 2)]] * 4
    assert [len(batch.arrivals[0]) for batch in feed.batches] == [4, 4]
    assert feed.parsed == 2
    assert sweep.sweeps == 1
    await _close(pairs)


async def test_parts_of_frames_are_put_together() -> None:
    """A frame that comes in pieces is read as one, also where others had it whole."""
    feed = PeerFeed("demo", PLAIN)
    pairs = await open_pairs(feed, 3)
    frame = published(feed, 1) + published(feed, 2)
    async with Sweep([pair.client for pair in pairs], every_s=0.005):
        pairs[0].far.sendall(frame)
        pairs[1].far.sendall(frame[:150])
        pairs[2].far.sendall(frame[:1])
        await asyncio.sleep(0.05)
        assert [pair.person.stream.last for pair in pairs] == [2, 1, 0]
        pairs[1].far.sendall(frame[150:])
        pairs[2].far.sendall(frame[1:])
        assert await until(lambda: all(pair.person.stream.last == 2 for pair in pairs), 2.0)
    assert all(len(batch.arrivals[0]) == 3 for batch in feed.batches)
    await _close(pairs)


async def test_other_bytes_of_the_same_length_are_seen() -> None:
    """A viewer that is sent something else than the others is found out."""
    feed = PeerFeed("demo", PLAIN)
    pairs = await open_pairs(feed, 2)
    frame = published(feed, 1)
    pairs[0].far.sendall(frame)
    pairs[1].far.sendall(frame.replace(b"text 1", b"lies 1"))
    async with Sweep([pair.client for pair in pairs], every_s=0.005):
        assert await until(lambda: pairs[1].person.client is None, 2.0)
    assert [violation.rule for violation in pairs[1].person.stream.violations] == ["protocol_broken"]
    await _close(pairs)


async def test_the_end_of_a_connection_is_told() -> None:
    """A connection that the server ends is handed back, so that its owner learns of it; the others go on."""
    feed = PeerFeed("demo", PLAIN)
    pairs = await open_pairs(feed, 2)
    async with Sweep([pair.client for pair in pairs], every_s=0.005):
        pairs[0].far.close()
        assert await until(lambda: pairs[0].person.client is None, 2.0)
        pairs[1].far.sendall(published(feed, 1))
        assert await until(lambda: pairs[1].person.stream.last == 1, 2.0)
    assert pairs[0].person.losses
    await _close(pairs)


async def test_after_the_sweep_the_loop_reads() -> None:
    """Connections are as they were before; what is no comment is kept out of runs."""
    feed = PeerFeed("demo", PLAIN)
    pairs = await open_pairs(feed, 1)
    async with Sweep([pairs[0].client], every_s=0.005):
        pairs[0].far.sendall(bytes((0x89, 0)))  # a ping
        pairs[0].far.settimeout(2.0)
        assert await asyncio.to_thread(pairs[0].far.recv, 16) == bytes((0x8A, 0x80, 0, 0, 0, 0))
    pairs[0].far.sendall(published(feed, 1))
    assert await until(lambda: pairs[0].person.stream.last == 1, 2.0)
    pairs[0].person.on_fault(pairs[0].client, Fault("joined"))  # already present: nothing happens
    assert pairs[0].person.stream.last == 1
    await _close(pairs)


async def _close(pairs: list[Pair]) -> None:
    for pair in pairs:
        pair.client.abort()
        pair.far.close()
    assert await until(lambda: all(pair.person.client is None for pair in pairs), 2.0)
