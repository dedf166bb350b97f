"""What a run found, for people and for programs. Figures of a run that cannot be believed are withheld, not softened."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from loadtest.plan import Plan
from loadtest.truth import RULES, Violation, summary

EXIT_OK: Final = 0
EXIT_UNTRUE: Final = 1
EXIT_INVALID: Final = 3
VIOLATIONS_MAX: Final = 50
"""Violations that a report lists one by one; all are counted."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the run took place. ``cores`` are those that the generator may use."""

    system: str
    cpu: str
    cpus: int
    cores: list[int]
    memory_gb: float
    python: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``valid`` is false when the generator was saturated; then ``doubts`` says why and ``figures`` is empty."""

    scenario: str
    started: str
    command: str
    commit: str
    machine: Machine
    plan: Plan
    valid: bool
    doubts: list[str]
    true: bool
    broken_rules: dict[str, int]
    violations: list[Violation]
    figures: dict[str, Any]
    generator: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """0: sound. 1: a rule of truth is broken. 3: the generator was saturated, so that the figures say nothing."""
        if not self.true:
            return EXIT_UNTRUE
        return EXIT_OK if self.valid else EXIT_INVALID

    def json(self) -> bytes:
        """The report as JSON."""
        return msgspec.json.format(msgspec.json.encode(self, enc_hook=str), indent=2)


def make(
    scenario: str,
    plan: Plan,
    *,
    doubts: list[str],
    violations: list[Violation],
    figures: dict[str, Any],
    generator: dict[str, Any],
) -> Report:
    """A report of a run that ends now."""
    return Report(
        scenario=scenario,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command(),
        commit=commit(),
        machine=machine(),
        plan=plan,
        valid=not doubts,
        doubts=doubts,
        true=not violations,
        broken_rules=summary(violations),
        violations=violations[:VIOLATIONS_MAX],
        figures=figures if not doubts else {},
        generator=generator,
    )


def command() -> str:
    """The command line of this process, without the folder of the interpreter."""
    first = Path(sys.argv[0])
    name = "python -m loadtest" if first.name == "__main__.py" else first.name
    return " ".join([name, *sys.argv[1:]])


def commit() -> str:
    """The commit of the source tree; ``+`` when there are changes on top; empty when that cannot be told."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603, S607
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def machine(proc: Path = Path("/proc")) -> Machine:
    """The machine that this process runs on."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        cpu=_field(proc / "cpuinfo", "model name") or platform.processor(),
        cpus=os.cpu_count() or 0,
        cores=sorted(os.sched_getaffinity(0)),
        memory_gb=round(int((_field(proc / "meminfo", "MemTotal") or "0").split()[0]) / 1e6, 1),
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def _field(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


# ---------------------------------------------------------------------------------------------------------------------
# For people


def show(report: Report, console: Console) -> None:
    """Print the report as tables."""
    table = Table(title=f"{report.scenario}: {report.plan.url}", title_justify="left", show_header=False)
    for name, value in _flat(report.figures):
        table.add_row(name, _number(value))
    if report.figures:
        console.print(table)
    generator = Table(title="generator", title_justify="left", show_header=False)
    for name, value in _flat(report.generator):
        generator.add_row(name, _number(value))
    console.print(generator)
    console.print(
        f"{report.command}\ncommit {report.commit or 'unknown'}, {report.machine.cpu}, {report.machine.cpus} cores"
        f" (generator on {', '.join(map(str, report.machine.cores))}), {report.machine.python}, {report.started}",
        highlight=False,
        soft_wrap=True,
    )
    for doubt in report.doubts:
        console.print(f"[bold yellow]invalid[/]: {doubt}; the figures are withheld", soft_wrap=True)
    show_violations(report.violations, report.broken_rules, console)


def show_violations(violations: list[Violation], broken_rules: Mapping[str, int], console: Console) -> None:
    """Say which rules of truth are broken, or that all hold."""
    if not broken_rules:
        console.print(f"[green]true[/]: all {len(RULES)} rules hold")
        return
    for rule, count in broken_rules.items():
        console.print(f"[bold red]broken[/] {count} times: {RULES[rule]}", soft_wrap=True)
        for violation in [each for each in violations if each.rule == rule][:5]:
            console.print(f"    {violation.detail}", highlight=False, markup=False, soft_wrap=True)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield prefix + name, value


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.3g}" if abs(value) < 10 else f"{value:,.1f}"
