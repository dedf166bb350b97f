"""Commands for inspections and their bundles, findings, cases and security assessments. They work on the running server, or on the
data folder when none runs; ``verify-export`` needs neither."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, Final

import click

from server.accounts_cli import Day, as_json_option, basis_option, fill, show_rows, when
from server.authority_operations import (
    AskInspection,
    AssessFeature,
    AuthorityRequest,
    DecideInspection,
    ExportInspection,
    FileFinding,
    ListCases,
    ListFeatures,
    ListFindings,
    ListInspections,
    OpenCase,
    RevokeAssessment,
    RevokeInspection,
    ShowCase,
    ShowSigningKey,
    StepCase,
    StepFinding,
)
from server.cli import EXIT_FAILED, NUMBER, run, with_settings
from server.errors import ConfigError
from server.moderation.bundle_check import read_key, verify
from server.moderation.cases import KINDS, SOURCES
from server.moderation.features import FEATURES, RESULTS
from server.moderation.inspection import Scope
from server.moderation.outbox import Evidence
from server.settings import Settings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _ask(settings: Settings, request: AuthorityRequest) -> Any:
    return run(settings, lambda found: found.authority(request), create=True)


def _digest(path: Path) -> str:
    """The SHA-256 of a file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None


# -- inspections -------------------------------------------------------------------------------------------------------


@click.group("inspection")
def inspect() -> None:
    """Inspections by an authority: scope, two people, an end, a record of every view, signed bundles."""


@inspect.command("list")
@as_json_option
@with_settings()
def list_inspections(as_json: bool, settings: Settings) -> None:
    """List inspections: id, state, case number, end, inspectors."""
    rows = _ask(settings, ListInspections())
    show_rows(rows, as_json, lambda row: (
        f"{row['id']}\t{row['state']}\t{row['case_number']}\t{when(row['expires_ms'])}\t{' '.join(row['inspectors'])}"
    ))  # fmt: skip


@inspect.command("ask")
@click.argument("case_number")
@basis_option
@click.option("--since", "since_ms", type=Day(), required=True, help="First day that it covers (UTC).")
@click.option("--until", "until_ms", type=Day(), required=True, help="First day that it does not cover.")
@click.option("--room", "rooms", multiple=True, help="May be repeated.")
@click.option("--account", "accounts", multiple=True, help="May be repeated.")
@click.option("--code", "codes", multiple=True, help="May be repeated.")
@click.option("--inspector", "inspectors", multiple=True, required=True, help="Who may look; may be repeated.")
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="For how long it is open.")
@as_json_option
@with_settings()
def ask_inspection(
    case_number: str, basis: str, since_ms: int, until_ms: int, rooms: tuple[str, ...], accounts: tuple[str, ...],
    codes: tuple[str, ...], inspectors: tuple[str, ...], days: int, as_json: bool, settings: Settings,
) -> None:  # fmt: skip
    """Ask for an inspection under the authority's CASE_NUMBER; somebody else approves it."""
    scope = Scope(since_ms=since_ms, until_ms=until_ms, rooms=rooms, accounts=accounts, codes=codes)
    request = AskInspection(case_number=case_number, reason=basis, scope=scope, inspectors=inspectors, days=days)
    show_rows(_ask(settings, request), as_json, fill("{id} {state}"))


@inspect.command("approve")
@click.argument("inspection")
@basis_option
@click.option("--refuse", is_flag=True, help="Refuse it instead.")
@as_json_option
@with_settings()
def approve_inspection(inspection: str, basis: str, refuse: bool, as_json: bool, settings: Settings) -> None:
    """Approve INSPECTION, which somebody else asked for."""
    request = DecideInspection(inspection=inspection, granted=not refuse, basis=basis)
    show_rows(_ask(settings, request), as_json, fill("{id} {state}"))


