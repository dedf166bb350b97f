"""Microseconds per comment of the authorisation: ``python -m loadtest.micro_permit [--accounts N] [--rounds N]``.

Every comment is of another account, so that caches help no more than they do on a busy server; the accounts are of all levels, with
and without measures and signatures, and some comments have links, colours and modes. Figures are those of the check alone (is the
permit still good, may this be posted), of a check that is refused, and of making a permit, which happens once per standing and day.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from server.accounts.permit import Permit
from server.accounts.standing import Measure, Standing
from server.errors import Refusal
from server.wire import Say

NOW_MS: Final = 1_790_000_000_000
TEXTS: Final = (
    "哈哈哈哈",
    "前方高能请注意不要眨眼",
    "666",
    "see https://video.example",
    "第一次来，这里讲的是什么？",
    "Good point.",
)
LOOKS: Final[tuple[dict[str, Any], ...]] = ({}, {"color": "#ff0000"}, {"mode": "top"}, {"size": 36})
_DAY: Final = NOW_MS // 86_400_000


class Token(NamedTuple):
    """What the token says."""

    verified: bool = True
    agreed: str = "1"


def standings(count: int) -> list[Standing]:
    """Accounts of the levels 0 to 3, every tenth with a measure: it is over, or restricts something, or suspends."""
    made = []
    for number in range(count):
        rung: Any = "suspend" if number % 50 == 7 else "restrict"
        functions: Any = () if rung == "suspend" else ("color",)
        until_ms = NOW_MS - 1 if number % 20 == 17 else 0
        measure = Measure(
            id=f"m-{number}", rung=rung, code="A2", basis="house rule 7", clause="room_rules", functions=functions,
            at_ms=NOW_MS - 1000, until_ms=until_ms,
        )  # fmt: skip
        marks = ((_DAY, (-40, 0, 0, 0, 30, 60)[number % 6]),)
        made.append(Standing(account=f"a-{number}", marks=marks, measures=(measure,) if number % 10 == 7 else ()))
    return made


def comments(count: int) -> list[Say]:
    """Comments whose texts and looks are mixed."""
    looks = itertools.cycle(LOOKS)
    texts = itertools.cycle(TEXTS)
    return [Say(room="r", key=f"{number:032x}", text=next(texts), **next(looks)) for number in range(count)]


def check(permit: Permit, say: Say) -> bool:
    """What a comment costs: is the permit good, and does it let this pass?"""
    if not permit.holds("1", NOW_MS):
        raise AssertionError("the permit should hold")
    try:
        permit.check(say)
    except Refusal:
        return False
    return True


def measure(work: Callable[[int], object], count: int, rounds: int) -> tuple[float, float]:
    """Median and 99th percentile, in microseconds, of ``work(number)``, over slices of at most 100 calls."""
    slice_ = max(1, min(100, count // 4))
    figures: list[float] = []
    for _ in range(rounds):
        for first in range(0, count - slice_ + 1, slice_):
            started = time.perf_counter()
            for number in range(first, first + slice_):
                work(number)
            figures.append((time.perf_counter() - started) / slice_ * 1e6)
    return statistics.median(figures), statistics.quantiles(figures, n=100)[98]


def run(accounts: int, rounds: int) -> list[tuple[str, float, float]]:
    """Rows of the table: what, median, 99th percentile."""
    people = standings(accounts)
    permits = [Permit(person, Token(), "1", NOW_MS) for person in people]
    said = comments(accounts)
    fates = [check(permit, say) for permit, say in zip(permits, said, strict=True)]
    passed = [number for number, fate in enumerate(fates) if fate]
    refused = [number for number, fate in enumerate(fates) if not fate]

    def checking(numbers: Sequence[int]) -> tuple[float, float]:
        return measure(lambda at: check(permits[numbers[at]], said[numbers[at]]), len(numbers), rounds)

    return [
        ("check, passes", *checking(passed)),
        ("check, refused", *checking(refused)),
        ("make a permit", *measure(lambda at: Permit(people[at], Token(), "1", NOW_MS), accounts, max(1, rounds // 5))),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.micro_permit", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args(arguments)
    print(f"{given.accounts:,} accounts, CPython {platform.python_version()}")
    for name, median, p99 in run(given.accounts, given.rounds):
        print(f"{name:<16} median {median:6.2f} us   p99 {p99:6.2f} us")


if __name__ == "__main__":
    main()
