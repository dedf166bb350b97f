"""server/http/errors.py"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from server.errors import CODES, BarrageError, Refusal, StoreUnavailable, StoreUnknown
from server.http.errors import problem
from server.settings import Settings
from tests.support.services import FakeServices
from tests.support.staff import compiled_views
from tests.support.web import application, browsing

PROXIED = Settings(trusted_proxies=("10.0.0.0/8",))


def raising(error: Exception) -> Callable[[Request], Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        raise error

    return handler


async def ok(request: Request) -> Response:
    """Tells where the request came from."""
    return JSONResponse(list(request.client or ()))


@pytest.mark.parametrize("name", sorted(CODES))
def test_every_code_has_an_answer(name: str) -> None:
    """Status, both sentences and the temporary mark are those of the table; a temporary one says when to try again."""
    code = CODES[name]
    answer = problem(code, "detail", 0)
    assert answer.status_code == code.http
    assert answer.headers["cache-control"] == "no-store"
    assert ("retry-after" in answer.headers) == code.temporary
    assert bytes(answer.body).decode() == (
        f'{{"code":"{name}","message":"{code.en}","message_zh":"{code.zh}",'
        f'"temporary":{"true" if code.temporary else "false"},"detail":"detail"}}'
    )


@pytest.mark.parametrize(("wait_ms", "seconds"), [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")])
def test_the_wait_is_rounded_up_to_seconds(wait_ms: int, seconds: str) -> None:
    """A client that waits as told is not early."""
    assert problem(CODES["overloaded"], "", wait_ms).headers["retry-after"] == seconds


def test_an_unauthorised_answer_names_the_scheme() -> None:
    """401 comes with the scheme that is asked for."""
    assert problem(CODES["bad_token"]).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["too_large", "request_timeout"])
def test_a_request_that_is_not_wanted_closes_its_connection(name: str) -> None:
    """The rest of a body that is too large or too slow is not read."""
    assert problem(CODES[name]).headers["connection"] == "close"


async def test_a_refusal_is_answered_by_its_code(tmp_path: Path) -> None:
    """What a route refuses arrives as its code, with detail and time to wait."""
    app = application(FakeServices(tmp_path), [Route("/x", raising(Refusal("too_fast", "slower", 2500)))])
    async with browsing(app) as client:
        answer = await client.get("/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert (answer.json()["code"], answer.json()["detail"]) == ("too_fast", "slower")


@pytest.mark.parametrize(
    ("status", "code", "answered"),
    [
        (404, "not_found", 404),
        (405, "method_not_allowed", 405),
        (413, "too_large", 413),
        (429, "too_many_requests", 429),
        (400, "bad_message", 400),
        (418, "bad_message", 400),
        (502, "internal_error", 500),
    ],
)
async def test_errors_of_the_framework_have_the_same_form(tmp_path: Path, status: int, code: str, answered: int) -> None:
    """Whatever the framework raises is answered by a code of the table."""
    app = application(FakeServices(tmp_path), [Route("/x", raising(HTTPException(status, "secret detail")))])
    async with browsing(app) as client:
        answer = await client.get("/x")
    assert (answer.status_code, answer.json()["code"]) == (answered, code)
    assert "secret" not in answer.text


async def test_an_unknown_address_is_a_problem_answer(tmp_path: Path) -> None:
    """An address without a route gets the same form."""
    async with browsing(application(FakeServices(tmp_path), [])) as client:
        assert (await client.get("/none")).json()["code"] == "not_found"


async def test_a_browser_gets_a_page(tmp_path: Path) -> None:
    """Who looks for a page that is not there, or uses one in a way that it has not, reads so in their language; programs, and
    whoever asks an interface, get a problem answer."""
    app = application(FakeServices(tmp_path), [Route("/x", ok)])
    app.state.views = compiled_views()
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "zh-CN"}
    async with browsing(app) as client:
        missing = await client.get("/account/none", headers=browser)
        wrong = await client.post("/x", headers=browser)
        others = [await client.get("/account/none"), await client.get("/api/none", headers=browser)]
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert CODES["not_found"].zh in missing.text
    assert (wrong.status_code, wrong.headers["cache-control"]) == (405, "no-store")
    assert "GET" in wrong.headers["allow"]
    assert [answer.json()["code"] for answer in others] == ["not_found", "not_found"]


async def test_an_unexpected_error_shows_its_id_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets an id; the log has the same id and the traceback."""
    app = application(FakeServices(tmp_path), [Route("/x", raising(ValueError("canary-reason")))])
    with structlog.testing.capture_logs() as logs:
        async with browsing(app) as client:
            answer = await client.get("/x?token=canary-token")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "canary" not in answer.text
    assert "Traceback" not in answer.text
    (line,) = logs
    assert line["incident"] == answer.json()["detail"].removeprefix("incident ")
    assert (line["path"], line["exc_info"]) == ("/x", True)
    assert "canary-token" not in str(line)
    assert caplog.get_records("call") == [record for record in caplog.get_records("call") if record.levelno < logging.ERROR]