@inspect.command("revoke")
@click.argument("inspection")
@basis_option
@as_json_option
@with_settings()
def revoke_inspection(inspection: str, basis: str, as_json: bool, settings: Settings) -> None:
    """End INSPECTION now."""
    show_rows(_ask(settings, RevokeInspection(inspection=inspection, basis=basis)), as_json, fill("{id} {state}"))


@inspect.command("export")
@click.argument("inspection")
@click.argument("to", type=click.Path(path_type=Path, dir_okay=False))
@as_json_option
@with_settings()
def export_inspection(inspection: str, to: Path, as_json: bool, settings: Settings) -> None:
    """Make the signed bundle of INSPECTION and put it at TO, a ZIP file that is not there yet."""
    if to.exists():
        raise ConfigError(f"{to} is there already. Choose another name.")
    done = _ask(settings, ExportInspection(inspection=inspection))
    try:
        shutil.move(done.pop("path"), to)
    except OSError as error:
        raise ConfigError(f"{to} cannot be written ({error.strerror}).") from None
    line = f"{to}: {', '.join(f'{count} {name}' for name, count in done['counts'].items())}; manifest {done['manifest_sha256']}"
    show_rows({**done, "path": str(to)}, as_json, lambda row: line)


@inspect.command("key")
@with_settings()
def show_key(settings: Settings) -> None:
    """Print the public key that bundles are verified with, as a JSON Web Key."""
    show_rows(_ask(settings, ShowSigningKey()), True, str)


@click.command("verify-export")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--key", "key_text", default="", help="The site's public key: a file with what `barrage inspection key` prints, or itself."
)
@click.pass_context
def verify_export(ctx: click.Context, path: Path, key_text: str) -> None:
    """Check a bundle of an inspection, a ZIP file or the folder that it unpacks to. No server and no network is needed."""
    key = None
    if key_text:
        file = Path(key_text)
        try:
            key = read_key(file.read_text(encoding="utf-8") if file.is_file() else key_text)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} cannot be read ({error}).") from None
    check = verify(path, key)
    if check.manifest is not None:
        counts = ", ".join(f"{count} {name}" for name, count in check.manifest.counts.items())
        about = check.manifest.about
        click.echo(f"case {about.get('case_number', '?')} of {check.manifest.site}: {counts}")
        click.echo(f"manifest {check.manifest_sha256}")
    for problem in check.problems:
        click.echo(f"  {problem}")
    if check.problems:
        click.echo("NOT as it was made.")
        ctx.exit(EXIT_FAILED)
    click.echo(f"As it was made, signed by {check.key_id}.")
    if key is None:
        click.echo("Whose key this is was not checked: compare it with the site's (--key).")


# -- findings ----------------------------------------------------------------------------------------------------------


@click.group("outbox")
def findings() -> None:
    """Findings for authorities: filed, sent by the running server, acknowledged or alarmed."""


@findings.command("list")
@click.option("--ended", is_flag=True, help="Those that were acknowledged or withdrawn.")
@as_json_option
@with_settings()
def list_findings(ended: bool, as_json: bool, settings: Settings) -> None:
    """List findings: id, state, authority, time for the acknowledgement, attempts, title."""
    rows = _ask(settings, ListFindings(ended=ended))
    show_rows(rows, as_json, lambda row: (
        f"{row['id']}\t{'overdue' if row['overdue'] else row['state']}\t{row['authority']}\t{when(row['due_ms'])}\t"
        f"{row['attempts']}\t{row['title']}"
    ))  # fmt: skip


