"""Members of staff: who they are, what their roles allow, and how they prove who they are (password and one-time code, or passkey).

Functions work in one :class:`~server.accounts.book.Transaction`; passwords, which cost time on purpose, are hashed outside
of it (:class:`Passwords`).
Failed attempts are answered, never raised, so that counting them is not undone. Whoever fails often waits: the waiting is by name for
clients that nobody has signed in from, so a stranger cannot lock out somebody who has (:mod:`server.accounts.devices`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args

import msgspec
import pyotp
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from server.accounts import sessions, tables
from server.accounts.book import Transaction
from server.accounts.events import Rung
from server.errors import Refusal

StaffRole = Literal["operator", "senior", "reviewer", "compliance", "privacy", "inspector", "admin"]
Action = Literal[
    "accounts.view", "measures.take", "measures.suspend", "measures.close", "measures.lift", "appeals.view", "appeals.decide",
    "public.view", "public.review", "public.classify", "public.file", "public.activate", "public.revoke", "public.approve",
    "licences.view", "licences.change", "vault.ask", "vault.approve", "vault.read", "erase", "log.view", "staff.view",
    "staff.change",
    "queue.view", "queue.decide", "second.decide", "comments.remove", "comments.restore", "patrol.view", "records.view",
    "modes.room", "modes.site", "rules.emergency", "stats.view", "training.take", "training.change", "shifts.change",
    "outbox.view", "outbox.send", "cases.view", "cases.change", "features.view", "features.change", "holds.view", "holds.change",
    "inspection.ask", "inspection.approve", "inspection.view", "inspection.export",
]  # fmt: skip

_VIEW: Final[frozenset[Action]] = frozenset({"accounts.view", "appeals.view", "public.view", "licences.view"})
_REVIEWER: Final[frozenset[Action]] = _VIEW | {
    "measures.take", "public.review", "queue.view", "queue.decide", "second.decide", "comments.remove", "patrol.view",
    "records.view", "stats.view", "training.take",
}  # fmt: skip
_SENIOR: Final[frozenset[Action]] = _REVIEWER | {
    "measures.suspend", "measures.lift", "appeals.decide", "public.classify", "public.revoke", "comments.restore", "modes.room",
    "training.change", "shifts.change",
}  # fmt: skip
_COMPLIANCE: Final[frozenset[Action]] = frozenset({
    "patrol.view", "records.view", "stats.view", "outbox.view", "outbox.send", "cases.view", "cases.change", "features.view",
    "features.change", "holds.view", "holds.change", "inspection.ask", "inspection.approve", "inspection.view", "inspection.export",
})  # fmt: skip
ROLES: Final[dict[StaffRole, frozenset[Action]]] = {
    "operator": _SENIOR | {
        "measures.close", "modes.site", "rules.emergency", "outbox.view", "outbox.send", "cases.view", "cases.change",
        "features.view", "inspection.approve", "inspection.view",
    },
    "senior": _SENIOR,
    "reviewer": _REVIEWER,
    "compliance": _VIEW | _COMPLIANCE | {
        "public.review", "public.classify", "public.file", "public.activate", "public.revoke", "public.approve",
        "licences.change", "log.view",
    },
    "privacy": _VIEW | {"vault.ask", "vault.approve", "vault.read", "erase", "log.view"},
    "inspector": frozenset({"inspection.view", "licences.view", "features.view"}),
    "admin": frozenset({"staff.view", "staff.change", "log.view", "licences.view"}),
}  # fmt: skip
"""What each role allows; what is not here is refused. Who has several roles acts as the first of them in this order that allows the
action. An inspector reads what an inspection in force covers, and what the provider's licences and assessments are, and nothing else
(duty P3); the admin sees no accounts."""

STEP_UP: Final[frozenset[Action]] = frozenset({
    "measures.take", "measures.suspend", "measures.close", "measures.lift", "appeals.decide", "public.approve", "public.revoke",
    "licences.change", "vault.ask", "vault.approve", "vault.read", "erase", "staff.change",
    "modes.site", "rules.emergency", "features.change", "holds.change", "inspection.ask", "inspection.approve", "inspection.export",
})  # fmt: skip
"""Actions that ask for a fresh second factor."""
STEP_UP_MS: Final = 5 * 60 * 1000

RUNG_ACTIONS: Final[dict[Rung, Action]] = {
    "warn": "measures.take", "refuse": "measures.take", "delete": "measures.take", "restrict": "measures.take",
    "suspend": "measures.suspend", "close": "measures.close", "blacklist": "measures.close",
}  # fmt: skip
"""What taking a measure of each rung needs."""

ENROLMENT_MS: Final = 24 * 3600 * 1000
CODE_STEP_S: Final = 30
FREE_FAILURES: Final = 5
FIRST_WAIT_MS: Final = 30_000
LONGEST_WAIT_MS: Final = 15 * 60 * 1000

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}\Z", re.ASCII)


class Sealer(Protocol):
    """Encrypts with the vault's key-encryption key; ``purpose`` binds the result to its place."""

    def seal(self, purpose: str, data: bytes) -> bytes:
        """The data, encrypted and authenticated."""

    def unseal(self, purpose: str, blob: bytes) -> bytes:
        """What :meth:`seal` was given."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff. ``enrolled``: password and code are set. Times are Unix ms; 0: never."""

    name: str
    roles: tuple[StaffRole, ...]
    enrolled: bool
    created_ms: int
    disabled_ms: int
    locked_until_ms: int

    @property
    def holder(self) -> str:
        """As sessions, ledgers and records name the member."""
        return f"staff:{self.name}"

    def role_for(self, action: Action) -> StaffRole | None:
        """The role that allows the action; None: no role of the member does."""
        return next((role for role, allowed in ROLES.items() if role in self.roles and action in allowed), None)


