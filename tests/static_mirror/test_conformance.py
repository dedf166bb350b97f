"""The Nu HTML checker and the stylesheet over every kind of page.

Needs Java and the checker's jar: the npm package ``vnu-jar``, at ``BARRAGE_VNU_JAR`` or installed below ``tests/tools``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from static_mirror import Mirror, rebuild, repair
from tests.static_mirror.logs import ROOM, TITLE, Log, catch_up, folder_of, started

TEXTS = (
    "<b>&amp; \"quoted\" 'x'</b><script>alert(1)</script><!-- c --> ]]> &#0; &lt",
    "a\0b\x1b[31m\x7f\x85\ud800\ufffe\U0010ffff",
    "one\ntwo\r\nthree\rfour\ttab",
    "مرحبا שלום \u202etxt.exe",
    "👩‍🚀🎉 ①㋿ ﷺ \u3000   _∧∧_",
    " ",
    "x" * 5000,
    "<article id=c1><p>",
)


@pytest.fixture(scope="module")
def vnu() -> list[str]:
    """The command of the checker. It does not guess languages: those of comments are known to their authors only."""
    here = Path(__file__).parents[1] / "tools/node_modules/vnu-jar/build/dist/vnu.jar"
    jar = Path(os.environ.get("BARRAGE_VNU_JAR", here))
    if not jar.is_file():
        pytest.skip("needs the Nu HTML checker (npm ci --prefix tests/tools), or its path in BARRAGE_VNU_JAR")
    if shutil.which("java") is None:
        pytest.skip("needs Java (Debian: apt-get install default-jre-headless)")
    return ["java", "-Xmx512m", "-jar", str(jar), "--format", "json", "--exit-zero-always", "--no-langdetect"]


def messages(vnu: list[str], *arguments: str) -> list[str]:
    """Everything that the checker has to say, warnings included."""
    output = subprocess.run([*vnu, *arguments], capture_output=True, text=True, check=True, timeout=110).stderr
    return [f"{Path(found['url']).name}: {found['message']}" for found in json.loads(output)["messages"]]


def varied_log() -> Log:
    """Comments with every kind of text, tombstones, removals by each role, restorations, notices, over three pages."""
    log = Log()
    for text in TEXTS:
        log.comment(text=text)
        log.notice(text=text)
        log.notice(notice="mode", room_mode="read_only")
    log.comment(400)
    for seq, role in zip(range(50, 300, 50), ("author", "uploader", "reviewer", "operator", "<other>"), strict=True):
        log.remove(seq, code=("U1", "L5", "<x>", "", "P")[seq // 50 - 1], role=role)
    log.restore(100)
    log.remove(100)
    log.restore(250)
    log.comment(150)
    log.events[260] = msgspec.structs.replace(log.events[260], author_name=TEXTS[0], pos_ms=-5)
    log.events[261] = msgspec.structs.replace(log.events[261], author_name="", text="")
    for seq, text in enumerate(TEXTS, 263):
        said = {"region": ("广东", "未知", text)[seq % 3], "label": text[:24], "label_kind": ("media", "<x>")[seq % 2]}
        log.events[seq] = msgspec.structs.replace(log.events[seq], kind="comment", **said)
    log.events[262] = msgspec.structs.replace(log.events[262], kind="comment", at_ms=-1, pos_ms=10**12)
    return log


@pytest.mark.slow
def test_pages_are_valid(vnu: list[str], tmp_path: Path) -> None:
    """Open, full, sealed, empty and index pages with every kind of row and text: no error and no warning."""
    log = varied_log()
    rebuild(Mirror(tmp_path / "sealed"), ROOM, TITLE, log.head, log.read)
    started(tmp_path / "appended").append(ROOM, log.events)
    repair(Mirror(tmp_path / "empty"), ROOM, "<empty> & \0", 0, Log().read)
    full = Log(256 * 257)
    rebuild(Mirror(tmp_path / "block"), ROOM, TITLE, full.head, full.read)
    pages = [path for name in ("sealed", "appended", "empty") for path in sorted(folder_of(tmp_path / name).iterdir())]
    pages += sorted(folder_of(tmp_path / "block").glob("index*"))
    assert len(pages) == 4 + 4 + 2 + 2
    assert messages(vnu, *map(str, pages)) == []


@pytest.mark.slow
def test_an_open_page_is_valid_after_every_append(vnu: list[str], tmp_path: Path) -> None:
    """What a reader gets between two appends is a whole document as well."""
    log = Log()
    mirror = started(tmp_path)
    copies: list[Path] = []
    for count in (0, 1, 1, 10, 100):
        log.comment(count)
        catch_up(mirror, log)
        copies.append(tmp_path / f"{len(copies)}.html")
        shutil.copy(folder_of(tmp_path) / "0.html", copies[-1])
    assert messages(vnu, *map(str, copies)) == []


@pytest.mark.slow
def test_the_style_is_valid(vnu: list[str], tmp_path: Path) -> None:
    """The stylesheet has no error."""
    Mirror(tmp_path)
    assert messages(vnu, "--css", str(tmp_path / "assets/pages.css")) == []


def _colours(css: str) -> list[dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", block)) for block in blocks]


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast(tmp_path: Path) -> None:
    """Every text colour has WCAG's contrast of 4.5 on every background, in light, dark and print."""
    Mirror(tmp_path)
    palettes = _colours((tmp_path / "assets/pages.css").read_text())
    assert len(palettes) == 3
    for palette in palettes:
        for ink in ("ink", "quiet", "link"):
            for paper in ("paper", "raised", "mark"):
                light, dark = sorted((_luminance(palette[ink]), _luminance(palette.get(paper, "#ffffff"))), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper, palette)
        light, dark = sorted((_luminance(palette["badge"]), _luminance(palette["badge-ink"])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, palette
