"""server/publish.py"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import structlog.testing

from server.errors import Refusal
from server.flush import Viewer
from server.store.base import Draft, Outcome
from server.store.faults import Fault
from server.store.memory import MemoryStore
from server.wire import Event
from tests.support.drafts import announcement, comment, connection, held, removal, restoration, room_mode
from tests.support.pipeline import COMMIT_S, Batches, World, run_world
from tests.support.simulation import simulate
from tests.support.viewers import FakeViewer

LOST = [Fault.LOSE] * 6
KEPT = [Fault.WRITE_THEN_FAIL] * 6


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., World]:
    """Runs a scenario in virtual time over a new world."""
    return partial(run_world, tmp_path)


def keys(number: int, prefix: str = "k") -> list[str]:
    """Keys in order."""
    return [f"{prefix}{index}" for index in range(number)]


# -- group commit -----------------------------------------------------------------------------------------------------------


def test_the_first_commits_at_once_and_those_that_come_meanwhile_form_the_next_batch(run: Callable[..., World]) -> None:
    """After a pause nothing waits; during a commit drafts gather."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"))
        for key in ("k1", "k2", "k3"):
            await asyncio.sleep(COMMIT_S / 5)
            world.submit(comment(key))
        assert world.answers.all == []
        await asyncio.sleep(COMMIT_S)
        assert world.answers.by_key == {"k0": 1}
        await world.settle()

    world = run(scenario)
    assert world.store.batches == [["k0"], ["k1", "k2", "k3"]]
    assert world.answers.by_key == {"k0": 1, "k1": 2, "k2": 3, "k3": 4}
    world.assert_whole()


def test_drafts_of_one_turn_share_a_commit(run: Callable[..., World]) -> None:
    """Messages that were read together are committed together, whatever their rooms."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"), comment("k1", room="b"), comment("k2"))
        await world.settle()

    world = run(scenario)
    assert world.store.batches == [["k0", "k1", "k2"]]
    assert world.answers.by_key == {"k0": 1, "k1": 1, "k2": 2}
    world.assert_whole("a")
    world.assert_whole("b")


def test_a_batch_has_its_bound_and_keeps_the_order(run: Callable[..., World]) -> None:
    """More than a batch is committed in several, in the order of submission."""

    async def scenario(world: World) -> None:
        world.submit(*[comment(key) for key in keys(250)])
        await world.settle()

    world = run(scenario, batch_max=100)
    assert [len(batch) for batch in world.store.batches] == [100, 100, 50]
    assert world.answers.by_key == {key: number for number, key in enumerate(keys(250), 1)}
    assert world.parts.batches == 3
    world.assert_whole()


def test_who_writes_alone_waits_for_nobody(run: Callable[..., World]) -> None:
    """Comments that follow each other's acknowledgement are committed as they come."""

    async def scenario(world: World) -> None:
        begin = asyncio.get_running_loop().time()
        for key in keys(10):
            world.submit(comment(key))
            await asyncio.sleep(1.5 * COMMIT_S)
            assert key in world.answers.by_key
        assert asyncio.get_running_loop().time() - begin < 16 * COMMIT_S

    run(scenario).assert_whole()


def test_the_queue_has_its_bound(run: Callable[..., World]) -> None:
    """When the queue is full a draft is refused at once, with a time to wait; what was taken is committed."""

    async def scenario(world: World) -> None:
        for key in keys(5):
            world.publisher.check("a")
            world.submit(comment(key))
        assert world.publisher.queued == 5
        with pytest.raises(Refusal) as refusal:
            world.publisher.check("a")
        assert (refusal.value.code.name, refusal.value.code.temporary) == ("overloaded", True)
        assert refusal.value.retry_after_ms > 0
        await world.settle()
        world.publisher.check("a")
        assert world.publisher.queued == 0

    assert run(scenario, queue_max=5).answers.by_key == {key: number for number, key in enumerate(keys(5), 1)}


def test_what_waits_for_pages_has_its_bound(run: Callable[..., World]) -> None:
    """Comments that are recorded and wait for slow pages are as bounded as the queue: then the room takes no more for a while."""

    async def scenario(world: World) -> None:
        for key in ("first", "second"):
            world.submit(comment(key))
            await asyncio.sleep(2 * COMMIT_S)
        world.submit(*[comment(key) for key in keys(5)])
        await asyncio.sleep(2 * COMMIT_S)
        assert world.room.pending == 5
        with pytest.raises(Refusal) as refusal:
            world.publisher.check("a")
        assert (refusal.value.code.name, refusal.value.code.temporary) == ("overloaded", True)
        world.publisher.check("b")
        await world.settle()
        world.publisher.check("a")

    run(scenario, queue_max=5, tick_ms=10_000)


