"""The parts of ``docs/`` that are made from the tables of the program: ``python -m server.documents`` writes them anew.

Between ``<!-- name:begin -->`` and ``<!-- name:end -->`` of any document stands the block of that name; ``docs/settings.md`` is made
as a whole. A test fails when what is written differs from what would be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from server import cli, metrics, settings
from server.accounts import credit, measures
from server.accounts.agreement import Agreements, clause_for
from server.accounts.permit import LEVELS
from server.errors import CLOSES, CODES
from server.reasons import REASONS

DOCS: Final = Path(__file__).parent.parent / "docs"

_BLOCK: Final = re.compile(r"(<!-- (\w+):begin -->\n).*?(<!-- \2:end -->)", re.DOTALL)


def _table(*rows: tuple[object, ...]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def codes() -> str:
    """All refusal codes."""
    rows = ((f"`{code.name}`", code.http, _yes(code.temporary), code.en, code.zh) for code in CODES.values())
    return _table(("code", "status", "temporary", "message", "message_zh"), *rows)


def closes() -> str:
    """All close codes that the server sends."""
    rows = ((close.code, f"`{close.name}`", _yes(close.reconnect), close.meaning) for close in CLOSES.values())
    return _table(("code", "name", "reconnect", "meaning"), *rows)


def reasons() -> str:
    """All reason codes of removals and restorations."""
    return _table(("code", "meaning", "含义"), *((f"`{reason.code}`", reason.en, reason.zh) for reason in REASONS.values()))


def credit_weights() -> str:
    """What counts for credit, and how much."""
    return _table(
        ("what is counted", "points"),
        *((f"`{what}`", f"{points:+d}" if points else "0") for what, points in credit.WEIGHTS.items()),
    )


def credit_levels() -> str:
    """From how many points on an account has each level."""
    return _table(
        ("level", "points"),
        *((level, f"from {least}" if level else f"below {credit.LEVELS[1]}") for level, least in enumerate(credit.LEVELS)),
    )


def level_rules() -> str:
    """What each credit level allows."""
    rows = (
        (
            number,
            f"{level.text_max} characters" if level.text_max else "as the site",
            ", ".join(f"`{mode}`" for mode in level.modes),
            _yes(level.colors),
            ", ".join(map(str, level.sizes)),
            _yes(level.links),
            "usual" if level.rate == 1 else f"1/{level.rate}",
            _yes(level.reviewed),
        )
        for number, level in enumerate(LEVELS)
    )
    return _table(("level", "length", "modes", "colours", "sizes", "links", "pace", "reviewed first"), *rows)


def ladder() -> str:
    """The rungs of the ladder of measures, and who may take them for how long."""
    rows = ((f"`{step.rung}`", step.zh, *(_term(step, role) for role in measures.ROLES)) for step in measures.LADDER.values())
    return _table(("rung", "处置", *(f"`{role}`" for role in measures.ROLES)), *rows)


def _term(step: measures.Step, role: str) -> str:
    if role not in step.most_ms:
        return "no"
    most_ms = step.most_ms[role]
    if most_ms is None:
        return "yes"
    return f"up to {most_ms // measures.DAY_MS} d" + (", or until lifted" if step.open_ended else "")


def clauses() -> str:
    """The clauses of the built-in agreement, and the reason codes that cite them."""
    document = Agreements.load().current()
    cited = {clause: [f"`{code}`" for code in REASONS if clause_for(code) == clause] for clause in document.text("en").clauses}
    english, chinese = document.text("en").clauses, document.text("zh-CN").clauses
    rows = ((each.number, f"`{id_}`", each.title, chinese[id_].title, ", ".join(cited[id_])) for id_, each in english.items())
    return _table(("clause", "id", "title", "标题", "cited by"), *rows)


def metric_names() -> str:
    """All metrics of our own."""
    families = metrics.Exposition(metrics.Stats()).collect()
    rows = (
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.type, family.documentation)
        for family in families
    )
    return _table(("name", "type", "what it is"), *rows)


def commands() -> str:
    """All commands with what they do."""
    from server.__main__ import main  # the command line stands above; it is only read here

    return _table(("command", "what it does"), *_commands(main, "barrage"))


def _commands(group: click.Command, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(group, click.Group):
        arguments = [
            parameter.make_metavar(click.Context(group)) for parameter in group.params if isinstance(parameter, click.Argument)
        ]
        yield f"`{' '.join([path, *arguments])}`", (group.help or "").split("\n\n")[0].replace("\n", " ")
        return
    for name, command in sorted(group.commands.items()):
        yield from _commands(command, f"{path} {name}")


def exits() -> str:
    """The exit codes of the command line."""
    return _table(
        ("exit code", "meaning"),
        (0, "done; a server that was told to stop"),
        (cli.EXIT_FAILED, "refused, or a check failed: the sentence says why"),
        (cli.EXIT_SETTINGS, "wrong usage, a bad setting, or an address that cannot be listened on"),
        (cli.EXIT_UNREACHABLE, "the running server does not answer"),
        (cli.EXIT_DATA_FOLDER, "the data folder cannot be used, or another process holds it"),
        (cli.EXIT_STORAGE, "the log or the pages could not be read or written"),
    )


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "codes": codes,
    "closes": closes,
    "reasons": reasons,
    "credit_weights": credit_weights,
    "credit_levels": credit_levels,
    "level_rules": level_rules,
    "ladder": ladder,
    "clauses": clauses,
    "metrics": metric_names,
    "commands": commands,
    "exits": exits,
}


def fill(text: str) -> str:
    """A document with its blocks made anew. Raises KeyError for a block that nothing makes."""
    return _BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match[2]]()}\n{match[3]}", text)


def made(path: Path) -> str:
    """What a document should be."""
    if path.name == "settings.md":
        return settings.document()
    return fill(path.read_text(encoding="utf-8"))


def write(folder: Path = DOCS) -> None:
    """Bring all documents of a folder up to date."""
    for document in sorted(folder.glob("*.md")):
        document.write_text(made(document), encoding="utf-8")


if __name__ == "__main__":
    write()
