"""The static version, on a real server: same platform, same page, same time, readable without a script."""

from __future__ import annotations

import re
import statistics
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urldefrag, urljoin

import httpx
import pytest

from tests.duties.public import ROOM, SETTINGS, command, enter, page_of, say_many
from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE_S, quickest_s

LAG_S: Final = 1.0
"""The duty's bound for the 99th percentile; a tenth of it is the goal."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A demo room on a server of its own."""
    with ServerProcess(tmp_path / "data", settings=SETTINGS) as found:
        yield found


class Document(HTMLParser):
    """What a reader without scripts sees of a page: rows (number, kind, name, text) and links, nothing of scripts and templates."""

    def __init__(self, address: str, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: dict[int, tuple[str, str, str]] = {}
        self.links: list[str] = []
        self.players = 0
        self._address = address
        self._hidden: list[str] = []
        self._row: tuple[int, str] | None = None
        self._into = ""
        self._words = {"name": "", "text": ""}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A part that no script shows, or a row, or a link."""
        given = dict(attrs)
        if self._hidden or tag in {"script", "template"} or "hidden" in given:
            if tag not in {"meta", "link", "img", "input", "br", "wbr"}:
                self._hidden.append(tag)
            return
        if tag == "article" and re.fullmatch(r"c\d+", given.get("id") or ""):
            self._row = int((given["id"] or "")[1:]), given.get("class") or ""
            self._words = {"name": "", "text": ""}
        self._into = given.get("itemprop") or ("" if tag != "p" else self._into)
        self.players += given.get("id") == "stage"
        if tag == "a" and given.get("href"):
            self.links.append(urldefrag(urljoin(self._address, given["href"] or ""))[0])

    def handle_data(self, data: str) -> None:
        """Text of a row."""
        if self._into in self._words and not self._hidden:
            self._words[self._into] += data

    def handle_endtag(self, tag: str) -> None:
        """The end of what is hidden, of a text, or of a row."""
        if self._hidden:
            if self._hidden[-1] == tag:
                self._hidden.pop()
        elif tag in {"p", "bdi"}:
            self._into = ""
        elif tag == "article" and self._row is not None:
            seq, kind = self._row
            self.rows[seq] = kind, self._words["name"], self._words["text"]
            self._row = None


def crawl(server: ServerProcess) -> dict[int, tuple[str, str, str]]:
    """All rows that a reader without scripts finds from the room's page on, by plain links, within this room."""
    start = f"{server.url}/rooms/{ROOM}"
    rows: dict[int, tuple[str, str, str]] = {}
    seen, waiting = {start}, [start]
    with httpx.Client(timeout=30, trust_env=False, follow_redirects=True) as client:
        while waiting:
            address = waiting.pop()
            answer = client.get(address)
            assert answer.status_code == 200, address
            document = Document(address, answer.text)
            for seq, row in document.rows.items():
                assert rows.setdefault(seq, row)[2] == row[2], f"#{seq} reads otherwise on {address}"
            for link in document.links:
                if re.fullmatch(rf"{start}/comments/[a-z0-9-]+\.html", link) and link not in seen:
                    seen.add(link)
                    waiting.append(link)
    return rows


def test_duty_p5_4_without_scripts_the_player_page_holds_every_comment(server: ServerProcess) -> None:
    """What a viewer got live, each comment with name and text, is on the player's own page and behind its plain links; the newest
    ones on that page itself, beside the player."""
    texts = [f"<b>第{number}条</b> & 弹幕 {number}" for number in range(600)]
    with enter(server) as viewer, enter(server, "u1", "小明") as one, enter(server, "u2", "Ann <&>") as two:
        say_many(one, texts[:300], "a")
        say_many(two, texts[300:], "b")
        live = viewer.follow(600)
    page = httpx.get(f"{server.url}/rooms/{ROOM}", timeout=30, trust_env=False)
    document = Document(str(page.url), page.text)
    assert document.players == 1, "the player stands on the same page"
    assert set(range(501, 601)) <= set(document.rows)
    rows = crawl(server)
    assert sorted(rows) == list(range(1, 601))
    for event in live:
        assert rows[event["seq"]] == ("comment", event["author"]["name"], event["text"])


def test_duty_p5_4_live_minus_static_is_empty_after_a_kill(tmp_path: Path) -> None:
    """At any moment at which the server is killed, every event that any viewer has received stands on the disk, and every comment
    that was acknowledged stands there after the next start."""
    server = ServerProcess(tmp_path / "data", settings=SETTINGS)
    acked: list[int] = []
    for round_number in range(3):
        server.start()
        viewers = [_Viewer(server) for _ in range(2)]
        poster = _Poster(server, f"r{round_number}-")
        deadline = time.monotonic() + 30
        while not any(viewer.received for viewer in viewers) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3 + 0.17 * round_number)
        server.kill()
        for each in (*viewers, poster):
            each.join(30)
            assert not each.is_alive()
        static = {seq for path in page_of(server, 0).parent.glob("[0-9]*.html") for seq in _rows(path)}
        live = set().union(*(viewer.received for viewer in viewers))
        assert live, "somebody saw something"
        assert live - static == set()
        acked += poster.acked
    server.start()
    try:
        rows = crawl(server)
        assert set(acked) - set(rows) == set()
        assert len(acked) == len(set(acked))
        assert sorted(rows) == list(range(1, len(rows) + 1))
        assert command(server, "verify-pages").returncode == 0
    finally:
        server.kill()


