"""Modes as the server keeps them: puts decisions into force, tells every room, ends terms, and answers raids.

A room's mode reaches its log as the effect of its decision (:mod:`server.moderation.effects`), and viewers from there. The mode of
the site is in force for what comes in as soon as it is decided, and viewers get the state then; the notices for the rooms' logs
follow, rooms with viewers first, under keys made of the decision, so that telling a room twice is telling it once. Which decision
all rooms were told of is kept, and the next start goes on from there.

No timer is kept: every :data:`PACE_S` the terms of rooms and site are compared with the clock, so a restart loses nothing. Until then
the stricter mode holds (:class:`server.core.modes.Term`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import structlog

from filters.rules import loads
from server.core.modes import Term, at_least
from server.core.raids import Raid
from server.errors import Refusal, StoreError
from server.moderation import modes, wording
from server.moderation.book import Decision, ReviewBook, effect_key
from server.moderation.effects import Effects
from server.moderation.modes import Wish
from server.settings import Settings
from server.store.base import Committed, Draft, NoticeDraft, Outcome, RoomInfo, RoomMode

PACE_S: Final = 0.25
TOGETHER: Final = 200
"""Rooms that are told at once of the site's mode."""
EMERGENCY_MAX_BYTES: Final = 65_536
RAIDS_SHOWN: Final = 50
RAID_SHOWN_MS: Final = 3_600_000
_PAUSE_S: Final = 1.0
_PROGRAM: Final[dict[str, Any]] = {"actor": "system", "role": "program", "automated": True}

log = structlog.get_logger("modes")


async def _no_rules(source: str | None, by: str) -> int:
    raise Refusal("bad_rules", "this process has no rules")


class Control(NamedTuple):
    """What modes are put into force by: all ``rooms``; of one its ``own`` mode and its ``viewers``; ``site`` takes the mode of the
    site and tells viewers; ``raids`` gives those noticed since the last call; ``overlay`` puts emergency terms beside the rules,
    ``terms`` is the text of those that are there; ``taken`` is the mode by which comments for a room are taken at the moment, the one
    that is on its way among them."""

    rooms: Callable[[], list[RoomInfo]] = list
    own: Callable[[str], Term] = lambda name: Term()
    viewers: Callable[[str], int] = lambda name: 0
    site: Callable[[Term], None] = lambda term: None
    raids: Callable[[], list[Raid]] = list
    overlay: Callable[[str | None, str], Awaitable[int]] = _no_rules
    terms: Callable[[], str] = str
    taken: Callable[[str], RoomMode] = lambda name: "open"


