"""Staff sign in: password and code, or a passkey; enrolment; confirming who is there; one's own keys."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson
import segno
from anyio import to_thread
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import passkeys, staff
from server.accounts.passkeys import Site
from server.accounts.staff import Attempt
from server.errors import Refusal
from server.http.requests import address, limits, read_json, services
from server.http.screens import lead, problem, read, write
from server.http.sessions import FORM_HEADER, check_token, read_form
from server.http.staff_door import CLIENT, HOME, Rule, acting, enter, leave, show, staff_path, step_up

NAME_MAX_CHARS: Final = 64
PASSWORD_MAX_CHARS: Final = 256


class Answer(msgspec.Struct, frozen=True):
    """What a browser's passkey ceremony ended with: ``id`` is that of its begin."""

    id: str
    credential: dict[str, Any]
    label: str = ""


# -- password and code -------------------------------------------------------------------------------------------------


async def sign_in(request: Request) -> Response:
    """``GET /staff/sign-in``."""
    return await _sign_in_page(request, staff_path(request.query_params.get("return", "")))


async def _sign_in_page(request: Request, return_to: str, refusal: Refusal | None = None, name: str = "") -> Response:
    status = refusal.code.http if refusal else 200
    return await show(
        request, "staff_sign_in.html", status=status, problem=problem(request, refusal), name=name, return_to=return_to
    )


async def check(request: Request) -> Response:
    """``POST /staff/sign-in``: unknown names, wrong passwords and wrong codes are answered alike, after the same time."""
    found = services(request)
    fields = await read_form(request, None)
    return_to = staff_path(fields.get("return", ""))
    name = fields.get("name", "").strip().lower()[:NAME_MAX_CHARS]
    try:
        limits(request).sign_in(address(request), found.steady_ms())
        attempt = await _attempt(request, name, fields.get("password", "")[:PASSWORD_MAX_CHARS], fields.get("code", "")[:16])
        if attempt.member is None:
            raise Refusal(attempt.refusal, retry_after_ms=attempt.wait_ms)
    except Refusal as refusal:
        return await _sign_in_page(request, return_to, refusal, name)
    return await enter(request, attempt.member, return_to)


async def _attempt(request: Request, name: str, password: str, code: str) -> Attempt:
    people = services(request).people
    desk, cookie = people.desk, request.cookies.get(CLIENT.name, "")
    known = desk.devices.knows(cookie, name)
    if known:
        desk.devices.tries(cookie)
    kept = await read(request, lambda connection: staff.password_of(connection, name))
    async with desk.hashing:
        checked = await to_thread.run_sync(desk.passwords.check, kept, password)
    waits_ms = 0 if kept else desk.devices.nobody_failed(name, people.clock_ms())
    attempt = await write(
        request,
        lambda tx: staff.sign_in(
            tx,
            name,
            kept,
            checked.matches,
            code,
            people.vault,
            rehashed=checked.rehashed,
            known=known,
            nobody_waits_ms=waits_ms,
        ),
    )
    if attempt.member is not None and known:
        desk.devices.succeeded(cookie)
    return attempt


async def sign_out(request: Request) -> Response:
    """``POST /staff/sign-out``."""
    await read_form(request, acting(request).who)
    return await leave(request)


# -- enrolment ---------------------------------------------------------------------------------------------------------


async def enrolment(request: Request) -> Response:
    """``GET /staff/enrol?name=&secret=``: set a password and scan the code, once."""
    query = request.query_params
    return await _enrolment_page(request, query.get("name", ""), query.get("secret", ""))


async def _enrolment_page(request: Request, name: str, secret: str, refusal: Refusal | None = None) -> Response:
    people = services(request).people
    issuer, now_ms = people.settings.site_name, people.clock_ms()
    uri = await read(request, lambda connection: staff.enrolment_uri(connection, name, secret, people.vault, issuer, now_ms))
    code = segno.make(uri, error="m", micro=False)
    drawing = Markup(code.svg_inline(scale=5, border=2, dark="#000", light="#fff", title=name))  # noqa: S704 - made by segno
    status = refusal.code.http if refusal else 200
    return await show(
        request, "staff_enrol.html", status=status, problem=problem(request, refusal), name=name, secret=secret,
        drawing=drawing, key=uri.split("secret=")[1].split("&")[0], detail=refusal.detail if refusal else "",
    )  # fmt: skip


