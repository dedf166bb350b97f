"""The Nu HTML checker over our own pages, as the routes render them.

Needs Java and the checker's jar: the npm package ``vnu-jar``, at ``BARRAGE_VNU_JAR`` or installed below ``tests/tools``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.accounts import measures, sessions
from server.http.routes import web_app
from server.settings import Settings
from server.store.base import Draft, NoticeDraft, RemovalDraft, RestorationDraft
from tests.support import filled_desk
from tests.support.guest import guest, member
from tests.support.services import FakeServices
from tests.support.site import pages_client
from tests.support.staff import compiled_views, staff_desk
from tests.support.web import browsing

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


@pytest.fixture
async def account_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The pages of accounts, for nobody and for somebody with a measure, and forms with what is wrong; in both languages."""
    made: list[Path] = []

    def keep(page: str) -> None:
        made.append(tmp_path / f"account-{len(made)}.html")
        made[-1].write_text(page)

    for language in ("zh-CN", "en"):
        async with guest(tmp_path / language, monkeypatch, Settings(demo=True), language) as ann:
            for path in ("/account/sign-in?return=/rooms/demo", "/account/agreement", "/account/credit"):
                await ann.get(path)
                keep(ann.page)
            await ann.get("/account/sign-in")
            await ann.send("/account/sign-in", phone='"><x')
            keep(ann.page)
            await ann.send("/account/sign-in", phone="13800138000")
            await ann.send("/account/code", code="x")
            keep(ann.page)
            await ann.send("/account/code", code=ann.phones.code)
            await ann.send("/account/welcome", nickname='"<b>')
            keep(ann.page)
            await ann.people.book.write(lambda tx: member(tx, agreement=""))
            for room, seq in (("demo", 3), ("", 0)):
                await ann.people.book.write(
                    lambda tx, room=room, seq=seq: measures.take(  # type: ignore[misc]
                        tx, "a-1", "delete", "L5", "<b>&", actor="staff:x", role="reviewer", room=room, seq=seq
                    )
                )
            await ann.sign_in()
            for path in ("/account", "/account/agreement", "/account/lesson", "/account/verify", "/rooms/demo?said=held"):
                await ann.get(path)
                keep(ann.page)
            await ann.get("/account/lesson")
            await ann.send("/account/lesson", q0="0", q1="0")
            keep(ann.page)
            await ann.get("/account")
            await ann.send("/account/nickname", nickname="\u202e")
            keep(ann.page)
    return made


@pytest.fixture
async def desk_files(tmp_path: Path) -> AsyncIterator[list[Path]]:
    """All pages of staff, by the table of their routes; what the owner of a room and the public see of the desk; in both languages,
    with hostile words everywhere."""
    services = FakeServices(tmp_path / "desk", Settings(demo=True, site_name="<&>"))
    made: list[Path] = []
    async with staff_desk(services) as desk:
        filling = await filled_desk.fill(services, desk)
        addresses = [*filled_desk.pages(filling), *(f"/staff/queue?queue={queue}" for queue in ("report", "second", "news"))]
        await services.set_owner("demo", "a-1")
        own = await services.people.book.write(lambda tx: sessions.begin(tx, "a-1", services.people.session_policy))
        (measure,) = await services.people.book.read(lambda connection: measures.listed(connection, "a-1"))
        app = web_app(services)
        app.state.views = compiled_views()
        async with browsing(app) as client:
            client.cookies.set("barrage_session", own)
            reported = await client.post("/rooms/demo/report", data={"reason": "S1", "seq": "0", "text": filled_desk.WORDS})
            public = [
                "/account/rooms", "/account/rooms/demo", f"/account/statements/{measure.id}", "/transparency",
                "/transparency/2026-09", "/reports", reported.headers["location"],
            ]  # fmt: skip
            for language in ("zh-CN", "en"):
                for who, paths in ((desk.client, addresses), (client, public)):
                    for path in paths:
                        answer = await who.get(path, headers={"Accept-Language": language})
                        assert answer.status_code == 200, f"{path}: {answer.text}"
                        assert answer.headers["content-type"].startswith("text/html"), path
                        made.append(tmp_path / f"desk{path.replace('/', '-').replace('?', '-')}-{language}.html")
                        made[-1].write_bytes(answer.content)
    yield made
    await services.end()


def test_our_pages_are_valid(jar: Path, files: list[Path], account_files: list[Path], desk_files: list[Path]) -> None:
    """No error and no warning on any page."""
    files += account_files + desk_files
    command = ["java", "-Xmx512m", "-jar", str(jar), "--format", "json", "--exit-zero-always", "--no-langdetect"]
    output = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=True, timeout=110).stderr
    assert [f"{Path(found['url']).name}: {found['message']}" for found in json.loads(output)["messages"]] == []
