"""server/moderation/couriers.py: against an authority's address, and against a real SSH server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import httpx
import msgspec
import pytest

from server.moderation.couriers import NotDelivered, Sftp, Webhook, courier
from tests.support.authority import PAPER, WEB, Office, ssh_office


def webhook(office: Office) -> Webhook:
    return Webhook(WEB, lambda: 1_790_000_000_000, office.transport)


async def test_a_signed_request_arrives_and_is_acknowledged() -> None:
    """By the reference of the answer; without one it has arrived, and no more."""
    office = Office(
        httpx.Response(200, json={"acknowledged": " R-1  x "}), httpx.Response(202), httpx.Response(200, json=["R"]),
        httpx.Response(200, json={"acknowledged": ""}), httpx.Response(200, json={"acknowledged": "\x07"}),
    )  # fmt: skip
    sender = webhook(office)
    assert await sender.deliver("f-1", b'{"id":1}') == "R-1 x"
    for _ in range(4):
        assert await sender.deliver("f-1", b'{"id":1}') is None
    assert office.received == [("f-1", b'{"id":1}')] * 5
    assert await sender.ask("f-1") is None
    await sender.aclose()


async def test_what_the_address_answers_otherwise_is_no_delivery() -> None:
    """A status of failure, a redirection, an answer without end, none at all; a signature by another secret."""
    for answer, said in (
        (httpx.Response(503), "status 503"), (httpx.Response(302, headers={"location": "/x"}), "status 302"),
        (httpx.Response(200, content=b"x" * 70_000), "too large"),
    ):  # fmt: skip
        sender = webhook(Office(answer))
        with pytest.raises(NotDelivered, match=said):
            await sender.deliver("f-1", b"{}")
        await sender.aclose()
    other = Webhook(msgspec.structs.replace(WEB, secret="t" * 32), lambda: 0, Office().transport)
    with pytest.raises(NotDelivered, match="status 403"):
        await other.deliver("f-1", b"{}")
    await other.aclose()

    async def silent(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    slow = Webhook(msgspec.structs.replace(WEB, timeout_s=0.01), lambda: 0, httpx.MockTransport(silent))
    with pytest.raises(NotDelivered, match="TimeoutError"):
        await slow.deliver("f-1", b"{}")
    await slow.aclose()


async def test_a_file_is_put_into_the_folder_whole_and_acknowledged_by_another(tmp_path: Path) -> None:
    """Doing it again changes nothing; what stands in the first line of the other file is the reference."""
    async with ssh_office(tmp_path) as authority:
        sender = Sftp(authority)
        inbox = tmp_path / "files" / "inbox"
        assert await sender.deliver("f-1", b'{"id":1}') is None
        assert await sender.deliver("f-1", b'{"id":1}') is None
        assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {"f-1.json": b'{"id":1}'}
        assert await sender.ask("f-1") is None
        (inbox / "f-1.ack").write_text(" R-7\nmore\n")
        assert await sender.ask("f-1") == "R-7"
        (inbox / "f-1.ack").write_text("\n")
        assert await sender.ask("f-1") == "acknowledged by an empty file"
        await sender.aclose()


async def test_nothing_goes_to_a_server_that_is_another(tmp_path: Path) -> None:
    """One with another key than the one that the settings name, one that knows our key not, one without the folder, none."""
    async with ssh_office(tmp_path) as authority:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "stranger.key")
        for change in (
            {"host_key": other}, {"host_key": "no key"}, {"key_file": str(tmp_path / "stranger.key")},
            {"key_file": str(tmp_path / "none")}, {"folder": "elsewhere"},
        ):  # fmt: skip
            with pytest.raises(NotDelivered):
                await Sftp(msgspec.structs.replace(authority, **change)).deliver("f-1", b"{}")
        assert list((tmp_path / "files" / "inbox").iterdir()) == []
    with pytest.raises(NotDelivered):
        await Sftp(authority).ask("f-1")


async def test_each_way_has_its_courier() -> None:
    """What is printed has none."""
    assert courier(PAPER, lambda: 0) is None
    for authority, kind in ((WEB, Webhook), (msgspec.structs.replace(PAPER, way="sftp"), Sftp)):
        sender = courier(authority, lambda: 0)
        assert type(sender) is kind
        assert sender is not None
        await sender.aclose()
