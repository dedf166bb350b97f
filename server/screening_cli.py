"""``barrage screen``: explain a verdict, screen many texts, measure, import lists, train, and change the rules."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import orjson

from filters import STARTER_PACK, bench, classifier, evaluate, importers
from filters.book import check, warnings
from filters.config import ScreeningConfig
from filters.evaluate import LONGEST, one_rule
from filters.explain import as_object, explain
from filters.normalize import fold
from filters.pipeline import Pipeline
from filters.rules import RuleSet, load, schema
from server import reload_bench
from server.rules_cli import COMMANDS

_T = TypeVar("_T")
FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)


class ScreenGroup(click.Group):
    """What is no command is a text to explain."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["text", *args]
        return super().parse_args(ctx, args)


def _or_exit(action: Callable[[], _T]) -> _T:
    """What ``action`` gives; one sentence and exit code 1 where the rules, a list or a file cannot be used."""
    try:
        return action()
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _rules(rules: Path | None, terms: Path | None, tier: str) -> RuleSet:
    if terms is not None:
        found, _, _ = importers.read_terms(terms.read_text(encoding="utf-8"))
        return one_rule(dict.fromkeys(found), tier, code=f"list.{tier}")
    return load(rules or STARTER_PACK)


@click.group(cls=ScreenGroup)
def screen() -> None:
    """Screen texts, measure the screening, and look after its rules.

    \b
    barrage screen "TEXT"          explain the verdict on a text in words
    barrage screen --batch         read JSON lines ({"text": ...}) from standard input, write one verdict a line
    """


@screen.command("text", hidden=True)
@click.argument("texts", nargs=-1)
@click.option("--batch", is_flag=True, help="Read JSON lines from standard input, write one verdict a line.")
@click.option("--terms", type=FILE, help="A list of terms instead of rules.")
@click.option("--tier", type=click.Choice(["hold", "reject", "mask"]), default="hold", help="What a term of the list leads to.")
@click.option("--rules", type=FILE, help="A rule file instead of the starter pack.")
@click.option("--room", default="", help="The room, for rules that hold in some rooms only.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of sentences.")
def text_command(
    texts: tuple[str, ...], batch: bool, terms: Path | None, tier: str, rules: Path | None, room: str, as_json: bool
) -> None:
    """Explain the verdict on each text, by the text alone (no rates, no memory)."""
    rule_set = _or_exit(lambda: _rules(rules, terms, tier))
    pipeline = Pipeline(rule_set, ScreeningConfig(max_chars=LONGEST))
    now_ms = time.time_ns() // 1_000_000
    if batch:
        _batch(pipeline, room, now_ms)
        return
    if not texts:
        raise click.UsageError("give a text, or --batch")
    for text in texts:
        verdict = pipeline.inspect(text, room, now_ms)
        click.echo(orjson.dumps(as_object(text, verdict)).decode() if as_json else explain(text, verdict))


def _batch(pipeline: Pipeline, room: str, now_ms: int) -> None:
    """One verdict for each line, in order; a line that cannot be read gets an ``error`` instead, and the exit code is 1."""
    bad = 0
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        try:
            given = orjson.loads(line)
            text = given["text"]
            verdict = pipeline.inspect(text, str(given.get("room", room)), now_ms)
            extra = {"id": given["id"]} if "id" in given else {}
            out.write(orjson.dumps({**extra, **as_object(text, verdict)}) + b"\n")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            bad += 1
            out.write(orjson.dumps({"error": f"not a JSON object with a text: {error}"}) + b"\n")
    out.flush()
    if bad:
        raise click.exceptions.Exit(1)


