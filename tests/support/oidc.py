"""OpenID Connect providers for tests: a fake one that can lie in every way, and the real ``oidc-provider`` of npm in a process."""

from __future__ import annotations

import base64
import hmac
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

from server.accounts.oidc import Provider
from tests.support.accounts import Clock
from tests.support.server import ROOT

TOOLS: Final = ROOT / "tests/tools"
REDIRECT: Final = "https://site.example/account/oidc/one/callback"


class FakeProvider:
    """Answers as a provider does. ``claims`` and ``header`` change what the next ID token says, ``key`` who signs it, ``published``
    what the key set holds, ``answers`` what an address answers instead."""

    def __init__(self, clock: Clock, issuer: str = "https://id.example") -> None:
        self.clock = clock
        self.issuer = issuer
        self.key: Key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
        self.published: list[Key] = [self.key]
        self.metadata: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/auth",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
        }
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.answers: dict[str, httpx.Response | Exception] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.authorization = ""
        self._nonce = ""
        self._challenge = ""

    def settings(self, **changes: Any) -> Provider:
        """How the site knows it."""
        return Provider(**{"name": "Example ID", "issuer": self.issuer, "client_id": "barrage", **changes})

    def authorize(self, url: str, **changes: str) -> dict[str, str]:
        """What the browser comes back with from an authorization request, somebody having signed in."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        self._nonce, self._challenge = asked["nonce"], asked["code_challenge"]
        return {"code": "c0de", "state": asked["state"], **changes}

    def id_token(self) -> str:
        """An ID token for the sign-in under way."""
        now = self.clock() // 1000
        claims = {"iss": self.issuer, "aud": "barrage", "sub": "person-1", "iat": now, "exp": now + 300, "nonce": self._nonce}
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        if header["alg"] == "HS256":
            return _with_public_key_as_secret(header, claims, self.key)
        return jwt.encode(header, claims, self.key, algorithms=[header["alg"]])

    def handle(self, request: httpx.Request) -> httpx.Response:
        """For :class:`httpx.MockTransport`."""
        path = request.url.path
        self.asked.append(path)
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        if path == "/jwks":
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.published]})
        if path == "/token":
            return self._token(request)
        assert path == "/.well-known/openid-configuration"
        return httpx.Response(200, json=self.metadata)

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.forms.append(form)
        self.authorization = request.headers.get("authorization", "")
        if create_s256_code_challenge(form["code_verifier"]) != self._challenge or form["code"] != "c0de":
            return httpx.Response(400, json={"error": "invalid_grant"})
        return httpx.Response(200, json={"access_token": "at", "token_type": "Bearer", "id_token": self.id_token()})


def new_key(kid: str, kind: str = "RSA") -> Key:
    """Another key."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}) if kind == "RSA" else ECKey.generate_key("P-256", {"kid": kid})


def _with_public_key_as_secret(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """A token whose HMAC is made with the text of the public key, by hand: joserfc refuses to do that, too."""
    assert isinstance(key, RSAKey)
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    mac = hmac.digest(key.as_pem(private=False), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, base64.urlsafe_b64encode(mac).decode().rstrip("=")])


class RealProvider:
    """The process of ``tests/tools/oidc-provider.mjs``. ``issuer`` is its address on this machine."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.issuer = self._line()["issuer"]

    def _line(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # the library writes notices among our lines
                return json.loads(line)
        raise AssertionError("the provider ended")

    def _tell(self, what: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._line()

    def rotate(self) -> None:
        """Sign with a new key; the old one is not published any more."""
        self._tell("rotate")

    def sign_in(self, url: str, login: str) -> str:
        """Go through the provider's own pages as a browser without scripts; returns the address that it leads back to."""
        with httpx.Client(timeout=10, trust_env=False) as browser:
            answer = browser.get(url)
            while True:
                while answer.is_redirect:
                    target = str(answer.next_request.url) if answer.next_request else ""
                    if not target.startswith(self.issuer):
                        return target
                    answer = browser.get(target)
                assert answer.status_code == 200, answer.text
                form = {"prompt": "login", "login": login, "password": "x"} if 'name="login"' in answer.text else None
                answer = browser.post(str(answer.url), data=form or {"prompt": "consent"})


@contextmanager
def real_provider(*redirect_uris: str) -> Iterator[RealProvider]:
    """Run the real provider, with a client ``barrage`` (secret ``geheim``) for these return addresses. Skips where it is missing."""
    node = shutil.which("node")
    if node is None or not (TOOLS / "node_modules/oidc-provider").is_dir():
        pytest.skip("needs Node.js and oidc-provider (npm ci --prefix tests/tools)")
    command = [node, str(TOOLS / "oidc-provider.mjs"), *redirect_uris]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=TOOLS
    )
    try:
        yield RealProvider(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # it ends with its input
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
