"""Signing in with an OpenID Connect provider: authorization code, PKCE, state and nonce.

authlib builds the requests and checks the claims; the keys are taken as those of host platforms are (:mod:`server.accounts.keys`):
which algorithm a key may verify follows from the key, never from the token. What is looked at, and against what:

- state: one use, ten minutes, and only in the browser that began (its cookie goes into the digest under which the row stands);
- mix-up: each provider has a return address of its own, which must be the one that began, and the ``iss`` parameter (RFC 9207)
  must name it wherever it is given or promised;
- the ID token: signature, issuer, audience, authorised party, expiry, nonce, access token hash.

What a provider says is never shown: refusals name the check that failed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from sqlalchemy import delete, insert, select

from server.accounts import tables
from server.accounts.book import Accounts, Transaction
from server.accounts.keys import FETCH_TIMEOUT_S, JWKS_MAX_BYTES, REFRESH_GAP_S, VerifyKey, parse_jwks
from server.errors import ConfigError, Refusal
from server.settings import Settings

LOGIN_MS: Final = 600_000
"""How long somebody may take at the provider's."""
METADATA_MS: Final = 3_600_000
LEEWAY_S: Final = 60
SUBJECT_MAX_CHARS: Final = 255  # OpenID Connect Core, 2
LOGINS_MAX: Final = 20_000
"""Sign-ins under way; beyond them new ones are refused, so that nobody can fill the table."""

_METHODS: Final = ("client_secret_basic", "client_secret_post")
_ERROR: Final = re.compile(r"[a-z_]{1,40}\Z", re.ASCII)
_T = TypeVar("_T")
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider as the file of ``oidc_file`` describes it, below ``[providers.ID]``.

    ``name`` stands on the button. ``strength`` is what its word is worth as a verification: 0 signs in only, 1 counts as a verified
    identity (the provider knows who its people are, and has agreed to answer for it). Without ``client_secret_file`` this is a
    public client, which PKCE alone protects.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    issuer: _Url
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    client_secret_file: str = ""
    scopes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)] = ("openid",)
    strength: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0


_Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    providers: dict[_Id, Provider]


class _Metadata(msgspec.Struct, frozen=True):
    """What is needed of the provider's discovery document."""

    issuer: _Url
    authorization_endpoint: _Url
    token_endpoint: _Url
    jwks_uri: _Url
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Answer(msgspec.Struct, frozen=True):
    """What is needed of the token endpoint's answer."""

    id_token: Annotated[str, msgspec.Meta(max_length=16_384)]
    access_token: str = ""


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str = ""
    crit: msgspec.Raw | None = None


class Begun(msgspec.Struct, frozen=True):
    """Where to send the browser, and the value of the cookie that binds the sign-in to it (for ten minutes)."""

    url: str
    cookie: str


class Login(msgspec.Struct, frozen=True):
    """Who came back: the provider's issuer and its name for the person, what that is worth, and where the person wanted to go."""

    issuer: str
    subject: str
    strength: int
    return_to: str


class _Row(msgspec.Struct, frozen=True):
    provider: str
    nonce: str
    verifier: str
    return_to: str


class Providers:
    """The providers of the settings. Belongs to the event loop; discovery documents and keys are read when they are first needed."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        book: Accounts,
        clock_ms: Callable[[], int],
        *,
        secrets_of: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``secrets_of`` holds client secrets by provider id; ``transport`` is for tests."""
        self._book = book
        self._clock_ms = clock_ms
        self._remotes = {
            name: _Remote(provider, (secrets_of or {}).get(name, ""), clock_ms, transport)
            for name, provider in providers.items()
        }
        self.names: Final = {name: provider.name for name, provider in providers.items()}

    @classmethod
    def open(cls, settings: Settings, book: Accounts, clock_ms: Callable[[], int]) -> Providers:
        """Those of ``oidc_file``; none where it is not set. Raises ConfigError that names what is wrong."""
        providers, found = configured(settings)
        return cls(providers, book, clock_ms, secrets_of=found)

    async def begin(self, name: str, redirect_uri: str, return_to: str) -> Begun:
        """Begin a sign-in at a provider. ``redirect_uri`` is the absolute address of its return on this site.

        Raises Refusal ``not_found``, ``verification_unavailable``, ``too_many_requests``.
        """
        remote = self._remote(name)
        metadata = await remote.metadata()
        state, cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        row = _Row(name, secrets.token_urlsafe(24), secrets.token_urlsafe(48), return_to)
        await self._book.write(lambda tx: _put(tx, _key(state, cookie), row))
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            client_id=remote.provider.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=list(remote.provider.scopes),
            state=state,
            nonce=row.nonce,
            code_challenge=create_s256_code_challenge(row.verifier),
            code_challenge_method="S256",
        )
        return Begun(url, cookie)

    async def finish(self, name: str, answer: Mapping[str, str], cookie: str, redirect_uri: str) -> Login:
        """End a sign-in by the parameters with which the provider sent the browser back. Whatever comes of it, the state is used up.

        Raises Refusal ``login_failed`` (the detail names the check), ``verification_unavailable`` (the provider cannot be reached),
        ``not_found``.
        """
        remote = self._remote(name)
        key = _key(answer.get("state", ""), cookie)
        row = await self._book.write(lambda tx: _take(tx, key))
        if row is None:
            _fail("this sign-in was used already, is too old, or was begun in another browser: begin again")
        if row.provider != name:
            _fail("the answer came to the return address of another provider")
        metadata = await remote.metadata()
        named = answer.get("iss")
        if named != metadata.issuer and (named is not None or metadata.authorization_response_iss_parameter_supported):
            _fail("the answer names another issuer")
        if "error" in answer:
            error = answer["error"]
            _fail(f"the provider refused: {error if _ERROR.match(error) else 'unknown error'}")
        if not answer.get("code"):
            _fail("the answer has no code")
        tokens = await remote.exchange(metadata, answer["code"], redirect_uri, row.verifier)
        subject = await remote.check(metadata, tokens, row.nonce)
        return Login(metadata.issuer, subject, remote.provider.strength, row.return_to)

    def _remote(self, name: str) -> _Remote:
        remote = self._remotes.get(name)
        if remote is None:
            raise Refusal("not_found")
        return remote


