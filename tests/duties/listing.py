"""The list of duty tests in docs/duties.md, made from the tests themselves: ``python -m tests.duties.listing`` writes it anew."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "duties.md"
BEGIN: Final = "<!-- the list of tests begins -->\n"
END: Final = "<!-- the list of tests ends -->\n"

_NAME: Final = re.compile(r"test_duty_([pt])(\d+)(?:_(\d+))?_")
_CLAIM: Final = re.compile(r"^dut(?:y|ies) [^:]*: ")


class DutyTest(NamedTuple):
    """A test that shows a duty: which one, where, and what its first sentence says."""

    duty: str
    name: str
    path: str
    shows: str

    @property
    def order(self) -> tuple[str, list[int], str]:
        """By text, article and item, then by name."""
        return self.duty[0], [int(number) for number in re.findall(r"\d+", self.duty)], self.name


def duty_of(name: str) -> str:
    """``test_duty_p5_4_...`` is about P5(4). Raises ValueError for a name that names no duty."""
    found = _NAME.match(name)
    if found is None:
        raise ValueError(f"{name}: a test of a duty is named like test_duty_p5_4_what_it_shows")
    text, article, item = found.groups()
    return f"{text.upper()}{article}" + (f"({item})" if item else "")


def duty_tests() -> list[DutyTest]:
    """All of them, in order. Raises ValueError for one without a docstring."""
    return sorted(_found(), key=lambda test: test.order)


def _found() -> Iterator[DutyTest]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "def test_duty_" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_duty_"):
                words = " ".join((ast.get_docstring(node) or "").split())
                if not words:
                    raise ValueError(f"{path}: {node.name} does not say what it shows")
                yield DutyTest(duty_of(node.name), node.name, str(path.relative_to(ROOT)), _sentence(words))


def _sentence(words: str) -> str:
    """The first sentence, without the claim in front of it."""
    plain = _CLAIM.sub("", words)
    first = re.split(r"(?<=[.])\s", plain, maxsplit=1)[0].rstrip(".")
    return (first[:1].upper() + first[1:]).replace("|", "/")


def made(text: str) -> str:
    """The document with its list as the tests have it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    rows = [f"| {test.duty} | {test.shows} | `{test.name}` | `{test.path}` |\n" for test in duty_tests()]
    return f"{head}{BEGIN}| duty | what the test shows | test | in |\n| --- | --- | --- | --- |\n{''.join(rows)}{END}{tail}"


if __name__ == "__main__":
    DOCUMENT.write_text(made(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
