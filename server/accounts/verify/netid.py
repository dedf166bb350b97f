"""National network identity: a token that the person's app made, checked by the public service behind it. Only the result is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from server.accounts.verify import Answer, Question, Refused
from server.accounts.verify.client import SignedClient
from server.accounts.verify.idcard import reference

TOKEN_MAX_CHARS: Final = 8192
SUBJECT_MAX_CHARS: Final = 256


class NetworkIdentity:
    """The adapter ``network_identity``: evidence ``token``. The service says whether the token is valid, and by what subject the
    same person is known to it again; of that, an HMAC is the claim. Neither token nor subject is kept."""

    method: Final = "network_identity"
    strength: Final = 3
    purpose: Final = "account"

    def __init__(self, service: SignedClient) -> None:
        self._service = service

    def prepare(self, evidence: Mapping[str, str], now_ms: int) -> Question:
        """See :class:`server.accounts.verify.Adapter`."""
        token = evidence.get("token", "").strip()
        if not 1 <= len(token) <= TOKEN_MAX_CHARS or not token.isascii() or not token.isprintable():
            raise Refused(f"token: 1 to {TOKEN_MAX_CHARS} characters")
        return Question(values={"token": token})

    async def check(self, question: Question) -> Answer:
        """See :class:`server.accounts.verify.Adapter`. An answer without a subject has confirmed nobody."""
        answer = await self._service.ask(question.values)
        subject = answer.get("subject")
        if answer.get("valid") is not True or not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_MAX_CHARS:
            return Answer(passed=False, reference=reference(answer))
        under_14 = answer.get("under_14") is not False and "under_14" in answer
        return Answer(passed=True, claim=("netid", subject), reference=reference(answer), under_14=under_14)

    async def aclose(self) -> None:
        """Close the service's connections."""
        await self._service.aclose()
