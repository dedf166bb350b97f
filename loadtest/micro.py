"""What each step of a comment's way costs, held against a stored baseline: ``python -m loadtest micro``, ``make bench``.

Times are processor time of one thread, as microseconds for each comment and as a ratio to a reference computation that is run between
the steps. The least of many short rounds counts. Nothing waits for a disk: files and the database stand in memory where the
system has a folder there. A step that seems slower than the tolerance allows is measured again before that is said.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import thread_time
from typing import Final, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.table import Table

from filters import default_pipeline
from filters.config import ScreeningConfig
from filters.verdict import Candidate
from loadtest import baseline, report, texts
from loadtest.baseline import Baseline, Row
from loadtest.micro_pages import make_log
from loadtest.micro_store import make_batches
from loadtest.outcome import EXIT_BROKEN
from server.core.hub import Frames
from server.core.room import Room
from server.core.sampling import Sampler
from server.store.base import Draft
from server.store.sql import SqlStore
from server.wire import Event, Say, decode, encode_event, encode_events
from static_mirror import Mirror, repair

BATCH: Final = 100
ROUNDS: Final = 60
AGAIN: Final = 2
"""How often steps that seem slower are measured again."""
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- a folder of our own is made in it


class Step(NamedTuple):
    """``work`` does the step for :data:`BATCH` comments; it may be called any number of times."""

    name: str
    work: Callable[[], object]


def reference() -> None:
    """The computation to which everything is compared: a bit of all that the steps are made of, the interpreter foremost."""
    table: dict[str, int] = {}
    for number in range(600):
        name = f"viewer-{number % 97}"
        table[name] = table.get(name, 0) + len(name)
    text = json.dumps([{"seq": number, "text": "前方高能请注意"} for number in range(60)])
    json.loads(text)
    zlib.compress(text.encode(), 6)
    hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def all_steps(folder: Path) -> Iterator[list[Step]]:
    """The steps, over files in ``folder``."""
    log = make_log(BATCH)
    encoded = [encode_event(event) for event in log]
    batch = encode_events("bench", encoded)
    with ExitStack() as stack:
        yield [
            Step("decode", _decoding()),
            Step("screen", _screening()),
            Step("commit", _committing(folder, stack)),
            Step("encode", lambda: [encode_event(event) for event in log]),
            Step("ring", _ring(log)),
            Step("page rows", _rows(folder, stack)),
            Step("frame", lambda: Frames(encode_events("bench", encoded), 300, 6).plain),
            Step("deflate", lambda: Frames(batch, 300, 6).deflated),
            Step("choose what goes live", _choosing()),
        ]


def _decoding() -> Callable[[], object]:
    said = texts.made_up()
    frames = [msgspec.json.encode(Say("bench", f"{number:032x}", next(said))) for number in range(BATCH)]
    return lambda: [decode(frame) for frame in frames]


def _screening() -> Callable[[], object]:
    """Texts that were not heard before, by 1,000 accounts, under the rules that ship, with rates that bind nobody."""
    free = ScreeningConfig(account_interval_ms=0, room_interval_ms=0, address_interval_ms=0, repeat_interval_ms=0)
    pipeline = default_pipeline(free)
    said, number = texts.made_up(), count()

    def work() -> None:
        for _ in range(BATCH):
            at = next(number)
            pipeline.screen(
                Candidate(text=next(said), room="bench", author=f"account-{at % 1000}", address=f"10.0.{at % 250}.1"), at, at
            )

    return work


def _committing(folder: Path, stack: ExitStack) -> Callable[[], object]:
    store = SqlStore.open(folder / "bench.db")
    stack.callback(store.close)
    store.create_room("room0", "Benchmark", "live", 0)
    serial = count()

    def work() -> None:
        at = next(serial)
        drafts: list[Draft] = [msgspec.structs.replace(draft, key=f"{at:012x}{draft.key[12:]}") for draft in made]  # type: ignore[union-attr]
        store.append(drafts)

    made = make_batches(BATCH, BATCH, 1, ordered=True)[0]
    return work


def _ring(log: Sequence[Event]) -> Callable[[], object]:
    room: Room[object] = Room("bench", "e", 0, "open", 1024)

    def work() -> None:
        for event in log:
            room.commit(msgspec.structs.replace(event, seq=room.head + 1))
        room.batch()
        room.published(room.head)

    return work


def _rows(folder: Path, stack: ExitStack) -> Callable[[], object]:
    """Rows go to the open page, and to the next ones as they fill; full pages are left as they are, sealing is other work."""
    mirror = Mirror(folder / "pages")
    stack.callback(mirror.close)
    repair(mirror, "bench", "Benchmark", 0, lambda after, limit: [])
    serial = count(1)
    log = make_log(BATCH)
    return lambda: mirror.append("bench", [msgspec.structs.replace(event, seq=next(serial)) for event in log])


def _choosing() -> Callable[[], object]:
    sampler = Sampler(1)
    return lambda: sampler.leave_out(range(BATCH), BATCH // 2)


def timed(work: Callable[[], object]) -> float:
    """Seconds of this thread's processor time that one call takes."""
    started = thread_time()
    work()
    return thread_time() - started


