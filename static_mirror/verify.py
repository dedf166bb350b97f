"""An independent reader of a pages folder: every row with its text, and everything that is wrong.

It shares no code with what writes the pages: it parses them with ``html.parser`` as any HTML and knows only what
``docs/static-pages.md`` promises. At most one page is in memory, and a few numbers per removal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, NamedTuple

_ROWS: Final = 256
_PROBLEMS: Final = 100  # told in words; further ones are counted only
_KINDS: Final = {"comment": "comment", "tombstone": "comment", "removal": "removal", "restoration": "restoration",
                 "notice": "notice"}  # fmt: skip
_VOID: Final = {"meta", "link", "wbr"}
_TAGS: Final = _VOID | {
    "html", "head", "title", "body", "header", "nav", "main", "footer", "article", "h1", "h2", "p", "a", "time", "data",
    "span", "bdi", "strong", "dl", "div", "dt", "dd", "ul", "li",
}  # fmt: skip
_ATTRIBUTES: Final = {
    "aria-label", "aria-live", "charset", "class", "content", "datetime", "dir", "href", "id", "itemprop", "itemscope",
    "itemtype", "lang", "name", "rel", "role", "value",
}  # fmt: skip
_ANCHOR: Final = re.compile(r"c([1-9][0-9]{0,18})")
_LINK: Final = re.compile(r"/rooms/([A-Za-z0-9_-]{1,64})/comments/([0-9]{1,12})\.html#c([1-9][0-9]{0,18})")
_PAGE: Final = re.compile(r"(0|[1-9][0-9]{0,11})\.html")
_LISTED: Final = re.compile(rb'<li id="p([0-9]{1,12})">')
_SEAL: Final = re.compile(
    rb"<!-- barrage-seal v=1 room=(\S+) page=([0-9]+) rows=([0-9]+) from=-?[0-9]+ to=-?[0-9]+ pos=\S+"
    rb" bytes=([0-9]+) sha256=([0-9a-f]{64}) -->\n\Z"
)


class PageFault(Exception):
    """Something on the pages is not as it must be; the text names the page."""


class Row(NamedTuple):
    """One row as it stands on its page.

    ``kind`` is that of the event; ``text`` is that of a comment or announcement; ``removed`` is set for a tombstone. ``target``
    is what the row links to: the comment of a removal or restoration, the removal of a tombstone, else 0. ``region``, ``label`` and
    ``label_kind`` are those of a comment, empty where it shows none.
    """

    seq: int
    kind: str
    text: str
    removed: bool
    target: int
    region: str = ""
    label: str = ""
    label_kind: str = ""


class Report(NamedTuple):
    """What was found. ``unsealed`` counts full pages that wait for their final form: complete, and no fault of a running server.

    ``faults`` counts everything wrong, ``problems`` tells the first hundred of them.
    """

    pages: int
    sealed: int
    unsealed: int
    rows: int
    comments: int
    removed: int
    faults: int
    problems: list[str]


class _Parser(HTMLParser):
    """Collects the rows of one page and complains of what no page may hold."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[Row] = []
        self.problems: list[str] = []
        self.stack: list[str] = []
        self._row: dict[str, str] | None = None
        self._text: list[str] = []
        self._in_text = False
        self._target = 0
        self._collected = ""  # the field whose text is being read, and the depth of its element
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in _TAGS or set(given) - _ATTRIBUTES:
            self.problems.append(f"has <{tag}> with attributes {sorted(given)}, which no page holds")
        if self._in_text:
            self.problems.append(f"has <{tag}> within a text")
        if tag == "article":
            self._begin(given)
        elif self._row is not None:
            self._inside(self._row, tag, given)
        if tag not in _VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack[-1] != tag:
            self.problems.append(f"closes <{tag}> where {self.stack[-1:]} is open")
            return
        self.stack.pop()
        if self._collected and len(self.stack) < self._depth:
            self._collected = ""
        if tag == "p":
            self._in_text = False
        elif tag == "article":
            self._end()

    def handle_data(self, data: str) -> None:
        if self._collected and self._row is not None:
            self._row[self._collected] += data
        if self._in_text:
            self._text.append(data)
        elif data.strip() and self.stack[-1:] in ([], ["body"], ["html"], ["main"]):
            self.problems.append(f"has loose text {data.strip()[:40]!r}")

    def _begin(self, given: dict[str, str]) -> None:
        if self._row is not None or self.stack not in (["html", "body"], ["html", "body", "main"]):
            self.problems.append(f"has row {given.get('id')!r} in {self.stack}")
        self._row = {"id": given.get("id", ""), "class": given.get("class", "")}
        self._text = []
        self._target = 0

    def _inside(self, row: dict[str, str], tag: str, given: dict[str, str]) -> None:
        if tag == "p" and given.get("class") == "text":
            self._in_text = True
            row["text"] = "1"
        elif tag == "time":
            row["time"] = given.get("datetime", "")
        elif tag == "bdi" and given.get("itemprop") == "name":
            row["author"] = "1"
        elif tag == "bdi" and given.get("itemprop") == "disambiguatingDescription":
            self._collect(row, "label")
        elif tag == "span" and given.get("class", "").startswith("badge "):
            row["badges"] = row.get("badges", "") + "1"
            row["kind"] = given["class"].removeprefix("badge ")
        elif tag == "data" and given.get("class") == "region":
            row["region"] = given.get("value", "")
            self._collect(row, "place")
        elif tag == "a":
            if given.get("class") == "see":
                self._target = self._see(given.get("href", ""))
            else:
                row[given.get("class") or "self"] = given.get("href", "")

    def _collect(self, row: dict[str, str], field: str) -> None:
        row[field] = ""
        self._collected = field
        self._depth = len(self.stack) + 1

    def _see(self, address: str) -> int:
        match = _LINK.fullmatch(address)
        if match is None:
            self.problems.append(f"has a link to {address!r}")
            return 0
        seq = int(match[3])
        if int(match[2]) != (seq - 1) // _ROWS:
            self.problems.append(f"links to {address!r}, which is not the page of #{seq}")
        return seq

    def _end(self) -> None:
        row, self._row = self._row or {}, None
        match = _ANCHOR.fullmatch(row["id"])
        kind = _KINDS.get(row["class"])
        if match is None or kind is None:
            self.problems.append(f"has a row with anchor {row['id']!r} and class {row['class']!r}")
            return
        seq = int(match[1])
        removed = row["class"] == "tombstone"
        faults = []
        if row.get("self") != f"#c{seq}":
            faults.append("no link to itself")
        try:
            if datetime.fromisoformat(row.get("time", "")).tzinfo is None:
                faults.append("a time without zone")
        except ValueError:
            faults.append("no time")
        if (
            kind == "comment"
            and not removed
            and ("text" not in row or not row.get("report", "").endswith(f"/report?seq={seq}"))
        ):
            faults.append("no text or no report link")
        if removed and row.keys() & {"text", "author", "region", "label"}:
            faults.append("a text or an author, though it was removed")
        if row.keys() & {"region", "label", "badges"} and row["class"] not in {"comment", "tombstone"}:
            faults.append("a region or a label, though it is no comment")
        if ("label" in row or "badges" in row) and (row.get("badges") != "1" or not row.get("label")):
            faults.append("a label that is not one badge with a text")
        if row.get("region", "") not in row.get("place", ""):
            faults.append("a region other than it shows")
        if (removed or kind in {"removal", "restoration"}) and not self._target:
            faults.append("no link to what it belongs to")
        self.problems += [f"row #{seq} has {fault}" for fault in faults]
        about = (row.get("region", ""), row.get("label", ""), row.get("kind", ""))
        self.rows.append(Row(seq, kind, "".join(self._text), removed, self._target, *about))


