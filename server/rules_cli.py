"""The commands of ``barrage screen`` that change the rules: on the running server, or on the data folder when none runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click

from filters.book import kept
from filters.explain import explain
from filters.pipeline import Pipeline
from filters.rules import RuleError, loads
from server.accounts.identity import Tokens
from server.cli import quiet_logs, require_data_folder, run, with_settings
from server.control import DataLock, find_server
from server.errors import Refusal
from server.mode_operations import EmergencyTerms
from server.operations import LocalRuleOperations, ReloadRules, RollbackRules, RuleOperations
from server.remote import RemoteOperations
from server.settings import Settings

FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
BY: Final = click.option("--by", default="operator", show_default=True, help="Who changes the rules; kept in the history.")


@asynccontextmanager
async def _operations(settings: Settings, by: str) -> AsyncIterator[RuleOperations]:
    server = find_server(settings.data_dir)
    if server is not None:
        async with RemoteOperations(server.url, Tokens.open(settings), by) as remote:
            yield remote
        return
    from server.parts import screening_config  # all parts: wanted by this path only
    from server.screening import Screening

    with DataLock(settings.data_dir):
        # The rules alone: the log and the pages are not touched.
        rules = Screening(settings.data_dir / "rules", settings.rules_file, screening_config(settings))
        yield LocalRuleOperations(lambda: rules, by)


async def _ask(settings: Settings, by: str, work: Callable[[RuleOperations], Awaitable[Any]]) -> Any:
    async with _operations(settings, by) as found:
        return await work(found)


def _do(settings: Settings, by: str, work: Callable[[RuleOperations], Awaitable[Any]]) -> Any:
    """What the work gives; one sentence and exit code 1 where the rules cannot be used."""
    quiet_logs(settings)
    try:
        return asyncio.run(_ask(settings, by, work))
    except Refusal as refusal:
        raise _not_taken(refusal) from None


def _not_taken(refusal: Refusal) -> Exception:
    if refusal.code.name != "bad_rules":
        return refusal
    return click.ClickException(f"not taken, the rules stay as they are: {refusal.detail}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: {error}") from None


@click.command("reload")
@click.argument("rules", type=FILE)
@BY
@with_settings()
def reload_command(rules: Path, by: str, settings: Settings) -> None:
    """Compile and check a rule file, and put it into force if it is good."""
    source = _read(rules)
    _tell(_do(settings, by, lambda found: found.reload_rules(ReloadRules(source=source))))


@click.command("rollback")
@BY
@with_settings()
def rollback_command(by: str, settings: Settings) -> None:
    """Put the rules before the current ones into force again."""
    _tell(_do(settings, by, lambda found: found.rollback_rules(RollbackRules())))


def _tell(change: dict[str, Any]) -> None:
    click.echo("{name} {version} ({hash}) is in force instead of {previous}".format_map(change))


@click.command("emergency")
@click.argument("rules", type=FILE, required=False)
@click.option("--clear", is_flag=True, help="Take the emergency terms out.")
@click.option("--code", default="E2", show_default=True, help="Reason code of family E; `barrage reasons` lists them.")
@click.option("--basis", default="emergency terms by the operator", help="What it rests on, in one line.")
@with_settings()
def emergency_command(rules: Path | None, clear: bool, code: str, basis: str, settings: Settings) -> None:
    """Put the terms of a small rule file beside the rules at once, instead of earlier such terms."""
    if clear == (rules is not None):
        raise click.UsageError("give a rule file, or --clear")
    request = EmergencyTerms(source="" if rules is None else _read(rules), code=code, basis=basis)
    try:
        done = run(settings, lambda found: found.emergency_terms(request), create=True)
    except Refusal as refusal:
        raise _not_taken(refusal) from None
    click.echo(f"emergency terms in force: {done['terms']}")


@click.command("history")
@click.option("--replay", "text", help="Judge this text under the rules of --hash.")
@click.option("--hash", "rules_hash", default="", help="Rules to replay under; empty: those in force.")
@click.option("--at-ms", default=0, help="The moment of the decision, Unix time in milliseconds (0: now).")
@with_settings()
def history_command(text: str | None, rules_hash: str, at_ms: int, settings: Settings) -> None:
    """Which rules were in force since when; or what the rules of a time say of a text."""
    require_data_folder(settings)
    changes = _do(settings, "operator", lambda found: found.rules_history())
    if text is not None:
        rules_hash = rules_hash or changes[-1]["hash"]
        try:
            # Kept rules are never changed, so they can be read whoever holds the folder.
            pipeline = Pipeline(loads(kept(settings.data_dir / "rules", rules_hash), rules_hash))
            verdict = pipeline.inspect(text, now_ms=at_ms or time.time_ns() // 1_000_000)
        except RuleError as error:
            raise click.ClickException(str(error)) from None
        click.echo(explain(text, verdict))
        return
    for change in changes:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(change["at_ms"] / 1000)) if change["at_ms"] else "at first"
        click.echo(f"{stamp}  {change['hash']}  {change['name']} {change['version']}  {change['what']} {change['by']}".rstrip())


COMMANDS: Final = (reload_command, rollback_command, emergency_command, history_command)
