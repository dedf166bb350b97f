"""The ways by which findings reach authorities: a signed request, or a file put into a folder over SSH.

A courier takes the document's bytes and says how it went; it knows nothing of the book. Each attempt is bounded in time and in what
an answer may weigh. What goes wrong is :class:`NotDelivered`, in words without secrets or contents.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Protocol

import asyncssh
import httpx
import msgspec

from server.accounts.verify.client import ANSWER_MAX_BYTES, SIGNATURE, TIME, sign
from server.moderation.authorities import Authority

FINDING: Final = "Barrage-Finding"
REFERENCE_MAX_CHARS: Final = 120
_ACK_MAX_BYTES: Final = 4096


class NotDelivered(Exception):
    """An attempt failed; the text says why."""


class Courier(Protocol):
    """One way to one authority."""

    async def deliver(self, finding: str, document: bytes) -> str | None:
        """Hand it over. Returns the authority's reference when its answer acknowledges it, None when that is still to come.
        Doing it twice is doing it once: a finding has its id. Raises NotDelivered."""

    async def ask(self, finding: str) -> str | None:
        """The authority's reference, if it has acknowledged it meanwhile. Raises NotDelivered."""

    async def aclose(self) -> None:
        """Release what it holds."""


class _Answer(msgspec.Struct, frozen=True):
    acknowledged: str = ""


class Webhook:
    """A POST of JSON, signed with HMAC-SHA256 over ``TIME \\n ID \\n BODY`` (Unix seconds; hexadecimal, in ``Barrage-Signature``).

    Status 2xx means that it has arrived; a JSON object ``{"acknowledged": "REFERENCE"}`` in the answer acknowledges it.
    """

    def __init__(
        self, authority: Authority, clock_ms: Callable[[], int], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """``transport`` replaces the network."""
        self._authority = authority
        self._clock_ms = clock_ms
        self._client = httpx.AsyncClient(
            timeout=authority.timeout_s, follow_redirects=False, trust_env=False, transport=transport
        )

    async def deliver(self, finding: str, document: bytes) -> str | None:
        seconds = str(self._clock_ms() // 1000)
        signature = sign(self._authority.secret.encode(), seconds, finding, body=document)
        headers = {"Content-Type": "application/json", FINDING: finding, TIME: seconds, SIGNATURE: signature}
        try:
            async with (
                asyncio.timeout(self._authority.timeout_s),
                self._client.stream("POST", self._authority.url, headers=headers, content=document) as answer,
            ):
                if not answer.is_success:
                    raise NotDelivered(f"status {answer.status_code}")
                return _acknowledged(await _bounded(answer))
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NotDelivered(type(error).__name__) from None

    async def ask(self, finding: str) -> str | None:
        return None  # the authority says so in its answer, or somebody enters its receipt

    async def aclose(self) -> None:
        await self._client.aclose()


async def _bounded(answer: httpx.Response) -> bytes:
    data = bytearray()
    async for piece in answer.aiter_bytes():
        data += piece
        if len(data) > ANSWER_MAX_BYTES:
            raise NotDelivered("the answer is too large")
    return bytes(data)


def _acknowledged(data: bytes) -> str | None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reference = " ".join(msgspec.json.decode(data, type=_Answer).acknowledged.split())
        if reference and reference.isprintable():
            return reference[:REFERENCE_MAX_CHARS]
    return None


class Sftp:
    """A file ``ID.json`` in a folder of the authority's server, whole or not at all; ``ID.ack`` beside it, with the authority's
    reference in its first line, acknowledges it. The server proves itself by the key that the settings name, and by no other."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def deliver(self, finding: str, document: bytes) -> str | None:
        async with self._folder() as (sftp, folder):
            draft, path = f"{folder}/.{finding}.part", f"{folder}/{finding}.json"
            async with sftp.open(draft, "wb") as file:
                await file.write(document)
            await sftp.posix_rename(draft, path)
            return await _read_ack(sftp, f"{folder}/{finding}.ack")

    async def ask(self, finding: str) -> str | None:
        async with self._folder() as (sftp, folder):
            return await _read_ack(sftp, f"{folder}/{finding}.ack")

    async def aclose(self) -> None:
        """Each attempt has a connection of its own."""

    @contextlib.asynccontextmanager
    async def _folder(self):  # type: ignore[no-untyped-def] # the library's own type
        authority = self._authority
        try:
            known = asyncssh.import_known_hosts(f"* {authority.host_key}\n")
            async with (
                asyncio.timeout(authority.timeout_s),
                asyncssh.connect(
                    authority.host, authority.port, username=authority.user, client_keys=[authority.key_file],
                    known_hosts=known, agent_path=None, config=None,
                ) as connection,
                connection.start_sftp_client() as sftp,
            ):  # fmt: skip
                yield sftp, authority.folder.rstrip("/") or "/"
        except (TimeoutError, OSError, ValueError, asyncssh.Error) as error:
            raise NotDelivered(type(error).__name__) from None


async def _read_ack(sftp: asyncssh.SFTPClient, path: str) -> str | None:
    try:
        async with sftp.open(path, "rb") as file:
            data = bytes(await file.read(_ACK_MAX_BYTES))  # type: ignore[arg-type] # bytes, of a file that was opened for them
    except asyncssh.SFTPNoSuchFile:
        return None
    first = data.decode("utf-8", "replace").strip().splitlines()
    return " ".join(first[0].split())[:REFERENCE_MAX_CHARS] if first else "acknowledged by an empty file"


def courier(authority: Authority, clock_ms: Callable[[], int]) -> Courier | None:
    """The courier of an authority; None: its findings are printed."""
    if authority.way == "print":
        return None
    return Webhook(authority, clock_ms) if authority.way == "webhook" else Sftp(authority)
