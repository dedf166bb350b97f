"""What must be true of a room after any load and any fault, checked from outside. Pure: evidence in, violations out.

The evidence is what clients saw and kept: the answers to their comments, the numbers each viewer received and the gaps that
it was told of, the content of what was live, the log as the history interface gives it, and the rows of the static pages.
The server's word is taken for nothing: each of these is held against the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loadtest.ledger import Submission
from loadtest.messages import LogEvent, PageRow
from server.wire import page_number

RULES: Final = {
    "ack_lost": "an acknowledged comment is in the log, under the acknowledged number",
    "ack_altered": "an acknowledged comment stands in the log with the author and the text that were sent",
    "ack_shared": "no two comments are acknowledged under one number",
    "answer_changed": "the answers to one key never contradict each other",
    "log_doubled": "no comment is in the log more often than it was sent under different keys",
    "log_foreign": "the log has no comment of our senders that was refused, held or never sent",
    "log_hole": "the log's numbers are contiguous and in order",
    "page_missing": "every event of the log is on its static page",
    "page_extra": "the static pages have no row that the log does not have, and none twice",
    "page_differs": "a row says what the log says",
    "live_not_in_log": "what was live is in the log",
    "live_not_static": "what was live is on the static pages",
    "live_differs": "what was live is what the log says, the same for all viewers",
    "stream_double": "a viewer gets no event twice and none out of order",
    "stream_hole": "a viewer misses nothing but what a gap announced",
    "sample_unfair": "live frames leave out nothing but comments: removals and notices come whatever else does not",
    "echo_lost": "authors get their own comments, and nobody else's beside the frames, whatever is left out",
    "stream_short": "a viewer that stays gets everything up to the log's end",
    "gap_inexact": "a gap begins after what the viewer got last and ends before what it gets next",
    "removal_lost": "a removal that was confirmed is in the log, and its comment is a tombstone there",
    "epoch_changed": "the log's epoch stays",
    "protocol_broken": "the server keeps RFC 6455 and its own protocol",
    "log_went_back": "a log never ends before what a viewer has received of it",
}
"""Every rule, as a sentence that must hold."""


class Violation(NamedTuple):
    """A rule of :data:`RULES` that does not hold, and where."""

    rule: str
    detail: str


class Stream:
    """The numbers that one viewer received over all its connections, and the gaps that it was told of.

    A run of numbers without a hole costs nothing: ``next`` is the number that must come next, and the hot path of the
    generator moves it by itself when a batch begins there. ``received`` lists runs, both ends included. A hole is legal only
    when a gap message names it exactly, before it or right after it. What a frame says to leave out is no hole: ``left_out`` lists
    it frame by frame (each set is one object for all viewers), ``echoes`` are the own comments that came beside frames.
    """

    __slots__ = ("_holes", "_runs", "_start", "echoes", "epoch", "gaps", "left_out", "name", "next", "violations")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = ""
        self.next = 0
        self._start = 0
        self._runs: list[tuple[int, int]] = []
        self._holes: dict[tuple[int, int], bool] = {}  # hole -> it stood in front of a joined message's events
        self.gaps: list[tuple[int, int]] = []
        self.left_out: list[frozenset[int]] = []
        self.echoes: set[int] = set()
        self.violations: list[Violation] = []

    @property
    def last(self) -> int:
        """The last number that this viewer has or knows to have missed; its ``since`` when it comes back."""
        return self.next - 1

    @property
    def received(self) -> list[tuple[int, int]]:
        """Runs of received numbers, oldest first."""
        return [*self._runs, (self._start, self.next - 1)] if self.next > self._start else list(self._runs)

    def joined(self, epoch: str, head: int, first: int, last: int) -> None:
        """A join was answered, with events ``first`` to ``last`` (0, 0: none). After it the viewer stands at ``head``."""
        if self.epoch and epoch != self.epoch:
            self.violate("epoch_changed", f"{self.epoch} became {epoch}")
        if not self.epoch:
            self.epoch = epoch
            self._start = self.next = first or head + 1
        if first:
            self.receive(first, last, in_join=True)
        if self.next <= head:
            self._skip(head + 1, in_join=True)
        elif self.next > head + 1:
            self.violate("log_went_back", f"had {self.next - 1}, the room stands at {head}")

    def receive(self, first: int, last: int, *, in_join: bool = False) -> None:
        """Events ``first`` to ``last`` came, in order and without a hole among themselves."""
        if first < self.next:
            self.violate("stream_double", f"{first} to {last} came after {self.next - 1}")
            self.next = max(self.next, last + 1)
            return
        if first > self.next:
            self._skip(first, in_join=in_join)
        self.next = last + 1

    def _skip(self, to: int, *, in_join: bool) -> None:
        self._holes[self.next, to - 1] = in_join
        self._leave_out(to)

    def _leave_out(self, to: int) -> None:
        if self.next > self._start:
            self._runs.append((self._start, self.next - 1))
        self._start = self.next = to

    def gap(self, first: int, last: int) -> None:
        """The server announced that ``first`` to ``last`` were not sent."""
        self.gaps.append((first, last))
        if self._holes.pop((first, last), None) is not None:
            return
        if first == self.next and last >= first:
            self._leave_out(last + 1)
            return
        self.violate("gap_inexact", f"gap {first} to {last} after {self.next - 1}")

    def missed(self, numbers: frozenset[int]) -> None:
        """The frame that was received last says that it leaves these out."""
        self.left_out.append(numbers)

    def echo(self, seq: int, author: str) -> None:
        """A comment came beside the frames, since the next one leaves it out."""
        if author != self.name:
            self.violate("echo_lost", f"got {seq} of {author} as if it were its own")
        self.echoes.add(seq)

    def cut(self) -> None:
        """The connection ended. A gap that belongs to the last join may have been under way: the viewer sees it by itself."""
        for hole, in_join in list(self._holes.items()):
            if in_join and hole[1] >= self._start - 1:
                self.gaps.append(hole)
                del self._holes[hole]

    def violate(self, rule: str, detail: str) -> None:
        """Something was wrong with what this viewer received; ``rule`` is one of :data:`RULES`."""
        self.violations.append(Violation(rule, f"{self.name}: {detail}"))

    def check(self, head: int | None) -> Iterator[Violation]:
        """Everything that was wrong with this stream; ``head``: where it must have arrived (None: it was cut, no matter)."""
        yield from self.violations
        for first, last in self._holes:
            yield Violation("stream_hole", f"{self.name}: {first} to {last} never came, and no gap said so")
        if head is not None and self.next != head + 1:
            yield Violation("stream_short", f"{self.name}: stands at {self.next - 1}, the log at {head}")


class Contents:
    """What the events that any viewer received say, by number; kept once for all viewers of a room."""

    def __init__(self) -> None:
        self.events: dict[int, LogEvent] = {}
        self.violations: list[Violation] = []

    def add(self, event: LogEvent) -> None:
        """Take an event as a viewer received it; two viewers must not see two different things under one number."""
        known = self.events.get(event.seq)
        if known is None:
            self.events[event.seq] = event
        elif known != event and not _same_but_for_removal(known, event):
            self.violations.append(Violation("live_differs", f"event {event.seq} was shown in two forms"))


def _same_but_for_removal(one: LogEvent, other: LogEvent) -> bool:
    """A comment and its tombstone are one event at two times."""
    return (one.seq, one.kind, one.at_ms) == (other.seq, other.kind, other.at_ms) and (
        one.removed is not None or other.removed is not None
    )


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that is known of one room after a run.

    ``log`` holds the events from number ``first`` on, ``pages`` the rows from there on (None: pages were not read).
    ``same_text(sent, logged)`` says whether the log may show ``logged`` for ``sent``. ``streams`` that are in ``cut`` ended
    before the log did. ``closed_world``: nobody but our senders posted in the room after ``first``; else only what bears one
    of their names is held against them. ``removals`` are confirmed ones, as (comment, removal).
    """

    log: Sequence[LogEvent]
    pages: Sequence[PageRow] | None = None
    submissions: Sequence[Submission] = ()
    answer_faults: Sequence[str] = ()
    streams: Sequence[Stream] = ()
    cut: frozenset[str] = frozenset()
    contents: Contents = field(default_factory=Contents)
    first: int = 1
    epoch: str = ""
    closed_world: bool = True
    removals: Sequence[tuple[int, int]] = ()
    same_text: Callable[[str, str], bool] = str.__eq__


