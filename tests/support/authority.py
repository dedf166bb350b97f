"""Authorities for tests: findings to file, an authority's web address, and its SSH server with a folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncssh
import httpx

from server.accounts.verify.client import SIGNATURE, TIME, sign
from server.moderation import outbox
from server.moderation.authorities import Authority
from server.moderation.book import ReviewBook, Transaction
from server.moderation.couriers import FINDING
from server.moderation.outbox import Evidence

CARL: Final[dict[str, Any]] = {"actor": "staff:carl", "role": "compliance"}
SECRET: Final = "s" * 32
WEB: Final = Authority(title="网信办", way="webhook", url="https://authority.example/findings", secret=SECRET, acknowledge_h=1)
PAPER: Final = Authority(title="公安局", way="print")


def file(book: ReviewBook, to: Authority = WEB, **changes: Any) -> str:
    """A finding with one decision, one comment and one account as evidence; its id."""

    def work(tx: Transaction) -> str:
        decision = tx.decide("remove", "L5", "a cult", actor="staff:rex", role="reviewer", room="a", seq=300, account="ann").id
        given: dict[str, Any] = {
            "authority": "cac", "title": "邪教宣传", "summary": "Three comments.", "code": "L5", "basis": "第十五条",
            "evidence": Evidence(decisions=(decision,), comments=("a#300",), accounts=("ann",)),
            "acknowledge_ms": to.acknowledge_ms, "way": to.way, **CARL, **changes,
        }  # fmt: skip
        return outbox.file(tx, **given)

    return book.write_now(work)


class Office:
    """What stands at the authority's address. ``answers`` are given one after the other, the last one again and again."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers) or [httpx.Response(200, json={"acknowledged": "R-1"})]
        self.received: list[tuple[str, bytes]] = []

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """Only what is signed is taken."""
        finding, seconds = request.headers[FINDING], request.headers[TIME]
        if request.headers[SIGNATURE] != sign(SECRET.encode(), seconds, finding, body=request.content):
            return httpx.Response(403)
        self.received.append((finding, request.content))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.asynccontextmanager
async def ssh_office(folder: Path) -> AsyncIterator[Authority]:
    """An SSH server whose files are ``folder``, with the folder ``inbox``, and the authority that it belongs to."""
    (folder / "files" / "inbox").mkdir(parents=True)
    host, client = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    client.write_private_key(folder / "client.key")
    allowed = asyncssh.import_authorized_keys(client.export_public_key().decode())
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[host], authorized_client_keys=allowed, allow_scp=False,
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder / "files").encode()),
    )  # fmt: skip
    try:
        yield Authority(
            title="公安局", way="sftp", host="127.0.0.1", port=server.get_port(), user="platform", folder="inbox",
            key_file=str(folder / "client.key"), host_key=host.export_public_key().decode().strip(), timeout_s=10,
        )  # fmt: skip
    finally:
        server.close()
        await server.wait_closed()