def test_drafts_that_come_between_two_runs_keep_their_order(run: Callable[..., World]) -> None:
    """Drafts submitted in the instant in which the last commit ends are committed in their order."""

    async def scenario(world: World) -> None:
        def submit_more(draft: Draft, outcome: Outcome | Refusal) -> None:
            if draft == comment("k0"):
                asyncio.get_running_loop().call_soon(world.submit, comment("k1"), comment("k2"), comment("k3"))

        world.answers.then = submit_more
        world.submit(comment("k0"))
        await world.settle()

    world = run(scenario)
    assert world.answers.by_key == {"k0": 1, "k1": 2, "k2": 3, "k3": 4}


def test_answers_of_a_batch_end_with_one_call(run: Callable[..., World]) -> None:
    """``after_batch`` comes after the last answer of each batch, so that they can be written together."""

    async def scenario(world: World) -> None:
        seen: list[tuple[int, int]] = []
        world.answers.then = lambda draft, outcome: seen.append((len(world.answers.all), world.parts.batches))
        world.submit(comment("k0"), comment("k1"))
        await asyncio.sleep(COMMIT_S / 2)
        world.submit(comment("k2"))
        await world.settle()
        assert seen == [(1, 0), (2, 0), (3, 1)]
        assert world.parts.batches == 2

    run(scenario)


# -- what follows a commit --------------------------------------------------------------------------------------------------


def test_the_ring_is_ahead_of_the_answer_and_the_page_behind_it(run: Callable[..., World]) -> None:
    """When an author hears of the number, the event is in the ring, pending, and not yet live."""

    async def scenario(world: World) -> None:
        viewer = FakeViewer()
        viewer.join(world.room)
        seen: list[tuple[int, int, int]] = []
        world.answers.then = lambda draft, outcome: seen.append((world.room.head, world.room.visible, len(viewer.frames)))
        world.submit(comment("k0"), comment("k1"))
        await world.settle()
        assert seen == [(1, 0, 0), (2, 0, 0)]
        assert (viewer.received, viewer.faults) == ([1, 2], [])

    run(scenario)


def test_a_retry_gets_the_first_answer_and_nothing_happens_twice(run: Callable[..., World]) -> None:
    """The same key gives the same number, also within one batch; another text for it is told so."""

    async def scenario(world: World) -> None:
        viewer = FakeViewer()
        viewer.join(world.room)
        world.submit(comment("k0"), comment("k0"))
        await world.settle()
        world.submit(comment("k0"), comment("k0", text="other"), comment("k1"))
        await world.settle()
        assert world.answers.words == [1, 1, 1, "key_reused", 2]
        assert viewer.received == [1, 2]

    run(scenario).assert_whole()


def test_rejected_drafts_take_no_number(run: Callable[..., World]) -> None:
    """A draft that cannot be is answered with its code, the rest of the batch is written."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"), removal(9, "rm"), comment("k1", room="nowhere"), comment("k2"))
        await world.settle()

    world = run(scenario)
    assert world.answers.by_key == {"k0": 1, "rm": "comment_not_found", "k1": "room_not_found", "k2": 2}
    world.assert_whole()


def test_records_beside_the_log_are_written_and_not_shown(run: Callable[..., World]) -> None:
    """Held comments and connections are recorded and answered; no room moves."""

    async def scenario(world: World) -> None:
        world.submit(held("h0"), connection("c0"))
        await world.settle()
        assert (world.room.head, world.parts.stats.flushes) == (0, 0)

    world = run(scenario)
    assert world.answers.words == ["held_for_review", "Recorded"]
    assert [record.key for record in world.store.screened(0, 10)] == ["h0"]


def test_a_removed_comments_text_leaves_memory_before_anybody_hears_of_the_removal(run: Callable[..., World]) -> None:
    """At the time of the answer resume and history hold the tombstone, though the page is still to be rewritten."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0", text="unbearable"))
        await world.settle()
        seen: list[bytes] = []
        world.answers.then = lambda draft, outcome: seen.extend(world.room.resume(0, 0, 100).events)
        world.submit(removal(1))
        await asyncio.sleep(COMMIT_S * 1.01)
        assert [json.loads(data)["removed"]["by"] for data in seen] == [2]
        assert "unbearable" in world.parts.page()
        await world.settle()
        assert "unbearable" not in world.parts.page()

    run(scenario).assert_whole()


