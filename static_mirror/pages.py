"""HTML of pages and rows: data in, text out, no I/O.

A row is one line, a complete ``<article id="c{seq}">``; its bytes depend on the event and the room's name only, so a row is
the same on an open page, on a sealed one, and wherever else it is shown. Links in it therefore start at the site's root.

An open page is a head followed by rows directly in ``<body>``: HTML lets the end tags of body and html be left out, so it is
a complete document after every row. A sealed page has the rows in ``<main>`` and ends with a comment, the *seal*, which holds
what the index needs to know and the SHA-256 of everything before it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from static_mirror import labels
from static_mirror.labels import both
from static_mirror.layout import INDEX_NAME, PAGE_ROWS, STYLE_ADDRESS, first_seq, is_room_name, page_name, page_of
from static_mirror.places import english
from static_mirror.rows import PageEvent

# What HTML forbids in a document: controls but tab and line feed, surrogates (not text at all), noncharacters.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_TIMES: Final = 4096  # formatted seconds kept; the least recently used one is dropped
_REGIONS: Final = 512  # formatted regions kept, more than there are
_LAST_SECOND: Final = 253_402_128_000  # 9999-12-30 UTC, within the years of every zone; later times are shown as this
_SEAL: Final = re.compile(
    rb"<!-- barrage-seal v=1 room=([A-Za-z0-9_-]{1,64}) page=(\d{1,12}) rows=(\d{1,4}) from=(-?\d{1,19}) to=(-?\d{1,19})"
    rb" pos=(?:(-?\d{1,19})\.\.(-?\d{1,19})|none) bytes=(\d{1,12}) sha256=([0-9a-f]{64}) -->\n\Z"
)
SEAL_LIMIT: Final = 512  # no seal has more bytes

_REPORT: Final = both("举报", "Report")
_REMOVED: Final = both("该弹幕已移除", "This comment was removed")
_CODE: Final = both("代码", "Code")
_BASIS: Final = both("依据", "Basis")
_BY: Final = both("处理方", "By")
_RECORD: Final = both("记录", "Record")
_UNTIL: Final = both("至", "until")
_OF_MODES: Final = {
    "mode": both("房间模式改为", "The room is now"),
    "site_mode": both("全站模式改为", "The whole site is now"),
}


class RoomText:
    """What pages say of a room; ``title`` is HTML. Raises ValueError for a bad name."""

    __slots__ = ("base", "name", "title")

    def __init__(self, name: str, title: str) -> None:
        if not is_room_name(name):
            raise ValueError(f"{name!r} cannot name a room")
        self.name: Final = name
        self.title: Final = escape(title).replace("&#10;", " ").strip() or name
        self.base: Final = f"/rooms/{name}"


class Span(NamedTuple):
    """What a page covers: its first and last number, Unix milliseconds, and positions of its comments (None: it has none)."""

    first: int
    last: int
    from_ms: int
    to_ms: int
    positions: tuple[int, int] | None


class Seal(NamedTuple):
    """The end of a sealed page. ``size`` counts the bytes before the seal, ``sha256`` is their digest in hexadecimal."""

    room: str
    page: int
    span: Span
    size: int
    sha256: str
    length: int


def harmless(text: str) -> str:
    """The text as a page can carry it: what HTML forbids becomes U+FFFD, every kind of line end a line feed."""
    if text.isprintable():
        return text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _FORBIDDEN.sub("\ufffd", text)


def escape(text: str) -> str:
    """The text as HTML on one line, for the content of an element (not for attributes)."""
    if not text.isprintable():
        text = harmless(text)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return text.replace("\n", "&#10;")
    # Most comments hold none of these; looking is cheaper than replacing.
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    return text


def clock(position_ms: int) -> str:
    """A position of the video for people: ``4:05``, ``1:02:03``."""
    return _clock(max(0, position_ms) // 1000)


@lru_cache(_TIMES)
def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def span_of(rows: Sequence[PageEvent]) -> Span:
    """What these rows, at least one, cover."""
    times = [row.at_ms for row in rows]
    positions = [row.pos_ms for row in rows if row.kind == "comment"]
    return Span(rows[0].seq, rows[-1].seq, min(times), max(times), (min(positions), max(positions)) if positions else None)


def joined(spans: Sequence[Span]) -> Span:
    """What these spans, in order, cover together."""
    if not spans:
        return Span(0, 0, 0, 0, None)
    positions = [span.positions for span in spans if span.positions]
    return Span(
        spans[0].first,
        spans[-1].last,
        min(span.from_ms for span in spans),
        max(span.to_ms for span in spans),
        (min(low for low, _ in positions), max(high for _, high in positions)) if positions else None,
    )


def read_seal(tail: bytes) -> Seal | None:
    """The seal at the end of a page's bytes; None when there is none."""
    match = _SEAL.search(tail, max(0, len(tail) - SEAL_LIMIT))
    if match is None:
        return None
    room, page, rows, from_ms, to_ms, low, high, size, digest = match.groups()
    number = int(page)
    positions = (int(low), int(high)) if low is not None else None
    span = Span(first_seq(number), number * PAGE_ROWS + int(rows), int(from_ms), int(to_ms), positions)
    return Seal(room.decode(), number, span, int(size), digest.decode(), len(match[0]))


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises ValueError with a sentence for the operator."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        # A machine without a time zone database still knows these two, which have had no changes for decades.
        if name == "Asia/Shanghai":
            return timezone(timedelta(hours=8), name)
        if name == "UTC":
            return UTC
        raise ValueError(
            f"{name!r} is not a time zone known to this machine; use an IANA name such as Asia/Shanghai"
        ) from error