async def test_an_error_in_the_middle_of_an_answer_cuts_it(tmp_path: Path) -> None:
    """Once the answer has begun the error goes on to the server, which closes: half an answer is never taken for a whole one."""

    async def broken(request: Request) -> Response:
        async def pieces() -> object:
            yield b"half"
            raise ValueError("broken")

        return StreamingResponse(pieces())  # type: ignore[arg-type]

    with structlog.testing.capture_logs() as logs:
        async with browsing(application(FakeServices(tmp_path), [Route("/x", broken)])) as client:
            with pytest.raises(ValueError, match="broken"):
                await client.get("/x")
    assert len(logs) == 1


# -- where a request came from


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("10.1.1.1", "203.0.113.7", ["203.0.113.7", 0]),
        ("10.1.1.1", "198.51.100.1, 203.0.113.7, 10.2.2.2", ["203.0.113.7", 0]),
        ("203.0.113.9", "198.51.100.1", ["203.0.113.9", 40_000]),
        ("10.1.1.1", "", ["10.1.1.1", 40_000]),
    ],
)
async def test_the_address_comes_from_trusted_proxies_only(
    tmp_path: Path, peer: str, forwarded: str, source: list[object]
) -> None:
    """A proxy of ours is believed, anyone else is not, whatever the header claims."""
    app = application(FakeServices(tmp_path, PROXIED), [Route("/x", ok)])
    async with browsing(app, peer, **({"X-Forwarded-For": forwarded} if forwarded else {})) as client:
        assert (await client.get("/x")).json() == source


async def test_without_proxies_the_header_counts_for_nothing(tmp_path: Path) -> None:
    """A server that stands alone believes nobody."""
    async with browsing(application(FakeServices(tmp_path), [Route("/x", ok)]), **{"X-Forwarded-For": "1.2.3.4"}) as client:
        assert (await client.get("/x")).json() == ["127.0.0.1", 40_000]


# -- reading from other sites

READ = "/api/rooms/demo"


async def cors(tmp_path: Path, allowed: tuple[str, ...], origin: str | None, method: str = "GET", path: str = READ) -> Response:
    app = application(FakeServices(tmp_path, Settings(allowed_origins=allowed)), [Route(path, ok)])
    async with browsing(app) as client:
        answer = await client.request(method, path, headers={} if origin is None else {"Origin": origin})
    return PlainTextResponse("", answer.status_code, headers=dict(answer.headers))


async def test_other_sites_read_where_they_are_named(tmp_path: Path) -> None:
    """A named origin may read, without credentials; another gets no permission; caches keep the two apart."""
    named = await cors(tmp_path, ("https://a.example", "https://b.example"), "https://b.example")
    assert named.headers["access-control-allow-origin"] == "https://b.example"
    assert named.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in named.headers
    for origin in ("https://c.example", "https://b.example.evil", "null", None):
        other = await cors(tmp_path, ("https://a.example", "https://b.example"), origin)
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "Origin"


async def test_all_sites_read_where_all_are_let_in(tmp_path: Path) -> None:
    """An asterisk lets every page read, and one stored answer serves all."""
    answer = await cors(tmp_path, ("*",), "https://any.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "vary" not in answer.headers


async def test_no_site_reads_by_default(tmp_path: Path) -> None:
    """Without the setting no header is added."""
    answer = await cors(tmp_path, (), "https://a.example")
    assert [name for name in answer.headers if name.startswith(("access-control", "vary"))] == []


async def test_problems_can_be_read_from_other_sites_too(tmp_path: Path) -> None:
    """A page of another site learns why it was refused."""
    app = application(
        FakeServices(tmp_path, Settings(allowed_origins=("*",))), [Route(READ, raising(Refusal("room_not_found")))]
    )
    async with browsing(app, Origin="https://a.example") as client:
        answer = await client.get(READ)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, "*")


async def test_a_question_before_reading_is_answered(tmp_path: Path) -> None:
    """The browser's preflight for a conditional request is granted to named origins, for reading alone."""
    granted = await cors(tmp_path, ("https://a.example",), "https://a.example", "OPTIONS")
    assert granted.status_code == 204
    assert granted.headers["access-control-allow-methods"] == "GET, HEAD"
    assert "If-None-Match" in granted.headers["access-control-allow-headers"]
    other = await cors(tmp_path, ("https://a.example",), "https://c.example", "OPTIONS")
    assert [name for name in other.headers if name.startswith("access-control")] == []


async def test_nothing_but_reading_is_opened_to_other_sites(tmp_path: Path) -> None:
    """The operator interface and the demo tokens get no such header."""
    for path in ("/api/operator/rooms", "/demo/token", "/rooms/demo"):
        answer = await cors(tmp_path, ("*",), "https://a.example", path=path)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("error", "code"), [(StoreUnavailable("/data/accounts.db: the disk is full"), "storage_unavailable"),
                        (StoreUnknown("/data/accounts.db: the disk reports an error"), "outcome_unknown")]
)  # fmt: skip
async def test_a_database_that_fails_is_temporary(tmp_path: Path, error: BarrageError, code: str) -> None:
    """Whatever part of the server met it: try again, and nothing of where the files are."""
    app = application(FakeServices(tmp_path), [Route("/x", raising(error))])
    async with browsing(app) as client:
        answer = await client.get("/x")
    assert (answer.status_code, answer.json()["code"]) == (CODES[code].http, code)
    assert answer.headers["retry-after"] == "1"
    assert "accounts.db" not in answer.text
