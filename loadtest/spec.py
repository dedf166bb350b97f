"""Scenario files: what a run of ``python -m loadtest run`` does, and what must hold of it. TOML in, checked values out.

The names of the tables are the keys of the file; units stand in their ends (``_s`` seconds, ``_ms`` milliseconds, ``per_s`` a
second, ``share`` 0 to 1). :func:`read` says in one sentence what is wrong with a file, by the name of the key, and what is
accepted instead.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from loadtest.arrivals import Segment

SHIPPED: Final = Path(__file__).parent / "scenarios"
"""The folder of the scenarios that come with the tool."""
MINIMA: Final = frozenset({"capacity_per_s", "accepted_per_s", "deliveries_per_cpu_s"})
"""Thresholds that a figure must reach; all others it must not exceed."""

Positive = Annotated[float, Meta(gt=0)]
Amount = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,40}$")]


class BadScenario(ValueError):
    """The file is no scenario; the text says why."""


def given(table: msgspec.Struct) -> dict[str, float]:
    """The keys of a table of thresholds that the file gives."""
    return {name: value for name, value in msgspec.structs.asdict(table).items() if value is not None}


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold; a key that is not given is not judged. Latencies count from the intended time of sending."""

    p50_ms: Positive | None = None
    p99_ms: Positive | None = None
    p99_9_ms: Positive | None = None
    max_ms: Positive | None = None
    ack_p99_ms: Positive | None = None
    removal_p99_ms: Positive | None = None
    removal_failures: Count | None = None
    page_p99_ms: Positive | None = None
    return_p99_ms: Positive | None = None
    loss: Count | None = None
    refused_share: Share | None = None
    unanswered_share: Share | None = None
    gap_share: Share | None = None
    left_out_share: Share | None = None
    page_error_share: Share | None = None
    raid_passed_share: Share | None = None
    absent: Count | None = None
    server_cpu_share: Positive | None = None
    server_rss_mb: Positive | None = None
    rss_slope_mb_per_h: Positive | None = None
    descriptor_slope_per_h: Positive | None = None
    p99_drift: Positive | None = None
    capacity_per_s: Positive | None = None
    accepted_per_s: Positive | None = None
    deliveries_per_cpu_s: Positive | None = None

    def given(self) -> dict[str, float]:
        """The thresholds that the file gives."""
        return given(self)


class RoomsThresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold of the deliveries in rooms of one kind.

    ``p99_rise``: p99 of the worst phase, as a multiple of the first one's.
    """

    p50_ms: Positive | None = None
    p99_ms: Positive | None = None
    p99_9_ms: Positive | None = None
    max_ms: Positive | None = None
    p99_rise: Positive | None = None


class Rooms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rooms of one kind. ``viewers`` and ``senders`` are those of each room; senders are viewers as well, raiders too.

    ``weight``: part of the comments that goes to these rooms, beside the weights of the others. ``cut`` false: what phases cut are
    the connections of other rooms. With ``count`` above 1 the rooms are called ``name-1``, ``name-2`` and so on.
    """

    name: Name = "demo"
    count: Annotated[int, Meta(ge=1, le=20_000)] = 1
    viewers: Annotated[int, Meta(ge=1, le=100_000)] = 100
    senders: Count = 10
    raiders: Count = 0
    weight: Amount = 1.0
    cut: bool = True
    thresholds: RoomsThresholds = RoomsThresholds()

    def names(self) -> list[str]:
        """What these rooms are called."""
        return [self.name] if self.count == 1 else [f"{self.name}-{number}" for number in range(1, self.count + 1)]


