"""Headless Chromium for tests and for pictures of the pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str:
    """The browser: ``BARRAGE_CHROMIUM``, else Debian's; empty when there is none."""
    given = os.environ.get("BARRAGE_CHROMIUM")
    if given:
        return given if Path(given).is_file() else ""
    return shutil.which("chromium") or ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(_ARGUMENTS))
        yield browser
        browser.close()
