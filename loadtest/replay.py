"""Send a file of real comments as the people who wrote them, and account for every one.

The file is CSV with a header: ``user``, ``sent_at_s`` (Unix time), ``position_ms`` (may be empty), ``mode`` (1 scroll, 4 bottom,
5 top, 6 reverse), ``font_size``, ``color`` (decimal RGB), ``text``. Each user has an account and a connection of its own.
"""

from __future__ import annotations

import asyncio
import csv
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec

from loadtest.arrivals import Pacer
from loadtest.feed import Feed
from loadtest.ledger import Ledger
from loadtest.participants import Look, Participant, enter_all, leave_all, until
from loadtest.readback import Reader
from loadtest.site import Mint, Site
from loadtest.truth import Evidence, Violation, check, same_or_masked
from server.wire import SIZES, Mode

_MODES: Final[dict[str, Mode]] = {"1": "scroll", "4": "bottom", "5": "top", "6": "reverse"}
_COLUMNS: Final = ("user", "sent_at_s", "position_ms", "mode", "font_size", "color", "text")


class Line(msgspec.Struct, frozen=True, gc=False):
    """One comment of the file."""

    user: str
    sent_at_s: float
    position_ms: int
    mode: Mode
    size: int
    color: str
    text: str


class Speed(msgspec.Struct, frozen=True):
    """``per_s`` comments per second, or (``factor``) so many times as fast as they were written; one of them is 0."""

    per_s: float = 0.0
    factor: float = 0.0

    @classmethod
    def of(cls, text: str) -> Speed:
        """From ``2000`` (per second) or ``x60`` (60 times as fast). Raises ValueError."""
        try:
            value = float(text.removeprefix("x"))
        except ValueError:
            value = 0.0
        if not 0 < value < 1e9:
            raise ValueError(f"speed {text!r} is not accepted. Accepted: comments per second (2000), or a factor (x60).")
        return cls(factor=value) if text.startswith("x") else cls(per_s=value)

    def offsets(self, lines: list[Line]) -> Iterator[float]:
        """When each line is due, in seconds from the start."""
        for number, line in enumerate(lines):
            yield number / self.per_s if self.per_s else (line.sent_at_s - lines[0].sent_at_s) / self.factor


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a replay. ``seen_live`` counts comments that at least one viewer received as they came; ``on_pages`` rows.

    ``seen_by_least`` is the number that the viewer with the fewest received: without a gap all of them.
    """

    lines: int
    users: int
    sent: int
    acknowledged: int
    held: int
    refused: int
    refused_by_code: dict[str, int]
    unanswered: int
    retried: int
    in_log: int
    seen_live: int
    seen_by_least: int
    on_pages: int
    gaps: int
    connections_lost: int
    seconds: float
    per_s: float
    late_p99_ms: float


class Outcome(msgspec.Struct, frozen=True):
    """Counts, and every rule that was broken."""

    counts: Counts
    violations: list[Violation]

    @property
    def exit_code(self) -> int:
        """0: every comment has its answer and everything agrees. 1: not so."""
        return 1 if self.violations or self.counts.unanswered else 0


def read_lines(path: Path) -> list[Line]:
    """The comments of a file. Raises ValueError that names the line when one cannot be read."""
    lines = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{path} has no column {', '.join(missing)}.")
            for number, row in enumerate(reader, 2):
                try:
                    lines.append(_line(row))
                except (ValueError, TypeError) as error:
                    raise ValueError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from None
    if not lines:
        raise ValueError(f"{path} has no comments.")
    return lines


def _line(row: dict[str, str]) -> Line:
    size = int(row["font_size"])
    return Line(
        user=row["user"],
        sent_at_s=float(row["sent_at_s"]),
        position_ms=int(row["position_ms"] or 0),
        mode=_MODES.get(row["mode"], "scroll"),
        size=min(SIZES, key=lambda known: abs(known - size)),
        color=f"#{int(row['color']) & 0xFFFFFF:06x}",
        text=row["text"],
    )


class Replay:
    """One replay. ``step`` is told of progress: what is done, how much of it, out of how much."""

    def __init__(
        self,
        site: Site,
        mint: Mint,
        lines: list[Line],
        speed: Speed,
        *,
        viewers: int = 1,
        entry_per_s: float = 500.0,
        settle_s: float = 60.0,
        patience_s: float = 10.0,
        alone: bool = True,
        step: Callable[[str, int, int], None] = lambda text, done, total: None,
    ) -> None:
        self._site = site
        self._mint = mint
        self._lines = lines
        self._speed = speed
        self._entry_per_s = entry_per_s
        self._settle_s = settle_s
        self._alone = alone
        self._step = step
        self._run_id = secrets.token_hex(3)
        self._feed = Feed(site.room)
        self._ledger = Ledger()
        self._pacer = Pacer()
        names = list(dict.fromkeys(line.user for line in lines))
        self._users = {
            name: Participant(site, self._feed, name, index, ledger=self._ledger, stay=True) for index, name in enumerate(names)
        }
        for user in self._users.values():
            user.patience_s = patience_s
        self._viewers = [
            Participant(site, self._feed, f"viewer-{number}", len(names) + number, stay=True) for number in range(viewers)
        ]

    async def run(self) -> Outcome:
        """Enter, send, wait for every answer, read back, compare. Raises OSError, HandshakeError, ProtocolError, ReadbackError."""
        people = [*self._viewers, *self._users.values()]
        await self._mint.ask(self._site.origin)
        for name, user in self._users.items():
            user.token = self._mint.token(name, name)
        try:
            await enter_all(people, per_s=self._entry_per_s, tick=lambda done: self._step("entering", done, len(people)))
            base = max(person.stream.last for person in people)
            start_s = perf_counter()
            await self._pacer.run(self._speed.offsets(self._lines), self._fire)
            await self._settle(people)
            seconds = max((each.answered_s for each in self._ledger), default=start_s) - start_s
            return await self._account(people, base, seconds)
        finally:
            await leave_all(people)

    def _fire(self, number: int, due_s: float) -> None:
        line = self._lines[number]
        user = self._users[line.user]
        # A live room has no past: its comments stand at the present.
        position = line.position_ms if user.room_kind == "vod" else None
        look = Look(pos_ms=position, mode=line.mode, color=line.color, size=line.size)
        user.say(f"{self._run_id}-{number}", line.text, due_s, look)
        if number % 50 == 0 or number == len(self._lines) - 1:
            self._step("sending", number + 1, len(self._lines))

    async def _settle(self, people: list[Participant]) -> None:
        """Until every comment is answered and everybody has everything, at most ``settle_s``."""
        total = len(self._ledger)

        def settled() -> bool:
            waiting = self._ledger.count("open")
            self._step("answers", total - waiting, total)
            last = [person.stream.last for person in people]
            return not waiting and all(person.present for person in people) and min(last) == max(last)

        await until(settled, self._settle_s)
        await asyncio.sleep(0.3)
        await until(settled, self._settle_s)

    async def _account(self, people: list[Participant], base: int, seconds: float) -> Outcome:
        self._step("reading back", 0, 1)
        async with Reader(self._site.origin, self._site.room) as reader:
            log = await reader.log(base)
            head = log.events[-1].seq if log.events else base
            pages = await reader.pages(base, head)
        self._step("reading back", 1, 1)
        streams = [person.stream for person in people]
        violations = check(
            Evidence(
                log=log.events,
                pages=pages,
                submissions=list(self._ledger),
                answer_faults=self._ledger.faults,
                streams=streams,
                contents=self._feed.contents,
                first=base + 1,
                epoch=log.epoch,
                closed_world=self._alone,
                same_text=same_or_masked,
            )
        )
        refused: dict[str, int] = {}
        for each in self._ledger:
            if each.outcome == "refused":
                refused[each.code] = refused.get(each.code, 0) + 1
        figures: dict[str, Any] = {
            "acknowledged": self._ledger.count("acked"),
            "held": self._ledger.count("held"),
            "refused": self._ledger.count("refused"),
            "unanswered": self._ledger.count("open"),
        }
        counts = Counts(
            lines=len(self._lines),
            users=len(self._users),
            sent=sum(each.tries > 0 for each in self._ledger),
            refused_by_code=refused,
            retried=sum(each.tries > 1 for each in self._ledger),
            in_log=len(log.events),
            seen_live=sum(seq > base for seq in self._feed.contents.events),
            seen_by_least=min(
                sum(max(0, last - max(first, base + 1) + 1) for first, last in stream.received) for stream in streams
            ),
            on_pages=len(pages),
            gaps=sum(len(stream.gaps) for stream in streams),
            connections_lost=sum(len(person.losses) for person in people),
            seconds=seconds,
            per_s=figures["acknowledged"] / seconds if seconds else 0.0,
            late_p99_ms=self._pacer.lateness.ms(99),
            **figures,
        )
        return Outcome(counts, violations)
