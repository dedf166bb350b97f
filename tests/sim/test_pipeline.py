"""The pipeline from draft to page and viewer, under everything that can go wrong at once.

Each seed is another story: another interleaving of authors, viewers, faults and crashes, and the same one each time. More seeds:
``BARRAGE_SIM_SEEDS=1000-1200``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.store.base import Committed
from server.store.faults import Fault
from server.store.memory import MemoryStore
from server.wire import encode_event
from static_mirror import Mirror, PageEvent
from tests.sim.checker import check
from tests.sim.people import ROOMS, outcome_word
from tests.sim.world import World
from tests.support.drafts import comment, removal
from tests.support.pipeline import Answers, Pipeline
from tests.support.viewers import FakeViewer


def seeds() -> list[int]:
    """The seeds of this run."""
    first, _, last = os.environ.get("BARRAGE_SIM_SEEDS", "1-6").partition("-")
    return list(range(int(first), int(last or first) + 1))


def tell(world: World, problems: list[str]) -> str:
    """A failure as a developer needs it: the seed first."""
    lines = "\n  ".join(problems[:20])
    return f"seed {world.seed} (BARRAGE_SIM_SEEDS={world.seed}): {len(problems)} problems\n  {lines}"


@pytest.mark.parametrize("seed", seeds())
def test_log_answers_pages_and_viewers_agree_whatever_goes_wrong(seed: int, tmp_path: Path) -> None:
    """Through store faults, damaged pages, stalls, removals and crashes: nothing acknowledged is lost, nothing is doubled,
    nothing is live that is not static, no removed text leaves, and every viewer can account for every number."""
    world = World(seed, tmp_path)
    world.run()
    problems = check(world)
    assert problems == [], tell(world, problems)


def test_stories_hold_what_they_are_meant_to_test(tmp_path: Path) -> None:
    """Every kind of fault, outcome and event occurs in a few seeds, so that agreement means something."""
    worlds = [World(seed, tmp_path / str(seed)) for seed in range(1, 5)]
    for world in worlds:
        world.run()
    entries = [entry for world in worlds for entry in world.entries()]
    logs = [event for world in worlds for room in ROOMS for event in world.log(room)]
    assert {fault for world in worlds for fault in world.store.injected} == set(Fault)
    assert {event.kind for event in logs} == {"comment", "removal", "restoration", "notice"}
    assert all(len(world.log("a")) > 256 for world in worlds), "more than one page"
    assert sum(entry.doubt and isinstance(entry.final, Committed) for entry in entries) > 5
    assert sum(len(viewer.skipped) for world in worlds for viewer in world.viewers) > 100
    assert sum(len(viewer.left_out) for world in worlds for viewer in world.viewers) > 100
    assert sum(bool(event.removed_by) for event in logs) > 20
    assert {"held_for_review", "comment_not_found", "already_removed", "not_removed"} <= {
        outcome_word(entry.final) for entry in entries
    }


def test_the_same_seed_is_the_same_story(tmp_path: Path) -> None:
    """A failure can be looked at again."""
    stories = []
    for name in ("first", "second"):
        world = World(7, tmp_path / name, authors=4, budget=20)
        world.run(lives=2)
        logs = [[(event.kind, event.text, event.at_ms) for event in world.log(room)] for room in ROOMS]
        stories.append((logs, dict(world.store.calls), [viewer.pieces for viewer in world.viewers]))
    assert stories[0] == stories[1]


async def test_real_threads_agree_with_the_simulated_ones(tmp_path: Path) -> None:
    """The same parts over real threads and real time: everything submitted at once is committed, static and live, in order."""
    store = MemoryStore()
    store.create_room("a", "A", "live", 1)
    viewer, answers = FakeViewer(), Answers()
    with ThreadPoolExecutor(1) as writer, ThreadPoolExecutor(2) as workers, ThreadPoolExecutor(2) as readers:
        parts = Pipeline(store, tmp_path, writer=writer, workers=workers, readers=readers, tick_ms=2, ring_events=5000)
        parts.load()
        viewer.join(parts.room)
        for number in range(1, 1201):
            parts.publisher.submit(comment(f"k{number}", text=f"text {number}."), answers)
            if number % 50 == 0:
                parts.publisher.submit(removal(number - 20, f"rm{number}"), answers)
                await asyncio.sleep(0.002)
        await parts.publisher.drain()
        await parts.flusher.visible(parts.room, parts.room.head)
        await parts.flusher.settle()
        history = await parts.history.events(parts.room, 0, 5000)
    assert len(answers.by_key) == parts.rows() == parts.room.visible == 1224
    assert (viewer.received, viewer.faults) == (list(range(1, 1225)), [])
    assert history == [encode_event(event) for event in store.read("a", 0, 5000)]
    parts.mirror.close()


# -- the checker finds what it is there for ---------------------------------------------------------------------------------


class LiveFirst(Mirror):
    """A planted fault: rows are written with the next append, so frames leave before they are static."""

    def append(self, room: str, rows: Sequence[PageEvent]) -> list[int]:
        late: dict[str, list[PageEvent]] = self.__dict__.setdefault("late", {})
        full = super().append(room, late.pop(room)) if room in late else []
        late[room] = list(rows)
        return full


class Forgetful(Mirror):
    """A planted fault: a removal leaves the row as it is."""

    def write_page(self, room: str, page: int, rows: Sequence[PageEvent]) -> None:
        if not any(row.removed_by for row in rows):
            super().write_page(room, page, rows)


@pytest.mark.parametrize(("mirror", "word"), [(LiveFirst, "is live and not static"), (Forgetful, "")])
def test_a_planted_fault_is_found(tmp_path: Path, mirror: type[Mirror], word: str) -> None:
    """A server that is wrong in one of the promises does not pass."""
    world = World(1, tmp_path, mirror=mirror, authors=4, budget=20)
    world.run(lives=2)
    problems = check(world)
    assert any(word in problem for problem in problems)
