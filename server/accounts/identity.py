"""Who is speaking: signed tokens of the host platform, and the public ids that stand in for its account names.

A token is a JWT with ``sub`` (the account, never shown), ``nickname``, ``verified`` (the platform knows the person behind
it), ``exp``, ``aud``, and optionally ``agreed`` (the version of the agreement that the person signed with the platform), ``role``,
``iss``, ``nbf``, ``iat``. After :meth:`Tokens.open` nothing here does I/O, save the task that keeps a platform's key set fresh
(:meth:`Tokens.run`).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
import time
import unicodedata
from collections import OrderedDict
from typing import Annotated, Any, Final, NoReturn

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from server.accounts.agreement import Agreements
from server.accounts.keys import (
    KeyRing,
    VerifyKey,
    fetch_jwks,
    read_or_create_secret,
    read_secret,
    secret_key,
)
from server.errors import ConfigError, Refusal
from server.settings import Settings
from server.wire import MAX_TOKEN

NICKNAME_MAX_CHARS: Final = 24
SUBJECT_MAX_CHARS: Final = 128
_NOT_ACCOUNTS: Final = ("staff:", "operator:", "guardian:")
"""How sessions and ledgers name members of staff and others who act: no token may speak for them."""
AGREED_MAX_CHARS: Final = 64
ROLES: Final = frozenset({"", "uploader", "reviewer"})
"""Roles that a platform may give; any other role in a token counts as none."""

LOCAL: Final = re.compile(r"a-[0-9a-f]{20}\Z")
"""Ids of accounts that signed up here (:func:`server.accounts.book.new_id`). No token of a host platform may name one."""

SESSION_AUDIENCE: Final = "barrage-session"
OPERATOR_AUDIENCE: Final = "barrage-operator"
OPERATOR_TTL_S: Final = 60
CACHED_TOKENS: Final = 16_384
CACHED_IDS: Final = 65_536
MARKS_IN_A_ROW: Final = 4


class Identity(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An account as its token shows it. ``subject`` is internal: it never leaves the server. ``expires_ms`` is Unix time, 0 for
    never; ``agreed`` the version of the agreement that the issuer vouches for; ``session`` the id of the session here that the token
    was made for (:mod:`server.accounts.sessions`), empty in a platform's: the token counts for as long as that session goes on, which
    whoever takes it has to ask."""

    subject: str
    nickname: str
    verified: bool
    role: str
    expires_ms: int
    agreed: str = ""
    session: str = ""


_Time = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class _Claims(msgspec.Struct, frozen=True):
    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=SUBJECT_MAX_CHARS)]
    exp: _Time
    aud: str | list[str]
    iss: str = ""
    nbf: _Time = 0.0
    iat: _Time = 0.0
    nickname: str = ""
    verified: bool = False
    role: str = ""
    agreed: Annotated[str, msgspec.Meta(max_length=AGREED_MAX_CHARS)] = ""
    sid: str = ""


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str = ""
    crit: msgspec.Raw | None = None
    b64: msgspec.Raw | None = None


class _Registry(JWSRegistry):
    """The four algorithms of :mod:`server.accounts.keys` and no other."""

    algorithms = {  # noqa: RUF012 -- the library's own attribute, replaced and never written to
        "HS256": JWSRegistry.algorithms["HS256"],
        "RS256": JWSRegistry.algorithms["RS256"],
        "ES256": JWSRegistry.algorithms["ES256"],
        "Ed25519": JWSRegistry.algorithms["Ed25519"],
        # The older name of the same algorithm; the model of the newer one also checks the key's curve.
        "EdDSA": JWSRegistry.algorithms["Ed25519"],
    }


_header_decoder: Final = msgspec.json.Decoder(_Header)


