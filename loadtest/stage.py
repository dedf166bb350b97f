"""What all scenarios share: the people, their accounts, the schedule of comments, and the reading back at the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, Self

import httpx

from loadtest import texts
from loadtest.arrivals import Pacer, poisson, steady
from loadtest.feed import Feed
from loadtest.ledger import Ledger
from loadtest.participants import Participant, enter_all, leave_all, until
from loadtest.plan import Plan
from loadtest.processes import Usage, Watch, sample
from loadtest.readback import Reader
from loadtest.site import Mint, Site
from loadtest.stats import Histogram, Window, delivered, deliveries
from loadtest.truth import Evidence, Violation, check, same_or_masked

Notify = Callable[[str], None]


class Stage:
    """One run's people and books. Use as an asynchronous context manager: they enter with it and leave with it.

    ``base`` is the number of the newest event before the run; ``room_bytes`` what the server's process took for the people.
    ``notify`` is told, in a few words, what is going on.
    """

    def __init__(self, plan: Plan, notify: Notify = lambda text: None, groups: int = 1) -> None:
        self.plan = plan
        self.notify = notify
        self.site = Site.of(plan.url, plan.room, deflate=plan.deflate, per_address=plan.per_address)
        self.ledger = Ledger()
        self.feed = Feed(plan.room, groups=groups)
        self.pacer = Pacer()
        self.watch = Watch(plan.server_pid)
        self.run_id = secrets.token_hex(3)
        self._mint = Mint.of(plan.data_dir, plan.token_secret_file) if plan.senders else None
        self.texts = texts.from_file(plan.texts) if plan.texts else texts.made_up()
        self.people = list(self._make_people())
        self.senders = self.people[: plan.senders]
        self.base = 0
        self.server_empty_bytes = 0
        self.server_full_bytes = 0
        self._serial = 0

    def _make_people(self) -> Iterator[Participant]:
        """Senders first; names are new for each run, since keys and accounts of an earlier one may be known to the server."""
        plan = self.plan
        for index in range(max(plan.viewers, plan.senders)):
            name = f"load-{self.run_id}-{index}"
            person = Participant(self.site, self.feed, name, index, ledger=self.ledger)
            person.random_mask = plan.random_mask
            yield person

    async def __aenter__(self) -> Self:
        plan = self.plan
        if plan.server_pid is not None:
            self.server_empty_bytes = sample(plan.server_pid).rss_bytes
        if self._mint is not None:
            await self._mint.ask(self.site.origin)
            for person in self.senders:
                person.token = self._mint.token(person.name, person.name)
        await enter_all(
            self.people,
            per_s=plan.entry_per_s,
            tick=lambda done: self.notify(f"{done:,} of {len(self.people):,} viewers have entered"),
        )
        if plan.server_pid is not None:
            await asyncio.sleep(0.5)
            self.server_full_bytes = sample(plan.server_pid).rss_bytes
        self.base = max((person.stream.last for person in self.people), default=0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await leave_all(self.people)

    # -- load ---------------------------------------------------------------------------------------------------------

    def next_key(self) -> str:
        """A key that no comment of any run has."""
        self._serial += 1
        return f"{self.run_id}-{self._serial}"

    def offsets(self, seconds: float) -> Iterator[float]:
        """When comments are due within ``seconds``."""
        if self.plan.arrivals == "poisson":
            return poisson(self.plan.rate, seconds, self.plan.seed)
        return steady(self.plan.rate, seconds)

    def fire(self, number: int, due_s: float) -> None:
        """The senders post in turn."""
        sender = self.senders[number % len(self.senders)]
        sender.say(self.next_key(), next(self.texts), due_s)

    async def post(self, seconds: float) -> None:
        """Post at the plan's rate for ``seconds``."""
        await self.pacer.run(self.offsets(seconds), self.fire)

    async def drain(self) -> bool:
        """Wait until every comment is answered and everybody has everything; returns whether that was so in time."""
        self.notify("draining")

        def settled() -> bool:
            if self.ledger.count("open"):
                return False
            here = [person.stream.last for person in self.people if person.present]
            return not here or min(here) == max(here)

        # A tick may still be under way when the last answer is there.
        in_time = await until(settled, self.plan.drain_s)
        await asyncio.sleep(0.3)
        return await until(settled, 1.0) if in_time else False

    # -- findings -----------------------------------------------------------------------------------------------------

    def due_times(self) -> dict[int, float]:
        """When each acknowledged comment was due, by number."""
        return {each.seq: each.intended_s for each in self.ledger if each.outcome == "acked"}

    def latency(self, window: Window, group: int = 0) -> Histogram:
        """From due time to arrival, of events that were due in ``window``, at every viewer of ``group``."""
        return deliveries(self.feed.batches, self.due_times(), group, window)

    def ack_latency(self, window: Window) -> Histogram:
        """From due time to acknowledgement."""
        histogram = Histogram()
        for each in self.ledger:
            if each.outcome == "acked" and window[0] <= each.intended_s < window[1]:
                histogram.record_s(each.answered_s - each.intended_s)
        return histogram

    def accepted_per_s(self, start_s: float, seconds: float) -> float:
        """Acknowledgements per second."""
        end_s = start_s + seconds
        return sum(start_s <= each.answered_s < end_s for each in self.ledger if each.outcome == "acked") / seconds

    def comment_figures(self) -> dict[str, Any]:
        """Counts of the whole run."""
        return {
            "sent": len(self.ledger),
            "acknowledged": self.ledger.count("acked"),
            "held": self.ledger.count("held"),
            "refused": self.ledger.count("refused"),
            "unanswered": self.ledger.count("open"),
            "refusals_by_code": dict(self.ledger.refusals),
            "connections_lost": sum(len(person.losses) for person in self.people),
        }

    def traffic_figures(self, window: Window, seconds: float) -> dict[str, Any]:
        """What went out to viewers in a window, and what it cost the server. Rates are over the ``seconds`` in which comments
        came; the window also holds the draining, so that nothing under way is left out."""
        traffic = delivered(self.feed.batches, window)
        figures: dict[str, Any] = {
            "deliveries": traffic.deliveries,
            "deliveries_per_s": traffic.deliveries / seconds,
            "frames_per_s": traffic.frames / seconds,
            "bytes_per_delivery": traffic.size / traffic.deliveries if traffic.deliveries else 0.0,
            "mb_per_s": traffic.size / seconds / 1e6,
        }
        usage = self.watch.between(*window)
        if usage is not None:
            figures["deliveries_per_server_cpu_s"] = traffic.deliveries / usage.cpu_s if usage.cpu_s else 0.0
            figures["server"] = self.server_figures(usage)
        return figures

    def server_figures(self, usage: Usage) -> dict[str, Any]:
        """The server's process; memory per viewer is what it grew by while they entered."""
        figures: dict[str, Any] = usage._asdict()
        if self.people and self.server_full_bytes:
            figures["rss_kb_per_viewer"] = (self.server_full_bytes - self.server_empty_bytes) / 1000 / len(self.people)
        return figures

    def generator_figures(self) -> dict[str, Any]:
        """How hard the generator itself worked."""
        usage = Usage.of(self.watch.own)
        return {
            "cpu_share": usage.cpu_share,
            "wait_share": usage.wait_share,
            "loop_lag_p99_ms": self.watch.lag.ms(99),
            "sent_late_p99_ms": self.pacer.lateness.ms(99),
            "rss_mb": usage.rss_max_mb,
            "frames_parsed": self.feed.parsed,
        }

    def window(self) -> Window:
        """What the watch watched."""
        return self.watch.own[0].at_s, self.watch.own[-1].at_s

    async def judge(self) -> list[Violation]:
        """Read everything back and hold it against what the clients saw. Raises ReadbackError."""
        self.notify("reading the log and the pages back")
        return await judge_room(
            self.site,
            self.people,
            self.ledger,
            self.feed,
            base=self.base,
            pages=self.plan.pages,
            same_text=same_or_masked if self.plan.texts else str.__eq__,
        )


async def judge_room(
    site: Site,
    people: Sequence[Participant],
    ledger: Ledger,
    feed: Feed,
    *,
    base: int,
    pages: bool,
    same_text: Callable[[str, str], bool],
    removals: Sequence[tuple[int, int]] = (),
    http: httpx.AsyncClient | None = None,
) -> list[Violation]:
    """Read a room's log (and pages) after number ``base`` and hold them against what its people saw. Raises ReadbackError."""
    async with Reader(site.origin, site.room, http) as reader:
        log = await reader.log(base)
        head = log.events[-1].seq if log.events else base
        rows = await reader.pages(base, head) if pages else None
    return check(
        Evidence(
            log=log.events,
            pages=rows,
            submissions=list(ledger),
            answer_faults=ledger.faults,
            streams=[person.stream for person in people],
            cut=frozenset(person.name for person in people if not person.present),
            contents=feed.contents,
            first=base + 1,
            epoch=log.epoch,
            same_text=same_text,
            removals=removals,
        )
    )


def now_s() -> float:
    """The clock of all times here."""
    return perf_counter()