class Attempt(NamedTuple):
    """How an attempt to prove an identity ended: with the member, or with the code of a refusal and the time to wait."""

    member: Member | None
    refusal: str = ""
    wait_ms: int = 0


def authorise(member: Member, action: Action, now_ms: int, stepped_up_ms: int) -> StaffRole:
    """The role under which the member does this. Raises Refusal ``forbidden``, ``step_up_required``."""
    role = member.role_for(action)
    if role is None or member.disabled_ms:
        raise Refusal("forbidden", action)
    if action in STEP_UP and not stepped_up_ms <= now_ms < stepped_up_ms + STEP_UP_MS:
        raise Refusal("step_up_required", action)
    return role


# ---------------------------------------------------------------------------------------------------------------------
# Who there is


def find(connection: Connection, name: str) -> Member | None:
    """The member of that name, disabled ones included."""
    row = _row(connection, name)
    return _member(row) if row is not None else None


def listed(connection: Connection) -> list[Member]:
    """All members, by name."""
    return [_member(row) for row in connection.execute(select(tables.staff).order_by(tables.staff.c.name)).mappings()]


def password_of(connection: Connection, name: str) -> str:
    """The member's password as it is kept; empty for an unknown, disabled or not enrolled one."""
    row = _row(connection, name)
    return "" if row is None or row["disabled_ms"] else str(row["password"])


def add(tx: Transaction, name: str, roles: tuple[str, ...], sealer: Sealer, *, actor: str, role: str) -> str:
    """Make a member; returns the secret of the enrolment (:func:`enrol`), good once within a day. Raises Refusal ``bad_message``."""
    if not _NAME.match(name):
        raise Refusal("bad_message", "name: 2 to 32 of a-z 0-9 . _ -, beginning with a letter or digit")
    if _row(tx.sql, name) is not None:
        raise Refusal("bad_message", "name: there is a member of this name already")
    words = _roles(roles)
    tx.sql.execute(insert(tables.staff).values(name=name, roles=words, created_ms=tx.now_ms))
    tx.log_access(actor, role, "staff.add", f"staff:{name}", words)
    return _begin_enrolment(tx, name, sealer)