class Tokens:
    """Verifies and issues tokens; makes public ids. Lives on the event loop.

    ``secret`` is None where only the platform's public keys count. Verified tokens are remembered (bounded), since after a
    restart all viewers come back at once with tokens that were seen before.
    """

    def __init__(
        self,
        *,
        secret: bytes | None,
        ring: KeyRing | None,
        id_key: bytes,
        operator_key: bytes,
        audience: str = "barrage",
        issuer: str = "",
        leeway_s: int = 30,
        agreed: str = "",
    ) -> None:
        self._secret = secret_key(secret) if secret is not None else None
        self._ring = ring
        self._id_key = id_key
        self._operator = secret_key(operator_key)
        self._session = secret_key(hmac.digest(operator_key, b"tokens of sessions", "sha256"))
        self._audience = audience
        self._issuer = issuer
        self._leeway_s = leeway_s
        self._agreed = agreed
        self._seen: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()
        self._seen_generation = 0
        self._ids = functools.lru_cache(maxsize=CACHED_IDS)(self._make_public_id)

    @classmethod
    def open(cls, settings: Settings) -> Tokens:
        """Read the keys, making those of the data folder at first use. Raises ConfigError.

        The local secret counts where it was asked for: ``token_secret_file`` names one, there is no key set, or this is a demo.
        """
        ring = _open_ring(settings)
        secret = None
        if settings.token_secret_file is not None:
            secret = read_secret(settings.token_secret_file)
        elif ring is None or settings.demo:
            secret = read_or_create_secret(settings.data_dir / "token.key")
        return cls(
            secret=secret,
            ring=ring,
            id_key=read_or_create_secret(settings.data_dir / "public-id.key"),
            operator_key=read_or_create_secret(settings.data_dir / "operator.key"),
            audience=settings.token_audience,
            issuer=settings.token_issuer,
            leeway_s=settings.token_leeway_s,
            agreed=Agreements.load(settings.agreement_dir).current().version,
        )

    async def run(self) -> None:
        """Keep the platform's keys fresh until cancelled; returns at once where there are none."""
        if self._ring is not None:
            await self._ring.run()

    # -- viewers and authors

    def verify(self, token: str, now_ms: int) -> Identity:
        """The account behind a token.

        Raises Refusal ``bad_token`` or ``token_expired`` (the detail names what is wrong, never a value), or
        ``keys_unavailable`` when the platform's keys are not here yet.
        """
        if len(token) > MAX_TOKEN:
            _refuse(f"longer than {MAX_TOKEN} characters")
        if self._ring is not None and self._ring.generation != self._seen_generation:
            self._seen.clear()
            self._seen_generation = self._ring.generation
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        seen = self._seen.get(digest)
        if seen is None:
            claims = self._claims(token)
            seen = (self._identity(claims), max(claims.nbf, claims.iat))
            self._seen[digest] = seen
            if len(self._seen) > CACHED_TOKENS:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(digest)
        identity, valid_from = seen
        self._check_times(identity.expires_ms, valid_from, now_ms)
        return identity

    def issue(
        self,
        subject: str,
        nickname: str,
        ttl_s: int,
        role: str = "",
        verified: bool = True,
        *,
        agreed: str | None = None,
        now_ms: int | None = None,
    ) -> str:
        """A token of our own for ``ttl_s`` seconds. ``agreed`` is the version of the agreement that was signed: None for the
        current one, empty for none; it counts for accounts of a host platform only. Raises Refusal ``bad_token``
        for a bad subject or nickname, ``forbidden`` when this server takes tokens of the host platform only."""
        if self._secret is None:
            raise Refusal("forbidden", "this server takes tokens of the host platform only")
        if not subject or len(subject) > SUBJECT_MAX_CHARS:
            _refuse(f"subject: 1 to {SUBJECT_MAX_CHARS} characters")
        now_s = (int(time.time() * 1000) if now_ms is None else now_ms) // 1000
        claims: dict[str, Any] = {
            "sub": subject,
            "nickname": clean_nickname(nickname),
            "verified": verified,
            "aud": self._audience,
            "iat": now_s,
            "exp": now_s + ttl_s,
        }
        if role:
            claims["role"] = role
        vouched = self._agreed if agreed is None else agreed
        if vouched:
            claims["agreed"] = vouched
        if self._issuer:
            claims["iss"] = self._issuer
        return jwt.encode({"alg": "HS256"}, claims, self._secret.key, registry=_registry("HS256"))

    def public_id(self, subject: str) -> str:
        """The id that stands for an account in public: 16 characters, the same for the life of the data folder, and not to be
        turned back without ``public-id.key``."""
        return self._ids(subject)

    # -- sessions

    def issue_session(self, subject: str, nickname: str, ttl_s: int, *, session: str, verified: bool, now_ms: int) -> str:
        """A short-lived token for the player of somebody who is signed in here, by the session of this id. It is signed with a key of
        its own, so it is there whatever platform's tokens this server takes, and no platform can make one. Raises Refusal
        ``bad_token``."""
        now_s = now_ms // 1000
        claims = {
            "sub": subject,
            "nickname": clean_nickname(nickname),
            "verified": verified,
            "aud": SESSION_AUDIENCE,
            "iat": now_s,
            "exp": now_s + ttl_s,
            "sid": session,
        }
        return jwt.encode({"alg": "HS256"}, claims, self._session.key, registry=_registry("HS256"))

    # -- operators

    def issue_operator(self, actor: str, now_ms: int) -> str:
        """A short-lived token for the operator interface; whoever can read ``operator.key`` can make one."""
        now_s = now_ms // 1000
        claims = {"sub": actor[:SUBJECT_MAX_CHARS], "aud": OPERATOR_AUDIENCE, "iat": now_s, "exp": now_s + OPERATOR_TTL_S}
        return jwt.encode({"alg": "HS256"}, claims, self._operator.key, registry=_registry("HS256"))

    def verify_operator(self, token: str, now_ms: int) -> str:
        """The actor of an operator's token. Raises Refusal ``bad_token`` or ``token_expired``."""
        if len(token) > MAX_TOKEN:
            _refuse(f"longer than {MAX_TOKEN} characters")
        claims = _decode(token, "HS256", [self._operator], OPERATOR_AUDIENCE)
        if claims.exp - claims.iat > OPERATOR_TTL_S:
            _refuse(f"an operator's token lives at most {OPERATOR_TTL_S} seconds")
        self._check_times(int(claims.exp * 1000), max(claims.nbf, claims.iat), now_ms)
        return claims.sub

    # -- parts

    def _claims(self, token: str) -> _Claims:
        header = _header(token)
        if header.alg == "HS256" and _signed_by(token, self._session):
            claims = _decode(token, header.alg, [self._session], SESSION_AUDIENCE)
            if not claims.sid:
                raise Refusal("token_expired", "it names no session")  # made before tokens did
            return claims
        keys = [self._secret] if self._secret is not None and header.alg in self._secret.algorithms else []
        if self._ring is not None:
            keys += self._ring.find(header.alg, header.kid)
        if not keys:
            if self._ring is not None and self._ring.ask():
                raise Refusal("keys_unavailable", "the key of this token is not known yet", retry_after_ms=2000)
            _refuse("signed with a key or an algorithm that is not accepted here")
        claims = _decode(token, header.alg, keys, self._audience)
        if self._issuer and claims.iss != self._issuer:
            _refuse("claim iss: another issuer")
        # A platform's token may have a claim of this name, which means a session of its own.
        claims = msgspec.structs.replace(claims, sid="")
        if LOCAL.match(claims.sub):
            _refuse("claim sub: has the form of an account that signed up here")
        return claims

    def _identity(self, claims: _Claims) -> Identity:
        if any(unicodedata.category(char)[0] == "C" for char in claims.sub):
            _refuse("claim sub: has control characters")
        if claims.sub.startswith(_NOT_ACCOUNTS):
            _refuse("claim sub: begins like the names of those who are no accounts")
        return Identity(
            subject=claims.sub,
            nickname=clean_nickname(claims.nickname),
            verified=claims.verified,
            role=claims.role if claims.role in ROLES else "",
            expires_ms=int(claims.exp * 1000),
            agreed=claims.agreed,
            session=claims.sid,
        )

    def _check_times(self, expires_ms: int, valid_from_s: float, now_ms: int) -> None:
        leeway_ms = self._leeway_s * 1000
        if now_ms >= expires_ms + leeway_ms:
            raise Refusal("token_expired")
        if valid_from_s * 1000 > now_ms + leeway_ms:
            _refuse("not valid yet (claims nbf, iat)")

    def _make_public_id(self, subject: str) -> str:
        digest = hmac.digest(self._id_key, subject.encode("utf-8", "surrogatepass"), "sha256")
        return base64.b32encode(digest[:10]).decode("ascii").lower()


