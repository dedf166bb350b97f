"""Addresses of the server under test, and tokens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from joserfc import jwk, jwt

from loadtest.site import Mint, Site
from tests.loadtest.support import SECRET, secret_file


def test_addresses() -> None:
    """The URL gives host, port and origin; the WebSocket target carries room and token."""
    site = Site.of("http://127.0.0.1:8080/", "demo")
    assert (site.host, site.port, site.origin) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert site.target(None, join=True) == "/ws?room=demo"
    assert site.target("abc", join=True) == "/ws?room=demo&token=abc"
    assert site.target(None, join=False) == "/ws"
    assert Site.of("http://[::1]", "demo").origin == "http://[::1]:80"


@pytest.mark.parametrize("url", ["https://a", "127.0.0.1:80", "http://a/path", "ws://a"])
def test_bad_addresses(url: str) -> None:
    """Anything but an address of plain HTTP is refused with what is accepted."""
    with pytest.raises(ValueError, match=r"Accepted: an address such as"):
        Site.of(url, "demo")


def test_source_addresses() -> None:
    """Clients of a loopback server spread over source addresses; others leave the choice to the system."""
    site = Site.of("http://127.0.0.1:1", "demo", per_address=2)
    assert [site.local_address(index) for index in (0, 1, 2, 500)] == [
        ("127.10.1.1", 0), ("127.10.1.1", 0), ("127.10.1.2", 0), ("127.10.2.1", 0),
    ]  # fmt: skip
    assert Site.of("http://localhost:1", "demo").local_address(0) is not None
    assert Site.of("http://10.0.0.1:1", "demo").local_address(0) is None
    assert Site.of("http://host.example:1", "demo").local_address(0) is None
    assert Site.of("http://127.0.0.1:1", "demo", per_address=0).local_address(5) is None


def test_tokens(tmp_path: Path) -> None:
    """A token is signed with the server's secret and names a verified account."""
    secret_file(tmp_path)
    for mint in (Mint.of(tmp_path), Mint.of(None, tmp_path / "token.key")):
        claims = jwt.decode(mint.token("s", "n"), jwk.OctKey.import_key(SECRET), algorithms=["HS256"]).claims
        assert {name: claims[name] for name in ("sub", "nickname", "verified", "aud")} == {
            "sub": "s", "nickname": "n", "verified": True, "aud": "barrage",
        }  # fmt: skip
        assert claims["exp"] > claims["iat"]


@contextmanager
def serving(status: int, body: bytes) -> Iterator[str]:
    """A server that gives this answer to everything; its origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_a_mint_vouches_for_the_agreement_in_force(tmp_path: Path) -> None:
    """It asks the server for the version; a server that has none, or does not answer, gets tokens without one."""

    def claims(mint: Mint) -> object:
        token = mint.token("s", "n")
        return jwt.decode(token, jwk.OctKey.import_key(SECRET), algorithms=["HS256"]).claims.get("agreed")

    mint = Mint(SECRET.encode())
    await mint.ask("http://127.0.0.1:1")
    assert claims(mint) is None
    with serving(404, b"") as origin:
        await mint.ask(origin)
    assert claims(mint) is None
    with serving(200, b'{"version":"2026-1","sha256":"0","required":true}') as origin:
        await mint.ask(origin)
    assert claims(mint) == "2026-1"


def test_tokens_without_a_secret(tmp_path: Path) -> None:
    """Without a secret, or when it cannot be read, the error says what to give."""
    with pytest.raises(ValueError, match="--data-dir"):
        Mint.of(None)
    with pytest.raises(ValueError, match=r"cannot be read \(No such file"):
        Mint.of(tmp_path)
