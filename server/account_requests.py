"""What can be asked of :mod:`server.account_operations`: one tagged union, by ``op``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.accounts.events import Category, Function, PublicAction, Rung, Topic
from server.bounds import Whole

_Text = Annotated[str, Meta(max_length=1000)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="op"):
    pass


class Who(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An account: by its id, by its nickname, or by a comment of it."""

    account: str = ""
    nickname: str = ""
    room: str = ""
    seq: Whole = 0


class FindAccounts(_Request, frozen=True, kw_only=True, tag="accounts.find"):
    """Accounts by id or the begin of the nickname; the newest ones for an empty text."""

    text: _Text = ""


class ShowAccount(_Request, frozen=True, kw_only=True, tag="accounts.show"):
    """One account: standing, measures, appeals, ledger."""

    who: Who


class TakeMeasure(_Request, frozen=True, kw_only=True, tag="accounts.measure"):
    """Take a measure; ``duration_ms`` 0: until it is lifted, or a rung without a term."""

    who: Who
    rung: Rung
    code: str
    basis: str
    clause: str = ""
    functions: tuple[Function, ...] = ()
    duration_ms: Whole = 0


class LiftMeasure(_Request, frozen=True, kw_only=True, tag="accounts.lift"):
    """Take a measure back."""

    measure: str
    code: str
    basis: str


class WithdrawVerification(_Request, frozen=True, kw_only=True, tag="accounts.withdraw_verification"):
    """The account is not verified any more: it reads, and does not post."""

    who: Who
    reason: Annotated[str, Meta(min_length=1, max_length=300)]


class EraseAccount(_Request, frozen=True, kw_only=True, tag="accounts.erase"):
    """Close an account and delete what is kept of the person, on the person's request; ``remove_comments``: its comments too."""

    who: Who
    remove_comments: bool = False


class PlaceHold(_Request, frozen=True, kw_only=True, tag="holds.place"):
    """A legal hold on an account, or (``scope`` is ``*``) on everything: nothing under it is deleted."""

    scope: str
    reason: str
    case_number: str


class ReleaseHold(_Request, frozen=True, kw_only=True, tag="holds.release"):
    """End a hold; what only it kept is deleted."""

    hold: str


class ListHolds(_Request, frozen=True, kw_only=True, tag="holds.list"):
    """Holds in force."""


class Purge(_Request, frozen=True, kw_only=True, tag="purge"):
    """Delete whatever its term has run out for, now."""


class ListAppeals(_Request, frozen=True, kw_only=True, tag="appeals.list"):
    """Appeals that wait."""


class DecideAppeal(_Request, frozen=True, kw_only=True, tag="appeals.decide"):
    """Decide an appeal."""

    appeal: str
    upheld: bool
    code: str
    basis: str


class ListStaff(_Request, frozen=True, kw_only=True, tag="staff.list"):
    """All members of staff."""


class AddStaff(_Request, frozen=True, kw_only=True, tag="staff.add"):
    """A new member; the answer has the link of the enrolment, which is good once."""

    name: str
    roles: tuple[str, ...]


class EnrolStaff(_Request, frozen=True, kw_only=True, tag="staff.enrol"):
    """Forget password, code and passkeys of a member; the answer has a new link."""

    name: str


class SetStaffRoles(_Request, frozen=True, kw_only=True, tag="staff.roles"):
    """Give a member other roles."""

    name: str
    roles: tuple[str, ...]


class SwitchStaff(_Request, frozen=True, kw_only=True, tag="staff.switch"):
    """Let a member in no more, or again."""

    name: str
    enabled: bool


class ListPublic(_Request, frozen=True, kw_only=True, tag="public.list"):
    """Public accounts and applications, of one state or all."""

    state: str = ""


class StepPublic(_Request, frozen=True, kw_only=True, tag="public.step"):
    """Take a step that needs a basis only: review, reject, activate, lapse, revoke."""

    who: Who
    step: str
    basis: str


class ClassifyPublic(_Request, frozen=True, kw_only=True, tag="public.classify"):
    """Say what the account is, and what its label says."""

    who: Who
    category: Category
    basis: str
    label: str = ""


class FilePublic(_Request, frozen=True, kw_only=True, tag="public.file"):
    """Record the number of the authority's receipt."""

    who: Who
    number: str


class ApprovePublic(_Request, frozen=True, kw_only=True, tag="public.approve"):
    """Approve posting or reposting on a topic, until a moment (0: until withdrawn), or withdraw it."""

    who: Who
    action: PublicAction
    topic: Topic
    basis: str
    until_ms: Whole = 0
    granted: bool = True


class ExportPublic(_Request, frozen=True, kw_only=True, tag="public.export"):
    """What is to be filed with the authority."""


class ListLicences(_Request, frozen=True, kw_only=True, tag="licences.list"):
    """All licences, or those of a holder."""

    holder: str = ""


class RecordLicence(_Request, frozen=True, kw_only=True, tag="licences.record"):
    """Enter a licence of the provider or of an account."""

    holder: str
    kind: str
    number: str
    issuer: str
    features: tuple[str, ...]
    valid_from_ms: Whole
    valid_until_ms: Whole


class RevokeLicence(_Request, frozen=True, kw_only=True, tag="licences.revoke"):
    """End a licence now."""

    licence: str
    basis: str


class ReadAccessLog(_Request, frozen=True, kw_only=True, tag="log.read"):
    """Who looked at or did what, newest first."""

    subject: str = ""
    before: Whole = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class CompileProviderFile(_Request, frozen=True, kw_only=True, tag="provider_file"):
    """The provider's own credit file of a period, ``until_ms`` not included."""

    since_ms: Whole
    until_ms: Whole


class RotateVault(_Request, frozen=True, kw_only=True, tag="vault.rotate"):
    """Wrap every key of the vault with the newest key-encryption key; ``new_key``: with one that is made now. ``new_pepper``: mark
    identities with a new one from now on. ``drop_old``: remove versions that nothing needs any more, for good."""

    new_key: bool = True
    new_pepper: bool = False
    drop_old: bool = False


AccountRequest = (
    FindAccounts | ShowAccount | TakeMeasure | LiftMeasure | WithdrawVerification | ListAppeals | DecideAppeal | ListStaff
    | AddStaff | EnrolStaff | SetStaffRoles | SwitchStaff | ListPublic | StepPublic | ClassifyPublic | FilePublic | ApprovePublic
    | ExportPublic | ListLicences | RecordLicence | RevokeLicence | ReadAccessLog | RotateVault | EraseAccount | PlaceHold
    | ReleaseHold | ListHolds | Purge | CompileProviderFile
)  # fmt: skip