def measure(
    steps: Sequence[Step], rounds: int, notify: Callable[[str], None] = lambda text: None
) -> dict[str, tuple[float, float]]:
    """For each step microseconds of a comment and the ratio to the reference, from ``rounds`` rounds that take turns."""
    references: list[float] = []
    times: dict[str, list[float]] = {step.name: [] for step in steps}
    for step in (*steps, Step("reference", reference)):
        step.work()  # what is done once, such as filling caches, is not meant
    for number in range(rounds):
        notify(f"round {number + 1} of {rounds}")
        for step in steps:
            references.append(timed(reference))
            times[step.name].append(timed(step.work))
    return {name: (min(took) / BATCH * 1e6, baseline.ratio_of(took, references) / BATCH) for name, took in times.items()}


def judge(
    steps: Sequence[Step], stored: dict[str, float], rounds: int, tolerance: float, notify: Callable[[str], None]
) -> list[Row]:
    """Measure and compare; what seems slower is measured again, and its least ratio counts."""
    found = measure(steps, rounds, notify)
    for _ in range(AGAIN):
        doubtful = baseline.slower(baseline.compare(found, stored, tolerance))
        if not doubtful:
            break
        again = measure([step for step in steps if step.name in doubtful], rounds, lambda text: notify(f"again, {text}"))
        found.update({name: min(found[name], again[name], key=lambda each: each[1]) for name in again})
    return baseline.compare(found, stored, tolerance)


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=ROUNDS, show_default=True, help="Rounds; the least time counts.")
@click.option("--tolerance", type=click.FloatRange(1, min_open=True), default=baseline.TOLERANCE, show_default=True,
              help="Times the stored ratio that is no regression.")  # fmt: skip
@click.option("--only", multiple=True, metavar="STEP", help="Only this step; may be repeated.")
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), default=baseline.STORED, help="The baseline. [the shipped one]"
)
@click.option("--save", is_flag=True, help="Store what was measured as the new baseline.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def micro(rounds: int, tolerance: float, only: tuple[str, ...], file: Path, *, save: bool, as_json: bool) -> None:
    """Time the steps of a comment's way against the stored baseline. Exit status: 0 none is slower, 99 one is, 2 no baseline."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder, all_steps(Path(folder)) as steps:
        unknown = sorted(set(only) - {step.name for step in steps})
        if unknown:
            raise click.UsageError(f"no step {unknown[0]!r}; there are: {', '.join(step.name for step in steps)}")
        chosen = [step for step in steps if not only or step.name in only]
        stored = {} if save else _stored(file, chosen)
        with console.status("measuring") as status:
            rows = judge(chosen, stored, rounds, tolerance, status.update)
    if save:
        ratios = {row.name: float(f"{row.ratio:.4g}") for row in rows if row.ratio is not None}
        kept = _stored(file, None) if only and file.exists() else {}
        machine = f"{report.machine().cpu}, {report.machine().python}"
        baseline.save(Baseline(made=datetime.now(UTC).date().isoformat(), machine=machine, ratios=kept | ratios), file)
    if as_json:
        click.echo(msgspec.json.encode(rows))
    else:
        show(rows, Console())
    sys.exit(EXIT_BROKEN if baseline.slower(rows) else 0)


def _stored(file: Path, chosen: Sequence[Step] | None) -> dict[str, float]:
    try:
        ratios = baseline.load(file).ratios
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if chosen is None:
        return ratios
    return {step.name: ratios[step.name] for step in chosen if step.name in ratios} if len(chosen) < len(ratios) else ratios


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the comparison."""
    table = Table(title="processor time of a comment, by step", title_justify="left")
    for head in ("step", "us", "ratio", "stored", "change", ""):
        table.add_column(head, justify="left" if head in {"step", ""} else "right")
    for row in rows:
        colour = {"slower": "red", "faster": "green", "as before": ""}.get(row.state, "yellow")
        table.add_row(
            row.name, _number(row.us), _number(row.ratio), _number(row.stored), "" if row.change is None else f"{row.change:.2f}x",
            f"[{colour}]{row.state}[/]" if colour else row.state,
        )  # fmt: skip
    console.print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"