def enrol_again(tx: Transaction, name: str, sealer: Sealer, *, actor: str, role: str) -> str:
    """Forget the member's password, code and passkeys, end the sessions, and let them enrol anew; returns as :func:`add`."""
    _must_be_there(tx.sql, name)
    _end_sessions(tx, name)
    tx.sql.execute(delete(tables.passkeys).where(tables.passkeys.c.staff == name))
    _set(tx, name, password="", failures=0, locked_until_ms=0)
    tx.log_access(actor, role, "staff.enrol_again", f"staff:{name}")
    return _begin_enrolment(tx, name, sealer)


def set_roles(tx: Transaction, name: str, roles: tuple[str, ...], *, actor: str, role: str) -> None:
    """Give a member other roles; not one's own. Raises Refusal ``account_not_found``, ``second_person_required``, ``bad_step``."""
    _change_other(tx, name, actor)
    words = _roles(roles)
    if "admin" not in roles:
        _keep_an_admin(tx, name)
    _set(tx, name, roles=words)
    tx.log_access(actor, role, "staff.roles", f"staff:{name}", words)


def disable(tx: Transaction, name: str, *, actor: str, role: str) -> None:
    """Let a member in no more, from this moment on. Raises as :func:`set_roles`."""
    _change_other(tx, name, actor)
    _keep_an_admin(tx, name)
    _end_sessions(tx, name)
    _set(tx, name, disabled_ms=tx.now_ms)
    tx.log_access(actor, role, "staff.disable", f"staff:{name}")


def enable(tx: Transaction, name: str, *, actor: str, role: str) -> None:
    """Let a disabled member in again, and end the waiting after failed attempts. Raises as :func:`set_roles`."""
    _change_other(tx, name, actor)
    _set(tx, name, disabled_ms=0, failures=0, locked_until_ms=0)
    tx.log_access(actor, role, "staff.enable", f"staff:{name}")


# ---------------------------------------------------------------------------------------------------------------------
# Enrolment


def enrolment_uri(connection: Connection, name: str, secret: str, sealer: Sealer, issuer: str, now_ms: int) -> str:
    """What the member's authenticator scans (otpauth://...). Raises Refusal ``login_failed``: the secret is wrong, used or old."""
    _enrolment(connection, name, secret, now_ms)
    row = _row(connection, name)
    assert row is not None
    return _totp(row, sealer).provisioning_uri(name=name, issuer_name=issuer)


def enrol(tx: Transaction, name: str, secret: str, password: str, code: str, sealer: Sealer) -> Member:
    """Set the password (as :class:`Passwords` keeps it) and prove that the authenticator works. Raises Refusal ``login_failed``,
    ``code_wrong``."""
    enrolment = _enrolment(tx.sql, name, secret, tx.now_ms)
    row = _must_be_there(tx.sql, name)
    step = _match(row, code, sealer, tx.now_ms)
    if step is None:
        raise Refusal("code_wrong")
    tx.sql.execute(update(tables.codes).where(tables.codes.c.id == enrolment).values(used_ms=tx.now_ms))
    _set(tx, name, password=password, totp_used=step, failures=0, locked_until_ms=0)
    tx.log_access(f"staff:{name}", "", "staff.enrol", f"staff:{name}")
    return _member(_must_be_there(tx.sql, name))


def change_password(tx: Transaction, name: str, password: str) -> None:
    """Set another password, as :class:`Passwords` keeps it; all sessions end."""
    _must_be_there(tx.sql, name)
    _end_sessions(tx, name)
    _set(tx, name, password=password)
    tx.log_access(f"staff:{name}", "", "staff.password", f"staff:{name}")


