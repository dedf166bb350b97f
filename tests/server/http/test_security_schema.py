"""Requests made from the OpenAPI description, good ones and bad ones, as nobody, as a person, in a browser and as an operator.

No answer is a fault of the server; each has a status and a content type that the description names, and a body of its schema.
``BARRAGE_FUZZ_EXAMPLES`` sets how many requests each operation gets in each way: a longer run finds more.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.accounts import sessions
from server.http.openapi import describe
from tests.support.attack import SITE, Site, site

EXAMPLES: Final = int(os.environ.get("BARRAGE_FUZZ_EXAMPLES", "2"))
CHECKS: Final[Any] = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA: Final[Any] = schemathesis.openapi.from_dict(describe("Night Barrage"))
OPERATIONS: Final = {
    f"{found.method.upper()} {found.path}": found
    for found in (each.ok() for each in SCHEMA.get_all_operations())
    if not found.path.endswith(("/stream", "/staff/desk/events"))  # these do not end
}


class Fuzzed:
    """The site on a loop of its own, since examples are drawn outside of any."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.here: Site = self._runner.run(self._stack.enter_async_context(site(folder, monkeypatch)))

    def close(self) -> None:
        """End it."""
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def send(self, case: Any, who: str) -> httpx.Response:
        """Send a generated request with the credentials of ``who``."""
        cookies, headers, form = self._runner.run(self._credentials(who, case.path))
        if form and isinstance(case.body, dict) and "urlencoded" in (case.media_type or ""):
            case.body["form_token"] = form
        case.headers.update(headers)
        case.cookies.update(cookies)
        made = requests.Request(**case.as_transport_kwargs(base_url=SITE)).prepare()
        body: Any = made.body
        fields: Any = made.headers
        request = httpx.Request(made.method or "", made.url or "", headers=dict(fields), content=body)
        self.here.client.cookies.clear()
        return self._runner.run(self.here.client.send(request))

    async def _credentials(self, who: str, path: str) -> tuple[dict[str, str], dict[str, str], str]:
        """Cookies, headers, and the token of a form."""
        here, now_ms = self.here, self.here.services.clock_ms
        if who == "person":
            return {}, {"Authorization": f"Bearer {here.services.tokens.issue('a-1', '小明', 60, now_ms=now_ms)}"}, ""
        if who == "operator":
            return {}, {"Authorization": f"Bearer {here.services.tokens.issue_operator('root', now_ms)}"}, ""
        if who == "browser":
            cookies = await here.everything("a-2")
            jar = "barrage_staff" if path.startswith("/staff") else "barrage_session"
            token = sessions.form_token(here.people.form_key, cookies[jar])
            return cookies, {"X-Barrage-Form-Token": token}, token
        return {}, {}, ""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = Fuzzed(tmp_path_factory.mktemp("schema"), monkeypatch)
        yield found
        found.close()


def reaches(path: str, url: str) -> bool:
    """Whether an address is one of this path: what was drawn for a part of it may hold a slash or a line end, or nothing."""
    pattern = re.sub(r"\\\{\w+\\\}", r"[^/\\n]+", re.escape(path))
    return re.fullmatch(pattern, unquote(urlsplit(url).path)) is not None


@pytest.mark.filterwarnings("ignore")  # of the generators, on what they cannot make
@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_described(fuzzed: Fuzzed, name: str) -> None:
    """See the module's text."""
    operation = OPERATIONS[name]
    ways = ("operator", "nobody") if operation.path.startswith("/api/operator") else ("nobody", "person", "browser")
    modes = list(schemathesis.GenerationMode)

    @hypothesis.seed(20260922)
    @hypothesis.settings(
        max_examples=EXAMPLES * len(ways), deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(st.data())
    def fuzz(data: Any) -> None:
        mode = data.draw(st.sampled_from(modes))
        who = data.draw(st.sampled_from(ways))
        try:
            case = data.draw(operation.as_strategy(generation_mode=mode))
        except hypothesis.errors.Unsatisfiable:
            return
        answer = fuzzed.send(case, who)
        assert answer.status_code < 500, answer.text
        if reaches(operation.path, str(answer.request.url)):
            case.validate_response(answer, checks=CHECKS)

    fuzz()
