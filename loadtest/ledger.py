"""What the senders sent and what they were told: one entry for each comment, from its first intent to its last answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from loadtest.messages import Ack, Answer, Refused

Outcome = Literal["open", "acked", "held", "refused"]


class Submission:
    """One comment of one author under one key. Times are seconds of the generator's monotonic clock.

    ``intended_s`` is when the open-model schedule wanted it sent, ``sent_s`` when it first went out, ``answered_s`` when its
    outcome was settled (0: not yet). ``open`` means that the outcome is not known: the log may or may not have the comment.
    ``tries`` counts how often it was sent. ``code`` is the code of the last refusal, also of a temporary one.
    ``doubtful``: an answer may have been lost, so that no refusal of a later try proves that the log does not have it.
    """

    __slots__ = ("answered_s", "author", "code", "doubtful", "intended_s", "key", "outcome", "sent_s", "seq", "text", "tries")

    def __init__(self, author: str, key: str, text: str, intended_s: float = 0.0) -> None:
        self.author = author
        self.key = key
        self.text = text
        self.intended_s = intended_s
        self.sent_s = 0.0
        self.answered_s = 0.0
        self.outcome: Outcome = "open"
        self.code = ""
        self.doubtful = False
        self.seq = 0
        self.tries = 0


class Ledger:
    """All submissions of a run by key; keys are unique over all authors of a run.

    ``faults`` lists answers that contradict earlier ones, or that answer nothing: they are findings about the server.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, Submission] = {}
        self.faults: list[str] = []
        self.refusals: Counter[str] = Counter()
        """Refusals by code, also temporary ones that a retry overcame."""
        self._outcomes: Counter[Outcome] = Counter()

    @classmethod
    def together(cls, *books: Ledger) -> Ledger:
        """One book of several whose keys differ; the submissions are the same objects."""
        whole = cls()
        for book in books:
            whole._by_key.update(book._by_key)
            whole.faults += book.faults
            whole.refusals += book.refusals
            whole._outcomes += book._outcomes
        return whole

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Submission]:
        return iter(self._by_key.values())

    def newest(self, number: int) -> Iterator[Submission]:
        """The newest submissions, newest first, at most ``number``."""
        return islice(reversed(self._by_key.values()), number)

    def add(self, author: str, key: str, text: str, intended_s: float = 0.0) -> Submission:
        """A new submission. Raises ValueError for a key that was used before."""
        if key in self._by_key:
            raise ValueError(f"key {key} is used twice")
        submission = self._by_key[key] = Submission(author, key, text, intended_s)
        return submission

    def sent(self, submission: Submission, now_s: float) -> None:
        """The submission goes out, for the first time or again."""
        if not submission.tries:
            submission.sent_s = now_s
        submission.tries += 1

    def answer(self, message: Answer, now_s: float) -> Submission | None:
        """Take an answer; returns its submission, None when there is none (which is a fault)."""
        submission = self._by_key.get(message.key)
        if submission is None:
            self.faults.append(f"an answer to key {message.key}, which was never sent")
            return None
        if isinstance(message, Ack):
            self._acked(submission, message.seq, now_s)
        elif submission.outcome == "acked":
            self.faults.append(f"key {message.key} was acknowledged as {submission.seq}, then answered {message.code}")
        elif isinstance(message, Refused):
            submission.code = message.code
            self.refusals[message.code] += 1
            if message.code == "outcome_unknown":
                submission.doubtful = True
            if not message.temporary:
                self._settle(submission, "refused", now_s)
        else:
            submission.code = message.code
            self._settle(submission, "held", now_s)
        return submission

    def give_up(self, submission: Submission, now_s: float) -> None:
        """The author will not try again after a temporary refusal: it was final, unless an earlier answer may have been lost."""
        if not submission.doubtful:
            self._settle(submission, "refused", now_s)

    def _acked(self, submission: Submission, seq: int, now_s: float) -> None:
        if submission.outcome == "refused":
            self.faults.append(f"key {submission.key} was refused ({submission.code}), then acknowledged as {seq}")
        elif submission.outcome == "acked" and submission.seq != seq:
            self.faults.append(f"key {submission.key} was acknowledged as {submission.seq} and as {seq}")
        elif submission.outcome != "acked":
            submission.seq = seq
            self._settle(submission, "acked", now_s)

    def _settle(self, submission: Submission, outcome: Outcome, now_s: float) -> None:
        if submission.outcome != "open":
            self._outcomes[submission.outcome] -= 1
        submission.outcome = outcome
        submission.answered_s = now_s
        self._outcomes[outcome] += 1

    def count(self, outcome: Outcome) -> int:
        """Submissions with this outcome so far."""
        if outcome == "open":
            return len(self._by_key) - sum(self._outcomes.values())
        return self._outcomes[outcome]