# ---------------------------------------------------------------------------------------------------------------------
# Proving who one is


def sign_in(
    tx: Transaction,
    name: str,
    kept: str,
    matches: bool,
    code: str,
    sealer: Sealer,
    *,
    rehashed: str = "",
    known: bool = False,
    nobody_waits_ms: int = 0,
) -> Attempt:
    """An attempt with a password and a code. ``matches``: the password fits ``kept`` (of :func:`password_of`); ``rehashed``: how it
    is to be kept from now on; ``known``: the client is one that the member has signed in from, so it need not wait as strangers do.
    ``nobody_waits_ms``: how long it has to wait if there is nobody of that name.

    An unknown name, a wrong password and a wrong code are answered alike, after the same steps: a code is compared, and what a
    stranger's failure writes is written.
    """
    row = _row(tx.sql, name)
    if row is None or row["disabled_ms"] or not row["password"]:
        _match(_nobody(sealer), code, sealer, tx.now_ms)
        if nobody_waits_ms:
            return Attempt(None, "too_many_attempts", nobody_waits_ms)
        _write_as_a_failure(tx)
        return Attempt(None, "login_failed")
    step = _match(row, code, sealer, tx.now_ms)
    waiting = 0 if known else row["locked_until_ms"] - tx.now_ms
    if waiting > 0:
        return Attempt(None, "too_many_attempts", waiting)
    # The password may have been changed since it was looked at.
    if not matches or not hmac.compare_digest(kept, row["password"]) or step is None:
        return _failed(tx, row, known)
    # Strangers go on to wait when the member comes in past them: that they need not would tell that there is somebody.
    changes = {} if known else {"failures": 0, "locked_until_ms": 0}
    _set(tx, name, totp_used=step, **changes, **({"password": rehashed} if rehashed else {}))
    tx.log_access(f"staff:{name}", "", "staff.sign_in", f"staff:{name}", "password")
    return Attempt(_member(row))


def confirm(tx: Transaction, name: str, code: str, sealer: Sealer) -> Attempt:
    """A fresh code of somebody who is signed in, before a sensitive action. The caller bounds the attempts of a session; strangers
    who fail to sign in keep nobody waiting here."""
    row = _must_be_there(tx.sql, name)
    step = _match(row, code, sealer, tx.now_ms)
    if step is None or row["disabled_ms"]:
        return Attempt(None, "code_wrong")
    _set(tx, name, totp_used=step)
    return Attempt(_member(row))


def wait_after(failures: int) -> int:
    """How long to wait after so many failures in a row: nothing at first, then twice as long each time, never more than a quarter of
    an hour."""
    if failures < FREE_FAILURES:
        return 0
    return min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(failures - FREE_FAILURES, 16))


def _failed(tx: Transaction, row: RowMapping, known: bool) -> Attempt:
    if not known:
        failures = row["failures"] + 1
        _set(tx, row["name"], failures=failures, locked_until_ms=tx.now_ms + wait_after(failures))
    return Attempt(None, "login_failed")


def _nobody(sealer: Sealer) -> Mapping[Any, Any]:
    """What :func:`_match` takes for somebody who is not there."""
    return {"name": "", "totp": sealer.seal(_purpose(""), pyotp.random_base32().encode("ascii")), "totp_used": 0}


def _write_as_a_failure(tx: Transaction) -> None:
    """Change a page of the database and leave nothing, so that the commit takes as long as that of a failure that is counted."""
    row = {"id": f"nobody-{secrets.token_hex(8)}", "purpose": "", "target": "", "code": "", "created_ms": 0, "expires_ms": 0}
    tx.sql.execute(insert(tables.codes).values(**row))
    tx.sql.execute(delete(tables.codes).where(tables.codes.c.id == row["id"]))