def test_a_change_of_mode_is_told_and_kept(run: Callable[..., World]) -> None:
    """A mode notice changes the room from the commit on."""

    async def scenario(world: World) -> None:
        world.submit(room_mode("read_only", "m0"), announcement(key="n0"), room_mode("closed", "m1", room="b"))
        await world.settle()

    world = run(scenario)
    assert world.parts.modes == [("a", "read_only"), ("b", "closed")]
    assert (world.room.mode, world.parts.hub.rooms["b"].mode) == ("read_only", "closed")
    world.assert_whole()


def test_a_mode_counts_from_the_moment_it_is_submitted(run: Callable[..., World]) -> None:
    """While its notice waits for the commit, comments are taken by the stricter of it and the mode before; viewers are told that one.
    A notice that could not be written leaves nothing behind."""

    async def scenario(world: World) -> None:
        hub = world.parts.hub
        world.submit(room_mode("closed", "m0"), room_mode("slow", "m1", notice="site_mode"))
        assert (hub.intake(world.room, 0), hub.in_force(world.room, 0).mode) == ("closed", "open")
        await world.settle()
        assert (hub.intake(world.room, 0), hub.in_force(world.room, 0).mode) == ("closed", "closed")
        world.submit(room_mode("open", "m2"))
        assert hub.intake(world.room, 0) == "closed"
        await world.settle()
        world.store.plan("append", Fault.FAIL)
        world.submit(room_mode("review", "m3"))
        assert hub.intake(world.room, 0) == "review"
        await world.settle()
        assert (hub.intake(world.room, 0), world.room.coming) == ("open", [])

    run(scenario)


