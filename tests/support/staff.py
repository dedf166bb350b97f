"""Members of staff for tests: quick passwords, codes of an authenticator app, and an authenticator that makes passkeys."""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import cbor2
import httpx
import pyotp
from argon2 import PasswordHasher
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from server.accounts import sessions, staff
from server.accounts.book import Accounts, Transaction
from server.accounts.passwords import Passwords
from server.accounts.staff import Sealer
from server.http.staff import RULES
from server.http.staff_door import Rule, route
from server.settings import Settings
from server.web.assets import Assets
from server.web.views import Views
from tests.support.services import FakeServices
from tests.support.web import application, browsing

PASSWORD: Final = "correct horse battery staple"
CHEAP: Final = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
"""Passwords that cost next to nothing."""

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def enrol(accounts: Accounts, sealer: Sealer, name: str, *roles: str, passwords: Passwords = CHEAP) -> pyotp.TOTP:
    """Make a member who has set :data:`PASSWORD`; returns what their authenticator app holds."""
    secret = accounts.write_now(lambda tx: staff.add(tx, name, roles, sealer, actor="operator:root", role="operator"))
    now_ms = accounts.write_now(lambda tx: tx.now_ms)
    uri = accounts.read_now(lambda c: staff.enrolment_uri(c, name, secret, sealer, "Barrage", now_ms))
    app = pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0])
    kept = passwords.keep(PASSWORD, name)
    # With the code of the step before, so that the present one is still good.
    accounts.write_now(lambda tx: staff.enrol(tx, name, secret, kept, app.at(now_ms // 1000 - 30), sealer))
    return app


@functools.cache
def compiled_views() -> Views:
    """Compiled once for all tests of a process: it takes longer than most of them."""
    return Views(Settings(), Assets())


class Desk:
    """Staff's pages over the services fake, for one browser. ``client`` follows no redirects."""

    def __init__(self, services: FakeServices, client: httpx.AsyncClient) -> None:
        self.services = services
        self.client = client
        self.token = ""

    async def enter(self, name: str = "ann", *roles: str, fresh: bool = True) -> None:
        """Be signed in as a member with these roles, made when missing."""
        people = self.services.people

        def work(tx: Transaction) -> str:
            if staff.find(tx.sql, name) is None:
                staff.add(tx, name, roles, people.vault, actor="operator:root", role="operator")
            return sessions.begin(tx, f"staff:{name}", people.desk.policy, stepped_up=fresh)

        cookie = await people.book.write(work)
        self.client.cookies.clear()
        self.client.cookies.set("barrage_staff", cookie, domain="site.example", path="/staff")
        self.token = sessions.form_token(people.form_key, cookie)

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form as a page of ours would; underscores in names stand for themselves, ``__`` for a dot."""
        data = {name.replace("__", "."): value for name, value in fields.items()}
        return await self.client.post(path, data={"form_token": self.token, **data})

    async def send(self, path: str, body: dict[str, Any], token: str | None = None) -> httpx.Response:
        """Send JSON as the script of our pages does."""
        headers = {"X-Barrage-Form-Token": self.token if token is None else token}
        return await self.client.post(path, json=body, headers=headers)


@asynccontextmanager
async def staff_desk(services: FakeServices, rules: Sequence[Rule] = RULES) -> AsyncIterator[Desk]:
    """A desk over the routes of ``rules``."""
    services.people.desk.passwords = CHEAP
    app = application(services, [route(rule) for rule in rules])
    app.state.views = compiled_views()
    async with browsing(app) as client:
        yield Desk(services, client)


class Authenticator:
    """A software authenticator with one key, as a phone or a browser has one. ``verifies``: it makes sure who holds it."""

    def __init__(self, origin: str, *, verifies: bool = True, counts: bool = True) -> None:
        self.origin = origin
        self.verifies = verifies
        self.counts = counts
        self.count = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """What ``navigator.credentials.create`` gives for these options, in its JSON form."""
        numbers = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        data = self._data(options["rp"]["id"], _ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential(
            clientDataJSON=self._client("webauthn.create", options["challenge"]), attestationObject=attestation
        )

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """What ``navigator.credentials.get`` gives for these options, in its JSON form."""
        client = self._client("webauthn.get", options["challenge"])
        data = self._data(options["rpId"], 0)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(clientDataJSON=client, authenticatorData=data, signature=signature)

    def _data(self, rp_id: str, flags: int) -> bytes:
        self.count += self.counts
        flags |= _PRESENT | (_VERIFIED if self.verifies else 0)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        assert base64url_to_bytes(challenge)
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _credential(self, **response: bytes) -> dict[str, Any]:
        return {
            "id": bytes_to_base64url(self.id), "rawId": bytes_to_base64url(self.id), "type": "public-key",
            "clientExtensionResults": {}, "response": {name: bytes_to_base64url(data) for name, data in response.items()},
        }  # fmt: skip