class Phase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part of a run. ``rate`` is the number of comments a second in all rooms together.

    A rate may move to ``to_rate``, evenly or in ``steps``, and be multiplied by ``burst_times`` for ``burst_s`` from
    ``burst_at_s`` on. With ``until_broken`` the steps end with the first that breaks a threshold of the phase.
    """

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    seconds: Positive
    rate: Amount = 0.0
    to_rate: Amount | None = None
    steps: Annotated[int, Meta(ge=1, le=100)] = 1
    until_broken: bool = False
    burst_times: Annotated[float, Meta(ge=1)] = 1.0
    burst_at_s: Amount = 0.0
    burst_s: Amount = 0.0
    present: Annotated[float, Meta(gt=0, le=1)] = 1.0
    cut_share: Share = 0.0
    cut_every_s: Amount = 0.0
    away_max_s: Amount = 0.0
    slow_share: Share = 0.0
    page_reads_per_s: Amount = 0.0
    takedowns_per_s: Amount = 0.0
    raid_per_s: Amount = 0.0
    warm_up: bool = False
    thresholds: Thresholds = Thresholds()

    def __post_init__(self) -> None:
        if self.burst_at_s + self.burst_s > self.seconds:
            raise ValueError("`burst_at_s` and `burst_s` together are at most `seconds`")
        if self.steps > 1 and self.to_rate is None:
            raise ValueError("`steps` needs `to_rate`")
        if self.until_broken and (self.steps == 1 or not self.thresholds.given()):
            raise ValueError("`until_broken` needs `steps` above 1 and `thresholds` of the phase")

    def segments(self) -> list[list[Segment]]:
        """The rate over time: one list for each step (a phase without steps has one)."""
        if self.steps > 1:
            assert self.to_rate is not None
            rise = (self.to_rate - self.rate) / (self.steps - 1)
            return [
                [Segment(self.seconds / self.steps, self.rate + rise * step, self.rate + rise * step)]
                for step in range(self.steps)
            ]
        marks = [0.0, self.burst_at_s, self.burst_at_s + self.burst_s, self.seconds] if self.burst_s else [0.0, self.seconds]
        end = self.rate if self.to_rate is None else self.to_rate
        at = [self.rate + (end - self.rate) * mark / self.seconds for mark in marks]
        times = [1.0, self.burst_times, 1.0]
        return [
            [
                Segment(marks[i + 1] - marks[i], at[i] * times[i], at[i + 1] * times[i])
                for i in range(len(marks) - 1)
                if marks[i + 1] > marks[i]
            ]
        ]


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file. ``server`` are settings of a server that the tool starts itself (``barrage settings`` lists them)."""

    title: Annotated[str, Meta(min_length=1, max_length=100)]
    about: str = ""
    seed: int = 1
    arrivals: Literal["poisson", "steady"] = "poisson"
    deflate: bool = True
    entry_per_s: Positive = 500.0
    per_address: Count = 100
    patience_s: Positive = 5.0
    drain_s: Positive = 15.0
    pages: bool = True
    texts: str = ""
    server: dict[str, str | int | float | bool] = {}
    rooms: Annotated[list[Rooms], Meta(min_length=1)]
    phases: Annotated[list[Phase], Meta(min_length=1)]
    thresholds: Thresholds = Thresholds()

    def __post_init__(self) -> None:
        for key, names in (
            ("rooms", [name for rooms in self.rooms for name in rooms.names()]),
            ("phases", [p.name for p in self.phases]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1}) if len(names) < 3000 else []
            if twice:
                raise ValueError(f"two of `{key}` are called {twice[0]!r}; each needs a `name` of its own")
        if any(phase.rate or phase.to_rate for phase in self.phases) and not any(r.senders and r.weight for r in self.rooms):
            raise ValueError("a phase has a `rate`, and no room has `senders` and a `weight` above 0")
        if any(phase.raid_per_s for phase in self.phases) and not any(rooms.raiders for rooms in self.rooms):
            raise ValueError("a phase has `raid_per_s`, and no room has `raiders`")
        shares = [phase.present for phase in self.phases]
        if shares != sorted(shares):
            raise ValueError("`present` does not fall from phase to phase: viewers enter later, they do not leave")

    @property
    def seconds(self) -> float:
        """How long the phases take together."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def viewers(self) -> int:
        """Connections of the whole run."""
        return sum(rooms.count * max(rooms.viewers, rooms.senders + rooms.raiders) for rooms in self.rooms)

    def settings(self) -> dict[str, str]:
        """``server`` as the values of environment variables."""
        return {
            name: ("true" if value else "false") if isinstance(value, bool) else str(value)
            for name, value in self.server.items()
        }


def read(path: Path) -> Scenario:
    """A scenario from a file; a bare name (``quiet-room``) is one of those that are shipped. Raises BadScenario."""
    path = find(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadScenario(f"{path} cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadScenario(f"{path} is not TOML: {error}.") from None
    try:
        _known_keys(raw)
        return msgspec.convert(raw, Scenario)
    except (msgspec.ValidationError, BadScenario) as error:
        raise BadScenario(f"{path}: {_plain(str(error))}.") from None


def find(path: Path) -> Path:
    """The file itself, or the shipped one of that name. Raises BadScenario that lists them."""
    shipped = SHIPPED / f"{path.name.removesuffix('.toml')}.toml"
    if path.exists():
        return path
    if path.parent == Path() and shipped.exists():
        return shipped
    raise BadScenario(f"there is no file {path}. Shipped scenarios: {', '.join(names())}.")


def names() -> list[str]:
    """The shipped scenarios."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def _known_keys(raw: dict[str, Any]) -> None:
    """msgspec names an unknown key; a person also wants to know which ones there are."""
    tables: list[tuple[str, Any, type[msgspec.Struct]]] = [
        ("", raw, Scenario),
        ("thresholds", raw.get("thresholds"), Thresholds),
    ]
    rows_of: list[tuple[str, type[msgspec.Struct]]] = [("rooms", Rooms), ("phases", Phase)]
    for key, kind in rows_of:
        rows = raw.get(key)
        for number, row in enumerate(rows if isinstance(rows, list) else []):
            tables.append((f"{key}[{number}]", row, kind))
            if isinstance(row, dict):
                thresholds = Thresholds if kind is Phase else RoomsThresholds
                tables.append((f"{key}[{number}].thresholds", row.get("thresholds"), thresholds))
    for where, table, struct in tables:
        known = [field.name for field in msgspec.structs.fields(struct)]
        for key in table if isinstance(table, dict) else ():
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise BadScenario(f"unknown key {f'{where}.' if where else ''}{key}.{hint} Accepted there: {', '.join(known)}")


