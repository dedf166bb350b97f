"""server/core/room.py"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from msgspec import structs

from server.core.audience import Sizes
from server.core.room import Entry, Resume, Room
from server.wire import SAID, Event, encode_event
from tests.support.events import comment, removal, restoration, tombstone

RING = 8


def make_room(committed: int = 0, visible: int | None = None, *, head: int = 0, ring: int = RING) -> Room[str]:
    """A room whose log stood at ``head``, then took ``committed`` comments, of which those up to ``visible`` are published."""
    room: Room[str] = Room("r", "epoch", head, "open", ring)
    for seq in range(head + 1, head + committed + 1):
        room.commit(comment(seq))
    if visible is not None:
        room.published(visible)
    return room


def seqs(entries: Sequence[Entry] | Sequence[bytes] | None) -> list[int] | None:
    """The numbers of entries or of encoded events."""
    if entries is None:
        return None
    return [entry.event.seq if isinstance(entry, Entry) else json.loads(entry)["seq"] for entry in entries]


# -- the three numbers and the ring ---------------------------------------------------------------------------------------


def test_a_new_room_is_visible_up_to_its_head_with_an_empty_ring() -> None:
    """A room taken from the store is all visible, has nothing pending, and its ring begins after the head."""
    room = make_room(head=41)
    assert (room.first, room.visible, room.head, room.pending) == (42, 41, 41, 0)
    assert (room.name, room.epoch, room.mode, room.changes, room.viewers) == ("r", "epoch", "open", 0, 0)


def test_committing_moves_the_head_only() -> None:
    """Committed events are pending until they are published."""
    room = make_room(3, head=10)
    assert (room.first, room.visible, room.head, room.pending) == (11, 10, 13, 3)
    assert seqs(room.batch()) == [11, 12, 13]


@pytest.mark.parametrize("seq", [0, 1, 3, 5, 6])
def test_an_event_that_does_not_follow_is_an_error(seq: int) -> None:
    """Only the event after the head is taken; any other raises and changes nothing."""
    room = make_room(3)
    with pytest.raises(ValueError, match=f"event {seq} does not follow 3 in room r"):
        room.commit(comment(seq))
    assert (room.head, seqs(room.batch())) == (3, [1, 2, 3])


def test_an_event_is_encoded_once_when_it_is_committed() -> None:
    """The ring holds the bytes that the wire's encoder makes, and every reader gets the same object."""
    room = make_room()
    event = comment(1)
    room.commit(event)
    (pending,) = room.batch()
    assert pending == Entry(event, encode_event(event))
    room.published(1)
    assert room.newest(1)[0].data is pending.data
    assert room.resume(0, 0, 10).events[0] is pending.data


def test_publishing_keeps_the_rings_size_beside_pending_events() -> None:
    """The ring holds at most its size of visible events; pending ones come on top and are never dropped."""
    room = make_room(20, 12)
    assert (room.first, seqs(room.newest(100))) == (5, [5, 6, 7, 8, 9, 10, 11, 12])
    assert seqs(room.batch()) == list(range(13, 21))
    room.published(20)
    assert (room.first, room.batch()) == (13, [])


def test_forgetting_keeps_pending_events() -> None:
    """An emptied ring still holds what was not flushed yet."""
    room = make_room(6, 4)
    room.forget()
    assert (room.first, seqs(room.batch()), room.newest(10)) == (5, [5, 6], [])


def test_slice_ends_at_visible_and_tells_when_the_ring_does_not_reach_back() -> None:
    """None means: read it elsewhere; an empty list means: nothing newer is visible."""
    room = make_room(20, 15)
    assert room.first == 8
    assert room.slice(6, 5) is None
    assert seqs(room.slice(7, 5)) == [8, 9, 10, 11, 12]
    assert seqs(room.slice(13, 5)) == [14, 15]
    assert room.slice(15, 5) == []
    assert room.slice(99, 5) == []
    assert room.slice(7, 0) == []


# -- resume -----------------------------------------------------------------------------------------------------------------


def test_a_newcomer_gets_the_newest_events_and_no_gap() -> None:
    """Without a place to resume from, older events are not a gap."""
    room = make_room(20, 15)
    resume = room.resume(None, 3, 100)
    assert (seqs(resume.events), resume.head, resume.missing) == ([13, 14, 15], 15, None)


def test_resuming_within_the_ring_gives_exactly_the_missing_events() -> None:
    """A client that has everything up to 10 gets 11 to the visible end."""
    resume = make_room(20, 15).resume(10, 3, 100)
    assert (seqs(resume.events), resume.head, resume.missing) == ([11, 12, 13, 14, 15], 15, None)