@findings.command("file")
@click.argument("authority")
@click.option("--title", required=True)
@click.option("--summary", required=True, help="What was found.")
@click.option("--code", required=True, help="Reason code of what was found; `barrage reasons` lists them.")
@basis_option
@click.option("--decision", "decisions", type=NUMBER, multiple=True, help="Evidence: a decision's number. May be repeated.")
@click.option("--comment", "comments", multiple=True, help="Evidence: ROOM#NUMBER. May be repeated.")
@click.option("--account", "accounts", multiple=True, help="Evidence: an account's id. May be repeated.")
@as_json_option
@with_settings()
def file_finding(
    authority: str, title: str, summary: str, code: str, basis: str, decisions: tuple[int, ...], comments: tuple[str, ...],
    accounts: tuple[str, ...], as_json: bool, settings: Settings,
) -> None:  # fmt: skip
    """Report a finding to AUTHORITY, by its name in the file of authorities."""
    request = FileFinding(
        authority=authority, title=title, summary=summary, code=code, basis=basis,
        evidence=Evidence(decisions=decisions, comments=comments, accounts=accounts),
    )  # fmt: skip
    show_rows(_ask(settings, request), as_json, fill("{id} {state}"))


@findings.command("acknowledge")
@click.argument("finding")
@click.argument("reference")
@as_json_option
@with_settings()
def acknowledge(finding: str, reference: str, as_json: bool, settings: Settings) -> None:
    """Record that the authority has FINDING: REFERENCE is its own number."""
    show_rows(_ask(settings, StepFinding(finding=finding, what="acknowledge", words=reference)), as_json, fill("{id} {state}"))


@findings.command("withdraw")
@click.argument("finding")
@basis_option
@as_json_option
@with_settings()
def withdraw(finding: str, basis: str, as_json: bool, settings: Settings) -> None:
    """Withdraw FINDING, which was filed by mistake."""
    show_rows(_ask(settings, StepFinding(finding=finding, what="withdraw", words=basis)), as_json, fill("{id} {state}"))


@findings.command("send")
@click.argument("finding")
@as_json_option
@with_settings()
def send(finding: str, as_json: bool, settings: Settings) -> None:
    """Have FINDING sent (again) at once by the running server."""
    show_rows(_ask(settings, StepFinding(finding=finding, what="send")), as_json, fill("{id} {state}"))


# -- cases -------------------------------------------------------------------------------------------------------------


@click.group("case")
def case_group() -> None:
    """Incidents, rectifications and penalties, with deadlines and evidence."""


@case_group.command("list")
@click.option("--closed", is_flag=True, help="The closed ones.")
@as_json_option
@with_settings()
def list_cases(closed: bool, as_json: bool, settings: Settings) -> None:
    """List cases: id, kind, source, deadline, title."""
    rows = _ask(settings, ListCases(closed=closed))
    show_rows(rows, as_json, lambda row: (
        f"{row['id']}\t{row['kind']}\t{row['source']} {row['reference']}\t"
        f"{'overdue' if row['late'] else when(row['due_ms'])}\t{row['title']}"
    ))  # fmt: skip


@case_group.command("show")
@click.argument("case")
@as_json_option
@with_settings()
def show_case(case: str, as_json: bool, settings: Settings) -> None:
    """Show CASE with its steps."""
    row = _ask(settings, ShowCase(case=case))
    show_rows(row, as_json, _case_line)


def _case_line(row: dict[str, Any]) -> str:
    state = "closed" if row["closed_ms"] else "overdue" if row["late"] else "open"
    lines = [f"{row['id']} {row['kind']} {state}, due {when(row['due_ms'])}: {row['title']}"]
    for step in row["steps"]:
        proof = (
            f" (decision {step['decision']})" if step["decision"] else f" (sha256 {step['sha256']})" if step["sha256"] else ""
        )
        lines.append(f"  {when(step['at_ms'])}\t{step['actor']}\t{step['kind']}\t{step['words']}{proof}")
    return "\n".join(lines)


