"""The Nu HTML checker over everything that a real server shows of a room with all kinds of events and hostile words.

``BARRAGE_HTML_EVENTS`` (default 700) says how many comments the room has; 5000 is a thorough run of about a minute.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import random
import shutil
import subprocess
import unicodedata
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from loadtest.texts import made_up
from server.accounts.identity import Tokens
from server.mode_operations import SetMode
from server.operations import Announce, Remove, Restore
from server.remote import RemoteOperations
from server.settings import load
from tests.duties.public import ROOM, SETTINGS, command, documents, enter, say, wait_for
from tests.support.server import ROOT, ServerProcess

EVENTS: Final = int(os.environ.get("BARRAGE_HTML_EVENTS", "700"))
TITLE: Final = "<b>\"夜\" & '灯'</b></title><!-- --> &amp; ]]> <script>"
NAMES: Final = ("小明", '"><img src=x onerror=1>', "&lt;b&gt; '&'", "مرحبا", "--> </bdi>", "👩‍🚀")
OWN_WORDS: Final = (
    "Text run is not in Unicode Normalization Form C.",
    "Document uses the Unicode Private Use Area(s)",
    "Text run starts with a composing character",
)
"""Warnings about the characters that an author chose. They are shown as they are."""
HOSTILE: Final = (
    "<b>&amp; \"quoted\" 'x'</b><script>alert(1)</script><!-- c --> ]]> &#0; &lt",
    "</article></main></body></html><p>",
    "<article id=c1 class=comment><p itemprop=text>",
    *(
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "&#x110000;",
        "&notit;",
        "<plaintext>",
        "</p><textarea>",
        "</title>",
        "<svg/onload=alert(1)>",
    ),
    *("مرحبا שלום", "👩‍🚀🎉 ①㋿ ﷺ \u3000   _∧∧_", "ａｂｃ＜ｂ＞", "x" * 100, "e\u0301" * 40, "\u0e33\u0e33 ก็็็็็"),
    *("javascript:alert(1)", "{{ 7 * 7 }} {% raw %}", "🏴\U000e0067\U000e0062\U000e007f"),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose room has a hostile title."""
    data = tmp_path / "data"
    found = ServerProcess(data, settings={**SETTINGS, "site_name": "<&>\"'"})
    assert command(found, "room", "create", ROOM, "--title", TITLE[:120]).returncode == 0
    assert (
        command(found, "room", "create", "film", "--kind", "vod", "--video", "https://cdn.example/a%20b?x=1&y=2").returncode
        == 0
    )
    with found:
        yield found


def texts(dice: random.Random) -> Iterator[str]:
    """What people write, what attackers write, and characters at random, without end."""
    plain = made_up()
    while True:
        yield from (next(plain) for _ in range(20))
        yield from HOSTILE
        yield "".join(_character(dice) for _ in range(dice.randint(1, 40)))


def _character(dice: random.Random) -> str:
    while True:
        found = chr(dice.choice((dice.randrange(0x20, 0x3000), dice.randrange(0x3000, 0x110000))))
        if unicodedata.category(found) not in {"Cs", "Cn", "Cc"}:
            return found


async def fill(server: ServerProcess) -> int:
    """Put comments, removals, restorations and notices into the room; the number of a comment that stands."""
    dice = random.Random(7)
    source = texts(dice)
    posted: list[int] = []
    tokens = Tokens.open(load({}, None, {"data_dir": str(server.data)}))
    authors = [enter(server, f"account-{number}", name) for number, name in enumerate(NAMES)]
    async with RemoteOperations(server.url, tokens, "op") as operations:
        while len(posted) < EVENTS:
            author = authors[dice.randrange(len(authors))]
            answer = say(author, next(source), f"k{len(posted)}-{dice.random()}")
            if answer["op"] == "ack":
                posted.append(answer["seq"])
            if len(posted) % 50 == 9 and answer["op"] == "ack":
                basis = dice.choice(HOSTILE[:6])
                await operations.remove(
                    Remove(room=ROOM, seq=posted[-1], code=dice.choice(("L5", "S1", "P2", "M1")), basis=basis)
                )
                await operations.announce(Announce(room=ROOM, text=basis))
                if len(posted) % 100 == 9:
                    await operations.restore(Restore(room=ROOM, seq=posted[-1], code="R1", basis=basis))
                    author.send_text({"op": "recall", "room": ROOM, "seq": posted[0]})
                for mode in ("read_only", "open"):
                    await operations.set_mode(SetMode(room=ROOM, mode=mode))
    for each in authors:
        each.__exit__(None, None, None)
    wait_for(server, posted[-1])
    return posted[-1]


