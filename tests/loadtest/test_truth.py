"""The checker is shown every kind of lie, each planted into evidence that is true without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.ledger import Ledger
from loadtest.messages import Ack, LogEvent, Refused
from loadtest.truth import RULES, Contents, Evidence, Stream, Violation, check, same_or_masked, summary
from tests.loadtest.support import acked, comment, row, tombstone

LAST = 300  # two pages


def true_evidence() -> Evidence:
    """A room in which everything is as it should be: 300 comments, two viewers, one of them with a gap."""
    ledger = Ledger()
    log = [comment(seq) for seq in range(1, LAST + 1)]
    for event in log:
        acked(ledger, event.seq)
    full, gapped = Stream("full"), Stream("gapped")
    contents = Contents()
    for stream in (full, gapped):
        stream.joined("e", 0, 0, 0)
    for event in log:
        contents.add(event)
        full.receive(event.seq, event.seq)
    gapped.receive(1, 100)
    gapped.gap(101, 150)
    gapped.receive(151, LAST)
    return Evidence(
        log=log,
        pages=[row(event) for event in log],
        submissions=list(ledger),
        streams=[full, gapped],
        contents=contents,
        epoch="e",
    )


def rules(evidence: Evidence) -> set[str]:
    return {violation.rule for violation in check(evidence)}


def test_truth_passes() -> None:
    """Evidence without a fault shows no violation."""
    assert check(true_evidence()) == []


def swap(items: list[LogEvent]) -> list[LogEvent]:
    return [*items[:10], items[11], items[10], *items[12:]]


LIES: list[tuple[str, Callable[[Evidence], Evidence]]] = [
    ("ack_lost", lambda e: replace(e, log=[comment(LAST + 1, "other", "bob"), *e.log[1:]])),
    ("ack_altered", lambda e: replace(e, log=[comment(1, "changed"), *e.log[1:]])),
    ("ack_altered", lambda e: replace(e, log=[comment(1, author="bob"), *e.log[1:]])),
    ("log_hole", lambda e: replace(e, log=[*e.log[:10], *e.log[11:]])),
    ("log_hole", lambda e: replace(e, log=swap(list(e.log)))),
    ("log_hole", lambda e: replace(e, log=[*e.log[:10], *e.log[9:]])),
    ("log_doubled", lambda e: replace(e, log=[*e.log, comment(LAST + 1, "text 5")])),
    ("log_foreign", lambda e: replace(e, log=[*e.log, comment(LAST + 1, "never sent")])),
    ("log_foreign", lambda e: replace(e, log=[*e.log, comment(LAST + 1, "hello", "stranger")])),
    ("page_missing", lambda e: replace(e, pages=(e.pages or [])[:-1])),
    ("live_not_static", lambda e: replace(e, pages=(e.pages or [])[:-1])),
    ("page_extra", lambda e: replace(e, pages=[*(e.pages or []), row(comment(LAST + 1))])),
    ("page_extra", lambda e: replace(e, pages=[*(e.pages or []), row(comment(1))])),
    ("page_differs", lambda e: replace(e, pages=[row(comment(1, "changed")), *(e.pages or [])[1:]])),
    ("page_differs", lambda e: replace(e, pages=[row(comment(1, author="bob")), *(e.pages or [])[1:]])),
    ("page_differs", lambda e: replace(e, pages=[row(tombstone(comment(1), 2)), *(e.pages or [])[1:]])),
    ("live_not_in_log", lambda e: replace(e, log=e.log[:-1])),
    ("live_differs", lambda e: replace(e, log=[comment(1, pos_ms=77), *e.log[1:]])),
    ("stream_short", lambda e: replace(e, log=[*e.log, comment(LAST + 1)])),
    ("epoch_changed", lambda e: replace(e, epoch="another")),
    ("answer_changed", lambda e: replace(e, answer_faults=["said two things"])),
]


@pytest.mark.parametrize(("rule", "lie"), LIES)
def test_lies_about_log_and_pages(rule: str, lie: Callable[[Evidence], Evidence]) -> None:
    """Whatever is lost, doubled, altered, added or moved in log, pages or answers is found under its rule."""
    assert rule in rules(lie(true_evidence()))


@pytest.mark.parametrize(
    ("rule", "lie"),
    [
        ("stream_double", lambda s: s.receive(LAST, LAST)),
        ("stream_double", lambda s: s.receive(5, 5)),
        ("stream_hole", lambda s: s.receive(LAST + 2, LAST + 2)),
        ("gap_inexact", lambda s: (s.gap(LAST + 2, LAST + 3), s.receive(LAST + 4, LAST + 4))),
        ("gap_inexact", lambda s: (s.receive(LAST + 5, LAST + 5), s.gap(LAST + 1, LAST + 3))),
        ("gap_inexact", lambda s: s.gap(1, 5)),
        ("gap_inexact", lambda s: s.gap(LAST + 1, LAST)),
        ("stream_double", lambda s: (s.gap(LAST + 1, LAST + 3), s.receive(LAST + 3, LAST + 4))),
        ("epoch_changed", lambda s: s.joined("other", LAST, 0, 0)),
        ("log_went_back", lambda s: s.joined("e", LAST - 1, 0, 0)),
        ("protocol_broken", lambda s: s.violate("protocol_broken", "binary frame")),
        ("stream_short", lambda s: s.receive(LAST + 1, LAST + 1)),
    ],
)
def test_lies_to_a_viewer(rule: str, lie: Callable[[Stream], object]) -> None:
    """What a viewer gets twice, out of order, not at all, or with a wrong gap is found under its rule."""
    evidence = true_evidence()
    lie(evidence.streams[0])
    assert rule in rules(evidence)


def test_two_forms_of_one_event() -> None:
    """Two viewers that are shown different things under one number are found; the same thing twice is none."""
    evidence = true_evidence()
    evidence.contents.add(comment(7))
    assert check(evidence) == []
    evidence.contents.add(comment(7, "for you alone"))
    assert rules(evidence) == {"live_differs"}


def test_one_number_for_two_comments() -> None:
    """Two comments that are acknowledged under one number are found."""
    evidence = true_evidence()
    ledger = Ledger()
    other = ledger.add("ann", "other", "text 1")
    ledger.sent(other, 1.0)
    ledger.answer(Ack("demo", "other", 1), 1.0)
    evidence.submissions = [*evidence.submissions, other]
    assert rules(evidence) == {"ack_shared"}


def test_unknown_outcome() -> None:
    """A comment whose answer never came may be in the log once or not at all, and no more than once."""
    ledger = Ledger()
    ledger.sent(ledger.add("ann", "k", "maybe"), 1.0)
    evidence = Evidence(log=[], submissions=list(ledger))
    assert check(evidence) == []
    evidence.log = [comment(1, "maybe")]
    assert check(evidence) == []
    evidence.log = [comment(1, "maybe"), comment(2, "maybe")]
    assert rules(evidence) == {"log_doubled"}


def test_refused_is_not_in_the_log() -> None:
    """A comment that was refused for good, or never sent, must not be in the log."""
    ledger = Ledger()
    ledger.sent(ledger.add("ann", "k", "bad"), 1.0)
    ledger.add("ann", "unsent", "thought better of it")
    ledger.answer(Refused("demo", "k", "banned_content"), 1.0)
    assert rules(Evidence(log=[comment(1, "bad")], submissions=list(ledger))) == {"log_foreign"}
    assert rules(Evidence(log=[comment(1, "thought better of it")], submissions=list(ledger))) == {"log_foreign"}


def test_others_may_post_in_an_open_world() -> None:
    """With ``closed_world`` off, comments of strangers are nothing; doubles of our own still are."""
    evidence = true_evidence()
    evidence.closed_world = False
    stranger = comment(LAST + 1, "hello", "stranger")
    evidence.log = [*evidence.log, stranger]
    evidence.pages = [*(evidence.pages or []), row(stranger)]
    assert rules(evidence) == {"stream_short"}
    evidence.log = [*evidence.log[:-1], comment(LAST + 1, "text 5")]
    assert "log_doubled" in rules(evidence)


def test_removed_comments() -> None:
    """A comment that was live, and is a tombstone in the log and on the page, is no lie; one that still shows its text is."""
    evidence = true_evidence()
    grave = tombstone(comment(1), 2)
    evidence.log = [grave, *evidence.log[1:]]
    evidence.pages = [row(grave), *(evidence.pages or [])[1:]]
    assert check(evidence) == []
    evidence.contents.add(grave)
    assert check(evidence) == []
    evidence.pages = [row(comment(1)), *evidence.pages[1:]]
    assert rules(evidence) == {"page_differs"}


def test_records_on_pages_have_words_of_their_own() -> None:
    """The row of a removal is there, whatever its words."""
    removal = LogEvent(seq=1, kind="removal", at_ms=5, target=9)
    assert check(Evidence(log=[removal], pages=[row(removal)])) == []
    assert rules(Evidence(log=[removal], pages=[])) == {"page_missing"}


def test_events_before_the_run_do_not_count() -> None:
    """What viewers got of the room's past when they joined is not held against the log from ``first`` on."""
    contents = Contents()
    contents.add(comment(5))
    stream = Stream("late")
    stream.joined("e", 5, 5, 5)
    stream.receive(6, 6)
    assert check(Evidence(log=[comment(6)], streams=[stream], contents=contents, first=6)) == []


