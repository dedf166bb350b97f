"""One's own data: the privacy notice for anyone, consent and its withdrawal, a copy, erasure; and the consent of a guardian.

Duty P5(2). Everything works without script. A copy of everything, and erasure, are for somebody who signed in a short while ago:
a browser left open, or a stolen cookie, must not be enough.
"""

from __future__ import annotations

import base64
import re
from typing import Final

import msgspec
import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import nicknames, privacy, sessions
from server.core.address import limit_key
from server.errors import Refusal
from server.http.requests import address, limits, services
from server.http.screens import lead, next_step, read, require_page, screen, show, views, with_return, write
from server.http.sessions import VIEWERS, Jar, Visitor, drop_cookie, read_form, set_cookie, visitor

FRESH_MS: Final = 15 * 60_000
"""How long after signing in somebody may take a copy of everything, or erase it."""
GUARDIAN: Final = Jar("barrage_guardian", "/account/guardian", "strict")
_GUARDIAN_AGE_S: Final = 900
_HERE: Final = "/account/privacy"
_NOT_IN_NAMES: Final = re.compile(r"[^0-9A-Za-z-]+")


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Between the two steps of a guardian's consent. ``ticket`` is sealed by the domain."""

    ticket: str
    hint: str
    name: str


def is_fresh(who: Visitor, now_ms: int) -> bool:
    """Whether the person has proved a short while ago who they are."""
    return now_ms - max(who.session.created_ms, who.session.stepped_up_ms) < FRESH_MS