def checked(folder: Path) -> list[str]:
    """What the checker says of the documents in a folder: errors, and warnings but those about how people write their words."""
    here = ROOT / "tests/tools/node_modules/vnu-jar/build/dist/vnu.jar"
    jar = Path(os.environ.get("BARRAGE_VNU_JAR", here))
    if not jar.is_file():
        pytest.skip("needs the Nu HTML checker (npm ci --prefix tests/tools), or its path in BARRAGE_VNU_JAR")
    if shutil.which("java") is None:
        pytest.skip("needs Java (Debian: apt-get install default-jre-headless)")
    line = ["java", "-Xmx512m", "-jar", str(jar), "--format", "json", "--exit-zero-always", "--no-langdetect", str(folder)]
    output = subprocess.run(line, capture_output=True, text=True, check=True, timeout=600).stderr
    return [
        f"{Path(found['url']).name}: {found['message']} {found.get('extract', '')!r}"
        for found in json.loads(output)["messages"]
        if found["type"] == "error" or not found["message"].startswith(OWN_WORDS)
    ]


@pytest.mark.slow
@pytest.mark.timeout(120 + EVENTS // 10)
def test_everything_that_is_shown_of_a_busy_room_is_valid(server: ServerProcess, tmp_path: Path) -> None:
    """Rooms, room page, report form with and without a mistake, receipt, refusals, open and sealed pages and index, in both
    languages: no error and no warning."""
    seq = asyncio.run(fill(server))
    folder = tmp_path / "documents"
    folder.mkdir()
    shown: dict[str, httpx.Response] = {}
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False, follow_redirects=True) as client:
        for language in ("zh-CN", "en"):
            client.headers["Accept-Language"] = language
            paths = [path for path in documents(server, seq, 1) if "/api/" not in path]
            for path in [
                *paths,
                "/rooms/film",
                "/rooms/film/report",
                "/rooms/film/comments/0.html",
                "/reports",
                "/reports/R-0000-0000-0000-0000",
                "/transparency",
                f"/transparency/{dt.datetime.now(zoneinfo.ZoneInfo('Asia/Shanghai')):%Y-%m}",
            ]:
                shown[f"{language} {path}"] = client.get(path)
            for fields in (
                {"reason": "S1", "seq": str(seq)},
                {"reason": "", "seq": str(seq), "text": HOSTILE[0]},
                {"seq": "0"},
            ):
                body: dict[str, Any] = {"text": "", **fields}
                shown[f"{language} POST {fields}"] = client.post(f"/rooms/{ROOM}/report", data=body)
    kinds = {name: answer for name, answer in shown.items() if answer.headers["content-type"].startswith("text/html")}
    for number, answer in enumerate(kinds.values()):
        (folder / f"{number}.html").write_bytes(answer.content)
    names = list(kinds)
    assert len(names) >= 2 * (12 + EVENTS // 256), names
    assert sum("/comments/" in name for name in names) >= 2 * (EVENTS // 256 + 2)
    assert {answer.status_code for answer in kinds.values()} >= {200, 404, 422}
    assert [f"{names[int(line.split('.')[0])]}: {line}" for line in checked(folder)] == []