def test_viewers_that_left_need_not_reach_the_end() -> None:
    """A stream that was cut before the log ended is no short one."""
    evidence = true_evidence()
    evidence.log = [*evidence.log, comment(LAST + 1, "text 301")]
    evidence.cut = frozenset({"full", "gapped"})
    evidence.pages, evidence.submissions = None, []
    assert check(evidence) == []


def test_gap_after_the_events_that_follow_it() -> None:
    """A join may show its events first and name the gap before them right after."""
    stream = Stream("v")
    stream.joined("e", 10, 0, 0)
    stream.joined("e", 50, 41, 50)
    stream.gap(11, 40)
    assert list(stream.check(50)) == []
    assert (stream.received, stream.gaps, stream.last) == ([(41, 50)], [(11, 40)], 50)


def test_cut_between_join_and_gap() -> None:
    """A viewer that is cut off before the gap message of its join sees the hole by its numbers: it counts as told."""
    stream = Stream("v")
    stream.joined("e", 10, 1, 10)
    stream.joined("e", 50, 41, 50)
    stream.cut()
    assert list(stream.check(None)) == []
    assert (stream.received, stream.gaps) == ([(1, 10), (41, 50)], [(11, 40)])


def test_cut_with_a_hole_amid_live_events() -> None:
    """A hole between live frames is no such thing: it stays a violation."""
    stream = Stream("v")
    stream.joined("e", 10, 1, 10)
    stream.receive(12, 12)
    stream.cut()
    assert [violation.rule for violation in stream.check(None)] == ["stream_hole"]


