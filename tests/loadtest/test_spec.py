"""Scenario files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtest import spec
from loadtest.arrivals import Segment
from loadtest.spec import BadScenario, Phase, Scenario
from tests.loadtest.scenario_files import SMALL, small, small_file


@pytest.mark.parametrize("name", spec.names())
def test_shipped_scenarios(name: str) -> None:
    """Every shipped scenario is read by its name, says what it is for, asks that nothing is lost, and can be made small."""
    scenario = spec.read(Path(name))
    assert scenario.about.strip()
    assert scenario.thresholds.loss == 0
    small_one = spec.resize(scenario, 0.01, 5.0)
    assert small_one.seconds == pytest.approx(5.0)
    assert small_one.viewers <= scenario.viewers / 10
    assert all(phase.segments() for phase in small_one.phases)


def test_all_asked_for_are_shipped() -> None:
    """The scenarios that an operator looks for are there."""
    assert set(spec.names()) == {
        "quiet-room", "live-peak", "goal", "capacity", "reconnect-storm", "slow-viewers", "many-rooms", "giant", "soak",
        "page-readers", "takedowns", "raid",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("rate = 60", "rte = 60"),
            "unknown key phases[0].rte. Did you mean rate? Accepted there: name, seconds, rate, to_rate",
        ),
        (("drain_s = 2", "colour = 2"), "unknown key colour. Accepted there: title, about"),
        (("loss = 0", "lost = 0"), "unknown key thresholds.lost. Did you mean loss?"),
        (("rate = 60", "rate = -1"), "phases[0].rate: Expected `float` >= 0.0"),
        (("viewers = 6", "viewers = 'many'"), "rooms[0].viewers: Expected `int`, got `str`"),
        (("rate = 60", "rate = 60\npresent = 1.5"), "phases[0].present: Expected `float` <= 1.0"),
        (('arrivals = "steady"', 'arrivals = "random"'), "arrivals: Invalid enum value 'random'"),
        (
            ("rate = 60", "rate = 60\nburst_at_s = 0.4\nburst_s = 0.3"),
            "`burst_at_s` and `burst_s` together are at most `seconds`",
        ),
        (("rate = 60", "rate = 60\nsteps = 3"), "`steps` needs `to_rate`"),
        (("rate = 60", "rate = 60\nuntil_broken = true"), "`until_broken` needs `steps` above 1 and `thresholds`"),
        (("senders = 3", "senders = 0"), "a phase has a `rate`, and no room has `senders`"),
        (("rate = 60", "rate = 60\nraid_per_s = 5"), "a phase has `raid_per_s`, and no room has `raiders`"),
        (("[thresholds]", "[[rooms]]\nname = 'demo'\n[thresholds]"), "two of `rooms` are called 'demo'"),
        (("[thresholds]", "[[phases]]\nname = 'b'\nseconds = 1\npresent = 0.5\n[thresholds]"), "`present` does not fall"),
        (('title = "Small"', "title = "), "is not TOML: "),
        (("[[rooms]]", "[rooms]"), "rooms: Expected `array`, got `object`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    """A file that is no scenario is told by key, with what is accepted instead."""
    with pytest.raises(BadScenario) as caught:
        spec.read(Path(small_file(tmp_path, SMALL.replace(*change))))
    assert says in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """A missing file is answered with the shipped names; one that cannot be read says why."""
    with pytest.raises(BadScenario, match="Shipped scenarios: capacity, giant"):
        spec.read(Path("nothing.toml"))
    with pytest.raises(BadScenario, match="cannot be read"):
        spec.read(tmp_path)


def test_rates_over_time() -> None:
    """A rate stays, moves evenly, has a burst on top, or rises in steps."""
    assert Phase(name="p", seconds=10, rate=5).segments() == [[Segment(10, 5, 5)]]
    assert Phase(name="p", seconds=10, rate=5, to_rate=15).segments() == [[Segment(10, 5, 15)]]
    burst = Phase(name="p", seconds=10, rate=5, burst_times=20, burst_at_s=4, burst_s=2)
    assert burst.segments() == [[Segment(4, 5, 5), Segment(2, 100, 100), Segment(4, 5, 5)]]
    first = Phase(name="p", seconds=10, rate=5, burst_times=20, burst_s=2)
    assert first.segments() == [[Segment(2, 100, 100), Segment(8, 5, 5)]]
    stairs = Phase(name="p", seconds=9, rate=10, to_rate=30, steps=3)
    assert stairs.segments() == [[Segment(3, 10, 10)], [Segment(3, 20, 20)], [Segment(3, 30, 30)]]


def test_sizes() -> None:
    """A smaller scenario has fewer people and comments, but at least one of each kind; many rooms become fewer rooms."""
    scenario = small([Phase(name="a", seconds=30, rate=100, burst_s=3, page_reads_per_s=10)], viewers=100, raiders=3)
    tiny = spec.resize(scenario, 0.1, 3.0)
    assert (tiny.rooms[0].viewers, tiny.rooms[0].senders, tiny.rooms[0].raiders) == (10, 1, 1)
    assert [tiny.phases[0].seconds, tiny.phases[0].rate, tiny.phases[0].burst_s] == pytest.approx([3, 10, 0.3])
    many = spec.resize(Scenario(title="m", rooms=[spec.Rooms(name="r", count=50)], phases=scenario.phases[:1]), 0.1)
    assert many.rooms[0].names() == ["r-1", "r-2", "r-3", "r-4", "r-5"]
    assert many.rooms[0].viewers == 100


def test_settings_of_a_server_of_our_own() -> None:
    """Settings are told as environment variables are."""
    assert small(server={"tick_ms": 20, "demo": True, "x": "y"}).settings() == {"tick_ms": "20", "demo": "true", "x": "y"}


def test_the_documentation(tmp_path: Path) -> None:
    """The example of docs/load-tests.md is a scenario; each threshold, key of a phase and shipped file is named there."""
    text = (Path(__file__).parents[2] / "docs" / "load-tests.md").read_text()
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert spec.read(Path(small_file(tmp_path, example))).title == "Tonight's final"
    for kind in (spec.Thresholds, Phase):
        missing = [field.name for field in msgspec.structs.fields(kind) if field.name not in text]
        assert missing == []
    assert [name for name in spec.names() if f"| `{name}` |" not in text] == []
