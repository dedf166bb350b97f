"""Commands for staff, public accounts, licences and the vault's keys. They work on the running server, or on the data folder
when none runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

import click

from server.account_requests import (
    AddStaff,
    ApprovePublic,
    ClassifyPublic,
    EnrolStaff,
    ExportPublic,
    FilePublic,
    ListLicences,
    ListPublic,
    ListStaff,
    RecordLicence,
    RevokeLicence,
    RotateVault,
    SetStaffRoles,
    StepPublic,
    SwitchStaff,
    Who,
)
from server.accounts.events import Category, PublicAction, PublicState, Topic
from server.accounts.licences import FEATURES
from server.accounts.public import CATEGORIES, filing_csv
from server.accounts.staff import StaffRole
from server.accounts_cli import Day, as_json_option, ask, basis_option, fill, show_rows, when, whom
from server.cli import with_settings
from server.settings import Settings

# -- staff -------------------------------------------------------------------------------------------------------------


@click.group()
def staff() -> None:
    """Members of staff: add them, give them roles, let them in no more."""


_roles = click.option("--role", "roles", multiple=True, required=True, type=click.Choice(get_args(StaffRole)))
_LINK: Final = "{name} enrols within {hours} hours at {link}"


@staff.command("list")
@as_json_option
@with_settings()
def list_staff(as_json: bool, settings: Settings) -> None:
    """List all members: name, roles, state."""

    def line(row: dict[str, Any]) -> str:
        state = "disabled" if row["disabled_ms"] else "enrolled" if row["enrolled"] else "not enrolled yet"
        return f"{row['name']}\t{' '.join(row['roles'])}\t{state}"

    show_rows(ask(settings, ListStaff()), as_json, line)


@staff.command("add")
@click.argument("name")
@_roles
@as_json_option
@with_settings()
def add_staff(name: str, roles: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Add the member NAME and print the link at which they set password and code; it is good once."""
    show_rows(ask(settings, AddStaff(name=name, roles=roles)), as_json, fill(_LINK))


@staff.command("enrol")
@click.argument("name")
@as_json_option
@with_settings()
def enrol_staff(name: str, as_json: bool, settings: Settings) -> None:
    """Forget password, code and passkeys of the member NAME, and print a new link."""
    show_rows(ask(settings, EnrolStaff(name=name)), as_json, fill(_LINK))


