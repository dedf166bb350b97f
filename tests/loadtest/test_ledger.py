"""The books of what was sent and answered."""

from __future__ import annotations

import pytest

from loadtest.ledger import Ledger, Submission
from loadtest.messages import Ack, Held, Refused


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def sent(ledger: Ledger, key: str = "k") -> Submission:
    submission = ledger.add("ann", key, "hello", 1.0)
    ledger.sent(submission, 1.5)
    return submission


def test_acknowledged(ledger: Ledger) -> None:
    """An acknowledgement settles a comment with its number and its time; a second one of the same number changes nothing."""
    submission = sent(ledger)
    assert ledger.count("open") == 1
    assert ledger.answer(Ack("r", "k", 7), 2.0) is submission
    assert ledger.answer(Ack("r", "k", 7), 3.0) is submission
    assert (submission.outcome, submission.seq, submission.answered_s) == ("acked", 7, 2.0)
    assert (ledger.count("acked"), ledger.count("open"), ledger.faults, len(ledger)) == (1, 0, [], 1)


def test_sent_again(ledger: Ledger) -> None:
    """The time of sending is that of the first try; tries are counted."""
    submission = sent(ledger)
    ledger.sent(submission, 9.0)
    assert (submission.sent_s, submission.tries) == (1.5, 2)


def test_temporary_refusal_stays_open(ledger: Ledger) -> None:
    """A temporary refusal is counted, and leaves the outcome open for the retry."""
    submission = sent(ledger)
    ledger.answer(Refused("r", "k", "too_fast", True), 2.0)
    assert (submission.outcome, submission.code, ledger.refusals["too_fast"]) == ("open", "too_fast", 1)
    ledger.answer(Ack("r", "k", 7), 2.0)
    assert (submission.outcome, ledger.faults) == ("acked", [])


def test_giving_up(ledger: Ledger) -> None:
    """A comment that is tried no more is refused; one whose outcome was called unknown stays open."""
    sure, unsure = sent(ledger, "a"), sent(ledger, "b")
    ledger.answer(Refused("r", "a", "too_fast", True), 2.0)
    ledger.answer(Refused("r", "b", "outcome_unknown", True), 2.0)
    ledger.give_up(sure, 3.0)
    ledger.give_up(unsure, 3.0)
    assert (sure.outcome, sure.answered_s, unsure.outcome) == ("refused", 3.0, "open")


def test_refused_and_held(ledger: Ledger) -> None:
    """Permanent refusals and holds settle; a held comment may be acknowledged after its review."""
    sent(ledger, "a")
    sent(ledger, "b")
    ledger.answer(Refused("r", "a", "banned_content"), 2.0)
    ledger.answer(Held("r", "b", "held_for_review"), 2.0)
    assert (ledger.count("refused"), ledger.count("held")) == (1, 1)
    ledger.answer(Ack("r", "b", 4), 3.0)
    assert (ledger.count("acked"), ledger.count("held"), ledger.faults) == (1, 0, [])


@pytest.mark.parametrize(
    "answers",
    [
        [Ack("r", "k", 7), Ack("r", "k", 8)],
        [Ack("r", "k", 7), Refused("r", "k", "too_fast", True)],
        [Ack("r", "k", 7), Held("r", "k", "held_for_review")],
        [Refused("r", "k", "banned_content"), Ack("r", "k", 7)],
        [Ack("r", "other", 7)],
    ],
)
def test_contradictions_are_faults(ledger: Ledger, answers: list[Ack | Refused | Held]) -> None:
    """Answers that contradict each other, or answer nothing, are noted, and do not change what is settled."""
    sent(ledger)
    for answer in answers:
        ledger.answer(answer, 2.0)
    assert len(ledger.faults) == 1


def test_keys_are_unique(ledger: Ledger) -> None:
    """A key names one comment."""
    sent(ledger)
    with pytest.raises(ValueError, match="twice"):
        sent(ledger)
    assert [submission.key for submission in ledger] == ["k"]


def test_books_together() -> None:
    """Several books make one, with all that was said in them; the newest comments are told first."""
    one, two = Ledger(), Ledger()
    first, second = one.add("ann", "k1", "a"), two.add("bob", "k2", "b")
    one.answer(Ack("demo", "k1", 1), 1.0)
    two.answer(Refused("demo", "k2", "banned_content"), 1.0)
    two.answer(Ack("demo", "none", 9), 1.0)
    both = Ledger.together(one, two)
    assert list(both) == [first, second]
    assert (both.count("acked"), both.count("refused"), both.count("open"), len(both.faults)) == (1, 1, 0, 1)
    assert both.refusals == {"banned_content": 1}
    assert list(both.newest(1)) == [second]
