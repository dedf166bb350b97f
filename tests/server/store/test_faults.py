"""The fault-injecting store does exactly what each fault says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.errors import StoreUnavailable, StoreUnknown
from server.store.base import Committed, Store
from server.store.faults import Fault, FaultyStore, Step
from server.store.memory import MemoryStore
from tests.support.drafts import comment


def _store() -> tuple[MemoryStore, FaultyStore]:
    inner = MemoryStore()
    inner.create_room("a", "A", "live", 1)
    return inner, FaultyStore(inner)


def test_without_faults_every_step_reaches_the_inner_store() -> None:
    """A store without planned faults answers as the inner one does, and closes it."""
    inner, store = _store()
    assert store.create_room("b", "B", "vod", 2, "https://v.example/b.mp4").name == "b"
    assert [type(outcome) for outcome in store.append([comment()])] == [Committed]
    assert store.rooms() == inner.rooms()
    assert store.read("a", 0, 10) == inner.read("a", 0, 10)
    assert store.screened(0, 10) == []
    assert store.reports(0, 10) == []
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        inner.rooms()


def test_fail_writes_nothing() -> None:
    """FAIL raises StoreUnavailable and the inner store has nothing; the next call goes through."""
    inner, store = _store()
    store.plan("append", Fault.FAIL)
    with pytest.raises(StoreUnavailable):
        store.append([comment()])
    assert inner.read("a", 0, 10) == []
    assert len(store.append([comment()])) == 1


def test_lose_writes_nothing_and_is_unknown() -> None:
    """LOSE raises StoreUnknown although nothing was written."""
    inner, store = _store()
    store.plan("append", Fault.LOSE)
    with pytest.raises(StoreUnknown):
        store.append([comment()])
    assert inner.read("a", 0, 10) == []


def test_write_then_fail_persists_and_a_retry_tells() -> None:
    """WRITE_THEN_FAIL raises StoreUnknown, the batch is there, and appending it again gives the first answer."""
    inner, store = _store()
    store.plan("append", Fault.WRITE_THEN_FAIL)
    with pytest.raises(StoreUnknown):
        store.append([comment()])
    assert len(inner.read("a", 0, 10)) == 1
    (outcome,) = store.append([comment()])
    assert isinstance(outcome, Committed)
    assert not outcome.fresh


def test_slow_waits_and_then_answers() -> None:
    """SLOW calls the given sleep with the delay, then does the step."""
    slept: list[float] = []
    inner, _ = _store()
    store = FaultyStore(inner, delay_s=2.5, sleep=slept.append)
    store.plan("read", Fault.SLOW)
    assert store.read("a", 0, 10) == []
    assert slept == [2.5]


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE, Fault.WRITE_THEN_FAIL])
@pytest.mark.parametrize("step", ["rooms", "read", "screened", "reports"])
def test_reading_steps_fail_as_unavailable(step: Step, fault: Fault) -> None:
    """A reading step never raises StoreUnknown."""
    _, store = _store()
    store.plan(step, fault)
    calls: dict[str, Callable[[Store], object]] = {
        "rooms": lambda s: s.rooms(),
        "read": lambda s: s.read("a", 0, 1),
        "screened": lambda s: s.screened(0, 1),
        "reports": lambda s: s.reports(0, 1),
    }
    with pytest.raises(StoreUnavailable):
        calls[step](store)
    calls[step](store)


def test_planned_faults_come_in_order_then_the_standing_one() -> None:
    """Planned faults are used once each in order, None lets a call through, a standing fault stays until heal."""
    _, store = _store()
    store.plan("append", None, Fault.LOSE)
    store.stand("append", Fault.FAIL)
    store.append([])
    with pytest.raises(StoreUnknown):
        store.append([])
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            store.append([])
    store.heal()
    store.append([])
    assert store.calls["append"] == 6
    assert store.injected == {Fault.LOSE: 1, Fault.FAIL: 3}


def test_seeded_faults_repeat() -> None:
    """The same seed gives the same faults; rates of 0 and 1 are exact."""

    def run(seed: int) -> list[bool]:
        _, store = _store()
        store.seed(seed, {Fault.FAIL: 0.3, Fault.LOSE: 0.2})
        out: list[bool] = []
        for _ in range(50):
            try:
                store.append([])
                out.append(True)
            except (StoreUnavailable, StoreUnknown):
                out.append(False)
        return out

    assert run(7) == run(7)
    assert set(run(7)) == {True, False}
    _, store = _store()
    store.seed(1, {Fault.FAIL: 1.0})
    with pytest.raises(StoreUnavailable):
        store.rooms()
    store.heal()
    store.rooms()