def clean_nickname(text: str) -> str:
    """The nickname as it is shown: trimmed, white space folded, NFC, 1 to 24 characters.

    Controls, direction marks and invisible characters are refused, since they let one name look like another; a joiner between
    emoji is no such case. Raises Refusal ``bad_token``.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(name) <= NICKNAME_MAX_CHARS:
        _refuse(f"nickname: 1 to {NICKNAME_MAX_CHARS} characters")
    marks = 0
    for index, char in enumerate(name):
        category = unicodedata.category(char)
        marks = marks + 1 if category[0] == "M" else 0
        joiner = char == "\u200d" and 0 < index < len(name) - 1 and _pictorial(name[index - 1]) and _pictorial(name[index + 1])
        if (category[0] == "C" and not joiner) or marks > MARKS_IN_A_ROW or char in _INVISIBLE:
            _refuse("nickname: has control, direction or invisible characters")
    return name


_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def _pictorial(char: str) -> bool:
    return unicodedata.category(char) in {"So", "Sk"} or char == "\ufe0f"


def _open_ring(settings: Settings) -> KeyRing | None:
    if settings.token_jwks_url:
        return KeyRing(functools.partial(fetch_jwks, settings.token_jwks_url), settings.token_jwks_refresh_s)
    if settings.token_jwks_file is None:
        return None
    ring = KeyRing(settings.token_jwks_file.read_bytes, settings.token_jwks_refresh_s)
    try:
        ring.load(settings.token_jwks_file.read_bytes())
    except OSError as error:
        raise ConfigError(f"token_jwks_file: {settings.token_jwks_file} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise ConfigError(f"token_jwks_file: {settings.token_jwks_file} is not a key set ({error}).") from None
    return ring


@functools.cache
def _registry(algorithm: str) -> _Registry:
    return _Registry(algorithms=[algorithm], strict_check_header=False)


def _refuse(detail: str) -> NoReturn:
    raise Refusal("bad_token", detail)


def _header(token: str) -> _Header:
    """The unverified header: only good for choosing among keys that would be accepted anyway."""
    part, _, rest = token.partition(".")
    try:
        header = _header_decoder.decode(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        _refuse("not a JWT")
    if rest.count(".") != 1 or header.crit is not None or header.b64 is not None:
        _refuse("not a plain signed JWT")
    return header


def _signed_by(token: str, key: VerifyKey) -> bool:
    """Whether this key signed the token, whatever it says."""
    try:
        jwt.decode(token, key.key, registry=_registry("HS256"))
    except (JoseError, ValueError, TypeError, RecursionError):
        return False
    return True


def _decode(token: str, algorithm: str, keys: list[VerifyKey], audience: str) -> _Claims:
    """The claims of a token that one of ``keys`` signed with ``algorithm``, which each of them is known to be for."""
    for candidate in keys:
        try:
            decoded = jwt.decode(token, candidate.key, registry=_registry(algorithm))
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
        try:
            claims = msgspec.convert(decoded.claims, _Claims)
        except msgspec.ValidationError as error:
            _refuse(f"claims: {error}")
        if audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            _refuse("claim aud: meant for another service")
        return claims
    _refuse("the signature does not fit")
