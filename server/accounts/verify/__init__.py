"""Verification of who is behind an account, by adapters with one interface.

An adapter closes on failure: whoever cannot be asked has confirmed nobody. It is bounded in time and in how many questions are under
way, it never logs a value, and only what it returns is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from server.accounts.verify.numbers import Refused

__all__ = ["PHONE", "Adapter", "Answer", "Question", "Refused"]

PHONE: Final = "phone"
"""The method of phone codes, which need no adapter: see :mod:`server.accounts.signup`."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be confirmed, in its one form. ``under_14``: as far as the values themselves say."""

    values: Mapping[str, str]
    under_14: bool = False

    def __repr__(self) -> str:
        return "Question(...)"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome, and what of it is kept: ``claim`` (kind and value, as an HMAC), ``fields`` (in the vault), ``reference`` (the
    service's own number of the answer, nothing of the person)."""

    passed: bool
    claim: tuple[str, str] | None = None
    fields: Mapping[str, str] = {}
    reference: str = ""
    under_14: bool = False

    def __repr__(self) -> str:
        return f"Answer(passed={self.passed})"


class Adapter(Protocol):
    """One way to confirm an identity. ``strength`` is that of :class:`server.accounts.events.Verified`."""

    @property
    def method(self) -> str:
        """The name by which people choose it."""
        ...

    @property
    def strength(self) -> int:
        """How surely it tells who somebody is."""
        ...

    @property
    def purpose(self) -> str:
        """The purpose (of :mod:`server.accounts.fields`) for which something of it is kept."""
        ...

    def prepare(self, evidence: Mapping[str, str], now_ms: int) -> Question:
        """Check what can be checked here, before anybody is asked. Raises Refusal ``identity_refused``, its detail without values."""
        ...

    async def check(self, question: Question) -> Answer:
        """Ask. Raises Refusal ``verification_unavailable``."""
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...
