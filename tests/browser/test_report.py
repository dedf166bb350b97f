"""Reporting from the static page, logged out, as a person does it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site, Visitor, follow
from tests.support.sender import Sender


@pytest.mark.parametrize("scripts", [True, False])
def test_duty_p10_two_clicks_from_the_static_page_to_a_receipt(
    site: Site, visit: Visitor, sender: Callable[..., Sender], scripts: bool
) -> None:
    """From the static page, with and without scripts: one click to the form, one that sends it; the report is recorded."""
    room = site.new_room()
    sender(room).say("加微信领红包吗？不，只是测试")
    page = visit(f"/rooms/{room}/comments/0.html", java_script_enabled=scripts)
    follow(page, "#c1 .report")
    expect(page.locator(".quoted .text")).to_have_text("加微信领红包吗？不，只是测试")
    follow(page, '.reasons button[value="S1"]')
    receipt = page.locator(".receipt code").text_content()
    assert receipt is not None
    assert page.url == f"{site.url}/reports/{receipt}?room={room}"
    (report,) = [report for report in site.reports() if report["receipt"] == receipt]
    assert (report["room"], report["seq"], report["reason"]) == (room, 1, "S1")


def test_duty_p10_two_clicks_from_a_flying_comment_to_a_receipt(
    site: Site, visit: Visitor, sender: Callable[..., Sender]
) -> None:
    """One click on a comment over the picture opens the form as a dialog, one on a reason sends it; a row's link opens it too, and
    the keyboard closes it."""
    room = site.new_room()
    page = visit(f"/rooms/{room}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    sender(room).say("看我飞", mode="top")
    flying = page.locator(".fly").bounding_box()
    assert flying is not None
    page.mouse.click(flying["x"] + flying["width"] / 2, flying["y"] + flying["height"] / 2)
    expect(page.locator("dialog [data-quote]")).to_have_text("看我飞")
    page.click('dialog button[value="L8"]')
    expect(page.locator("dialog [data-receipt]")).to_have_text(re.compile("R-"))
    receipt = page.locator("dialog [data-receipt]").text_content()
    (report,) = [report for report in site.reports() if report["receipt"] == receipt]
    assert (report["room"], report["seq"], report["reason"]) == (room, 1, "L8")
    page.keyboard.press("Escape")
    page.locator("#c1 a.report").click()
    expect(page.locator("dialog [data-seq]")).to_have_text("#1")
    expect(page.locator("dialog form")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).not_to_be_visible()