def test_commits_are_counted(run: Callable[..., World]) -> None:
    """Commits, drafts per batch and events show in the figures."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"), held("h0"))
        await world.settle()
        stats = world.parts.stats
        assert (stats.commits, stats.batch_drafts.count, stats.batch_drafts.total, stats.events) == (1, 1, 2, 1)
        assert (stats.commits_failed, stats.commits_unknown) == (0, 0)

    run(scenario)


# -- nothing was written ----------------------------------------------------------------------------------------------------


def test_a_failed_commit_tells_authors_and_leaves_nothing(run: Callable[..., World]) -> None:
    """StoreUnavailable: temporary refusals, once each; the log, the room and the viewers know nothing of it."""

    async def scenario(world: World) -> None:
        world.store.plan("append", Fault.FAIL)
        world.submit(comment("k0"), comment("k1"))
        await world.settle()
        assert (world.room.head, world.log()) == (0, [])
        assert world.parts.stats.commits_failed == 1
        world.submit(comment("k0"))
        await world.settle()

    world = run(scenario)
    assert world.answers.words == ["storage_unavailable", "storage_unavailable", 1]
    assert all(outcome.retry_after_ms > 0 for _, outcome in world.answers.all if isinstance(outcome, Refusal))
    world.assert_whole()


def test_while_the_store_is_down_drafts_are_refused_before_they_queue(run: Callable[..., World]) -> None:
    """From a failure on drafts are refused at once, for as long as it lasts."""

    async def scenario(world: World) -> None:
        world.store.stand("append", Fault.FAIL)
        assert world.publisher.trouble == ""
        world.submit(comment("k0"))
        for _ in range(50):
            await asyncio.sleep(0.1)
            with pytest.raises(Refusal, match="storage_unavailable"):
                world.publisher.check("a")
            assert "injected" in world.publisher.trouble
        world.store.heal()
        await asyncio.sleep(0.6)
        world.publisher.check("a")

    world = run(scenario)
    assert world.answers.by_key == {"k0": "storage_unavailable"}


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE, Fault.WRITE_THEN_FAIL])
def test_a_store_that_works_again_is_noticed_without_traffic(run: Callable[..., World], fault: Fault) -> None:
    """While the store is down it is probed with empty batches, about twice a second, until it takes one; then trouble ends."""

    async def scenario(world: World) -> None:
        world.store.stand("append", fault)
        world.submit(comment("k0"))
        await asyncio.sleep(30)
        assert "injected" in world.publisher.trouble
        tried = world.store.batches.count([])
        assert 40 <= tried <= 60
        world.store.heal()
        await asyncio.sleep(1)
        assert world.publisher.trouble == ""
        await world.settle()
        assert world.store.batches.count([]) == tried + 1

    run(scenario).assert_whole()


def test_each_reason_of_a_trouble_is_logged_once(run: Callable[..., World]) -> None:
    """The operator reads why, and reads it again when the reason is another one; not twice a second."""

    async def scenario(world: World) -> None:
        with structlog.testing.capture_logs() as logs:
            world.store.stand("append", Fault.FAIL)
            world.submit(comment("k0"))
            await asyncio.sleep(10)
            world.store.stand("append", Fault.LOSE)
            await asyncio.sleep(10)
            world.store.heal()
            await asyncio.sleep(1)
        assert [(entry["log_level"], entry.get("error", "")) for entry in logs] == [
            ("error", "injected at append: nothing was written"), ("error", "injected at append: the answer was lost"), ("info", ""),
        ]  # fmt: skip

    run(scenario)


def test_a_record_that_fails_alone_is_trouble_until_the_store_takes_one(run: Callable[..., World]) -> None:
    """What nobody waits for is tried during the trouble too; when it can be written the trouble is over."""

    async def scenario(world: World) -> None:
        world.store.plan("append", Fault.FAIL)
        world.submit(comment("k0"))
        await asyncio.sleep(0.1)
        world.submit(connection("c1"))
        await asyncio.sleep(1)
        assert world.publisher.trouble == ""

    assert run(scenario).answers.words == ["storage_unavailable", "Recorded"]


def test_what_queued_during_a_failing_commit_is_tried_by_itself(run: Callable[..., World]) -> None:
    """A failure of one batch does not speak for the next."""

    async def scenario(world: World) -> None:
        world.store.plan("append", Fault.FAIL)
        world.submit(comment("k0"))
        await asyncio.sleep(COMMIT_S / 2)
        world.submit(comment("k1"))
        await world.settle()

    assert run(scenario).answers.by_key == {"k0": "storage_unavailable", "k1": 1}


# -- nobody can tell --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.LOSE, Fault.WRITE_THEN_FAIL])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_unknown_outcome_is_resolved_by_appending_again(run: Callable[..., World], fault: Fault, times: int) -> None:
    """Whether the batch was written or lost, the same drafts again tell: each stands once, is answered once, goes live once."""

    async def scenario(world: World) -> None:
        viewer = FakeViewer()
        viewer.join(world.room)
        world.store.plan("append", *[fault] * times)
        world.submit(comment("k0"), held("h0"), comment("k1"))
        await asyncio.sleep(COMMIT_S / 2)
        world.submit(comment("k2"))
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])
        assert (world.parts.stats.commits, world.parts.stats.commits_unknown) == (2, times)

    world = run(scenario)
    assert world.store.batches == [["k0", "h0", "k1"]] * (times + 1) + [["k2"]]
    assert world.answers.by_key == {"k0": 1, "h0": "held_for_review", "k1": 2, "k2": 3}
    world.assert_whole()


def test_an_unknown_outcome_with_removals_and_modes_is_resolved(run: Callable[..., World]) -> None:
    """Whatever the batch held takes effect once, though its outcomes come as retries."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0", text="first"), comment("k1", text="second"))
        await world.settle()
        world.store.plan("append", Fault.WRITE_THEN_FAIL)
        world.submit(
            removal(1, "rm1"),
            comment("k2", text="third"),
            removal(4, "rm4"),
            room_mode("read_only", "m0"),
            restoration(1, "rs1"),
        )
        await world.settle()
        assert world.parts.modes == [("a", "read_only")]
        assert [entry.event.text for entry in world.room.newest(10)] == ["first", "second", "", "", "", "", "first"]

    world = run(scenario)
    assert world.answers.by_key == {"k0": 1, "k1": 2, "rm1": 3, "k2": 4, "rm4": 5, "m0": 6, "rs1": 7}
    world.assert_whole()