@screen.command("eval")
@click.option("--data", type=FOLDER, required=True, help="Folder of the labelled sets; see docs/screening.md.")
@click.option("--curve", is_flag=True, help="Also print the trade-off between recall and false positives.")
@click.option("--least", default=1, show_default=True, help="Leave hidden terms shorter than this out.")
@click.option(
    "--folds", default=0, type=click.IntRange(0, 20), help="Choose settings and train on all parts but one, measure on it."
)
def eval_command(data: Path, curve: bool, least: int, folds: int) -> None:
    """Recall per evasion family and false positives, with the hidden terms of the sets as lexicon."""
    sets = _or_exit(lambda: evaluate.read(data))
    click.echo(f"hidden terms of at least {least} characters: {sum(len(term) >= least for term in sets.terms())}")
    if folds == 1:
        raise click.UsageError("--folds needs two parts at least")
    if folds:
        _held_out(sets, folds, least)
        return
    _shares(evaluate.shares(sets, least=least))
    starter = load(STARTER_PACK)
    click.echo(f"\nstopped by the starter pack alone ({starter.hash})")
    for name, texts in sets.harmless.items():
        stopped, masked = evaluate.stopped_by_rule(starter, texts)
        by_rule = ", ".join(f"{rule} {count}" for rule, count in stopped.most_common()) or "by no rule"
        share = stopped.total() / len(texts)
        click.echo(f"  {name}: {stopped.total()} of {len(texts)} ({share:.3%}): {by_rule}; covered: {masked.total()}")
    if curve:
        for need, at_need in evaluate.trade_off(sets):
            figures = "  ".join(f"{row.name} {row.stopped:.3f}" if row.target else _more(row) for row in at_need)
            click.echo(f"{need:>4} bits  {figures}")


def _held_out(sets: evaluate.Sets, folds: int, least: int) -> None:
    found = evaluate.held_out(sets, folds, least)
    _shares(found.rows)
    click.echo("bits chosen on the other parts: " + ", ".join(f"{need:g}" for need in found.chosen))
    if sets.labelled:
        click.echo(f"\nclassifier on {len(sets.labelled)} labelled comments, never on those it was trained on")
        _out_of_fold(_or_exit(lambda: classifier.cross_validate(sets.labelled, folds)))


def _out_of_fold(rows: Iterable[tuple[float, float, float]]) -> None:
    cells = ((f"{share:.1%}", f"{flagged:.2%}", f"{recall:.3f}") for share, flagged, recall in rows)
    _table(("harmless to flag", "flagged", "recall"), cells)


def _shares(rows: Iterable[evaluate.Share]) -> None:
    _table(
        ("set", "texts", "surface", "stopped", "more", "target"),
        (
            (
                row.name,
                str(row.size),
                f"{row.surface:.3f}",
                f"{row.stopped:.3f}",
                f"{row.stopped - row.surface:+.4f}",
                _verdict_on(row),
            )
            for row in rows
        ),
    )


def _more(row: evaluate.Share) -> str:
    return f"{row.name} {100 * (row.stopped - row.surface):+.2f}pp"


def _verdict_on(row: evaluate.Share) -> str:
    if row.target:
        return f"{row.target:.2f} {'reached' if row.stopped >= row.target else 'MISSED'}"
    return f"+0.0100 {'kept' if row.stopped - row.surface <= 0.01 else 'EXCEEDED'}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for first, *others in lines:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        click.echo("  ".join(cells).rstrip())


@screen.command("bench")
@click.option("--terms", default=100_000, show_default=True, help="Number of terms.")
@click.option("--comments", default=6_000, show_default=True, help="Number of comments.")
@click.option("--texts", type=FILE, help="Comments to take instead of made ones, one a line.")
@click.option("--peers/--no-peers", default=True, help="Also time other ways of matching, where installed.")
@click.option(
    "--reload", "reloads", is_flag=True, help="Measure the pauses of the event loop while rules are exchanged instead."
)
def bench_command(terms: int, comments: int, texts: Path | None, peers: bool, reloads: bool) -> None:
    """Microseconds per comment with everything on, memory, and other ways of matching in the same run."""
    if reloads:
        asyncio.run(_bench_reload(terms))
        return
    own = texts.read_text(encoding="utf-8").splitlines() if texts else None
    for line in bench.run(terms, comments, own, peers=peers):
        click.echo(line)


