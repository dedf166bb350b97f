"""Does a long log cost more than a short one? ``python -m loadtest long-log``.

Two rooms are made, a short and a long one, with the same number of rows on their newest pages. The pages of the long one are made
again from its log, which is timed, as after ``barrage rebuild``. Then a server opens the newest static page and the page of each
room, in blocks that take turns: what an opening takes the reader, and the server's processor, is compared.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import click
import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from loadtest import report, texts
from loadtest.launch import pin
from loadtest.local import UNBOUND, LocalServer
from loadtest.outcome import EXIT_BROKEN
from loadtest.processes import sample
from server.store.base import CommentDraft, Draft
from server.store.sql import SqlStore
from server.wire import page_path
from static_mirror import Mirror, rebuild

SHORT: Final = "short"
LONG: Final = "long"
PAGE_ROWS: Final = 256
BATCH: Final = 2000
BLOCKS: Final = 10
RATIO_MAX: Final = 1.2
"""How much more an opening may cost in the long room."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Opening one page of one room. ``cpu_ms`` is the server's processor time for each, ``ms`` the reader's median."""

    page: str
    room: str
    size: int
    ms: float
    cpu_ms: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the command came to. Seconds are of the whole work, ``*_cpu_s`` of this process's processor time for it."""

    command: str
    commit: str
    machine: report.Machine
    comments: dict[str, int]
    log_s: float
    rebuild_s: float
    rebuild_cpu_s: float
    rebuild_rows_per_s: float
    pages: int
    openings: list[Opening]
    ratios: dict[str, float]

    @property
    def exit_code(self) -> int:
        """0 when no opening costs more than allowed in the long room, else 99."""
        return EXIT_BROKEN if any(ratio > RATIO_MAX for ratio in self.ratios.values()) else 0


def same_rows(least: int, like: int) -> int:
    """The least number of comments from ``least`` on that leaves as many rows on the newest page as ``like`` comments do."""
    return least + (like - least) % PAGE_ROWS


def drafts(room: str, number: int) -> Iterator[list[Draft]]:
    """So many comments by 3,118 accounts, in batches."""
    said = texts.made_up()
    made = (
        CommentDraft(
            room=room, author=f"account-{at % 3118}", key=f"{room}-{at:012x}", at_ms=1_790_000_000_000 + at, pos_ms=at,
            text=next(said), mode="scroll", color="#ffffff", size=25, author_id=f"{at % 3118:016x}", author_name=f"观众{at % 3118}",
            verdict=b'{"rules":"0123456789abcdef","action":"accept"}',
        )
        for at in range(number)
    )  # fmt: skip
    while batch := list(islice(made, BATCH)):
        yield [*batch]


def fill(store: SqlStore, room: str, number: int) -> None:
    """A room with so many comments."""
    store.create_room(room, f"The {room} room", "live", 1_790_000_000_000)
    for batch in drafts(room, number):
        store.append(batch)


def make_pages(store: SqlStore, pages: Path, room: str, number: int) -> tuple[float, float, int]:
    """Make all pages of a room from its log; returns seconds, seconds of processor time, and pages."""
    mirror = Mirror(pages)
    started, cpu = perf_counter(), process_time()
    made = rebuild(mirror, room, f"The {room} room", number, lambda after, limit: store.read(room, after, limit))
    took, cpu = perf_counter() - started, process_time() - cpu
    mirror.close()
    return took, cpu, made.written