def same_or_masked(sent: str, logged: str) -> bool:
    """The log may show a text with some of its characters masked by the screening."""
    return len(sent) == len(logged) and all(shown in (char, "*") for char, shown in zip(sent, logged, strict=True))


def check(evidence: Evidence) -> list[Violation]:
    """Every violation that the evidence shows; an empty list is the proof that it shows none."""
    by_seq = {event.seq: event for event in evidence.log}
    return [
        *_check_log(evidence),
        *_check_answers(evidence, by_seq),
        *_check_senders(evidence),
        *_check_removals(evidence, by_seq),
        *_check_live(evidence, by_seq),
        *_check_pages(evidence, by_seq),
        *_check_streams(evidence),
        *_check_left_out(evidence, by_seq),
    ]


def summary(violations: Iterable[Violation]) -> dict[str, int]:
    """Violations by rule."""
    return dict(Counter(violation.rule for violation in violations))


def _check_log(evidence: Evidence) -> Iterator[Violation]:
    expected = evidence.first
    for event in evidence.log:
        if event.seq != expected:
            yield Violation("log_hole", f"{event.seq} stands where {expected} should")
        expected = event.seq + 1


def _check_answers(evidence: Evidence, by_seq: dict[int, LogEvent]) -> Iterator[Violation]:
    for fault in evidence.answer_faults:
        yield Violation("answer_changed", fault)
    taken: dict[int, str] = {}
    for submission in evidence.submissions:
        if submission.outcome != "acked":
            continue
        if submission.seq in taken:
            yield Violation("ack_shared", f"{submission.seq} was given to {taken[submission.seq]} and to {submission.key}")
        taken[submission.seq] = submission.key
        event = by_seq.get(submission.seq)
        if event is None or event.kind != "comment":
            yield Violation("ack_lost", f"{submission.key}, acknowledged as {submission.seq}, is not in the log")
        elif event.removed is None and (
            event.author.name != submission.author or not evidence.same_text(submission.text, event.text)
        ):
            yield Violation("ack_altered", f"{submission.key}, acknowledged as {submission.seq}, is another comment in the log")


