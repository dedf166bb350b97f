"""Somebody who comes to a running server with a browser that runs no script: signs up, signs the agreement, verifies, posts."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Final

import httpx

_TOKEN: Final = re.compile(r'name="form_token" value="([^"]+)"')
_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
_FORM: Final = re.compile(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", re.DOTALL)


class Newcomer:
    """One browser. ``code`` gives the newest code that was sent. Everything that came back is kept in ``seen``, refusals too."""

    def __init__(self, url: str, code: Callable[[], str]) -> None:
        self.client = httpx.Client(base_url=url, timeout=60, trust_env=False, follow_redirects=True)
        self.client.headers.update({"Accept-Language": "en", "Origin": url})
        self.seen: list[str] = []
        self.page = ""
        self._code = code

    def close(self) -> None:
        """Leave."""
        self.client.close()

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self._keep(self.client.get(path))

    def send(self, action: str, **fields: str) -> httpx.Response:
        """Fill in the form of the page that leads to ``action`` and send it; hidden fields go along."""
        forms = [body for address, body in _FORM.findall(self.page) if html.unescape(address).partition("?")[0] == action]
        assert forms, f"no form for {action} on this page: {re.findall('<h1>(.*?)</h1>', self.page)}"
        hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(forms[0])}
        return self._keep(self.client.post(action, data={**hidden, **fields}))

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        for each in (*answer.history, answer):
            self.seen.append(f"{each.headers}\n{each.text}")
        self.page = answer.text
        return answer

    def sign_up(self, phone: str, nickname: str, *, come_from: str = "/account") -> httpx.Response:
        """Phone, code, nickname, agreement; the page that one ends on."""
        self.get(f"/account/sign-in?return={come_from}")
        self.send("/account/sign-in", phone=phone)
        self.send("/account/code", code=self._code())
        self.send("/account/welcome", nickname=nickname, noticed="1")
        return self.send("/account/agreement", agree="1")

    def verify_number(self, name: str, number: str) -> httpx.Response:
        """Verify by identity number."""
        self.get("/account/verify")
        forms = [body for address, body in _FORM.findall(self.page) if address == "/account/verify" and 'name="number"' in body]
        hidden = dict(_HIDDEN.findall(forms[0]))
        fields = {**hidden, "name": name, "number": number, "consent": "1"}
        return self._keep(self.client.post("/account/verify", data=fields))

    def token(self) -> str:
        """The short-lived token that the page's script gets for its connection."""
        match = _TOKEN.search(self.get("/account").text)
        assert match is not None
        answer = self.client.post("/api/v1/session/token", headers={"X-Barrage-Form-Token": match[1]})
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["token"]
        return found
