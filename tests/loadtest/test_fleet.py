"""Several processes play one scenario."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import click
import msgspec
import pytest

from loadtest.arena import Arena
from loadtest.feed import Batch
from loadtest.fleet import Fleet, Order, deal
from loadtest.outcome import Result
from loadtest.spec import BadScenario, Phase, Rooms, Scenario, Thresholds
from tests.loadtest.scenario_files import small
from tests.loadtest.support import fake_in_thread, secret_file
from tests.support.fake_barrage import Faults


def giant(**fields: float) -> Scenario:
    phase = {"seconds": 0.8, "rate": 40.0, "cut_share": 1.0, "slow_share": 0.3, "page_reads_per_s": 5.0} | fields
    return small([Phase(name="all", **phase)], rooms=[Rooms(name="demo", viewers=120, senders=20)])  # type: ignore[arg-type]


def test_readers_of_large_rooms_are_divided() -> None:
    """The first process has all who speak, and everybody of small rooms; the others have the readers, and do nothing but read."""
    rooms = [
        Rooms(name="giant", viewers=1000, senders=30, raiders=10), Rooms(name="quiet", viewers=200, senders=0),
        Rooms(name="small", viewers=20, senders=5), Rooms(name="many", count=300, viewers=60, senders=1),
    ]  # fmt: skip
    phase = Phase(name="a", seconds=1, rate=10, raid_per_s=5, slow_share=0.1, cut_share=0.5)
    first, *crowds = deal(small([phase], rooms=rooms), 3)
    assert [(each.name, each.viewers, each.senders, each.raiders) for each in first.rooms] == [
        ("giant", 40, 30, 10), ("quiet", 1, 0, 0), ("small", 20, 5, 0), ("many", 60, 1, 0),
    ]  # fmt: skip
    assert first.phases == [phase]
    assert [[(each.name, each.viewers, each.senders) for each in crowd.rooms] for crowd in crowds] == [
        [("giant", 480, 0), ("quiet", 100, 0)]
    ] * 2
    assert {crowd.seed for crowd in crowds} == {2, 3}
    reading = crowds[0].phases[0]
    assert (reading.rate, reading.raid_per_s, reading.cut_share) == (0, 0, 0.5)
    assert reading.slow_share == pytest.approx(0.1 * 1200 / 1159)


def test_what_cannot_be_divided_stays_whole() -> None:
    """Small rooms, or one process, are one part; a ramp that ends when something breaks is decided by one process."""
    assert len(deal(giant(), 1)) == len(deal(small(), 4)) == 1
    ramp = small(
        [Phase(name="r", seconds=1, rate=1, to_rate=2, steps=2, until_broken=True, thresholds=Thresholds(p99_ms=1))],
        rooms=[Rooms(name="demo", viewers=900, senders=3)],
    )
    with pytest.raises(BadScenario, match="--processes"):
        deal(ramp, 2)


def test_batches_travel_without_their_frames() -> None:
    """Numbers, sizes and arrivals arrive in the other process."""
    batch = Batch(1, 4, b"frame", 2, frozenset({3}))
    batch.arrivals[0].append(1.5)
    other = pickle.loads(pickle.dumps(batch))
    assert (other.first, other.last, other.count, other.size, other.frame) == (1, 4, 3, 5, b"")
    assert [list(times) for times in other.arrivals] == [[1.5], []]


def play(scenario: Scenario, url: str, folder: Path, processes: int) -> Result:
    """Play it as the command does."""
    keys = secret_file(folder)
    parts = deal(scenario, processes)
    orders = [
        Order(
            rank=rank,
            scenario=part,
            url=url,
            data_dir=None,
            token_secret_file=str(keys),
            operator_key=None,
            server_pid=None,
            cpu=None,
        )
        for rank, part in enumerate(parts)
    ]
    return Fleet(orders, Arena(scenario, url, token_secret_file=keys)).run("giant", url)


def test_several_processes_are_one_run(tmp_path: Path) -> None:
    """Comments of the one are timed at the readers of the others; cuts, returns and truth are those of all together."""
    with fake_in_thread() as server:
        made = play(giant(), server.url, tmp_path, 3)
    assert (made.workers, made.viewers, made.true) == (3, 120, True)
    assert made.counts["acknowledged"] == made.counts["sent"] == 32
    assert made.counts["connections cut"] == made.counts["returns"] == 120
    assert made.counts["page reads"] > 0
    if made.valid:  # a machine that is too busy for it withholds what was timed
        assert made.figures["absent"] == 0
        assert made.figures["p99_ms"]


def test_what_a_crowd_misses_is_found(tmp_path: Path) -> None:
    """A delivery that only readers of another process lost makes the run untrue."""
    with fake_in_thread(Faults(drop={5})) as server:
        made = play(giant(cut_share=0.0, slow_share=0.0), server.url, tmp_path, 2)
    assert not made.true


def test_a_process_that_fails_ends_the_run(tmp_path: Path) -> None:
    """A crowd that cannot enter, or that ends by itself, is an error and no result, and nothing is left running."""
    with pytest.raises(click.ClickException):
        play(giant(), "http://127.0.0.1:1", tmp_path, 2)
    assert multiprocessing.active_children() == []


def test_orders_travel_as_bytes() -> None:
    """What a process is told comes out as it went in."""
    order = Order(
        rank=1, scenario=giant(), url="u", data_dir="d", token_secret_file=None, operator_key=None, server_pid=1, cpu=0
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=Order) == order
