"""Rooms and people of a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.arena import Arena
from loadtest.scenarios.stall import STALLED
from loadtest.spec import BadScenario, Phase, Rooms
from loadtest.texts import made_up, various
from tests.loadtest.scenario_files import play, small
from tests.loadtest.support import secret_file
from tests.support.fake_barrage import FakeBarrage, Faults


def test_people(tmp_path: Path) -> None:
    """Senders and raiders come first and have books of their own, slow readers last; each name and index is its own."""
    rooms = [Rooms(name="a", viewers=10, senders=3, raiders=2), Rooms(name="b", count=2, viewers=2, senders=1)]
    phases = [Phase(name="all", seconds=1, rate=1, raid_per_s=1, slow_share=0.3)]
    arena = Arena(small(phases, rooms=rooms), "http://127.0.0.1:1", token_secret_file=secret_file(tmp_path))
    first = arena.rooms[0]
    assert [room.site.room for room in arena.rooms] == ["a", "b-1", "b-2"]
    assert (len(first.senders), len(first.raiders), len(first.readers), len(first.slow)) == (3, 2, 5, 3)
    assert all(person.ledger is first.ledger for person in first.senders)
    assert all(person.ledger is first.raid for person in first.raiders)
    assert [person.group == STALLED for person in first.people] == [False] * 7 + [True] * 3
    everybody = [person for room in arena.rooms for person in room.people]
    assert len({person.name for person in everybody}) == len({person.index for person in everybody}) == 14
    assert arena.people == []
    assert arena.next_key() != arena.next_key()
    assert next(arena.texts) == next(various()), "many rooms say different things"
    assert next(Arena(small(), arena.origin, token_secret_file=secret_file(tmp_path)).texts) == next(made_up())


def test_texts_of_a_file(tmp_path: Path) -> None:
    """A scenario may bring its comments."""
    (tmp_path / "texts.txt").write_text("主队加油\n")
    scenario = small(texts=str(tmp_path / "texts.txt"))
    assert next(Arena(scenario, "http://127.0.0.1:1", token_secret_file=secret_file(tmp_path)).texts) == "主队加油"


async def test_takedowns_need_an_operator(tmp_path: Path) -> None:
    """Without the operator's key a scenario with takedowns cannot be played, and says what to give."""
    scenario = small([Phase(name="all", seconds=1, rate=1, takedowns_per_s=1)])
    with pytest.raises(BadScenario, match="--operator-key-file"):
        Arena(scenario, "http://127.0.0.1:1", token_secret_file=secret_file(tmp_path))
    with pytest.raises(BadScenario, match="cannot be read"):
        Arena(scenario, "http://127.0.0.1:1", token_secret_file=secret_file(tmp_path), operator_key=tmp_path)


async def test_people_who_cannot_enter(tmp_path: Path) -> None:
    """A server that lets nobody in ends the run with its reason."""
    async with FakeBarrage(Faults(closing=True)) as server:
        with pytest.raises(OSError, match="before the join"):
            await play(small(), server.url, tmp_path)