def test_unknown_then_unavailable_is_still_unknown(run: Callable[..., World]) -> None:
    """A store that goes down after an unknown outcome must not lead to "nothing was written"."""

    async def scenario(world: World) -> None:
        world.store.plan("append", Fault.WRITE_THEN_FAIL, Fault.FAIL, Fault.FAIL)
        world.submit(comment("k0"))
        await world.settle()

    world = run(scenario)
    assert world.answers.by_key == {"k0": 1}
    world.assert_whole()


@pytest.mark.parametrize("faults", [LOST, KEPT, [Fault.WRITE_THEN_FAIL] + [Fault.FAIL] * 5, [Fault.LOSE] + [Fault.FAIL] * 5])
def test_when_all_attempts_are_used_up_authors_hear_that_nobody_knows(run: Callable[..., World], faults: list[Fault]) -> None:
    """``outcome_unknown`` goes out once, and the author's own retry then gets the truth, in order and live."""

    async def scenario(world: World) -> None:
        viewer = FakeViewer()
        viewer.join(world.room)
        world.store.plan("append", *faults)
        world.submit(comment("k0"), comment("k1"))
        await world.settle()
        assert world.answers.by_key == {"k0": "outcome_unknown", "k1": "outcome_unknown"}
        world.submit(comment("k2"), comment("k1"), comment("k0"))
        await world.settle()
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])
        written = Fault.WRITE_THEN_FAIL in faults
        assert world.answers.words[2:] == ([3, 2, 1] if written else [1, 2, 3])

    run(scenario).assert_whole()


def test_what_was_written_unknown_to_us_becomes_live_by_itself(run: Callable[..., World]) -> None:
    """Authors that never ask again: their comments stand in the log, so they come onto the page and to viewers all the same."""

    async def scenario(world: World) -> None:
        viewer = FakeViewer()
        viewer.join(world.room)
        world.store.plan("append", *KEPT)
        world.submit(comment("k0"), comment("k1"), removal(1))
        await world.settle()
        assert world.answers.by_key == {"k0": "outcome_unknown", "k1": "outcome_unknown", "rm": "outcome_unknown"}
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])

    run(scenario).assert_whole()


def test_a_room_in_doubt_is_read_until_that_works(run: Callable[..., World]) -> None:
    """While the store cannot even be read nothing is lost and nobody spins; when it can, the room is whole."""

    async def scenario(world: World) -> None:
        world.store.plan("append", *KEPT)
        world.store.stand("read", Fault.FAIL)
        world.submit(comment("k0"))
        await asyncio.sleep(60)
        assert (world.room.head, world.answers.words) == (0, ["outcome_unknown"])
        assert world.store.calls["read"] < 200
        world.store.heal()
        await world.settle()

    run(scenario).assert_whole()


def test_nothing_is_committed_before_a_room_in_doubt_was_read(run: Callable[..., World]) -> None:
    """A batch that comes while the doubt cannot be cleared is told that nothing was written, which is true."""

    async def scenario(world: World) -> None:
        world.store.plan("append", *KEPT)
        world.store.stand("read", Fault.FAIL)
        world.submit(comment("k0"))
        await asyncio.sleep(10)
        appends = world.store.calls["append"]
        world.submit(comment("k1"))
        await asyncio.sleep(10)
        assert world.store.calls["append"] == appends
        assert world.answers.by_key == {"k0": "outcome_unknown", "k1": "storage_unavailable"}
        assert len(world.log()) == 1
        world.store.heal()
        world.submit(comment("k1"))
        await world.settle()
        assert world.answers.words[-1] == 2

    run(scenario).assert_whole()


def test_a_doubt_over_more_than_one_reading_is_cleared(run: Callable[..., World]) -> None:
    """More events than one reading gives, removals among them, all take effect."""

    async def scenario(world: World) -> None:
        drafts: list[Draft] = [comment(key) for key in keys(2100)]
        drafts += [removal(5, "rm5"), removal(1500, "rm1500"), room_mode("closed", "m0"), restoration(5, "rs5")]
        world.store.plan("append", *KEPT)
        world.submit(*drafts)
        await world.settle()
        assert set(world.answers.words) == {"outcome_unknown"}
        assert world.room.mode == "closed"

    run(scenario, batch_max=5000, queue_max=5000, ring_events=3000).assert_whole()