def test_resuming_from_before_the_ring_names_the_gap() -> None:
    """What the ring has no more is announced, the rest follows at once."""
    resume = make_room(20, 15).resume(2, 3, 100)
    assert (seqs(resume.events), resume.head, resume.missing) == ([8, 9, 10, 11, 12, 13, 14, 15], 15, (3, 7))


def test_resuming_sends_no_more_than_most() -> None:
    """Above the bound the older part becomes the gap."""
    resume = make_room(20, 15).resume(7, 3, 2)
    assert (seqs(resume.events), resume.missing) == ([14, 15], (8, 13))
    assert make_room(20, 15).resume(7, 3, 0) == Resume([], 15, (8, 15))


def test_a_place_ahead_of_the_room_is_cut_to_what_is_visible() -> None:
    """A client that claims more than exists has missed nothing."""
    assert make_room(20, 15).resume(99, 3, 100) == Resume([], 15, None)


@given(
    head=st.integers(0, 12), committed=st.integers(0, 24), share=st.floats(0, 1), ring=st.integers(1, 9),
    after=st.none() | st.integers(0, 45), recent=st.integers(0, 12), most=st.integers(0, 12), forget=st.booleans(),
)  # fmt: skip
def test_resume_agrees_with_a_list_of_numbers(
    head: int, committed: int, share: float, ring: int, after: int | None, recent: int, most: int, forget: bool
) -> None:
    """For any room and request: the events are the newest allowed ones, end at head, and gap and events tile what was missed."""
    visible = head + round(committed * share)
    room = make_room(committed, visible, head=head, ring=ring)
    if forget:
        room.forget()
    held = [] if forget else list(range(head + 1, visible + 1))[-ring:]
    if after is None:
        wanted = held[-recent:] if recent else []
    else:
        newer = [seq for seq in held if seq > after]
        wanted = newer[-most:] if most else []
    resume = room.resume(after, recent, most)
    assert seqs(resume.events) == wanted
    assert resume.head == visible
    if after is None or after >= visible:
        assert resume.missing is None
    else:
        gap = [] if resume.missing is None else list(range(resume.missing[0], resume.missing[1] + 1))
        assert gap + wanted == list(range(after + 1, visible + 1))


# -- removals ---------------------------------------------------------------------------------------------------------------


def test_a_removed_comment_leaves_no_text_in_the_ring() -> None:
    """From the moment of the removal resume, slice and newest give the tombstone, and the change is counted."""
    room = make_room(5, 5)
    room.commit(removal(6, 3))
    room.replace(tombstone(comment(3), 6))
    assert room.changes == 1
    handed_out = b"".join(room.resume(0, 0, 10).events) + b"".join(entry.data for entry in room.newest(10))
    assert b"text 3" not in handed_out
    assert b"text 2" in handed_out
    assert room.newest(10)[2].event.removed_by == 6


def test_a_removal_within_the_pending_batch_changes_what_will_be_flushed() -> None:
    """A comment that is removed before its flush goes to the page and to viewers as a tombstone."""
    room = make_room(2)
    room.commit(removal(3, 1))
    room.replace(tombstone(comment(1), 3))
    assert [entry.event.text for entry in room.batch()] == ["", "text 2", ""]


def test_a_removal_of_something_older_than_the_ring_counts_as_a_change() -> None:
    """What the ring does not hold is left to its other holders, who look at the count."""
    room = make_room(20, 20)
    before = room.newest(100)
    room.replace(tombstone(comment(2), 21))
    assert (room.newest(100), room.changes) == (before, 1)


def test_a_removal_takes_region_and_label_out_of_the_ring() -> None:
    """They go from the comment and from its restorations, and come back with it."""
    room = make_room()
    labelled = comment(1, region="广东", label="日报", label_kind="news")
    room.commit(labelled)
    room.commit(removal(2, 1))
    room.replace(tombstone(labelled, 2))
    room.commit(restoration(3, labelled))
    room.replace(labelled)
    assert all(b'"label":{' in entry.data for entry in room.batch()[::2])
    room.commit(removal(4, 1))
    room.replace(tombstone(labelled, 4))
    handed_out = b"".join(entry.data for entry in room.batch())
    assert b"label" not in handed_out
    assert b"region" not in handed_out


def test_a_restoration_carries_no_text_once_its_comment_is_removed_again() -> None:
    """The restoration's own event holds the comment's text too: it follows the comment, as the store says it."""
    room = make_room(1, 1)
    room.commit(removal(2, 1))
    room.replace(tombstone(comment(1), 2))
    room.commit(restoration(3, comment(1)))
    room.replace(comment(1))
    room.published(3)
    assert [entry.event.text for entry in room.newest(3)] == ["text 1", "", "text 1"]
    room.commit(removal(4, 1))
    room.replace(tombstone(comment(1), 4))
    handed_out = b"".join(entry.data for entry in room.newest(4))
    assert b"text 1" not in handed_out
    assert "安".encode() not in handed_out
    room.commit(restoration(5, comment(1)))
    room.replace(comment(1))
    room.published(5)
    assert [entry.event.text for entry in room.newest(5)] == ["text 1", "", "text 1", "", "text 1"]


