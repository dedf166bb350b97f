"""What an operator can do with accounts, staff, public accounts, licences and the vault's keys.

Each operation is a request type and a function of :data:`_WORK`; the requests are one tagged union (``op``), so the operator
interface has one route for all of them and the command line one call. Answers are JSON objects or lists of them. The acting person
stands in every record, with the role ``operator``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec

from server.account_requests import (
    AccountRequest,
    AddStaff,
    ApprovePublic,
    ClassifyPublic,
    CompileProviderFile,
    DecideAppeal,
    EnrolStaff,
    EraseAccount,
    ExportPublic,
    FilePublic,
    FindAccounts,
    LiftMeasure,
    ListAppeals,
    ListHolds,
    ListLicences,
    ListPublic,
    ListStaff,
    PlaceHold,
    Purge,
    ReadAccessLog,
    RecordLicence,
    ReleaseHold,
    RevokeLicence,
    RotateVault,
    SetStaffRoles,
    ShowAccount,
    StepPublic,
    SwitchStaff,
    TakeMeasure,
    Who,
    WithdrawVerification,
)
from server.accounts import appeals, holds, licences, lookup, measures, public, staff
from server.accounts.book import Transaction, read_entries, read_standing
from server.accounts.events import Entry, VerificationWithdrawn
from server.accounts.people import People
from server.accounts.provider_file import compile_file
from server.accounts.standing import Standing
from server.control import local_url
from server.custody import Custody
from server.errors import ConfigError, Refusal, StoreError, StoreUnknown
from server.moderation.moderation import Moderation
from server.settings import Settings

ROLE: Final = "operator"
LEDGER_SHOWN: Final = 200


def site_address(settings: Settings) -> str:
    """Where staff reach the site: as the public does or, where no ``public_url`` is set, on this machine. Empty when a free port
    is to be taken, which nobody knows beforehand."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    # Loopback by its name: authenticators make passkeys for the names of hosts, not for addresses.
    host = "localhost" if settings.host in _LOOPBACK else settings.host
    return local_url(host, settings.port) if settings.port else ""


_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 -- compared, not bound


class AccountOperations(Protocol):
    """What the command line calls: here, or over HTTP. Raises Refusal."""

    async def account(self, request: AccountRequest) -> Any:
        """Do it, and answer with plain data."""


class _Desk(Protocol):
    """What the operations need of the running server."""

    @property
    def people(self) -> People: ...
    @property
    def custody(self) -> Custody: ...
    @property
    def moderation(self) -> Moderation: ...

    async def author(self, name: str, seq: int) -> str:
        """The account behind a comment; empty: no such comment."""


