"""Commands for accounts, measures, appeals, holds and records, and what the commands of :mod:`server.staff_cli` share with them. They
work on the running server, or on the data folder when none runs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any, Final, get_args

import click
import orjson

from server.account_requests import (
    AccountRequest,
    CompileProviderFile,
    DecideAppeal,
    EraseAccount,
    FindAccounts,
    LiftMeasure,
    ListAppeals,
    ListHolds,
    PlaceHold,
    Purge,
    ReadAccessLog,
    ReleaseHold,
    ShowAccount,
    TakeMeasure,
    Who,
    WithdrawVerification,
)
from server.accounts.events import Function, Rung
from server.cli import NUMBER, WHOLE, run, with_settings
from server.settings import Settings

DAY_MS: Final = 86_400_000
as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
basis_option = click.option("--basis", required=True, help="Law or rule that it rests on, and the facts, in one line.")


def ask(settings: Settings, request: AccountRequest) -> Any:
    """Do one operation; its answer."""
    return run(settings, lambda found: found.account(request), create=True)


def show_rows(rows: Any, as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    """Print an answer, or each of a list: as JSON, or by ``line``."""
    for row in rows if isinstance(rows, list) else [rows]:
        click.echo(orjson.dumps(row).decode() if as_json else line(row))


def when(at_ms: int) -> str:
    """A moment for people, in UTC, which the Z says: pages show the site's own time."""
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%MZ") if at_ms else "-"


def fill(template: str) -> Callable[[dict[str, Any]], str]:
    """A line that is filled with an answer's fields."""
    return lambda row: template.format_map(row)


def whom(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which account is meant; the command gets ``who``."""

    @click.option("--account", default="", help="Its id.")
    @click.option("--nickname", default="", help="Its nickname, exactly.")
    @click.option("--room", default="", help="The room of a comment of it; with --seq.")
    @click.option("--seq", type=NUMBER, default=None, help="The number of that comment.")
    def wrapper(*, account: str, nickname: str, room: str, seq: int | None, **rest: Any) -> None:
        command(who=Who(account=account, nickname=nickname, room=room, seq=seq or 0), **rest)

    wrapper.__doc__ = command.__doc__
    wrapper.__name__ = command.__name__
    # Options that were declared below this decorator go on to be the command's.
    wrapper.__click_params__ += getattr(command, "__click_params__", [])  # type: ignore[attr-defined] # set by click
    return wrapper


class Term(click.ParamType[int]):
    """A time like 30m, 12h or 7d, in milliseconds."""

    name = "term"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value  # the default
        found = re.fullmatch(r"([0-9]{1,6})([mhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is no time like 30m, 12h or 7d", param, ctx)
        return int(found[1]) * {"m": 60_000, "h": 3_600_000, "d": DAY_MS}[found[2]]


class Day(click.ParamType[int]):
    """A day, YYYY-MM-DD, as the moment at which it begins (UTC), in Unix milliseconds."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value  # the default
        try:
            day = dt.date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day like 2027-01-31", param, ctx)
        return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp() * 1000)


# -- accounts ----------------------------------------------------------------------------------------------------------


@click.group()
def account() -> None:
    """Find accounts, take and lift measures, decide appeals."""


@account.command("find")
@click.argument("text", default="")
@as_json_option
@with_settings()
def find(text: str, as_json: bool, settings: Settings) -> None:
    """List accounts whose id is TEXT or whose nickname begins with it; the newest ones without it."""
    show_rows(ask(settings, FindAccounts(text=text)), as_json, fill("{id}\t{kind}\t{origin}\t{nickname}"))


@account.command("show")
@as_json_option
@with_settings()
@whom
def show(who: Who, as_json: bool, settings: Settings) -> None:
    """Show an account: standing, measures, appeals and ledger. That you looked is recorded."""
    show_rows(ask(settings, ShowAccount(who=who)), as_json, _account_text)


