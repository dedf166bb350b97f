"""The outbox at work: sends what is due, looks for acknowledgements, and alarms when one does not come.

Crash windows. A finding is sent, and then it is recorded that it was: after a crash in between it is sent once more, under its id. An
alarm is recorded with the transaction that finds it, and logged after that: a crash in between leaves it on the page and in the
metric, which are both read from the book.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
import orjson
import structlog

from server.accounts.vault import Vault
from server.accounts.vault_keys import VaultError
from server.errors import Refusal, StoreError
from server.moderation import cases, outbox
from server.moderation.authorities import Authority
from server.moderation.book import ReviewBook
from server.moderation.couriers import Courier, NotDelivered, courier
from server.moderation.outbox import Evidence, Finding
from server.store.found import Hit

LOOK_S: Final = 5.0
"""How often it is looked for what is due; filing wakes it at once."""
TOGETHER: Final = 4

log = structlog.get_logger("outbox")


class Outbox:
    """Belongs to the event loop. ``waiting`` and ``overdue`` count findings, ``cases_overdue`` cases, as of the last look."""

    def __init__(
        self, book: ReviewBook, vault: Vault, authorities: Mapping[str, Authority], site: str, clock_ms: Callable[[], int],
        said: Callable[[str, int], Awaitable[Hit | None]], couriers: Mapping[str, Courier] | None = None,
    ) -> None:  # fmt: skip
        """``site`` is the site's address; ``said`` gives a comment of a room by its number, removed or not (None: there is none);
        ``couriers`` replaces those of the authorities."""
        self.authorities: Final = authorities
        self._book = book
        self._vault = vault
        self._site = site
        self._clock_ms = clock_ms
        self._said = said
        self._couriers = {name: courier(each, clock_ms) for name, each in authorities.items()} if couriers is None else couriers
        self._wake = asyncio.Event()
        self.waiting = 0
        self.overdue = 0
        self.cases_overdue = 0

    def wake(self) -> None:
        """Something was filed."""
        self._wake.set()

    def seal(self, finding: str, personal: Mapping[str, Any]) -> bytes:
        """Personal data for a finding, encrypted and bound to it."""
        return self._vault.seal(f"finding:{finding}", orjson.dumps(personal))

    async def reseal(self) -> int:
        """Seal the personal data of all findings that wait with the newest key, so that older ones can be dropped; how many there
        were. What no key opens any more, and what was changed, stays as it is. Raises StoreError."""

        def anew(finding: str, sealed: bytes) -> bytes:
            purpose = f"finding:{finding}"
            try:
                return self._vault.seal(purpose, self._vault.unseal(purpose, sealed))
            except VaultError as error:
                log.error("personal data of a finding cannot be read", finding=finding, reason=str(error))
                return sealed

        return await self._book.write(lambda tx: outbox.reseal(tx, anew))

    async def check(self, evidence: Evidence) -> None:
        """Are the comments there that somebody names as evidence? Raises Refusal ``bad_message``, ``storage_unavailable``."""
        for comment in evidence.comments:
            if outbox.is_comment(comment) and await self._comment(comment) is None:
                raise Refusal("bad_message", f"comments: there is no {comment}")

    async def _comment(self, comment: str) -> Hit | None:
        room, _, number = comment.partition("#")
        return await self._said(room, int(number))

    async def document(self, finding: str) -> tuple[Finding, bytes]:
        """A finding, and what an authority gets of it: comments with their words as they stand in the log when it is made, also of
        those that were removed. Raises Refusal ``not_found``, ``storage_unavailable``, StoreError, VaultError."""

        def read(connection: Any) -> tuple[Finding, dict[str, Any]]:
            found = outbox.need(connection, finding)
            personal = msgspec.json.decode(self._vault.unseal(f"finding:{finding}", found.sealed)) if found.sealed else None
            return found, outbox.document(connection, found, self._site, personal)

        found, body = await self._book.read(read)
        for each in body["comments"]:
            hit = await self._comment(each["comment"])
            if hit is not None:
                each |= {
                    "at_ms": hit.at_ms, "account": hit.author, "nickname": hit.author_name, "text": hit.text, "state": hit.state,
                    "code": hit.code,
                }  # fmt: skip
        return found, orjson.dumps(body, option=orjson.OPT_INDENT_2)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.error("the outbox cannot be looked after", error=str(error))
            except Exception:  # a fault of ours: the next finding must not wait in silence
                log.exception("the outbox failed")
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def look(self) -> None:
        """Send and ask what is due, alarm what is late, and count. Raises StoreError."""
        now_ms = self._clock_ms()
        due = await self._book.read(lambda connection: outbox.due(connection, now_ms))
        places = asyncio.Semaphore(TOGETHER)

        async def one(finding: Finding) -> None:
            async with places:
                try:
                    await self._attempt(finding)
                except StoreError:
                    raise
                except Exception:  # a fault of ours with one must not keep the others, and the alarms, waiting
                    log.exception("a finding could not be looked after", finding=finding.id)

        await asyncio.gather(*(one(finding) for finding in due))
        counted, late_cases = await self._book.read(
            lambda connection: (outbox.counts(connection, now_ms), cases.overdue(connection, now_ms))
        )
        (self.waiting, self.overdue), self.cases_overdue = counted, len(late_cases)
        if self.overdue or late_cases:
            await self._alarm()

    async def _alarm(self) -> None:
        for finding in await self._book.write(outbox.alarm):
            log.error("a finding was not acknowledged in time", finding=finding.id, authority=finding.authority,
                      attempts=finding.attempts, trouble=finding.trouble)  # fmt: skip
        for case in await self._book.write(cases.alarm):
            log.error("a case was not closed in time", case=case.id, kind=case.kind, title=case.title)

    async def _attempt(self, finding: Finding) -> None:
        authority = self.authorities.get(finding.authority)
        way = authority.way if authority else "webhook"
        sender = self._couriers.get(finding.authority)
        name = finding.id
        if sender is None:
            await self._book.write(lambda tx: outbox.failed(tx, name, way, "the settings name no way to this authority"))
            return
        try:
            if finding.state == "sent":
                reference = await sender.ask(name)
                await self._book.write(lambda tx: outbox.asked_after(tx, name, reference))
                return
            document = await self._written_out(name)
            reference = await sender.deliver(name, document)
        except NotDelivered as error:
            why = str(error)
            log.warning("a finding could not be delivered", finding=name, authority=finding.authority, reason=why)
            if finding.state == "sent":
                await self._book.write(lambda tx: outbox.asked_after(tx, name, None, why))
            else:
                await self._book.write(lambda tx: outbox.failed(tx, name, way, why))
        else:
            digest = hashlib.sha256(document).hexdigest()
            await self._book.write(lambda tx: outbox.delivered(tx, name, way, digest, reference=reference))
            log.info("a finding was delivered", finding=name, authority=finding.authority, acknowledged=reference is not None)

    async def _written_out(self, finding: str) -> bytes:
        """Raises NotDelivered where its personal data, or the comments, cannot be read; StoreError."""
        try:
            return (await self.document(finding))[1]
        except VaultError:
            raise NotDelivered(
                "its personal data cannot be read: a key of the vault is missing, or they were changed"
            ) from None
        except Refusal:
            raise NotDelivered("the comments that are its evidence cannot be read") from None

    async def aclose(self) -> None:
        """Close connections."""
        for sender in self._couriers.values():
            if sender is not None:
                await sender.aclose()
