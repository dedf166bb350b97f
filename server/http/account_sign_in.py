"""Signing up and in, without script: nickname and phone number, the code, and the providers; and signing out.

What a step must remember for the next one stands in a cookie of the flow (:data:`FLOW`): the domain's own sealed texts, and where
the person came from. So each step is a page that can be reloaded, and read in the other language.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import oidc, privacy, sessions
from server.accounts.signup import NicknameWanted, SignedIn
from server.core.address import limit_key
from server.errors import Refusal
from server.http.requests import address, limits, services
from server.http.screens import lead, next_step, require_page, screen, show, views, wanted, with_return, write
from server.http.sessions import (
    VIEWERS,
    Jar,
    Visitor,
    drop_cookie,
    local_path,
    read_form,
    set_cookie,
    visitor,
)

FLOW: Final = Jar("barrage_flow", "/account")
LOGIN: Final = Jar("barrage_login", "/account/oidc")
_FLOW_AGE_S: Final = 900
_FLOW_MAX_CHARS: Final = 3500


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is on the way in. ``ticket`` and ``proof`` are sealed by the domain; ``adds``: the phone is for an account that
    is signed in already."""

    return_to: str = "/account"
    ticket: str = ""
    hint: str = ""
    proof: str = ""
    adds: bool = False


def _flow(request: Request) -> Flow:
    """The flow of the request; an empty one where there is none, or somebody has written into it."""
    text = request.cookies.get(FLOW.name, "")
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(text[:_FLOW_MAX_CHARS]), type=Flow)
    except (ValueError, RecursionError):
        return Flow()
    return msgspec.structs.replace(found, return_to=local_path(found.return_to))


def _keep(request: Request, response: Response, flow: Flow) -> Response:
    set_cookie(request, response, FLOW, base64.urlsafe_b64encode(msgspec.json.encode(flow)).decode(), _FLOW_AGE_S)
    return response


