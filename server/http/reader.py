"""Who reads a room's page, and what they post from it without script."""

from __future__ import annotations

from typing import Final, NamedTuple, get_args

from starlette.requests import Request

from server.accounts import nicknames
from server.accounts.identity import Identity
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import read, step, with_return
from server.http.sessions import FormToken, Visitor, form_token, visitor
from server.web.ways import WAYS, Way
from server.wire import Mode, Say

_STEPS: Final = {way.path: way for way in WAYS.values()}


class Reader(NamedTuple):
    """The reader of a page: ``missing`` is the step before the first comment (None: nothing is missing), with its address."""

    signed_in: bool
    nickname: str
    missing: Way | None
    address: str
    token: FormToken


async def reader_of(request: Request) -> Reader:
    """The reader of the request's page. Reading goes on while accounts cannot be read: the reader then counts as nobody."""
    here = request.url.path.removesuffix("/comment")
    try:
        who = await visitor(request)
        if who is not None:
            return await _signed_in(request, who, here)
    except Refusal:
        who = None
    return Reader(False, "", WAYS["sign_in_required"], with_return("/account/sign-in", here), form_token(request, None))


async def _signed_in(request: Request, who: Visitor, here: str) -> Reader:
    people = services(request).people
    missing = step(await people.standing(who.holder), people.required)
    nickname = await read(request, lambda connection: nicknames.current(connection, who.holder))
    address = with_return(missing, here) if missing else ""
    return Reader(True, nickname, _STEPS.get(missing), address, form_token(request, who))


async def identity_of(request: Request, who: Visitor) -> Identity:
    """Whom the one path of comments takes the visitor for. What the account may do follows from its standing there.

    Raises Refusal ``storage_unavailable``.
    """
    people = services(request).people
    standing = await people.standing(who.holder)
    nickname = await read(request, lambda connection: nicknames.current(connection, who.holder))
    return Identity(
        subject=who.holder,
        nickname=nickname,
        verified=bool(standing.verified),
        role="",
        expires_ms=who.session.expires_ms,
    )


def comment_of(room: str, fields: dict[str, str]) -> Say:
    """The comment that a form holds. Raises Refusal ``bad_message``."""
    mode = fields.get("mode", "scroll")
    size = fields.get("size", "25")
    pos_ms = fields.get("pos_ms", "")
    if mode not in get_args(Mode) or not _is_number(size) or not (_is_number(pos_ms) or not pos_ms):
        raise Refusal("bad_message", "mode, size, pos_ms")
    return Say(
        room=room,
        key=fields.get("key", ""),
        text=fields.get("text", "").strip(),
        pos_ms=int(pos_ms) if pos_ms else None,
        mode=mode,  # type: ignore[arg-type] # looked at above
        color=fields.get("color", "#ffffff"),
        size=int(size),
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9
