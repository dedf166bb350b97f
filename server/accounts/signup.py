"""The way in: a phone or an OpenID account, a nickname, an account; later a surer verification. One person, one account.

Everything that decides is a synchronous function over a transaction; :class:`SignUp` puts these together with what takes time (the
SMS gateway, the verification services), which never happens inside a transaction. Between the steps the server keeps nothing of
the person: what must come back stands, encrypted by the vault, in a text that the browser holds (a *ticket* or a *proof*).

Nothing here tells whether a number is known before somebody has shown to own it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from filters.verdict import Action, Verdict
from server.accounts import guardians, nicknames, privacy, tickets, verifications
from server.accounts.book import Accounts, Transaction, new_id
from server.accounts.codes import Codes
from server.accounts.events import VerificationWithdrawn, Verified
from server.accounts.fields import PURPOSE
from server.accounts.identity import Identity
from server.accounts.privacy import Notice
from server.accounts.vault import Vault
from server.accounts.verify import PHONE, Adapter, config, numbers
from server.accounts.verify.client import SignedClient
from server.accounts.verify.idcard import IdNumber
from server.accounts.verify.netid import NetworkIdentity
from server.accounts.verify.sms import HttpGateway, Sender, Terminal
from server.errors import Refusal
from server.settings import Settings

PHONE_STRENGTH: Final = 1
PROOF_MS: Final = 900_000
"""For how long after the code a nickname may be chosen."""
SIGN_IN: Final = "sign_in"
MINUTE_MS: Final = 60_000

Screen = Callable[[str], Verdict]
"""The screening of a text; called on the event loop."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A code is on its way. ``ticket`` goes back with it; ``again_ms``: when another may be asked for; ``hint``: the number's end."""

    ticket: str
    expires_ms: int
    again_ms: int
    hint: str


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who has shown to be the owner of this account; ``new``: it was made just now."""

    account: str
    new: bool


class NicknameWanted(msgspec.Struct, frozen=True, kw_only=True):
    """The person has no account yet: a nickname is wanted, or another one (``refusal`` says why). ``proof`` goes back with it."""

    proof: str
    expires_ms: int
    refusal: Refusal | None = None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """By what somebody is recognised: ``kind`` and ``value`` of the claim, kept as ``field`` for ``purpose`` (of
    :mod:`server.accounts.fields`); verified by it as surely as ``strength`` says (0: not at all)."""

    kind: str
    value: str
    field: str
    purpose: str
    method: str
    strength: int

    def __repr__(self) -> str:
        return f"Person(kind={self.kind!r})"


# -- over a transaction


def open_account(tx: Transaction, vault: Vault, person: Person, name: str, notice: Notice, reserved: Sequence[str] = ()) -> str:
    """Make the account of a person who has none, under a clean and screened nickname; its id.

    To come by a way that keeps something only with consent is to give this consent, by the notice that was shown. Raises Refusal
    ``blacklisted``, ``identity_taken``, ``nickname_refused``, ``nickname_taken``; then nothing of it stays.
    """
    account = new_id("a")
    tx.open(account)
    if PURPOSE[person.purpose].consent:
        privacy.consent(tx, account, person.purpose, notice)
    vault.claim(tx, account, person.kind, person.value)
    vault.put(tx, account, person.field, person.value)
    nicknames.take(tx, account, name, reserved=reserved)
    verifications.record(tx, account, person.method, person.strength)
    return account


def come_back(tx: Transaction, vault: Vault, account: str, person: Person) -> None:
    """Somebody who has an account signs in: the claim moves to the newest pepper, and a verification that is lacking is made up for.

    A blacklisted person gets in as well: the notice, and the appeal against it, are inside. Posting is another matter.
    """
    if not vault.blacklisted(tx.sql, person.kind, person.value, tx.now_ms):
        vault.claim(tx, account, person.kind, person.value)
    if not tx.standing(account).verified:
        verifications.record(tx, account, person.method, person.strength)


def add_phone(tx: Transaction, vault: Vault, account: str, phone: str) -> None:
    """Bind a phone to an account that signed up otherwise, in place of an older one. Raises Refusal ``identity_taken``,
    ``blacklisted``."""
    vault.claim(tx, account, PHONE, phone)
    old = vault.read(tx.sql, account, PHONE)
    if old is not None and old != phone:
        vault.unclaim(tx, account, PHONE, old)
    vault.put(tx, account, PHONE, phone)
    verifications.record(tx, account, PHONE, PHONE_STRENGTH)


def see_host(tx: Transaction, identity: Identity) -> None:
    """Take over what the host platform's token says of its account: who is verified there has strength 1 here. An account of this
    site is what its ledger says, whatever a token of it (they outlive a withdrawn verification by minutes) still claims."""
    account = identity.subject
    tx.open(account, origin="host", actor="host", role="platform")
    standing = tx.standing(account)
    verified = standing.verified
    if standing.erased or standing.origin != "host":
        return
    if identity.verified and not verified:
        tx.append(account, Verified(method="host", strength=1), actor="host", role="platform")
    elif not identity.verified and verified == "host":
        tx.append(account, VerificationWithdrawn(reason="host"), actor="host", role="platform")


class SignUp:
    """The way in as the server offers it. Belongs to the event loop; refusals are raised after the commit."""

    def __init__(
        self,
        book: Accounts,
        vault: Vault,
        settings: Settings,
        screen: Screen,
        clock_ms: Callable[[], int],
        *,
        sms: Sender | None,
        adapters: Sequence[Adapter] = (),
    ) -> None:
        """``sms`` None: no phone codes are offered."""
        self._book = book
        self._vault = vault
        self._settings = settings
        self._screen = screen
        self._clock_ms = clock_ms
        self._sms = sms
        self._adapters = {adapter.method: adapter for adapter in adapters}
        self._codes = Codes.open(vault, settings)
        self._reserved = (settings.site_name,)
        self._notice = privacy.notice(settings)

    @classmethod
    def open(cls, book: Accounts, vault: Vault, settings: Settings, screen: Screen, clock_ms: Callable[[], int]) -> SignUp:
        """The way in with the gateway and the services of ``verification_file``; a demo without a gateway shows codes in the
        terminal. Raises ConfigError."""
        found = config.load(settings.verification_file)
        sms: Sender | None = Terminal() if settings.demo else None
        if found.sms is not None:
            sms = HttpGateway(found.sms)
        adapters: list[Adapter] = []
        if found.id_number is not None:
            adapters.append(IdNumber(SignedClient("id_number", found.id_number, clock_ms)))
        if found.network_identity is not None:
            adapters.append(NetworkIdentity(SignedClient("network_identity", found.network_identity, clock_ms)))
        return cls(book, vault, settings, screen, clock_ms, sms=sms, adapters=adapters)

    @property
    def methods(self) -> tuple[str, ...]:
        """Ways of verification that are offered."""
        return (*((PHONE,) if self._sms is not None else ()), *self._adapters)

    # -- phone

    async def start_phone(self, phone: str, *, address: str = "") -> Started:
        """Send a code. The answer is the same for numbers that are known, unknown, or blacklisted. ``address`` is the key by which
        the asking address is counted.

        Raises Refusal ``identity_refused`` (no number, or none of ours), ``too_many_attempts``, ``verification_unavailable``.
        """
        return await self._send(SIGN_IN, numbers.phone(phone, self._settings.phone_prefixes), address)

    async def _send(self, purpose: str, number: str, address: str, account: str = "") -> Started:
        if self._sms is None:
            raise Refusal("verification_unavailable", "phone codes are not offered here")
        asked = await self._book.write(lambda tx: self._codes.ask(tx, purpose, number, address))
        try:
            await self._sms.send(number, asked.code, self._codes.limits.life_ms // MINUTE_MS)
        except BaseException:
            await self._book.write(lambda tx: self._codes.spoil(tx, asked.id))
            raise
        return Started(
            ticket=tickets.seal(self._vault, tickets.Ticket(id=asked.id, phone=number, account=account)),
            expires_ms=asked.expires_ms,
            again_ms=asked.again_ms,
            hint=numbers.hint(number),
        )

    async def confirm_phone(self, ticket: str, code: str, *, nickname: str = "") -> SignedIn | NicknameWanted:
        """Whoever has the code owns the number: sign in to its account, or open one under ``nickname``.

        Raises Refusal ``code_wrong``, ``blacklisted``, ``account_closed`` (erased, and on hold). A nickname that cannot be used is
        no reason to ask for the code again: the answer then says why, and gives a proof for :meth:`register`.
        """
        found = tickets.unseal(self._vault, ticket, tickets.Ticket)
        person = _by_phone(found.phone)
        chosen = self._chosen(nickname)

        def work(tx: Transaction) -> SignedIn | NicknameWanted | Refusal:
            if not self._codes.check(tx, found.id, SIGN_IN, code):
                return Refusal("code_wrong")
            return self._enter(tx, person, chosen)

        outcome = await self._book.write(work)
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def add_phone(self, account: str, ticket: str, code: str) -> None:
        """Bind the phone of a ticket to an account that is signed in. Raises Refusal ``code_wrong``, ``identity_taken``,
        ``blacklisted``."""
        found = tickets.unseal(self._vault, ticket, tickets.Ticket)

        def work(tx: Transaction) -> Refusal | None:
            if not self._codes.check(tx, found.id, SIGN_IN, code):
                return Refusal("code_wrong")
            try:
                add_phone(tx, self._vault, account, found.phone)
            except Refusal as refusal:  # of the claim, which is the first thing done: the used code is all that is committed
                return refusal
            return None

        refusal = await self._book.write(work)
        if refusal is not None:
            raise refusal

    # -- any way

    async def enter_oidc(self, issuer: str, subject: str, *, strength: int, nickname: str = "") -> SignedIn | NicknameWanted:
        """Sign in whom an OpenID provider has named. ``strength`` 0: the provider does not say that somebody real is behind it.
        Raises Refusal ``blacklisted``."""
        person = Person(
            kind="oidc",
            value=f"{issuer} {subject}",
            field="oidc_subject",
            purpose="third_party_login",
            method="oidc",
            strength=strength,
        )
        chosen = self._chosen(nickname)
        outcome = await self._book.write(lambda tx: self._enter(tx, person, chosen))
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def register(self, proof: str, nickname: str) -> SignedIn:
        """Open the account of somebody who has shown who they are. Raises Refusal ``form_expired`` (the proof is too old),
        ``nickname_refused``, ``nickname_taken``, ``identity_taken``, ``blacklisted``."""
        found = tickets.unseal(self._vault, proof, tickets.Proof)
        if self._clock_ms() >= found.expires_ms:
            raise Refusal("form_expired")
        person = Person(**{name: getattr(found, name) for name in Person.__struct_fields__})
        name = self._usable(nickname)
        account = await self._book.write(lambda tx: open_account(tx, self._vault, person, name, self._notice, self._reserved))
        return SignedIn(account=account, new=True)

    def _enter(self, tx: Transaction, person: Person, chosen: str | Refusal | None) -> SignedIn | NicknameWanted | Refusal:
        """Answers, since a transaction that raises would forget that the code was used."""
        account = self._vault.holder(tx.sql, person.kind, person.value)
        if account is not None:
            if tx.standing(account).erased:  # a hold keeps the claim: nobody gets in, and nobody opens another account by it
                return Refusal("account_closed")
            come_back(tx, self._vault, account, person)
            return SignedIn(account=account, new=False)
        if self._vault.blacklisted(tx.sql, person.kind, person.value, tx.now_ms):
            return Refusal("blacklisted")
        if isinstance(chosen, str):
            try:
                nicknames.check(tx.sql, chosen, tx.now_ms, reserved=self._reserved)
            except Refusal as refusal:
                chosen = refusal
            else:
                account = open_account(tx, self._vault, person, chosen, self._notice, self._reserved)
                return SignedIn(account=account, new=True)
        proof = tickets.Proof(**msgspec.structs.asdict(person), expires_ms=tx.now_ms + PROOF_MS)
        return NicknameWanted(proof=tickets.seal(self._vault, proof), expires_ms=proof.expires_ms, refusal=chosen)

    # -- nicknames

    async def change_nickname(self, account: str, text: str) -> str:
        """Another nickname; as it is shown. Raises Refusal ``nickname_refused``, ``nickname_taken``, ``too_many_attempts``,
        ``function_restricted``."""
        name = self._usable(text)
        interval_ms = round(self._settings.nickname_interval_s * 1000)
        await self._book.write(lambda tx: nicknames.take(tx, account, name, interval_ms=interval_ms, reserved=self._reserved))
        return name

    def _usable(self, text: str) -> str:
        """The clean form of a nickname that the screening accepts as it is."""
        name = nicknames.clean(text)
        if self._screen(name).action is not Action.ACCEPT:
            raise Refusal("nickname_refused", "the screening does not accept it")
        return name

    def _chosen(self, text: str) -> str | Refusal | None:
        if not text.strip():
            return None
        try:
            return self._usable(text)
        except Refusal as refusal:
            return refusal

    # -- surer verification

    async def verify(self, account: str, method: str, evidence: Mapping[str, str]) -> int:
        """Confirm who is behind an account; the strength of it. What was refused counts as an attempt.

        Without the consents it takes nobody is asked: ``consent_required`` (where sensitive data are kept of it),
        ``guardian_required`` (under 14). Raises these as Refusal, and ``account_not_found``, ``identity_refused``,
        ``identity_taken``, ``blacklisted``, ``verification_unavailable``, ``too_many_attempts``.
        """
        adapter = self._adapters.get(method)
        if adapter is None:
            raise Refusal("verification_unavailable", "this method is not offered here")
        question = adapter.prepare(evidence, self._clock_ms())
        attempt = await self._book.write(lambda tx: verifications.begin(tx, account, adapter, under_14=question.under_14))
        answer = await adapter.check(question)
        refusal = await self._book.write(lambda tx: verifications.finish(tx, self._vault, attempt, account, answer, adapter))
        if refusal is not None:
            raise refusal
        return adapter.strength

    # -- guardians

    async def start_guardian(self, account: str, name: str, phone: str, *, address: str = "") -> Started:
        """Send a code to the guardian of somebody under 14. Raises Refusal ``account_not_found``, ``identity_refused`` (no name, no
        number, or the account's own number), ``too_many_attempts``, ``verification_unavailable``."""
        numbers.name(name)
        number = numbers.phone(phone, self._settings.phone_prefixes)
        await self._book.read(lambda connection: guardians.check(connection, self._vault, account, number))
        return await self._send(guardians.PURPOSE, number, address, account)

    async def confirm_guardian(self, account: str, ticket: str, code: str, name: str, notice: Notice) -> None:
        """Record the consent of the guardian who has the code, for what the person does here and for an identity number; name and
        number of the guardian are kept in the vault. Raises Refusal ``code_wrong``, ``form_expired`` (another account's ticket),
        ``identity_refused``, ``account_not_found``, ``account_closed``."""
        found = tickets.unseal(self._vault, ticket, tickets.Ticket)
        if found.account != account:
            raise Refusal("form_expired")
        guardian = guardians.Guardian(name=numbers.name(name), phone=found.phone)

        def work(tx: Transaction) -> bool:
            good = self._codes.check(tx, found.id, guardians.PURPOSE, code)
            if good:
                guardians.consent(tx, self._vault, account, guardian, notice)
            return good

        if not await self._book.write(work):
            raise Refusal("code_wrong")

    # -- the host platform's accounts

    async def host_seen(self, identity: Identity) -> None:
        """Take over what a token of the host platform says, when it says something new."""
        standing = await self._book.standings.load(identity.subject)
        told = standing.verified != "" if identity.verified else standing.verified != "host"
        known = standing.erased or (standing.opened_ms and (told or standing.origin != "host"))
        if not known:
            await self._book.write(lambda tx: see_host(tx, identity))

    async def aclose(self) -> None:
        """Close the connections to gateway and services."""
        if self._sms is not None:
            await self._sms.aclose()
        for adapter in self._adapters.values():
            await adapter.aclose()


def _by_phone(number: str) -> Person:
    return Person(kind=PHONE, value=number, field=PHONE, purpose="account", method=PHONE, strength=PHONE_STRENGTH)