def test_a_log_that_ran_ahead_of_the_room_is_caught_up(run: Callable[..., World]) -> None:
    """Events that came into the log past us (another tool's) are read as soon as a commit shows that they are there."""

    async def scenario(world: World) -> None:
        viewer = FakeViewer()
        viewer.join(world.room)
        world.store.inner.append([comment("foreign0"), comment("foreign1")])
        world.submit(comment("k0"))
        await world.settle()
        assert world.answers.by_key == {"k0": 3}
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])

    run(scenario).assert_whole()


# -- a fault of our own -----------------------------------------------------------------------------------------------------


def test_an_unforeseen_error_of_the_store_leaves_nobody_waiting(run: Callable[..., World]) -> None:
    """Authors of the batch hear that nobody knows, once each; the next batch is committed and the room is whole."""

    class Broken(Batches):
        def append(self, batch: Sequence[Draft]) -> list[Outcome]:
            outcomes = super().append(batch)
            if len(self.batches) == 1:
                raise ZeroDivisionError("a bug")
            return outcomes

    async def scenario(world: World) -> None:
        world.store.__class__ = Broken
        viewer = FakeViewer()
        viewer.join(world.room)
        world.submit(comment("k0"), connection("c0"))
        await asyncio.sleep(COMMIT_S / 2)
        world.submit(comment("k1"))
        await world.settle()
        assert world.answers.by_key == {"k0": "outcome_unknown", "": "outcome_unknown", "k1": 2}
        assert (viewer.received, viewer.faults) == ([1, 2], [])

    run(scenario).assert_whole()


def test_an_unforeseen_error_while_a_room_is_in_doubt_ends_nothing(run: Callable[..., World]) -> None:
    """Nobody spins over a bug; who comes next is answered, and when reading works again the room is whole."""

    async def scenario(world: World) -> None:
        read = world.store.read
        readings: list[str] = []

        def fail(room: str, after: int, limit: int) -> list[Event]:
            readings.append(room)
            raise ZeroDivisionError("a bug")

        world.store.read = fail  # type: ignore[method-assign] # a bug, for a while
        world.store.plan("append", *KEPT)
        world.submit(comment("k0"))
        await asyncio.sleep(30)
        assert len(readings) < 10
        world.submit(comment("k1"))
        await asyncio.sleep(30)
        assert world.answers.by_key == {"k0": "outcome_unknown", "k1": "outcome_unknown"}
        world.store.read = read  # type: ignore[method-assign]
        world.submit(comment("k2"))
        await world.settle()
        assert world.answers.by_key["k2"] == 2

    run(scenario).assert_whole()


@pytest.mark.parametrize("key", keys(3))
def test_a_sink_that_raises_costs_nobody_an_answer(run: Callable[..., World], key: str) -> None:
    """A bug in one sink: each draft is answered once, and everything becomes live."""

    async def scenario(world: World) -> None:
        def fail(draft: Draft, outcome: Outcome | Refusal) -> None:
            if draft == comment(key):
                raise ZeroDivisionError("a bug")

        viewer = FakeViewer()
        viewer.join(world.room)
        world.answers.then = fail
        world.submit(*[comment(each) for each in keys(3)])
        await world.settle()
        assert list(world.answers.by_key) == keys(3)
        assert set(world.answers.words) <= {1, 2, 3, "outcome_unknown"}
        assert (viewer.received, viewer.faults) == ([1, 2, 3], [])

    run(scenario).assert_whole()


def test_a_fault_after_the_ring_has_the_event_is_made_good(run: Callable[..., World]) -> None:
    """When what is told of a mode change fails, its author hears that nobody knows, and the room goes on whole."""

    async def scenario(world: World) -> None:
        world.parts.modes = None  # type: ignore[assignment] # what appends to it fails
        world.submit(comment("k0"), room_mode("closed", "m0"), comment("k1"))
        await world.settle()
        assert world.answers.by_key == {"k0": 1, "m0": "outcome_unknown", "k1": "outcome_unknown"}
        assert world.room.mode == "closed"

    run(scenario).assert_whole()


# -- blocked rooms and the end ----------------------------------------------------------------------------------------------


def test_a_room_whose_pages_cannot_be_written_is_refused_and_others_are_not(run: Callable[..., World]) -> None:
    """The check looks at the room's pages too."""

    async def scenario(world: World) -> None:
        comments = world.parts.root / "rooms" / "a" / "comments"
        comments.rename(comments.with_name("away"))
        comments.write_text("no folder")
        world.submit(comment("k0"))
        await asyncio.sleep(1)
        with pytest.raises(Refusal) as refusal:
            world.publisher.check("a")
        assert (refusal.value.code.name, refusal.value.code.temporary) == ("storage_unavailable", True)
        world.publisher.check("b")
        comments.unlink()
        comments.with_name("away").rename(comments)
        await world.settle()
        world.publisher.check("a")

    run(scenario).assert_whole()


