"""server/conversation.py: pings, idle and slow connections, and viewers that really do not read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.ws import Connection
from tests.support.running import RunningServer, running
from tests.support.wsclient import PING, PONG, TEXT, RawClient, close_frame, frame

FREE: dict[str, Any] = {"joins_per_s": 10_000, "joins_burst": 10_000, "frames_burst": 10_000}
HIGH = 32_768
TINY: dict[str, Any] = {"send_buffer": 4096, "write_high_bytes": HIGH, "write_low_bytes": 1024, "tick_ms": 1, **FREE}
"""A server whose connections stall soon. What a kernel may still take of a full buffer is far less than what would resume them."""
LONG = "弹" * 90


def connections(server: RunningServer) -> int:
    return server.call(lambda: len(server.parts.conversation.connections))


# -- pings and silence ------------------------------------------------------------------------------------------------


def test_a_quiet_viewer_is_pinged_and_stays_as_long_as_it_answers(tmp_path: Path) -> None:
    """Within one and a half intervals there is a ping; a viewer that answers is never closed."""
    with running(tmp_path, ping_interval_s=30, idle_timeout_s=75, **FREE) as server, server.connect() as client:
        for _ in range(10):
            server.advance(45)
            client.send_text({"op": "ping"})
            pings = 0
            while (got := client.read_frame()).opcode != TEXT:  # up to our own pong, which comes after all that was sent before
                assert got.opcode == PING
                client.send(frame(PONG))
                pings += 1
            assert json.loads(got.payload) == {"op": "pong"}
            assert 1 <= pings <= 3


@pytest.mark.parametrize("active_s", [0, 20, 70])
def test_a_viewer_from_whom_nothing_comes_is_closed_on_time(tmp_path: Path, active_s: int) -> None:
    """Exactly idle_timeout_s after the last sign of life the connection is closed as idle."""
    with running(tmp_path, **FREE) as server, server.connect() as client:
        server.advance(active_s)
        client.ask({"op": "ping"}, "pong")
        server.advance(74)
        assert connections(server) == 1
        assert not server.parts.stats.closes
        server.advance(1)
        assert client.read_close() == (4000, "idle")
        server.advance(6)
        server.eventually(lambda: not server.parts.conversation.connections)
        assert server.parts.stats.closes == {"idle": 1}


def test_one_who_talks_all_the_time_is_not_pinged(tmp_path: Path) -> None:
    """A ping asks for a sign of life; where there is one, none is sent."""
    with running(tmp_path, **FREE) as server, server.connect() as client:
        for _ in range(20):
            server.advance(10)
            assert client.ask({"op": "ping"}) == {"op": "pong"}
            assert client.silent(0.01)


@pytest.mark.parametrize("join_timeout_s", [1, 30, 200])
def test_one_who_joins_no_room_is_closed_on_time(tmp_path: Path, join_timeout_s: int) -> None:
    """A connection without a room is closed after join_timeout_s, also when it talks; one with a room stays."""
    settings: dict[str, Any] = {"join_timeout_s": join_timeout_s, "ping_interval_s": 60, "idle_timeout_s": 1000, **FREE}
    with running(tmp_path, **settings) as server, server.connect(), server.connect(room="") as client:
        server.advance(join_timeout_s - 1)
        client.ask({"op": "ping"}, "pong")
        assert connections(server) == 2
        server.advance(1)
        assert client.read_close() == (4003, "no_room")
        client.send(close_frame(4003))
        client.end()
        server.eventually(lambda: len(server.parts.conversation.connections) == 1)
        server.advance(join_timeout_s)
        assert connections(server) == 1


def test_one_who_left_its_rooms_is_closed(tmp_path: Path) -> None:
    """Leaving the last room makes a connection one without a room."""
    with running(tmp_path, **FREE) as server, server.connect() as client:
        server.advance(40)
        client.ask({"op": "leave", "room": "demo"}, "left")
        server.advance(31)
        assert client.read_close() == (4003, "no_room")


def test_time_that_jumps_is_caught_up(tmp_path: Path) -> None:
    """A process that slept for an hour closes whom it has not heard since, at once."""
    with running(tmp_path, **FREE) as server, server.connect() as client:

        def jump() -> None:
            server.clock.now += 3600
            server.parts.conversation.second()

        server.call(jump)
        assert client.read_close() == (4000, "idle")


# -- viewers that do not read -----------------------------------------------------------------------------------------


def stall(server: RunningServer, healthy: RawClient | None = None) -> int:
    """Append events until the one viewer that does not read has stalled; returns the head. ``healthy`` reads them all."""
    for _ in range(1000):
        head = server.append(5, LONG)
        if healthy is not None:
            healthy.follow(head)
        if server.parts.stats.stalled:
            return head
    raise AssertionError("it does not stall")


def unsent(server: RunningServer) -> int:
    """Bytes that wait for the only stalled viewer."""
    (viewer,) = server.room().cold
    assert isinstance(viewer, Connection)
    return viewer.transport.get_write_buffer_size()


def read_all(client: RawClient, last: int, room: str = "demo") -> tuple[list[int], list[tuple[int, int]]]:
    """Read up to event ``last``: the numbers that came, and the gaps that were announced, as they stand in order."""
    numbers: list[int] = []
    gaps: list[tuple[int, int]] = []
    at = 0
    while at < last:
        message = client.read_until("events", "gap")
        if message["room"] != room:
            continue
        if message["op"] == "gap":
            assert message["from"] == at + 1, "a gap begins after what came last"
            assert message["page"] == f"/rooms/{room}/comments/{(message['from'] - 1) // 256}.html"
            gaps.append((message["from"], message["to"]))
            at = message["to"]
        for event in message.get("events", ()):
            assert event["seq"] == at + 1, "no number is left out in silence, none comes twice"
            at = event["seq"]
            numbers.append(at)
    return numbers, gaps


def test_a_stalled_viewer_gets_an_exact_gap_and_goes_on(tmp_path: Path) -> None:
    """While it does not read nothing is sent to it; when it reads again, what it missed is one gap, and the next event follows."""
    with running(tmp_path, **TINY) as server, server.connect() as healthy, server.connect(receive_buffer=4096) as slow:
        stalled_at = stall(server, healthy)
        for _ in range(60):
            head = server.append(5, LONG)
            assert [event["seq"] for event in healthy.follow(head)] == list(range(head - 4, head + 1)), (
                "nobody else is disturbed"
            )
        assert server.call(lambda: unsent(server)) < 2 * HIGH
        numbers, gaps = read_all(slow, head)
        assert gaps == [(stalled_at + 1, head)]
        assert numbers == list(range(1, stalled_at + 1))
        last = server.append(1)
        assert [event["seq"] for event in slow.read()["events"]] == [last]
        assert (server.parts.stats.gaps, server.parts.stats.gap_events) == (1, head - stalled_at)
        assert server.parts.stats.stalled == 0


def test_a_stall_without_a_loss_has_no_gap(tmp_path: Path) -> None:
    """A viewer that catches up before anything new came missed nothing, and is told nothing."""
    with running(tmp_path, **TINY) as server, server.connect(receive_buffer=4096) as slow:
        head = stall(server)
        assert read_all(slow, head) == (list(range(1, head + 1)), [])
        server.eventually(lambda: server.parts.stats.stalled == 0)
        last = server.append(1)
        assert read_all_from(slow, head, last) == [last]


def read_all_from(client: RawClient, after: int, last: int) -> list[int]:
    numbers = [event["seq"] for event in client.follow(last)]
    assert numbers[0] == after + 1
    return numbers


def test_each_room_has_its_own_gap(tmp_path: Path) -> None:
    """A viewer of two rooms hears of each what it missed there."""
    with running(tmp_path, rooms=("demo", "other"), **TINY) as server, server.connect(receive_buffer=4096) as slow:
        slow.ask({"op": "join", "room": "other"}, "joined")
        demo = stall(server)
        other = server.append(7, room="other")
        server.append(5, room="demo")
        gaps: dict[str, tuple[int, int]] = {}
        while len(gaps) < 2:
            message = slow.read_until("gap")
            gaps[message["room"]] = (message["from"], message["to"])
        assert gaps == {"demo": (demo + 1, demo + 5), "other": (1, other)}


def test_a_gap_that_fills_the_buffer_anew_ends_the_thaw(tmp_path: Path) -> None:
    """No room is hot while its viewer is stalled: the rooms not yet thawed wait for the next time, each with its whole gap."""
    with running(tmp_path, rooms=("demo", "other"), **TINY) as server, server.connect() as slow:
        slow.ask({"op": "join", "room": "other"}, "joined")
        (viewer,) = server.call(lambda: list(server.parts.conversation.connections))
        server.call(viewer.pause_writing)
        server.append(2)
        server.append(3, room="other")

        def resume_into_a_full_buffer() -> tuple[int, int]:
            write = viewer.write

            def fill(data: bytes) -> None:
                write(data)
                viewer.pause_writing()

            viewer.write = fill
            viewer.resume_writing()
            viewer.write = write
            return len(server.room("demo").hot), len(server.room("other").hot)

        assert server.call(resume_into_a_full_buffer) == (0, 0)
        assert server.parts.stats.stalled == 1
        assert slow.read_until("gap")["room"] == "demo"
        server.append(1)
        server.append(1, room="other")
        assert slow.silent()
        server.call(viewer.resume_writing)
        gaps = [slow.read_until("gap") for _ in range(2)]
        assert [(gap["room"], gap["from"], gap["to"]) for gap in gaps] == [("demo", 3, 3), ("other", 1, 4)]
        assert server.parts.stats.stalled == 0


def test_joining_while_stalled_takes_part_after_it(tmp_path: Path) -> None:
    """A room that is joined while the buffer is full is silent until it drains, and then goes on with a gap."""
    with running(tmp_path, rooms=("demo", "other"), **TINY) as server, server.connect(receive_buffer=4096) as slow:
        stall(server)
        slow.send_text({"op": "join", "room": "other"})
        server.eventually(lambda: server.room("other").viewers == 1)
        assert server.call(lambda: len(server.room("other").cold)) == 1
        head = server.append(3, room="other")
        assert slow.read_until("joined")["head"] == 0
        gap = slow.read_until("gap")
        assert (gap["room"], gap["from"], gap["to"]) == ("other", 1, head)


def test_leaving_while_stalled_ends_it(tmp_path: Path) -> None:
    """A room that was left while stalled is not spoken of again."""
    with running(tmp_path, **TINY) as server, server.connect(receive_buffer=4096) as slow:
        stall(server)
        slow.send_text({"op": "leave", "room": "demo"})
        server.eventually(lambda: server.room().viewers == 0)
        server.append(5, LONG)
        assert slow.read_until("left", "gap")["op"] == "left"
        server.eventually(lambda: server.parts.stats.stalled == 0)
        assert slow.ask({"op": "ping"}) == {"op": "pong"}


def test_one_that_stays_behind_is_closed_on_time(tmp_path: Path) -> None:
    """After slow_close_s without reading a viewer is closed as too slow, and cut when it does not even take that."""
    with running(tmp_path, slow_close_s=60, **TINY) as server, server.connect(receive_buffer=4096):
        stall(server)
        server.advance(59)
        assert not server.parts.stats.closes
        server.advance(2)
        assert server.parts.stats.closes == {"too_slow": 1}
        assert server.parts.stats.slow_closes == 1
        assert server.call(lambda: server.room().viewers) == 0
        server.advance(6)
        server.eventually(lambda: not server.parts.conversation.connections)
        assert server.parts.stats.stalled == 0


def test_one_that_was_closed_as_too_slow_reads_why(tmp_path: Path) -> None:
    """The closing frame stands behind what was sent before, so that a client that reads on learns it."""
    with running(tmp_path, **TINY) as server, server.connect(receive_buffer=4096) as slow:
        stall(server)
        server.advance(61)
        assert slow.read_close() == (4001, "too_slow")
        slow.send(close_frame(4001))
        slow.expect_end()


def test_one_that_is_looked_at_too_early_gets_its_whole_time(tmp_path: Path) -> None:
    """The time counts from when the buffer filled, however often the connection was looked at before."""
    with running(tmp_path, slow_close_s=200, **TINY) as server, server.connect(receive_buffer=4096):
        server.advance(20)
        stall(server)
        server.advance(199)
        assert not server.parts.stats.closes
        server.advance(2)
        assert server.parts.stats.closes == {"too_slow": 1}


@pytest.mark.parametrize(("pause_s", "closed"), [(1, True), (601, False)])
def test_one_that_falls_behind_too_often_is_closed(tmp_path: Path, pause_s: int, closed: bool) -> None:
    """More than slow_strikes times within ten minutes is too often; after ten quiet minutes the count begins anew."""
    settings: dict[str, Any] = {**TINY, "slow_strikes": 2, "idle_timeout_s": 7200}
    with running(tmp_path, **settings) as server, server.connect(receive_buffer=4096) as slow:
        for strike in range(3):
            head = stall(server)
            read_up_to(slow, head)
            if strike < 2 or not closed:
                server.eventually(lambda: server.parts.stats.stalled == 0)
                server.advance(pause_s)
        if closed:
            assert slow.read_close() == (4001, "too_slow")
            assert server.parts.stats.slow_closes == 1
        else:
            assert slow.ask({"op": "ping"}, "pong") == {"op": "pong"}


def read_up_to(client: RawClient, head: int) -> None:
    """Read until event ``head`` came or was announced as missed."""
    while True:
        message = client.read_until("events", "gap")
        if message.get("to", 0) >= head or any(event["seq"] >= head for event in message.get("events", ())):
            return


def test_a_stalled_viewer_that_leaves_is_forgotten(tmp_path: Path) -> None:
    """The count of stalled viewers goes down when one of them breaks its connection."""
    with running(tmp_path, **TINY) as server:
        slow = server.connect(receive_buffer=4096)
        stall(server)
        slow.reset()
        server.eventually(lambda: not server.parts.conversation.connections)
        assert server.parts.stats.stalled == 0
        assert server.room().viewers == 0


def test_viewers_of_a_counter_are_not_told_while_stalled(tmp_path: Path) -> None:
    """States are for those who read: a stalled viewer's buffer does not grow by them."""
    with running(tmp_path, **TINY) as server, server.connect(receive_buffer=4096) as slow:
        stall(server)

        def grown() -> int:
            before = unsent(server)
            server.parts.conversation.tell_counts()
            return unsent(server) - before

        assert server.call(grown) == 0
        slow.close()
