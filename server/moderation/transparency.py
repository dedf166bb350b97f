"""What was decided in a month, in figures: from the decision log, the receipts of reports and the room logs, and nothing else.

The same records give the same figures, whoever counts; of a month that is over they do not change any more. Nobody is named.
Months are those of the site's time zone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import zoneinfo
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Text, and_, cast, func, select

from server.moderation import second
from server.moderation.tables import decisions, receipts
from server.reasons import BY_AUTHOR
from server.store.tallies import Tally

REMOVING: Final = ("remove", "refuse")
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\Z", re.ASCII)
_DAY_MS: Final = 86_400_000

_d: Final = decisions.c
_r: Final = receipts.c


def is_month(text: str) -> bool:
    """Whether ``text`` names a month, such as 2026-11."""
    return _MONTH.match(text) is not None


def month_of(at_ms: int, zone: zoneinfo.ZoneInfo) -> str:
    """The month of a moment."""
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m}"


def span_of(month: str, zone: zoneinfo.ZoneInfo) -> tuple[int, int]:
    """When a month begins and when it is over (Unix ms)."""
    start = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=zone)
    end = (start + dt.timedelta(days=32)).replace(day=1)
    return round(start.timestamp() * 1000), round(end.timestamp() * 1000)


def months(first_ms: int, now_ms: int, zone: zoneinfo.ZoneInfo) -> list[str]:
    """The months from that of ``first_ms`` to the one that goes on, newest first."""
    found, month = [], month_of(now_ms, zone)
    first = month_of(min(first_ms, now_ms), zone)
    while month >= first:
        found.append(month)
        month = month_of(span_of(month, zone)[0] - _DAY_MS, zone)
    return found


def first_decision_ms(connection: Connection) -> int:
    """When the first decision was taken; 0: none was."""
    return int(connection.execute(select(func.min(_d.at_ms))).scalar() or 0)


def compile_month(
    connection: Connection, tallies: Sequence[Tally], month: str, zone: zoneinfo.ZoneInfo, now_ms: int
) -> dict[str, Any]:
    """The figures of a month; ``tallies`` are those of the room logs in :func:`span_of` it. ``complete``: the month is over.

    ``records`` of a complete month names the decisions that the figures come from by number and by a hash over all of them.
    """
    since_ms, until_ms = span_of(month, zone)
    rate = second.rate(connection, since_ms, until_ms)
    drawn = [each for each in second.listed(connection, f"{month}-01", f"{month}-31") if each.drawn_ms]
    complete = now_ms >= until_ms
    return {
        "month": month,
        "time_zone": zone.key,
        "since_ms": since_ms,
        "until_ms": until_ms,
        "complete": complete,
        "records": _records(connection, since_ms, until_ms, complete),
        "comments": _comments(tallies),
        "decisions": _decisions(connection, since_ms, until_ms),
        "waiting_minutes": _waits(connection, since_ms, until_ms),
        "reports": _reports(connection, since_ms, until_ms),
        "second_review": {
            "judged": rate.judged, "differed": rate.differed, "changed": rate.changed,
            "decisions": sum(each.decisions for each in drawn), "chosen": sum(each.chosen for each in drawn),
            "days": len(drawn),
        },
        "days": _days(connection, since_ms, until_ms, zone),
    }  # fmt: skip


def _comments(tallies: Sequence[Tally]) -> dict[str, Any]:
    """From the room logs: what was published, and what was removed or restored by whom and why. The author's own recalls apart."""
    families: Counter[str] = Counter()
    roles: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for each in tallies:
        if each.kind == "comment":
            counts["published"] += each.count
        elif each.kind == "removal" and each.code == BY_AUTHOR:
            counts["recalled"] += each.count
        elif each.kind == "removal":
            counts["removed"] += each.count
            families[each.code[:1] or "-"] += each.count
            roles[each.role or "-"] += each.count
        elif each.kind == "restoration":
            counts["restored"] += each.count
    names = ("published", "removed", "restored", "recalled")
    return {
        **{name: counts[name] for name in names},
        "removed_by_family": dict(sorted(families.items())),
        "removed_by_role": dict(sorted(roles.items())),
    }


def _within(since_ms: int, until_ms: int) -> Any:
    return and_(_d.at_ms >= since_ms, _d.at_ms < until_ms)


