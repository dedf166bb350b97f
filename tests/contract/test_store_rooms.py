"""What every store promises of rooms, heads and closing."""

from __future__ import annotations

import pytest

from server.errors import Refusal, StoreUnavailable
from server.store.base import APPROVED, Committed, Rejected, RoomInfo, Store
from tests.contract.conftest import Kit
from tests.support.drafts import announcement, comment, held, removal, room_mode


def test_a_new_store_has_no_rooms(empty: Store) -> None:
    """A store starts without rooms, records and reports."""
    assert empty.rooms() == []
    assert empty.screened(0, 10) == []
    assert empty.reports(0, 10) == []


def test_a_live_room_starts_when_it_is_created(empty: Store) -> None:
    """A live room is open, empty, and counts its positions from its creation."""
    made = empty.create_room("a", "Room A", "live", 100)
    assert made == RoomInfo(
        name="a", title="Room A", kind="live", mode="open", epoch=made.epoch, created_ms=100, started_ms=100, head=0
    )
    assert empty.rooms() == [made]


def test_a_video_has_an_address_and_no_start(empty: Store) -> None:
    """A video keeps its address; its positions are those of the video."""
    made = empty.create_room("b", "Room B", "vod", 200, "https://v.example/b.mp4")
    assert (made.kind, made.created_ms, made.started_ms, made.video_url) == ("vod", 200, 0, "https://v.example/b.mp4")
    assert empty.rooms() == [made]


def test_every_room_has_its_own_epoch(empty: Store) -> None:
    """Epochs are random: no two logs share one, and none is empty."""
    epochs = {empty.create_room(f"r{number}", "", "live", 0).epoch for number in range(50)}
    assert len(epochs) == 50
    assert all(len(epoch) >= 16 for epoch in epochs)


def test_a_name_is_taken_once(store: Store) -> None:
    """A second room of the same name is refused and changes nothing; other cases of letters are other rooms."""
    before = store.rooms()
    with pytest.raises(Refusal) as refused:
        store.create_room("a", "Another", "vod", 900)
    assert refused.value.code.name == "room_exists"
    assert store.rooms() == before
    store.create_room("A", "Capital", "live", 900)


def test_rooms_come_by_name_with_their_heads(store: Store) -> None:
    """Rooms are listed by name, each with the number of its newest event."""
    store.create_room("B", "", "live", 300)
    store.create_room("a-1", "", "live", 300)
    store.append([comment("1"), comment("2"), comment("3", room="b")])
    assert [(room.name, room.head) for room in store.rooms()] == [("B", 0), ("a", 2), ("a-1", 0), ("b", 1)]


def test_a_mode_notice_changes_the_room(store: Store) -> None:
    """The mode of the newest mode notice is stored with the room; an announcement leaves it alone."""
    store.append([room_mode("closed", "m1"), room_mode("read_only", "m2"), announcement(key="m3")])
    assert [room.mode for room in store.rooms()] == ["read_only", "open"]
    store.append([room_mode("open", "m4")])
    assert [room.mode for room in store.rooms()] == ["open", "open"]


def test_everything_is_there_after_a_restart(kit: Kit, store: Store) -> None:
    """What was appended outlives the store: rooms, epochs, numbers, keys; and numbering goes on."""
    store.append([comment("1"), comment("2"), removal(1)])
    rooms, log = store.rooms(), store.read("a", 0, 10)
    again = kit.restart(store)
    assert again.rooms() == rooms
    assert again.read("a", 0, 10) == log
    first, second = again.append([comment("2"), comment("3")])
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert [(first.fresh, first.event.seq), (second.fresh, second.event.seq)] == [(False, 2), (True, 4)]
    again.close()


def test_a_room_of_the_future_is_unknown_until_it_is_made(store: Store) -> None:
    """A refused room name is looked up again: the room may have been made since."""
    assert store.append([comment(room="c")]) == [Rejected("room_not_found")]
    store.create_room("c", "", "live", 0)
    assert store.append([comment(room="c")])[0] != Rejected("room_not_found")