def test_join_without_events_behind_the_head() -> None:
    """A viewer that comes back to an empty ring is told of all it missed as a gap."""
    stream = Stream("v")
    stream.joined("e", 10, 1, 10)
    stream.joined("e", 20, 0, 0)
    stream.gap(11, 20)
    stream.receive(21, 21)
    assert list(stream.check(21)) == []


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=30))
def test_any_honest_stream_passes(pieces: list[tuple[int, bool]]) -> None:
    """Any sequence of batches and exact gaps is legal, and everything is either received or in a gap."""
    stream = Stream("v")
    stream.joined("e", 0, 0, 0)
    last = 0
    for count, skipped in pieces:
        (stream.gap if skipped else stream.receive)(last + 1, last + count)
        last += count
    assert list(stream.check(last)) == []
    covered = sorted(number for first, end in [*stream.received, *stream.gaps] for number in range(first, end + 1))
    assert covered == list(range(1, last + 1))


def test_same_or_masked() -> None:
    """Masks may stand for characters and for nothing else."""
    assert same_or_masked("abc", "a*c")
    assert same_or_masked("abc", "abc")
    assert not same_or_masked("abc", "abd")
    assert not same_or_masked("abc", "ab")


def test_summary_counts_by_rule() -> None:
    """Violations are counted under their rules, and every rule that can be broken has a sentence."""
    found = [Violation("log_hole", "a"), Violation("log_hole", "b")]
    assert summary(found) == {"log_hole": 2}
    assert {rule for rule, _ in LIES} <= set(RULES)