async def _bench_reload(terms: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async for line in reload_bench.measure(Path(folder, "rules"), terms):
            click.echo(line)


@screen.command("import")
@click.argument("files", nargs=-1, type=FILE, required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a rule file here.")
@click.option("--code", default="import.list", show_default=True, help="Code of the rule.")
@click.option("--category", default="imported", show_default=True)
@click.option("--basis", default="House rule: suspect terms wait for review", show_default=True)
@click.option("--least", default=2, show_default=True, help="Leave out terms that fold to fewer characters.")
def import_command(files: tuple[Path, ...], out: Path | None, code: str, category: str, basis: str, least: int) -> None:
    """Read open term lists (plain, comma separated, tagged) into the suspect tier, and report what to look at."""
    source = "\n".join(_or_exit(lambda path=path: path.read_text(encoding="utf-8")) for path in files)  # type: ignore[misc]
    report = importers.examine(source, least)
    click.echo(f"{len(report.terms)} terms kept, {report.doubled} repeated, {len(report.unusable)} unusable")
    together = _examples(" = ".join(pair) for pair in report.folded_together)
    click.echo(f"{len(report.folded_together)} fold to a term that is there already{together}")
    short = _examples(iter(report.short))
    click.echo(f"{len(report.short)} shorter than {least} characters once folded, or a single one{short}")
    click.echo(f"{report.quiet} looked for as written only: chance would spell their sounds too often")
    if report.tags:
        click.echo("tags: " + ", ".join(f"{tag or '(none)'} {count}" for tag, count in sorted(report.tags.items())))
    if out is not None:
        title = f"Imported from {', '.join(path.name for path in files)}"
        content = importers.to_toml(report.terms, code, category, basis.replace('"', "'"), title.replace('"', "'"))
        _or_exit(lambda: out.write_text(content, encoding="utf-8"))
        click.echo(f"written to {out}; look at it, then: barrage screen check {out}")


def _examples(found: Iterator[str], most: int = 5) -> str:
    shown = [item for item, _ in zip(found, range(most), strict=False)]
    return f" (such as {', '.join(shown)})" if shown else ""


@screen.command("train")
@click.argument("samples", type=FILE)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Where the model goes.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--folds", default=0, type=click.IntRange(0, 20), help="Also train without each of so many parts, and measure on it."
)
def train_command(samples: Path, out: Path, seed: int, folds: int) -> None:
    """Train the classifier on JSON lines ({"text": ..., "label": 0 or 1}); 1 is what the review team took down.

    A tenth of the texts is kept aside, and the table says what each threshold does to it.
    """
    pairs = _or_exit(lambda: _samples(samples))
    model = _or_exit(lambda: classifier.train(pairs, seed))
    _or_exit(lambda: classifier.save(model, out))
    click.echo(
        f"trained on {model.trained_on} texts ({model.positives} taken down): {len(model.weights)} n-grams, written to {out}"
    )
    aside = classifier.apart(pairs, seed)[1]
    click.echo(f"on the {len(aside)} kept aside:")
    _table(
        ("harmless to flag", "threshold", "flagged", "recall", "precision"),
        (
            (f"{row.share:.1%}", f"{row.threshold:.2f}", f"{row.flagged:.2%}", f"{row.recall:.3f}", f"{row.precision:.3f}")
            for row in classifier.figures(classifier.scores(model, aside))
        ),
    )
    if folds > 1:
        click.echo(f"over {folds} parts, each judged by a model and thresholds made without it:")
        _out_of_fold(_or_exit(lambda: classifier.cross_validate(pairs, folds, seed)))


def _samples(path: Path) -> list[tuple[str, bool]]:
    """Raises ValueError for a line that is no sample."""
    out = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                given: Any = orjson.loads(line)
                out.append((fold(given["text"][:LONGEST]), bool(given["label"])))
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                raise ValueError(f"{path}, line {number}: not an object with text and label") from None
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Rules


@screen.command("check")
@click.argument("rules", type=FILE, required=False)
@click.option("--schema", "print_schema", is_flag=True, help="Print the JSON schema of rule files instead.")
def check_command(rules: Path | None, print_schema: bool) -> None:
    """Check a rule file (or the starter pack): its form, its terms, and its good and bad samples."""
    if print_schema:
        click.echo(orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode())
        return
    rule_set = _or_exit(lambda: load(rules or STARTER_PACK))
    for warning in warnings(rule_set):
        click.echo(f"note: {warning}")
    wrong = check(rule_set)
    if wrong:
        raise click.ClickException("\n".join(wrong))
    terms = sum(len(rule.terms) for rule in rule_set.rule)
    click.echo(f"{rule_set.name} {rule_set.version}: {len(rule_set.rule)} rules, {terms} terms, hash {rule_set.hash}: good")


for _command in COMMANDS:
    screen.add_command(_command)