class LocalAccountOperations:
    """Operations on the services of this process. ``actor`` is the acting person, as the system or a token names it."""

    def __init__(self, desk: _Desk, actor: str) -> None:
        self._desk = desk
        self._by: dict[str, Any] = {"actor": f"operator:{actor}", "role": ROLE}

    async def account(self, request: AccountRequest) -> Any:
        try:
            return await _WORK[type(request)](self, request)
        except StoreUnknown as error:
            raise Refusal("outcome_unknown", "ask what is there, then do it again") from error
        except StoreError as error:
            raise Refusal("storage_unavailable", "accounts") from error

    # -- accounts

    async def _find(self, request: FindAccounts) -> list[dict[str, Any]]:
        return _plain(await self._people.book.read(lambda connection: lookup.search(connection, request.text)))

    async def _show(self, request: ShowAccount) -> dict[str, Any]:
        account = await self._account(request.who)

        def work(tx: Transaction) -> dict[str, Any]:
            tx.log_access(**self._by, action="account.view", subject=account)
            return account_object(tx, account)

        return await self._people.book.write(work)

    async def _measure(self, request: TakeMeasure) -> dict[str, Any]:
        account = await self._account(request.who)

        def work(tx: Transaction) -> str:
            if request.who.room:  # an account of the host platform that is known by its comments alone so far
                tx.open(account, origin="host", actor="host", role="host")
            return measures.take(
                tx, account, request.rung, request.code, request.basis, clause=request.clause, functions=request.functions,
                duration_ms=request.duration_ms, **self._by,
            )  # fmt: skip

        measure = await self._people.book.write(work)
        return {"account": account, "measure": measure, "rung": request.rung}

    async def _lift(self, request: LiftMeasure) -> dict[str, Any]:
        found = await self._people.book.write(
            lambda tx: measures.lift(tx, request.measure, request.code, request.basis, **self._by)
        )
        return {"account": found.account, "measure": found.id, "rung": found.rung}

    async def _withdraw_verification(self, request: WithdrawVerification) -> dict[str, Any]:
        account = await self._account(request.who)

        def work(tx: Transaction) -> None:
            if not tx.standing(account).verified:
                raise Refusal("not_verified", "the account is not verified")
            tx.append(account, VerificationWithdrawn(reason=request.reason), **self._by)
            tx.tell(account, "verification_withdrawn", {"reason": request.reason})

        await self._people.book.write(work)
        return {"account": account}

    async def _erase(self, request: EraseAccount) -> dict[str, Any]:
        account = await self._account(request.who)
        done = await self._desk.custody.erase(account, remove_comments=request.remove_comments, **self._by)
        return {"account": account, "erased": done}

    # -- keeping and deleting

    async def _place_hold(self, request: PlaceHold) -> dict[str, Any]:
        hold = await self._people.book.write(
            lambda tx: holds.place(tx, request.scope, request.reason, request.case_number, **self._by)
        )
        return {"hold": hold, "scope": request.scope}

    async def _release_hold(self, request: ReleaseHold) -> dict[str, Any]:
        found = await self._people.book.write(lambda tx: holds.release(tx, request.hold, **self._by))
        return {"hold": found.id, "scope": found.scope, "deleted": await self._desk.custody.purge()}

    async def _holds(self, request: ListHolds) -> list[dict[str, Any]]:
        return _plain(await self._people.book.read(holds.in_force))

    async def _purge(self, request: Purge) -> dict[str, Any]:
        return {"deleted": await self._desk.custody.purge()}

    # -- appeals

    async def _appeals(self, request: ListAppeals) -> list[dict[str, Any]]:
        def work(tx: Transaction) -> list[Any]:
            tx.log_access(**self._by, action="appeals.view")
            return appeals.open_list(tx.sql)

        return _plain(await self._people.book.write(work))

    async def _decide(self, request: DecideAppeal) -> dict[str, Any]:
        found = await self._people.book.write(
            lambda tx: appeals.decide(tx, request.appeal, request.upheld, request.code, request.basis, **self._by)
        )
        return {"account": found.account, "measure": found.id, "appeal": request.appeal, "upheld": request.upheld}

    # -- staff

    async def _staff(self, request: ListStaff) -> list[dict[str, Any]]:
        return _plain(await self._people.book.read(staff.listed))

    async def _add_staff(self, request: AddStaff) -> dict[str, Any]:
        return await self._enrolment(
            request.name, lambda tx: staff.add(tx, request.name, request.roles, self._people.vault, **self._by)
        )

    async def _enrol_staff(self, request: EnrolStaff) -> dict[str, Any]:
        return await self._enrolment(
            request.name, lambda tx: staff.enrol_again(tx, request.name, self._people.vault, **self._by)
        )

    async def _enrolment(self, name: str, work: Callable[[Transaction], str]) -> dict[str, Any]:
        secret = await self._people.book.write(work)
        return {
            "name": name,
            "link": f"{site_address(self._people.settings)}/staff/enrol?name={name}&secret={secret}",
            "hours": staff.ENROLMENT_MS // 3_600_000,
        }

    async def _set_staff_roles(self, request: SetStaffRoles) -> dict[str, Any]:
        await self._people.book.write(lambda tx: staff.set_roles(tx, request.name, request.roles, **self._by))
        return {"name": request.name, "roles": list(request.roles)}

    async def _switch_staff(self, request: SwitchStaff) -> dict[str, Any]:
        switch = staff.enable if request.enabled else staff.disable
        await self._people.book.write(lambda tx: switch(tx, request.name, **self._by))
        return {"name": request.name, "enabled": request.enabled}

    # -- public accounts

    async def _public(self, request: ListPublic) -> list[dict[str, Any]]:
        return _plain(await self._people.book.read(lambda connection: public.listed(connection, request.state)))

    async def _step_public(self, request: StepPublic) -> dict[str, Any]:
        return await self._on_public(
            request.who, lambda tx, account: public.advance(tx, account, request.step, request.basis, **self._by)
        )

    async def _classify_public(self, request: ClassifyPublic) -> dict[str, Any]:
        return await self._on_public(
            request.who,
            lambda tx, account: public.classify(tx, account, request.category, request.basis, label=request.label, **self._by),
        )

    async def _file_public(self, request: FilePublic) -> dict[str, Any]:
        return await self._on_public(request.who, lambda tx, account: public.file(tx, account, request.number, **self._by))

    async def _approve_public(self, request: ApprovePublic) -> dict[str, Any]:
        return await self._on_public(
            request.who,
            lambda tx, account: public.approve(
                tx, account, request.action, request.topic, request.basis, until_ms=request.until_ms, granted=request.granted,
                **self._by,
            ),
        )  # fmt: skip

    async def _on_public(self, who: Who, work: Callable[[Transaction, str], None]) -> dict[str, Any]:
        account = await self._account(who)

        def whole(tx: Transaction) -> dict[str, Any]:
            work(tx, account)
            standing = tx.standing(account)
            return {"account": account, "state": standing.public, "category": standing.category, "label": standing.label}

        return await self._people.book.write(whole)

    async def _export_public(self, request: ExportPublic) -> list[dict[str, Any]]:
        return await self._people.book.read(public.filing)

    # -- licences, records, keys

    async def _licences(self, request: ListLicences) -> list[dict[str, Any]]:
        now_ms = self._people.clock_ms()
        return _plain(await self._people.book.read(lambda c: licences.listed(c, now_ms, request.holder)))

    async def _record_licence(self, request: RecordLicence) -> dict[str, Any]:
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
        licence = await self._people.book.write(lambda tx: licences.record(tx, **fields, **self._by))
        await self._people.read_licences()
        return {"licence": licence, "holder": request.holder}

    async def _revoke_licence(self, request: RevokeLicence) -> dict[str, Any]:
        found = await self._people.book.write(lambda tx: licences.revoke(tx, request.licence, request.basis, **self._by))
        await self._people.read_licences()
        return {"licence": found.id, "holder": found.holder}

    async def _access_log(self, request: ReadAccessLog) -> list[dict[str, Any]]:
        found = await self._people.book.read(lambda c: lookup.accesses(c, request.subject, request.before, request.limit))
        return _plain(found)

    async def _provider_file(self, request: CompileProviderFile) -> dict[str, Any]:
        if request.since_ms >= request.until_ms:
            raise Refusal("bad_message", "until_ms: after since_ms")
        return await self._people.book.read(lambda c: compile_file(c, request.since_ms, request.until_ms))

    async def _rotate_vault(self, request: RotateVault) -> dict[str, Any]:
        people, dropped = self._people, 0
        try:
            kek = people.vault.keys.add_kek() if request.new_key else people.vault.keys.kek
            if request.new_pepper:
                people.vault.keys.add_pepper()
            while await people.book.write(people.vault.rotate):
                pass  # each batch is a transaction, so that others get in between
            await self._desk.moderation.outbox.reseal()  # before keys go: where it fails, none does
            if request.drop_old:
                keks, peppers = await people.book.read(people.vault.drop_unused)
                dropped = len(keks) + len(peppers)
        except ConfigError as error:
            raise Refusal("bad_message", str(error)) from None
        detail = f"{kek}, {dropped} versions dropped"
        await people.book.write(lambda tx: tx.log_access(**self._by, action="vault.rotate", detail=detail))
        return {"key": kek, "dropped": dropped}

    # -- parts

    @property
    def _people(self) -> People:
        return self._desk.people

    async def _account(self, who: Who) -> str:
        """The account that is meant. Raises Refusal ``account_not_found``, ``comment_not_found``, ``bad_message``."""
        given = [name for name in ("account", "nickname", "room") if getattr(who, name)]
        if len(given) != 1 or bool(who.room) != bool(who.seq):
            raise Refusal("bad_message", "who: an account, a nickname, or room and seq")
        if who.room:
            account = await self._desk.author(who.room, who.seq)
            if not account:
                raise Refusal("comment_not_found")
            return account
        finder = lookup.find if who.account else lookup.of_nickname
        found = await self._people.book.read(lambda connection: finder(connection, who.account or who.nickname))
        if found is None:
            raise Refusal("account_not_found")
        return found.id


