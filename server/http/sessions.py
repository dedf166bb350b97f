"""Who is behind a request of a browser: session cookies, and the tokens of forms.

Viewers and staff have cookies of their own (:class:`Jar`), so that one person may be both. A form carries a token bound to the
session's cookie, or, before anybody has signed in, to a cookie that the form's page sets (:data:`FORMS`); with ``SameSite`` and the
check where a form comes from (:func:`server.web.security.posted_from_here`) that makes three reasons why another site cannot act in
somebody's name, or sign somebody in as somebody else.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import sessions
from server.accounts.sessions import Policy, Session
from server.errors import Refusal, StoreError
from server.http.requests import read_body, services
from server.web.security import posted_from_here

FORM_FIELD: Final = "form_token"
FORM_HEADER: Final = "x-barrage-form-token"
FORM_AGE_S: Final = 24 * 3600
_FIELDS_MAX: Final = 40
_RETURN_MAX_CHARS: Final = 300


class Jar(NamedTuple):
    """A cookie: its name, the paths that get it, and whether links of other sites may bring it along."""

    name: str
    path: str = "/"
    same_site: Literal["lax", "strict"] = "lax"


VIEWERS: Final = Jar("barrage_session")
STAFF: Final = Jar("barrage_staff", "/staff", "strict")
FORMS: Final = Jar("barrage_form")


class Visitor(NamedTuple):
    """Somebody signed in: the session, and the cookie's value."""

    session: Session
    cookie: str

    @property
    def holder(self) -> str:
        """The account, or ``staff:NAME``."""
        return self.session.holder


async def visitor(request: Request, jar: Jar = VIEWERS, policy: Policy | None = None) -> Visitor | None:
    """Who is signed in, or None; the session's use is noted. ``policy`` is by default that of viewers.

    Raises Refusal ``storage_unavailable``.
    """
    known: dict[str, Visitor | None] = request.scope.setdefault("barrage.visitors", {})
    if jar.name in known:
        return known[jar.name]
    people = services(request).people
    cookie = request.cookies.get(jar.name, "")
    session = None
    if sessions.is_cookie(cookie):
        now_ms = people.clock_ms()
        try:
            session = await people.book.read(lambda connection: sessions.find(connection, cookie, now_ms))
            if session is not None and session.holder.startswith("staff:") != (jar.name == STAFF.name):
                session = None  # put into the other's jar
            if session is not None and sessions.is_stale(session, now_ms):
                used, kept = session, policy or people.session_policy
                await people.book.write(lambda tx: sessions.touch(tx, used, kept))
        except StoreError as error:
            raise Refusal("storage_unavailable", "sessions", retry_after_ms=1000) from error
    known[jar.name] = None if session is None else Visitor(session, cookie)
    return known[jar.name]


async def require(request: Request) -> Visitor:
    """Who is signed in as a viewer. Raises Refusal ``sign_in_required``."""
    found = await visitor(request)
    if found is None:
        raise Refusal("sign_in_required")
    return found


class FormToken(NamedTuple):
    """The token for the forms of one page; ``cookie`` is to be set where it is not empty."""

    token: str
    cookie: str

    def keep(self, request: Request, response: Response) -> None:
        """Set the cookie that the token is bound to, where there is no other."""
        if self.cookie:
            set_cookie(request, response, FORMS, self.cookie, FORM_AGE_S)


def form_token(request: Request, who: Visitor | None) -> FormToken:
    """The token for a page that ``who`` gets (None: nobody is signed in)."""
    key = services(request).people.form_key
    if who is not None:
        return FormToken(sessions.form_token(key, who.cookie), "")
    cookie = request.cookies.get(FORMS.name, "")
    fresh = "" if sessions.is_cookie(cookie) else sessions.new_cookie()
    return FormToken(sessions.form_token(key, fresh or cookie), fresh)


def check_token(request: Request, who: Visitor | None, token: str) -> None:
    """Refuse what was not sent by a page of ours to this very browser. Raises Refusal ``form_expired``."""
    cookie = who.cookie if who is not None else request.cookies.get(FORMS.name, "")
    good = sessions.is_cookie(cookie) and sessions.is_form_token(services(request).people.form_key, cookie, token)
    if not good or not posted_from_here(request.headers, request.url.netloc):
        raise Refusal("form_expired")


async def read_form(request: Request, who: Visitor | None) -> dict[str, str]:
    """The fields of a form that a page of ours sent, the first value of each.

    Raises Refusal ``form_expired``, ``bad_message``, ``too_large``.
    """
    fields = await read_fields(request)
    check_token(request, who, fields.pop(FORM_FIELD, ""))
    return fields


async def read_fields(request: Request) -> dict[str, str]:
    """The fields of a posted form, whoever sent it. Raises Refusal ``bad_message``, ``too_large``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal("bad_message", "Content-Type: application/x-www-form-urlencoded")
    body = await read_body(request)
    try:
        parsed = parse_qs(body.decode("ascii"), max_num_fields=_FIELDS_MAX, errors="replace", keep_blank_values=True)
    except ValueError:
        raise Refusal("bad_message", "a form with few fields, percent-encoded") from None
    return {name: values[0] for name, values in parsed.items()}


def set_cookie(request: Request, response: Response, jar: Jar, value: str, max_age_s: int) -> None:
    """Give the browser a cookie that no script can read."""
    response.set_cookie(
        jar.name, value, max_age=max_age_s, path=jar.path, secure=is_encrypted(request), httponly=True, samesite=jar.same_site
    )


def drop_cookie(request: Request, response: Response, jar: Jar) -> None:
    """Have the browser forget a cookie."""
    response.delete_cookie(jar.name, path=jar.path, secure=is_encrypted(request), httponly=True, samesite=jar.same_site)


def is_encrypted(request: Request) -> bool:
    """Whether the public reaches the site by https."""
    return services(request).settings.public_url.startswith("https:") or request.url.scheme == "https"


def local_path(text: str, default: str = "/account") -> str:
    """Where to lead somebody on, when it is a path of this site and nothing else: ``//host`` and ``/\\host`` are addresses of
    others."""
    plain = len(text) <= _RETURN_MAX_CHARS and text.isascii() and text.isprintable() and not set(text) & set('\\"<> ')
    return text if plain and text.startswith("/") and not text.startswith("//") else default
