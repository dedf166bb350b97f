"""A browser without scripts over the services fake: follows links, fills in the forms of its page, keeps cookies."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from server.accounts import nicknames, sessions, signup
from server.accounts.book import Transaction
from server.http import account, account_agreement, account_api, account_sign_in, pages
from server.settings import Settings
from tests.support.accounts import person
from tests.support.phones import Phones
from tests.support.services import FakeServices
from tests.support.web import application, browsing

SITE: Final = "http://site.example"
_FORM: Final = re.compile(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", re.DOTALL)
_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Guest:
    """One browser. ``page`` is the HTML that it shows, ``path`` where; ``phones`` are where codes arrive."""

    def __init__(self, services: FakeServices, client: httpx.AsyncClient, phones: Phones) -> None:
        self.services = services
        self.people = services.people
        self.client = client
        self.phones = phones
        self.page = ""
        self.path = ""
        self.status = 0

    async def get(self, path: str) -> httpx.Response:
        """Open a page, following redirects."""
        return await self._follow(await self.client.get(path))

    async def send(self, action: str, form: int = 0, **fields: str) -> httpx.Response:
        """Fill in the ``form``-th form of the page that leads to ``action``, hidden fields included, and send it."""
        forms = [body for address, body in _FORM.findall(self.page) if html.unescape(address) == action]
        assert forms, f"no form for {action}: {self.path}"
        hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(forms[form])}
        return await self.post(action, **{**hidden, **fields})

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of one's own making."""
        return await self._follow(await self.client.post(path, data=fields, headers={"Origin": SITE}))

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        while answer.is_redirect:
            answer = await self.client.get(answer.headers["location"])
        self.page, self.path, self.status = answer.text, answer.url.raw_path.decode(), answer.status_code
        return answer

    async def sign_in(self, account_id: str = "a-1") -> str:
        """A session of an account, as of this moment; the cookie's value."""
        policy = self.people.session_policy
        cookie = await self.people.book.write(lambda tx: sessions.begin(tx, account_id, policy))
        self.client.cookies.delete("barrage_session") if "barrage_session" in self.client.cookies else None
        self.client.cookies.set("barrage_session", cookie, domain="site.example")
        return cookie

    def form_token(self) -> str:
        """The form token of the page."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.page)
        assert found is not None, self.path
        return found[1]

    @property
    def problem(self) -> str:
        """What the page says is wrong; empty: nothing."""
        found = re.search(r'<p class="(?:problem|outcome bad)"[^>]*>(.*?)</p>', self.page, re.DOTALL)
        return html.unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""

    async def standing(self, account_id: str = "a-1") -> Any:
        """An account's standing, from memory."""
        return await self.people.standing(account_id)


def member(tx: Transaction, account_id: str = "a-1", nickname: str = "小明", **changes: Any) -> None:
    """An account with a nickname; see :func:`tests.support.accounts.person` for ``changes``."""
    person(tx, account_id, **changes)
    nicknames.take(tx, account_id, nickname)


@asynccontextmanager
async def guest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings | None = None, language: str = "en"
) -> AsyncIterator[Guest]:
    """A guest of a site with the room ``demo``, all pages of accounts, and phones that the demo's codes arrive at."""
    phones = Phones()
    monkeypatch.setattr(signup, "Terminal", lambda: phones)
    services = FakeServices(folder, settings or Settings(demo=True))
    services.add_room("demo", "Demo")
    routes = [
        *account_sign_in.routes, *account_agreement.routes, *account.routes, *account_api.routes, *pages.routes,
    ]  # fmt: skip
    app = application(services, routes)
    try:
        async with browsing(app, "192.0.2.7", **{"Accept-Language": language}) as client:
            yield Guest(services, client, phones)
    finally:
        services.people.close()
