"""Results: what is judged, what is withheld, what is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import outcome
from loadtest.outcome import RoomsFigures
from loadtest.spec import Phase, Rooms, RoomsThresholds, Thresholds
from tests.loadtest.scenario_files import result, small, span, untrue


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"p99_ms": 100.0, "capacity_per_s": 10.0}, [True, True]),
        ({"p99_ms": 100.1, "capacity_per_s": 9.9}, [False, False]),
        ({"p99_ms": None}, [None, None]),
    ],
)
def test_judging(figures: outcome.Figures, expected: list[bool | None]) -> None:
    """A figure may reach its limit and not pass it; what was not measured is not judged."""
    judged = outcome.judge(Thresholds(p99_ms=100, capacity_per_s=10), figures)
    assert [each.holds for each in judged] == expected


def test_words_for_thresholds() -> None:
    """A threshold says what was asked, where, and what was found."""
    texts = [each.text for each in outcome.judge(Thresholds(p99_ms=100, capacity_per_s=10), {"p99_ms": 250.0}, "storm")]
    assert texts == ["p99_ms in storm: 250, asked at most 100", "capacity_per_s in storm: not measured, asked at least 10"]


def test_verdicts() -> None:
    """Truth goes before speed: an untrue run fails whatever else; a saturated generator proves nothing; then the thresholds."""
    sound = result()
    assert (sound.exit_code, sound.true) == (0, True)
    assert sound.verdict == "Sound: all 1 thresholds that could be judged hold; 1 could not be."
    broken = result(figures={"p99_ms": 200.0})
    assert (broken.exit_code, broken.verdict) == (99, "Broken: 1 of 2 thresholds do not hold.")
    invalid = result(doubts=["the generator was busy"], figures={"p99_ms": 200.0})
    assert invalid.exit_code == 3
    assert (invalid.figures, invalid.course, invalid.percentiles, invalid.judgements) == ({}, [], [], [])
    both = result(doubts=["the generator was busy"], violations=untrue())
    assert (both.exit_code, both.true) == (99, False)


def test_thresholds_of_phases() -> None:
    """Thresholds of a phase are judged by its figures alone; those of a ramp are what it looks for, and no failure."""
    scenario = small(
        [
            Phase(name="a", seconds=1, rate=1, thresholds=Thresholds(p99_ms=10)),
            Phase(name="r", seconds=1, rate=1, to_rate=2, steps=2, until_broken=True, thresholds=Thresholds(p99_ms=1)),
        ]
    )
    made = outcome.make(
        scenario, name="s", url="u", cost_source="none", scale=1.0, doubts=[], notes=[], violations=[], counts={}, refusals={},
        figures={}, generator={}, course=[], percentiles=[], by_rooms=[],
        spans=[span("a", 0, 1, figures={"p99_ms": 11.0}), span("r", 1, 2, figures={"p99_ms": 11.0})],
    )  # fmt: skip
    assert [(each.where, each.holds) for each in made.judgements] == [("a", False)]


def test_saved_and_read_again(tmp_path: Path) -> None:
    """JSON holds all of a result; what is none is refused with its name."""
    path = tmp_path / "r.json"
    saved = result(violations=untrue())
    path.write_bytes(saved.json())
    assert outcome.load(path) == saved
    path.write_text("{}")
    with pytest.raises(ValueError, match="is no result of `run --json`"):
        outcome.load(path)
    with pytest.raises(ValueError, match="cannot be read"):
        outcome.load(tmp_path / "none.json")


def test_thresholds_of_rooms() -> None:
    """What is asked of rooms of one kind is judged by their deliveries; rooms without figures are not judged."""
    rooms = [
        Rooms(name="giant", senders=1, thresholds=RoomsThresholds(p99_ms=100)),
        Rooms(name="beside", count=3, senders=1, thresholds=RoomsThresholds(p99_rise=2)),
        Rooms(name="other", senders=1, thresholds=RoomsThresholds(max_ms=5)),
    ]
    by_rooms = [
        RoomsFigures(name="giant", rooms=1, figures={"p99_ms": 90.0, "p99_rise": 9.0}, phases={}),
        RoomsFigures(name="beside", rooms=3, figures={"p99_ms": 900.0, "p99_rise": 2.1}, phases={}),
    ]
    made = outcome.make(
        small(rooms=rooms), name="s", url="u", cost_source="none", scale=1.0, doubts=[], notes=[], violations=[], counts={},
        refusals={}, figures={}, generator={}, course=[], percentiles=[], spans=[], by_rooms=by_rooms,
    )  # fmt: skip
    assert [(each.where, each.name, each.holds) for each in made.judgements] == [
        ("rooms giant", "p99_ms", True), ("rooms beside", "p99_rise", False), ("rooms other", "max_ms", None),
    ]  # fmt: skip