class _Page(NamedTuple):
    rows: list[Row]
    problems: list[str]
    sealed: bool


def read_rows(folder: Path) -> Iterator[Row]:
    """Every row of a room's pages, in order. Raises PageFault at the first thing that is wrong on a page."""
    numbers = _numbers(folder)
    for expected, number in enumerate(numbers):
        if number != expected:
            raise PageFault(f"{expected}.html is missing")
        page = _read(folder, number, last=number == numbers[-1])
        if page.problems:
            raise PageFault(f"{number}.html {page.problems[0]}")
        yield from page.rows


class _Tally:
    """What :func:`verify` has found so far."""

    def __init__(self) -> None:
        self.rows = self.comments = self.unsealed = self.faults = 0
        self.sealed: set[int] = set()
        self.problems: list[str] = []
        self.removals: dict[int, int] = {}  # comment -> the removal in force, 0 when restored
        self.tombstones: dict[int, int] = {}

    def fault(self, problem: str) -> None:
        self.faults += 1
        if len(self.problems) < _PROBLEMS:
            self.problems.append(problem)

    def page(self, number: int, page: _Page) -> None:
        for problem in page.problems:
            self.fault(f"{number}.html {problem}")
        self.rows += len(page.rows)
        if page.sealed:
            self.sealed.add(number)
        elif len(page.rows) == _ROWS:
            self.unsealed += 1
        for row in page.rows:
            self.comments += row.kind == "comment"
            if row.removed:
                self.tombstones[row.seq] = row.target
            elif row.kind in {"removal", "restoration"}:
                self.removals[row.target] = row.seq if row.kind == "removal" else 0

    def records(self) -> None:
        for seq in sorted(self.removals.keys() | self.tombstones.keys()):
            said, shown = self.removals.get(seq, 0), self.tombstones.get(seq, 0)
            if said != shown:
                self.fault(f"#{seq} is shown as removed by #{shown}, the records say #{said} (0: not removed)")


