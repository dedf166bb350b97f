"""Page files that somebody removes, cuts, edits or replaces while comments flow: they are whole again by themselves."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from server.wire import PAGE_ROWS
from static_mirror.verify import verify
from tests.faults.world import PATIENCE_S, ROOM, World, world

SEALED = 10
"""Sealed pages at the beginning: more than the patrol's cheap look trusts."""
CUT_BYTES = 2000

Damage = Callable[[Path], object]


def cut(path: Path) -> None:
    """Leave the beginning of a file."""
    os.truncate(path, CUT_BYTES)


def edit(path: Path) -> None:
    """Change some bytes in place."""
    with path.open("r+b", buffering=0) as file:
        file.seek(path.stat().st_size - 400)
        file.write(b"</article><!--")


def replace(path: Path) -> None:
    """Put another file in the place, with rows of its own."""
    other = path.with_name("by-hand")
    other.write_text('<!doctype html>\n<title>x</title>\n<article id="c1" class="comment"><p>我</p></article>\n')
    other.replace(path)


def link(path: Path) -> None:
    """Put a link to a file elsewhere in the place."""
    path.unlink()
    path.symlink_to("/etc/hostname")


def remove(folder: Path) -> None:
    """Take a folder away in one step."""
    folder.rename(folder.with_name("away"))
    shutil.rmtree(folder.with_name("away"))


async def harm(found: World, name: str, damage: Damage) -> None:
    """Damage a file or folder of the pages while comments flow, and wait until all is whole."""
    path = found.pages / name if name.endswith("html") else found.server.data / "pages" / name
    style = found.server.data / "pages" / "assets" / "pages.css"
    before, live = style.read_bytes(), found.live
    with found.watch.blind():
        damage(path)
        problems = [""]
        deadline = time.monotonic() + PATIENCE_S
        while problems and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            problems = (await asyncio.to_thread(verify, found.pages)).problems
            if not style.exists() or style.read_bytes() != before:
                problems.append("the stylesheet is not what it was")
        assert not problems, (damage.__name__, name, problems, found.state())
    await found.wait(lambda: found.live > live)


async def harm_all(found: World, damages: Mapping[str, tuple[Damage, ...]]) -> None:
    """Every damage in turn, and everything is well at the end."""
    await found.fill(SEALED * PAGE_ROWS + 20)
    found.flow()
    for name, each in damages.items():
        for damage in each:
            await harm(found, name, damage)
    await found.whole()


async def test_the_open_page(tmp_path: Path) -> None:
    """The page that grows: noticed at the next comment, and made again before that goes live."""
    async with world(tmp_path / "data") as found:
        found.mark()
        await harm_all(found, {f"{SEALED}.html": (Path.unlink, cut, edit, replace, link)})
        # By the next comment, or by the patrol when that comes first.
        noticed = found.logged("warning")
        assert len([line for line in noticed if re.search("(is|are) made again from the log", line)]) >= 4, noticed


async def test_sealed_pages(tmp_path: Path) -> None:
    """Pages that are finished, new ones and old ones: found by the patrol."""
    async with world(tmp_path / "data") as found:
        found.mark()
        new, old = f"{SEALED - 1}.html", "0.html"
        await harm_all(found, {new: (Path.unlink, cut, edit), old: (Path.unlink, cut, edit, replace, link)})
        assert found.said("static pages were damaged and are made again from the log", "warning")
        assert found.said("static pages were not as the log has them, and are made again", "warning")


async def test_index_style_and_folders(tmp_path: Path) -> None:
    """The index, the stylesheet, the room's folder, and all pages at once."""
    async with world(tmp_path / "data") as found:
        await harm_all(
            found,
            {
                "index.html": (Path.unlink, cut, replace, link),
                "assets/pages.css": (Path.unlink, cut, replace),
                f"rooms/{ROOM}": (remove,),
                "": (remove,),
            },
        )


async def test_a_removed_page_is_there_for_who_asks(tmp_path: Path) -> None:
    """A reader does not wait for the patrol: a page that is missing is made again when it is asked for."""
    async with world(tmp_path / "data", page_check_s=3600) as found:
        await found.fill(PAGE_ROWS + 20)
        async with httpx.AsyncClient(base_url=found.server.url, timeout=PATIENCE_S) as client:
            for name in ("0.html", "1.html", "index.html"):
                whole = (found.pages / name).read_bytes()
                (found.pages / name).unlink()
                answer = await client.get(f"/rooms/{ROOM}/comments/{name}")
                assert (answer.status_code, answer.content) == (200, whole), name
                assert (found.pages / name).read_bytes() == whole
                await asyncio.sleep(1.1)  # a room is healed once a second at most
        await found.whole()


async def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    """A folder in the place of the open page is not ours to delete: the room is refused, the operator reads what to move away, who
    asks for the page gets an answer in time, and when it is gone all goes on."""
    async with world(tmp_path / "data") as found:
        await found.fill(20)
        page = found.pages / "0.html"
        found.mark()
        with found.watch.blind():
            page.unlink()
            page.mkdir()
            (page / "something").write_text("of somebody")
            found.flow()
            assert "a folder stands in the place of a file. Move it away" in await found.unready("pages")
            await found.refused(within_s=10)
            assert found.live == 20
            async with httpx.AsyncClient(base_url=found.server.url, timeout=10) as client:
                answer = await client.get(f"/rooms/{ROOM}/comments/0.html")
                assert answer.status_code == 503
            assert found.said("static pages cannot be written; .*Move it away", "error")
            shutil.rmtree(page)
            await found.ready()
            await asyncio.sleep(0.3)
        await found.whole()