# -- warming ----------------------------------------------------------------------------------------------------------------


def test_warming_puts_older_events_before_what_is_there() -> None:
    """Events read from the store join the ring from its old end backwards, whatever their order."""
    room = make_room(2, head=30)
    room.warm([comment(28), comment(30), comment(29)])
    assert (room.first, seqs(room.newest(10)), seqs(room.batch())) == (28, [28, 29, 30], [31, 32])


def test_warming_leaves_out_what_does_not_join_up() -> None:
    """A hole, or an event that the ring has, is not taken."""
    room = make_room(2, 32, head=30)
    room.warm([comment(31, "other"), comment(28), comment(27)])
    assert (room.first, [entry.event.text for entry in room.newest(10)]) == (31, ["text 31", "text 32"])


def test_warming_stops_at_the_rings_size() -> None:
    """Pending events do not take the place of older ones, and the size holds."""
    room = make_room(3, head=30)
    room.warm([comment(seq) for seq in range(1, 31)])
    assert (room.first, seqs(room.newest(100))) == (23, list(range(23, 31)))


# -- viewers ----------------------------------------------------------------------------------------------------------------


def test_a_viewer_is_hot_or_cold_or_gone() -> None:
    """Entering, cooling, thawing and leaving keep a viewer in at most one place; unknown viewers are ignored."""
    room = make_room()
    room.enter("ann")
    room.enter("bob")
    room.cool("ann")
    assert (room.hot, room.cold, room.viewers) == ({"bob"}, {"ann": 1}, 2)
    room.enter("ann")
    assert (room.hot, room.cold) == ({"ann", "bob"}, {})
    room.cool("bob")
    room.exit("bob")
    room.exit("ann")
    room.exit("ann")
    room.cool("nobody")
    assert room.thaw("nobody") is None
    assert (room.hot, room.cold, room.viewers) == (set(), {}, 0)


def test_thawing_gives_the_exact_gap() -> None:
    """The gap runs from what was not sent first to what is visible now."""
    room = make_room(3, 3)
    room.enter("ann")
    room.cool("ann")
    room.commit(comment(4))
    room.commit(comment(5))
    room.published(5)
    room.commit(comment(6))
    assert room.thaw("ann") == (4, 5)
    assert room.hot == {"ann"}


def test_thawing_after_nothing_happened_is_no_gap() -> None:
    """A viewer that missed nothing hears of nothing."""
    room = make_room(3, 3)
    room.enter("ann")
    room.cool("ann")
    assert room.thaw("ann") is None
    assert room.hot == {"ann"}


def test_cooling_twice_keeps_the_first_missing_number() -> None:
    """A viewer that is cold already does not lose the begin of its gap."""
    room = make_room(3, 3)
    room.enter("ann")
    room.cool("ann")
    room.commit(comment(4))
    room.published(4)
    room.cool("ann")
    assert room.thaw("ann") == (4, 4)