@staff.command("roles")
@click.argument("name")
@_roles
@as_json_option
@with_settings()
def set_roles(name: str, roles: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Give the member NAME these roles and no others."""
    row = ask(settings, SetStaffRoles(name=name, roles=roles))
    show_rows(row, as_json, lambda row: f"{row['name']} is {', '.join(row['roles'])}")


@staff.command("disable")
@click.argument("name")
@as_json_option
@with_settings()
def disable_staff(name: str, as_json: bool, settings: Settings) -> None:
    """Let the member NAME in no more; their sessions end."""
    show_rows(ask(settings, SwitchStaff(name=name, enabled=False)), as_json, fill("{name} is disabled"))


@staff.command("enable")
@click.argument("name")
@as_json_option
@with_settings()
def enable_staff(name: str, as_json: bool, settings: Settings) -> None:
    """Let the member NAME in again, also after too many failed attempts."""
    show_rows(ask(settings, SwitchStaff(name=name, enabled=True)), as_json, fill("{name} is enabled"))


# -- public accounts ---------------------------------------------------------------------------------------------------


@click.group()
def public() -> None:
    """Public accounts: applied for, reviewed, classified, filed, active."""


_DONE: Final = "{account} is {state} {category} {label}"


@public.command("list")
@click.option("--state", type=click.Choice([each for each in get_args(PublicState) if each]), default=None, help="Only these.")
@as_json_option
@with_settings()
def list_public(state: str | None, as_json: bool, settings: Settings) -> None:
    """List public accounts and applications: account, state, category, name, label."""
    rows = ask(settings, ListPublic(state=state or ""))
    show_rows(rows, as_json, fill("{account}\t{state}\t{category}\t{name}\t{label}"))


@public.command("step")
@click.argument("step", type=click.Choice(["review", "reject", "activate", "lapse", "revoke"]))
@basis_option
@as_json_option
@with_settings()
@whom
def step_public(who: Who, step: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Take a STEP on the way of an application or a public account."""
    show_rows(ask(settings, StepPublic(who=who, step=step, basis=basis)), as_json, fill(_DONE))


@public.command("classify")
@click.argument("category", type=click.Choice([each for each in get_args(Category) if each]))
@basis_option
@click.option("--label", default="", help="What stands beside the nickname; by default the institution's name.")
@as_json_option
@with_settings()
@whom
def classify(who: Who, category: Any, basis: str, label: str, as_json: bool, settings: Settings) -> None:
    """Say what a reviewed account is; somebody else than the reviewer does this."""
    request = ClassifyPublic(who=who, category=category, basis=basis, label=label)
    show_rows(ask(settings, request), as_json, fill(_DONE))


@public.command("export")
@click.option("--csv", "to_csv", type=click.Path(path_type=Path, dir_okay=False), help="Write a table for spreadsheets.")
@with_settings()
def export(to_csv: Path | None, settings: Settings) -> None:
    """Print what is to be filed with the authority: JSON, one account per line, or a CSV file."""
    rows = ask(settings, ExportPublic())
    if to_csv is None:
        show_rows(rows, True, str)
        return
    to_csv.write_text("\ufeff" + filing_csv(rows), encoding="utf-8", newline="")
    click.echo(f"{len(rows)} accounts in {to_csv}")


@public.command("file")
@click.argument("number")
@as_json_option
@with_settings()
@whom
def file_public(who: Who, number: str, as_json: bool, settings: Settings) -> None:
    """Record that the authority has the filing: NUMBER is that of its receipt."""
    show_rows(ask(settings, FilePublic(who=who, number=number)), as_json, fill(_DONE))


@public.command("approve")
@click.argument("action", type=click.Choice(get_args(PublicAction)))
@click.argument("topic", type=click.Choice([each for each in get_args(Topic) if each != "general"]))
@basis_option
@click.option("--until", "until_ms", type=Day(), default=0, help="The first day without it; by default until withdrawn.")
@click.option("--withdraw", is_flag=True, help="End the approval instead.")
@as_json_option
@with_settings()
@whom
def approve(
    who: Who, action: Any, topic: Any, basis: str, until_ms: int, withdraw: bool, as_json: bool, settings: Settings
) -> None:
    """Approve that a public account may post or repost on a TOPIC."""
    request = ApprovePublic(
        who=who, action=action, topic=topic, basis=basis, until_ms=0 if withdraw else until_ms, granted=not withdraw
    )
    show_rows(ask(settings, request), as_json, fill(_DONE))


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
@as_json_option
@with_settings()
def list_licences(holder: str, as_json: bool, settings: Settings) -> None:
    """List licences: id, holder, state, end, features, kind, number."""

    def line(row: dict[str, Any]) -> str:
        until = when(row["valid_until_ms"])
        return (
            f"{row['id']}\t{row['holder']}\t{row['state']}\t{until}\t{' '.join(row['features'])}\t{row['kind']} {row['number']}"
        )

    show_rows(ask(settings, ListLicences(holder=holder)), as_json, line)


@licence.command("add")
@click.argument("holder")
@click.option("--kind", required=True, help="What it is called.")
@click.option("--number", required=True)
@click.option("--issuer", required=True)
@click.option("--feature", "features", multiple=True, required=True, type=click.Choice(list(FEATURES)), help="May be repeated.")
@click.option("--from", "from_ms", type=Day(), required=True, help="The first day on which it is in force.")
@click.option("--until", "until_ms", type=Day(), required=True, help="The first day on which it is not.")
@as_json_option
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
    show_rows(ask(settings, request), as_json, fill("licence {licence} of {holder}"))


@licence.command("revoke")
@click.argument("licence")
@basis_option
@as_json_option
@with_settings()
def revoke_licence(licence: str, basis: str, as_json: bool, settings: Settings) -> None:
    """End a LICENCE now; its features are off from here on."""
    show_rows(ask(settings, RevokeLicence(licence=licence, basis=basis)), as_json, fill("revoked {licence} of {holder}"))


@click.group()
def vault() -> None:
    """The keys of what is kept encrypted."""


@vault.command("rotate")
@click.option("--keep-key", is_flag=True, help="Make no new key: only wrap what is still under older ones.")
@click.option("--pepper", is_flag=True, help="Also make a new pepper, for identities that come from now on.")
@click.option(
    "--drop-old", is_flag=True, help="Remove versions that nothing needs: backups under them cannot be read any more."
)
@as_json_option
@with_settings()
def rotate(keep_key: bool, pepper: bool, drop_old: bool, as_json: bool, settings: Settings) -> None:
    """Make a new key-encryption key and wrap all keys with it."""
    request = RotateVault(new_key=not keep_key, new_pepper=pepper, drop_old=drop_old)
    show_rows(ask(settings, request), as_json, fill("everything is under key {key} now; {dropped} old versions dropped"))


COMMANDS = (staff, public, licence, vault)