async def _signed_in(request: Request) -> Visitor:
    """Who acts. Raises Refusal ``sign_in_required``."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    return who


async def notice(request: Request) -> Response:
    """``GET /account/privacy``: the notice, for anyone; below it, for whoever is signed in, consents, a copy and erasure."""
    return await _page(request)


async def _page(request: Request, refusal: Refusal | None = None, part: str = "") -> Response:
    people = services(request).people
    language = views(request).language(request)
    who = await visitor(request)
    standing = None if who is None else await people.standing(who.holder)
    return await show(
        request,
        "account_privacy.html",
        refusal,
        part=part,
        notice=people.notice,
        text=people.notice.texts[language],
        purposes=privacy.purposes_of_notice(),
        term=lambda field: privacy.term(field, people.settings, language),
        who=people.settings.operator_name or people.settings.site_name,
        contact=people.settings.privacy_contact,
        standing=standing,
        fresh=who is not None and is_fresh(who, people.clock_ms()),
    )


async def acknowledge(request: Request) -> Response:
    """``POST /account/privacy``: the notice was read, in the words that were shown."""
    who = await _signed_in(request)
    fields = await read_form(request, who)
    current = services(request).people.notice
    sha256, language = fields.get("sha256", ""), fields.get("language", "")
    await write(request, lambda tx: privacy.acknowledge(tx, who.holder, current, sha256, language))
    return lead(_HERE)


async def consent(request: Request) -> Response:
    """``POST /account/privacy/consent``: give consent to a purpose, or take it back."""
    who = await _signed_in(request)
    fields = await read_form(request, who)
    people = services(request).people
    purpose = fields.get("purpose", "")
    if fields.get("give"):
        await write(request, lambda tx: privacy.consent(tx, who.holder, purpose, people.notice))
    else:
        await write(request, lambda tx: privacy.withdraw(tx, people.vault, who.holder, purpose))
    return lead(f"{_HERE}#consents")


async def again(request: Request) -> Response:
    """``POST /account/privacy/again``: sign out, and in again, before what only a fresh session may do."""
    who = await _signed_in(request)
    await read_form(request, who)
    await write(request, lambda tx: sessions.end(tx, who.holder, who.session.id))
    response = lead(with_return("/account/sign-in", _HERE))
    drop_cookie(request, response, VIEWERS)
    return response


async def copy(request: Request) -> Response:
    """``POST /account/privacy/copy``: everything that is kept, as a file of JSON."""
    who = await _signed_in(request)
    await read_form(request, who)
    found = services(request)
    if not is_fresh(who, found.people.clock_ms()):
        return await _page(request, Refusal("step_up_required"), "copy")
    export = await found.custody.export(who.holder)
    # In a thread: 100,000 comments take so long that everybody's comments would wait.
    body = await to_thread.run_sync(lambda: orjson.dumps(export, option=orjson.OPT_INDENT_2))
    name = _NOT_IN_NAMES.sub("-", f"barrage-{who.holder}")[:80]
    headers = {"Content-Disposition": f'attachment; filename="{name}.json"'}
    return Response(body, media_type="application/json", headers=headers)


async def erase(request: Request) -> Response:
    """``POST /account/privacy/erase``: the account is closed for good. The nickname, typed in, says that it is meant."""
    who = await _signed_in(request)
    fields = await read_form(request, who)
    found = services(request)
    if not is_fresh(who, found.people.clock_ms()):
        return await _page(request, Refusal("step_up_required"), "erase")
    nickname = await read(request, lambda connection: nicknames.current(connection, who.holder))
    if fields.get("nickname", "").strip() != nickname:
        return await _page(request, Refusal("bad_message"), "erase")
    done = await found.custody.erase(
        who.holder, remove_comments=bool(fields.get("comments")), actor=who.holder, role="person"
    )  # fmt: skip
    request.scope["barrage.visitors"] = {}
    response = await show(request, "account_erased.html", deferred=not done, comments=bool(fields.get("comments")))
    drop_cookie(request, response, VIEWERS)
    return response


# -- a guardian


async def guardian(request: Request) -> Response:
    """``GET /account/guardian``: what a guardian consents to, and the form for name and phone, or for the code that was sent."""
    who = await require_page(request)
    return await _guardian_page(request, who) if isinstance(who, Visitor) else who


async def _guardian_page(request: Request, who: Visitor, refusal: Refusal | None = None) -> Response:
    found = services(request)
    asked = _asked(request)
    return await show(
        request,
        "account_guardian.html",
        refusal,
        given="guardian" in (await found.people.standing(who.holder)).consents,
        asked=asked,
        demo=found.settings.demo,
        by_phone="phone" in found.people.signup.methods,
    )


async def ask_guardian(request: Request) -> Response:
    """``POST /account/guardian``: have a code sent to the guardian."""
    who = await _signed_in(request)
    fields = await read_form(request, who)
    limits(request).sign_in(address(request), services(request).steady_ms())
    name, phone = fields.get("name", "").strip()[:50], fields.get("phone", "")[:32]
    try:
        started = await services(request).people.signup.start_guardian(
            who.holder, name, phone, address=limit_key(address(request))
        )
    except Refusal as refusal:
        return await _guardian_page(request, who, refusal)
    asked = _Asked(ticket=started.ticket, hint=started.hint, name=name)
    response = lead("/account/guardian")
    text = base64.urlsafe_b64encode(msgspec.json.encode(asked)).decode()
    set_cookie(request, response, GUARDIAN, text, _GUARDIAN_AGE_S)
    return response


async def confirm_guardian(request: Request) -> Response:
    """``POST /account/guardian/code``: the guardian has the code, and consents."""
    who = await _signed_in(request)
    fields = await read_form(request, who)
    asked = _asked(request)
    people = services(request).people
    if asked is None:
        return await _guardian_page(request, who, Refusal("form_expired"))
    if not fields.get("consent"):
        return await _guardian_page(request, who, Refusal("consent_required"))
    try:
        await people.signup.confirm_guardian(who.holder, asked.ticket, fields.get("code", "")[:16], asked.name, people.notice)
    except Refusal as refusal:
        return await _guardian_page(request, who, refusal)
    response = lead(await next_step(request, who.holder, "/account/verify"))
    drop_cookie(request, response, GUARDIAN)
    return response


def _asked(request: Request) -> _Asked | None:
    """What the first step left in the browser; None where there is nothing, or somebody has written into it."""
    text = request.cookies.get(GUARDIAN.name, "")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text[:4000]), type=_Asked) if text else None
    except (ValueError, RecursionError):
        return None


routes = [
    screen("/account/privacy", notice),
    screen("/account/privacy", acknowledge, "POST"),
    screen("/account/privacy/consent", consent, "POST"),
    screen("/account/privacy/again", again, "POST"),
    screen("/account/privacy/copy", copy, "POST"),
    screen("/account/privacy/erase", erase, "POST"),
    screen("/account/guardian", guardian),
    screen("/account/guardian", ask_guardian, "POST"),
    screen("/account/guardian/code", confirm_guardian, "POST"),
]
