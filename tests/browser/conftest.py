"""A browser, a real server, and people in front of the room's page."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, FloatRect, Locator, Page, expect

from server.accounts.identity import Tokens
from server.settings import load
from tests.support.chromium import chromium, chromium_path
from tests.support.sender import Sender
from tests.support.server import ROOT, ServerProcess

expect.set_options(timeout=30_000)  # what must come is waited for; a machine with other work to do takes its time

TOOLS: Final = ROOT / "tests/tools"
UNLIMITED: Final = {
    "rate_account_per_s": 10_000,
    "rate_account_burst": 10_000,
    "rate_room_per_s": 10_000,
    "rate_room_burst": 10_000,
    "rate_address_per_s": 100_000,
    "rate_address_burst": 100_000,
    "frames_per_s": 10_000,
    "frames_burst": 10_000,
    "reports_burst": 1000,
    "demo_tokens_burst": 1000,
    "drain_s": 0,
    "rules_file": Path(__file__).parent / "rules.toml",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder that takes a browser is marked as such."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this folder, and no longer: while it runs, no asynchronous test can."""
    if not chromium_path():
        pytest.skip("needs Chromium (Debian: apt-get install chromium), or its path in BARRAGE_CHROMIUM")
    with chromium() as made:
        yield made


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    path = Path(os.environ.get("BARRAGE_AXE_JS", TOOLS / "node_modules/axe-core/axe.min.js"))
    if not path.is_file():
        pytest.skip("needs axe-core (npm ci --prefix tests/tools), or its path in BARRAGE_AXE_JS")
    return path.read_text()


class Site(ServerProcess):
    """A server with rooms of its own for each test, and an operator at hand."""

    def _operator(self) -> dict[str, str]:
        tokens = Tokens.open(load({}, None, {"data_dir": str(self.data)}))
        return {"Authorization": f"Bearer {tokens.issue_operator('tests', time.time_ns() // 1_000_000)}"}

    def operate(self, what: str, **body: object) -> None:
        """Ask the operator interface for something."""
        answer = httpx.post(f"{self.url}/api/operator/{what}", json=body, headers=self._operator(), timeout=30, trust_env=False)
        assert answer.is_success, answer.text

    def new_room(self, kind: str = "live", video: str = "", title: str = "房间 Room", *, news: bool = False) -> str:
        """Create a room; returns its name."""
        name = f"r{secrets.token_hex(4)}"
        self.operate("rooms", name=name, title=title, kind=kind, video_url=video, news=news)
        return name

    def remove(self, room: str, seq: int, code: str, basis: str) -> None:
        """Remove a comment."""
        self.operate("removal", room=room, seq=seq, code=code, basis=basis)

    def restore(self, room: str, seq: int, code: str, basis: str) -> None:
        """Restore a removed comment."""
        self.operate("restoration", room=room, seq=seq, code=code, basis=basis)

    def announce(self, room: str, text: str) -> None:
        """Tell a room something."""
        self.operate("announcement", room=room, text=text)

    def set_mode(self, room: str, mode: str) -> None:
        """Open a room, or make it read-only."""
        self.operate("mode", room=room, mode=mode)

    def reports(self) -> list[dict[str, object]]:
        """All reports."""
        answer = httpx.get(f"{self.url}/api/operator/reports", headers=self._operator(), timeout=30, trust_env=False)
        found: list[dict[str, object]] = answer.json()["reports"]
        return found


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server that most tests share, without limits of rate."""
    with Site(tmp_path_factory.mktemp("site") / "data", settings=UNLIMITED) as running:
        yield running


@pytest.fixture
def sender(site: Site) -> Iterator[Callable[[str], Sender]]:
    """Makes senders; their connections end with the test."""
    made: list[Sender] = []

    def make(room: str, nickname: str = "小明") -> Sender:
        made.append(Sender(site, room, nickname))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Faults:
    """What went wrong on pages: errors of scripts and of the console."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def watch(self, page: Page) -> Page:
        """Collect from a page."""
        page.on("pageerror", lambda error: self.seen.append(str(error)))
        page.on("console", self._on_console)
        page.on("dialog", self._on_dialog)
        return page

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(message.text)

    def _on_dialog(self, dialog: Dialog) -> None:
        self.seen.append(f"dialog {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def faults() -> Faults:
    """Errors on pages; a test that expects some clears ``seen``."""
    return Faults()


Visitor = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, site: Site, faults: Faults) -> Iterator[Visitor]:
    """``visit(path, name="", **context)``: a person's own browser context on a page, signed in under a name where one is given.

    At the end of the test no page may have had an error.
    """
    contexts: list[BrowserContext] = []

    def make(path: str, name: str = "", **options: Any) -> Page:
        options = {"locale": "zh-CN", "viewport": {"width": 1280, "height": 800}, **options}
        contexts.append(browser.new_context(base_url=site.url, **options))
        page = faults.watch(contexts[-1].new_page())
        page.goto(path + (f"#token={site.token(f'v-{secrets.token_hex(4)}', name)}" if name else ""))
        if options.get("java_script_enabled", True) and path.startswith("/rooms/") and path.count("/") == 2:
            page.wait_for_selector('#connection[data-state="live"]')
        if name:
            page.wait_for_selector("#say:visible")
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults.seen == []


def rows(page: Page) -> list[str]:
    """The texts of the rows on a room's page, newest first."""
    found: list[str] = page.locator("#rows .text").all_text_contents()
    return found


def say(page: Page, text: str) -> None:
    """Write into the form and send."""
    page.fill("#text", text)
    page.press("#text", "Enter")


def standing(page: Page, flying: Locator) -> FloatRect:
    """Wait until a comment does not move any more, which begins with some next frame; where it stands."""
    for _ in range(100):
        before = flying.bounding_box()
        page.wait_for_timeout(300)
        assert before is not None, "it is still there"
        if flying.bounding_box() == before:
            return before
    raise AssertionError("it goes on moving")


def follow(page: Page, selector: str, to: str = "**") -> None:
    """Click on what leads to another document, whose address fits ``to``, and return when that has been loaded: a click alone may
    return before the navigation that it causes."""
    with page.expect_navigation(url=to):
        page.click(selector)
