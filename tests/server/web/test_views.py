"""server/web/views.py; what pages hold is tested with the routes."""

from __future__ import annotations

import jinja2
import pytest
from starlette.requests import Request

from server.errors import Refusal
from server.settings import Settings
from server.web.assets import Assets
from server.web.views import TEMPLATES_DIR, Views, make_environment


def request(query: str = "", scheme: str = "http") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/x",
            "query_string": query.encode(),
            "headers": [(b"host", b"here")],
            "scheme": scheme,
            "server": ("here", 80),
        }
    )


def test_a_template_that_names_what_it_was_not_given_fails() -> None:
    """A missing value is an error, never an empty place; values are escaped."""
    environment = make_environment()
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ missing }}").render()
    assert environment.from_string("{{ text }}").render(text="<b>") == "&lt;b&gt;"


def test_every_template_parses() -> None:
    """All templates compile."""
    environment = make_environment()
    names = [path.name for path in TEMPLATES_DIR.glob("*.html")]
    assert len(names) >= 6
    for name in names:
        environment.get_template(name)


def test_the_language_cookie_is_secure_over_https() -> None:
    """The cookie of a chosen language is bound to https where the page came by https."""
    views = Views(Settings(), Assets())
    refusal = Refusal("not_found")
    assert "Secure" in views.refusal(request("lang=en", "https"), refusal).headers["set-cookie"]
    assert "Secure" not in views.refusal(request("lang=en"), refusal).headers["set-cookie"]


def test_a_refusal_speaks_the_readers_language() -> None:
    """The sentence of the code's own language; a final refusal names no time to try again."""
    views = Views(Settings(), Assets())
    answer = views.refusal(request("lang=en"), Refusal("room_not_found"))
    assert answer.status_code == 404
    assert b"There is no such room." in bytes(answer.body)
    assert "retry-after" not in answer.headers
    busy = views.refusal(request(), Refusal("overloaded"))
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
