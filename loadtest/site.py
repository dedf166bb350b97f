"""The server under test as clients address it, and the signed tokens of the people who use it."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from joserfc import jwk, jwt

TOKEN_TTL_S: Final = 24 * 3600
OPERATOR_TTL_S: Final = 60
_ASK_TIMEOUT_S: Final = 10.0
ADDRESSES_MAX: Final = 250 * 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the server is, which room is tested, and how clients connect.

    ``deflate``: clients offer permessage-deflate, as browsers do. ``per_address``: connections that share one source address;
    further ones take the next address of 127.0.0.0/8 (0, or a server on another machine: the system chooses).
    """

    host: str
    port: int
    room: str
    deflate: bool = False
    per_address: int = 100

    @classmethod
    def of(cls, url: str, room: str, *, deflate: bool = False, per_address: int = 100) -> Site:
        """From an address such as ``http://127.0.0.1:8080``. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError(f"{url!r} is not accepted. Accepted: an address such as http://127.0.0.1:8080.")
        return cls(host=parts.hostname, port=parts.port or 80, room=room, deflate=deflate, per_address=per_address)

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def target(self, token: str | None, *, join: bool) -> str:
        """Path and query of the WebSocket address; ``join``: enter the room with the connection."""
        query = [f"room={quote(self.room)}"] if join else []
        if token is not None:
            query.append(f"token={token}")
        return "/ws?" + "&".join(query) if query else "/ws"

    def local_address(self, index: int) -> tuple[str, int] | None:
        """Source address of connection ``index``; None: the system chooses. 127.0.0.x is left to others."""
        if not self.per_address or not _is_loopback_4(self.host):
            return None
        number = index // self.per_address % ADDRESSES_MAX
        return f"127.10.{1 + number // 250}.{1 + number % 250}", 0


def _is_loopback_4(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == 4 and address.is_loopback


def operator_token(secret: bytes, actor: str = "loadtest") -> str:
    """A token for the operator interface, good for a minute; ``secret`` is that of the server's ``operator.key``."""
    now_s = int(time.time())
    claims: dict[str, object] = {"sub": actor, "aud": "barrage-operator", "iat": now_s, "exp": now_s + OPERATOR_TTL_S}
    return jwt.encode({"alg": "HS256"}, claims, jwk.OctKey.import_key(secret), algorithms=["HS256"])


class _Agreement(msgspec.Struct, frozen=True):
    version: str


class Mint:
    """Makes tokens of verified accounts, as the host platform does (HS256); it vouches for the agreement ``agreed``."""

    def __init__(self, secret: bytes, audience: str = "barrage") -> None:
        self._key = jwk.OctKey.import_key(secret)
        self._audience = audience
        self.agreed = ""

    @classmethod
    def of(cls, data_dir: Path | None, secret_file: Path | None = None) -> Mint:
        """From the secret's file, or from ``token.key`` of the server's data folder. Raises ValueError."""
        path = secret_file or (data_dir / "token.key" if data_dir else None)
        if path is None:
            raise ValueError("Senders need tokens: give --data-dir (the server's data folder) or --token-secret-file.")
        try:
            return cls(path.read_bytes().strip())
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error.strerror}).") from None

    async def ask(self, origin: str) -> None:
        """From now on vouch for the agreement that the server has in force. One that has none needs no signature; one that does not
        answer is found out by whoever enters it."""
        async with httpx.AsyncClient(base_url=origin, timeout=_ASK_TIMEOUT_S) as http:
            try:
                answer = await http.get("/api/v1/agreement")
            except httpx.HTTPError:
                return
        if answer.status_code == HTTPStatus.OK:
            self.agreed = msgspec.json.decode(answer.content, type=_Agreement).version

    def token(self, subject: str, nickname: str) -> str:
        """A token of a verified account, valid for a day."""
        now_s = int(time.time())
        claims: dict[str, object] = {
            "sub": subject,
            "nickname": nickname,
            "verified": True,
            "aud": self._audience,
            "iat": now_s,
            "exp": now_s + TOKEN_TTL_S,
        }
        if self.agreed:
            claims["agreed"] = self.agreed
        return jwt.encode({"alg": "HS256"}, claims, self._key, algorithms=["HS256"])