def _account_text(found: dict[str, Any]) -> str:
    standing = found["standing"]
    lines = [
        f"account   {found['account']} ({standing['kind']}, {standing['origin']})",
        f"nickname  {found['nickname'] or '-'}{'  label ' + found['label'] if found['label'] else ''}",
        f"verified  {standing['verified'] or 'no'}   agreement {standing['agreement'] or 'not signed'}   level {found['level']}",
    ]
    if standing["public"]:
        lines.append(f"public    {standing['public']} {standing['category']}")
    lines += [f"measure   {each['id']} {each['state']} {each['rung']} {each['code']} until {when(each['until_ms'])}: {each['basis']}"
              for each in found["measures"]]  # fmt: skip
    lines += [f"appeal    {each['id']} of {each['measure']['id']}, {'decided' if each['decided_ms'] else 'waits'}"
              for each in found["appeals"]]  # fmt: skip
    lines += [
        f"{each['id']:>8}  {when(each['at_ms'])} {each['kind']} by {each['actor']} ({each['role']})" for each in found["ledger"]
    ]
    return "\n".join(lines)


@account.command("measure")
@click.argument("rung", type=click.Choice(get_args(Rung)))
@click.option("--code", required=True, help="Reason code; `barrage reasons` lists them.")
@basis_option
@click.option("--clause", default="", help="Clause of the agreement; by default that of the code.")
@click.option(
    "--function", "functions", multiple=True, type=click.Choice(get_args(Function)), help="For restrict; may be repeated."
)
@click.option("--for", "duration_ms", type=Term(), default=0, help="For how long: 30m, 12h, 7d; without: until it is lifted.")
@as_json_option
@with_settings()
@whom
def measure(
    who: Who, rung: Any, code: str, basis: str, clause: str, functions: tuple[Any, ...], duration_ms: int, as_json: bool,
    settings: Settings,
) -> None:  # fmt: skip
    """Take the measure RUNG against an account; it takes effect on its connections at once, and the person is told."""
    request = TakeMeasure(
        who=who, rung=rung, code=code, basis=basis, clause=clause, functions=functions, duration_ms=duration_ms
    )
    show_rows(ask(settings, request), as_json, fill("measure {measure}: {rung} of {account}"))


