"""Commands for accounts, appeals, staff, public accounts, licences and the vault's keys. They work on the running server, or on the
data folder when none runs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import click
import orjson

from server.account_operations import (
    AccountRequest,
    AddStaff,
    ApprovePublic,
    ClassifyPublic,
    DecideAppeal,
    EnrolStaff,
    ExportPublic,
    FilePublic,
    FindAccounts,
    LiftMeasure,
    ListAppeals,
    ListLicences,
    ListPublic,
    ListStaff,
    ReadAccessLog,
    RecordLicence,
    RevokeLicence,
    RotateVault,
    SetStaffRoles,
    ShowAccount,
    StepPublic,
    SwitchStaff,
    TakeMeasure,
    Who,
    WithdrawVerification,
)
from server.accounts.events import Category, Function, PublicAction, PublicState, Rung, Topic
from server.accounts.licences import FEATURES
from server.accounts.public import CATEGORIES, filing_csv
from server.accounts.staff import StaffRole
from server.cli import run, with_settings
from server.settings import Settings

DAY_MS: Final = 86_400_000
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
_basis = click.option("--basis", required=True, help="Law or rule that it rests on, and the facts, in one line.")


def _ask(settings: Settings, request: AccountRequest) -> Any:
    return run(settings, lambda found: found.account(request), create=True)


def _show(rows: Any, as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    for row in rows if isinstance(rows, list) else [rows]:
        click.echo(orjson.dumps(row).decode() if as_json else line(row))


def _when(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M") if at_ms else "-"


def _fill(template: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: template.format_map(row)


def whom(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which account is meant; the command gets ``who``."""

    @click.option("--account", default="", help="Its id.")
    @click.option("--nickname", default="", help="Its nickname, exactly.")
    @click.option("--room", default="", help="The room of a comment of it; with --seq.")
    @click.option("--seq", type=click.IntRange(min=1), default=None, help="The number of that comment.")
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
@_json
@with_settings()
def find(text: str, as_json: bool, settings: Settings) -> None:
    """List accounts whose id is TEXT or whose nickname begins with it; the newest ones without it."""
    _show(_ask(settings, FindAccounts(text=text)), as_json, _fill("{id}\t{kind}\t{origin}\t{nickname}"))


@account.command("show")
@_json
@with_settings()
@whom
def show(who: Who, as_json: bool, settings: Settings) -> None:
    """Show an account: standing, measures, appeals and ledger. That you looked is recorded."""
    _show(_ask(settings, ShowAccount(who=who)), as_json, _account_text)


def _account_text(found: dict[str, Any]) -> str:
    standing = found["standing"]
    lines = [
        f"account   {found['account']} ({standing['kind']}, {standing['origin']})",
        f"nickname  {found['nickname'] or '-'}{'  label ' + found['label'] if found['label'] else ''}",
        f"verified  {standing['verified'] or 'no'}   agreement {standing['agreement'] or 'not signed'}   level {found['level']}",
    ]
    if standing["public"]:
        lines.append(f"public    {standing['public']} {standing['category']}")
    lines += [f"measure   {each['id']} {each['state']} {each['rung']} {each['code']} until {_when(each['until_ms'])}: {each['basis']}"
              for each in found["measures"]]  # fmt: skip
    lines += [f"appeal    {each['id']} of {each['measure']['id']}, {'decided' if each['decided_ms'] else 'waits'}"
              for each in found["appeals"]]  # fmt: skip
    lines += [
        f"{each['id']:>8}  {_when(each['at_ms'])} {each['kind']} by {each['actor']} ({each['role']})"
        for each in found["ledger"]
    ]
    return "\n".join(lines)


