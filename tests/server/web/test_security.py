"""server/web/security.py"""

from __future__ import annotations

import pytest

from server.web.security import origin_of, page_headers, posted_from_here


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://cdn.example/film.mp4?x", "https://cdn.example"),
        ("http://CDN.example:8080/a", "http://cdn.example:8080"),
        ("/videos/film.mp4", ""),
        ("", ""),
        ("data:video/mp4;base64,AA", ""),
        ("https://", ""),
        ("https://a b;script-src/film.mp4", ""),
        ("https://x:99999/film.mp4", ""),
        ("https://[::1/film.mp4", ""),
        ("https://evil.example;script-src *", ""),
    ],
)
def test_the_origin_of_a_video(url: str, origin: str) -> None:
    """Only a plain http(s) origin enters a policy: nothing that could add a word to it."""
    assert origin_of(url) == origin


def test_style_hashes_are_quoted() -> None:
    """An inline style that is allowed by its hash stands quoted in the policy."""
    policy = page_headers(("'none'",), style_hashes=("sha256-abc",))["Content-Security-Policy"]
    assert "style-src 'self' 'sha256-abc';" in policy
    assert policy.endswith("frame-ancestors 'none'")


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://here:1"}, False),
        ({"origin": "http://here:1"}, True),
        ({"origin": "https://here:1"}, True),
        ({"origin": "http://here"}, False),
        ({"origin": "null"}, False),
    ],
)
def test_forms_come_from_our_own_pages(headers: dict[str, str], accepted: bool) -> None:
    """What the browser says of the form's site decides; without a browser nothing is to be protected."""
    assert posted_from_here(headers, "here:1") is accepted
