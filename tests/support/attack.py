"""The whole site in this process, as somebody sees it who attacks it: every route, people and staff who are signed in, and what an
attacker can change of a request."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import msgspec
import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.routing import Route

from server.accounts import sessions, signup, staff, tables
from server.accounts.book import Transaction
from server.accounts.oidc import Providers
from server.http import pages
from server.http.account_privacy import _Asked
from server.http.account_sign_in import Flow
from server.http.routes import web_app
from server.http.staff import RULES
from server.settings import Settings
from tests.support.accounts import Clock
from tests.support.guest import member
from tests.support.oidc import FakeProvider
from tests.support.phones import Phones
from tests.support.services import FakeServices
from tests.support.staff import CHEAP, compiled_views
from tests.support.web import browsing

SITE: Final = "http://site.example"
ELSEWHERE: Final = "https://evil.example"
PHONE: Final = "13800138000"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NOT_COMPARED: Final = frozenset({"sessions", "logins", "alembic_version"})
_OPEN_TO_STAFF: Final = frozenset(rule.path for rule in RULES if rule.needs == "open")


class Way(NamedTuple):
    """A route that changes something."""

    method: str
    path: str

    @property
    def url(self) -> str:
        """The address with something that is there in each variable part."""
        parts = {"room": "demo", "account": "a-1", "provider": "one", "session": "0" * 64, "name": "index.html",
                 "receipt": "x", "path": "x", "measure": "m-1", "inspection": "1", "finding": "1", "case": "1", "decision": "1",
                 "item": "1", "part": "events", "attempt": "1", "training": "1", "day": "2026-11-01", "month": "2026-10"}  # fmt: skip
        return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: parts[found[1]], self.path)


class Site:
    """See the module's text. ``client`` follows no redirects and holds whatever cookies it was given."""

    def __init__(self, services: FakeServices, app: Starlette, client: httpx.AsyncClient, phones: Phones) -> None:
        self.services = services
        self.people = services.people
        self.app = app
        self.client = client
        self.phones = phones
        self.provider = FakeProvider(Clock(services.clock_ms))
        self._ticket = ""
        people: Any = self.people
        transport = httpx.MockTransport(self.provider.handle)
        people.oidc = Providers({"one": self.provider.settings()}, self.people.book, self.people.clock_ms, transport=transport)

    # -- who is signed in

    async def session(self, holder: str = "a-1") -> str:
        """A new session of an account or, for ``staff:NAME``, of a member who has just proved to be there; its cookie's value."""
        return await self.people.book.write(lambda tx: self._begin(tx, holder))

    def _begin(self, tx: Transaction, holder: str) -> str:
        staffs = holder.startswith("staff:")
        policy = self.people.desk.policy if staffs else self.people.session_policy
        return sessions.begin(tx, holder, policy, stepped_up=staffs)

    async def everything(self, holder: str = "a-1") -> dict[str, str]:
        """The cookies of a browser in which somebody is signed in, as a person and as staff, and in the midst of every flow."""
        if not self._ticket:
            self._ticket = (await self.people.signup.start_phone(PHONE)).ticket
        ticket = self._ticket
        flow = Flow(ticket=ticket, hint="00", proof="x")
        asked = _Asked(ticket=ticket, hint="00", name="李雷")
        viewer, eve = await self.people.book.write(lambda tx: (self._begin(tx, holder), self._begin(tx, "staff:eve")))
        return {
            "barrage_session": viewer,
            "barrage_staff": eve,
            "barrage_form": sessions.new_cookie(),
            "barrage_flow": _text(flow),
            "barrage_guardian": _text(asked),
        }

    def token(self, way: Way, cookies: dict[str, str]) -> str:
        """The form token that belongs to a route in the browser with these cookies."""
        jar = "barrage_session"
        if way.path.startswith("/staff"):
            jar = "barrage_form" if way.path in _OPEN_TO_STAFF else "barrage_staff"
        return sessions.form_token(self.people.form_key, cookies[jar])

    async def send(self, way: Way, cookies: dict[str, str], token: str, **headers: str) -> httpx.Response:
        """A form with this token and nothing else in it; the token also as the header that scripts send."""
        if token:
            headers = {**headers, "X-Barrage-Form-Token": token}
        return await self.ask(way, cookies, headers, data={"form_token": token} if token else {"x": ""})

    async def ask(self, way: Way, cookies: dict[str, str], headers: dict[str, str], **body: Any) -> httpx.Response:
        """A request with these cookies alone."""
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        sent = {"Cookie": cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.client.cookies.clear()
        return await self.client.request(way.method, way.url, headers=sent, **(body if way.method == "POST" else {}))

    # -- what there is

    def ways(self) -> Iterator[Way]:
        """Every route that changes something, from the application's own table."""
        for route in self.app.routes:
            assert isinstance(route, Route)
            for method in sorted((route.methods or set()) - _READING):
                yield Way(method, route.path)

    def reading(self) -> Iterator[str]:
        """Addresses of all pages and answers that are read, streams aside."""
        for route in self.app.routes:
            assert isinstance(route, Route)
            if "GET" in (route.methods or ()) and not route.path.endswith(("/stream", "/desk/events", "/callback")):
                yield Way("GET", route.path).url

    def stored(self) -> dict[str, list[Any]]:
        """Everything that the book of accounts holds, sessions aside, and how much there is in rooms."""
        compared = [each for name, each in tables.metadata.tables.items() if name not in _NOT_COMPARED]
        found = self.people.book.read_now(
            lambda connection: {each.name: connection.execute(select(each)).all() for each in compared}
        )
        rooms = {f"room {info.name}": [len(self.services.events(info.name)), info.mode] for info in self.services.rooms()}
        return {**{name: list(rows) for name, rows in found.items()}, **rooms, "sent": [len(self.phones.sent)]}


def _text(data: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(data)).decode()


def everybody(tx: Transaction) -> None:
    """Two people, and a member of staff with every role, who is nobody's equal outside of tests."""
    member(tx, "a-1", "小明")
    member(tx, "a-2", "Momo")


@asynccontextmanager
async def site(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Site]:
    """The whole site with the room ``demo``, the people ``a-1`` and ``a-2``, and ``eve``, who has every role of staff."""
    phones = Phones()
    monkeypatch.setattr(signup, "Terminal", lambda: phones)
    monkeypatch.setattr(pages, "Views", lambda *_: compiled_views()) if not settings else None
    services = FakeServices(
        folder, Settings(**{"demo": True, "sign_ins_burst": 10_000, "codes_per_address": 10_000, **settings})
    )
    services.add_room("demo", "Demo")
    services.people.desk.passwords = CHEAP
    try:
        book, vault = services.people.book, services.people.vault
        await book.write(everybody)
        await book.write(lambda tx: staff.add(tx, "eve", tuple(staff.ROLES), vault, actor="operator:root", role="operator"))
        app = web_app(services)
        async with browsing(app, "192.0.2.7", **{"Accept-Language": "en"}) as client:
            yield Site(services, app, client, phones)
    finally:
        services.people.close()
