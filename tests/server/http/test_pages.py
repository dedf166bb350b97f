"""server/http/pages.py"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from server.errors import Refusal
from server.http import pages
from server.settings import Settings
from server.store.base import RemovalDraft
from static_mirror import Mirror, rebuild
from tests.support.services import FakeServices
from tests.support.site import pages_client

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;</article></body>"


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    found = FakeServices(tmp_path / "pages")
    found.add_room("demo", "夜 & <灯>")
    return found


@pytest.fixture
async def client(services: FakeServices) -> AsyncIterator[httpx.AsyncClient]:
    async with pages_client(services) as made:
        yield made


def write_pages(services: FakeServices, room: str = "demo") -> Path:
    """Put a room's events on static pages, as the server does; returns their folder."""
    mirror = Mirror(services.pages_dir)
    events = services.events(room)
    rebuild(mirror, room, "title", len(events), lambda after, limit: events[after : after + limit])
    mirror.close()
    return services.pages_dir / "rooms" / room / "comments"


def config_of(html: str) -> dict[str, object]:
    match = re.search(r'<script type="application/json" id="config">(.*?)</script>', html, re.DOTALL)
    assert match
    found: dict[str, object] = json.loads(match[1])
    return found


# -- the list of rooms -------------------------------------------------------------------------------------------------


async def test_the_front_page_lists_rooms(services: FakeServices, client: httpx.AsyncClient) -> None:
    """`/` names each room with its kind, entries and viewers, and links the room and its pages."""
    services.add_room("film", "Film", kind="vod")
    services.viewer_counts["demo"] = 7
    answer = await client.get("/", params={"lang": "en"})
    assert answer.status_code == 200
    assert 'href="/rooms/demo"' in answer.text
    assert 'href="/rooms/film/comments/index.html"' in answer.text
    assert "夜 &amp; &lt;灯&gt;" in answer.text
    assert "7 watching" in answer.text


async def test_the_front_page_says_when_there_are_no_rooms(tmp_path: Path) -> None:
    """An empty server says so instead of showing an empty list."""
    async with pages_client(FakeServices(tmp_path)) as client:
        assert "还没有房间" in (await client.get("/")).text


# -- the room's page ---------------------------------------------------------------------------------------------------


async def test_the_room_page_holds_the_newest_rows(services: FakeServices, client: httpx.AsyncClient) -> None:
    """Without scripts, the document has the newest 100 comments, newest first, each with anchor, time, name and report link."""
    for number in range(1, pages.ROWS + 6):
        services.say("demo", f"comment {number}", name=f"user {number}")
    html = (await client.get("/rooms/demo")).text
    list_html = html[html.index('id="rows"') : html.index('id="row-templates"')]
    anchors = [int(seq) for seq in re.findall(r'<article id="c(\d+)"', list_html)]
    assert anchors == list(range(pages.ROWS + 5, 5, -1))
    assert ">comment 105<" in list_html
    assert ">user 105<" in list_html
    assert 'href="/rooms/demo/report?seq=105"' in list_html
    assert '<time itemprop="dateCreated" datetime="' in list_html
    assert 'href="/rooms/demo/comments/0.html#c6"' in html, "older comments stand behind a plain link"
    assert "<noscript>" in html


async def test_controls_are_hidden_until_the_script_shows_them(services: FakeServices, client: httpx.AsyncClient) -> None:
    """With scripts off there is no dead control: bar, forms and the generated video carry `hidden`."""
    html = (await client.get("/rooms/demo")).text
    for name in ("bar", "say", "state", "video", "more"):
        tag = re.search(rf'<\w+[^>]*\bid="{name}"[^>]*>', html)
        assert tag is not None, name
        assert " hidden" in tag[0], name
    assert 'id="poster"' in html


async def test_the_script_gets_where_the_rows_end(services: FakeServices, client: httpx.AsyncClient) -> None:
    """The configuration names epoch and the newest number of the rows, so that live events join on without a hole."""
    services.say("demo", "one")
    services.say("demo", "two")
    config = config_of((await client.get("/rooms/demo")).text)
    info = services.room("demo")
    assert info is not None
    assert (config["epoch"], config["head"], config["kind"], config["mode"]) == (info.epoch, 2, "live", "open")
    assert (config["page_rows"], config["time_zone"], config["form_token"]) == (256, "Asia/Shanghai", "")


