"""The desk's book: ``review.db``, its decision log, and the transactions of its parts.

Parts of the desk are plain functions over a :class:`Transaction`; they know no loop and no thread. A decision and what it does in a
room's log are written together (:meth:`Transaction.decide`, :meth:`Transaction.effect`); the effect is carried out after the commit
(:mod:`server.moderation.effects`), and again at the next start when a crash came between.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select

from server.errors import StoreUnavailable
from server.moderation import tables
from server.reasons import check_judgement, check_keeping, check_operation, check_removal, check_restoration
from server.store.base import APPROVED, CommentDraft, NoticeDraft, RemovalDraft, RestorationDraft
from server.store.embedded import Embedded

_T = TypeVar("_T")

SCRIPTS: Final = Path(__file__).parent / "migrations"

What = Literal[
    "publish", "refuse", "keep", "remove", "restore", "mode", "site_mode", "emergency", "announce", "confirm", "differ", "warn",
    "record", "undo",
]  # fmt: skip
"""What a decision does: publish or refuse a held comment; keep (a reported comment stays), remove, restore a comment; set the
mode of a room or of the site, emergency terms, an announcement; confirm or differ from a decision in a second review; warn of a
swarm; record any other act of staff that needs a reason (cases, inspections, features: its ``detail`` says which); undo a
decision that did nothing in a room's log, so that its item waits again."""

_CHECKS: Final[dict[What, Callable[[str, str], None]]] = {
    "publish": check_keeping, "keep": check_keeping, "confirm": check_judgement, "refuse": check_removal, "remove": check_removal,
    "differ": check_judgement, "warn": check_removal, "restore": check_restoration, "mode": check_operation,
    "site_mode": check_operation, "emergency": check_operation, "announce": check_operation, "record": check_operation,
    "undo": check_restoration,
}  # fmt: skip

Effect = CommentDraft | RemovalDraft | RestorationDraft | NoticeDraft


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the decision log; columns as in :data:`server.moderation.tables.decisions`. ``detail`` is a JSON object."""

    id: int
    at_ms: int
    actor: str
    role: str
    automated: bool
    what: What
    code: str
    basis: str
    rule: str = ""
    room: str = ""
    seq: int = 0
    item: int = 0
    account: str = ""
    reverses: int = 0
    until_ms: int = 0
    request: str = ""
    detail: dict[str, Any] = {}


class Transaction:
    """One transaction in the writer's thread. ``now_ms`` is Unix time, the same throughout; ``decided`` what it decided."""

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self.sql: Final = connection
        self.now_ms: Final = now_ms
        self.decided: list[Decision] = []

    def decide(self, what: What, code: str, basis: str, *, actor: str, role: str, **about: Any) -> Decision:
        """Append to the decision log; ``about`` are further fields of :class:`Decision`. Raises Refusal ``bad_code`` when code or
        basis are not those of such a decision."""
        _CHECKS[what](code, basis)
        detail = about.pop("detail", {})
        row = {
            "at_ms": self.now_ms, "actor": actor, "role": role, "what": what, "code": code, "basis": basis, **about,
            "detail": msgspec.json.encode(detail),
        }  # fmt: skip
        found = self.sql.execute(insert(tables.decisions).values(**row)).inserted_primary_key
        assert found is not None
        known = {**row, "automated": bool(about.get("automated")), "detail": detail}
        decision = Decision(id=int(found[0]), **known)
        self.decided.append(decision)
        return decision

    def effect(self, decision: Decision, draft: Effect) -> None:
        """What the decision does in a room's log. Its ``key`` must be :func:`effect_key` of the decision."""
        assert draft.key == effect_key(decision.id)
        kind = {CommentDraft: "publish", RemovalDraft: "remove", RestorationDraft: "restore", NoticeDraft: "notice"}[
            type(draft)
        ]
        row = {"decision": decision.id, "kind": kind, "draft": msgspec.json.encode(draft)}
        self.sql.execute(insert(tables.effects).values(**row))

    def log_view(self, actor: str, role: str, action: str, subject: str = "", case_number: str = "", detail: str = "") -> None:
        """Record who looked at what."""
        row = {
            "at_ms": self.now_ms, "actor": actor, "role": role, "action": action, "subject": subject,
            "case_number": case_number, "detail": detail,
        }  # fmt: skip
        self.sql.execute(insert(tables.views).values(**row))


def effect_key(decision: int) -> str:
    """The key of what a decision does: no client's key has a space."""
    return f"{APPROVED}{decision}"


class ReviewBook:
    """The book, opened. Methods that are coroutines are called on the event loop; ``*_now`` ones from a command without a loop."""

    def __init__(self, path: Path, clock_ms: Callable[[], int]) -> None:
        """``path`` is the database file, made when missing; ``clock_ms`` gives Unix time. Raises ConfigError, StoreUnavailable."""
        self._file = Embedded(path, "review", tables.REVISION, SCRIPTS)
        self._clock_ms = clock_ms
        self._listeners: list[Callable[[list[Decision]], None]] = []

    @property
    def trouble(self) -> str:
        """Why the last transaction or reading failed, for the operator; empty: it did not."""
        return self._file.trouble

    def listen(self, listener: Callable[[list[Decision]], None]) -> None:
        """Have ``listener`` called on the loop after each commit, with what was decided (often nothing). It must not raise."""
        self._listeners.append(listener)

    async def write(self, work: Callable[[Transaction], _T]) -> _T:
        """Run ``work`` as one durable transaction in the writer's thread; what it raises undoes all of it and is raised here.

        A caller that is cancelled meanwhile does not undo it. Raises StoreUnavailable, StoreUnknown.
        """
        return await self._file.write(lambda connection: self._transact(connection, work), self._tell)

    def write_now(self, work: Callable[[Transaction], _T]) -> _T:
        """As :meth:`write`, in the caller's thread, where no loop runs; no listener is called."""
        return self._file.write_now(lambda connection: self._transact(connection, work))[0]

    def _transact(self, connection: Connection, work: Callable[[Transaction], _T]) -> tuple[_T, list[Decision]]:
        tx = Transaction(connection, self._clock_ms())
        return work(tx), tx.decided

    def _tell(self, written: tuple[_T, list[Decision]]) -> _T:
        result, decided = written
        for listener in self._listeners:
            listener(decided)
        return result

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run ``work`` on a connection that cannot write, in a reader's thread. Raises StoreUnavailable."""
        return await self._file.read(work)

    def read_now(self, work: Callable[[Connection], _T]) -> _T:
        """As :meth:`read`, in the caller's thread."""
        return self._file.read_now(work)

    async def drain(self) -> None:
        """Wait for transactions under way."""
        await self._file.drain()

    def close(self) -> None:
        """Release threads and the file; idempotent."""
        self._file.close()


def find_decision(connection: Connection, decision: int) -> Decision | None:
    """A line of the decision log."""
    row = connection.execute(select(tables.decisions).where(tables.decisions.c.id == decision)).mappings().first()
    return decision_of(row) if row is not None else None


def decision_of(row: RowMapping) -> Decision:
    """A decision from its row. Raises StoreUnavailable for one that is damaged."""
    try:
        detail = msgspec.json.decode(row["detail"])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreUnavailable(
            f"review.db: decision {row['id']} cannot be read ({error}): put the last backup in its place"
        ) from error
    return Decision(**{**row, "automated": bool(row["automated"]), "detail": detail})