async def _enter(request: Request, account: str, return_to: str) -> Response:
    """The person has proved who they are: a new session, whatever the browser came with, and the next step."""
    people = services(request).people
    old = request.cookies.get(VIEWERS.name, "")
    policy = people.session_policy
    cookie = await write(request, lambda tx: sessions.begin(tx, account, policy, previous=old))
    response = lead(await next_step(request, account, return_to))
    set_cookie(request, response, VIEWERS, cookie, policy.absolute_ms // 1000)
    drop_cookie(request, response, FLOW)
    return response


async def _go_on(request: Request, found: SignedIn | NicknameWanted, flow: Flow) -> Response:
    """In, or first to the choice of a nickname."""
    if isinstance(found, SignedIn):
        return await _enter(request, found.account, flow.return_to)
    flow = msgspec.structs.replace(flow, ticket="", proof=found.proof)
    return _keep(request, lead("/account/welcome"), flow)


async def sign_in(request: Request) -> Response:
    """``GET /account/sign-in``: a phone number, or a provider."""
    who = await visitor(request)
    return_to = wanted(request)
    if who is not None:
        return lead(await next_step(request, who.holder, return_to))
    return await _sign_in_page(request, return_to)


async def _sign_in_page(request: Request, return_to: str, refusal: Refusal | None = None, phone: str = "") -> Response:
    found = services(request)
    return await show(
        request,
        "account_sign_in.html",
        refusal,
        return_to=return_to,
        phone=phone,
        by_phone="phone" in found.people.signup.methods,
        providers=found.people.oidc.names,
        demo=found.settings.demo,
    )


async def send_code(request: Request) -> Response:
    """``POST /account/sign-in``: have a code sent to a phone; on to where it is typed in."""
    fields = await read_form(request, await visitor(request))
    return_to = local_path(fields.get("return", ""))
    limits(request).sign_in(address(request), services(request).steady_ms())
    phone = fields.get("phone", "")[:32]
    try:
        started = await services(request).people.signup.start_phone(phone, address=limit_key(address(request)))
    except Refusal as refusal:
        return await _sign_in_page(request, return_to, refusal, phone)
    flow = Flow(return_to=return_to, ticket=started.ticket, hint=started.hint.lstrip("…"))
    return _keep(request, lead("/account/code"), flow)


async def code(request: Request) -> Response:
    """``GET /account/code``: where the code is typed in."""
    flow = _flow(request)
    return await _code_page(request, flow) if flow.ticket else lead("/account/sign-in")


async def _code_page(request: Request, flow: Flow, refusal: Refusal | None = None) -> Response:
    return await show(
        request,
        "account_code.html",
        refusal,
        hint=flow.hint,
        back=with_return("/account/verify" if flow.adds else "/account/sign-in", flow.return_to),
        demo=services(request).settings.demo,
    )


async def check_code(request: Request) -> Response:
    """``POST /account/code``: the code is right, so the phone is theirs."""
    who = await visitor(request)
    fields = await read_form(request, who)
    flow = _flow(request)
    if not flow.ticket:
        raise Refusal("form_expired")
    signup = services(request).people.signup
    typed = "".join(fields.get("code", "").split())
    try:
        if flow.adds:
            return await _add_phone(request, who, flow, typed)
        found = await signup.confirm_phone(flow.ticket, typed)
    except Refusal as refusal:
        return await _code_page(request, flow, refusal)
    return await _go_on(request, found, flow)


async def _add_phone(request: Request, who: Visitor | None, flow: Flow, typed: str) -> Response:
    if who is None:
        raise Refusal("sign_in_required")
    await services(request).people.signup.add_phone(who.holder, flow.ticket, typed)
    return await _renewed(request, who, flow.return_to)


async def _renewed(request: Request, who: Visitor, return_to: str) -> Response:
    """The account may more than before: its session gets a new value, and the person goes on."""
    policy = services(request).people.session_policy
    cookie = await write(request, lambda tx: sessions.renew(tx, who.cookie, policy))
    response = lead(await next_step(request, who.holder, return_to))
    if cookie is not None:
        set_cookie(request, response, VIEWERS, cookie, policy.absolute_ms // 1000)
    drop_cookie(request, response, FLOW)
    return response


async def welcome(request: Request) -> Response:
    """``GET /account/welcome``: a new account's nickname, and the privacy notice."""
    return await _welcome_page(request) if _flow(request).proof else lead("/account/sign-in")


async def _welcome_page(
    request: Request, nickname: str = "", refusal: Refusal | None = None, noticed: bool = False
) -> Response:
    return await show(
        request,
        "account_welcome.html",
        refusal,
        nickname=nickname,
        noticed=noticed,
        notice=services(request).people.notice.texts[views(request).language(request)],
    )


async def register(request: Request) -> Response:
    """``POST /account/welcome``: the account is made under this nickname, once the notice was read."""
    fields = await read_form(request, await visitor(request))
    flow = _flow(request)
    if not flow.proof:
        raise Refusal("form_expired")
    nickname, noticed = fields.get("nickname", "").strip(), bool(fields.get("noticed"))
    if not noticed:
        return await _welcome_page(request, nickname[:64], Refusal("consent_required"))
    people = services(request).people
    sha256, language = fields.get("notice", ""), fields.get("language", "")
    shown = people.notice.texts.get(language)
    if (
        shown is None or shown.sha256 != sha256
    ):  # another version by now: no account comes into being without the notice in force
        return await _welcome_page(request, nickname[:64], Refusal("consent_required"))
    try:
        found = await people.signup.register(flow.proof, nickname)
    except Refusal as refusal:
        if refusal.code.name not in {"nickname_taken", "nickname_refused"}:
            raise
        return await _welcome_page(request, nickname[:64], refusal, noticed)
    await write(request, lambda tx: privacy.acknowledge(tx, found.account, people.notice, sha256, language))
    return await _enter(request, found.account, flow.return_to)


# -- providers ---------------------------------------------------------------------------------------------------------


def _callback(request: Request, provider: str) -> str:
    """The absolute address to which a provider leads back: one for each provider."""
    base = services(request).settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
    return f"{base}/account/oidc/{provider}/callback"


async def leave(request: Request) -> Response:
    """``POST /account/oidc/{provider}``: off to the provider."""
    fields = await read_form(request, await visitor(request))
    found = services(request)
    limits(request).sign_in(address(request), found.steady_ms())
    provider = request.path_params["provider"]
    begun = await found.people.oidc.begin(provider, _callback(request, provider), local_path(fields.get("return", "")))
    response = views(request).page(request, "account_leave.html", url=begun.url, provider=found.people.oidc.names[provider])
    # A page and no redirect: browsers apply form-action, which names this site alone, to redirects of a form as well.
    response.headers["Refresh"] = f"0; url={begun.url}"
    set_cookie(request, response, LOGIN, begun.cookie, oidc.LOGIN_MS // 1000)
    return response


async def come_back(request: Request) -> Response:
    """``GET /account/oidc/{provider}/callback``: back from the provider. Only the state and its cookie count here."""
    found = services(request)
    limits(request).sign_in(address(request), found.steady_ms())
    provider = request.path_params["provider"]
    cookie = request.cookies.get(LOGIN.name, "")
    login = await found.people.oidc.finish(provider, dict(request.query_params), cookie, _callback(request, provider))
    entered = await found.people.signup.enter_oidc(login.issuer, login.subject, strength=login.strength)
    response = await _go_on(request, entered, Flow(return_to=local_path(login.return_to)))
    drop_cookie(request, response, LOGIN)
    return response


# -- verifying, once signed in -----------------------------------------------------------------------------------------


async def verify(request: Request) -> Response:
    """``GET /account/verify``: the ways to prove who one is."""
    who = await require_page(request)
    return await _verify_page(request, who, wanted(request)) if isinstance(who, Visitor) else who


async def _verify_page(
    request: Request, who: Visitor, return_to: str, refusal: Refusal | None = None, method: str = ""
) -> Response:
    people = services(request).people
    return await show(
        request,
        "account_verify.html",
        refusal,
        tried=method,
        methods=people.signup.methods,
        standing=await people.standing(who.holder),
        return_to=return_to,
        demo=services(request).settings.demo,
    )


async def prove(request: Request) -> Response:
    """``POST /account/verify``: check an identity number or a network identity, or send a code to a phone."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    fields = await read_form(request, who)
    people = services(request).people
    signup = people.signup
    method, return_to = fields.get("method", ""), local_path(fields.get("return", ""))
    if method not in signup.methods:
        raise Refusal("bad_message", "method")
    try:
        if method == "phone":
            started = await signup.start_phone(fields.get("phone", ""), address=limit_key(address(request)))
            flow = Flow(return_to=return_to, ticket=started.ticket, hint=started.hint.lstrip("…"), adds=True)
            return _keep(request, lead("/account/code"), flow)
        names = ("name", "number") if method == "id_number" else ("token",)
        if method == "id_number" and fields.get("consent"):
            await write(request, lambda tx: privacy.consent(tx, who.holder, "identity_document", people.notice))
        await signup.verify(who.holder, method, {name: fields.get(name, "") for name in names})
    except Refusal as refusal:
        return await _verify_page(request, who, return_to, refusal, method)
    return await _renewed(request, who, return_to)


# -- signing out -------------------------------------------------------------------------------------------------------


async def sign_out(request: Request) -> Response:
    """``POST /account/sign-out``: here, or (``all``) in all browsers."""
    who = await visitor(request)
    fields = await read_form(request, who)
    if who is not None:
        holder, own = who.holder, who.session.id
        everywhere = bool(fields.get("all"))
        await write(request, lambda tx: sessions.end_all(tx, holder) if everywhere else sessions.end(tx, holder, own))
    response = lead(local_path(fields.get("return", ""), "/"))
    drop_cookie(request, response, VIEWERS)
    return response


async def end_session(request: Request) -> Response:
    """``POST /account/sessions``: end another of one's own sessions."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    fields = await read_form(request, who)
    holder, session = who.holder, fields.get("session", "")
    await write(request, lambda tx: sessions.end(tx, holder, session))
    return lead("/account#sessions")


routes = [
    screen("/account/sign-in", sign_in),
    screen("/account/sign-in", send_code, "POST"),
    screen("/account/code", code),
    screen("/account/code", check_code, "POST"),
    screen("/account/welcome", welcome),
    screen("/account/welcome", register, "POST"),
    screen("/account/oidc/{provider}", leave, "POST"),
    screen("/account/oidc/{provider}/callback", come_back),
    screen("/account/verify", verify),
    screen("/account/verify", prove, "POST"),
    screen("/account/sign-out", sign_out, "POST"),
    screen("/account/sessions", end_session, "POST"),
]
