"""Commands of the review desk: ``barrage review``. They work on the running server, or on the data folder when none runs."""

from __future__ import annotations

from typing import Any, get_args

import click
import orjson

from server.accounts_cli import Day, as_json_option, basis_option, fill, show_rows, when
from server.cli import NUMBER, WHOLE, run, with_settings
from server.moderation.deciding import Verdict
from server.moderation.queue import QUEUES
from server.moderation.records import WHATS, Query
from server.review_operations import (
    DecideItem,
    ListQueue,
    ListRecords,
    QueueStats,
    ReverseDecision,
    ReviewRequest,
    ShowFigures,
)
from server.settings import Settings


def _ask(settings: Settings, request: ReviewRequest) -> Any:
    return run(settings, lambda found: found.review(request))


@click.group()
def review() -> None:
    """Decide what waits: held comments, news, reports."""


@review.command("list")
@click.option("--queue", type=click.Choice(QUEUES), default="held", show_default=True)
@click.option("--room", default="", help="Only of this room.")
@click.option("--code", default="", help="Only what this code stopped, or is reported by it.")
@click.option("--after", type=WHOLE, default=0, help="Go on after this item.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@as_json_option
@with_settings()
def list_queue(queue: Any, room: str, code: str, after: int, limit: int, as_json: bool, settings: Settings) -> None:
    """List what waits, the most urgent first: item, version, time, room, comment, code, reports, text."""
    rows = _ask(settings, ListQueue(queue=queue, room=room, code=code, after=after, limit=limit))
    show_rows(rows, as_json, lambda row: (
        f"{row['id']}\t{row['version']}\t{when(row['at_ms'])}\t{row['room']}\t{row['seq'] or '-'}\t{row['code']}\t{row['reports']}\t"
        f"{row['text']!r}"
    ))  # fmt: skip


@review.command("decide")
@click.argument("item", type=NUMBER)
@click.argument("verdict", type=click.Choice(get_args(Verdict)))
@click.option("--code", required=True, help="Family K to publish or keep; a removal's code to refuse or remove.")
@basis_option
@click.option("--version", type=WHOLE, help="The version that was looked at; refused if it changed since.")
@as_json_option
@with_settings()
def decide(
    item: int, verdict: Any, code: str, basis: str, version: int | None, as_json: bool, settings: Settings
) -> None:  # fmt: skip
    """Decide ITEM: publish, refuse, keep, remove, warn."""
    request = DecideItem(item=item, verdict=verdict, code=code, basis=basis, version=-1 if version is None else version)
    show_rows(_ask(settings, request), as_json, fill("decision {decision}: {what} (room {room}, event {seq})"))


@review.command("reverse")
@click.argument("decision", type=NUMBER)
@click.option("--code", required=True, help="Of the opposite's family: R to restore, K to publish, a removal's code to remove.")
@basis_option
@as_json_option
@with_settings()
def reverse(decision: int, code: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Take DECISION back by the opposite one."""
    request = ReverseDecision(decision=decision, code=code, basis=basis)
    show_rows(_ask(settings, request), as_json, fill("decision {decision}: {what} (room {room}, event {seq})"))


@review.command("stats")
@as_json_option
@with_settings()
def stats(as_json: bool, settings: Settings) -> None:
    """Show how each queue stands: open, claimed, overdue, since when."""
    rows = _ask(settings, QueueStats())
    show_rows(rows, as_json, lambda row: (
        f"{row['queue']}\t{row['open']} open\t{row['claimed']} claimed\t{row['overdue']} overdue\tsince {when(row['oldest_ms'])}"
    ))  # fmt: skip


@click.command("records")
@click.option("--what", type=click.Choice(WHATS), default=None, help="Only decisions of this kind.")
@click.option("--code", default="", help="Only with this reason code, or with codes of this family (a letter).")
@click.option("--by", "actor", default="", help="Only by staff:NAME, an account, or system.")
@click.option("--room", default="", help="Only in this room.")
@click.option("--seq", type=WHOLE, default=0, help="Only about this comment.")
@click.option("--account", default="", help="Only about this account.")
@click.option("--since", "since_ms", type=Day(), default=0, help="From this day, like 2026-11-01 (UTC).")
@click.option("--until", "until_ms", type=Day(), default=0, help="To before this day.")
@click.option("--before", type=WHOLE, default=0, help="Only decisions with smaller numbers.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@as_json_option
@with_settings()
def list_records(what: str | None, as_json: bool, settings: Settings, **query: Any) -> None:
    """List decisions, newest first: number, time, what, code, room and comment, by whom, basis."""
    rows = _ask(settings, ListRecords(query=Query(what=what or "", **query)))
    show_rows(rows, as_json, lambda row: (
        f"{row['id']}\t{when(row['at_ms'])}\t{row['what']}\t{row['code']}\t{row['room'] or '-'} {row['seq'] or '-'}\t{row['actor']} "
        f"({row['role']})\t{row['basis']}"
    ))  # fmt: skip


@click.command("transparency")
@click.argument("month")
@with_settings()
def transparency(month: str, settings: Settings) -> None:
    """Print the public figures of MONTH (such as 2026-11) as JSON."""
    click.echo(
        orjson.dumps(_ask(settings, ShowFigures(month=month)), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    )


COMMANDS = (review, list_records, transparency)