def test_draining_answers_what_was_taken_and_takes_no_more(run: Callable[..., World]) -> None:
    """Drain returns when all queued drafts are answered; new ones are told to come back later."""

    async def scenario(world: World) -> None:
        world.submit(*[comment(key) for key in keys(25)])
        await asyncio.sleep(COMMIT_S / 2)
        world.submit(comment("last"))
        await world.publisher.drain()
        assert len(world.answers.all) == 26
        with pytest.raises(Refusal) as refusal:
            world.publisher.check("a")
        assert (refusal.value.code.name, refusal.value.code.temporary) == ("shutting_down", True)
        await world.publisher.drain()

    world = run(scenario, batch_max=10)
    assert world.answers.by_key == {key: number for number, key in enumerate([*keys(25), "last"], 1)}


def test_draining_ends_though_the_store_is_down(run: Callable[..., World]) -> None:
    """Nobody waits for a store that does not come back; everybody has an answer."""

    async def scenario(world: World) -> None:
        world.store.stand("append", Fault.LOSE)
        world.store.stand("read", Fault.FAIL)
        world.submit(comment("k0"))
        await asyncio.sleep(10)
        world.submit(comment("k1"))
        await asyncio.wait_for(world.publisher.drain(), 30)

    assert set(run(scenario).answers.by_key) == {"k0", "k1"}


def test_ending_without_a_drain_answers_what_was_under_way(tmp_path: Path) -> None:
    """A loop that is shut down cancels the commit: its authors hear that nobody knows."""
    worlds: list[World] = []

    async def scenario() -> None:
        worlds.append(World(tmp_path))
        worlds[0].submit(comment("k0"))
        await asyncio.sleep(COMMIT_S / 2)

    simulate(scenario)
    assert worlds[0].answers.by_key == {"k0": "outcome_unknown"}


def test_viewers_of_one_room_see_nothing_of_another(run: Callable[..., World]) -> None:
    """A commit over several rooms is flushed to each room's own viewers."""

    async def scenario(world: World) -> None:
        rooms: dict[str, FakeViewer] = {"a": FakeViewer(), "b": FakeViewer()}
        for name, viewer in rooms.items():
            watcher: Viewer = viewer
            assert watcher is viewer
            viewer.join(world.parts.hub.rooms[name])
        world.submit(comment("k0", text="for a"), comment("k1", text="for b", room="b"))
        await world.settle()
        assert (rooms["a"].texts, rooms["b"].texts) == (["for a"], ["for b"])

    run(scenario)


# -- what should never happen -----------------------------------------------------------------------------------------------


def test_nothing_is_acknowledged_once_the_log_went_back(run: Callable[..., World]) -> None:
    """An older database put in place of ours gives numbers again: nobody is told that such a comment stands, and the operator is."""

    async def scenario(world: World) -> None:
        world.submit(*[comment(key) for key in keys(3)])
        await world.settle()
        older = MemoryStore()
        older.create_room("a", "Room A", "live", 1)
        world.store.append = older.append  # type: ignore[method-assign] # what an operator may do to a file
        world.submit(comment("late"))
        await world.settle()
        assert "Restart the server" in world.publisher.trouble
        with pytest.raises(Refusal):
            world.publisher.check("a")

    world = run(scenario)
    assert world.answers.by_key == {"k0": 1, "k1": 2, "k2": 3, "late": "outcome_unknown"}


def test_a_fault_of_ours_in_reading_again_does_not_end_recovery(run: Callable[..., World]) -> None:
    """Whatever stops the reading of a room in doubt, comments are taken again once it is over."""

    async def scenario(world: World) -> None:
        world.store.plan("append", *KEPT)
        world.submit(comment("k0"))
        read = world.store.read
        failures = iter([ValueError("a row that does not decode")] * 3)

        def damaged(room: str, after: int, limit: int) -> list[Event]:
            for failure in failures:
                raise failure
            return read(room, after, limit)

        world.store.read = damaged  # type: ignore[method-assign] # a fault that no store is allowed to show
        await world.settle()
        assert next(failures, None) is None
        world.publisher.check("a")
        world.submit(comment("k1"))
        await world.settle()

    world = run(scenario)
    assert world.answers.by_key["k1"] == 2
    world.assert_whole()


