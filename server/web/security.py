"""Security headers of our pages, and the check that a form was posted from our own site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit


def origin_of(url: str) -> str:
    """Scheme and host of an http(s) address, for a Content-Security-Policy; empty for relative and other addresses."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return ""
    host = parts.hostname or ""
    # A policy is a list of words: a host with a separator in it would add words of its own.
    if parts.scheme not in {"http", "https"} or not host or not all(c.isalnum() or c in "-._" for c in host):
        return ""
    return f"{parts.scheme}://{host}{port}"


def page_headers(frame_ancestors: Sequence[str], media: Sequence[str] = (), style_hashes: Sequence[str] = ()) -> dict[str, str]:
    """Headers of an HTML page: our own scripts and styles only, nothing inline, framed by ``frame_ancestors`` alone.

    ``media`` lists further origins of videos; ``style_hashes`` allows inline styles by hash (``sha256-...``).
    """
    policy = {
        "default-src": ("'none'",),
        "script-src": ("'self'",),
        "style-src": ("'self'", *(f"'{digest}'" for digest in style_hashes)),
        "img-src": ("'self'", "data:"),
        "media-src": ("'self'", "blob:", *media),
        "connect-src": ("'self'",),
        "form-action": ("'self'",),
        "base-uri": ("'none'",),
        "frame-ancestors": tuple(frame_ancestors),
    }
    return {
        "Content-Security-Policy": "; ".join(" ".join((name, *values)) for name, values in policy.items()),
        "X-Content-Type-Options": "nosniff",
        # Not "no-referrer": browsers would then send "Origin: null" with our own forms.
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def posted_from_here(headers: Mapping[str, str], host: str) -> bool:
    """Whether a form was sent by a page of ours, or by a client that is no browser (which needs no protection).

    ``host`` is the request's own host and port. Posting is anonymous, so this keeps other sites from making their visitors report
    things, not more.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host