def _decisions(connection: Connection, since_ms: int, until_ms: int) -> dict[str, Any]:
    by_what: Counter[str] = Counter()
    by_code: Counter[str] = Counter()
    automated = reversed_ = 0
    query = (
        select(_d.what, _d.code, _d.automated, _d.reverses > 0, func.count())
        .where(_within(since_ms, until_ms))
        .group_by(_d.what, _d.code, _d.automated, _d.reverses > 0)
    )
    for what, code, by_program, takes_back, count in connection.execute(query):
        by_what[what] += count
        automated += count if by_program else 0
        reversed_ += count if takes_back else 0
        if what in REMOVING:
            by_code[code] += count
    return {
        "total": sum(by_what.values()),
        "automated": automated,
        "reversing": reversed_,
        "by_what": dict(sorted(by_what.items())),
        "removing_by_code": dict(sorted(by_code.items())),
    }


def _waits(connection: Connection, since_ms: int, until_ms: int) -> dict[str, Any]:
    """For how long what was decided had waited, in minutes, by queue: the median and nine tenths."""
    detail = cast(_d.detail, Text)
    queue, received = func.json_extract(detail, "$.queue"), func.json_extract(detail, "$.received_ms")
    waits: dict[str, list[int]] = {}
    for name, waited in connection.execute(
        select(queue, _d.at_ms - received).where(_within(since_ms, until_ms), _d.item > 0, received > 0)
    ):
        waits.setdefault(str(name), []).append(max(0, int(waited)))
    return {name: _spread(sorted(each)) for name, each in sorted(waits.items())}


def _spread(sorted_ms: list[int]) -> dict[str, float]:
    at = len(sorted_ms) - 1
    minutes = [round(sorted_ms[round(at * part)] / 60_000, 1) for part in (0.5, 0.9)]
    return {"count": len(sorted_ms), "median": minutes[0], "nine_tenths": minutes[1]}


def _reports(connection: Connection, since_ms: int, until_ms: int) -> dict[str, int]:
    def count(*conditions: Any) -> int:
        return connection.execute(select(func.count()).select_from(receipts).where(*conditions)).scalar_one()

    decided = (_r.decided_ms >= max(1, since_ms), _r.decided_ms < until_ms)
    return {
        "received": count(_r.at_ms >= since_ms, _r.at_ms < until_ms),
        "decided": count(*decided),
        **{outcome: count(*decided, _r.outcome == outcome) for outcome in ("upheld", "unfounded", "malicious")},
        "answered_late": count(*decided, _r.decided_ms > _r.due_ms),
        "waiting_at_end": count(_r.at_ms < until_ms, (_r.decided_ms == 0) | (_r.decided_ms >= until_ms)),
    }


def _days(connection: Connection, since_ms: int, until_ms: int, zone: zoneinfo.ZoneInfo) -> list[dict[str, Any]]:
    """By day: what was removed or refused by family of its code, and what may stay."""
    families: dict[str, Counter[str]] = {}
    kept: Counter[str] = Counter()
    start = dt.datetime.fromtimestamp(since_ms / 1000, zone)
    end = dt.datetime.fromtimestamp(until_ms / 1000, zone)
    day = start
    while day < end:
        following = day + dt.timedelta(days=1)
        first, last = round(day.timestamp() * 1000), round(following.timestamp() * 1000)
        name = f"{day:%Y-%m-%d}"
        families[name] = Counter()
        query = select(_d.what, func.substr(_d.code, 1, 1), func.count()).where(
            _within(first, last), _d.what.in_((*REMOVING, "keep", "publish"))
        )
        for what, family, count in connection.execute(query.group_by(_d.what, func.substr(_d.code, 1, 1))):
            if what in REMOVING:
                families[name][family] += count
            else:
                kept[name] += count
        day = following
    return [{"day": name, "removed": dict(sorted(each.items())), "kept": kept[name]} for name, each in families.items()]


def _records(connection: Connection, since_ms: int, until_ms: int, complete: bool) -> dict[str, Any]:
    query = select(func.count(), func.min(_d.id), func.max(_d.id)).where(_within(since_ms, until_ms))
    count, first, last = connection.execute(query).one()
    found = {"decisions": count, "first": first or 0, "last": last or 0, "sha256": ""}
    if complete:
        found["sha256"] = digest_of(connection, since_ms, until_ms)
    return found


def digest_of(connection: Connection, since_ms: int, until_ms: int) -> str:
    """The hash over the decisions of a time: each field in the order of the table, fields and decisions ended by NUL."""
    digest = hashlib.sha256()
    columns = [column for column in decisions.c if column.name != "detail"]
    query = select(*columns).where(_within(since_ms, until_ms)).order_by(_d.id).execution_options(yield_per=1000)
    for row in connection.execute(query):
        digest.update("".join(f"{value}\0" for value in row).encode() + b"\0")
    return digest.hexdigest()