class _Remote:
    """One provider, as it is reached: its discovery document (kept for an hour) and its keys (read again when one is missing, at
    most every ten seconds)."""

    def __init__(
        self, provider: Provider, secret: str, clock_ms: Callable[[], int], transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.provider = provider
        self._secret = secret
        self._clock_ms = clock_ms
        self._transport = transport
        self._lock = asyncio.Lock()
        self._metadata: _Metadata | None = None
        self._metadata_ms = 0
        self._keys: tuple[VerifyKey, ...] = ()
        self._keys_ms = 0

    async def metadata(self) -> _Metadata:
        """The discovery document. Raises Refusal ``verification_unavailable``."""
        async with self._lock:
            age = self._clock_ms() - self._metadata_ms
            if self._metadata is None or not 0 <= age < METADATA_MS:
                url = f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration"
                found = _decode(await self._fetch(url), _Metadata)
                if found.issuer != self.provider.issuer:
                    raise Refusal("verification_unavailable", "the provider's document names another issuer")
                for endpoint in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
                    if not is_secure(endpoint):
                        raise Refusal("verification_unavailable", "the provider's document names addresses without encryption")
                self._metadata, self._metadata_ms = found, self._clock_ms()
            return self._metadata

    async def exchange(self, metadata: _Metadata, code: str, redirect_uri: str, verifier: str) -> _Answer:
        """Give the code for tokens. Raises Refusal ``login_failed``, ``verification_unavailable``."""
        body = prepare_token_request("authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier)
        supported = metadata.token_endpoint_auth_methods_supported
        method = next((each for each in _METHODS if each in supported), _METHODS[0]) if self._secret else "none"
        client = ClientAuth(self.provider.client_id, self._secret, method)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        _, headers, body = client.prepare("POST", metadata.token_endpoint, headers, body)
        return _decode(await self._fetch(metadata.token_endpoint, body, headers), _Answer)

    async def check(self, metadata: _Metadata, answer: _Answer, nonce: str) -> str:
        """The subject of the ID token, once everything about it holds. Raises Refusal ``login_failed``,
        ``verification_unavailable``."""
        header = _header(answer.id_token)
        claims = _verified(answer.id_token, header, self._fitting(header))
        if claims is None and await self._read_keys(metadata.jwks_uri):
            claims = _verified(answer.id_token, header, self._fitting(header))
        if claims is None:
            _fail("ID token: no key of the provider fits its signature and algorithm")
        options = {
            "iss": {"essential": True, "value": metadata.issuer},
            "aud": {"essential": True, "value": self.provider.client_id},
            "sub": {"essential": True},
            "exp": {"essential": True},
        }
        params = {"nonce": nonce, "client_id": self.provider.client_id, "access_token": answer.access_token or None}
        try:
            CodeIDToken(claims, {"alg": header.alg}, options, params).validate(self._clock_ms() // 1000, LEEWAY_S)
        except JoseError as error:
            _fail(f"ID token: {error.error} {getattr(error, 'claim', '') or ''}".rstrip())
        except (TypeError, ValueError, AttributeError):
            _fail("ID token: a claim is not of the kind that it should be")
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_MAX_CHARS or not subject.isprintable():
            _fail("ID token: sub")
        return subject

    def _fitting(self, header: _Header) -> list[VerifyKey]:
        kid = header.kid
        return [key for key in self._keys if header.alg in key.algorithms and (not kid or not key.kid or key.kid == kid)]

    async def _read_keys(self, url: str) -> bool:
        """Read the provider's keys anew, unless that was just done. Returns whether it was."""
        async with self._lock:
            if self._keys and 0 <= self._clock_ms() - self._keys_ms < REFRESH_GAP_S * 1000:
                return False
            try:
                self._keys = parse_jwks(await self._fetch(url))
            except ValueError as error:
                raise Refusal("verification_unavailable", f"the provider's keys cannot be used: {error}") from None
            self._keys_ms = self._clock_ms()
            return True

    async def _fetch(self, url: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """An answer of the provider's, bounded in size and time, no redirects. A 4xx to a posted body refuses the sign-in."""
        data = bytearray()
        try:
            async with (
                httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False, transport=self._transport) as client,
                client.stream("GET" if body is None else "POST", url, content=body, headers=headers) as answer,
            ):
                if body is not None and 400 <= answer.status_code < 500:
                    _fail("the provider did not take the code")
                answer.raise_for_status()  # whatever is not 2xx, redirects included
                async for piece in answer.aiter_bytes():
                    data += piece
                    if len(data) > JWKS_MAX_BYTES:
                        raise Refusal("verification_unavailable", "the provider's answer is too large")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Refusal("verification_unavailable", "the provider cannot be reached") from error
        return bytes(data)


def configured(settings: Settings) -> tuple[dict[str, Provider], dict[str, str]]:
    """The providers of ``oidc_file`` and their client secrets, by id; none where it is not set. Raises ConfigError."""
    providers = read_providers(settings.oidc_file) if settings.oidc_file is not None else {}
    return providers, {name: _secret(name, provider) for name, provider in providers.items()}


def read_providers(path: Path) -> dict[str, Provider]:
    """The providers of a file. Raises ConfigError."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).providers
    except OSError as error:
        raise ConfigError(f"oidc_file: {path} cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"oidc_file: {path} is not a list of providers ({error}).") from None
    for name, provider in found.items():
        if not is_secure(provider.issuer):
            raise ConfigError(
                f"oidc_file: {path}: issuer of {name!r} is not accepted. Accepted: https (http for this machine only)."
            )
        if "openid" not in provider.scopes:
            raise ConfigError(f"oidc_file: {path}: scopes of {name!r} are not accepted. Accepted: a list with openid.")
    return found


def is_secure(url: str) -> bool:
    """Whether an address is encrypted, or of this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    loopback = host in {"localhost", "127.0.0.1", "::1"}
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and loopback)) and not parts.fragment


def _secret(name: str, provider: Provider) -> str:
    if not provider.client_secret_file:
        return ""
    try:
        secret = Path(provider.client_secret_file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"oidc_file: client_secret_file of {name!r} cannot be read.") from None
    if not secret:
        raise ConfigError(f"oidc_file: client_secret_file of {name!r} is empty.")
    return secret


def _fail(detail: str) -> NoReturn:
    raise Refusal("login_failed", detail)


def _key(state: str, cookie: str) -> str:
    """Under what a sign-in stands in the table. Neither half alone finds it: the state goes over the wire, the cookie stays."""
    both = f"{len(state)}:{state}{cookie}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(both).hexdigest()


def _put(tx: Transaction, key: str, row: _Row) -> None:
    columns = tables.logins.c
    tx.sql.execute(delete(tables.logins).where(columns.expires_ms <= tx.now_ms))
    if tx.sql.execute(select(columns.state).offset(LOGINS_MAX - 1).limit(1)).first() is not None:
        raise Refusal("too_many_requests", "sign-ins under way", retry_after_ms=LOGIN_MS)
    times = {"created_ms": tx.now_ms, "expires_ms": tx.now_ms + LOGIN_MS}
    tx.sql.execute(insert(tables.logins).values(state=key, **msgspec.structs.asdict(row), **times))


def _take(tx: Transaction, key: str) -> _Row | None:
    """The sign-in, which is then no more: its state is good for one answer."""
    columns = tables.logins.c
    row = tx.sql.execute(select(tables.logins).where(columns.state == key)).mappings().first()
    tx.sql.execute(delete(tables.logins).where(columns.state == key))
    if row is None or tx.now_ms >= row["expires_ms"]:
        return None
    return _Row(row["provider"], row["nonce"], row["verifier"], row["return_to"])


def _decode(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("verification_unavailable", "the provider's answer cannot be understood") from None


def _header(token: str) -> _Header:
    """The unverified header: only good for choosing among keys that would be accepted anyway."""
    part, _, rest = token.partition(".")
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        header = msgspec.json.decode(raw, type=_Header)
    except (binascii.Error, ValueError, RecursionError):
        _fail("ID token: not a JWT")
    if rest.count(".") != 1 or header.crit is not None:
        _fail("ID token: not a plain signed JWT")
    return header


def _verified(token: str, header: _Header, keys: list[VerifyKey]) -> dict[str, Any] | None:
    """The claims, when one of the keys signed them."""
    for candidate in keys:
        registry = JWSRegistry(algorithms=[header.alg], strict_check_header=False)
        try:
            return jwt.decode(token, candidate.key, registry=registry).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
    return None
