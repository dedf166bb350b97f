"""Reading back what a room is now: the log through the history interface, and the rows of its static pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, Self

import httpx

from loadtest.messages import LogEvent, PageRow, decode_history
from server.wire import page_number

HISTORY_LIMIT: Final = 1000
TIMEOUT_S: Final = 30.0

_ROW_ID: Final = re.compile(r"c([1-9][0-9]*)")


class ReadbackError(Exception):
    """The server did not hand out what it must; the text says what."""


class RowParser(HTMLParser):
    """Rows of one page: ``<article id="c{seq}">`` elements, complete ones only. Use :func:`parse_rows`."""

    def __init__(self, page: int) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[PageRow] = []
        self._page = page
        self._seq = 0
        self._kind = ""
        self._into: list[str] | None = None
        self._text: list[str] = []
        self._author: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a row, its text and its author begin."""
        if tag == "article":
            fields = dict(attrs)
            match = _ROW_ID.fullmatch(fields.get("id") or "")
            self._seq = int(match[1]) if match else 0
            self._kind = fields.get("class") or ""
            self._text, self._author, self._into = [], [], None
        elif self._seq and tag in {"p", "bdi"}:
            part = dict(attrs).get("itemprop")
            if part == "text":
                self._into = self._text
            elif part == "name":
                self._into = self._author

    def handle_data(self, data: str) -> None:
        """Collect the text of what is open."""
        if self._into is not None:
            self._into.append(data)

    def handle_endtag(self, tag: str) -> None:
        """A row is a row when its end is there."""
        if tag in {"p", "bdi"}:
            self._into = None
        elif tag == "article" and self._seq:
            removed = self._kind == "tombstone"
            self.rows.append(PageRow(self._page, self._seq, "".join(self._text), "".join(self._author), removed))
            self._seq = 0


def parse_rows(html: str, page: int) -> list[PageRow]:
    """The rows of page ``page`` in the order in which they stand."""
    parser = RowParser(page)
    parser.feed(html)
    parser.close()
    return parser.rows


def read_page_files(pages_dir: Path, room: str) -> list[PageRow]:
    """The rows on the disk, whatever the server is doing (a last row that is not complete is none)."""
    rows: list[PageRow] = []
    folder = pages_dir / "rooms" / room / "comments"
    for path in sorted((path for path in folder.glob("*.html") if path.stem.isdigit()), key=lambda path: int(path.stem)):
        rows += parse_rows(path.read_text(encoding="utf-8", errors="replace"), int(path.stem))
    return rows


@dataclass(frozen=True, slots=True)
class Log:
    """A room's log from some number on."""

    events: list[LogEvent]
    epoch: str


class Reader:
    """Reads one room over HTTP. Use as an asynchronous context manager.

    ``http`` is a client for that origin which the caller owns and closes; without it the reader has one of its own.
    """

    def __init__(self, origin: str, room: str, http: httpx.AsyncClient | None = None) -> None:
        self._room = room
        self._owned = http is None
        self._http = http if http is not None else httpx.AsyncClient(base_url=origin, timeout=TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._owned:
            await self._http.aclose()

    async def _get(self, path: str, missing_ok: bool = False) -> bytes | None:
        try:
            answer = await self._http.get(path)
        except httpx.HTTPError as error:
            raise ReadbackError(f"{path}: {type(error).__name__} {error}") from None
        if answer.status_code == 404 and missing_ok:
            return None
        if answer.status_code != 200:
            raise ReadbackError(f"{path}: HTTP {answer.status_code} {answer.text[:200]}")
        return answer.content

    async def events(self, after: int, limit: int = HISTORY_LIMIT) -> list[LogEvent]:
        """One answer of the history interface. Raises ReadbackError, ValueError."""
        body = await self._get(f"/api/rooms/{self._room}/events?after={after}&limit={limit}")
        return decode_history(body or b"").events

    async def log(self, after: int = 0, until: int | None = None) -> Log:
        """All events after ``after``, up to ``until`` (None: to the end). Raises ReadbackError, ValueError."""
        events: list[LogEvent] = []
        epoch = ""
        while until is None or after < until:
            limit = HISTORY_LIMIT if until is None else min(HISTORY_LIMIT, until - after)
            body = await self._get(f"/api/rooms/{self._room}/events?after={after}&limit={limit}")
            history = decode_history(body or b"")
            epoch = history.epoch or epoch
            if not history.events:
                break
            events += history.events
            after = history.events[-1].seq
        return Log(events, epoch)

    async def pages(self, after: int, head: int) -> list[PageRow]:
        """Rows with numbers after ``after``, from the page where they begin to one page past the log's ``head``."""
        rows: list[PageRow] = []
        for page in range(page_number(after + 1), page_number(max(head, 1)) + 2):
            body = await self._get(f"/rooms/{self._room}/comments/{page}.html", missing_ok=True)
            if body is not None:
                rows += parse_rows(body.decode(), page)
        return [row for row in rows if row.seq > after]
