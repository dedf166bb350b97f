"""What a room sends to all of its viewers, kept once: this is what makes a viewer cheap and the check of its stream exact.

A server sends one and the same frame to many viewers of an encoding. The first viewer that gets a frame parses it and registers
its bytes under the number of its first event; every other viewer compares what it receives with the frames that may come next (one
``memcmp``; there are several where a server sends to parts of its viewers in turn). Equal bytes are equal events, so that nothing
is taken on trust, and nothing is parsed twice.
Frames that do not match are parsed by whoever gets them.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from loadtest import frames
from loadtest.messages import Echo, Events, Joined, LogEvent, ServerMessage, State, decode
from loadtest.truth import Contents

FRAMES_MAX_BYTES: Final = 128 * 1024 * 1024
"""Bytes of frames kept for comparison; viewers that are further behind parse by themselves."""
_MEMO_MAX: Final = 32
_VARIANTS_MAX: Final = 16
"""Frames that begin with the same number; more are parsed by whoever gets them."""


class Batch:
    """One run of events as one frame brought it to any number of viewers. ``left_out``: numbers between ``first`` and ``last`` that
    the frame does not carry, and says so.

    ``frame`` is the frame as received, header included (empty: this run was not a frame of its own, or is no longer kept).
    ``arrivals[g]`` holds the times, in seconds of the monotonic clock, at which the viewers of group ``g`` had it.
    """

    __slots__ = ("arrivals", "first", "frame", "last", "left_out", "size", "view")

    def __init__(self, first: int, last: int, frame: bytes, groups: int, left_out: frozenset[int] = frozenset()) -> None:
        self.first = first
        self.last = last
        self.left_out = left_out
        self.size = len(frame)
        self.arrivals = [array("d") for _ in range(groups)]
        self.keep(frame)

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: without the frame, which nobody will receive there."""
        return _batch_of, (self.first, self.last, self.left_out, self.size, self.arrivals)

    def keep(self, frame: bytes) -> None:
        """Keep these bytes for comparison; empty: no longer."""
        self.frame = frame
        self.view = memoryview(frame)

    @property
    def count(self) -> int:
        """Events of the batch."""
        return self.last - self.first + 1 - len(self.left_out)

    @property
    def numbers(self) -> Iterable[int]:
        """Numbers of the events of the batch."""
        numbers = range(self.first, self.last + 1)
        return [seq for seq in numbers if seq not in self.left_out] if self.left_out else numbers


def _batch_of(first: int, last: int, left_out: frozenset[int], size: int, arrivals: list[array[float]]) -> Batch:
    batch = Batch(first, last, b"", 0, left_out)
    batch.size, batch.arrivals = size, arrivals
    return batch


class Feed:
    """One room in one encoding, as seen by all clients of this process.

    ``groups`` divides the viewers whose arrivals are kept apart. ``expected`` maps the number that a viewer needs next to the
    batches whose frames begin with it. ``contents`` may be shared by several feeds of a room.
    """

    def __init__(self, room: str, contents: Contents | None = None, groups: int = 1) -> None:
        self.room = room
        self.groups = groups
        self.contents = contents if contents is not None else Contents()
        self.expected: dict[int, list[Batch]] = {}
        self.batches: list[Batch] = []
        self.parsed = 0
        """Frames with events that were parsed, not recognised."""
        self._kept: deque[Batch] = deque()
        self._kept_bytes = 0
        self._memo: dict[bytes, ServerMessage] = {}

    def decode(self, payload: bytes, *, deflated: bool) -> ServerMessage:
        """A message of the server; those that many viewers get alike are parsed once. Raises ValueError, ProtocolError."""
        known = self._memo.get(payload)
        if known is not None:
            return known
        message = decode(frames.inflate(payload) if deflated else payload)
        if isinstance(message, Events | Echo | Joined):
            for event in message.events:
                self.contents.add(event)
        if isinstance(message, Joined | State):
            if len(self._memo) >= _MEMO_MAX:
                self._memo.clear()
            self._memo[payload] = message
        return message

    def batch(self, message: Events, frame: bytes) -> list[Batch]:
        """The runs of contiguous events of a received frame, in order; new ones are registered. A frame that says what it leaves out
        is one run. Raises ProtocolError where it does not say so exactly."""
        self.parsed += 1
        runs = split_runs(message.events)
        left_out: frozenset[int] = frozenset()
        if message.left_out:
            left_out = _left_out(message)
            runs = [(message.first, message.last)]
        elif len(runs) != 1:
            return [self._register(Batch(first, last, b"", self.groups)) for first, last in runs]
        first, last = runs[0]
        for known in self.expected.get(first, ()):
            if known.frame == frame:
                return [known]
        return [self._register(Batch(first, last, frame, self.groups, left_out))]

    def _register(self, batch: Batch) -> Batch:
        self.batches.append(batch)
        variants = self.expected.setdefault(batch.first, []) if batch.frame else []
        if len(variants) >= _VARIANTS_MAX:
            batch.keep(b"")
        elif batch.frame:
            variants.append(batch)
            self._kept.append(batch)
            self._kept_bytes += batch.size
            while self._kept_bytes > FRAMES_MAX_BYTES:
                oldest = self._kept.popleft()
                self._kept_bytes -= oldest.size
                self.expected[oldest.first].remove(oldest)
                if not self.expected[oldest.first]:
                    del self.expected[oldest.first]
                oldest.keep(b"")
        return batch


def _left_out(message: Events) -> frozenset[int]:
    """The numbers that a frame does not carry, which it must count exactly."""
    numbers = [event.seq for event in message.events]
    missing = frozenset(range(message.first, message.last + 1)).difference(numbers)
    ordered = numbers == sorted(set(numbers)) and (not numbers or message.first <= numbers[0] <= numbers[-1] <= message.last)
    if not ordered or len(missing) != message.left_out:
        raise frames.ProtocolError(
            f"a frame for {message.first} to {message.last} with {len(numbers)} events says that it leaves out {message.left_out}"
        )
    return missing


def split_runs(events: list[LogEvent]) -> list[tuple[int, int]]:
    """Runs of numbers that count up by one, as (first, last), in the order in which they stand."""
    runs: list[tuple[int, int]] = []
    for event in events:
        if runs and event.seq == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], event.seq)
        else:
            runs.append((event.seq, event.seq))
    return runs