def account_object(tx: Transaction, account: str) -> dict[str, Any]:
    """All that staff may see of an account without the vault."""
    found = lookup.find(tx.sql, account)
    standing = read_standing(tx.sql, account)
    label = public.label_of(standing, tx.now_ms)
    return {
        "account": account,
        "nickname": found.nickname if found is not None else "",
        "created_ms": found.created_ms if found is not None else 0,
        "level": standing.level(tx.now_ms),
        "label": label.text if label is not None else "",
        "standing": _standing_object(standing),
        "measures": [
            {**msgspec.to_builtins(each), "state": each.state(tx.now_ms)} for each in measures.listed(tx.sql, account)
        ],
        "appeals": _plain(appeals.of_account(tx.sql, account)),
        "ledger": [_entry_object(entry) for entry in read_entries(tx.sql, account)[-LEDGER_SHOWN:]],
    }


def _standing_object(standing: Standing) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(standing)
    for name in ("account", "measures", "marks", "label"):
        del found[name]
    return found


def _entry_object(entry: Entry) -> dict[str, Any]:
    return {"id": entry.id, "at_ms": entry.at_ms, "actor": entry.actor, "role": entry.role, **msgspec.to_builtins(entry.event)}


def _plain(found: list[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = msgspec.to_builtins(found)
    return rows


_Work = Callable[[LocalAccountOperations, Any], Awaitable[Any]]
_WORK: Final[dict[type, _Work]] = {
    FindAccounts: LocalAccountOperations._find,
    ShowAccount: LocalAccountOperations._show,
    TakeMeasure: LocalAccountOperations._measure,
    LiftMeasure: LocalAccountOperations._lift,
    WithdrawVerification: LocalAccountOperations._withdraw_verification,
    ListAppeals: LocalAccountOperations._appeals,
    DecideAppeal: LocalAccountOperations._decide,
    ListStaff: LocalAccountOperations._staff,
    AddStaff: LocalAccountOperations._add_staff,
    EnrolStaff: LocalAccountOperations._enrol_staff,
    SetStaffRoles: LocalAccountOperations._set_staff_roles,
    SwitchStaff: LocalAccountOperations._switch_staff,
    ListPublic: LocalAccountOperations._public,
    StepPublic: LocalAccountOperations._step_public,
    ClassifyPublic: LocalAccountOperations._classify_public,
    FilePublic: LocalAccountOperations._file_public,
    ApprovePublic: LocalAccountOperations._approve_public,
    ExportPublic: LocalAccountOperations._export_public,
    ListLicences: LocalAccountOperations._licences,
    RecordLicence: LocalAccountOperations._record_licence,
    RevokeLicence: LocalAccountOperations._revoke_licence,
    ReadAccessLog: LocalAccountOperations._access_log,
    RotateVault: LocalAccountOperations._rotate_vault,
    EraseAccount: LocalAccountOperations._erase,
    PlaceHold: LocalAccountOperations._place_hold,
    ReleaseHold: LocalAccountOperations._release_hold,
    ListHolds: LocalAccountOperations._holds,
    Purge: LocalAccountOperations._purge,
    CompileProviderFile: LocalAccountOperations._provider_file,
}
