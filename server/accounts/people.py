"""Everything the server knows of people, in one object: the book of accounts and the parts of the domain that lie over it.

The composition root makes one :class:`People` for the life of the process. Routes reach it as ``services(request).people``, the
WebSocket side holds it, commands without a server get it through the same composition root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from filters.verdict import Action, Verdict
from server.accounts import licences, privacy, public, sessions
from server.accounts.agreement import Agreements
from server.accounts.book import Accounts
from server.accounts.desk import StaffDesk
from server.accounts.licences import Provider
from server.accounts.oidc import Providers
from server.accounts.signup import Screen, SignUp
from server.accounts.standing import Standing
from server.accounts.vault import Vault
from server.errors import Refusal, StoreError
from server.settings import Settings

LICENCES_S: Final = 3600.0
"""How often licences are looked at that end soon."""
PROBE_S: Final = 1.0
"""How often a book that failed is asked whether it answers again."""

_DAY_MS: Final = 86_400_000

log = structlog.get_logger("people")


def refuse_all(text: str) -> Verdict:
    """The screening of a process that has none: no nickname can be judged, so none is taken."""
    return Verdict(action=Action.REFUSE, text=text, rules="")


class People:
    """The parts, each an attribute, built in the order in which they need each other. Belongs to the event loop.

    Whoever adds a part builds it in :meth:`__init__` from ``settings``, ``book`` and the parts before it; what it must release is
    released in :meth:`close`. ``clock_ms`` gives Unix time.
    """

    def __init__(self, settings: Settings, book: Accounts, clock_ms: Callable[[], int], screen: Screen = refuse_all) -> None:
        self.settings: Final = settings
        self.book: Final = book
        self.clock_ms: Final = clock_ms
        self.agreements: Final = Agreements.load(settings.agreement_dir)
        self.vault: Final = Vault.open(settings)
        self.form_key: Final = sessions.open_key(settings)
        self.session_policy: Final = sessions.Policy(
            idle_ms=settings.session_idle_days * _DAY_MS,
            absolute_ms=settings.session_max_days * _DAY_MS,
            most=settings.sessions_per_account,
        )
        self._required: Final = self.agreements.current().version if settings.agreement_required else ""
        self.oidc: Final = Providers.open(settings, book, clock_ms)
        self.desk: Final = StaffDesk(settings)
        self.notice: Final = privacy.notice(settings)
        self.signup: Final = SignUp.open(book, self.vault, settings, screen, clock_ms)
        self.provider: Provider = book.read_now(licences.read_provider)

    @classmethod
    def open(cls, settings: Settings, clock_ms: Callable[[], int], screen: Screen = refuse_all) -> People:
        """Over ``accounts.db`` of the data folder, made when missing. ``screen`` is what nicknames are judged by; without it nobody
        can choose one. Raises ConfigError, StoreUnavailable."""
        book = Accounts(settings.data_dir / "accounts.db", clock_ms)
        try:
            found = cls(settings, book, clock_ms, screen)
            book.read_now(found.vault.check)
            book.write_now(found.agreements.establish)
            book.write_now(lambda tx: privacy.establish(tx, found.notice))
            return found
        except BaseException:
            book.close()
            raise

    async def standing(self, account: str) -> Standing:
        """The account's standing, from memory or folded from its ledger. Raises Refusal ``storage_unavailable``."""
        try:
            return await self.book.standings.load(account)
        except StoreError as error:
            raise Refusal("storage_unavailable", "accounts cannot be read", retry_after_ms=1000) from error

    async def session_goes_on(self, account: str, session: str) -> bool:
        """Whether the account's session of this id, by which a token was made, has not ended. Raises Refusal
        ``storage_unavailable``."""
        now_ms = self.clock_ms()
        try:
            return await self.book.read(lambda connection: sessions.goes_on(connection, account, session, now_ms))
        except StoreError as error:
            raise Refusal("storage_unavailable", "sessions", retry_after_ms=1000) from error

    @property
    def required(self) -> str:
        """The version of the agreement that must be signed before posting; empty: none."""
        return self._required

    async def read_licences(self) -> None:
        """The provider's licences have changed: what rests on them follows. Raises StoreUnavailable."""
        self.provider = await self.book.read(licences.read_provider)

    async def watch_licences(self) -> None:
        """Until cancelled: warn before licences end, and record what ended with them. Their features end by themselves."""
        while True:
            try:
                for due in await self.book.write(licences.look_after):
                    log.warning("a licence ends" if due.days > 0 else "a licence has ended", licence=due.licence.id,
                                holder=due.licence.holder, features=due.licence.features, days=max(due.days, 0))  # fmt: skip
                for account in await self.book.write(public.lapse_unlicensed):
                    log.warning("a public account has lapsed with its licence", account=account)
            except StoreError:
                log.exception("licences could not be looked after")
            await asyncio.sleep(LICENCES_S)

    @property
    def trouble(self) -> str:
        """Why accounts cannot be served at the moment, for the operator; empty: they can."""
        return self.book.trouble

    async def run(self) -> None:
        """Until cancelled: look after the parts that need it."""
        await asyncio.gather(self._probe(), self.watch_licences())

    async def _probe(self) -> None:
        """Ask a book that failed whether it answers again, so that readiness comes back without traffic."""
        while True:
            await asyncio.sleep(PROBE_S)
            if self.trouble:
                try:
                    await self.book.write(lambda tx: None)
                except StoreError:
                    continue  # it stays in ``trouble``
                log.info("accounts can be served again")

    async def drain(self) -> None:
        """Everything that was begun is committed; connections to services of others are closed."""
        await self.book.drain()
        await self.signup.aclose()

    def close(self) -> None:
        """Release threads and files; idempotent."""
        self.book.close()