class Modes:
    """See the module's text. Belongs to the event loop. ``submit`` is the one path into the log."""

    def __init__(
        self,
        settings: Settings,
        book: ReviewBook,
        effects: Effects,
        submit: Callable[[Draft], Awaitable[Outcome]],
        room: Callable[[str], RoomInfo | None],
        clock_ms: Callable[[], int],
        control: Control,
    ) -> None:
        self._settings = settings
        self._book = book
        self._effects = effects
        self._submit = submit
        self._room = room
        self._clock_ms = clock_ms
        self._control = control
        self._telling: asyncio.Task[None] | None = None
        self._told = True  # False: a fault ended the telling, and it is to go on
        self._mended = False
        self._stopping = False
        self._raids: dict[str, Raid] = {}
        self.term = Term()
        """The mode of the site."""

    async def load(self) -> None:
        """The mode of the site is in force as it was decided last; before anybody is served. Raises StoreError."""
        self._use(await self._book.read(modes.site_term))

    def _use(self, term: Term) -> None:
        self.term = term
        self._control.site(term)

    def own(self, name: str) -> Term:
        """The room's own mode, whatever the site's is."""
        return self._control.own(name)

    # -- what staff, operators and owners do --------------------------------------------------------------------------

    async def set_room(
        self, name: str, wish: Wish, code: str, basis: str, *, actor: str, role: str, request: str = "", automated: bool = False
    ) -> tuple[Decision, Committed]:  # fmt: skip
        """Decide a room's mode, and wait until it is in force and the pages show it. Raises Refusal ``room_not_found``,
        ``not_yours`` (an uploader's request by somebody else), and as :func:`server.moderation.modes.set_room`."""
        room = self._room(name)
        if room is None:
            raise Refusal("room_not_found")
        if role == modes.UPLOADER and (not room.owner or room.owner != actor):
            raise Refusal("not_yours")
        by: dict[str, Any] = {"actor": actor, "role": role, "request": request, "automated": automated}
        decision = await self._write(lambda tx: modes.set_room(tx, room, wish, code, basis, **by))
        committed = await self._effects.settled(decision.id)
        self._raids.pop(name, None)
        return decision, committed

    async def set_site(
        self, wish: Wish, code: str, basis: str, *, actor: str, role: str, request: str = ""
    ) -> Decision:  # fmt: skip
        """Decide the mode of the site; it is in force when this returns, and rooms are being told. Raises Refusal as
        :func:`server.moderation.modes.set_site`."""
        decision = await self._write(lambda tx: modes.set_site(tx, wish, code, basis, actor=actor, role=role, request=request))
        await self._site_decided()
        return decision

    async def emergency(
        self, source: str, code: str, basis: str, *, actor: str, role: str, request: str = ""
    ) -> Decision:  # fmt: skip
        """Decide the emergency terms, and put them into force; an empty ``source`` takes them out. Raises Refusal ``bad_rules``,
        ``bad_code``, ``too_large``, ``storage_unavailable``."""
        if len(source.encode()) > EMERGENCY_MAX_BYTES:
            raise Refusal("too_large", f"emergency terms: at most {EMERGENCY_MAX_BYTES} bytes")
        terms = 0
        if source.strip():
            try:
                terms = await asyncio.to_thread(lambda: sum(len(rule.terms) for rule in loads(source, "emergency terms").rule))
            except ValueError as error:
                raise Refusal("bad_rules", str(error)) from error
            if not terms:
                raise Refusal("bad_rules", "emergency terms: there are none in it")
        decision = await self._write(
            lambda tx: modes.emergency(
                tx, source.strip() and source, terms, code, basis, actor=actor, role=role, request=request
            )
        )
        self._mended = False  # should the next step fail
        try:
            await self._mend_emergency()
        except StoreError as error:
            raise Refusal("storage_unavailable", "the review desk", retry_after_ms=1000) from error
        return decision

    async def _mend_emergency(self) -> None:
        """The terms of the newest decision are put into force, where they are not: after a decision, whoever's is the newest by then
        (a request that is repeated late brings nothing back), and after a crash or a fault that came in between."""
        while True:
            found = await self._book.read(lambda connection: modes.of_emergency(connection, 1))
            if not found or found[0].detail["source"] == self._control.terms():
                break
            await self._control.overlay(found[0].detail["source"] or None, found[0].actor)
        self._mended = True

    def raids(self) -> list[Raid]:
        """Raids that were noticed lately and not answered, the newest first: for each the shield is suggested."""
        since = self._clock_ms() - RAID_SHOWN_MS
        return sorted((raid for raid in self._raids.values() if raid.at_ms >= since), key=lambda raid: -raid.at_ms)

    async def _write(self, work: Callable[[Any], Decision]) -> Decision:
        try:
            return await self._book.write(work)
        except StoreError as error:
            raise Refusal("storage_unavailable", "the review desk", retry_after_ms=1000) from error

    # -- in the background --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled: end terms, go on telling rooms, answer raids."""
        self._tell()
        while True:
            await asyncio.sleep(PACE_S)
            try:
                await self.look()
                if not self._mended:
                    await self._mend_emergency()
            except (StoreError, Refusal) as error:
                log.warning("modes are not looked after", error=str(error))
                await asyncio.sleep(_PAUSE_S)
            except Exception:
                log.exception("looking after modes failed")
                await asyncio.sleep(_PAUSE_S)

    async def look(self) -> None:
        """Once: what is due now."""
        now_ms = self._clock_ms()
        if not self._told:
            self._tell()
        if self.term.over(now_ms):
            await self._write_any(modes.site_fall_back)
            await self._site_decided()
        for room in self._control.rooms():
            if self._control.own(room.name).over(now_ms):
                await self._write_any(lambda tx: modes.fall_back(tx, room))  # noqa: B023 # awaited here
        for raid in self._control.raids():
            await self._raided(raid._replace(at_ms=now_ms))

    async def _write_any(self, work: Callable[[Any], Decision | None]) -> None:
        decision = await self._book.write(work)
        if decision is not None:
            log.info("the term of a mode is over", what=decision.what, room=decision.room, mode=modes.mode_of(decision))

    async def _raided(self, raid: Raid) -> None:
        """A raid is suggested to staff; where the settings say so the room is shielded for a term, unless it is as strict already."""
        if len(self._raids) >= RAIDS_SHOWN:
            del self._raids[next(iter(self._raids))]
        self._raids[raid.room] = raid
        log.warning("a raid", room=raid.room, newcomers=raid.newcomers, authors=raid.authors, bad=raid.bad)
        minutes = self._settings.raid_shield_min
        room = self._room(raid.room)
        if not minutes or room is None or at_least(room.mode, "shield"):
            return
        wish = Wish(mode="shield", until_ms=raid.at_ms + minutes * 60_000)
        await self.set_room(raid.room, wish, "E1", wording.raided(raid), **_PROGRAM)

    async def _site_decided(self) -> None:
        """The newest decision on the site's mode is in force, whoever's it was."""
        self._use(await self._book.read(modes.site_term))
        self._tell()

    def _tell(self) -> None:
        if self._telling is None and not self._stopping:
            self._telling = asyncio.get_running_loop().create_task(self._tell_rooms())

    async def _tell_rooms(self) -> None:
        """Tell every room of the site's mode, until all know the newest one; what a fault ends goes on at the next look."""
        self._told = False
        try:
            while not self._stopping:
                decision = await self._book.read(modes.newest_site)
                if decision is None or await self._book.read(modes.told) >= decision.id:
                    self._told = True
                    return
                if await self._tell_all(decision):
                    newest = decision.id
                    await self._book.write(lambda tx: modes.all_told(tx, newest))  # noqa: B023 # awaited here
        except StoreError as error:
            log.error("rooms are not told of the mode of the site; it is in force all the same", error=str(error))
        except Exception:
            log.exception("telling rooms of the mode of the site failed")
        finally:
            self._telling = None

    async def _tell_all(self, decision: Decision) -> bool:
        """Whether all rooms were told; False: there is a newer decision, or the log takes nothing at the moment."""
        names = sorted((room.name for room in self._control.rooms()), key=lambda name: (-self._control.viewers(name), name))
        for start in range(0, len(names), TOGETHER):
            if self._stopping or (start and (await self._book.read(modes.newest_site)) != decision):
                return False
            part = [self._submit(_notice(decision, name)) for name in names[start : start + TOGETHER]]
            for outcome in await asyncio.gather(*part, return_exceptions=True):
                if isinstance(outcome, Refusal) and outcome.code.temporary:
                    await asyncio.sleep(_PAUSE_S)
                    return False
                if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
                    raise outcome
        return True

    async def settle(self) -> None:
        """Wait until all rooms were told; for commands and tests."""
        while self._telling is not None:
            await asyncio.wait([self._telling])

    async def drain(self) -> None:
        """End telling rooms; the next start goes on."""
        self._stopping = True
        if self._telling is not None:
            await asyncio.wait([self._telling])


def _notice(decision: Decision, room: str) -> NoticeDraft:
    return NoticeDraft(
        room=room, author=decision.actor, key=f"{effect_key(decision.id)} {room}", at_ms=decision.at_ms, notice="site_mode",
        room_mode=modes.mode_of(decision), code=decision.code, basis=decision.basis, role=decision.role, until_ms=decision.until_ms,
    )  # fmt: skip
