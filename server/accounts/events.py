"""What can happen to an account: the typed events of the ledger.

The ledger is append-only and outlives the person's data, so no event carries any: no nickname, number, address or free text of a
person. An account's standing, its credit included, is a pure fold of its events (:mod:`server.accounts.standing`); nothing
else decides
what an account may do. Events are stored as JSON with a ``kind`` tag, so a kind, and a field, is added and never renamed.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

AccountKind = Literal["private", "public"]
Origin = Literal["local", "host"]
"""``local``: signed up here. ``host``: known by the host platform's tokens only."""

Rung = Literal["warn", "refuse", "delete", "restrict", "suspend", "close", "blacklist"]
"""The ladder of measures, mildest first (duties P8, T8)."""

Function = Literal["post", "color", "mode", "link", "report", "nickname", "recall"]
"""What a ``restrict`` can take away."""

Topic = Literal["general", "current_affairs", "politics"]
PublicAction = Literal["post", "repost"]
PublicState = Literal["", "applied", "reviewed", "classified", "filed", "active", "rejected", "lapsed", "revoked"]
Category = Literal["", "news_unit", "licensed", "government", "institution", "media", "company", "creator", "other"]


class _Event(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="kind"):
    pass


class Opened(_Event, frozen=True, gc=False, kw_only=True, tag="opened"):
    """The account exists. Always the first event, and once."""

    account_kind: AccountKind = "private"
    origin: Origin = "local"


class Verified(_Event, frozen=True, gc=False, kw_only=True, tag="verified"):
    """Who is behind the account is known: by which method, and how surely (1 phone or host platform, 2 identity number, 3
    national network
    identity). The result alone; what it rests on is in the vault, if anywhere."""

    method: str
    strength: int = 1


class VerificationWithdrawn(_Event, frozen=True, gc=False, kw_only=True, tag="verification_withdrawn"):
    """The account is not verified any more: it may read, and not post."""

    reason: str


class Signed(_Event, frozen=True, gc=False, kw_only=True, tag="signed"):
    """A signature on one version of a document, by its SHA-256 (duty P6)."""

    document: Literal["agreement", "privacy"]
    version: str
    sha256: str
    language: str


class LessonTaken(_Event, frozen=True, gc=False, kw_only=True, tag="lesson_taken"):
    """The short lesson on the bottom lines was read to its end, with the questions answered."""

    version: str


class Consented(_Event, frozen=True, gc=False, kw_only=True, tag="consented"):
    """Consent to one purpose of the privacy notice (duty P5(2)). ``guardian``: given by the guardian of a person under 14."""

    purpose: str
    version: str
    guardian: bool = False


class ConsentWithdrawn(_Event, frozen=True, gc=False, kw_only=True, tag="consent_withdrawn"):
    """The purpose ends with this event."""

    purpose: str


class Counted(_Event, frozen=True, gc=False, kw_only=True, tag="counted"):
    """Something that credit counts, by the published weights of :mod:`server.accounts.credit`; ``ref`` names the comment,
    report or measure."""

    what: str
    ref: str


class Discounted(_Event, frozen=True, gc=False, kw_only=True, tag="discounted"):
    """What was counted at ``counted_ms`` under ``ref`` counts no more: the decision behind it was reversed."""

    what: str
    ref: str
    counted_ms: int


class Measured(_Event, frozen=True, gc=False, kw_only=True, tag="measured"):
    """A measure takes effect. ``until_ms`` 0: until it is lifted. ``clause`` is that of the agreement, ``basis`` the law or
    rule behind it."""

    measure: str
    rung: Rung
    code: str
    basis: str
    clause: str = ""
    functions: tuple[Function, ...] = ()
    until_ms: int = 0
    automated: bool = False
    room: str = ""
    seq: int = 0


class Lifted(_Event, frozen=True, gc=False, kw_only=True, tag="lifted"):
    """A measure ends before its time. ``expired`` needs no event: time itself ends a measure."""

    measure: str
    how: Literal["reversed", "appeal"]
    code: str
    basis: str


class Appealed(_Event, frozen=True, gc=False, kw_only=True, tag="appealed"):
    """The person asks for a second look at a measure; the words are in the table of appeals."""

    appeal: str
    measure: str


class AppealDecided(_Event, frozen=True, gc=False, kw_only=True, tag="appeal_decided"):
    """Somebody else than who took the measure has looked again."""

    appeal: str
    measure: str
    upheld: bool
    code: str
    basis: str


class NicknameChanged(_Event, frozen=True, gc=False, kw_only=True, tag="nickname_changed"):
    """Another nickname; the names are in the table of nicknames, which erasure empties."""


class PublicStep(_Event, frozen=True, gc=False, kw_only=True, tag="public_step"):
    """A step of a public account's way: applied, reviewed, classified, filed, active (duty T7). ``label`` is what stands beside its
    nickname: the words of an institution, never those of a natural person."""

    state: PublicState
    category: Category = ""
    basis: str = ""
    label: str = ""


class PublicApproval(_Event, frozen=True, gc=False, kw_only=True, tag="public_approval"):
    """An account that is no news unit may post or repost on a topic until a moment (0: until withdrawn)."""

    action: PublicAction
    topic: Topic
    granted: bool
    until_ms: int = 0
    basis: str = ""


class LicenceChanged(_Event, frozen=True, gc=False, kw_only=True, tag="licence_changed"):
    """The account holds a licence that carries ``features`` from one moment up to another, or holds it no more (``revoked``)."""

    licence: str
    features: tuple[str, ...] = ()
    from_ms: int = 0
    until_ms: int = 0
    revoked: bool = False


class Erased(_Event, frozen=True, gc=False, kw_only=True, tag="erased"):
    """The person's data are gone: the key is destroyed, nicknames are empty. The account is closed for good."""


AccountEvent = (
    Opened | Verified | VerificationWithdrawn | Signed | LessonTaken | Consented | ConsentWithdrawn | Counted | Discounted
    | Measured | Lifted | Appealed | AppealDecided | NicknameChanged | PublicStep | PublicApproval | LicenceChanged
    | Erased
)  # fmt: skip


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line of the ledger. ``id`` counts up over all accounts; ``actor`` is the account itself, a member of staff
    (``staff:NAME``), the
    host platform (``host``) or the software (``system``), ``role`` what the actor acted as; ``at_ms`` is Unix time."""

    id: int
    account: str
    at_ms: int
    actor: str
    role: str
    event: AccountEvent


_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[AccountEvent]] = msgspec.json.Decoder(AccountEvent)


def encode(event: AccountEvent) -> bytes:
    """The event as JSON with its tag."""
    return _encoder.encode(event)


def decode(data: bytes) -> AccountEvent:
    """The event of :func:`encode`. Raises msgspec.ValidationError for a kind or a shape that is not known."""
    found: AccountEvent = _decoder.decode(data)
    return found