def test_removals_stay() -> None:
    """A confirmed removal must be in the log, and its comment a tombstone."""
    removal = LogEvent(seq=2, kind="removal", at_ms=1002, target=1)
    grave = tombstone(comment(1), 2)
    pages = [row(grave), row(removal)]
    assert check(Evidence(log=[grave, removal], pages=pages, removals=[(1, 2)])) == []
    for log, claimed in (([comment(1), removal], (1, 2)), ([grave, removal], (1, 7)), ([grave, removal], (5, 2))):
        evidence = Evidence(log=log, removals=[claimed])
        assert rules(evidence) == {"removal_lost"}


def sampled_evidence(*, echo: bool = True, kind: str = "comment") -> Evidence:
    """Four events, of which frames left 2 and 3 out at two viewers; ann, who is one of them, wrote all comments."""
    log = [comment(1), comment(2), comment(3) if kind == "comment" else LogEvent(seq=3, kind=kind, at_ms=1003), comment(4)]
    ledger = Ledger()
    for event in log:
        if event.kind == "comment":
            acked(ledger, event.seq)
    ann, reader = Stream("ann"), Stream("reader")
    left_out = frozenset({2, 3})
    for stream in (ann, reader):
        stream.joined("e", 0, 0, 0)
        stream.receive(1, 4)
        stream.missed(left_out)
    if echo:
        for seq in (2, 3) if kind == "comment" else (2,):
            ann.echo(seq, "ann")
    return Evidence(log=log, pages=[row(event) for event in log], submissions=list(ledger), streams=[ann, reader], epoch="e")


def test_what_frames_leave_out_is_no_hole() -> None:
    """A reader may miss comments that a frame counts, and authors have theirs beside the frame."""
    assert check(sampled_evidence()) == []


def test_an_author_without_its_own_comment_is_found() -> None:
    """Whoever wrote it must have it, also when a frame leaves it out; a comment that was removed meanwhile is nobody's any more."""
    evidence = sampled_evidence(echo=False)
    assert [violation.rule for violation in check(evidence)] == ["echo_lost"] * 2
    evidence.log = [evidence.log[0], *(tombstone(event, 9) for event in evidence.log[1:3]), evidence.log[3]]
    evidence.pages = [row(event) for event in evidence.log]
    assert check(evidence) == []


def test_an_echo_of_somebody_else_is_found() -> None:
    """An echo is for the author alone."""
    evidence = sampled_evidence()
    evidence.streams[1].echo(2, "ann")
    assert rules(evidence) == {"echo_lost"}


@pytest.mark.parametrize("kind", ["removal", "restoration", "notice"])
def test_a_frame_that_leaves_out_more_than_comments_is_found(kind: str) -> None:
    """Decisions and notices are for everybody; each is told once, however many viewers missed it."""
    assert [violation.rule for violation in check(sampled_evidence(kind=kind))] == ["sample_unfair"]