def verify(folder: Path) -> Report:
    """Check a room's pages (``rooms/{room}/comments``) as a whole: rows, numbers, anchors, seals, index, and that the removed
    comments are exactly those that the removals and restorations on the pages name.

    Of a running server it may find a tombstone whose removal has no row yet, or a sealed page not yet in the index, for the
    moment between the two.
    """
    numbers = _numbers(folder)
    tally = _Tally()
    if not numbers:
        tally.fault(f"{folder} has no pages")
    elif len(numbers) != numbers[-1] + 1:
        missing = next(expected for expected, number in enumerate(numbers) if number != expected)
        tally.fault(f"{numbers[-1] + 1 - len(numbers)} pages are missing, the first is {missing}.html")
    for number in numbers:
        tally.page(number, _read(folder, number, last=number == numbers[-1]))
    tally.records()
    for problem in _index_problems(folder, tally.sealed):
        tally.fault(problem)
    return Report(
        len(numbers), len(tally.sealed), tally.unsealed, tally.rows, tally.comments, len(tally.tombstones), tally.faults,
        tally.problems,
    )  # fmt: skip


def _numbers(folder: Path) -> list[int]:
    """The numbers of the pages in the folder, in order."""
    matches = (_PAGE.fullmatch(path.name) for path in folder.iterdir()) if folder.is_dir() else iter(())
    return sorted(int(match[1]) for match in matches if match)


def _read(folder: Path, number: int, *, last: bool) -> _Page:
    try:
        data = (folder / f"{number}.html").read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        return _Page([], [f"cannot be read: {error}"], sealed=False)
    parser = _Parser()
    parser.feed(text)
    parser.close()
    problems = parser.problems
    if not text.startswith("<!doctype html>\n"):
        problems.append("does not begin with its doctype")
    first = number * _ROWS + 1
    numbers = [row.seq for row in parser.rows]
    if numbers != list(range(first, first + len(numbers))):
        problems.append(f"has rows {numbers[:3]} ... {numbers[-3:]}, not #{first} and so on without gaps")
    if len(numbers) > _ROWS or (len(numbers) < _ROWS and not last):
        problems.append(f"has {len(numbers)} rows")
    match = _SEAL.search(data)
    if match is None:
        if b"barrage-seal" in data:
            problems.append("has a damaged seal")
        if parser.stack != ["html", "body"]:
            problems.append(f"is open and ends within {parser.stack}")
        return _Page(parser.rows, problems, sealed=False)
    _, page, rows, size, digest = match.groups()
    if (int(page), int(rows), int(size)) != (number, len(numbers), match.start()):
        problems.append("has a seal that does not belong to it")
    if hashlib.sha256(data[: match.start()]).hexdigest() != digest.decode():
        problems.append("was changed after it was sealed")
    if parser.stack:
        problems.append(f"is sealed and ends within {parser.stack}")
    return _Page(parser.rows, problems, sealed=True)


def _index_problems(folder: Path, sealed: set[int]) -> list[str]:
    """The index files together list every sealed page once; blocks are those that the folder holds."""
    listed: list[int] = []
    for path in [folder / "index.html", *sorted(folder.glob("index-*.html"))]:
        try:
            listed += [int(number) for number in _LISTED.findall(path.read_bytes())]
        except OSError as error:
            return [f"{path.name} cannot be read: {error}"]
    problems = []
    if len(listed) != len(set(listed)):
        problems.append("the index lists a page twice")
    if set(listed) != sealed:
        problems.append(f"the index does not agree with the pages on {sorted(set(listed) ^ sealed)[:5]}")
    return problems
