"""Figures of parts of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.acts import Acts
from loadtest.arena import Arena
from loadtest.books import Books, Part, Tick
from loadtest.feed import Batch
from loadtest.messages import Ack, Refused
from loadtest.probe import Cost
from loadtest.processes import Sample
from loadtest.spec import Phase, Rooms
from tests.loadtest.scenario_files import small
from tests.loadtest.support import secret_file


def arena_of(folder: Path) -> Arena:
    scenario = small([Phase(name="a", seconds=300, rate=1)], rooms=[Rooms(name="demo", viewers=2, senders=1)])
    return Arena(scenario, "http://127.0.0.1:1", token_secret_file=secret_file(folder))


def ticks(until_s: int, *, mb_per_s: float = 0.0) -> list[Tick]:
    """One a second: the server uses half a core, the generator a tenth."""
    return [
        Tick(float(at), Cost(float(at), at * 0.5, 100 + at * mb_per_s, 50), Sample(float(at), at * 0.1, 1, 0.0), at, 2)
        for at in range(until_s + 1)
    ]


def comment(arena: Arena, key: str, due_s: float, answered_s: float, seq: int) -> None:
    room = arena.rooms[0]
    submission = room.ledger.add("ann", key, key, due_s)
    room.ledger.sent(submission, (due_s + answered_s) / 2 if answered_s else due_s + 5.0)  # later than it was due
    if answered_s:
        room.ledger.answer(Ack("demo", key, seq) if seq else Refused("demo", key, "banned_content"), answered_s)


async def test_figures_of_parts(tmp_path: Path) -> None:
    """Each part has its own comments, costs and gaps; what was due between two parts is in none; warm-up is not in the whole."""
    arena = arena_of(tmp_path)
    comment(arena, "warm", 1.0, 1.5, 1)
    comment(arena, "fast", 11.0, 11.1, 2)
    comment(arena, "never", 12.0, 0.0, 0)
    comment(arena, "bad", 13.0, 13.1, 0)
    comment(arena, "between", 20.5, 20.6, 3)
    comment(arena, "slow", 29.0, 29.9, 4)
    parts = [Part((0.0, 10.0), counts=False), Part((10.0, 20.0), counts=True), Part((21.0, 31.0), counts=True)]
    books = Books(arena, Acts(arena), ticks(40), parts, end_s=40.0)
    middle = books.figures([1])
    assert middle["sent_per_s"] == pytest.approx(0.3)
    assert middle["accepted_per_s"] == pytest.approx(0.1)
    assert middle["refused_share"] == middle["unanswered_share"] == pytest.approx(1 / 3)
    assert middle["ack_p99_ms"] == pytest.approx(28_000, rel=0.01)  # unanswered since it was due
    assert middle["server_cpu_share"] == pytest.approx(0.5)
    assert middle["gap_share"] == 1.0
    assert middle["p99_ms"] is None
    assert books.figures([2])["ack_p99_ms"] == pytest.approx(900, rel=0.01)
    whole = books.whole()
    assert whole["sent_per_s"] == pytest.approx(0.2)
    assert whole["rss_slope_mb_per_h"] is None
    course = books.course()
    assert course[0].at_s == 0.25
    assert sum(point.sent_per_s * 0.5 for point in course) == pytest.approx(5)
    assert course[-1].server_cpu == pytest.approx(0.5)
    assert course[-1].generator_cpu == pytest.approx(0.1)
    assert books.percentiles()[-1].ack_ms == pytest.approx(28_000, rel=0.01)


async def test_growth(tmp_path: Path) -> None:
    """Over minutes memory and descriptors have slopes; a leak of a megabyte a second is 3,600 in an hour."""
    arena = arena_of(tmp_path)
    books = Books(arena, Acts(arena), ticks(300, mb_per_s=1.0), [Part((0.0, 300.0), counts=True)], end_s=300.0)
    whole = books.whole()
    assert whole["rss_slope_mb_per_h"] == pytest.approx(3600)
    assert whole["descriptor_slope_per_h"] == pytest.approx(0)
    assert whole["p99_drift"] is None
    assert len(books.edges) == 121


async def test_without_anything(tmp_path: Path) -> None:
    """A run of warm-up alone has no figures; a server that is not watched has no costs."""
    arena = arena_of(tmp_path)
    empty = Books(arena, Acts(arena), [], [Part((0.0, 1.0), counts=False)], end_s=1.0)
    assert empty.whole() == {}
    assert empty.percentiles() == []
    assert empty.figures([0])["server_cpu_share"] is None
    assert empty.course()[0].viewers == 0


async def test_deliveries_by_kind_of_rooms(tmp_path: Path) -> None:
    """Each kind has its own latencies, phase by phase, and how much worse the worst phase is than the first; warm-up is left out."""
    scenario = small(
        [Phase(name="a", seconds=300, rate=1)],
        rooms=[Rooms(name="giant", viewers=2, senders=1), Rooms(name="side", count=2, viewers=1, senders=1)],
    )
    arena = Arena(scenario, "http://127.0.0.1:1", token_secret_file=secret_file(tmp_path))
    late = {"giant": (0.1, 0.1, 0.1), "side-1": (0.02, 0.05, 0.02), "side-2": (0.02, 0.06, 0.02)}
    for room in arena.rooms:
        for seq, (due_s, delay_s) in enumerate(zip((1.0, 11.0, 21.0), late[room.site.room], strict=True), 1):
            submission = room.ledger.add("ann", f"{room.site.room}-{seq}", "t", due_s)
            room.ledger.sent(submission, due_s)
            room.ledger.answer(Ack(room.site.room, submission.key, seq), due_s)
            room.feed.batches.append(batch := Batch(seq, seq, b"f", 2))
            batch.arrivals[0].append(due_s + delay_s)
    parts = [Part((10.0 * n, 10.0 * n + 10), counts=True) for n in range(3)]
    giant, side = Books(arena, Acts(arena), ticks(40), parts, end_s=40.0).by_rooms(["calm", "storm", "calm"])
    assert (giant.name, giant.rooms, side.name, side.rooms) == ("giant", 1, "side", 2)
    assert giant.figures["p99_rise"] == pytest.approx(1, rel=0.01)
    assert giant.phases["calm"]["p99_ms"] == pytest.approx(100, rel=0.01)
    assert side.phases["calm"]["p99_ms"] == pytest.approx(20, rel=0.02)
    assert side.phases["storm"]["max_ms"] == pytest.approx(60, rel=0.02)
    assert side.figures["p99_rise"] == pytest.approx(3, rel=0.02)
    (only,) = Books(arena, Acts(arena), ticks(40), [Part((0.0, 10.0), counts=False)], end_s=40.0).by_rooms(["warm"])[:1]
    assert only.figures == {"p50_ms": None, "p99_ms": None, "p99_9_ms": None, "max_ms": None, "p99_rise": None}
    assert Books(arena_of(tmp_path), Acts(arena_of(tmp_path)), [], parts, end_s=1.0).by_rooms(["a"] * 3) == []