def _check_senders(evidence: Evidence) -> Iterator[Violation]:
    """Comments of the log that no acknowledgement explains must be ones whose outcome our senders do not know."""
    if not evidence.submissions:
        return
    acked = {submission.seq for submission in evidence.submissions if submission.outcome == "acked"}
    sent: dict[str, list[Submission]] = {}
    for submission in evidence.submissions:
        if submission.tries:
            sent.setdefault(submission.author, []).append(submission)
    used: set[str] = set()
    for event in evidence.log:
        if event.kind != "comment" or event.removed is not None or event.seq in acked:
            continue
        if not evidence.closed_world and event.author.name not in sent:
            continue
        own = [each for each in sent.get(event.author.name, ()) if evidence.same_text(each.text, event.text)]
        unknown = next((each for each in own if each.outcome == "open" and each.key not in used), None)
        if unknown is not None:
            used.add(unknown.key)
        elif any(each.outcome in {"acked", "open"} for each in own):
            yield Violation("log_doubled", f"event {event.seq} of {event.author.name} is a second copy")
        else:
            yield Violation("log_foreign", f"event {event.seq} of {event.author.name} was not accepted from any sender")


def _check_removals(evidence: Evidence, by_seq: dict[int, LogEvent]) -> Iterator[Violation]:
    for target, seq in evidence.removals:
        comment, removal = by_seq.get(target), by_seq.get(seq)
        if removal is None or removal.kind != "removal" or removal.target != target:
            yield Violation("removal_lost", f"removal {seq} of {target} is not in the log")
        elif comment is None or comment.removed is None:
            yield Violation("removal_lost", f"comment {target} is shown in the log after removal {seq}")