@account.command("lift")
@click.argument("measure")
@click.option("--code", required=True, help="Reason code of family R; `barrage reasons` lists them.")
@basis_option
@as_json_option
@with_settings()
def lift(measure: str, code: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Take a MEASURE back: it ends, and counts no more."""
    request = LiftMeasure(measure=measure, code=code, basis=basis)
    show_rows(ask(settings, request), as_json, fill("lifted {measure} ({rung}) of {account}"))


@account.command("verify-withdraw")
@click.option("--reason", required=True, help="Why, in one line.")
@as_json_option
@with_settings()
@whom
def verify_withdraw(who: Who, reason: str, as_json: bool, settings: Settings) -> None:
    """Withdraw the verification of an account: it reads, and does not post, until it verifies again."""
    show_rows(ask(settings, WithdrawVerification(who=who, reason=reason)), as_json, fill("{account} is not verified any more"))


@account.command("appeals")
@as_json_option
@with_settings()
def list_appeals(as_json: bool, settings: Settings) -> None:
    """List appeals that wait, the oldest first: id, due, measure, account, words."""
    show_rows(
        ask(settings, ListAppeals()),
        as_json,
        lambda row: f"{row['id']}\t{when(row['due_ms'])}\t{row['measure']['id']}\t{row['account']}\t{row['words']!r}",
    )


@account.command("decide")
@click.argument("appeal")
@click.argument("outcome", type=click.Choice(["uphold", "reject"]))
@click.option("--code", required=True, help="Family R to uphold; the reason code that stands to reject.")
@basis_option
@as_json_option
@with_settings()
def decide(appeal: str, outcome: str, code: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Decide an APPEAL, as somebody else than who took the measure. Upheld, the measure is lifted."""
    request = DecideAppeal(appeal=appeal, upheld=outcome == "uphold", code=code, basis=basis)
    show_rows(ask(settings, request), as_json, fill("appeal {appeal} decided (measure {measure} of {account})"))


@account.command("log")
@click.option("--subject", default="", help="Only about this account or member of staff (staff:NAME).")
@click.option("--before", type=WHOLE, default=0, help="Only lines with smaller ids.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@as_json_option
@with_settings()
def access_log(subject: str, before: int, limit: int, as_json: bool, settings: Settings) -> None:
    """List who looked at or did what, newest first."""
    rows = ask(settings, ReadAccessLog(subject=subject, before=before, limit=limit))
    show_rows(
        rows,
        as_json,
        lambda row: f"{row['id']}\t{when(row['at_ms'])}\t{row['actor']}\t{row['action']}\t{row['subject']}\t{row['detail']}",
    )


@account.command("erase")
@click.option("--remove-comments", is_flag=True, help="Its comments are removed as well.")
@click.confirmation_option(prompt="This cannot be undone. Erase the account?")
@as_json_option
@with_settings()
@whom
def erase(who: Who, remove_comments: bool, as_json: bool, settings: Settings) -> None:
    """Close an account and delete what is kept of the person, on the person's request.

    Under a legal hold it is only closed, and deleted when the hold ends.
    """
    row = ask(settings, EraseAccount(who=who, remove_comments=remove_comments))
    show_rows(
        row, as_json, lambda row: f"{row['account']} is closed and {'erased' if row['erased'] else 'kept under a legal hold'}"
    )


@click.command()
@as_json_option
@with_settings()
def purge(as_json: bool, settings: Settings) -> None:
    """Delete now whatever its term has run out for. A running server does this a few times a day by itself."""
    show_rows(ask(settings, Purge()), as_json, _deleted)


def _deleted(row: dict[str, Any]) -> str:
    return "deleted: " + (", ".join(f"{name} {count}" for name, count in row["deleted"].items() if count) or "nothing")


@click.group()
def hold() -> None:
    """Legal holds: what is under one is not deleted."""


@hold.command("place")
@click.argument("scope")
@click.option("--reason", required=True, help="Why, in one line, without personal data.")
@click.option("--case", "case_number", required=True, help="Number of the case.")
@as_json_option
@with_settings()
def place_hold(scope: str, reason: str, case_number: str, as_json: bool, settings: Settings) -> None:
    """Put a hold on SCOPE: the id of an account, or * for everything."""
    request = PlaceHold(scope=scope, reason=reason, case_number=case_number)
    show_rows(ask(settings, request), as_json, fill("hold {hold} on {scope}"))


@hold.command("release")
@click.argument("hold")
@as_json_option
@with_settings()
def release_hold(hold: str, as_json: bool, settings: Settings) -> None:
    """End a HOLD; what only it kept is deleted."""
    row = ask(settings, ReleaseHold(hold=hold))
    show_rows(row, as_json, lambda row: f"released {row['hold']} on {row['scope']}; {_deleted(row)}")


@hold.command("list")
@as_json_option
@with_settings()
def list_holds(as_json: bool, settings: Settings) -> None:
    """List holds in force: id, scope, since, case, reason."""
    show_rows(
        ask(settings, ListHolds()),
        as_json,
        lambda row: f"{row['id']}\t{row['scope']}\t{when(row['at_ms'])}\t{row['case_number']}\t{row['reason']}",
    )


@click.command("provider-file")
@click.option("--since", "since_ms", type=Day(), required=True, help="First day, like 2026-11-01 (UTC).")
@click.option("--until", "until_ms", type=Day(), required=True, help="The day after the last one.")
@as_json_option
@with_settings()
def provider_file(since_ms: int, until_ms: int, as_json: bool, settings: Settings) -> None:
    """Compile the provider's own credit file of a period from the records: numbers only, the same from the same records."""
    show_rows(ask(settings, CompileProviderFile(since_ms=since_ms, until_ms=until_ms)), as_json, _file_text)


def _file_text(row: dict[str, Any]) -> str:
    lines = [f"records   {row['records']['entries']} entries, sha256 {row['records']['sha256']}"]
    for name in ("accounts", "measures", "appeals", "licences", "access", "faults"):
        counts = ", ".join(f"{key} {value}" for key, value in row[name].items() if value and not isinstance(value, dict))
        nested = ", ".join(
            f"{key}: {', '.join(f'{each} {count}' for each, count in value.items())}"
            for key, value in row[name].items()
            if value and isinstance(value, dict)
        )
        lines.append(f"{name:<9} {'; '.join(part for part in (counts, nested) if part) or 'none'}")
    return "\n".join([*lines, f"points    {row['points']} of 100"])


COMMANDS = (account, hold, purge, provider_file)
