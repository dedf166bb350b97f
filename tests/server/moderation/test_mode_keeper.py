"""server/moderation/modes.py and mode_keeper.py: decisions on modes, and how they come into force."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from filters.importers import to_toml
from server.core.modes import Term
from server.core.raids import Raid
from server.errors import Refusal, StoreUnavailable
from server.moderation import modes
from server.moderation.book import ReviewBook
from server.moderation.effects import Effects
from server.moderation.mode_keeper import Control, Modes
from server.moderation.modes import Wish
from server.settings import Settings
from server.store.base import Draft, Outcome, RoomInfo
from server.store.memory import MemoryStore
from tests.support import review
from tests.support.accounts import Clock
from tests.support.review import BOSS
from tests.support.waiting import eventually

OWNER: dict[str, Any] = {"actor": "ann", "role": "uploader"}
MINUTE_MS = 60_000
RULES = to_toml(["词一", "词二"], "e", "e", "e", "e")


class Bench:
    """The keeper over a store in memory, with a clock set by hand."""

    def __init__(self, desk: ReviewBook, clock: Clock, **settings: Any) -> None:
        self.desk = desk
        self.clock = clock
        self.store = MemoryStore()
        for name in ("a", "b"):
            self.store.create_room(name, name, "live", 1, owner="ann")
        self.site = Term()
        self.raids: list[Raid] = []
        self.terms = ""
        self.overlays: list[tuple[str | None, str]] = []
        self.fault: Refusal | None = None
        self.keeper = self.again(**settings)

    def again(self, **settings: Any) -> Modes:
        """As after a restart."""
        self.effects = Effects(self.desk, self.submit)
        control = Control(
            self.store.rooms, self.own, lambda name: 5 * (name == "b"), self.take_site, self.take_raids, self.overlay,
            lambda: self.terms,
        )  # fmt: skip
        self.keeper = Modes(
            msgspec.structs.replace(Settings(), **settings),
            self.desk,
            self.effects,
            self.submit,
            self.room,
            self.clock,
            control,
        )
        return self.keeper

    async def submit(self, draft: Draft) -> Outcome:
        if self.fault is not None:
            raise self.fault
        return self.store.append([draft])[0]

    def room(self, name: str) -> RoomInfo | None:
        return next((room for room in self.store.rooms() if room.name == name), None)

    def own(self, name: str) -> Term:
        room = self.room(name)
        assert room is not None
        return Term(room.mode, room.until_ms, room.standing)

    def take_site(self, term: Term) -> None:
        self.site = term

    def take_raids(self) -> list[Raid]:
        found, self.raids = self.raids, []
        return found

    async def overlay(self, source: str | None, by: str) -> int:
        self.overlays.append((source, by))
        self.terms = source or ""
        return 0

    def told(self, room: str = "a") -> list[tuple[str, str, str, str]]:
        """The notices of a room's log."""
        return [(event.notice, event.room_mode, event.code, event.role) for event in self.store.read(room, 0, 99)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = Clock()
    with review.book(tmp_path, clock) as desk:
        found = Bench(desk, clock)
        yield found
        found.fault = None
        await found.keeper.drain()
        await found.effects.drain()


async def refused(work: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value.code.name


async def test_a_mode_is_a_decision_and_a_notice(bench: Bench) -> None:
    """Both have code, basis and role; a retry of a request decides nothing anew."""
    wish = Wish(mode="slow", slow_ms=30_000)
    decision, done = await bench.keeper.set_room("a", wish, "E1", " flood ", request="k", **BOSS)
    again, same = await bench.keeper.set_room("a", wish, "E1", " flood ", request="k", **BOSS)
    assert (again.id, same.event.seq, same.fresh) == (decision.id, done.event.seq, False)
    assert (decision.what, decision.room, decision.code, decision.basis) == ("mode", "a", "E1", "flood")
    assert bench.told() == [("mode", "slow", "E1", "senior")]
    assert (bench.own("a"), done.event.slow_ms) == (("slow", 0, "slow"), 30_000)
    assert await refused(bench.keeper.set_room("nowhere", wish, "E1", "x", **BOSS)) == "room_not_found"
    assert await refused(bench.keeper.set_room("a", wish, "S1", "x", **BOSS)) == "bad_code"
    for wrong in (Wish(mode="open", until_ms=1), Wish(mode="open", until_ms=10**15), Wish(mode="slow", slow_ms=10**9)):
        assert await refused(bench.keeper.set_room("a", wrong, "E1", "x", **BOSS)) == "bad_message"
    assert len(review.decisions(bench.desk)) == 1


async def test_a_term_ends_by_itself_also_over_a_restart(bench: Bench) -> None:
    """When it is over the standing mode is decided by the system, and told, once; a server that was down does it when it starts."""
    await bench.keeper.set_room("a", Wish(mode="slow"), "E4", "x", **BOSS)
    until_ms = bench.clock() + 30 * MINUTE_MS
    shielded, _ = await bench.keeper.set_room("a", Wish(mode="shield", until_ms=until_ms), "E1", "raid", **BOSS)
    bench.clock.now_ms += 30 * MINUTE_MS - 1
    await bench.keeper.look()
    assert bench.own("a") == ("shield", until_ms, "slow")
    bench.clock.now_ms += 1
    bench.again()
    for _ in range(3):
        await bench.keeper.look()
    newest = bench.desk.read_now(lambda c: modes.newest_of(c, "a"))
    assert newest is not None
    await bench.effects.settled(newest.id)
    await bench.keeper.look()
    assert bench.own("a") == ("slow", 0, "slow")
    assert bench.told()[-1] == ("mode", "slow", "E5", "system")
    assert (newest.reverses, newest.automated, len(review.decisions(bench.desk))) == (shielded.id, True, 3)


async def test_a_term_that_no_decision_knows_of_ends_as_well(bench: Bench) -> None:
    """The log has a term, the book was lost: the standing mode is decided anew."""
    from tests.support.drafts import room_mode

    bench.store.append([room_mode("closed", until_ms=bench.clock() + 5)])
    bench.clock.now_ms += 5
    await bench.keeper.look()
    newest = bench.desk.read_now(lambda c: modes.newest_of(c, "a"))
    assert newest is not None
    await bench.effects.settled(newest.id)
    assert bench.own("a") == ("open", 0, "open")


async def test_the_owner_sets_what_staff_leave_open(bench: Bench) -> None:
    """As strict as staff's mode or stricter, in the owner's own rooms alone; what the system or the owner set is no bound."""
    keeper = bench.keeper
    assert await refused(keeper.set_room("a", Wish(mode="slow"), "E1", "x", actor="eve", role="uploader")) == "not_yours"
    await keeper.set_room("a", Wish(mode="closed"), "E4", "night", **OWNER)
    await keeper.set_room("a", Wish(mode="open"), "E5", "day", **OWNER)
    await keeper.set_room("a", Wish(mode="slow"), "E1", "flood", **BOSS)
    assert await refused(keeper.set_room("a", Wish(mode="open"), "E5", "x", **OWNER)) == "forbidden"
    await keeper.set_room("a", Wish(mode="review", until_ms=bench.clock() + MINUTE_MS), "E1", "raid", **BOSS)
    assert await refused(keeper.set_room("a", Wish(mode="shield"), "E5", "x", **OWNER)) == "forbidden"
    await keeper.set_room("a", Wish(mode="read_only"), "E4", "x", **OWNER)
    bench.clock.now_ms += MINUTE_MS
    await keeper.set_room("a", Wish(mode="slow"), "E5", "x", **OWNER)
    await keeper.set_room("a", Wish(mode="open"), "E5", "x", **BOSS)
    await keeper.set_room("a", Wish(mode="open"), "E5", "x", **OWNER)
    assert [mode for _, mode, _, _ in bench.told()] == ["closed", "open", "slow", "review", "read_only", "slow", "open", "open"]


async def test_a_shorter_term_of_the_owner_does_not_end_that_of_staff(bench: Bench) -> None:
    """Staff protect the room for an hour, the owner for ten minutes: then it is as staff have set it, to the end of the hour."""
    hour_ms = bench.clock() + 60 * MINUTE_MS
    await bench.keeper.set_room("a", Wish(mode="shield", until_ms=hour_ms), "E1", "raid", **BOSS)
    await bench.keeper.set_room("a", Wish(mode="review", until_ms=bench.clock() + 10 * MINUTE_MS), "E1", "raid", **OWNER)
    for expected in (("shield", hour_ms, "open"), ("open", 0, "open")):
        bench.clock.now_ms = bench.own("a").until_ms
        await bench.keeper.look()
        newest = bench.desk.read_now(lambda c: modes.newest_of(c, "a"))
        assert newest is not None
        await bench.effects.settled(newest.id)
        assert bench.own("a") == expected


async def test_the_mode_of_the_site_is_told_in_every_room(bench: Bench) -> None:
    """It is in force at once, rooms with viewers are told first, and its term ends by itself; a start finds the newest one."""
    decision = await bench.keeper.set_site(Wish(mode="review", until_ms=bench.clock() + MINUTE_MS), "E2", "order", **BOSS)
    assert bench.site == ("review", bench.clock() + MINUTE_MS, "open")
    await bench.keeper.settle()
    assert bench.told("a") == bench.told("b") == [("site_mode", "review", "E2", "senior")]
    assert bench.desk.read_now(modes.told) == decision.id
    bench.site = Term()
    await bench.again().load()
    assert bench.site.mode == "review"
    bench.clock.now_ms += MINUTE_MS
    await bench.keeper.look()
    await bench.keeper.look()
    await bench.keeper.settle()
    assert bench.site == ("open", 0, "open")
    assert bench.told("a")[1:] == [("site_mode", "open", "E5", "system")]
    assert await refused(bench.keeper.set_site(Wish(mode="open"), "L1", "x", **BOSS)) == "bad_code"


async def test_rooms_that_could_not_be_told_are_told_by_the_next_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log takes nothing: the mode is in force all the same; after a restart every room is told once."""
    monkeypatch.setattr("server.moderation.mode_keeper._PAUSE_S", 0.0)
    bench.fault = Refusal("storage_unavailable")
    await bench.keeper.set_site(Wish(mode="closed"), "E2", "order", **BOSS)
    assert bench.site.mode == "closed"
    await bench.keeper.drain()
    assert bench.told() == []
    bench.fault = None
    keeper = bench.again()
    keeper._tell()
    await keeper.settle()
    keeper._tell()
    await keeper.settle()
    assert bench.told("a") == bench.told("b") == [("site_mode", "closed", "E2", "senior")]


async def test_emergency_terms_are_decided_and_mended(bench: Bench) -> None:
    """They come into force with their decision; when a crash came between, the next start puts them into force. A request that is
    repeated after a later decision brings nothing back."""
    decision = await bench.keeper.emergency(RULES, "E2", "order", request="k", **BOSS)
    assert (await bench.keeper.emergency(RULES, "E2", "order", request="k", **BOSS)).id == decision.id
    assert (decision.detail["terms"], bench.overlays) == (2, [(RULES, "staff:boss")])
    for source, code in (
        ("format = 2", "bad_rules"),
        ("#" * 70_000, "too_large"),
        (to_toml([], "e", "e", "e", "e"), "bad_rules"),
    ):
        assert await refused(bench.keeper.emergency(source, "E2", "x", **BOSS)) == code
    assert await refused(bench.keeper.emergency(RULES, "K1", "x", **BOSS)) == "bad_code"
    bench.terms = ""
    await bench.keeper._mend_emergency()
    assert bench.overlays[-1] == (RULES, "staff:boss")
    await bench.keeper._mend_emergency()
    await bench.keeper.emergency(" ", "E5", "over", **BOSS)
    assert bench.overlays[1:] == [(RULES, "staff:boss"), (None, "staff:boss")]
    assert (await bench.keeper.emergency(RULES, "E2", "order", request="k", **BOSS)).id == decision.id
    assert bench.terms == ""
    assert await refused(bench.keeper.set_site(Wish(mode="open"), "E5", "x", request="k", **BOSS)) == "key_reused"


async def test_what_a_fault_left_of_a_decision_is_done_at_the_next_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Emergency terms that could not be put into force, and rooms that could not be told since the book could not be read."""
    monkeypatch.setattr("server.moderation.mode_keeper.PACE_S", 0.001)
    overlay, read, faults = bench.overlay, bench.desk.read, [1]

    async def failing(source: str | None, by: str) -> int:
        raise Refusal("storage_unavailable")

    async def unreadable(work: Any) -> Any:
        if faults and work is modes.told:
            faults.clear()
            raise StoreUnavailable("disk")
        return await read(work)

    bench.keeper._control = bench.keeper._control._replace(overlay=failing)
    monkeypatch.setattr(bench.desk, "read", unreadable)
    assert await refused(bench.keeper.emergency(RULES, "E2", "order", **BOSS)) == "storage_unavailable"
    await bench.keeper.set_site(Wish(mode="review"), "E2", "order", **BOSS)
    await bench.keeper.settle()
    assert (bench.terms, bench.told()) == ("", [])
    bench.keeper._control = bench.keeper._control._replace(overlay=overlay)
    running = asyncio.ensure_future(bench.keeper.run())
    await eventually(lambda: bench.terms and bench.told("a") and bench.told("b"))
    running.cancel()
    assert (bench.terms, bench.told()) == (RULES, [("site_mode", "review", "E2", "senior")])


async def test_a_raid_is_suggested_or_answered_by_the_program(bench: Bench) -> None:
    """Without the setting it is told to staff for an hour; with it the room is shielded for a term, unless it is as strict."""
    bench.raids = [Raid("a", 0, 80, 90, 0.5), Raid("gone", 0, 80, 90, 0.5)]
    await bench.keeper.look()
    assert [raid.room for raid in bench.keeper.raids()] == ["a", "gone"]
    assert bench.told() == []
    bench.clock.now_ms += 61 * MINUTE_MS
    assert bench.keeper.raids() == []
    bench.again(raid_shield_min=20)
    bench.raids = [Raid("a", 0, 80, 90, 0.5), Raid("gone", 0, 80, 90, 0.5)]
    await bench.keeper.look()
    assert bench.own("a") == ("shield", bench.clock() + 20 * MINUTE_MS, "open")
    assert bench.told() == [("mode", "shield", "E1", "program")]
    bench.raids = [Raid("a", 0, 80, 90, 0.5)]
    await bench.keeper.look()
    assert len(bench.told()) == 1