@account.command("measure")
@click.argument("rung", type=click.Choice(get_args(Rung)))
@click.option("--code", required=True, help="Reason code; `barrage reasons` lists them.")
@_basis
@click.option("--clause", default="", help="Clause of the agreement; by default that of the code.")
@click.option(
    "--function", "functions", multiple=True, type=click.Choice(get_args(Function)), help="For restrict; may be repeated."
)
@click.option("--for", "duration_ms", type=Term(), default=0, help="For how long: 30m, 12h, 7d; without: until it is lifted.")
@_json
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
    _show(_ask(settings, request), as_json, _fill("measure {measure}: {rung} of {account}"))


@account.command("lift")
@click.argument("measure")
@click.option("--code", required=True, help="Reason code of family R; `barrage reasons` lists them.")
@_basis
@_json
@with_settings()
def lift(measure: str, code: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Take a MEASURE back: it ends, and counts no more."""
    request = LiftMeasure(measure=measure, code=code, basis=basis)
    _show(_ask(settings, request), as_json, _fill("lifted {measure} ({rung}) of {account}"))


@account.command("verify-withdraw")
@click.option("--reason", required=True, help="Why, in one line.")
@_json
@with_settings()
@whom
def verify_withdraw(who: Who, reason: str, as_json: bool, settings: Settings) -> None:
    """Withdraw the verification of an account: it reads, and does not post, until it verifies again."""
    _show(_ask(settings, WithdrawVerification(who=who, reason=reason)), as_json, _fill("{account} is not verified any more"))


@account.command("appeals")
@_json
@with_settings()
def list_appeals(as_json: bool, settings: Settings) -> None:
    """List appeals that wait, the oldest first: id, due, measure, account, words."""
    _show(
        _ask(settings, ListAppeals()),
        as_json,
        lambda row: f"{row['id']}\t{_when(row['due_ms'])}\t{row['measure']['id']}\t{row['account']}\t{row['words']!r}",
    )


@account.command("decide")
@click.argument("appeal")
@click.argument("outcome", type=click.Choice(["uphold", "reject"]))
@click.option("--code", required=True, help="Family R to uphold; the reason code that stands to reject.")
@_basis
@_json
@with_settings()
def decide(appeal: str, outcome: str, code: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Decide an APPEAL, as somebody else than who took the measure. Upheld, the measure is lifted."""
    request = DecideAppeal(appeal=appeal, upheld=outcome == "uphold", code=code, basis=basis)
    _show(_ask(settings, request), as_json, _fill("appeal {appeal} decided (measure {measure} of {account})"))


@account.command("log")
@click.option("--subject", default="", help="Only about this account or member of staff (staff:NAME).")
@click.option("--before", type=click.IntRange(min=0), default=0, help="Only lines with smaller ids.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@_json
@with_settings()
def access_log(subject: str, before: int, limit: int, as_json: bool, settings: Settings) -> None:
    """List who looked at or did what, newest first."""
    rows = _ask(settings, ReadAccessLog(subject=subject, before=before, limit=limit))
    _show(
        rows,
        as_json,
        lambda row: f"{row['id']}\t{_when(row['at_ms'])}\t{row['actor']}\t{row['action']}\t{row['subject']}\t{row['detail']}",
    )


# -- staff -------------------------------------------------------------------------------------------------------------


@click.group()
def staff() -> None:
    """Members of staff: add them, give them roles, let them in no more."""


_roles = click.option("--role", "roles", multiple=True, required=True, type=click.Choice(get_args(StaffRole)))
_LINK: Final = "{name} enrols within {hours} hours at {link}"


@staff.command("list")
@_json
@with_settings()
def list_staff(as_json: bool, settings: Settings) -> None:
    """List all members: name, roles, state."""

    def line(row: dict[str, Any]) -> str:
        state = "disabled" if row["disabled_ms"] else "enrolled" if row["enrolled"] else "not enrolled yet"
        return f"{row['name']}\t{' '.join(row['roles'])}\t{state}"

    _show(_ask(settings, ListStaff()), as_json, line)


@staff.command("add")
@click.argument("name")
@_roles
@_json
@with_settings()
def add_staff(name: str, roles: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Add the member NAME and print the link at which they set password and code; it is good once."""
    _show(_ask(settings, AddStaff(name=name, roles=roles)), as_json, _fill(_LINK))


@staff.command("enrol")
@click.argument("name")
@_json
@with_settings()
def enrol_staff(name: str, as_json: bool, settings: Settings) -> None:
    """Forget password, code and passkeys of the member NAME, and print a new link."""
    _show(_ask(settings, EnrolStaff(name=name)), as_json, _fill(_LINK))


@staff.command("roles")
@click.argument("name")
@_roles
@_json
@with_settings()
def set_roles(name: str, roles: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Give the member NAME these roles and no others."""
    row = _ask(settings, SetStaffRoles(name=name, roles=roles))
    _show(row, as_json, lambda row: f"{row['name']} is {', '.join(row['roles'])}")


@staff.command("disable")
@click.argument("name")
@_json
@with_settings()
def disable_staff(name: str, as_json: bool, settings: Settings) -> None:
    """Let the member NAME in no more; their sessions end."""
    _show(_ask(settings, SwitchStaff(name=name, enabled=False)), as_json, _fill("{name} is disabled"))


@staff.command("enable")
@click.argument("name")
@_json
@with_settings()
def enable_staff(name: str, as_json: bool, settings: Settings) -> None:
    """Let the member NAME in again, also after too many failed attempts."""
    _show(_ask(settings, SwitchStaff(name=name, enabled=True)), as_json, _fill("{name} is enabled"))


# -- public accounts ---------------------------------------------------------------------------------------------------


@click.group()
def public() -> None:
    """Public accounts: applied for, reviewed, classified, filed, active."""


_DONE: Final = "{account} is {state} {category} {label}"


@public.command("list")
@click.option("--state", type=click.Choice([each for each in get_args(PublicState) if each]), default=None, help="Only these.")
@_json
@with_settings()
def list_public(state: str | None, as_json: bool, settings: Settings) -> None:
    """List public accounts and applications: account, state, category, name, label."""
    rows = _ask(settings, ListPublic(state=state or ""))
    _show(rows, as_json, _fill("{account}\t{state}\t{category}\t{name}\t{label}"))


@public.command("step")
@click.argument("step", type=click.Choice(["review", "reject", "activate", "lapse", "revoke"]))
@_basis
@_json
@with_settings()
@whom
def step_public(who: Who, step: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Take a STEP on the way of an application or a public account."""
    _show(_ask(settings, StepPublic(who=who, step=step, basis=basis)), as_json, _fill(_DONE))


@public.command("classify")
@click.argument("category", type=click.Choice([each for each in get_args(Category) if each]))
@_basis
@click.option("--label", default="", help="What stands beside the nickname; by default the institution's name.")
@_json
@with_settings()
@whom
def classify(who: Who, category: Any, basis: str, label: str, as_json: bool, settings: Settings) -> None:
    """Say what a reviewed account is; somebody else than the reviewer does this."""
    request = ClassifyPublic(who=who, category=category, basis=basis, label=label)
    _show(_ask(settings, request), as_json, _fill(_DONE))


@public.command("export")
@click.option("--csv", "to_csv", type=click.Path(path_type=Path, dir_okay=False), help="Write a table for spreadsheets.")
@with_settings()
def export(to_csv: Path | None, settings: Settings) -> None:
    """Print what is to be filed with the authority: JSON, one account per line, or a CSV file."""
    rows = _ask(settings, ExportPublic())
    if to_csv is None:
        _show(rows, True, str)
        return
    to_csv.write_text("\ufeff" + filing_csv(rows), encoding="utf-8", newline="")
    click.echo(f"{len(rows)} accounts in {to_csv}")


@public.command("file")
@click.argument("number")
@_json
@with_settings()
@whom
def file_public(who: Who, number: str, as_json: bool, settings: Settings) -> None:
    """Record that the authority has the filing: NUMBER is that of its receipt."""
    _show(_ask(settings, FilePublic(who=who, number=number)), as_json, _fill(_DONE))


@public.command("approve")
@click.argument("action", type=click.Choice(get_args(PublicAction)))
@click.argument("topic", type=click.Choice([each for each in get_args(Topic) if each != "general"]))
@_basis
@click.option("--until", "until_ms", type=Day(), default=0, help="The first day without it; by default until withdrawn.")
@click.option("--withdraw", is_flag=True, help="End the approval instead.")
@_json
@with_settings()
@whom
def approve(
    who: Who, action: Any, topic: Any, basis: str, until_ms: int, withdraw: bool, as_json: bool, settings: Settings
) -> None:
    """Approve that a public account may post or repost on a TOPIC."""
    request = ApprovePublic(
        who=who, action=action, topic=topic, basis=basis, until_ms=0 if withdraw else until_ms, granted=not withdraw
    )
    _show(_ask(settings, request), as_json, _fill(_DONE))


@public.command("categories")
def categories() -> None:
    """List the categories."""
    for name, (english, chinese) in CATEGORIES.items():
        click.echo(f"{name}\t{english}\t{chinese}")


# -- licences and keys -------------------------------------------------------------------------------------------------


@click.group()
def licence() -> None:
    """Licences of the provider and of accounts; what they carry is off without them."""


@licence.command("list")
@click.option("--holder", default="", help="provider, or the id of an account.")
@_json
@with_settings()
def list_licences(holder: str, as_json: bool, settings: Settings) -> None:
    """List licences: id, holder, state, end, features, kind, number."""

    def line(row: dict[str, Any]) -> str:
        until = _when(row["valid_until_ms"])
        return (
            f"{row['id']}\t{row['holder']}\t{row['state']}\t{until}\t{' '.join(row['features'])}\t{row['kind']} {row['number']}"
        )

    _show(_ask(settings, ListLicences(holder=holder)), as_json, line)


@licence.command("add")
@click.argument("holder")
@click.option("--kind", required=True, help="What it is called.")
@click.option("--number", required=True)
@click.option("--issuer", required=True)
@click.option("--feature", "features", multiple=True, required=True, type=click.Choice(list(FEATURES)), help="May be repeated.")
@click.option("--from", "from_ms", type=Day(), required=True, help="The first day on which it is in force.")
@click.option("--until", "until_ms", type=Day(), required=True, help="The first day on which it is not.")
@_json
@with_settings()
def add_licence(
    holder: str, kind: str, number: str, issuer: str, features: tuple[str, ...], from_ms: int, until_ms: int, as_json: bool,
    settings: Settings,
) -> None:  # fmt: skip
    """Enter a licence of HOLDER (provider, or the id of an account)."""
    request = RecordLicence(
        holder=holder,
        kind=kind,
        number=number,
        issuer=issuer,
        features=features,
        valid_from_ms=from_ms,
        valid_until_ms=until_ms,
    )
    _show(_ask(settings, request), as_json, _fill("licence {licence} of {holder}"))


@licence.command("revoke")
@click.argument("licence")
@_basis
@_json
@with_settings()
def revoke_licence(licence: str, basis: str, as_json: bool, settings: Settings) -> None:
    """End a LICENCE now; its features are off from here on."""
    _show(_ask(settings, RevokeLicence(licence=licence, basis=basis)), as_json, _fill("revoked {licence} of {holder}"))


@click.group()
def vault() -> None:
    """The keys of what is kept encrypted."""


@vault.command("rotate")
@click.option("--keep-key", is_flag=True, help="Make no new key: only wrap what is still under older ones.")
@_json
@with_settings()
def rotate(keep_key: bool, as_json: bool, settings: Settings) -> None:
    """Make a new key-encryption key and wrap all keys with it."""
    _show(_ask(settings, RotateVault(new_key=not keep_key)), as_json, _fill("everything is under key {key} now"))


COMMANDS = (account, staff, public, licence, vault)
