"""Reading and signing the service agreement, and the short lesson (duty P6), without script."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, next_step, require_page, screen, show, views, wanted, with_return, write
from server.http.sessions import Visitor, local_path, read_form, visitor


async def agreement(request: Request) -> Response:
    """``GET /account/agreement``: the text, for anyone; whoever is signed in and has not signed it finds the form below."""
    return await _agreement_page(request, wanted(request))


async def _agreement_page(request: Request, return_to: str, refusal: Refusal | None = None) -> Response:
    people = services(request).people
    document = people.agreements.current()
    who = await visitor(request)
    signed = "" if who is None else (await people.standing(who.holder)).agreement
    return await show(
        request,
        "account_agreement.html",
        refusal,
        text=document.text(views(request).language(request)),
        signed=signed == document.version,
        signed_before=signed not in {"", document.version},
        return_to=return_to,
        sign_in=with_return("/account/sign-in", return_to),
    )


async def sign(request: Request) -> Response:
    """``POST /account/agreement``: sign the text that was shown, and go on."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    fields = await read_form(request, who)
    return_to = local_path(fields.get("return", ""))
    if not fields.get("agree"):
        return await _agreement_page(request, return_to, Refusal("agreement_required"))
    version, sha256, language = (fields.get(name, "") for name in ("version", "sha256", "language"))
    agreements = services(request).people.agreements
    try:
        await write(request, lambda tx: agreements.sign(tx, who.holder, version, sha256, language))
    except Refusal as refusal:
        if refusal.code.name != "agreement_required":
            raise
        return await _agreement_page(request, return_to, refusal)  # another version is in force by now
    return lead(await next_step(request, who.holder, return_to))


async def lesson(request: Request) -> Response:
    """``GET /account/lesson``: the cards, and the questions."""
    who = await require_page(request)
    return await _lesson_page(request, who, wanted(request), None, ()) if isinstance(who, Visitor) else who


async def _lesson_page(
    request: Request, who: Visitor, return_to: str, right: list[bool] | None, answers: tuple[int, ...]
) -> Response:
    people = services(request).people
    return await show(
        request,
        "account_lesson.html",
        lesson=people.agreements.lesson(views(request).language(request)),
        after_measure=(await people.standing(who.holder)).lesson_due,
        right=right,
        answers=answers,
        return_to=return_to,
    )


async def answer(request: Request) -> Response:
    """``POST /account/lesson``: the answers. What is not right yet is explained, and may be answered again."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        raise Refusal("sign_in_required")
    fields = await read_form(request, who)
    return_to = local_path(fields.get("return", ""))
    agreements = services(request).people.agreements
    count = len(agreements.lesson("en").questions)
    answers = tuple(_choice(fields.get(f"q{number}", "")) for number in range(count))
    right = await write(request, lambda tx: agreements.answer(tx, who.holder, fields.get("version", ""), answers))
    if all(right):
        return lead(return_to)
    return await _lesson_page(request, who, return_to, right, answers)


def _choice(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 3 else -1


routes = [
    screen("/account/agreement", agreement),
    screen("/account/agreement", sign, "POST"),
    screen("/account/lesson", lesson),
    screen("/account/lesson", answer, "POST"),
]
