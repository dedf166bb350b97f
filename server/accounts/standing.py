"""What an account is allowed, as a pure fold of its events: the only way from the ledger to a decision.

``Standing`` is immutable. It holds nothing that depends on the time of reading: whoever reads passes the moment, so that expiry
needs no event, no timer and no running server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from server.accounts import credit
from server.accounts.events import (
    AccountKind,
    AppealDecided,
    Appealed,
    Category,
    Consented,
    ConsentWithdrawn,
    Counted,
    Discounted,
    Entry,
    Erased,
    Function,
    LessonTaken,
    LicenceChanged,
    Lifted,
    Measured,
    NicknameChanged,
    Opened,
    Origin,
    PublicAction,
    PublicApproval,
    PublicState,
    PublicStep,
    Rung,
    Signed,
    Topic,
    VerificationWithdrawn,
    Verified,
)


class Measure(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A measure that was not lifted; it is in force until ``until_ms`` (0: until it is lifted)."""

    id: str
    rung: Rung
    code: str
    basis: str
    clause: str
    functions: tuple[Function, ...]
    at_ms: int
    until_ms: int

    def in_force(self, now_ms: int) -> bool:
        """Whether it takes effect at this moment."""
        return not self.until_ms or now_ms < self.until_ms


class Approval(msgspec.Struct, frozen=True, gc=False):
    """What a public account may do on a topic, until a moment (0: until withdrawn)."""

    action: PublicAction
    topic: Topic
    until_ms: int


class Held(msgspec.Struct, frozen=True, gc=False):
    """A licence that the account holds: the features that it carries, from one moment up to another."""

    licence: str
    features: tuple[str, ...]
    from_ms: int
    until_ms: int


class Standing(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An account as its events made it. ``last`` is the id of the newest entry that is in it (0: an account without any).

    ``verified`` is the method, or empty; ``agreement`` and ``privacy`` the versions signed last; ``lesson_due`` is set by a
    measure and unset by the lesson; ``consents`` the purposes consented to; ``marks`` what credit counts, as pairs of a day and
    a sum of points; ``reports_right`` and ``reports_decided`` how this account's reports fared.
    """

    account: str
    last: int = 0
    kind: AccountKind = "private"
    origin: Origin = "host"
    opened_ms: int = 0
    verified: str = ""
    strength: int = 0
    agreement: str = ""
    privacy: str = ""
    lesson: str = ""
    lesson_due: bool = False
    consents: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()
    marks: tuple[tuple[int, int], ...] = ()
    reports_right: int = 0
    reports_decided: int = 0
    public: PublicState = ""
    category: Category = ""
    label: str = ""
    approvals: tuple[Approval, ...] = ()
    licences: tuple[Held, ...] = ()
    erased: bool = False

    def in_force(self, now_ms: int) -> tuple[Measure, ...]:
        """The measures that take effect at this moment."""
        return tuple(measure for measure in self.measures if measure.in_force(now_ms))

    @property
    def report_weight(self) -> float:
        """How far this account's reports are trusted, 0 to 1: the part of those decided that were right, begun at one half."""
        return (self.reports_right + 1) / (self.reports_decided + 2)

    @property
    def lesson_wanted(self) -> bool:
        """Whether the short lesson is to be shown: before the first comment, and after each measure."""
        return self.lesson_due or not self.lesson

    def level(self, now_ms: int) -> int:
        """The credit level at this moment; see :mod:`server.accounts.credit`."""
        return credit.level(self.marks, self.opened_ms, now_ms)


LASTING: Final[frozenset[Rung]] = frozenset({"restrict", "suspend", "close", "blacklist"})
"""Rungs that go on after the moment they are taken; the others are told and recorded."""


def fold(account: str, entries: Iterable[Entry], start: Standing | None = None) -> Standing:
    """The standing after ``entries``, in their order; ``start`` is one that earlier entries made."""
    standing = start or Standing(account=account)
    for entry in entries:
        standing = apply(standing, entry)
    return standing


def apply(standing: Standing, entry: Entry) -> Standing:
    """The standing after one more entry. Entries that are in it already change nothing."""
    if entry.id <= standing.last:
        return standing
    return msgspec.structs.replace(_changed(standing, entry), last=entry.id)


def _changed(old: Standing, entry: Entry) -> Standing:  # noqa: C901 - one case for each kind of event
    replace = msgspec.structs.replace
    match entry.event:
        case Opened(account_kind=kind, origin=origin):
            return replace(old, kind=kind, origin=origin, opened_ms=entry.at_ms)
        case Verified(method=method, strength=strength):
            return replace(old, verified=method, strength=strength)
        case VerificationWithdrawn():
            return replace(old, verified="", strength=0)
        case Signed(document="agreement", version=version):
            return replace(old, agreement=version)
        case Signed(version=version):
            return replace(old, privacy=version)
        case LessonTaken(version=version):
            return replace(old, lesson=version, lesson_due=False)
        case Consented(purpose=purpose):
            return replace(old, consents=(*(each for each in old.consents if each != purpose), purpose))
        case ConsentWithdrawn(purpose=purpose):
            return replace(old, consents=tuple(each for each in old.consents if each != purpose))
        case Counted(what=what):
            return _counted(old, what, entry.at_ms, 1)
        case Discounted(what=what, counted_ms=counted_ms):
            return _counted(old, what, counted_ms, -1)
        case Measured() as event:
            return _measured(old, event, entry.at_ms)
        case Lifted(measure=measure):
            return replace(old, measures=tuple(each for each in old.measures if each.id != measure))
        case PublicStep(state=state, category=category, label=label):
            becomes: AccountKind = "public" if state == "active" else old.kind
            return replace(old, kind=becomes, public=state, category=category or old.category, label=label or old.label)
        case PublicApproval() as event:
            others = tuple(each for each in old.approvals if (each.action, each.topic) != (event.action, event.topic))
            given = (Approval(event.action, event.topic, event.until_ms),) if event.granted else ()
            return replace(old, approvals=(*others, *given))
        case LicenceChanged() as event:
            rest = tuple(each for each in old.licences if each.licence != event.licence)
            held = () if event.revoked else (Held(event.licence, event.features, event.from_ms, event.until_ms),)
            return replace(old, licences=(*rest, *held))
        case Erased():
            return replace(old, erased=True, verified="", strength=0, consents=())
        case Appealed() | AppealDecided() | NicknameChanged():
            return old


def _counted(old: Standing, what: str, at_ms: int, times: int) -> Standing:
    marks = credit.add(old.marks, at_ms, times * credit.weight(what))
    if not what.startswith("report."):
        return msgspec.structs.replace(old, marks=marks)
    return msgspec.structs.replace(
        old,
        marks=marks,
        reports_right=old.reports_right + times * (what == "report.upheld"),
        reports_decided=old.reports_decided + times,
    )


def _measured(old: Standing, event: Measured, at_ms: int) -> Standing:
    lasting = event.rung in LASTING
    measure = Measure(
        id=event.measure, rung=event.rung, code=event.code, basis=event.basis, clause=event.clause,
        functions=event.functions, at_ms=at_ms, until_ms=event.until_ms,
    )  # fmt: skip
    # Those that have run out by now never take effect again (entries come in the order of time): the list stays short.
    kept = tuple(each for each in old.measures if each.in_force(at_ms) and each.id != event.measure)
    return msgspec.structs.replace(old, measures=(*kept, measure) if lasting else kept, lesson_due=True)
