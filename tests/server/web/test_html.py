"""The Nu HTML checker over our own pages, as the routes render them.

Needs Java and the checker's jar: the npm package ``vnu-jar``, at ``BARRAGE_VNU_JAR`` or installed below ``tests/tools``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from server.settings import Settings
from server.store.base import Draft, NoticeDraft, RemovalDraft, RestorationDraft
from tests.support.services import FakeServices
from tests.support.site import pages_client

PATHS = (
    "/",
    "/rooms/demo",
    "/rooms/film",
    "/rooms/demo/report",
    "/rooms/demo/report?seq=1",
    "/reports/R-0000-0000-0000-0000",
    "/rooms/nope",
)


@pytest.fixture(scope="module")
def jar() -> Path:
    """The checker."""
    here = Path(__file__).parents[2] / "tools/node_modules/vnu-jar/build/dist/vnu.jar"
    found = Path(os.environ.get("BARRAGE_VNU_JAR", here))
    if not found.is_file():
        pytest.skip("needs the Nu HTML checker (npm ci --prefix tests/tools), or its path in BARRAGE_VNU_JAR")
    if shutil.which("java") is None:
        pytest.skip("needs Java (Debian: apt-get install default-jre-headless)")
    return found


@pytest.fixture
async def files(tmp_path: Path) -> list[Path]:
    """Each page in both languages, with hostile text, tombstones and notices."""
    services = FakeServices(tmp_path / "pages", Settings(demo=True, site_name="<&>"))
    services.add_room("demo", "<b>\"夜\" & '灯'</b>")
    services.add_room("film", "Film", kind="vod", video_url="https://cdn.example/a%20b?x=1&y=2")
    for number in range(3):
        services.say("demo", f"</article>&#0;<script>{number}", name='"><img src=x>')
    drafts: list[Draft] = [
        RemovalDraft(room="demo", author="op", key="1", at_ms=1, target=2, code="L5", basis="<7>", role="operator"),
        RemovalDraft(room="demo", author="op", key="2", at_ms=1, target=3, code="<x>", basis="", role="<y>"),
        RestorationDraft(room="demo", author="op", key="3", at_ms=1, target=3, code="R1", basis="mistake", role="reviewer"),
        NoticeDraft(room="demo", author="op", key="4", at_ms=1, notice="announcement", text="<hello>"),
        NoticeDraft(room="demo", author="op", key="5", at_ms=1, notice="mode", room_mode="read_only"),
    ]
    for draft in drafts:
        await services.submit(draft)
    made = []
    async with pages_client(services) as client:
        for number, path in enumerate(PATHS):
            for language in ("zh-CN", "en"):
                answer = await client.get(path, headers={"Accept-Language": language})
                made.append(tmp_path / f"{number}-{language}.html")
                made[-1].write_bytes(answer.content)
    return made


def test_our_pages_are_valid(jar: Path, files: list[Path]) -> None:
    """No error and no warning on any page."""
    command = ["java", "-Xmx512m", "-jar", str(jar), "--format", "json", "--exit-zero-always", "--no-langdetect"]
    output = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=True, timeout=110).stderr
    assert [f"{Path(found['url']).name}: {found['message']}" for found in json.loads(output)["messages"]] == []