class Renderer:
    """Makes rows and pages, with times of one time zone.

    It may be used by several threads at once: all its state is a cache of formatted times, which is safe to share.
    """

    def __init__(self, tz: str = "Asia/Shanghai") -> None:
        self.tz: Final = tz
        self._zone: Final = zone(tz)
        self._second: Final[Callable[[int], tuple[str, str]]] = lru_cache(_TIMES)(self._format_second)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def rows(self, room: RoomText, events: Sequence[PageEvent], first: int) -> bytes:
        """The rows of these events, which begin with number ``first``. Raises ValueError when their numbers have gaps."""
        lines: list[str] = []
        for seq, event in enumerate(events, first):
            if event.seq != seq:
                raise ValueError(f"room {room.name}: event {event.seq} stands where {seq} must be")
            if event.kind != "comment":
                lines.append(self._record(room, event))
            elif event.removed_by:
                lines.append(self._tombstone(room, event))
            else:
                lines.append(self._comment(room, event))
        return "".join(lines).encode()

    def _comment(self, room: RoomText, event: PageEvent) -> str:
        seq = event.seq
        at_ms = event.at_ms
        position = event.pos_ms
        begin, end = self._second(at_ms // 1000)
        return (
            f'<article id="c{seq}" class="comment" itemscope itemtype="https://schema.org/Comment">'
            f'<h2><a href="#c{seq}" itemprop="url">#{seq}</a></h2>'
            f'<data class="pos" value="{position}">{_clock(position // 1000 if position > 0 else 0)}</data>'
            f'<p class="text" itemprop="text" dir="auto">{escape(event.text)}</p>'
            f'<footer><time itemprop="dateCreated" datetime="{begin}{at_ms % 1000:03}{end}</time>'
            ' <span class="by" itemprop="author" itemscope itemtype="https://schema.org/Person">'
            f'<bdi itemprop="name">{escape(event.author_name)}</bdi>{_badge(event) if event.label else ""}</span>'
            f"{_region(event.region) if event.region else ''}"
            f' <a class="report" rel="nofollow" href="{room.base}/report?seq={seq}">{_REPORT}</a></footer></article>\n'
        )

    def _tombstone(self, room: RoomText, event: PageEvent) -> str:
        link = self._link(room, event.removed_by, both(f"见移除记录 #{event.removed_by}", f"See removal #{event.removed_by}"))
        return (
            f'<article id="c{event.seq}" class="tombstone"><h2><a href="#c{event.seq}">#{event.seq}</a></h2>'
            f'<data class="pos" value="{event.pos_ms}">{clock(event.pos_ms)}</data>'
            f'<p class="label">{_REMOVED}</p>{self._why(event)}'
            f"<footer>{self.time(event.at_ms)} {link}</footer></article>\n"
        )

    def _record(self, room: RoomText, event: PageEvent) -> str:
        kind = event.kind if event.kind in ("removal", "restoration") else "notice"
        if kind == "notice":
            body = self._notice(event)
        else:
            zh, en = ("移除", "removed") if kind == "removal" else ("恢复", "restored")
            words = both(f"弹幕 #{event.target} 已{zh}", f"Comment #{event.target} was {en}")
            # The text of a restored comment stands in its own row only: it may be removed once more.
            body = f'<p class="label">{self._link(room, event.target, words)}</p>{self._why(event)}'
        return (
            f'<article id="c{event.seq}" class="{kind}"><h2><a href="#c{event.seq}">#{event.seq}</a></h2>'
            f"{body}<footer>{self.time(event.at_ms)}</footer></article>\n"
        )

    def _notice(self, event: PageEvent) -> str:
        if event.kind != "notice":  # a kind of a later version: its number must stand on the page all the same
            return f'<p class="label">{_RECORD} <bdi>{escape(event.kind)}</bdi></p>'
        if event.notice in _OF_MODES:
            mode = labels.mode(escape(event.room_mode))
            label = f"{_OF_MODES[event.notice]} <strong>{mode}</strong>"
            if event.until_ms:
                label += f' <span class="until">{_UNTIL} {self.time(event.until_ms)}</span>'
        elif event.notice == "announcement":
            label = both("公告", "Announcement")
        else:
            label = f"{both('通知', 'Notice')} <bdi>{escape(event.notice)}</bdi>"
        text = f'<p class="text" dir="auto">{escape(event.text)}</p>' if event.text else ""
        return f'<p class="label">{label}</p>{text}{self._why(event) if event.code else ""}'

    def _why(self, event: PageEvent) -> str:
        code = f"<bdi>{escape(event.code)}</bdi> {labels.family(event.code)}".strip()
        return (
            f'<dl class="why"><div><dt>{_CODE}</dt><dd>{code}</dd></div>'
            f"<div><dt>{_BASIS}</dt><dd><bdi>{escape(event.basis)}</bdi></dd></div>"
            f"<div><dt>{_BY}</dt><dd>{labels.role(escape(event.role))}</dd></div></dl>"
        )

    def _link(self, room: RoomText, seq: int, words: str) -> str:
        return f'<a class="see" href="{room.base}/comments/{page_name(page_of(seq))}#c{seq}">{words}</a>'

    # -- pages --------------------------------------------------------------------------------------------------------

    def open_head(self, room: RoomText, page: int) -> bytes:
        """Everything of an open page before its rows. It depends on the room's title, the page and the settings only."""
        first = first_seq(page)
        return (
            self.head(room, f"第 {page} 页 Page {page}", page_name(page), before=page_name(page - 1) if page else "")
            # A live region announces nothing of what is there when the page loads, but tells assistive technology that rows
            # are added to the body; they can stand in no other element.
            + '<body class="open" aria-live="polite">\n'
            + self._bar(room, page, sealed=False)
            + f'<main>\n<h1 dir="auto">{room.title}</h1>\n'
            + f'<p class="range">{both(f"第 {page} 页，从 #{first} 起", f"Page {page}, from #{first} on")}</p>\n'
            + '<p class="hint">'
            + both(
                "本页仍在更新，新弹幕会加在末尾；刷新即可看到。",
                "This page is still growing: the newest comments are added at the end. Reload to see them.",
            )
            + f"</p>\n{self.legend()}</main>\n"
        ).encode()

    def open(self, room: RoomText, page: int, events: Sequence[PageEvent]) -> bytes:
        """A whole open page; later rows are appended to it."""
        return self.open_head(room, page) + self.rows(room, events, first_seq(page))

    def sealed(self, room: RoomText, page: int, events: Sequence[PageEvent]) -> bytes:
        """A whole full page with its frame and its seal."""
        return self.seal(room, page, self.rows(room, events, first_seq(page)), span_of(events))

    def seal(self, room: RoomText, page: int, rows: bytes, span: Span) -> bytes:
        """The same from its rows as HTML, and what they cover."""
        before = page_name(page - 1) if page else ""
        begin = (
            self.head(room, f"第 {page} 页 Page {page}", page_name(page), before=before, after=page_name(page + 1))
            + '<body class="sealed">\n'
            + self._bar(room, page, sealed=True)
            + f'<main>\n<h1 dir="auto">{room.title}</h1>\n'
            + f'<p class="range">{both(f"第 {page} 页", f"Page {page}")} · {self.span(span)}</p>\n'
            + self.legend()
        )
        end = "</main>\n" + self._foot(page) + "</body>\n</html>\n"
        body = b"".join((begin.encode(), rows, end.encode()))
        positions = f"{span.positions[0]}..{span.positions[1]}" if span.positions else "none"
        count = span.last - span.first + 1
        mark = (
            f"<!-- barrage-seal v=1 room={room.name} page={page} rows={count} from={span.from_ms} to={span.to_ms}"
            f" pos={positions} bytes={len(body)} sha256={hashlib.sha256(body).hexdigest()} -->\n"
        )
        return body + mark.encode()

    def head(self, room: RoomText, what: str, address: str, *, before: str = "", after: str = "") -> str:
        """Doctype to the end of ``<head>`` of a document in the room's folder; names of the neighbours or empty."""
        others = (("prev", before), ("next", after), ("up", INDEX_NAME if address != INDEX_NAME else ""))
        links = "".join(f'<link rel="{rel}" href="{name}">\n' for rel, name in others if name)
        return (
            '<!doctype html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{room.title} · 弹幕 Comments · {what}</title>\n"
            f'<link rel="stylesheet" href="{STYLE_ADDRESS}">\n<link rel="canonical" href="{room.base}/comments/{address}">\n'
            f"{links}</head>\n"
        )

    def _bar(self, room: RoomText, page: int, *, sealed: bool) -> str:
        items = [
            f'<a href="{room.base}">{both("返回房间", "Room")}</a>',
            f'<a href="{INDEX_NAME}">{both("全部页码", "All pages")}</a>',
        ]
        items += _neighbours(page, sealed=sealed)
        return f'<header class="bar">\n<nav aria-label="页面 Pages">\n{_lines(items)}</nav>\n</header>\n'

    def _foot(self, page: int) -> str:
        items = [*_neighbours(page, sealed=True), f'<a href="{INDEX_NAME}">{both("全部页码", "All pages")}</a>']
        return f'<footer class="bar">\n<nav aria-label="翻页 Turn the page">\n{_lines(items)}</nav>\n</footer>\n'

    def legend(self) -> str:
        """How to read a row."""
        return (
            '<p class="legend">'
            + both(
                f"每条左侧为视频位置和编号，下方为发送时间（{self.tz}）。",
                f"On the left of each comment its position in the video and its number, below it when it was sent ({self.tz}).",
            )
            + "</p>\n"
        )

    def span(self, span: Span) -> str:
        """What a page or block covers: numbers, times, positions."""
        text = f'<span class="nw">#{span.first}–#{span.last}</span> · {self.time(span.from_ms)} – {self.time(span.to_ms)}'
        if span.positions:
            low, high = span.positions
            text += f' · <span class="nw">{both("视频", "Video")} {clock(low)}–{clock(high)}</span>'
        return text

    # -- times --------------------------------------------------------------------------------------------------------

    def time(self, at_ms: int) -> str:
        """A ``<time>`` element with milliseconds in its attribute and seconds to read."""
        begin, end = self._second(at_ms // 1000)
        return f'<time datetime="{begin}{at_ms % 1000:03}{end}</time>'

    def _format_second(self, second: int) -> tuple[str, str]:
        """What stands before and after the milliseconds of a ``<time>`` element, from its attribute's value on."""
        moment = datetime.fromtimestamp(min(max(0, second), _LAST_SECOND), self._zone)
        offset = moment.utcoffset()
        if offset is None or offset % timedelta(minutes=1):  # HTML knows no seconds in offsets, some old zones had them
            moment = moment.astimezone(UTC)
        stamp = moment.isoformat(timespec="seconds")
        return f"{stamp[:19]}.", f'{stamp[19:]}">{stamp[:10]} {stamp[11:19]}'


def _badge(event: PageEvent) -> str:
    """The label of a public account. No nickname looks like it or carries its element: what people write is text within ``bdi``."""
    kind = event.label_kind if event.label_kind in labels.CATEGORIES else "other"
    words = labels.category(kind)
    words = f' <span class="kind">{words}</span>' if words else ""
    text = f'<bdi itemprop="disambiguatingDescription">{escape(event.label)}</bdi>'
    return f' <span class="badge {kind}" role="note">{text}{words}</span>'


@lru_cache(_REGIONS)
def _region(name: str) -> str:
    value = escape(name).replace('"', "&quot;")
    words = labels.region(escape(name), escape(english(name)))
    return f' <data class="region" itemprop="locationCreated" value="{value}">{words}</data>'


def _neighbours(page: int, *, sealed: bool) -> list[str]:
    items = []
    if page:
        items.append(f'<a href="{page_name(page - 1)}" rel="prev">← {both("上一页", "Previous")}</a>')
    if sealed:
        items.append(f'<a href="{page_name(page + 1)}" rel="next">{both("下一页", "Next")} →</a>')
    return items


def _lines(items: Sequence[str]) -> str:
    return "".join(f"{item}\n" for item in items)
