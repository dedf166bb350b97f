"""docs/, README.md and the other documents: they say what the program does, and lead nowhere wrong."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from server.__main__ import main
from server.documents import BLOCKS, DOCS, made
from server.errors import CLOSES, CODES
from server.settings import rows
from tests.duties import listing

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])
LAW = {
    *(f"P{number}" for number in range(1, 14)),
    *(f"T{number}" for number in range(1, 11)),
    *(f"P5({n})" for n in range(1, 9)),
}


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_what_is_made_from_tables_is_up_to_date(path: Path) -> None:
    """Tables in the documents are those of the program; after a change: make docs."""
    assert path.read_text(encoding="utf-8") == made(path)


def test_every_block_stands_in_a_document() -> None:
    """No table of the program is left undocumented: codes, close codes, reasons, metrics, commands, exit codes, settings."""
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    assert {name for name in BLOCKS if f"<!-- {name}:begin -->" in text} == set(BLOCKS)
    assert all(f"| `{row.name}` |" in text for row in rows())
    assert all(f"`{code}`" in text for code in CODES)
    assert all(f"| {close.code} |" in text for close in CLOSES.values())


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link of a document leads to a file, and to a heading in it."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = path.parent / name if name else path
        assert other.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(_anchor, titles), target


_FOLDERS = ("server", "filters", "static_mirror", "loadtest", "deploy", "docs", "tests")
_PATH = re.compile(rf"`((?:{'|'.join(_FOLDERS)})/[\w./*-]*)`")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_are_there(path: Path) -> None:
    """A file or folder of the program that a document names exists."""
    for name in _PATH.findall(path.read_text(encoding="utf-8")):
        assert list(ROOT.glob(name.rstrip("/"))), name


def test_the_readme_names_commands_that_are_there() -> None:
    """Each ``barrage`` command and make target of the README exists."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert isinstance(main, click.Group)
    names = re.findall(
        r"barrage ([a-z][a-z-]+)", "\n".join(re.findall(r"`[^`\n]+`|^    .*$|^```.*?^```", text, re.MULTILINE | re.DOTALL))
    )
    assert names
    assert set(names) <= set(main.commands)
    targets = re.findall(r"(?:`|^ {4})make ([a-z]+)", text, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def duties() -> list[list[str]]:
    """The rows of docs/duties.md: duty, what is done, state, code, tests."""
    text = (DOCS / "duties.md").read_text(encoding="utf-8").partition(listing.BEGIN)[0]
    table = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def duty_tests() -> set[str]:
    """All tests that claim a duty."""
    return {test.name for test in listing.duty_tests()}


def test_the_list_of_duty_tests_is_that_of_the_tests() -> None:
    """Duty, sentence, name and place of each come from the test itself; after a change: make docs."""
    text = listing.DOCUMENT.read_text(encoding="utf-8")
    assert text == listing.made(text)


def test_every_duty_that_is_shown_has_a_test_of_its_own() -> None:
    """A row that is shown names a duty which at least one test's own name claims."""
    claimed = {test.duty for test in listing.duty_tests()}
    for row in duties():
        if row[2] == "shown":
            named = {duty.strip() for duty in row[0].split(",")}
            assert named & claimed, row[0]


def test_a_test_of_a_duty_names_it() -> None:
    """The name leads to article and item."""
    assert [listing.duty_of(f"test_duty_{name}_x") for name in ("p5_4", "p10", "t7", "p9_2")] == ["P5(4)", "P10", "T7", "P9(2)"]
    with pytest.raises(ValueError, match="named like"):
        listing.duty_of("test_duty_of_care")


def test_every_duty_of_the_law_has_a_row() -> None:
    """No article of the two texts is missing; article 5 of P counts by its items."""
    named = {duty.strip() for row in duties() for duty in row[0].split(",")}
    missing = {duty for duty in LAW if not any(name == duty or name.startswith(f"{duty}(") for name in named)}
    assert missing == set()


def test_a_duty_that_is_shown_names_code_and_tests() -> None:
    """A row is either open, or it is shown by tests that exist, over code that exists."""
    there = duty_tests()
    for duty, does, state, code, tests in duties():
        assert state in {"open", "shown"}, duty
        assert does, duty
        assert all((ROOT / name).exists() for name in re.findall(r"`([^`]+)`", code)), duty
        found = set(re.findall(r"`(\w+)`", tests))
        assert found <= there, duty
        assert bool(found and code) == (state == "shown"), duty


def test_every_test_of_a_duty_has_a_row() -> None:
    """A test that claims to show a duty stands in the document."""
    text = (DOCS / "duties.md").read_text(encoding="utf-8").partition(listing.BEGIN)[0]
    assert {name for name in duty_tests() if f"`{name}`" not in text} == set()
