"""A whole life of an account on a real server, with marked personal data: whatever leaves the process or lands on the disk is looked
through for the marks."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.duties.public import ROOM, SETTINGS, command, handed_out, wait_for
from tests.support.identity_service import SECRET, IdentityService, identity_service
from tests.support.newcomer import Newcomer
from tests.support.server import ServerProcess
from tests.support.wsclient import RawClient

PHONE: Final = "13955577123"
NAME: Final = "欧阳金丝雀"
NUMBER: Final = "370683197805174235"
APPEAL: Final = "这是申诉里的话"
MARKS: Final = (PHONE, PHONE[3:], NAME, NUMBER, NUMBER[:-1])
"""Parts count too: a number without its prefix, an identity number without its check digit."""


class World:
    """A server with a gateway and a verification service, and everything that it ever said to us."""

    def __init__(self, server: ServerProcess, service: IdentityService) -> None:
        self.server = server
        self.service = service
        self.heard: list[tuple[str, str]] = []
        self.browsers: list[Newcomer] = []

    def code(self) -> str:
        """The newest code that the gateway was given."""
        return str(self.service.messages[-1]["code"])

    def newcomer(self) -> Newcomer:
        """A new browser."""
        found = Newcomer(self.server.url, self.code)
        self.browsers.append(found)
        return found

    def hear(self, what: str, person: Newcomer) -> None:
        """Keep what a browser saw, but for the person's own copy."""
        self.heard += [(f"{what} {number}", text) for number, text in enumerate(person.seen)]
        person.seen.clear()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Settings of a real site: codes go to a gateway, identity numbers to a service."""
    folder = tmp_path_factory.mktemp("canary")
    with identity_service(time.time_ns() // 1_000_000) as service:
        service.people[NUMBER] = NAME
        config = folder / "verification.toml"
        config.write_text(
            f'[sms]\nurl = "{service.url}/sms"\nbody = {{ to = "{{phone}}", code = "{{code}}" }}\n'
            f'[id_number]\nurl = "{service.url}/match"\nsecret = "{SECRET}"\n',
            encoding="utf-8",
        )
        config.chmod(0o600)
        settings = {**SETTINGS, "verification_file": str(config), "log_level": "debug", "codes_per_address": "100"}
        server = ServerProcess(folder / "data", settings=settings, demo=False)
        assert command(server, "room", "create", ROOM, "--title", "Canary").returncode == 0
        with server:
            found = World(server, service)
            yield found
            for browser in found.browsers:
                browser.close()


def bytes_on_disk(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the data folder as it is, databases and their logs included."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def encodings(mark: str) -> Iterator[bytes]:
    """A mark as databases, JSON and hashes without a key might hold it."""
    yield mark.encode()
    yield mark.encode("utf-16-le")
    yield json.dumps(mark).strip('"').encode()
    yield hashlib.sha256(mark.encode()).digest()
    yield hashlib.sha256(mark.encode()).hexdigest().encode()


def look_through(world: World) -> None:
    """No mark in anything heard, handed out or stored."""
    public = [(name, text) for name, text in handed_out(world.server, 1) if not name.startswith("accounts.db")]
    for name, text in [*world.heard, *public]:
        for mark in MARKS:
            assert mark not in text, f"{mark} is in {name}"
    for name, data in bytes_on_disk(world.server.data):
        for mark in MARKS:
            for form in encodings(mark):
                assert form not in data, f"{mark} is in the file {name}"


def on_air(server: ServerProcess, token: str, text: str) -> tuple[RawClient, dict[str, Any]]:
    """Connect as the page's script does and post; the connection and the answer."""
    client = RawClient(server.port)
    client.handshake(f"/ws?room={ROOM}&token={token}")
    client.read_until("joined")
    client.send_text({"op": "say", "room": ROOM, "key": "k1", "text": text})
    return client, client.read_until("ack", "held", "refused")


