"""``/api/v1``: what the account's pages do, as JSON, for host platforms and for the room's page.

Who asks is told by ``Authorization: Bearer`` with a token of the kind that connections present, or by the session's cookie; with
the cookie, whatever changes something also carries the page's form token in ``X-Barrage-Form-Token``, which no other site can send.
An account of a host platform comes into being with the first request that its token signs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.accounts import appeals, credit, letters, measures, nicknames, sessions
from server.accounts.book import read_entries
from server.accounts.identity import Identity
from server.accounts.permit import LEVELS
from server.accounts.sessions import SESSION_OVER
from server.errors import Refusal
from server.http.account import sheet
from server.http.account_messages import (
    AgreementText,
    Appeals,
    AppealState,
    Clause,
    Counted,
    CreditRules,
    Done,
    FileAppeal,
    Filed,
    Letters,
    LetterState,
    LevelRule,
    MeasureState,
    ReadThrough,
    Rename,
    Renamed,
    Sessions,
    SessionState,
    Sign,
    Signed,
    StandingState,
    Token,
)
from server.http.reader import identity_of
from server.http.requests import SEQ_MAX, read_json, services, whole
from server.http.screens import read, step, write
from server.http.sessions import FORM_HEADER, check_token, require
from server.web.i18n import LANGUAGES

LETTERS_MOST: Final = 100


# -- who asks


class _Who(msgspec.Struct, frozen=True):
    """The account that asks; ``identity`` is that of its token, ``session`` the id of its session: one of the two."""

    account: str
    identity: Identity | None = None
    session: str = ""


async def _who(request: Request, *, changes: bool = False) -> _Who:
    """Who asks. Raises Refusal ``bad_token``, ``token_expired``, ``keys_unavailable``, ``sign_in_required``, ``form_expired``."""
    given = request.headers.get("authorization")
    found = services(request)
    if given is not None:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal("bad_token", "Authorization: Bearer with a token")
        identity = found.tokens.verify(token.strip(), found.now_ms())
        if identity.session and not await found.people.session_goes_on(identity.subject, identity.session):
            raise Refusal("token_expired", SESSION_OVER)
        if changes:
            await found.people.signup.host_seen(identity)
        return _Who(identity.subject, identity)
    who = await require(request)
    if changes:
        check_token(request, who, request.headers.get(FORM_HEADER, ""))
    return _Who(who.holder, session=who.session.id)


# -- handlers


async def session_token(request: Request) -> Response:
    """A token for the player, from the session's cookie."""
    who = await require(request)
    check_token(request, who, request.headers.get(FORM_HEADER, ""))
    found = services(request)
    identity = await identity_of(request, who)
    now_ms = found.now_ms()
    ttl_s = max(1, min(found.settings.session_token_ttl_s, (who.session.expires_ms - now_ms) // 1000))
    token = found.tokens.issue_session(
        who.holder, identity.nickname, ttl_s, session=who.session.id, verified=identity.verified, now_ms=now_ms
    )
    return _answer(Token(token, (now_ms // 1000 + ttl_s) * 1000, now_ms))


async def agreement_text(request: Request) -> Response:
    """The agreement in force, word for word, in the language asked for."""
    document = services(request).people.agreements.current()
    language = request.query_params.get("language", LANGUAGES[0])
    if language not in document.texts:
        raise Refusal("bad_message", f"language: one of {', '.join(document.texts)}")
    text = document.text(language)
    clauses = [Clause(each.id, each.number, each.title, each.text) for each in text.clauses.values()]
    return _answer(
        AgreementText(
            version=text.version, language=text.language, languages=list(document.texts), sha256=text.sha256, title=text.title,
            source=text.source, clauses=clauses,
        )
    )  # fmt: skip


async def sign(request: Request) -> Response:
    """Sign the agreement in force."""
    who = await _who(request, changes=True)
    body = await read_json(request, Sign)
    agreements = services(request).people.agreements
    new = await write(request, lambda tx: agreements.sign(tx, who.account, body.version, body.sha256, body.language))
    return _answer(Signed(body.version, new))


async def standing(request: Request) -> Response:
    """How the account stands, and why."""
    who = await _who(request)
    people = services(request).people
    now_ms = people.clock_ms()
    found = await people.standing(who.account)
    entries, taken, nickname = await read(
        request,
        lambda connection: (
            read_entries(connection, who.account),
            measures.listed(connection, who.account),
            nicknames.current(connection, who.account),
        ),
    )
    own = sheet(found, entries, now_ms)
    return _answer(
        StandingState(
            nickname=nickname or (who.identity.nickname if who.identity else ""),
            kind=found.kind, verified=found.verified, strength=found.strength, agreement=found.agreement,
            agreement_required=people.required,
            missing=step(found, people.required).rpartition("/")[2],
            lesson_wanted=found.lesson_wanted, level=own.level, points=own.points,
            counted=[Counted(mark.what, mark.at_ms, mark.points, mark.left) for mark in own.marks],
            measures=[_measure(record, now_ms) for record in taken],
        )
    )  # fmt: skip


def _measure(record: measures.Record, now_ms: int) -> MeasureState:
    return MeasureState(
        id=record.id, rung=record.rung, state=record.state(now_ms), code=record.code, basis=record.basis, clause=record.clause,
        functions=list(record.functions), room=record.room, seq=record.seq, at_ms=record.at_ms, until_ms=record.until_ms,
        role=record.role, automated=record.automated,
    )  # fmt: skip


async def letters_list(request: Request) -> Response:
    """Letters to the account."""
    who = await _who(request)
    before, limit = whole(request, "before", 0, 0, SEQ_MAX), whole(request, "limit", 30, 1, LETTERS_MOST)
    found = await read(request, lambda connection: letters.listed(connection, who.account, limit=limit, before=before))
    return _answer(Letters([LetterState(each.id, each.at_ms, each.kind, each.data, each.read_ms) for each in found]))


async def letters_read(request: Request) -> Response:
    """Letters were seen."""
    who = await _who(request, changes=True)
    through = (await read_json(request, ReadThrough)).through
    return _answer(Done(await write(request, lambda tx: letters.mark_read(tx, who.account, through))))


async def appeals_list(request: Request) -> Response:
    """One's own appeals."""
    who = await _who(request)
    found = await read(request, lambda connection: appeals.of_account(connection, who.account))
    return _answer(
        Appeals(
            [
                AppealState(
                    each.id, each.measure.id, each.at_ms, each.due_ms, each.decided_ms, each.upheld, each.code, each.basis
                )
                for each in found
            ]
        )
    )


async def appeal(request: Request) -> Response:
    """Appeal against a measure."""
    who = await _who(request, changes=True)
    body = await read_json(request, FileAppeal)
    return _answer(Filed(await write(request, lambda tx: appeals.file(tx, who.account, body.measure, body.words))))


async def rename(request: Request) -> Response:
    """Change the nickname of an account of this site. That of a host platform's account comes with its tokens."""
    who = await _who(request, changes=True)
    body = await read_json(request, Rename)
    if who.identity is not None:
        raise Refusal("forbidden", "the platform's tokens name its accounts")
    return _answer(Renamed(await services(request).people.signup.change_nickname(who.account, body.nickname)))


async def sessions_list(request: Request) -> Response:
    """The browsers that are signed in."""
    who = await _who(request)
    now_ms = services(request).people.clock_ms()
    found = await read(request, lambda connection: sessions.listed(connection, who.account, now_ms))
    return _answer(
        Sessions(
            [SessionState(each.id, each.created_ms, each.seen_ms, each.expires_ms, each.id == who.session) for each in found]
        )
    )


async def session_end(request: Request) -> Response:
    """Sign a browser out."""
    who = await _who(request, changes=True)
    session = request.path_params["session"]
    ended = await write(request, lambda tx: sessions.end(tx, who.account, session))
    if not ended:
        raise Refusal("not_found")
    return _answer(Done(1))


async def credit_rules(request: Request) -> Response:
    """The published rules of credit."""
    levels = [
        LevelRule(
            level=number, points=points, modes=list(rule.modes), sizes=list(rule.sizes), colors=rule.colors, links=rule.links,
            text_max=rule.text_max, rate=rule.rate, reviewed=rule.reviewed,
        )
        for number, (rule, points) in enumerate(zip(LEVELS, credit.LEVELS, strict=True))
    ]  # fmt: skip
    return _answer(
        CreditRules(
            start=credit.START, days_per_point=credit.DAYS_PER_POINT, most_for_time=credit.MOST_FOR_TIME,
            fade_days=credit.FADE_DAYS, weights=credit.WEIGHTS, levels=levels,
        )
    )  # fmt: skip


def _answer(data: msgspec.Struct) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(data), media_type="application/json", headers=headers)


def _route(path: str, handler: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
    return Route(f"/api/v1{path}", handler, methods=[method])


routes = [
    _route("/session/token", session_token, "POST"),
    _route("/agreement/text", agreement_text),
    _route("/credit", credit_rules),
    _route("/account/standing", standing),
    _route("/account/agreement", sign, "POST"),
    _route("/account/letters", letters_list),
    _route("/account/letters/read", letters_read, "POST"),
    _route("/account/appeals", appeals_list),
    _route("/account/appeals", appeal, "POST"),
    _route("/account/nickname", rename, "POST"),
    _route("/account/sessions", sessions_list),
    _route("/account/sessions/{session}", session_end, "DELETE"),
]
