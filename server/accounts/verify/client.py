"""Asking a service over HTTP: one attempt, bounded in time, in size and in how many are under way.

A failure is one refusal, ``verification_unavailable``; the log says which service and what kind of failure, never an address with its
query, a header or a body.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import msgspec
import structlog

from server.accounts.verify.config import ServiceConfig
from server.errors import Refusal

ANSWER_MAX_BYTES: Final = 64 * 1024
RETRY_MS: Final = 30_000
SIGNATURE: Final = "Barrage-Signature"
NONCE: Final = "Barrage-Nonce"
TIME: Final = "Barrage-Time"

log = structlog.get_logger("verification")


class Client:
    """Posts JSON to one address. Belongs to the event loop; connections are made at the first question."""

    def __init__(
        self, name: str, url: str, timeout_s: float, concurrency: int, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """``name`` is for the log; ``transport`` replaces the network."""
        self._name = name
        self._url = url
        self._timeout_s = timeout_s
        self._places = asyncio.Semaphore(concurrency)
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def post(self, headers: Mapping[str, str], content: bytes) -> tuple[httpx.Headers, bytes]:
        """The headers and the body of an answer with status 2xx. Waiting for a place counts into the time.
        Raises Refusal ``verification_unavailable``."""
        try:
            async with asyncio.timeout(self._timeout_s), self._places:
                return await self._post({"Content-Type": "application/json", **headers}, content)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self.unavailable(type(error).__name__) from None

    async def _post(self, headers: Mapping[str, str], content: bytes) -> tuple[httpx.Headers, bytes]:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=self._timeout_s, follow_redirects=False, trust_env=False, transport=self._transport
            )
        async with self._client.stream("POST", self._url, headers=dict(headers), content=content) as answer:
            if not answer.is_success:
                raise self.unavailable(f"status {answer.status_code}")
            data = bytearray()
            async for piece in answer.aiter_bytes():
                data += piece
                if len(data) > ANSWER_MAX_BYTES:
                    raise self.unavailable("the answer is too large")
            return answer.headers, bytes(data)

    def unavailable(self, why: str) -> Refusal:
        """The refusal, with ``why`` in the log."""
        log.warning("verification failed to be had", service=self._name, error=why)
        return Refusal("verification_unavailable", retry_after_ms=RETRY_MS)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class SignedClient:
    """A service that shares a secret with us: questions and answers are signed with HMAC-SHA256, each answer for its question alone.

    The signature of a question is over ``TIME \\n NONCE \\n BODY`` (Unix seconds, 32 hexadecimal digits), that of an answer over
    ``NONCE \\n BODY``; both stand as hexadecimal in the header ``Barrage-Signature``.
    """

    def __init__(
        self,
        name: str,
        config: ServiceConfig,
        clock_ms: Callable[[], int],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = Client(name, config.url, config.timeout_s, config.concurrency, transport)
        self._secret = config.secret.encode()
        self._clock_ms = clock_ms

    async def ask(self, question: Mapping[str, str]) -> dict[str, Any]:
        """The answer, a JSON object that the service has signed. Raises Refusal ``verification_unavailable`` for everything else."""
        nonce, seconds = secrets.token_hex(16), str(self._clock_ms() // 1000)
        body = msgspec.json.encode(question)
        headers = {NONCE: nonce, TIME: seconds, SIGNATURE: sign(self._secret, seconds, nonce, body=body)}
        found, content = await self._client.post(headers, body)
        if not hmac.compare_digest(found.get(SIGNATURE, "").encode(), sign(self._secret, nonce, body=content).encode()):
            raise self._client.unavailable("the answer is not signed as agreed")
        try:
            return msgspec.json.decode(content, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._client.unavailable("the answer is not a JSON object") from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def sign(secret: bytes, *lines: str, body: bytes = b"") -> str:
    """The signature over the lines and the body, hexadecimal."""
    return hmac.digest(secret, b"".join(line.encode() + b"\n" for line in lines) + body, "sha256").hex()
