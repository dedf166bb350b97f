"""Identity number with name: checked here for form, then matched by a verification service that says yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from server.accounts.verify import Answer, Question, numbers
from server.accounts.verify.client import SignedClient

REFERENCE_MAX_CHARS: Final = 64


class IdNumber:
    """The adapter ``id_number``: evidence ``name`` and ``number``. The name and the number are kept in the vault, and an HMAC of the
    number as the claim that one person has one account; of the answer, whether it matched."""

    method: Final = "id_number"
    strength: Final = 2
    purpose: Final = "identity_document"

    def __init__(self, service: SignedClient) -> None:
        self._service = service

    def prepare(self, evidence: Mapping[str, str], now_ms: int) -> Question:
        """See :class:`server.accounts.verify.Adapter`."""
        name = numbers.name(evidence.get("name", ""))
        number = numbers.id_number(evidence.get("number", ""))
        under_14 = numbers.age(number, now_ms) < numbers.ADULT_CONSENT_AGE
        return Question(values={"name": name, "number": number}, under_14=under_14)

    async def check(self, question: Question) -> Answer:
        """See :class:`server.accounts.verify.Adapter`."""
        answer = await self._service.ask(question.values)
        if answer.get("match") is not True:
            return Answer(passed=False, reference=reference(answer))
        name, number = question.values["name"], question.values["number"]
        return Answer(
            passed=True,
            claim=("person", number),
            fields={"real_name": name, "id_number": number},
            reference=reference(answer),
            under_14=question.under_14,
        )

    async def aclose(self) -> None:
        """Close the service's connections."""
        await self._service.aclose()


def reference(answer: Mapping[str, object]) -> str:
    """The service's number of its answer, if it gives one that can be nothing else: letters, digits and hyphens."""
    found = answer.get("reference", "")
    if not isinstance(found, str) or not found.isascii() or not found.replace("-", "").isalnum():
        return ""
    return found[:REFERENCE_MAX_CHARS]