def _check_live(evidence: Evidence, by_seq: dict[int, LogEvent]) -> Iterator[Violation]:
    yield from evidence.contents.violations
    static = {row.seq for row in evidence.pages or ()}
    for seq, event in sorted(evidence.contents.events.items()):
        if seq < evidence.first:
            continue
        logged = by_seq.get(seq)
        if logged is None:
            yield Violation("live_not_in_log", f"event {seq} was live")
        elif logged != event and not _same_but_for_removal(event, logged):
            yield Violation("live_differs", f"event {seq} was live in another form than the log has")
        if evidence.pages is not None and seq not in static:
            yield Violation("live_not_static", f"event {seq} was live and is on no page")


def _check_pages(evidence: Evidence, by_seq: dict[int, LogEvent]) -> Iterator[Violation]:
    if evidence.pages is None:
        return
    seen: set[int] = set()
    before = 0
    for row in evidence.pages:
        if row.seq in seen or row.seq < before:
            yield Violation("page_extra", f"row {row.seq} stands twice or out of order")
        seen.add(row.seq)
        before = row.seq
        event = by_seq.get(row.seq)
        if event is None:
            yield Violation("page_extra", f"row {row.seq} is not in the log")
        elif row.page != page_number(row.seq) or not _row_says(row, event):
            yield Violation("page_differs", f"row {row.seq} on page {row.page}")
    for seq in by_seq:
        if seq not in seen:
            yield Violation("page_missing", f"event {seq}")


def _row_says(row: PageRow, event: LogEvent) -> bool:
    if event.kind != "comment":
        return True  # the words for removals and notices are the page's own
    if event.removed is not None:
        return row.removed
    return not row.removed and row.text == event.text and row.author == event.author.name


def _check_streams(evidence: Evidence) -> Iterator[Violation]:
    head = evidence.log[-1].seq if evidence.log else evidence.first - 1
    for stream in evidence.streams:
        yield from stream.check(None if stream.name in evidence.cut else head)
        if evidence.epoch and stream.epoch and stream.epoch != evidence.epoch:
            yield Violation("epoch_changed", f"{stream.name}: {stream.epoch}, now {evidence.epoch}")


def _check_left_out(evidence: Evidence, by_seq: dict[int, LogEvent]) -> Iterator[Violation]:
    """What live frames left out is for nobody to miss: it is no decision, and its author has it all the same."""
    own: dict[str, set[int]] = {}
    for submission in evidence.submissions:
        if submission.outcome == "acked":
            own.setdefault(submission.author, set()).add(submission.seq)
    looked_at: set[int] = set()
    for stream in evidence.streams:
        for numbers in stream.left_out:
            mine = own.get(stream.name)
            for seq in sorted((numbers & mine) - stream.echoes) if mine else ():
                event = by_seq.get(seq)
                if event is not None and event.removed is None:  # a tombstone has no author any more
                    yield Violation("echo_lost", f"{stream.name}: its own {seq} was left out")
            if id(numbers) not in looked_at:
                looked_at.add(id(numbers))
                for seq in sorted(numbers):
                    kind = by_seq[seq].kind if seq in by_seq else "no event"
                    if kind != "comment":
                        yield Violation("sample_unfair", f"{seq}, a {kind}, was left out")
