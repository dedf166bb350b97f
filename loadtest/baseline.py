"""Whether a step of a comment's way became slower: its time as a ratio to a computation of the same run, beside the stored ratio.

A machine that is slow today is slow with the reference computation as well, so that ratios may be compared between days and, within
the tolerance, between machines. Pure but for reading and writing the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

STORED: Final = Path(__file__).with_name("baseline.json")
TOLERANCE: Final = 1.3
"""Times the stored ratio that is still no regression. Runs on a busy machine differ by up to a tenth, processors by more."""

State = Literal["as before", "slower", "faster", "new", "gone"]


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """Ratios by name of the step, and where they come from."""

    made: str
    machine: str
    ratios: dict[str, float]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what it takes now and what the baseline has; ``change`` is the one by the other (None: one is missing)."""

    name: str
    us: float | None
    ratio: float | None
    stored: float | None
    change: float | None
    state: State


def ratio_of(times: Sequence[float], reference: Sequence[float]) -> float:
    """The ratio of a step to the reference, from the times of both in rounds that took turns: that of their least times.

    What disturbs a measurement only ever adds to it; the least of many is the time itself. Raises ValueError when there are none, or
    one is not above 0.
    """
    if not times or not reference or min(*times, *reference) <= 0:
        raise ValueError("times above 0 are needed, of the step and of the reference")
    return min(times) / min(reference)


def compare(now: Mapping[str, tuple[float, float]], stored: Mapping[str, float], tolerance: float = TOLERANCE) -> list[Row]:
    """Hold ``(microseconds, ratio)`` of each step against the stored ratios, in the order of ``now``; then what is gone.

    ``tolerance`` above 1. A step without a stored ratio is new, one that is no longer measured is gone: neither is a regression, and
    both ask for a new baseline.
    """
    if tolerance <= 1:
        raise ValueError("a tolerance is above 1")
    rows = []
    for name, (us, ratio) in now.items():
        before = stored.get(name)
        change = None if before is None else ratio / before
        state: State = (
            "new" if change is None else "slower" if change > tolerance else "faster" if change < 1 / tolerance else "as before"
        )
        rows.append(Row(name=name, us=us, ratio=ratio, stored=before, change=change, state=state))
    gone = [
        Row(name=name, us=None, ratio=None, stored=ratio, change=None, state="gone")
        for name, ratio in stored.items()
        if name not in now
    ]
    return [*rows, *gone]


def slower(rows: Sequence[Row]) -> list[str]:
    """The steps that became slower."""
    return [row.name for row in rows if row.state == "slower"]


def load(path: Path = STORED) -> Baseline:
    """A stored baseline. Raises ValueError that says what is wrong with the file."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); --save makes one.") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no baseline: {error}.") from None
    if not all(ratio > 0 for ratio in found.ratios.values()):
        raise ValueError(f"{path} is no baseline: ratios are above 0.")
    return found


def save(baseline: Baseline, path: Path = STORED) -> None:
    """Write a baseline."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n")
