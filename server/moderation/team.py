"""The review team: seats, shifts, and its load against what it can do (duty P5(7)).

Seats are how many reviewers the platform has committed to; a shift is one member who fills one for a time. Whether somebody was there
is not asked but read: who decided anything in the shift, or has items claimed in it, was there.

Load is work that arrives over work that can be done. Work that arrives: items of the last hour times the mean time that one takes.
What can be done: the members on shift, an hour each; where no shifts are planned at all, the committed seats. The time that an item
takes begins when it was claimed or, if that is later, at the same member's decision before it: whoever claims ten items does not work
on the tenth from the beginning. Plain functions over a transaction or a connection.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, func, insert, select, update

from server.errors import Refusal
from server.moderation import queue, tables
from server.moderation.book import Transaction
from server.settings import Settings

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LONGEST_MS: Final = 16 * HOUR_MS
"""No shift is longer."""
AHEAD_MS: Final = 366 * DAY_MS
SEATS_MAX: Final = 10_000
MEASURED_MAX: Final = 5_000
"""Decisions of the last day whose times are measured, the newest."""
ENOUGH: Final = 20
"""With fewer measured decisions the time of the settings is used."""
PAUSE_MS: Final = 30 * 60_000
"""What took longer was interrupted, and is left out."""

_d: Final = tables.decisions.c
_i: Final = tables.items.c
_seat: Final = tables.seats.c
_shift: Final = tables.shifts.c


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """A planned shift; columns as in :data:`server.moderation.tables.shifts`. ``queue`` empty: all."""

    id: int
    member: str
    queue: str
    from_ms: int
    until_ms: int
    planned_by: str
    planned_ms: int
    cancelled_by: str
    cancelled_ms: int

    def on(self, now_ms: int) -> bool:
        """It is under way."""
        return not self.cancelled_ms and self.from_ms <= now_ms < self.until_ms


class Attended(msgspec.Struct, frozen=True):
    """A shift and what its member did in it. ``last_ms``: the last sign of them, 0: none. ``absent``: it is under way, and there has
    been no sign for longer than the settings allow."""

    shift: Shift
    decisions: int
    last_ms: int
    absent: bool

    @property
    def attended(self) -> bool:
        """There was a sign of the member."""
        return self.last_ms > 0


class Handling(msgspec.Struct, frozen=True):
    """How long items take, in seconds: of ``number`` measured ones, or the time of the settings (``measured`` false)."""

    number: int
    mean_s: float
    p50_s: float
    p90_s: float
    measured: bool


class Load(msgspec.Struct, frozen=True):
    """How a queue, or the desk (``queue`` empty), does. ``needed``: reviewers that the last hour's items keep busy; ``needed_day`` by
    the mean hour of the last day. ``capacity``: reviewers there are for it by plan. ``utilisation``: needed over capacity; None:
    nobody has planned any. ``clear_h``: hours in which all of them would decide what waits; None: nobody is there."""

    queue: str
    seats: int
    on_shift: int
    present: int
    arrived_hour: int
    arrived_day: int
    waiting: int
    handling: Handling
    needed: float
    needed_day: float
    capacity: int
    utilisation: float | None
    clear_h: float | None
    over: bool


class Figures(msgspec.Struct, frozen=True):
    """The team at a moment: the desk, the queues that have seats or shifts of their own, shifts under way in which nobody is seen.
    ``planned``: seats or shifts have been set, so that load can be told."""

    at_ms: int
    threshold: float
    planned: bool
    desk: Load
    queues: list[Load]
    absent: list[Shift]

    @property
    def overloaded(self) -> list[Load]:
        """What is above the threshold."""
        return [each for each in (self.desk, *self.queues) if each.over]

    @property
    def alarm(self) -> bool:
        """Something is to be done now."""
        return bool(self.overloaded or self.absent)


# ---------------------------------------------------------------------------------------------------------------------
# Seats


def commit_seats(tx: Transaction, queue_: str, number: int, *, actor: str, role: str) -> None:
    """Say how many reviewers there are to be at a time; ``queue_`` empty: for all queues together. Raises Refusal ``bad_message``."""
    _check_queue(queue_)
    if not 0 <= number <= SEATS_MAX:
        raise Refusal("bad_message", f"number: 0 to {SEATS_MAX}")
    tx.sql.execute(insert(tables.seats).values(at_ms=tx.now_ms, queue=queue_, number=number, actor=actor, role=role))
    detail = {"act": "seats.change", "queue": queue_, "number": number}
    tx.decide("record", "E4", f"seats: {number} {queue_}".strip(), actor=actor, role=role, detail=detail)


def committed(connection: Connection) -> dict[str, int]:
    """The seats of each queue that has some of its own; under the empty name those for all."""
    newest = select(func.max(_seat.id)).group_by(_seat.queue)
    query = select(_seat.queue, _seat.number).where(_seat.id.in_(newest), _seat.number > 0)
    return {row[0]: row[1] for row in connection.execute(query)}


# ---------------------------------------------------------------------------------------------------------------------
# Shifts


def plan(tx: Transaction, member: str, from_ms: int, until_ms: int, queue_: str = "", *, actor: str, role: str) -> int:
    """Plan a shift of ``member`` (``staff:NAME``); its number. Raises Refusal ``bad_message`` (too long, over already, or at the same
    time as another of theirs)."""
    _check_queue(queue_)
    if not 0 < until_ms - from_ms <= LONGEST_MS:
        raise Refusal("bad_message", f"a shift is at most {LONGEST_MS // HOUR_MS} hours long")
    if until_ms <= tx.now_ms or from_ms > tx.now_ms + AHEAD_MS:
        raise Refusal("bad_message", "a shift lies ahead, and within a year")
    theirs = (_shift.member == member, _shift.cancelled_ms == 0, _shift.from_ms < until_ms, _shift.until_ms > from_ms)
    if tx.sql.execute(select(_shift.id).where(*theirs).limit(1)).first() is not None:
        raise Refusal("bad_message", "they have a shift at this time already")
    row = {"member": member, "queue": queue_, "from_ms": from_ms, "until_ms": until_ms, "planned_by": actor}
    found = tx.sql.execute(insert(tables.shifts).values(**row, planned_ms=tx.now_ms)).inserted_primary_key
    assert found is not None
    return int(found[0])


def cancel(tx: Transaction, shift: int, *, actor: str, role: str) -> None:
    """Take a shift out of the plan, as long as it is not over. Raises Refusal ``not_found``, ``bad_step``."""
    rows = _shifts(tx.sql, select(tables.shifts).where(_shift.id == shift))
    if not rows:
        raise Refusal("not_found", "shift")
    if rows[0].cancelled_ms or rows[0].until_ms <= tx.now_ms:
        raise Refusal("bad_step", "it is over, or cancelled")
    tx.sql.execute(update(tables.shifts).where(_shift.id == shift).values(cancelled_ms=tx.now_ms, cancelled_by=actor))


def shifts(connection: Connection, from_ms: int, until_ms: int) -> list[Shift]:
    """Shifts that touch a span of time, by when they begin; cancelled ones are left out."""
    # No shift is longer than LONGEST_MS, so the index of beginnings bounds the search on both sides.
    within = (_shift.from_ms > from_ms - LONGEST_MS, _shift.from_ms < until_ms, _shift.until_ms > from_ms)
    query = select(tables.shifts).where(*within, _shift.cancelled_ms == 0).order_by(_shift.from_ms, _shift.member)
    return _shifts(connection, query)


def attended(connection: Connection, found: list[Shift], now_ms: int, absent_ms: int) -> list[Attended]:
    """What was done in shifts."""
    held = dict(
        connection.execute(
            select(_i.claimed_by, func.max(_i.claimed_ms)).where(
                queue.OPEN, _i.claimed_by > "", _i.lease_until_ms > now_ms
            ).group_by(_i.claimed_by)
        ).all()
    )  # fmt: skip
    return [_attended(connection, each, held, now_ms, absent_ms) for each in found]


def _attended(connection: Connection, shift: Shift, held: dict[Any, Any], now_ms: int, absent_ms: int) -> Attended:
    # Numbers of decisions rise with their times: the index of a member's decisions is asked for numbers.
    first, end = _first(connection, shift.from_ms), _first(connection, shift.until_ms)
    number, last = 0, 0
    if first:
        upto = _d.id < end if end else _d.id > 0
        query = select(func.count(), func.max(_d.id)).where(_d.actor == shift.member, _d.id >= first, upto)
        number, newest = connection.execute(query).one()
        last = connection.execute(select(_d.at_ms).where(_d.id == newest)).scalar() or 0 if newest else 0
    if shift.on(now_ms) and shift.member in held:
        last = max(last, held[shift.member], shift.from_ms)
    quiet_ms = now_ms - max(last, shift.from_ms)
    holds = shift.member in held
    return Attended(shift, number, last, shift.on(now_ms) and quiet_ms >= absent_ms and not holds)


def _first(connection: Connection, at_ms: int) -> int:
    """The number of the first decision that is not before a moment; 0: there is none."""
    return connection.execute(select(_d.id).where(_d.at_ms >= at_ms).order_by(_d.at_ms, _d.id).limit(1)).scalar() or 0


# ---------------------------------------------------------------------------------------------------------------------
# Load


def figures(connection: Connection, settings: Settings, now_ms: int) -> Figures:
    """The team now."""
    seats, under_way = committed(connection), shifts(connection, now_ms, now_ms + 1)
    signs = attended(connection, under_way, now_ms, settings.team_absent_min * 60_000)
    planned_at_all = bool(shifts(connection, now_ms - 7 * DAY_MS, now_ms + 7 * DAY_MS))
    arrived = {span: _arrived(connection, now_ms, span) for span in (HOUR_MS, DAY_MS)}
    times = handling_times(connection, now_ms)
    waiting = {name: count.open for name, count in queue.counts(connection, now_ms).items()}
    own = [name for name in queue.QUEUES if seats.get(name) or any(each.queue == name for each in under_way)]

    def load(name: str) -> Load:
        names = [name] if name else list(queue.QUEUES)
        on_shift = [each for each in signs if not name or each.shift.queue == name]
        all_times = sorted(each for part in names for each in times.get(part, []))
        committed_ = seats.get(name, 0) if name else max(seats.get("", 0), sum(seats.get(part, 0) for part in names))
        return _load(
            name, committed_, on_shift, planned_at_all, settings,
            [sum(arrived[span].get(part, 0) for part in names) for span in (HOUR_MS, DAY_MS)],
            sum(waiting[part] for part in names if part in waiting), _handling(all_times, settings),
        )  # fmt: skip

    absent = [each.shift for each in signs if each.absent]
    return Figures(
        now_ms, settings.team_load_alarm, planned_at_all or bool(seats), load(""), [load(name) for name in own], absent
    )


def _load(
    name: str, seats: int, signs: list[Attended], planned: bool, settings: Settings, arrived: list[int], waiting: int,
    handling: Handling,
) -> Load:  # fmt: skip
    capacity = len(signs) if planned else seats
    hour, day = arrived
    needed = hour * handling.mean_s / 3600
    told = planned or seats > 0
    utilisation = None if not told else needed / capacity if capacity else (float("inf") if needed else 0.0)
    return Load(
        queue=name, seats=seats, on_shift=len(signs), present=sum(each.attended and not each.absent for each in signs),
        arrived_hour=hour, arrived_day=day, waiting=waiting, handling=handling, needed=needed,
        needed_day=day / 24 * handling.mean_s / 3600, capacity=capacity, utilisation=utilisation,
        clear_h=waiting * handling.mean_s / 3600 / capacity if capacity else None,
        over=utilisation is not None and utilisation > settings.team_load_alarm,
    )  # fmt: skip


def handling_times(connection: Connection, now_ms: int) -> dict[str, list[float]]:
    """Seconds that decisions on items of the last day took, by queue; those of programs and of pauses are left out."""
    claimed = func.coalesce(func.json_extract(_d.detail, "$.claimed_ms"), 0)
    newest = (
        select(_d.id, _d.at_ms, _d.actor, _d.item, claimed.label("claimed_ms"))
        .where(_d.at_ms >= now_ms - DAY_MS, _d.actor.startswith("staff:"), _d.automated == 0, _d.item > 0)
        .order_by(_d.at_ms.desc(), _d.id.desc())
        .limit(MEASURED_MAX)
        .subquery()
    )
    before = func.coalesce(func.lag(newest.c.at_ms).over(partition_by=newest.c.actor, order_by=newest.c.id), 0)
    # Of equal texts that are decided together the others take no time.
    took = select(newest.c.item, newest.c.at_ms, func.max(newest.c.claimed_ms, before).label("began")).subquery()
    query = select(_i.queue, took.c.at_ms - took.c.began).select_from(took.join(tables.items, _i.id == took.c.item))
    found: dict[str, list[float]] = {}
    for name, took_ms in connection.execute(query.where(took.c.began > 0)):
        if 0 <= took_ms <= PAUSE_MS:
            found.setdefault(name, []).append(took_ms / 1000)
    return found


def _handling(times: list[float], settings: Settings) -> Handling:
    if len(times) < ENOUGH:
        fixed = settings.team_handling_s
        return Handling(len(times), fixed, fixed, fixed, False)
    return Handling(len(times), sum(times) / len(times), _quantile(times, 0.5), _quantile(times, 0.9), True)


def _quantile(times: list[float], part: float) -> float:
    return times[min(len(times) - 1, int(len(times) * part))]


def _arrived(connection: Connection, now_ms: int, span_ms: int) -> dict[str, int]:
    query = select(_i.queue, func.count()).where(_i.at_ms > now_ms - span_ms).group_by(_i.queue)
    return {row[0]: row[1] for row in connection.execute(query)}


def _check_queue(name: str) -> None:
    if name and name not in queue.QUEUES:
        raise Refusal("bad_message", f"queue: one of {', '.join(queue.QUEUES)}, or none for all")


def _shifts(connection: Connection, query: Select[Any]) -> list[Shift]:
    return [Shift(**row) for row in connection.execute(query).mappings()]
