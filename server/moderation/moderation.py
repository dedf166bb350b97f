"""The review desk as the server runs it: the book, and the parts that lie over it, each an attribute.

The composition root makes one :class:`Moderation` for the life of the process. Routes reach it as ``services(request).moderation``;
commands without a server get it through the same composition root, where only what is asked for runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from filters.swarm import Swarm
from server.accounts.people import People
from server.errors import Refusal, StoreError
from server.moderation import authorities, deciding
from server.moderation.aftermath import Aftermath
from server.moderation.book import Decision, Effect, ReviewBook, Transaction
from server.moderation.effects import Effects
from server.moderation.feature_watch import FeatureWatch
from server.moderation.inspecting import Inspections
from server.moderation.intake import Intake, Log
from server.moderation.mode_keeper import Control, Modes
from server.moderation.outbox_runner import Outbox
from server.moderation.publication import Publication
from server.moderation.retention import Retention
from server.moderation.scoped import Sources
from server.moderation.second_review import SecondReview
from server.moderation.swarm_watch import SwarmWatch
from server.moderation.team_watch import TeamWatch
from server.settings import Settings
from server.signing import KEY_FILE, SigningKey
from server.store.base import CommentDraft, Committed, Draft, NoticeDraft, Outcome, RoomInfo
from server.store.found import Found, Hit, Search
from server.store.tallies import Tally
from server.wire import Event

_T = TypeVar("_T")

HELD_DUE_MS: Final = 10 * 60_000
"""A held comment is to be decided within this time (a report: `report_answer_h`); what waits longer is overdue."""
_HOUR_MS: Final = 3_600_000


class Moderation:
    """The parts, built in the order in which they need each other. Belongs to the event loop.

    Whoever adds a part builds it in :meth:`__init__`, lets it run in :meth:`run`, and ends it in :meth:`drain` and :meth:`close`.
    ``records`` is the room log, ``read`` runs a call of it in a reader's thread, ``submit`` is the one path into it, ``room``
    gives a room as it is now, ``viewers`` how many look at it; ``swarm`` is the screening's memory of who says what, ``began_ms``
    when the first room was made (0: there is none); ``control`` is what modes are put into force by.
    """

    def __init__(
        self,
        settings: Settings,
        people: People,
        book: ReviewBook,
        records: Log,
        *,
        read: Callable[[Callable[[], Any]], Awaitable[Any]],
        submit: Callable[[Draft], Awaitable[Outcome]],
        room: Callable[[str], RoomInfo | None],
        viewers: Callable[[str], int],
        clock_ms: Callable[[], int],
        swarm: Callable[[], Swarm],
        began_ms: Callable[[], int],
        control: Control = Control(),  # noqa: B008 # immutable
    ) -> None:
        self.settings: Final = settings
        self.people: Final = people
        self.book: Final = book
        self.clock_ms: Final = clock_ms
        self._log = records
        self._read = read
        self._room = room
        self._taken = control.taken
        self.effects: Final = Effects(book, submit, self._held_back)
        self.aftermath: Final = Aftermath(book, people.book, records, read)
        self.intake: Final = Intake(
            book, records, read=read, reach=viewers, weight=self._weight, held_due_ms=HELD_DUE_MS,
            report_due_ms=settings.report_answer_h * _HOUR_MS,
        )  # fmt: skip
        self.modes: Final = Modes(settings, book, self.effects, submit, room, clock_ms, control)
        self.swarms: Final = SwarmWatch(book, swarm)
        self.second: Final = SecondReview(settings, book, self._text, clock_ms)
        self.publication: Final = Publication(settings, book, self._tally, began_ms, clock_ms)
        self.retention: Final = Retention(settings, book, people.book, clock_ms)
        self.team: Final = TeamWatch(settings, book, clock_ms)
        self.features: Final = FeatureWatch(settings, book, clock_ms)
        named = authorities.load(settings.authorities_file)
        self.outbox: Final = Outbox(book, people.vault, named, settings.public_url, clock_ms, self._said)
        data_dir, site = people.settings.data_dir, settings.public_url or settings.site_name
        sources = Sources(records, people.book, book)
        self.inspections: Final = Inspections(sources, SigningKey.open(data_dir / KEY_FILE), data_dir, site)

    @staticmethod
    def open_book(settings: Settings, clock_ms: Callable[[], int]) -> ReviewBook:
        """``review.db`` of the data folder, made when missing. Raises ConfigError, StoreUnavailable."""
        return ReviewBook(settings.data_dir / "review.db", clock_ms)

    @property
    def trouble(self) -> str:
        """Why the desk cannot work at the moment, for the operator; empty: it can. Comments are not held up by it; those of
        rooms that are reviewed first wait."""
        return self.book.trouble

    def start(self) -> None:
        """Do, in the background, what a crash left: effects, what was recorded meanwhile, what decisions mean. The rooms are
        loaded."""
        self.effects.start()
        self.aftermath.start()
        self.intake.arrived()

    async def run(self) -> None:
        """Until cancelled: the loops of all parts."""
        await asyncio.gather(
            self.intake.run(), self.modes.run(), self.swarms.run(), self.second.run(), self.outbox.run(), self.team.run(),
            self.features.run(),
        )  # fmt: skip

    async def drain(self) -> None:
        """End all work; what is open stands in the books. Called while the log still takes drafts."""
        await self.intake.drain()
        await self.modes.drain()
        await self.aftermath.drain()
        await self.effects.drain()
        await self.outbox.aclose()
        await self.book.drain()

    def close(self) -> None:
        """Release threads and files; idempotent."""
        self.inspections.close()
        self.book.close()

    # -- the log tells ------------------------------------------------------------------------------------------------

    def recorded(self) -> None:
        """A held comment or a report was recorded. Called after each such commit."""
        self.intake.arrived()

    def decided(self, room: str, event: Event) -> None:
        """A removal or restoration was committed. Called for each of them, in the order of the room's log."""
        self.intake.decided(room, event)

    def mode_changed(self) -> None:
        """A room may take comments again that were held back."""
        self.effects.wake()

    # -- what staff and operators do ----------------------------------------------------------------------------------

    async def write(self, work: Callable[[Transaction], _T]) -> _T:
        """One transaction over the book. Raises Refusal ``storage_unavailable``, and what the work raises."""
        try:
            return await self.book.write(work)
        except StoreError as error:
            raise Refusal("storage_unavailable", "the review desk", retry_after_ms=1000) from error

    async def look(self, work: Callable[[Connection], _T]) -> _T:
        """Read from the book. Raises Refusal ``storage_unavailable``, and what the work raises."""
        try:
            return await self.book.read(work)
        except StoreError as error:
            raise Refusal("storage_unavailable", "the review desk", retry_after_ms=1000) from error

    async def remove(
        self, room: str, seq: int, code: str, basis: str, *, actor: str, role: str, request: str = ""
    ) -> tuple[Decision, Committed]:  # fmt: skip
        """Decide that a comment is removed, and wait until the pages show it. Raises Refusal ``room_not_found``,
        ``comment_not_found``, ``already_removed``, ``bad_code``, ``key_reused``, and temporary ones: then it is decided, and
        will be done."""
        account = await self._comment(room, seq, False, actor, request)
        decision = await self.write(
            lambda tx: deciding.remove(tx, room, seq, account, code, basis, actor=actor, role=role, request=request)
        )
        return decision, await self.effects.settled(decision.id)

    async def restore(
        self, room: str, seq: int, code: str, basis: str, *, actor: str, role: str, request: str = ""
    ) -> tuple[Decision, Committed]:  # fmt: skip
        """As :meth:`remove`: decide that a removed comment is restored. Raises Refusal ``not_removed`` instead."""
        account = await self._comment(room, seq, True, actor, request)
        decision = await self.write(
            lambda tx: deciding.restore(tx, room, seq, account, code, basis, actor=actor, role=role, request=request)
        )
        return decision, await self.effects.settled(decision.id)

    async def announce(
        self, draft: NoticeDraft, code: str, basis: str, *, actor: str, role: str, request: str = ""
    ) -> tuple[Decision, Committed]:  # fmt: skip
        """Decide that a room is told something, and wait until the pages show it. Raises Refusal as :meth:`remove`."""
        decision = await self.write(
            lambda tx: deciding.notice(tx, "announce", draft, code, basis, actor=actor, role=role, request=request)
        )
        return decision, await self.effects.settled(decision.id)

    async def _comment(self, room: str, seq: int, removed: bool, actor: str, request: str) -> str:
        """The account behind a comment that is as it must be for the decision, so that nothing is decided that cannot be. A request
        that was made before is let through: its first answer stands."""
        if self._room(room) is None:
            raise Refusal("room_not_found")
        events: list[Event] = await self._read(lambda: self._log.read(room, seq - 1, 1))
        if not events or events[0].kind != "comment":
            raise Refusal("comment_not_found")
        if bool(events[0].removed_by) != removed:
            before = await self.look(lambda connection: deciding.requested(connection, actor, request))
            if before is None:
                raise Refusal("not_removed" if removed else "already_removed")
        account: str = await self._read(lambda: self._log.author(room, seq))
        return account

    async def _text(self, room: str, seq: int) -> str:
        """The text of a comment, also of a removed one; empty: it is gone."""
        said = await self._said(room, seq)
        return said.text if said is not None else ""

    async def _said(self, room: str, seq: int) -> Hit | None:
        """A comment, also a removed one. None: there is none of this number."""
        found: Found = await self._read(lambda: self._log.search(Search(room=room, before=seq + 1), 1))
        return found.hits[0] if found.hits and found.hits[0].seq == seq else None

    async def _tally(self, since_ms: int, until_ms: int) -> list[Tally]:
        counted: list[Tally] = await self._read(lambda: self._log.tally(since_ms, until_ms))
        return counted

    async def _weight(self, account: str) -> float:
        return (await self.people.standing(account)).report_weight

    def _held_back(self, draft: Effect) -> bool:
        """A comment that was approved waits while its room is closed, and from the moment its closing is on the way."""
        found = self._room(draft.room) if isinstance(draft, CommentDraft) else None
        return found is not None and "closed" in (found.mode, self._taken(found.name))
