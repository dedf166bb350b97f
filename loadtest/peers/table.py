"""The comparison for people: a table in a terminal, and the same as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from loadtest.peers.catalogue import BARRAGE
from loadtest.peers.comparison import Cell, Comparison, best

HEADINGS = (
    "server",
    "deliveries per CPU-s",
    "core used",
    "p50 ms",
    "p99 ms",
    "not delivered",
    "KB per viewer",
    "idle",
    "bytes each",
)
WIDTH = 140
"""Columns of a table that goes to a file."""


def rows(found: Comparison, rate: float) -> Iterator[tuple[str, ...]]:
    """This server first, then the peers from the cheapest to the dearest; a server's best variant bears an asterisk."""

    def place(cell: Cell) -> tuple[bool, bool, float]:
        return cell.server != BARRAGE, not cell.valid, -cell.figures.get("deliveries_per_cpu_s", 0.0)

    for cell in sorted((each for each in found.cells if each.rate == rate), key=place):
        yield _row(cell, cell is best(found.cells, cell.server, rate))


def _row(cell: Cell, is_best: bool) -> tuple[str, ...]:
    if not cell.valid:
        return cell.name, f"withheld: {'; '.join(cell.doubts)}", *[""] * (len(HEADINGS) - 2)
    of = cell.figures
    return (
        cell.name + (" *" if is_best else ""),
        _figure(cell, "deliveries_per_cpu_s"),
        f"{of['cpu_share']:.0%}",
        f"{of['p50_ms']:,.0f}",
        _figure(cell, "p99_ms"),
        f"{of['loss_share']:.1%}" if of["loss_share"] > 0.0005 else "0",
        f"{of['kb_per_viewer']:.1f}",
        f"{of['kb_per_viewer_idle']:.1f}",
        f"{of['bytes_per_delivery']:.0f}",
    )


def _figure(cell: Cell, name: str) -> str:
    """The figure, and between what the rounds found it."""
    spread = cell.spread(name)
    return f"{cell.figures[name]:,.0f}" + (f" ({spread[0]:,.0f} to {spread[1]:,.0f})" if spread else "")


def origin(found: Comparison) -> str:
    """What the figures come from, in one paragraph."""
    machine = found.machine
    medians = f", medians of {found.rounds} rounds (least to most)" if found.rounds > 1 else ""
    return (
        f"`{found.command}`, commit {found.commit or 'unknown'}, {machine.cpu}, {machine.cpus} cores, {machine.system}, "
        f"{machine.python}; {found.scheduling}, load average {found.load[0]:.1f} before and {found.load[1]:.1f} after; "
        f"{found.viewers:,} viewers who read every {found.read_every_ms:g} ms, "
        f"{found.seconds:g} s each{medians}; {found.started}."
    )


def show(found: Comparison, console: Console) -> None:
    """Print tables, what is missing, and the verdicts."""
    for rate in sorted({cell.rate for cell in found.cells}):
        table = Table(title=f"{rate:g} comments/s to {found.viewers:,} viewers", title_justify="left")
        for number, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="right" if number else "left", overflow="fold")
        for row in rows(found, rate):
            table.add_row(*row)
        console.print(table)
    for name, reason in found.missing.items():
        console.print(f"[yellow]missing[/] {name}: {reason}", soft_wrap=True)
    for cell in found.cells:
        if cell.broken_rules:
            console.print(f"[bold red]broken[/] {cell.name} at {cell.rate:g}/s: {cell.broken_rules}", soft_wrap=True)
    for verdict in found.verdicts:
        word = "[green]holds[/]" if verdict.holds else "[bold red]does not hold[/]"
        console.print(f"{word}: {verdict.duty} ({verdict.found})", highlight=False, soft_wrap=True)
    console.print(origin(found), highlight=False, markup=False, soft_wrap=True)


def markdown(found: Comparison) -> str:
    """The same for the documentation."""
    lines: list[str] = []
    for rate in sorted({cell.rate for cell in found.cells}):
        lines += [f"{rate:g} comments/s:", "", _line(HEADINGS), _line(["---", *["---:"] * (len(HEADINGS) - 1)])]
        lines += [*map(_line, rows(found, rate)), ""]
    lines += [f"- {'Holds' if each.holds else 'Does not hold'}: {each.duty} ({each.found})." for each in found.verdicts]
    lines += ["", origin(found), ""]
    return "\n".join(lines)


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace(" *", " \\*") for cell in cells) + " |"
