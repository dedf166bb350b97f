"""server/accounts/keys.py"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from server.accounts import keys
from server.accounts.keys import (
    JWKS_MAX_BYTES,
    JWKS_MAX_KEYS,
    KeyRing,
    fetch_jwks,
    parse_jwks,
    read_or_create_secret,
    read_secret,
    secret_key,
)
from server.errors import ConfigError
from tests.support.waiting import PATIENCE_S

RSA = RSAKey.generate_key(2048)
ED = OKPKey.generate_key("Ed25519")
EC = ECKey.generate_key("P-256")


def public(key: Key, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


def weak_rsa() -> dict[str, str]:
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    modulus = base64.urlsafe_b64encode(numbers.n.to_bytes(128, "big")).rstrip(b"=").decode()
    return {"kty": "RSA", "n": modulus, "e": "AQAB"}


def key_set(*entries: Any) -> bytes:
    return json.dumps({"keys": list(entries)}).encode()


# -- secrets


def test_a_secret_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    """The first call makes the file with mode 0600, the next ones read the same secret."""
    path = tmp_path / "new" / "token.key"
    first = read_or_create_secret(path)
    assert read_or_create_secret(path) == first
    assert len(first) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["token.key"]


def test_processes_that_start_together_get_the_same_secret(tmp_path: Path) -> None:
    """Of many makers at the same moment one wins, and all have its secret."""
    barrier = threading.Barrier(8)

    def make() -> bytes:
        barrier.wait()
        return read_or_create_secret(tmp_path / "token.key")

    with ThreadPoolExecutor(8) as pool:
        found = {future.result() for future in [pool.submit(make) for _ in range(8)]}
    assert len(found) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A key file of ours with wider rights stops the start and says how to mend it."""
    path = tmp_path / "token.key"
    read_or_create_secret(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_or_create_secret(path)


def test_a_damaged_secret_is_refused(tmp_path: Path) -> None:
    """An empty or cut key file is not taken for a short key."""
    path = tmp_path / "token.key"
    path.write_bytes(b"short\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="damaged"):
        read_or_create_secret(path)


def test_a_secret_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Where the folder cannot hold the file, the error names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be read or made"):
        read_or_create_secret(tmp_path / "file" / "token.key")


def test_a_given_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    """White space around an operator's secret does not count."""
    path = tmp_path / "secret"
    path.write_bytes(b" " + b"s" * 32 + b"\n")
    assert read_secret(path) == b"s" * 32


def test_a_given_secret_must_be_there_and_long_enough(tmp_path: Path) -> None:
    """A missing or short secret stops the start."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "none")
    (tmp_path / "short").write_bytes(b"s" * 31)
    with pytest.raises(ConfigError, match="31 bytes"):
        read_secret(tmp_path / "short")


def test_a_secret_verifies_hs256_and_nothing_else() -> None:
    """The algorithm follows from the kind of key."""
    assert secret_key(b"s" * 32).algorithms == {"HS256"}


# -- key sets


def test_each_kind_of_public_key_gets_its_own_algorithm() -> None:
    """RSA verifies RS256, P-256 ES256, Ed25519 EdDSA (by both of its names)."""
    found = parse_jwks(key_set(public(RSA, kid="r"), public(EC, kid="e", use="sig"), public(ED, alg="EdDSA")))
    assert [(key.kid, set(key.algorithms)) for key in found] == [
        ("r", {"RS256"}),
        ("e", {"ES256"}),
        ("", {"EdDSA", "Ed25519"}),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        OctKey.import_key(b"s" * 32).as_dict(),
        public(RSA, use="enc"),
        public(RSA, alg="RS512"),
        public(RSA, alg="HS256"),
        public(RSA, alg=["RS256"]),
        public(RSA, kid=7),
        weak_rsa(),
        public(ECKey.generate_key("P-384")),
        public(OKPKey.generate_key("X25519")),
        {"kty": "RSA"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": ["RSA"]},
        {},
        "RSA",
        None,
    ],
)
def test_keys_of_other_uses_are_passed_over(entry: Any) -> None:
    """A symmetric, weak, foreign or broken key of a set is not used, and does not keep the good one from being used."""
    assert [key.kid for key in parse_jwks(key_set(entry, public(ED, kid="good")))] == ["good"]
    with pytest.raises(ValueError, match="no usable key"):
        parse_jwks(key_set(entry))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b"[" * 100_000,
        b"\xff",
        key_set(*[public(ED)] * (JWKS_MAX_KEYS + 1)),
        b" " * (JWKS_MAX_BYTES + 1),
    ],
)
def test_what_is_no_key_set_is_refused(data: bytes) -> None:
    """Anything else than a bounded set of keys is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 -- the kind of error is the contract
        parse_jwks(data)


_names = st.sampled_from(["kty", "crv", "n", "e", "x", "kid"])
_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(_json, max_size=4))
def test_no_key_set_breaks_the_reader(entries: list[Any]) -> None:
    """Random entries are passed over or refused, never a crash."""
    with pytest.raises(ValueError, match="no usable key"):
        parse_jwks(key_set(*entries))


# -- the ring


def test_a_ring_finds_keys_by_algorithm_and_id() -> None:
    """A token's key id chooses among keys of its algorithm; a key without id, or a token without one, fits any."""
    ring = KeyRing(bytes, 60)
    ring.load(key_set(public(RSA, kid="r"), public(ED, kid="e"), public(OKPKey.generate_key("Ed25519"))))
    assert [key.kid for key in ring.find("RS256", "r")] == ["r"]
    assert [key.kid for key in ring.find("EdDSA", "e")] == ["e", ""]
    assert [key.kid for key in ring.find("EdDSA", "")] == ["e", ""]
    assert ring.find("RS256", "other") == []
    assert ring.find("HS256", "") == []


def test_a_ring_keeps_the_last_good_set() -> None:
    """A set that cannot be understood leaves the old one in force; the same bytes again change nothing."""
    ring = KeyRing(bytes, 60)
    with pytest.raises(ValueError, match="no usable key"):
        ring.load(key_set())
    loaded_before = ring.loaded
    ring.load(key_set(public(ED, kid="one")))
    with pytest.raises(ValueError, match="not JSON"):
        ring.load(b"<html>")
    ring.load(key_set(public(ED, kid="one")))
    assert (loaded_before, ring.loaded, ring.generation) == (False, True, 1)
    assert [key.kid for key in ring.find("EdDSA", "one")] == ["one"]


class Platform:
    """A platform's key set that a ring reads; ``turn`` lets a test wait for the next reading."""

    def __init__(self) -> None:
        self.data: bytes | Exception = key_set(public(ED, kid="one"))
        self.reads = 0

    def read(self) -> bytes:
        self.reads += 1
        if isinstance(self.data, Exception):
            raise self.data
        return self.data

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 -- the reading happens in a thread
                await asyncio.sleep(0.002)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setattr(keys, "REFRESH_GAP_S", 0.02)
    return Platform()


async def test_a_ring_is_read_again_when_a_key_is_asked_for(platform: Platform) -> None:
    """Rotation: a token with an unknown key makes the ring read the set again soon, long before its time."""
    ring = KeyRing(platform.read, 3600)
    task = asyncio.create_task(ring.run())
    await platform.until(lambda: ring.loaded)
    platform.data = key_set(public(ED, kid="one"), public(RSA, kid="two"))
    await platform.until(ring.ask)
    await platform.until(lambda: bool(ring.find("RS256", "two")))
    task.cancel()
    assert (platform.reads, ring.generation) == (2, 2)


async def test_a_storm_of_unknown_keys_makes_few_readings(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens name unknown keys, readings keep their distance; meanwhile the ring says that it will not look."""
    monkeypatch.setattr(keys, "REFRESH_GAP_S", 600)  # longer than the storm on any machine
    ring = KeyRing(platform.read, 3600)
    task = asyncio.create_task(ring.run())
    await platform.until(lambda: ring.loaded)
    answers = [ring.ask() for _ in range(10_000)]
    assert not any(answers)
    await asyncio.sleep(0.05)
    assert platform.reads == 1
    task.cancel()


async def test_a_ring_is_read_again_when_its_time_is_over(platform: Platform) -> None:
    """Without being asked the set is read again every ``refresh_s``."""
    ring = KeyRing(platform.read, 0.03)
    task = asyncio.create_task(ring.run())
    await platform.until(lambda: platform.reads >= 3)
    task.cancel()


@pytest.mark.parametrize("fault", [OSError("gone"), httpx.ConnectError("refused"), ValueError("bad"), httpx.InvalidURL("odd")])
async def test_a_failed_reading_is_tried_again(platform: Platform, fault: Exception) -> None:
    """A platform that does not answer, or answers nonsense, costs nothing but time: the old keys stay, and it is asked again."""
    ring = KeyRing(platform.read, 0.03)
    task = asyncio.create_task(ring.run())
    await platform.until(lambda: ring.loaded)
    platform.data = fault
    reads = platform.reads
    await platform.until(lambda: platform.reads >= reads + 2)
    assert ring.find("EdDSA", "one")
    platform.data = key_set(public(RSA, kid="two"))
    await platform.until(lambda: bool(ring.find("RS256", "two")))
    task.cancel()


# -- reading over HTTP


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        status, body = {
            "/keys": (200, key_set(public(ED))),
            "/large": (200, b" " * (JWKS_MAX_BYTES + 1)),
            "/moved": (302, b""),
        }.get(self.path, (500, b""))
        self.send_response(status)
        self.send_header("Location", "/keys")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_key_set_is_read_over_http(site: str) -> None:
    """The bytes of the set come back."""
    assert parse_jwks(fetch_jwks(f"{site}/keys"))


@pytest.mark.parametrize("path", ["/large", "/moved", "/broken"])
def test_odd_answers_are_errors(site: str, path: str) -> None:
    """An answer that is too large, points elsewhere or fails is an error that the ring survives."""
    with pytest.raises((OSError, httpx.HTTPError)):
        fetch_jwks(site + path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees files of mode 000")
def test_root_may_read_everything(tmp_path: Path) -> None:
    """A key file without any rights for others is good, also when it lacks the owner's: root reads it."""
    path = tmp_path / "token.key"
    secret = read_or_create_secret(path)
    path.chmod(0o000)
    assert read_or_create_secret(path) == secret