async def enrol(request: Request) -> Response:
    """``POST /staff/enrol``: both are set, and the member is in."""
    people = services(request).people
    fields = await read_form(request, None)
    limits(request).sign_in(address(request), services(request).steady_ms())
    name, secret, now_ms = fields.get("name", ""), fields.get("secret", ""), people.clock_ms()
    # A wrong secret costs nothing, a password costs time.
    await read(request, lambda connection: staff.enrolment_uri(connection, name, secret, people.vault, "", now_ms))
    try:
        if fields.get("password", "") != fields.get("again", ""):
            raise Refusal("bad_message", "password: the two are not the same")
        async with people.desk.hashing:
            kept = await to_thread.run_sync(people.desk.passwords.keep, fields.get("password", ""), name)
        code = fields.get("code", "")[:16]
        member = await write(request, lambda tx: staff.enrol(tx, name, secret, kept, code, people.vault))
    except Refusal as refusal:
        return await _enrolment_page(request, name, secret, refusal)
    return await enter(request, member, HOME)


# -- confirming who is there -------------------------------------------------------------------------------------------


async def confirmation(request: Request) -> Response:
    """``GET /staff/confirm``: a fresh code, or a passkey, before a sensitive action."""
    return await _confirmation_page(request, staff_path(request.query_params.get("return", "")))


async def _confirmation_page(request: Request, return_to: str, refusal: Refusal | None = None) -> Response:
    status = refusal.code.http if refusal else 200
    return await show(request, "staff_confirm.html", status=status, problem=problem(request, refusal), return_to=return_to)


async def confirm(request: Request) -> Response:
    """``POST /staff/confirm``. A session in which too many codes were wrong ends: whoever stole it has guessed enough, and its
    owner signs in again."""
    found, people = acting(request), services(request).people
    fields = await read_form(request, found.who)
    devices, session = people.desk.devices, found.who.session.id
    if not devices.confirms(session):
        return await leave(request)
    return_to, code = staff_path(fields.get("return", "")), fields.get("code", "")[:16]
    attempt = await write(request, lambda tx: staff.confirm(tx, found.member.name, code, people.vault))
    if attempt.member is None:
        refusal = Refusal(attempt.refusal, retry_after_ms=attempt.wait_ms)
        return await _confirmation_page(request, return_to, refusal)
    devices.confirmed(session)
    return await step_up(request, return_to)


# -- passkeys ----------------------------------------------------------------------------------------------------------


def _site(request: Request) -> Site:
    return services(request).people.desk.site(request.url.scheme, request.url.netloc)


def _json(data: Any) -> Response:
    return Response(orjson.dumps(data), media_type="application/json")


async def passkey_begin(request: Request) -> Response:
    """``POST /staff/passkey/begin``: a challenge for signing in."""
    check_token(request, None, request.headers.get(FORM_HEADER, ""))
    return _challenge(request, "")


async def passkey_confirm_begin(request: Request) -> Response:
    """``POST /staff/passkey/confirm/begin``: a challenge for confirming."""
    found = acting(request)
    check_token(request, found.who, request.headers.get(FORM_HEADER, ""))
    return _challenge(request, found.member.holder)


def _challenge(request: Request, holder: str) -> Response:
    people = services(request).people
    limits(request).sign_in(address(request), services(request).steady_ms())
    key, challenge = people.desk.challenges.begin(holder, people.clock_ms())
    return _json({"id": key, "options": passkeys.sign_in_options(_site(request), challenge)})


async def passkey_sign_in(request: Request) -> Response:
    """``POST /staff/passkey``: the answer to a challenge signs in."""
    people = services(request).people
    check_token(request, None, request.headers.get(FORM_HEADER, ""))
    answer = await read_json(request, Answer)
    challenge, site = people.desk.challenges.take(answer.id, "", people.clock_ms()), _site(request)
    member = await write(request, lambda tx: passkeys.sign_in(tx, site, challenge, answer.credential))
    return await _entered(await enter(request, member, HOME))


async def passkey_confirm(request: Request) -> Response:
    """``POST /staff/passkey/confirm``: the answer of one's own passkey confirms who is there."""
    found, people = acting(request), services(request).people
    check_token(request, found.who, request.headers.get(FORM_HEADER, ""))
    answer = await read_json(request, Answer)
    challenge, site = people.desk.challenges.take(answer.id, found.member.holder, people.clock_ms()), _site(request)
    name = found.member.name
    await write(request, lambda tx: passkeys.sign_in(tx, site, challenge, answer.credential, name))
    return await _entered(await step_up(request, HOME))