def test_duty_p5_1_marked_personal_data_stay_behind(world: World) -> None:
    """duty P5(1), P5(2), P9: sign-up, verification, posting, a measure, an appeal, a copy, erasure: no mark in a page, frame, log
    line, metric, error or file, database included; after erasure nothing can be decrypted, and the blacklist still refuses."""
    server = world.server
    ann = world.newcomer()
    assert ann.sign_up(PHONE, "金丝雀的昵称").status_code == 200
    assert ann.verify_number(NAME, NUMBER[:-1] + "1").status_code == 422
    assert ann.verify_number(NAME, NUMBER).status_code == 200
    world.hear("the way in", ann)

    client, answer = on_air(server, ann.token(), "大家好")
    assert answer["op"] == "ack", answer
    wait_for(server, answer["seq"])
    world.heard.append(("frames of the author", json.dumps(client.follow(answer["seq"]), ensure_ascii=False)))
    shown = httpx.get(f"{server.url}/rooms/{ROOM}", timeout=30, trust_env=False).text
    assert "金丝雀的昵称" in shown

    done = command(
        server,
        "account",
        "measure",
        "blacklist",
        "--code",
        "L2",
        "--basis",
        "art. 15(2)",
        "--nickname",
        "金丝雀的昵称",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    letter = client.read_until("letter")
    world.heard += [("the letter", json.dumps(letter)), ("the command", done.stdout + done.stderr)]
    client.send_text({"op": "say", "room": ROOM, "key": "k2", "text": "还在吗"})
    refused = client.read_until("ack", "held", "refused")
    assert (refused["op"], refused["code"]) == ("refused", "account_closed")
    world.heard.append(("the refusal", json.dumps(refused, ensure_ascii=False)))
    ann.get("/account")
    measure = re.search(r'name="measure" value="([^"]+)"', ann.page)
    assert measure is not None
    ann.send("/account/appeals", measure=measure[1], words=APPEAL)
    assert command(server, "account", "show", "--nickname", "金丝雀的昵称", "--json").returncode == 0
    world.hear("after the measure", ann)
    look_through(world)

    copy = _copy(ann)
    assert copy["vault"] == {"phone": f"+86{PHONE}", "real_name": NAME, "id_number": NUMBER}
    assert [each["text"] for each in copy["comments"]] == ["大家好"]
    ann.get("/account/privacy")
    assert "its key is destroyed" in ann.send("/account/privacy/erase", nickname="金丝雀的昵称").text
    world.hear("erasure", ann)
    look_through(world)

    again = world.newcomer()
    again.get("/account/sign-in")
    again.send("/account/sign-in", phone=PHONE)
    assert again.send("/account/code", code=world.code()).status_code == 403, "the blacklist outlasts the account"
    other = world.newcomer()
    other.sign_up("13955577124", "另一个人")
    assert other.verify_number(NAME, NUMBER).status_code == 403
    world.hear("the second try", again)
    world.hear("the third try", other)
    look_through(world)
    with server_stopped(server):
        look_through_files(world)
    client.__exit__(None, None, None)


def _copy(person: Newcomer) -> dict[str, Any]:
    """The person's own data; this answer alone holds them in clear."""
    person.get("/account/privacy")
    answer = person.send("/account/privacy/copy")
    person.seen.pop()
    found: dict[str, Any] = answer.json()
    return found


class server_stopped:  # noqa: N801 - reads like a statement
    """The server ended in order."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def __enter__(self) -> None:
        assert self._server.terminate() == 0

    def __exit__(self, *error: object) -> None:
        self._server.start()


def look_through_files(world: World) -> None:
    """What is on the disk when nothing runs."""
    for name, data in bytes_on_disk(world.server.data):
        for mark in MARKS:
            assert mark.encode() not in data, f"{mark} is in the file {name}"
    assert not any(mark in world.server.logs() for mark in MARKS)
