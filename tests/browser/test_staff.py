"""Staff's pages in a browser: enrolment, a passkey by a virtual authenticator, and what axe says."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Faults, Site, follow
from tests.browser.test_accessibility import violations
from tests.support.staff import PASSWORD

PAGES = (
    "",
    "/accounts",
    "/appeals",
    "/public",
    "/licences",
    "/vault",
    "/members",
    "/log",
    "/keys",
    "/confirm",
    "/inspections",
    "/outbox",
    "/cases",
    "/features",
    "/holds",
    "/modes",
    "/second",
    "/records",
    "/team",
    "/training",
)


def enrol(site: Site, page: Page, name: str, *roles: str) -> None:
    """A new member, signed in, with these roles or else all that look at different pages. Passkeys need a host's name, not its
    address."""
    answer = httpx.post(
        f"{site.url}/api/operator/account", headers=site._operator(), timeout=30, trust_env=False,
        json={"op": "staff.add", "name": name, "roles": roles or ["operator", "compliance", "privacy", "admin"]},
    )  # fmt: skip
    link = answer.json()["done"]["link"]
    page.goto(urljoin(site.url.replace("127.0.0.1", "localhost"), link))
    expect(page.locator(".qr svg")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query)["name"] == [name]
    page.fill("#code", pyotp.TOTP(page.inner_text("code.fingerprint")).now())
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.press("#again", "Enter")
    page.wait_for_url("**/staff")


def test_a_passkey_is_added_confirms_and_signs_in(browser: Browser, site: Site, faults: Faults) -> None:
    """The real ceremony of a browser, with a virtual authenticator that verifies its holder."""
    context = browser.new_context()
    page = faults.watch(context.new_page())
    enrol(site, page, "pass.key")
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(page.url + "/keys")
    page.fill("#label", "laptop")
    page.click("[data-passkey] button")
    expect(page.locator(".entries li")).to_contain_text("laptop")
    page.goto(page.url.replace("/keys", "/confirm"))
    follow(page, "[data-passkey] button", "**/staff")
    follow(page, ".staff-nav form button", "**/staff/sign-in")
    follow(page, "[data-passkey] button", "**/staff")
    expect(page.locator(".staff-nav")).to_contain_text("pass.key")
    context.close()
    assert faults.seen == []


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_on_staffs_pages(browser: Browser, site: Site, axe: str, theme: Any, width: int) -> None:
    """No violation, and nothing wider than the screen."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme, bypass_csp=True, locale="zh-CN")
    page = context.new_page()
    enrol(site, page, f"axe.{theme}")
    base = page.url
    problems = []
    for path in PAGES:
        page.goto(base + path)
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        problems += violations(page, axe)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    follow(page, ".staff-nav form button", "**/staff/sign-in")
    problems += violations(page, axe)
    context.close()
    assert problems == []