async def _entered(redirect: Response) -> Response:
    """To a script the way on is told, with the cookies of the redirect: it follows by itself."""
    response = _json({"next": redirect.headers["location"]})
    response.raw_headers += [pair for pair in redirect.raw_headers if pair[0] == b"set-cookie"]
    return response


# -- one's own keys ----------------------------------------------------------------------------------------------------


async def keys(request: Request) -> Response:
    """``GET /staff/keys``."""
    return await _keys_page(request)


async def _keys_page(request: Request, refusal: Refusal | None = None) -> Response:
    name = acting(request).member.name
    found = await read(request, lambda connection: passkeys.listed(connection, name))
    status = refusal.code.http if refusal else 200
    return await show(
        request, "staff_keys.html", status=status, problem=problem(request, refusal), passkeys=found,
        detail=refusal.detail if refusal else "",
    )  # fmt: skip


def _freshly(request: Request) -> None:
    """Own keys are changed by who has just proved to be there."""
    found, now_ms = acting(request), services(request).people.clock_ms()
    if not 0 <= now_ms - found.who.session.stepped_up_ms < staff.STEP_UP_MS:
        raise Refusal("step_up_required")


async def key_begin(request: Request) -> Response:
    """``POST /staff/keys/begin``: a challenge for a new passkey."""
    found, people = acting(request), services(request).people
    check_token(request, found.who, request.headers.get(FORM_HEADER, ""))
    _freshly(request)
    key, challenge = people.desk.challenges.begin(f"new:{found.member.holder}", people.clock_ms())
    site = _site(request)
    options = await read(request, lambda c: passkeys.registration_options(c, found.member, site, challenge))
    return _json({"id": key, "options": options})


async def key_add(request: Request) -> Response:
    """``POST /staff/keys``: take in what the authenticator made."""
    found, people = acting(request), services(request).people
    check_token(request, found.who, request.headers.get(FORM_HEADER, ""))
    _freshly(request)
    answer = await read_json(request, Answer)
    holder = f"new:{found.member.holder}"
    challenge, site = people.desk.challenges.take(answer.id, holder, people.clock_ms()), _site(request)
    await write(request, lambda tx: passkeys.register(tx, found.member, site, challenge, answer.credential, answer.label))
    return _json({"next": "/staff/keys"})


async def key_remove(request: Request) -> Response:
    """``POST /staff/keys/remove``."""
    found = acting(request)
    fields = await read_form(request, found.who)
    _freshly(request)
    await write(request, lambda tx: passkeys.remove(tx, found.member, fields.get("key", "")))
    return lead("/staff/keys")


async def password(request: Request) -> Response:
    """``POST /staff/keys/password``: set another password; all sessions end, and one signs in with it."""
    found, desk = acting(request), services(request).people.desk
    fields = await read_form(request, found.who)
    _freshly(request)
    name, new = found.member.name, fields.get("password", "")
    try:
        if new != fields.get("again", ""):
            raise Refusal("bad_message", "password: the two are not the same")
        async with desk.hashing:
            kept = await to_thread.run_sync(desk.passwords.keep, new, name)
    except Refusal as refusal:
        return await _keys_page(request, refusal)
    await write(request, lambda tx: staff.change_password(tx, name, kept))
    return lead("/staff/sign-in")


RULES: Final = (
    Rule("/staff/sign-in", "GET", "open", sign_in),
    Rule("/staff/sign-in", "POST", "open", check),
    Rule("/staff/sign-out", "POST", "own", sign_out),
    Rule("/staff/enrol", "GET", "open", enrolment),
    Rule("/staff/enrol", "POST", "open", enrol),
    Rule("/staff/confirm", "GET", "own", confirmation),
    Rule("/staff/confirm", "POST", "own", confirm),
    Rule("/staff/passkey/begin", "POST", "open", passkey_begin),
    Rule("/staff/passkey", "POST", "open", passkey_sign_in),
    Rule("/staff/passkey/confirm/begin", "POST", "own", passkey_confirm_begin),
    Rule("/staff/passkey/confirm", "POST", "own", passkey_confirm),
    Rule("/staff/keys", "GET", "own", keys),
    Rule("/staff/keys/begin", "POST", "own", key_begin),
    Rule("/staff/keys", "POST", "own", key_add),
    Rule("/staff/keys/remove", "POST", "own", key_remove),
    Rule("/staff/keys/password", "POST", "own", password),
)
