"""Frames that all viewers get alike: parsed once, recognised by their bytes."""

from __future__ import annotations

import pytest

from loadtest import feed as feed_module
from loadtest.feed import Feed, split_runs
from loadtest.messages import Events, Joined
from server.core.frames import deflated_frame, text_frame
from server.wire import Event, encode_event, encode_events, encode_gap, encode_joined
from tests.loadtest.support import comment


def payload(*numbers: int) -> bytes:
    return encode_events("demo", [encode_event(Event(seq=seq, kind="comment", at_ms=1, text=f"t{seq}")) for seq in numbers])


def test_a_frame_is_registered_once() -> None:
    """The first viewer registers a frame under its first number; the same bytes give the same batch again."""
    feed = Feed("demo")
    frame = text_frame(payload(1, 2, 3))
    message = feed.decode(payload(1, 2, 3), deflated=False)
    assert isinstance(message, Events)
    [batch] = feed.batch(message, frame)
    assert (batch.first, batch.last, batch.count, batch.size, batch.frame) == (1, 3, 3, len(frame), frame)
    assert feed.batch(message, frame) == [batch]
    assert feed.expected == {1: [batch]}
    assert (feed.batches, feed.parsed) == ([batch], 2)
    assert feed.contents.events[2].text == "t2"


def test_another_frame_from_the_same_number_on() -> None:
    """A frame that begins alike and is not the same is a batch of its own; any of them may be what a viewer gets."""
    feed = Feed("demo")
    messages = [(Events("demo", [comment(1)]), b"one"), (Events("demo", [comment(1), comment(2)]), b"two")]
    [first], [second] = (feed.batch(*each) for each in messages)
    assert feed.expected == {1: [first, second]}
    assert [feed.batch(*each) for each in messages] == [[first], [second]]
    assert feed.batches == [first, second]


def test_frames_that_begin_alike_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound they are batches that nobody recognises."""
    monkeypatch.setattr(feed_module, "_VARIANTS_MAX", 2)
    feed = Feed("demo")
    for number in range(4):
        feed.batch(Events("demo", [comment(1)]), b"%d" % number)
    assert [batch.frame for batch in feed.expected[1]] == [b"0", b"1"]
    assert len(feed.batches) == 4


def test_a_frame_with_a_hole_is_no_frame_to_expect() -> None:
    """Numbers that do not count up make several runs, none of which is recognised by bytes."""
    feed = Feed("demo")
    batches = feed.batch(Events("demo", [comment(1), comment(2), comment(5)]), b"frame")
    assert [(batch.first, batch.last, batch.frame) for batch in batches] == [(1, 2, b""), (5, 5, b"")]
    assert feed.expected == {}


@pytest.mark.parametrize(
    ("numbers", "runs"),
    [([], []), ([4], [(4, 4)]), ([1, 2, 3], [(1, 3)]), ([1, 3, 2], [(1, 1), (3, 3), (2, 2)]), ([2, 2], [(2, 2), (2, 2)])],
)
def test_split_runs(numbers: list[int], runs: list[tuple[int, int]]) -> None:
    """Runs are what counts up by one."""
    assert split_runs([comment(seq) for seq in numbers]) == runs


def test_deflated_messages_are_inflated() -> None:
    """The same message is read from its compressed form."""
    feed = Feed("demo")
    frame = deflated_frame(payload(*range(1, 40)), 6)
    message = feed.decode(frame[4:], deflated=True)
    assert isinstance(message, Events)
    assert len(message.events) == 39


def test_common_messages_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that many get alike gives the same object; the memory for it is bounded."""
    monkeypatch.setattr(feed_module, "_MEMO_MAX", 2)
    feed = Feed("demo")
    joined = [encode_joined("demo", "e", head, {}, [], "/p") for head in range(3)]
    first = feed.decode(joined[0], deflated=False)
    assert isinstance(first, Joined)
    assert feed.decode(joined[0], deflated=False) is first
    for data in joined[1:]:
        feed.decode(data, deflated=False)
    assert feed.decode(joined[0], deflated=False) is not first
    gap = encode_gap("demo", 1, 2, "/p")
    assert feed.decode(gap, deflated=False) is not feed.decode(gap, deflated=False)


def test_old_frames_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound the feed forgets the bytes of the oldest frames, and keeps their arrivals."""
    monkeypatch.setattr(feed_module, "FRAMES_MAX_BYTES", 250)
    feed = Feed("demo", groups=2)
    for seq in (1, 2, 3):
        feed.batch(Events("demo", [comment(seq)]), bytes(100))
    assert sorted(feed.expected) == [2, 3]
    assert [len(batch.frame) for batch in feed.batches] == [0, 100, 100]
    assert [batch.size for batch in feed.batches] == [100, 100, 100]
    assert [len(batch.arrivals) for batch in feed.batches] == [2, 2, 2]