# -- overload ---------------------------------------------------------------------------------------------------------------


def refused(world: World, *, control: bool = False) -> str:
    """The code with which a draft for room ``a`` would be refused now; empty: it would be taken."""
    try:
        world.publisher.check("a", control=control)
    except Refusal as refusal:
        return refusal.code.name if refusal.code.temporary and refusal.retry_after_ms else "for ever"
    return ""


def test_a_comment_that_would_wait_too_long_is_not_taken(run: Callable[..., World]) -> None:
    """When those before it wait for longer than the bound it is refused as temporary, and taken again when they are through."""

    async def scenario(world: World) -> None:
        world.writer.least_s = world.writer.most_s = 2.0
        world.submit(comment("k0"))
        await asyncio.sleep(0.1)
        world.submit(comment("k1"))
        await asyncio.sleep(0.4)
        assert refused(world) == ""
        await asyncio.sleep(0.2)
        assert (refused(world), refused(world, control=True)) == ("overloaded", "")
        await world.settle()
        assert refused(world) == ""

    assert run(scenario, admit_ms=500).answers.by_key == {"k0": 1, "k1": 2}


def test_a_turn_of_the_loop_that_takes_too_long_refuses_the_rest(run: Callable[..., World]) -> None:
    """What is read late in a long turn has waited as long; the next turn begins afresh."""

    async def scenario(world: World) -> None:
        assert refused(world) == ""
        with mock.patch("time.monotonic", return_value=time.monotonic() + 0.6):
            assert (refused(world), refused(world, control=True)) == ("overloaded", "")
            await asyncio.sleep(0)
            assert refused(world) == ""

    run(scenario, admit_ms=500)


def test_a_removal_overtakes_what_waits_for_later_batches(run: Callable[..., World]) -> None:
    """Moderation is in the next commit, however many comments wait; of those the order stays."""

    async def scenario(world: World) -> None:
        world.submit(comment("k0"))
        await world.settle()
        world.submit(*[comment(key) for key in keys(30)[1:]], removal(1, "rm"), comment("last"))
        await world.settle()

    world = run(scenario, batch_max=10)
    assert world.store.batches[1][0] == "rm"
    assert [key for batch in world.store.batches[1:] for key in batch if key != "rm"] == [*keys(30)[1:], "last"]
    world.assert_whole()


def test_a_removal_does_not_overtake_its_own_comment(run: Callable[..., World]) -> None:
    """Only what stands in the log already can be changed out of turn; notices keep their place among the comments."""

    async def scenario(world: World) -> None:
        world.submit(*[comment(key) for key in keys(12)], removal(3, "rm"), room_mode("closed", "m0"), comment("last"))
        await world.settle()

    world = run(scenario, batch_max=5)
    assert [key for batch in world.store.batches for key in batch] == [*keys(12), "rm", "m0", "last"]
    assert world.answers.by_key["rm"] == 13
    world.assert_whole()


def test_moderation_has_a_queue_of_its_own_length(run: Callable[..., World]) -> None:
    """A queue full of comments takes no more of them, and still takes removals, up to the same number; then it refuses those too."""

    async def scenario(world: World) -> None:
        world.submit(*[comment(key) for key in keys(5)])
        await world.settle()
        world.submit(*[comment(f"more{number}") for number in range(5)])
        assert (refused(world), refused(world, control=True)) == ("overloaded", "")
        world.submit(*[removal(number, f"rm{number}") for number in range(1, 6)])
        assert refused(world, control=True) == "overloaded"
        await world.settle()
        assert (refused(world), refused(world, control=True)) == ("", "")

    run(scenario, queue_max=5, batch_max=3).assert_whole()


def test_moderation_does_not_wait_for_slow_pages(run: Callable[..., World]) -> None:
    """A room whose pages are far behind takes no comments, and takes removals."""

    async def scenario(world: World) -> None:
        for key in ("first", "second"):
            world.submit(comment(key))
            await asyncio.sleep(1)
        world.submit(*[comment(key) for key in keys(5)])
        await asyncio.sleep(1)
        assert (refused(world), refused(world, control=True)) == ("overloaded", "")

    run(scenario, queue_max=5, tick_ms=10_000)
