"""server/core/hub.py"""

from __future__ import annotations

import random
import zlib
from itertools import product

from server.core.frames import deflated_frame, text_frame
from server.core.hub import Frames, Hub
from server.core.modes import ORDER, Term, strictest
from tests.support.events import comment


def inflate(frame: bytes) -> bytes:
    """The payload of a compressed frame of less than 64 KB."""
    assert frame[0] == 0xC1
    start = 4 if frame[1] == 126 else 2
    return zlib.decompressobj(-15).decompress(frame[start:] + b"\x00\x00\xff\xff")


# -- frames -----------------------------------------------------------------------------------------------------------------


def test_both_forms_carry_the_same_payload() -> None:
    """The deflated frame, inflated, is the plain frame's payload."""
    payload = '{"op":"events","text":"弹幕弹幕弹幕"}'.encode() * 20
    frames = Frames(payload, 300, 6)
    assert frames.plain == text_frame(payload)
    assert inflate(frames.deflated) == payload
    assert len(frames.deflated) < len(frames.plain) / 4


def test_the_deflated_frame_is_made_once() -> None:
    """Every viewer gets the same object."""
    frames = Frames(b"abc" * 200, 300, 6)
    assert frames.deflated is frames.deflated
    assert frames.deflated == deflated_frame(b"abc" * 200, 6)


def test_small_payloads_go_plain_to_all() -> None:
    """Below the bound, nothing is compressed; at the bound it is."""
    small, large = Frames(b"a" * 299, 300, 6), Frames(b"a" * 300, 300, 6)
    assert small.deflated is small.plain
    assert inflate(large.deflated) == b"a" * 300


def test_payloads_that_do_not_shrink_go_plain_to_all() -> None:
    """Compression that gains nothing is not used."""
    frames = Frames(random.Random(1).randbytes(2000), 300, 6)
    assert frames.deflated is frames.plain


# -- rooms ------------------------------------------------------------------------------------------------------------------


def make_hub() -> Hub[str]:
    """A hub with rooms ``a`` (ten events in its ring) and ``b`` (empty)."""
    hub: Hub[str] = Hub(ring_events=100)
    room = hub.add("a", "epoch-a", 0, "open")
    for seq in range(1, 11):
        room.commit(comment(seq))
    room.published(10)
    hub.add("b", "epoch-b", 7, "closed")
    return hub


def test_a_room_is_held_as_the_store_says() -> None:
    """A room stands at its head, all of it on its pages, and is found by its name."""
    room = make_hub().rooms["b"]
    assert (room.name, room.epoch, room.head, room.visible, room.mode) == ("b", "epoch-b", 7, 7, "closed")


def test_rings_have_the_hubs_size() -> None:
    """The bound of the settings reaches every room."""
    hub: Hub[str] = Hub(ring_events=3)
    room = hub.add("a", "e", 0, "open")
    for seq in range(1, 11):
        room.commit(comment(seq))
    room.published(10)
    assert room.first == 8


def test_idle_rings_are_emptied() -> None:
    """A room without viewers that was not touched for the time loses its ring, not its place in the log."""
    hub = make_hub()
    room = hub.rooms["a"]
    hub.touch(room, 100)
    assert hub.sweep(159, 60) == 0
    assert room.first == 1
    assert hub.sweep(160, 60) == 1
    assert (room.first, room.visible, room.head) == (11, 10, 10)
    assert hub.sweep(999, 60) == 0


def test_touching_keeps_a_ring() -> None:
    """The time counts from the last touch."""
    hub = make_hub()
    hub.touch(hub.rooms["a"], 100)
    hub.touch(hub.rooms["a"], 150)
    assert hub.sweep(160, 60) == 0
    assert hub.sweep(210, 60) == 1


def test_watched_rings_stay() -> None:
    """A room with viewers, hot or cold, keeps its ring however quiet it is."""
    hub = make_hub()
    room = hub.rooms["a"]
    hub.touch(room, 100)
    room.enter("ann")
    assert hub.sweep(100_000, 60) == 0
    room.cool("ann")
    assert hub.sweep(200_000, 60) == 0
    room.exit("ann")
    assert hub.sweep(300_000, 60) == 1


def test_pending_events_survive_a_sweep() -> None:
    """What is not flushed yet is never dropped."""
    hub = make_hub()
    room = hub.rooms["a"]
    hub.touch(room, 0)
    room.commit(comment(11))
    hub.sweep(1000, 60)
    assert [entry.event.seq for entry in room.batch()] == [11]


def test_viewers_are_counted_per_room() -> None:
    """A viewer of two rooms counts twice; rooms without viewers are not watched."""
    hub = make_hub()
    for room in hub.rooms.values():
        hub.touch(room, 0)
    assert list(hub.watched()) == []
    hub.rooms["a"].enter("ann")
    hub.rooms["a"].enter("bob")
    hub.rooms["a"].cool("bob")
    assert [room.name for room in hub.watched()] == ["a"]
    hub.rooms["b"].enter("ann")
    assert hub.viewers == 3


def test_the_stricter_of_room_and_site_is_in_force() -> None:
    """For each pair of modes, viewers are told the stricter one, and comments are taken by it."""
    hub: Hub[str] = Hub(ring_events=3)
    for own, site in product(ORDER, repeat=2):
        room = hub.add("a", "e", 0, own)
        hub.site = Term(site, 0, site)
        stricter = strictest(own, site)
        assert hub.in_force(room, 5) == (stricter, 0, stricter)
        assert hub.intake(room, 5) == stricter


def test_viewers_are_told_the_end_of_the_mode_in_force() -> None:
    """The end is that of the one that decides; of two alike the later one, and none if one of them has none."""
    hub: Hub[str] = Hub(ring_events=3)
    room = hub.add("a", "e", 0, "shield")
    room.until_ms, room.standing = 100, "open"
    assert hub.in_force(room, 5) == ("shield", 100, "open")
    hub.site = Term("slow", 50, "slow")
    assert hub.in_force(room, 5) == ("shield", 100, "slow")
    hub.site = Term("shield", 300, "open")
    assert hub.in_force(room, 5) == ("shield", 300, "open")
    hub.site = Term("shield", 0, "shield")
    assert hub.in_force(room, 5) == ("shield", 0, "shield")
    hub.site = Term("closed", 200, "open")
    assert hub.in_force(room, 5) == ("closed", 200, "open")


def test_a_mode_on_its_way_counts_for_intake_alone() -> None:
    """From its submission on it stops what it stops; viewers are told when it stands in the log."""
    hub: Hub[str] = Hub(ring_events=3)
    room = hub.add("a", "e", 0, "slow")
    room.coming += ["closed", "open"]
    assert (hub.intake(room, 5), hub.in_force(room, 5).mode) == ("closed", "slow")
    room.coming.remove("closed")
    assert hub.intake(room, 5) == "slow"
