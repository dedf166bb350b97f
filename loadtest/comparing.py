"""Two results side by side, as ratios."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from loadtest.outcome import Result

ALIKE: Final = 0.1
"""Two runs of the same server differ by so much without any cause."""
_MORE_IS_BETTER: Final = frozenset(
    {"capacity_per_s", "accepted_per_s", "deliveries_per_s", "deliveries_per_cpu_s", "page_reads_per_s"}
)
_NEITHER: Final = frozenset({"sent_per_s"})

Change = Literal["better", "worse", "alike", ""]


class Row(NamedTuple):
    """One figure of both. ``ratio`` is after to before; None: one of them has none, or before is 0."""

    name: str
    before: float | None
    after: float | None
    ratio: float | None
    change: Change

    @property
    def before_text(self) -> str:
        """The first figure for people."""
        return _text(self.before)

    @property
    def after_text(self) -> str:
        """The second figure for people."""
        return _text(self.after)

    @property
    def ratio_text(self) -> str:
        """The ratio for people."""
        return "" if self.ratio is None else f"{self.ratio:.2f}"


class Comparison(NamedTuple):
    """All figures that one of the two has. ``notes`` say why the two may not be comparable."""

    title: str
    before: Result
    after: Result
    rows: list[Row]
    notes: list[str]

    @classmethod
    def of(cls, before: Result, after: Result) -> Comparison:
        """Hold ``after`` against ``before``."""
        names = list(dict.fromkeys([*before.figures, *after.figures]))
        rows = [_row(name, before.figures.get(name), after.figures.get(name)) for name in names]
        rows = [row for row in rows if row.before is not None or row.after is not None]
        return cls(f"{before.title}: {before.started} and {after.started}", before, after, rows, _notes(before, after))


def _row(name: str, before: float | None, after: float | None) -> Row:
    ratio = after / before if before and after is not None else None
    change: Change = ""
    if before is not None and after is not None and name not in _NEITHER:
        if ratio is None:
            grew = after > before
            change = "alike" if after == before else "better" if grew == (name in _MORE_IS_BETTER) else "worse"
        elif abs(ratio - 1) <= ALIKE:
            change = "alike"
        else:
            change = "better" if (ratio > 1) == (name in _MORE_IS_BETTER) else "worse"
    return Row(name.replace("_", " "), before, after, ratio, change)


def _notes(before: Result, after: Result) -> list[str]:
    notes = [f"{which} run: {each.verdict}" for which, each in (("First", before), ("Second", after)) if each.exit_code]
    for name, one, other in (
        ("scenario", before.scenario, after.scenario),
        ("scale", before.scale, after.scale),
        ("length in seconds", before.seconds, after.seconds),
        ("processor", before.machine.cpu, after.machine.cpu),
        ("number of cores", before.machine.cpus, after.machine.cpus),
        ("commit", before.commit, after.commit),
    ):
        if one != other:
            notes.append(f"The {name} differs: {one} and {other}.")
    return notes


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
