"""One-time codes: made, counted and compared here, whatever brings them to the person.

Of a code, of its target and of the address that asked the database holds keyed HMACs only. Whether a target is known to us plays no
part, so asking tells nothing. A wrong attempt counts even though it is refused: :meth:`Codes.check` therefore answers instead of
raising, since what a transaction raises undoes it.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from typing import Final

import msgspec
from sqlalchemy import delete, func, insert, select, update

from server.accounts.book import Transaction, new_id
from server.accounts.tables import codes
from server.accounts.vault import Vault
from server.errors import Refusal
from server.settings import Settings

DIGITS: Final = 6
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
KEPT_MS: Final = 2 * DAY_MS
"""Rows are needed for the limits of a day, then deleted."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of codes. ``gap_ms`` lies between two codes for one target and doubles with each one that was not used, up to
    ``gap_max_ms``."""

    life_ms: int = 300_000
    attempts: int = 5
    gap_ms: int = 60_000
    gap_max_ms: int = HOUR_MS
    per_target_day: int = 10
    per_address_hour: int = 30


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A code, to be sent at once and forgotten. ``again_ms``: when the next one may be asked for."""

    id: str
    code: str
    expires_ms: int
    again_ms: int

    def __repr__(self) -> str:
        return f"Asked(id={self.id!r})"


class Codes:
    """Codes under one set of limits; holds nothing but these and the vault's keys."""

    def __init__(self, vault: Vault, limits: Limits | None = None) -> None:
        self._vault = vault
        self.limits: Final = limits or Limits()

    @classmethod
    def open(cls, vault: Vault, settings: Settings) -> Codes:
        """Codes with the limits of the settings."""
        return cls(vault, Limits(per_address_hour=settings.codes_per_address))

    def ask(self, tx: Transaction, purpose: str, target: str, address: str = "") -> Asked:
        """A new code for a target. Earlier ones stay good for their time, lest others spoil somebody's code by asking for more.

        ``address`` is the key by which the asking address is counted (an IPv6 network of 64 bits is one); empty: not counted.
        Raises Refusal ``too_many_attempts`` with the time to wait.
        """
        tx.sql.execute(delete(codes).where(codes.c.created_ms < tx.now_ms - KEPT_MS))
        limits = self.limits
        marks = [mark for mark, _ in self._vault.marks("code.target", target)]
        where = self._vault.mark("code.address", address)[0] if address else ""
        unused = self._bound_target(tx, marks)
        if where:
            self._bound_address(tx, where)
        identity, code = new_id("c"), f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        row = {
            "id": identity, "purpose": purpose, "target": marks[0], "code": self._mark(identity, code)[0], "address": where,
            "created_ms": tx.now_ms, "expires_ms": tx.now_ms + limits.life_ms,
        }  # fmt: skip
        tx.sql.execute(insert(codes).values(**row))
        again_ms = tx.now_ms + self._gap_ms(unused + 1)
        return Asked(id=identity, code=code, expires_ms=tx.now_ms + limits.life_ms, again_ms=again_ms)

    def check(self, tx: Transaction, identity: str, purpose: str, code: str) -> bool:
        """Whether ``code`` is the one of :meth:`ask`, in time and for the first time; every try counts. Takes the same steps for
        codes that do not exist."""
        row = tx.sql.execute(select(codes).where(codes.c.id == identity, codes.c.purpose == purpose)).mappings().first()
        given = "".join(code.split())[: 2 * DIGITS]
        expected = row["code"].encode() if row is not None else bytes(64)
        fits = [compare_digest(expected, mark.encode()) for mark in self._mark(identity, given)]
        if row is None or row["used_ms"] or row["attempts"] >= self.limits.attempts or tx.now_ms >= row["expires_ms"]:
            return False
        values = {"attempts": row["attempts"] + 1, "used_ms": tx.now_ms if any(fits) else 0}
        tx.sql.execute(update(codes).where(codes.c.id == identity).values(**values))
        return any(fits)

    def spoil(self, tx: Transaction, identity: str) -> None:
        """Let a code be good for nothing: it could not be sent. It goes on to count for the limits."""
        tx.sql.execute(update(codes).where(codes.c.id == identity).values(attempts=self.limits.attempts))

    def _mark(self, identity: str, code: str) -> list[str]:
        return [mark for mark, _ in self._vault.marks("code", f"{identity}\0{code}")]

    def _bound_target(self, tx: Transaction, marks: list[str]) -> int:
        """How many codes the target had within a day and has not used."""
        recent = (codes.c.target.in_(marks), codes.c.created_ms > tx.now_ms - DAY_MS)
        rows = tx.sql.execute(select(codes.c.created_ms, codes.c.used_ms).where(*recent).order_by(codes.c.created_ms)).all()
        unused = sum(not used_ms for _, used_ms in rows)
        if rows:
            wait_ms = rows[-1][0] + self._gap_ms(unused) - tx.now_ms
            if len(rows) >= self.limits.per_target_day:
                wait_ms = max(wait_ms, rows[-self.limits.per_target_day][0] + DAY_MS - tx.now_ms)
            if wait_ms > 0:
                raise Refusal("too_many_attempts", retry_after_ms=wait_ms)
        return unused

    def _bound_address(self, tx: Transaction, where: str) -> None:
        recent = (codes.c.address == where, codes.c.created_ms > tx.now_ms - HOUR_MS)
        asked, first_ms = tx.sql.execute(select(func.count(), func.min(codes.c.created_ms)).where(*recent)).one()
        if asked >= self.limits.per_address_hour:
            raise Refusal("too_many_attempts", retry_after_ms=first_ms + HOUR_MS - tx.now_ms)

    def _gap_ms(self, unused: int) -> int:
        """The time between a target's newest code and the next one; none after codes that were used."""
        return min(self.limits.gap_ms << (unused - 1), self.limits.gap_max_ms) if unused else 0