async def test_an_empty_room_has_a_page(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A room without comments shows its page, with the index behind the link to older ones."""
    answer = await client.get("/rooms/demo")
    assert answer.status_code == 200
    assert config_of(answer.text)["head"] == 0
    assert 'href="/rooms/demo/comments/index.html" id="older"' in answer.text


async def test_people_write_text_only(services: FakeServices, client: httpx.AsyncClient) -> None:
    """Markup in titles, names and comments is text on the room's page."""
    services.add_room("odd", HOSTILE)
    services.say("odd", HOSTILE, name=HOSTILE)
    html = (await client.get("/rooms/odd")).text
    assert html.count("<script") == 2, "the configuration and the module"
    assert "onerror=alert(2)&gt;" in html
    assert "<img src=x" not in html
    assert config_of(html)["room"] == "odd"


async def test_a_removed_comment_is_a_tombstone(services: FakeServices, client: httpx.AsyncClient) -> None:
    """The page of a removed comment says why, in the reader's language, and has its text nowhere."""
    services.say("demo", "very bad words")
    await services.submit(
        RemovalDraft(
            room="demo", author="op", key="r1", at_ms=services.clock_ms, target=1, code="L5", basis="rule 7", role="operator"
        )
    )
    zh = (await client.get("/rooms/demo")).text
    en = (await client.get("/rooms/demo?lang=en")).text
    assert "very bad words" not in zh + en
    assert '<article id="c1" class="tombstone">' in zh
    assert '<p class="label">该弹幕已移除</p>' in zh
    assert '<p class="label">This comment was removed</p>' in en
    assert "<bdi>rule 7</bdi>" in en


async def test_a_video_room_plays_its_file(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A video's room has the video with the browser's own controls, and the policy lets its origin in, alone."""
    services.add_room("film", "Film", kind="vod", video_url="https://cdn.example/film.mp4?x=1&y=2")
    answer = await client.get("/rooms/film")
    assert 'src="https://cdn.example/film.mp4?x=1&amp;y=2"' in answer.text
    assert re.search(r'<video id="video" controls ', answer.text)
    assert "media-src 'self' blob: https://cdn.example;" in answer.headers["content-security-policy"]


async def test_an_unknown_room_is_not_found(client: httpx.AsyncClient) -> None:
    """Unknown rooms answer 404 with a page in the reader's language."""
    for path in ("/rooms/nope", "/rooms/nope/report", "/rooms/nope/comments/0.html", "/rooms/..%2fetc/comments/0.html"):
        answer = await client.get(path)
        assert answer.status_code == 404, path
    answer = await client.get("/rooms/nope?lang=en")
    assert "There is no such room." in answer.text


async def test_a_refusal_is_a_page(services: FakeServices, client: httpx.AsyncClient) -> None:
    """When the store cannot be read, the page says so with status 503 and when to try again."""
    services.fault = Refusal("storage_unavailable", retry_after_ms=1500)
    answer = await client.get("/rooms/demo")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_pages_can_be_prepared_before_the_first_request(services: FakeServices) -> None:
    """What the server prepares at its start is what answers."""
    app = Starlette(routes=pages.routes)
    app.state.services = services
    pages.prepare(app)
    prepared = app.state.pages
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://barrage.test") as client:
        assert (await client.get("/")).status_code == 200
    assert app.state.pages is prepared


# -- languages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "query", "language"),
    [
        ({}, "", "zh-CN"),
        ({"Accept-Language": "en-GB,en;q=0.9"}, "", "en"),
        ({"Accept-Language": "en", "Cookie": "lang=zh-CN"}, "", "zh-CN"),
        ({"Cookie": "lang=zh-CN"}, "?lang=en", "en"),
        ({"Accept-Language": "fr"}, "?lang=fr", "zh-CN"),
    ],
)
async def test_pages_speak_the_readers_language(
    client: httpx.AsyncClient, headers: dict[str, str], query: str, language: str
) -> None:
    """Address, then cookie, then browser decide between zh-CN and en; the site's language is the default."""
    answer = await client.get(f"/rooms/demo{query}", headers=headers)
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["content-language"] == language
    assert answer.headers["vary"] == "Accept-Language, Cookie"


async def test_a_chosen_language_is_kept(client: httpx.AsyncClient) -> None:
    """`?lang=` sets a cookie that scripts cannot read; other requests set none, and the switch keeps the rest of the query."""
    answer = await client.get("/rooms/demo/report?seq=0&lang=en")
    assert answer.headers["set-cookie"].startswith("lang=en; HttpOnly; Max-Age=31536000; Path=/; SameSite=lax")
    assert 'href="/rooms/demo/report?seq=0&amp;lang=zh-CN"' in answer.text
    assert "set-cookie" not in (await client.get("/rooms/demo", headers={"Cookie": ""})).headers


# -- headers -----------------------------------------------------------------------------------------------------------


async def test_pages_carry_security_headers(services: FakeServices) -> None:
    """Every page forbids inline scripts, sniffing and frames other than the setting allows."""
    services.settings = Settings(frame_ancestors=("'self'", "https://video.example"))
    async with pages_client(services) as client:
        for path in ("/", "/rooms/demo", "/rooms/demo/report", "/rooms/nope"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'self' https://video.example" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert answer.headers["cache-control"] == "no-cache"


async def test_documents_have_no_inline_script_or_style(services: FakeServices, client: httpx.AsyncClient) -> None:
    """What the policy forbids is not there: no inline code, no style attributes, no handlers."""
    services.say("demo", "hello")
    for path in ("/", "/rooms/demo", "/rooms/demo/report?seq=1", "/reports/R-0000-0000-0000-0000"):
        html = (await client.get(path)).text
        assert not re.search(r"<script(?![^>]*(?:\bsrc=|application/json))", html)
        assert not re.search(r"<[^>]*\s(?:style|on\w+)=", html)
        assert "<style" not in html


async def test_links_to_the_account_leave_a_frame(client: httpx.AsyncClient) -> None:
    """Pages of the account refuse to be framed, so a room in another site's frame leads to them in the whole window."""
    links: list[str] = []
    for path in ("/", "/rooms/demo", "/rooms/demo/report"):
        links += re.findall(r'<a [^>]*href="/account[^>]*>', (await client.get(path)).text)
    assert len(links) == 3 * 4 + 1
    assert [link for link in links if ' target="_top"' not in link] == []


# -- static pages ------------------------------------------------------------------------------------------------------


async def test_static_pages_are_served_as_they_stand_on_disk(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A page's bytes are those of the file, with a tag; an open page is asked for again at each use."""
    services.say("demo", "hello")
    folder = write_pages(services)
    answer = await client.get("/rooms/demo/comments/0.html")
    assert answer.content == (folder / "0.html").read_bytes()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    again = await client.get("/rooms/demo/comments/0.html", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]


async def test_a_tag_changes_with_each_append_and_rewrite(services: FakeServices, client: httpx.AsyncClient) -> None:
    """An appended row and a rewritten page of the same size and time have other tags."""
    services.say("demo", "hello")
    path = write_pages(services) / "0.html"
    first = await client.get("/rooms/demo/comments/0.html")
    with path.open("ab") as file:
        file.write(b"<p>more\n")
    second = await client.get("/rooms/demo/comments/0.html", headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes().replace(b"hello", b"xxxxx"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    third = await client.get("/rooms/demo/comments/0.html", headers={"If-None-Match": second.headers["etag"]})
    assert third.status_code == 200
    assert b"xxxxx" in third.content


async def test_sealed_pages_live_long_and_are_revalidated(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A full page may be kept for long, but each use asks first, since a removal may have rewritten it."""
    for number in range(257):
        services.say("demo", f"comment {number}")
    write_pages(services)
    sealed = await client.get("/rooms/demo/comments/0.html")
    assert sealed.headers["cache-control"] == "public, no-cache, max-age=31536000"
    open_page = await client.get("/rooms/demo/comments/1.html")
    assert open_page.headers["cache-control"] == "no-cache"
    index = await client.get("/rooms/demo/comments/index.html")
    assert (index.status_code, index.headers["cache-control"]) == (200, "no-cache")


async def test_the_comments_folder_leads_to_its_index(client: httpx.AsyncClient) -> None:
    """The folder's own address redirects to the index."""
    answer = await client.get("/rooms/demo/comments/")
    assert (answer.status_code, answer.headers["location"]) == (308, "/rooms/demo/comments/index.html")


async def test_static_pages_run_no_scripts_and_obey_frames(services: FakeServices, client: httpx.AsyncClient) -> None:
    """Static pages carry the same policy as the others."""
    write_pages(services)
    policy = (await client.get("/rooms/demo/comments/0.html")).headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy


async def test_a_missing_page_is_made_again(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A page that was deleted is healed through the services and served."""
    services.say("demo", "hello")

    async def heal(name: str, number: int) -> bool:
        write_pages(services, name)
        services.healed.append((name, number))
        return True

    services.heal_page = heal  # type: ignore[method-assign]
    answer = await client.get("/rooms/demo/comments/0.html")
    assert answer.status_code == 200
    assert b"hello" in answer.content
    assert services.healed == [("demo", 0)]


async def test_a_missing_index_is_made_again_with_the_open_page(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A deleted index heals, too."""
    for number in range(257):
        services.say("demo", f"comment {number}")
    folder = write_pages(services)
    (folder / "index.html").unlink()
    services.healable.add(("demo", 1))
    assert (await client.get("/rooms/demo/comments/index.html")).status_code == 503, "healing brought no index"
    assert services.healed == [("demo", 1)]


async def test_a_page_that_cannot_be_healed_is_not_found(services: FakeServices, client: httpx.AsyncClient) -> None:
    """A page that the services do not know is not there; one that cannot be read after healing is a temporary error."""
    assert (await client.get("/rooms/demo/comments/0.html")).status_code == 404
    folder = write_pages(services)
    (folder / "0.html").unlink()
    (folder / "0.html").mkdir()
    services.healable.add(("demo", 0))
    assert (await client.get("/rooms/demo/comments/0.html")).status_code == 503


@pytest.mark.parametrize(
    ("head", "name", "heals"),
    [
        (255, "1.html", False),
        (256, "1.html", True),
        (256, "2.html", False),
        (256, "999999999999.html", False),
        (256, "index-0.html", False),
        (256 * 256 - 1, "index-0.html", False),
        (256 * 256, "index-0.html", True),
        (256 * 256, "index-1.html", False),
        (256 * 256, "index-999999999999.html", False),
    ],
)
async def test_what_never_existed_is_not_healed(
    services: FakeServices, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, head: int, name: str, heals: bool
) -> None:
    """Pages beyond the open one and blocks that are not full yet are not found, at no cost; those that should be there are made."""
    room = services.room("demo")
    assert room is not None
    monkeypatch.setattr(services, "room", lambda _: replace(room, head=head))
    services.healable.add(("demo", head // 256))
    assert (await client.get(f"/rooms/demo/comments/{name}")).status_code == (503 if heals else 404)
    assert services.healed == ([("demo", head // 256)] if heals else [])


@pytest.mark.parametrize("name", [".0.html.tmp", "x.html", "0.htm", "..", "-1.html", "00.html", "0.html~"])
async def test_only_pages_are_served(services: FakeServices, client: httpx.AsyncClient, name: str) -> None:
    """Other names of the folder, temporary files above all, are not found and heal nothing."""
    folder = write_pages(services)
    if name != "..":
        (folder / name).write_text("secret")
    answer = await client.get(f"/rooms/demo/comments/{name.replace('.', '%2e') if name == '..' else name}")
    assert answer.status_code in {404, 307, 308}
    assert b"secret" not in answer.content
    assert services.healed == []


def test_a_page_is_read_to_the_size_that_its_tag_names(tmp_path: Path) -> None:
    """Reading a file that is cut short meanwhile ends, and its tag is that of what was read."""
    path = tmp_path / "0.html"
    path.write_bytes(b"x" * 10)
    page = pages.read_page(path)
    assert page.body == b"x" * 10
    assert page.etag.endswith('-a"')


# -- the app's own files -----------------------------------------------------------------------------------------------


async def test_assets_by_digest_are_kept_for_ever(client: httpx.AsyncClient) -> None:
    """What the page links may be cached without asking; the stable address is revalidated and may be used by other sites."""
    html = (await client.get("/rooms/demo")).text
    addresses = re.findall(r'(?:src|href|poster)="(/assets/[^"]+)"', html)
    assert len(addresses) >= 6
    for address in addresses:
        answer = await client.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
    stable = await client.get("/assets/barrage.js")
    assert stable.headers["content-type"] == "text/javascript; charset=utf-8"
    assert stable.headers["cache-control"] == "no-cache"
    assert stable.headers["access-control-allow-origin"] == "*"
    again = await client.get("/assets/barrage.js", headers={"If-None-Match": f'"x", W/{stable.headers["etag"]}'})
    assert again.status_code == 304


async def test_the_style_of_static_pages_is_an_asset(services: FakeServices, client: httpx.AsyncClient) -> None:
    """Static pages find their style, which lies in the pages folder; before there is one it is not found."""
    assert (await client.get("/assets/pages.css")).status_code == 404
    write_pages(services)
    answer = await client.get("/assets/pages.css")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_unknown_assets_are_not_found(client: httpx.AsyncClient) -> None:
    """Nothing but the app's own files is served."""
    for path in ("/assets/", "/assets/nope.js", "/assets/../views.py", "/assets/..%2fviews.py", "/assets/a/b/site.css"):
        assert (await client.get(path)).status_code == 404, path


async def test_browsers_find_an_icon(client: httpx.AsyncClient) -> None:
    """`/favicon.ico` leads to the icon, for pages that name none."""
    answer = await client.get("/favicon.ico")
    assert answer.status_code == 302
    assert (await client.get(answer.headers["location"])).headers["content-type"] == "image/svg+xml"