def open_pages(url: str, pid: int, heads: dict[str, int], opens: int) -> list[Opening]:
    """Open the newest static page and the room's page of each room ``opens`` times, in blocks that take turns."""
    targets = {
        (page, room): address(room, head)
        for page, address in (("newest static page", page_path), ("room page", lambda room, head: f"/rooms/{room}"))
        for room, head in heads.items()
    }
    times: dict[tuple[str, str], list[float]] = {target: [] for target in targets}
    cpu: dict[tuple[str, str], list[float]] = {target: [] for target in targets}
    sizes: dict[tuple[str, str], int] = {}
    each = max(1, opens // BLOCKS)
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        for _ in range(BLOCKS + 1):  # the first block warms up
            for target, address in targets.items():
                before = sample(pid).cpu_s
                took = [_open(http, address, sizes, target) for _ in range(each)]
                cpu[target].append((sample(pid).cpu_s - before) / each)
                times[target].append(statistics.median(took))
    return [
        Opening(page=page, room=room, size=sizes[page, room], ms=round(statistics.median(times[page, room][1:]) * 1000, 3),
                cpu_ms=round(statistics.mean(cpu[page, room][1:]) * 1000, 3))
        for page, room in targets
    ]  # fmt: skip


def _open(http: httpx.Client, address: str, sizes: dict[tuple[str, str], int], target: tuple[str, str]) -> float:
    started = perf_counter()
    answer = http.get(address)
    took = perf_counter() - started
    answer.raise_for_status()
    sizes[target] = len(answer.content)
    return took


def ratios(openings: Sequence[Opening]) -> dict[str, float]:
    """What an opening costs in the long room, as a multiple of the short one: by page, for the reader and for the processor."""
    by = {(each.page, each.room): each for each in openings}
    found = {}
    for page in dict.fromkeys(each.page for each in openings):
        short, long = by[page, SHORT], by[page, LONG]
        found[f"{page}, time"] = round(long.ms / short.ms, 3)
        if short.cpu_ms:
            found[f"{page}, processor"] = round(long.cpu_ms / short.cpu_ms, 3)
    return found


def run(folder: Path, short: int, long: int, opens: int, cpus: tuple[int, int], notify: Callable[[str], None]) -> Found:
    """See the module's text. ``cpus``: cores of the server and of the reader. Raises RuntimeError when no server starts."""
    data = folder / "data"
    data.mkdir(parents=True)
    heads = {SHORT: short, LONG: same_rows(long, short)}
    store = SqlStore.open(data / "barrage.db")
    try:
        fill(store, SHORT, heads[SHORT])
        make_pages(store, data / "pages", SHORT, heads[SHORT])
        notify(f"writing a log of {heads[LONG]:,} comments")
        started = perf_counter()
        fill(store, LONG, heads[LONG])
        log_s = perf_counter() - started
        notify(f"making the pages of {heads[LONG]:,} comments")
        rebuild_s, rebuild_cpu_s, pages = make_pages(store, data / "pages", LONG, heads[LONG])
    finally:
        store.close()
    notify("opening pages")
    with LocalServer(folder, cpu=cpus[0], settings=UNBOUND) as server:
        pin(cpus[1])
        openings = open_pages(server.url, server.pid, heads, opens)
    return Found(
        command=report.command(), commit=report.commit(), machine=report.machine(), comments=heads, log_s=round(log_s, 2),
        rebuild_s=round(rebuild_s, 2), rebuild_cpu_s=round(rebuild_cpu_s, 2), rebuild_rows_per_s=round(heads[LONG] / rebuild_s),
        pages=pages, openings=openings, ratios=ratios(openings),
    )  # fmt: skip


@click.command(name="long-log")
@click.option("--short", type=click.IntRange(min=1), default=1000, show_default=True, help="Comments of the short room.")
@click.option(
    "--long", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="Comments of the long room, at least."
)
@click.option(
    "--opens", type=click.IntRange(min=BLOCKS), default=1000, show_default=True, help="How often each page is opened."
)
@click.option("--server-cpu", type=int, default=0, show_default=True, help="Core of the server.")
@click.option("--cpu", type=int, default=1, show_default=True, help="Core of the reader.")
@click.option("--folder", type=click.Path(path_type=Path), help="New folder to work in and to keep; else a temporary one.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def long_log(short: int, long: int, opens: int, server_cpu: int, cpu: int, folder: Path | None, *, as_json: bool) -> None:
    """Time pages of a short and a long log. Exit status: 0 within a fifth of each other, 99 not, 1 it did not work."""
    with tempfile.TemporaryDirectory(prefix="barrage-load-") as temporary, Console(stderr=True).status("a short log") as status:
        try:
            found = run((folder or Path(temporary)) / "long-log", short, long, opens, (server_cpu, cpu), status.update)
        except (RuntimeError, OSError, httpx.HTTPError) as error:
            raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        show(found, Console())
    sys.exit(found.exit_code)


def show(found: Found, console: Console) -> None:
    """Print what was found."""
    console.print(
        f"log of {found.comments[LONG]:,} comments written in {found.log_s:,.1f} s; {found.pages:,} pages made from it in "
        f"{found.rebuild_s:,.1f} s ({found.rebuild_rows_per_s:,} comments/s, {found.rebuild_cpu_s:,.1f} s of processor time)",
        soft_wrap=True,
    )
    table = Table(title="opening a page", title_justify="left")
    for head in ("page", "comments", "bytes", "ms", "server, ms of processor"):
        table.add_column(head, justify="left" if head == "page" else "right")
    for each in found.openings:
        table.add_row(each.page, f"{found.comments[each.room]:,}", f"{each.size:,}", f"{each.ms:.2f}", f"{each.cpu_ms:.2f}")
    console.print(table)
    for name, ratio in found.ratios.items():
        mark = "[green]holds[/]" if ratio <= RATIO_MAX else "[red]broken[/]"
        console.print(f"{name}: {ratio:.2f} times, asked at most {RATIO_MAX:g}: {mark}", highlight=False)