def _match(row: Mapping[Any, Any], code: str, sealer: Sealer, now_ms: int) -> int | None:
    """The step of time that the code is for, if it is one around now and later than the last one used: each counts once."""
    given = code.replace(" ", "")
    now_step = now_ms // 1000 // CODE_STEP_S
    totp = _totp(row, sealer)
    for step in (now_step - 1, now_step, now_step + 1):
        if hmac.compare_digest(totp.at(step * CODE_STEP_S).encode(), given.encode()) and step > row["totp_used"]:
            return step
    return None


def _totp(row: Mapping[Any, Any], sealer: Sealer) -> pyotp.TOTP:
    return pyotp.TOTP(sealer.unseal(_purpose(row["name"]), row["totp"]).decode("ascii"), interval=CODE_STEP_S)


# ---------------------------------------------------------------------------------------------------------------------
# Parts


def _begin_enrolment(tx: Transaction, name: str, sealer: Sealer) -> str:
    secret = secrets.token_urlsafe(24)
    codes = tables.codes
    tx.sql.execute(delete(codes).where(codes.c.purpose == "staff", codes.c.target == f"staff:{name}"))
    tx.sql.execute(
        insert(codes).values(
            id=secrets.token_hex(10), purpose="staff", target=f"staff:{name}", code=_digest(secret), created_ms=tx.now_ms,
            expires_ms=tx.now_ms + ENROLMENT_MS,
        )
    )  # fmt: skip
    _set(tx, name, totp=sealer.seal(_purpose(name), pyotp.random_base32().encode("ascii")), totp_used=0)
    return secret


def _enrolment(connection: Connection, name: str, secret: str, now_ms: int) -> str:
    codes = tables.codes.c
    query = select(codes.id).where(
        codes.purpose == "staff", codes.target == f"staff:{name}", codes.code == _digest(secret), codes.used_ms == 0,
        codes.expires_ms > now_ms,
    )  # fmt: skip
    row = connection.execute(query).first()
    if row is None:
        raise Refusal("login_failed", "the link is wrong, used or too old")
    return str(row[0])


def _purpose(name: str) -> str:
    return f"totp:{name}"  # as Vault.rotate has it


def _digest(secret: str) -> str:
    """Of a secret of 192 random bits: it needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _roles(roles: tuple[str, ...]) -> str:
    unknown = [role for role in roles if role not in get_args(StaffRole)]
    if unknown or not roles:
        raise Refusal("bad_message", f"roles: of {', '.join(get_args(StaffRole))}")
    return " ".join(dict.fromkeys(roles))


def _change_other(tx: Transaction, name: str, actor: str) -> None:
    _must_be_there(tx.sql, name)
    if actor == f"staff:{name}":
        raise Refusal("second_person_required", "nobody changes their own rights")


def _keep_an_admin(tx: Transaction, name: str) -> None:
    others = [each for each in listed(tx.sql) if each.name != name and "admin" in each.roles and not each.disabled_ms]
    found = find(tx.sql, name)
    if found is not None and "admin" in found.roles and not others:
        raise Refusal("bad_step", "this is the last admin")


def _end_sessions(tx: Transaction, name: str) -> None:
    sessions.end_all(tx, f"staff:{name}")


def _set(tx: Transaction, name: str, **columns: object) -> None:
    tx.sql.execute(update(tables.staff).where(tables.staff.c.name == name).values(**columns))


def _row(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(select(tables.staff).where(tables.staff.c.name == name)).mappings().first()


def _must_be_there(connection: Connection, name: str) -> RowMapping:
    row = _row(connection, name)
    if row is None:
        raise Refusal("account_not_found", "no such member of staff")
    return row


def _member(row: RowMapping) -> Member:
    return Member(
        name=row["name"], roles=msgspec.convert(tuple(row["roles"].split()), tuple[StaffRole, ...]),
        enrolled=bool(row["password"]), created_ms=row["created_ms"], disabled_ms=row["disabled_ms"],
        locked_until_ms=row["locked_until_ms"],
    )  # fmt: skip