def test_duty_p5_4_the_static_page_lags_by_less_than_a_second(server: ServerProcess) -> None:
    """From the acknowledgement of a comment to its row on the page: the 99th percentile of 120, as somebody outside measures it, and
    as the server's own figures say."""
    with enter(server, "u1") as author:

        def attempt(series: int) -> float:
            before = _own_lags(server)
            lags_s = []
            for number in range(120):
                author.send_text({"op": "say", "room": ROOM, "key": f"k{series}-{number}", "text": f"第{number}条"})
                seq = author.read_until("ack")["seq"]
                acked_s = time.monotonic()
                while f'id="c{seq}"'.encode() not in page_of(server, (seq - 1) // 256).read_bytes():
                    assert time.monotonic() - acked_s < PATIENCE_S
                lags_s.append(time.monotonic() - acked_s)
            p99_s = statistics.quantiles(lags_s, n=100)[98]
            print(f"page lag after the acknowledgement: median {statistics.median(lags_s):.4f} s, p99 {p99_s:.4f} s")
            soon, all_of_them = (after - earlier for after, earlier in zip(_own_lags(server), before, strict=True))
            assert all_of_them > 0
            return p99_s if soon >= 0.99 * all_of_them else float("inf")

        assert quickest_s(attempt, LAG_S) < LAG_S


def _own_lags(server: ServerProcess) -> tuple[float, float]:
    """By the server's own figures: how many flushes were on the page within LAG_S of the comment, and how many there were."""
    buckets = re.findall(
        r'barrage_page_lag_seconds_bucket\{le="([^"]+)"\} (\S+)',
        httpx.get(f"{server.url}/metrics", timeout=30, trust_env=False).text,
    )
    counts = {bound: float(count) for bound, count in buckets}
    return counts[str(LAG_S)], counts["+Inf"]


def _rows(path: Path) -> set[int]:
    return {int(seq) for seq in re.findall(rb'<article id="c(\d+)"(?=[^\n]*</article>)', path.read_bytes())}


class _Viewer(threading.Thread):
    """Notes the numbers that it receives until the connection ends."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__()
        self.received: set[int] = set()
        self._client = enter(server)
        self.start()

    def run(self) -> None:
        with self._client as client:
            try:
                while True:
                    self.received.update(event["seq"] for event in client.read_until("events")["events"])
            except ConnectionError:
                return


class _Poster(threading.Thread):
    """Posts as fast as it is answered until the connection ends; notes the numbers it was told."""

    def __init__(self, server: ServerProcess, prefix: str) -> None:
        super().__init__()
        self.acked: list[int] = []
        self._prefix = prefix
        self._client = enter(server, "poster", "Poster")
        self.start()

    def run(self) -> None:
        message: dict[str, Any] = {"op": "say", "room": ROOM}
        with self._client as client:
            try:
                for number in range(1_000_000):
                    client.send_text({**message, "key": f"{self._prefix}{number}", "text": f"{self._prefix}第{number}条"})
                    self.acked.append(client.read_until("ack")["seq"])
            except ConnectionError:
                return