@case_group.command("open")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("source", type=click.Choice(SOURCES))
@click.option("--title", required=True)
@click.option("--facts", required=True, help="What happened, what is asked for.")
@click.option("--due", "due_ms", type=Day(), required=True, help="Deadline (UTC).")
@click.option("--reference", default="", help="Number of the authority's order, or of the complaint.")
@as_json_option
@with_settings()
def open_case(
    kind: str, source: str, title: str, facts: str, due_ms: int, reference: str, as_json: bool, settings: Settings
) -> None:
    """Open a case of KIND from SOURCE."""
    request = OpenCase(kind=kind, source=source, title=title, facts=facts, due_ms=due_ms, reference=reference)
    show_rows(_ask(settings, request), as_json, _case_line)


@case_group.command("step")
@click.argument("case")
@click.argument("what", type=click.Choice(["note", "evidence", "penalty", "deadline", "close", "reopen"]))
@click.option("--words", required=True)
@click.option("--decision", type=NUMBER, default=None, help="Evidence: a decision of the desk.")
@click.option("--file", "path", type=_FILE, default=None, help="Evidence: the digest of this file, which stays where it is.")
@click.option("--due", "due_ms", type=Day(), default=0, help="A deadline (UTC).")
@as_json_option
@with_settings()
def step_case(
    case: str, what: Any, words: str, decision: int | None, path: Path | None, due_ms: int, as_json: bool, settings: Settings
) -> None:
    """Enter the next step of CASE; evidence is what closes one."""
    sha256 = _digest(path) if path is not None else ""
    request = StepCase(case=case, what=what, words=words, decision=decision or 0, sha256=sha256, due_ms=due_ms)
    show_rows(_ask(settings, request), as_json, _case_line)


# -- features ----------------------------------------------------------------------------------------------------------


@click.group("feature")
def feature_group() -> None:
    """Features and their security assessments."""


@feature_group.command("list")
@as_json_option
@with_settings()
def list_features(as_json: bool, settings: Settings) -> None:
    """List features: name, whether one is needed, switched on, assessed until."""

    def line(row: dict[str, Any]) -> str:
        on = {None: "by staff", True: "on", False: "off"}[row["on"]]
        until = when(row["assessment"]["until_ms"]) if row["assessment"] else "not assessed"
        return f"{row['feature']}\t{'needed' if row['needed'] else 'not needed'}\t{on}\t{until}\t{row['en']} ({row['switch']})"

    show_rows(_ask(settings, ListFeatures()), as_json, line)


@feature_group.command("assess")
@click.argument("feature", type=click.Choice(list(FEATURES)))
@click.option("--by", "assessor", required=True, help="Who assessed it.")
@click.option("--result", type=click.Choice(RESULTS), default="passed", show_default=True)
@click.option("--report", type=_FILE, required=True, help="The report; its digest is recorded, the file stays where it is.")
@click.option("--on", "assessed_ms", type=Day(), required=True, help="Day of the assessment (UTC).")
@click.option("--until", "until_ms", type=Day(), required=True, help="The first day without it.")
@click.option("--reference", default="", help="Number of the filing with the authority.")
@as_json_option
@with_settings()
def assess(
    feature: str, assessor: str, result: str, report: Path, assessed_ms: int, until_ms: int, reference: str, as_json: bool,
    settings: Settings,
) -> None:  # fmt: skip
    """Enter a security assessment of FEATURE."""
    request = AssessFeature(
        feature=feature, assessor=assessor, result=result, sha256=_digest(report), assessed_ms=assessed_ms, until_ms=until_ms,
        reference=reference,
    )  # fmt: skip
    show_rows(_ask(settings, request), as_json, fill("assessment {assessment} of {feature}"))


@feature_group.command("revoke")
@click.argument("assessment")
@basis_option
@as_json_option
@with_settings()
def revoke_assessment(assessment: str, basis: str, as_json: bool, settings: Settings) -> None:
    """ASSESSMENT holds no more."""
    request = RevokeAssessment(assessment=assessment, basis=basis)
    show_rows(_ask(settings, request), as_json, fill("revoked {assessment} of {feature}"))


COMMANDS: Final = (inspect, verify_export, findings, case_group, feature_group)
