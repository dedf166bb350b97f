"""server/core/inbox.py"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.inbox import FULL, FULL_BYTES, Inbox


class Timer:
    def __init__(self, at_s: float, call: Callable[[], None]) -> None:
        self.at_s = at_s
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Desk:
    """An inbox with a beat of a second, whose time a test moves; ``seen`` is what was looked at, and when."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.seen: list[tuple[float, str, bytes]] = []
        self.timers: list[Timer] = []
        self.beat_s = 1.0
        self.inbox: Inbox[str] = Inbox(
            lambda who, data: self.seen.append((self.now_s, who, data)), self._later, lambda: self.now_s, lambda: self.beat_s
        )

    def _later(self, after_s: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now_s + after_s, call))
        return self.timers[-1]

    @property
    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.cancelled and timer.at_s >= self.now_s]

    def pass_s(self, seconds: float) -> None:
        """Time passes, and timers fire."""
        until_s = self.now_s + seconds
        while due := [timer for timer in self.pending if timer.at_s <= until_s]:
            first = min(due, key=lambda timer: timer.at_s)
            self.now_s = first.at_s
            first.cancelled = True
            first.call()
        self.now_s = until_s

    @property
    def times(self) -> list[float]:
        return [at_s - 100 for at_s, _, _ in self.seen]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_who_speaks_alone_waits_for_nothing(desk: Desk) -> None:
    """Message after message of one connection is looked at as it comes."""
    for _ in range(5):
        desk.inbox.put("a", b"x")
        desk.pass_s(0.1)
    assert desk.times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_a_crowd_is_heard_together(desk: Desk) -> None:
    """The first is heard at once, what comes within a beat after it together, in its order; after a pause it is as at first."""
    for who in "abcab":
        desk.inbox.put(who, who.encode())
        desk.pass_s(0.3)
    desk.pass_s(1)
    assert desk.times == pytest.approx([0, 1, 1, 1, 2])
    assert [who for _, who, _ in desk.seen] == ["a", "b", "c", "a", "b"]
    desk.pass_s(5)
    desk.inbox.put("c", b"")
    assert desk.times[-1] == pytest.approx(desk.now_s - 100)


def test_a_beat_may_become_shorter(desk: Desk) -> None:
    """It counts from the next message on."""
    for who in "ab":
        desk.inbox.put(who, b"")
    desk.pass_s(1)
    desk.beat_s = 0.25
    for who in "abab":
        desk.inbox.put(who, b"")
        desk.pass_s(0.1)
    desk.pass_s(1)
    assert desk.times == pytest.approx([0, 1, 1.25, 1.25, 1.25, 1.5])


@pytest.mark.parametrize(("number", "size"), [(FULL, 1), (4, FULL_BYTES // 4)])
def test_it_is_full_at_its_bounds(desk: Desk, number: int, size: int) -> None:
    """So many messages or bytes are looked at without waiting for the beat, and the timer is taken back."""
    desk.inbox.put("first", b"")
    for index in range(number):
        assert len(desk.seen) == 1
        desk.inbox.put(str(index), b"x" * size)
    assert len(desk.seen) == 1 + number
    assert desk.pending == []
    desk.inbox.put("alone", b"x" * FULL_BYTES)
    assert len(desk.seen) == 2 + number


def test_who_leaves_was_heard(desk: Desk) -> None:
    """What somebody sent before leaving is looked at first, and nothing waits for them."""
    desk.inbox.put("a", b"1")
    desk.inbox.put("b", b"2")
    assert len(desk.seen) == 1
    desk.inbox.forget("b")
    assert [data for _, _, data in desk.seen] == [b"1", b"2"]
    assert desk.pending == []
    desk.pass_s(2)
    desk.inbox.put("c", b"3")
    assert len(desk.seen) == 3, "c speaks alone now"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 2), st.integers(0, FULL_BYTES // 3))))
def test_nothing_is_lost_doubled_or_late(steps: list[tuple[str, float, int]]) -> None:
    """Whatever comes when: each message is looked at once, in order, at most a beat after it came."""
    desk = Desk()
    put: list[tuple[float, str, int]] = []
    for who, pause_s, size in steps:
        put.append((desk.now_s, who, size))
        desk.inbox.put(who, bytes(size))
        desk.pass_s(pause_s)
    desk.pass_s(1)
    assert [(who, len(data)) for _, who, data in desk.seen] == [(who, size) for _, who, size in put]
    assert all(seen[0] - came[0] <= 1 for seen, came in zip(desk.seen, put, strict=True))
    assert desk.pending == []