class Watching(RuleBasedStateMachine):
    """A room under random commits, flushes, stalls, joins and cleanings, against a plain list as its log."""

    cohorts = Sizes(2, 1)
    viewers = Bundle("viewers")

    def __init__(self) -> None:
        super().__init__()
        self.room: Room[int] = Room("r", "e", 0, "open", RING, self.cohorts)
        self.log: list[Event] = []
        self.streams: dict[int, list[int]] = {}
        self.left: dict[int, int] = {}
        self.count = 0

    @rule(number=st.integers(1, 6))
    def commit(self, number: int) -> None:
        for _ in range(number):
            event = comment(len(self.log) + 1)
            self.log.append(event)
            self.room.commit(event)

    @precondition(lambda self: any(event.kind == "comment" and not event.removed_by for event in self.log))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        standing = [event for event in self.log if event.kind == "comment" and not event.removed_by]
        target = data.draw(st.sampled_from(standing))
        event = removal(len(self.log) + 1, target.seq)
        self.log[target.seq - 1] = tombstone(target, event.seq)
        self.log.append(event)
        self._follow(self.log[target.seq - 1])
        self.room.commit(event)
        self.room.replace(self.log[target.seq - 1])

    @precondition(lambda self: any(event.removed_by for event in self.log))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from([event for event in self.log if event.removed_by]))
        restored = comment(target.seq)
        event = restoration(len(self.log) + 1, restored)
        self.log[target.seq - 1] = restored
        self.log.append(event)
        self._follow(restored)
        self.room.commit(event)
        self.room.replace(restored)

    def _follow(self, comment: Event) -> None:
        """Earlier restorations of a comment say of it what it says itself."""
        for index, event in enumerate(self.log):
            if event.kind == "restoration" and event.target == comment.seq:
                said = {name: getattr(comment, name) for name in SAID}
                self.log[index] = structs.replace(event, **said)

    @precondition(lambda self: self.room.pending)
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        self.room.published(data.draw(st.integers(self.room.visible + 1, self.room.head)))
        self.turn()

    @precondition(lambda self: self.room.sent < self.room.visible)
    @rule()
    def turn(self) -> None:
        turns = self.room.turns()
        assert len({viewer for _, party in turns for viewer in party.viewers}) <= self.cohorts.alone
        for entries, party in turns:
            for viewer in party.viewers:
                self.streams[viewer] += [entry.event.seq for entry in entries]

    @rule(target=viewers, after=st.none() | st.integers(0, 60), most=st.integers(0, 10))
    def join(self, after: int | None, most: int) -> int:
        self.count += 1
        return self._join(self.count, after, most)

    @rule(viewer=viewers, most=st.integers(0, 10))
    def resume(self, viewer: int, most: int) -> None:
        """A viewer that is there, or left, joins with the place it has reached."""
        stream = self.streams[viewer]
        self._join(viewer, stream[-1] if stream else self.left[viewer], most)

    def _join(self, viewer: int, after: int | None, most: int) -> int:
        resume = self.room.resume(after, 5, most)
        events = seqs(resume.events) or []
        gap = [] if resume.missing is None else list(range(resume.missing[0], resume.missing[1] + 1))
        if viewer not in self.streams:
            begin = resume.head - len(events) if after is None else min(after, resume.head)
            self.streams[viewer], self.left[viewer] = [], begin
        self.streams[viewer] += gap + events
        self.room.enter(viewer)
        return viewer

    @rule(viewer=viewers)
    def stall(self, viewer: int) -> None:
        self.room.cool(viewer)

    @rule(viewer=viewers)
    def drain(self, viewer: int) -> None:
        gap = self.room.thaw(viewer)
        if gap is not None:
            self.streams[viewer] += range(gap[0], gap[1] + 1)

    @rule(viewer=consumes(viewers))
    def leave(self, viewer: int) -> None:
        self.room.exit(viewer)
        del self.streams[viewer], self.left[viewer]

    @rule(warm=st.integers(0, 12))
    def forget_and_warm(self, warm: int) -> None:
        self.room.forget()
        visible = self.room.visible
        self.room.warm(self.log[max(0, visible - warm) : visible])

    @invariant()
    def the_ring_is_the_end_of_the_log(self) -> None:
        room = self.room
        assert room.head == len(self.log)
        assert 1 <= room.first <= room.visible + 1 <= room.head + 1
        assert room.visible - room.first + 1 <= max(RING, room.visible - room.sent)
        held = self.log[room.first - 1 :]
        assert [entry.event for entry in room.newest(len(held)) + room.batch()] == held
        assert [entry.data for entry in room.newest(len(held)) + room.batch()] == [encode_event(event) for event in held]

    @invariant()
    def ranges_and_gaps_tile_the_log(self) -> None:
        """What a viewer got and what it was told to have missed is the log from its begin on, each number once."""
        assert not self.room.hot & self.room.cold.keys()
        for viewer, stream in self.streams.items():
            begin = self.left[viewer]
            assert stream == list(range(begin + 1, begin + 1 + len(stream)))
            if viewer in self.room.hot:
                assert self.room.sent <= begin + len(stream) <= self.room.visible
            elif viewer in self.room.cold:
                assert begin + len(stream) + 1 == self.room.cold[viewer]


class WatchingTogether(Watching):
    """The same where all viewers are sent everything at once."""

    cohorts = Sizes(1000, 1000)


TestWatching = Watching.TestCase
TestWatchingTogether = WatchingTogether.TestCase


def test_a_notice_of_a_mode_is_the_rooms_own_mode() -> None:
    """A mode with an end leaves the standing mode, one without is the standing mode too; a pace stays until another is set."""
    room: Room[str] = Room("r", "epoch", 0, "open", 10)
    assert room.term() == ("open", 0, "open")
    room.take_mode(Event(seq=1, kind="notice", at_ms=1, notice="mode", room_mode="slow", slow_ms=30_000))
    assert (room.term(), room.slow_ms) == (("slow", 0, "slow"), 30_000)
    room.take_mode(Event(seq=2, kind="notice", at_ms=1, notice="mode", room_mode="shield", until_ms=900))
    assert (room.term(), room.slow_ms) == (("shield", 900, "slow"), 30_000)
    room.take_mode(Event(seq=3, kind="notice", at_ms=1, notice="mode", room_mode="open"))
    assert room.term() == ("open", 0, "open")
