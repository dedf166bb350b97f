"""The vault: what must be kept of a person, encrypted with a key of that person's own.

Each account has one AES-256-GCM key, which stands in ``vault_keys`` wrapped by a key-encryption key (:mod:`.vault_keys`) that is not
in the database. Every ciphertext is bound to its account and field, every wrapped key to its account, so that none can stand in for
another. Erasure destroys the wrapped key: what was written under it cannot be read any more.

What must be *found* by its value, that one person has one account and that a blacklisted one does not come back, stands as an
HMAC-SHA256 under a pepper that is not in the database either. An HMAC cannot be made anew without its value, so old peppers go on
to be asked as long as there are rows under them.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, and_, delete, func, insert, or_, select, union, update

from server.accounts.book import Transaction
from server.accounts.fields import VAULT
from server.accounts.tables import blacklist, claims, staff, vault_items, vault_keys
from server.accounts.vault_keys import KEY_BYTES, VaultError, VaultKeys
from server.errors import ConfigError, Refusal
from server.settings import Settings

NONCE_BYTES: Final = 12
KINDS: Final = frozenset({"person", "phone", "oidc", "netid"})
"""What a claim can be about: an identity number, a phone number, an account at an OpenID provider, a network identity."""

_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SEAL: Final = 1


class Vault:
    """Encrypts, decrypts and recognises. Holds keys alone, so any thread may use it; all data stand in the transaction's database."""

    def __init__(self, keys: VaultKeys) -> None:
        self.keys: Final = keys

    @classmethod
    def open(cls, settings: Settings) -> Vault:
        """The vault with the keys that the settings name. Raises ConfigError."""
        return cls(VaultKeys.open(settings))

    # -- what is kept

    def put(self, tx: Transaction, account: str, field: str, value: str) -> None:
        """Keep a value for an account, in place of an older one. ``field`` is one of :mod:`server.accounts.fields`."""
        if field not in VAULT:
            raise ValueError("not a field that the vault may hold")
        data = _encrypt(self._key_of(tx, account), value.encode(), _item(account, field))
        row = {"account": account, "field": field, "data": data, "at_ms": tx.now_ms}
        tx.sql.execute(insert(vault_items).prefix_with("OR REPLACE").values(**row))

    def read(self, connection: Connection, account: str, field: str) -> str | None:
        """The value kept for an account, None when there is none. Raises VaultError when it was changed or its key is missing.

        For the software's own purposes only; people go the way of :mod:`server.accounts.vault_access`.
        """
        at = and_(vault_items.c.account == account, vault_items.c.field == field)
        data = connection.execute(select(vault_items.c.data).where(at)).scalar()
        if data is None:
            return None
        row = connection.execute(select(vault_keys).where(vault_keys.c.account == account)).mappings().first()
        if row is None:
            raise VaultError("the key of this account was destroyed")
        key = self._unwrap(account, row["kek"], row["wrapped"])
        return _decrypt(key, data, _item(account, field), "an item").decode()

    def fields(self, connection: Connection, account: str) -> list[str]:
        """Names of the fields kept for an account."""
        rows = connection.execute(select(vault_items.c.field).where(vault_items.c.account == account).order_by("field"))
        return list(rows.scalars())

    def remove(self, tx: Transaction, account: str, field: str) -> None:
        """Keep one field no longer."""
        tx.sql.execute(delete(vault_items).where(vault_items.c.account == account, vault_items.c.field == field))

    def destroy(self, tx: Transaction, account: str) -> None:
        """Erase: the account's key is overwritten and gone, its items with it. Follow the commit by :func:`scrub`, which empties the
        write-ahead log of the old pages."""
        tx.sql.exec_driver_sql("PRAGMA secure_delete=ON")  # of this connection, which ends with the transaction
        tx.sql.execute(delete(vault_items).where(vault_items.c.account == account))
        tx.sql.execute(delete(vault_keys).where(vault_keys.c.account == account))

    def rotate(self, tx: Transaction, batch: int = 500) -> int:
        """Wrap up to ``batch`` keys anew under the current key-encryption key; how many are left to do. Each call is a transaction of
        its own, and what is done is done: after a crash go on calling it until it returns 0. Raises VaultError."""
        current = self.keys.kek
        old = vault_keys.c.kek != current
        for row in tx.sql.execute(select(vault_keys).where(old).order_by(vault_keys.c.account).limit(batch)).mappings().all():
            account = row["account"]
            wrapped = self._wrap(account, current, self._unwrap(account, row["kek"], row["wrapped"]))
            tx.sql.execute(update(vault_keys).where(vault_keys.c.account == account).values(kek=current, wrapped=wrapped))
        left = tx.sql.execute(select(func.count()).select_from(vault_keys).where(old)).scalar_one()
        if not left:
            self._rotate_staff(tx)
        return left

    def _rotate_staff(self, tx: Transaction) -> None:
        """Staff are few: their second factors go all at once, with the last batch."""
        for name, sealed in tx.sql.execute(select(staff.c.name, staff.c.totp).where(staff.c.totp.is_not(None))).all():
            if sealed and _sealed_by(sealed) != self.keys.kek:
                anew = self.seal(f"totp:{name}", self.unseal(f"totp:{name}", sealed))
                tx.sql.execute(update(staff).where(staff.c.name == name).values(totp=anew))

    # -- which keys are needed

    def check(self, connection: Connection) -> None:
        """Raise ConfigError when a version that rows were written under is missing: with the wrong keys no server shall start,
        lest it read nothing and let blacklisted people in."""
        keks, peppers = self._used(connection)
        missing = sorted(keks - set(self.keys.keks)) + sorted(str(number) for number in peppers - set(self.keys.peppers))
        if missing:
            raise ConfigError(
                f"The vault's keys lack version(s) {', '.join(missing)} that accounts.db was written with. "
                "Put back the file of keys that belongs to this data folder."
            )

    def unused(self, connection: Connection) -> tuple[list[str], list[int]]:
        """Old versions of key-encryption keys and peppers that no row needs, to be dropped (:meth:`.VaultKeys.drop`)."""
        keks, peppers = self._used(connection)
        return (
            [name for name in self.keys.keks if name not in keks | {self.keys.kek}],
            [number for number in self.keys.peppers if number not in peppers | {self.keys.pepper}],
        )

    def drop_unused(self, connection: Connection) -> tuple[list[str], list[int]]:
        """Remove versions that no row needs from the file of keys, for good; their names. What backups hold under them cannot be read
        any more: this is what makes an erasure final in backups too. Raises ConfigError."""
        keks, peppers = self.unused(connection)
        self.keys.drop(keks, peppers)
        return keks, peppers

    def _used(self, connection: Connection) -> tuple[set[str], set[int]]:
        keks = set(connection.execute(select(vault_keys.c.kek).distinct()).scalars())
        sealed = connection.execute(select(staff.c.totp).where(staff.c.totp.is_not(None))).scalars()
        keks |= {_sealed_by(each) for each in sealed if each}
        peppers = set(connection.execute(union(select(claims.c.pepper), select(blacklist.c.pepper))).scalars())
        return keks, peppers

    # -- what is recognised

    def mark(self, kind: str, value: str) -> tuple[str, int]:
        """The HMAC of a value under the current pepper, hexadecimal, and the pepper's number. ``kind`` keeps equal values of
        different meaning apart; for those of :data:`KINDS` the value is brought into its one form first (ValueError: it has none)."""
        pepper = self.keys.pepper
        return self._mark(kind, value, pepper), pepper

    def marks(self, kind: str, value: str) -> list[tuple[str, int]]:
        """The same under every pepper, the current one first."""
        return [(self._mark(kind, value, pepper), pepper) for pepper in reversed(self.keys.peppers)]

    def _mark(self, kind: str, value: str, pepper: int) -> str:
        message = f"{kind}\0{normal(kind, value)}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.keys.pepper_bytes(pepper), message, "sha256").hex()

    def holder(self, connection: Connection, kind: str, value: str) -> str | None:
        """The account that has claimed a value."""
        values = [mark for mark, _ in self.marks(kind, value)]
        return connection.execute(select(claims.c.account).where(claims.c.kind == kind, claims.c.value.in_(values))).scalar()

    def blacklisted(self, connection: Connection, kind: str, value: str, now_ms: int) -> bool:
        """Whether the value stands in the blacklist at this moment."""
        values = [mark for mark, _ in self.marks(kind, value)]
        in_force = or_(blacklist.c.until_ms == 0, blacklist.c.until_ms > now_ms)
        query = select(blacklist.c.kind).where(blacklist.c.kind == kind, blacklist.c.value.in_(values), in_force)
        return connection.execute(query).first() is not None

    def claim(self, tx: Transaction, account: str, kind: str, value: str) -> None:
        """Record that a value is this account's; under the current pepper, also when it was another one's before.

        Raises Refusal ``blacklisted``, or ``identity_taken`` when another account has it, under whatever pepper. Transactions come
        one after the other, so nothing can be claimed between the look and the row.
        """
        if kind not in KINDS:
            raise ValueError("not a kind of claim")
        if self.blacklisted(tx.sql, kind, value, tx.now_ms):
            raise Refusal("blacklisted")
        holder = self.holder(tx.sql, kind, value)
        if holder not in (None, account):
            raise Refusal("identity_taken")
        (now, pepper), *older = self.marks(kind, value)
        tx.sql.execute(delete(claims).where(claims.c.kind == kind, claims.c.value.in_([now, *(mark for mark, _ in older)])))
        tx.sql.execute(insert(claims).values(kind=kind, value=now, pepper=pepper, account=account, at_ms=tx.now_ms))

    def unclaim(self, tx: Transaction, account: str, kind: str, value: str) -> None:
        """Give up one value that the account has claimed."""
        values = [mark for mark, _ in self.marks(kind, value)]
        mine = (claims.c.account == account, claims.c.kind == kind, claims.c.value.in_(values))
        tx.sql.execute(delete(claims).where(*mine))

    def release(self, tx: Transaction, account: str) -> None:
        """Give up what the account has claimed (erasure). Rows of the blacklist stay."""
        tx.sql.execute(delete(claims).where(claims.c.account == account))

    # -- small secrets that are nobody's account's

    def seal(self, purpose: str, data: bytes) -> bytes:
        """Encrypt data under the current key-encryption key (a key derived from it), bound to ``purpose``."""
        name = self.keys.kek
        return bytes([_SEAL]) + bytes.fromhex(name) + _encrypt(self._sealing(name), data, b"seal\0" + purpose.encode())

    def unseal(self, purpose: str, blob: bytes) -> bytes:
        """The data of :meth:`seal`. Raises VaultError for anything else, under another purpose too."""
        name = _sealed_by(blob)
        return _decrypt(self._sealing(name), blob[1 + len(name) // 2 :], b"seal\0" + purpose.encode(), "a sealed text")

    def _sealing(self, name: str) -> bytes:
        return HKDF(hashes.SHA256(), KEY_BYTES, None, b"barrage seal").derive(self.keys.kek_bytes(name))

    # -- the person's key

    def _key_of(self, tx: Transaction, account: str) -> bytes:
        """The account's key; a new one at first use."""
        row = tx.sql.execute(select(vault_keys).where(vault_keys.c.account == account)).mappings().first()
        if row is not None:
            return self._unwrap(account, row["kek"], row["wrapped"])
        key, kek = secrets.token_bytes(KEY_BYTES), self.keys.kek
        values = {"account": account, "kek": kek, "wrapped": self._wrap(account, kek, key), "created_ms": tx.now_ms}
        tx.sql.execute(insert(vault_keys).values(**values))
        return key

    def _wrap(self, account: str, kek: str, key: bytes) -> bytes:
        return _encrypt(self.keys.kek_bytes(kek), key, _wrapping(account))

    def _unwrap(self, account: str, kek: str, wrapped: bytes) -> bytes:
        return _decrypt(self.keys.kek_bytes(kek), wrapped, _wrapping(account), "a key")


def normal(kind: str, value: str) -> str:
    """The one form of a value that has several spellings. Raises ValueError, without the value, where it has none."""
    match kind:
        case "phone":
            if _PHONE.fullmatch(value) is None:
                raise ValueError("a phone number is + and 7 to 15 digits")
            return value
        case "person":
            return "".join(unicodedata.normalize("NFKC", value).split()).upper()
        case _:
            return value


def scrub(connection: Connection) -> bool:
    """After an erasure: copy the write-ahead log into the database and empty it, so that the old pages are in neither. Returns False
    when a reader kept it from being finished; ask again. Run it with :meth:`.Accounts.read`, outside of transactions."""
    busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return not busy


def _item(account: str, field: str) -> bytes:
    return f"item\0{account}\0{field}".encode()


def _wrapping(account: str) -> bytes:
    return f"key\0{account}".encode()


def _encrypt(key: bytes, data: bytes, bound_to: bytes) -> bytes:
    """A random nonce and the ciphertext. A key sees far fewer than the 2**32 messages that random nonces are good for."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound_to)


def _decrypt(key: bytes, blob: bytes, bound_to: bytes, what: str) -> bytes:
    try:
        return AESGCM(key).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):  # ValueError: too short to be one
        raise VaultError(f"{what} of the vault was changed, or belongs elsewhere") from None


def _sealed_by(blob: bytes) -> str:
    """The name of the key-encryption key of a sealed text."""
    if len(blob) < 1 + 8 + NONCE_BYTES or blob[0] != _SEAL:
        raise VaultError("not a sealed text")
    return blob[1:9].hex()