def _plain(text: str) -> str:
    """msgspec's words without its notation for paths."""
    said, at, where = text.partition(" - at `$")
    where = where.rstrip("`").removeprefix(".")
    return f"{where}: {said}" if at and where else said


# ---------------------------------------------------------------------------------------------------------------------
# The same scenario, smaller or shorter


def resize(scenario: Scenario, scale: float = 1.0, seconds: float | None = None) -> Scenario:
    """The scenario with ``scale`` times its people and comments (at least one of each kind), in ``seconds`` altogether."""
    pace = 1.0 if seconds is None else seconds / scenario.seconds
    return msgspec.structs.replace(
        scenario,
        rooms=[_scaled_rooms(rooms, scale) for rooms in scenario.rooms],
        phases=[_scaled_phase(phase, scale, pace) for phase in scenario.phases],
    )


def _scaled_rooms(rooms: Rooms, scale: float) -> Rooms:
    # Many rooms become fewer rooms of the same size; one room becomes a smaller one.
    if rooms.count > 1:
        return msgspec.structs.replace(rooms, count=max(2, round(rooms.count * scale)))
    return msgspec.structs.replace(
        rooms,
        viewers=_scaled(rooms.viewers, scale),
        senders=_scaled(rooms.senders, scale),
        raiders=_scaled(rooms.raiders, scale),
    )


def _scaled(number: int, scale: float) -> int:
    return max(1, round(number * scale)) if number else 0


def _scaled_phase(phase: Phase, scale: float, pace: float) -> Phase:
    return msgspec.structs.replace(
        phase,
        seconds=phase.seconds * pace,
        burst_at_s=phase.burst_at_s * pace,
        burst_s=phase.burst_s * pace,
        rate=phase.rate * scale,
        to_rate=None if phase.to_rate is None else phase.to_rate * scale,
        page_reads_per_s=phase.page_reads_per_s * scale,
        takedowns_per_s=phase.takedowns_per_s * scale,
        raid_per_s=phase.raid_per_s * scale,
    )