def test_close_may_be_called_again_and_ends_everything(store: Store) -> None:
    """After close everything is refused as unavailable; closing again does nothing."""
    store.close()
    store.close()
    for call in (
        lambda: store.rooms(),
        lambda: store.create_room("z", "", "live", 0),
        lambda: store.append([comment()]),
        lambda: store.read("a", 0, 1),
        lambda: store.screened(0, 1),
        lambda: store.reports(0, 1),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            call()


def test_a_mode_with_a_term_leaves_the_standing_mode(store: Store) -> None:
    """A mode with an end is stored with it and leaves the standing mode as it was; one without an end is the standing mode too.
    The pace of a slow mode stays until another one is set."""
    store.append([room_mode("slow", "m1", slow_ms=30_000), room_mode("closed", "m2", until_ms=9_000)])
    room = store.rooms()[0]
    assert (room.mode, room.standing, room.until_ms, room.slow_ms) == ("closed", "slow", 9_000, 30_000)
    store.append([room_mode("review", "m3")])
    room = store.rooms()[0]
    assert (room.mode, room.standing, room.until_ms, room.slow_ms) == ("review", "review", 0, 30_000)


def test_a_notice_of_a_mode_says_why_and_until_when(store: Store) -> None:
    """Code, basis, role, end and pace are read back from the log, and a retry must say the same."""
    said = {"code": "E1", "basis": "raid", "role": "senior", "until_ms": 9_000, "slow_ms": 5_000}
    store.append([room_mode("shield", "m1", **said)])
    event = store.read("a", 0, 1)[0]
    assert {name: getattr(event, name) for name in said} == said
    again, other = store.append([room_mode("shield", "m1", **said), room_mode("shield", "m1", **(said | {"until_ms": 8_000}))])
    assert isinstance(again, Committed)
    assert not again.fresh
    assert other == Rejected("key_reused")


def test_the_mode_of_the_site_is_told_and_changes_no_room(store: Store) -> None:
    """A notice of the site's mode stands in the log; the room's own mode is what it was."""
    store.append([room_mode("closed", notice="site_mode", until_ms=9_000)])
    assert (store.rooms()[0].mode, store.rooms()[0].until_ms) == ("open", 0)
    assert [(event.notice, event.room_mode) for event in store.read("a", 0, 9)] == [("site_mode", "closed")]


def test_a_room_has_an_owner_that_can_be_changed(store: Store) -> None:
    """Whose room it is is said when it is made, and later."""
    store.create_room("mine", "", "live", 5, owner="ann")
    assert [(room.name, room.owner) for room in store.rooms()] == [("a", ""), ("b", ""), ("mine", "ann")]
    store.set_owner("mine", "")
    store.set_owner("a", "bob")
    assert [(room.name, room.owner) for room in store.rooms()] == [("a", "bob"), ("b", ""), ("mine", "")]
    with pytest.raises(Refusal) as refused:
        store.set_owner("nowhere", "ann")
    assert refused.value.code.name == "room_not_found"


def test_nothing_enters_a_room_of_news_without_an_approval(kit: Kit, store: Store) -> None:
    """A comment in a room of news is rejected and takes no number, after a restart too, unless a decision let it through; what was
    held is recorded as everywhere."""
    store.create_room("news", "", "live", 5, news=True)
    assert store.append([comment("1", room="news"), held("h", room="news")])[0] == Rejected("held_for_review")
    again = kit.restart(store)
    assert [room.news for room in again.rooms()] == [False, False, True]
    rejected, passed = again.append([comment("2", room="news"), comment(f"{APPROVED}7", room="news")])
    assert rejected == Rejected("held_for_review")
    assert isinstance(passed, Committed)
    assert passed.event.seq == 1
    again.close()
