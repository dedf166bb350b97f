"""The outbox on staff's pages: findings are filed, followed, printed, and acknowledged by hand."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import vault_access
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import lead, read, write
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, authorise, may, page
from server.http.staff_forms import names, number, stored
from server.moderation import outbox
from server.moderation.authorities import Authority
from server.moderation.book import Transaction
from server.moderation.outbox import Evidence
from server.reasons import REASONS, REMOVAL_CODES
from server.web import authority_words, desk_words


async def findings(request: Request) -> Response:
    """``GET /staff/outbox``: what waits for an acknowledgement, and what was."""
    return await _list_page(request)


async def _list_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    moderation, now_ms = services(request).moderation, services(request).people.clock_ms()
    waiting = await moderation.look(lambda connection: outbox.listed(connection, ended=False))
    ended = await moderation.look(lambda connection: outbox.listed(connection, ended=True))
    granted = []
    if may(request, "vault.read"):
        me = acting(request).member.holder
        granted = await read(request, lambda connection: vault_access.readable(connection, me, now_ms))
    return await page(
        request, "staff_outbox.html", refusal, said=authority_words,
        waiting=waiting, ended=ended, authorities=moderation.outbox.authorities,
        codes=[reason for reason in REASONS.values() if reason.code in REMOVAL_CODES and reason.code[0] != "U"],
        granted=granted, typed=defaultdict(str, typed or {}),
    )  # fmt: skip


async def file_finding(request: Request) -> Response:
    """``POST /staff/outbox``: file a finding, with personal data if a second person has granted them."""
    given = await read_form(request, acting(request).who)
    moderation, by = services(request).moderation, acting(request).by
    name = outbox.new_name()
    try:
        authority = moderation.outbox.authorities.get(given.get("authority", ""))
        if authority is None:
            raise Refusal("bad_message", "authority: one of the settings'")
        evidence = Evidence(
            decisions=tuple(number(each, "decisions") for each in names(given.get("decisions", ""))),
            comments=names(given.get("comments", "")), accounts=names(given.get("accounts", "")),
        )  # fmt: skip
        await moderation.outbox.check(evidence)
        # Without the personal data it waits, as if to be printed: they are taken out of the vault only for one that is in order.
        grant = given.get("grant", "")
        vault_by = authorise(request, "vault.read") if grant else {}
        way = "print" if grant else authority.way
        await moderation.write(
            lambda tx: outbox.file(
                tx, given["authority"], given.get("title", ""), given.get("summary", ""), given.get("code", ""),
                given.get("basis", ""), evidence, acknowledge_ms=authority.acknowledge_ms, way=way, name=name, **by,
            )
        )  # fmt: skip
        if grant:
            await _attach(request, name, grant, authority, by, vault_by)
    except Refusal as refusal:
        return await _list_page(request, refusal, given)
    moderation.outbox.wake()
    return lead(f"/staff/outbox/{name}")


async def _attach(
    request: Request, name: str, grant: str, authority: Authority, by: dict[str, Any], vault_by: dict[str, Any]
) -> None:
    """Read what was granted, once, and seal it into the finding. Without it the finding is withdrawn."""
    people, moderation = services(request).people, services(request).moderation
    try:
        seen = await write(request, lambda tx: vault_access.read_granted(tx, people.vault, grant, **vault_by))
    except Refusal:
        await moderation.write(lambda tx: outbox.withdraw(tx, name, "the personal data were not granted", **by))
        raise
    personal = {"request": grant, "fields": seen}
    # Sealed in the transaction: whoever changes the vault's keys seals anew what stands in the book, and then drops the old keys.
    await moderation.write(lambda tx: outbox.attach(tx, name, moderation.outbox.seal(name, personal), authority.way))


async def one_finding(request: Request) -> Response:
    """``GET /staff/outbox/{finding}``: how it stands, each attempt."""
    return await _one_page(request)


async def _one_page(request: Request, refusal: Refusal | None = None) -> Response:
    name, moderation = request.path_params["finding"], services(request).moderation

    def work(connection: Any) -> dict[str, Any]:
        return {"found": outbox.need(connection, name), "deliveries": outbox.deliveries_of(connection, name)}

    return await page(
        request, "staff_finding.html", refusal, said=authority_words,
        authorities=moderation.outbox.authorities, page_of=outbox.page_of_comment,
        **await moderation.look(work),
    )  # fmt: skip


def _step(work: Callable[[Transaction, str, dict[str, str], dict[str, Any]], object], name: str) -> Any:
    async def handle(request: Request) -> Response:
        given = await read_form(request, acting(request).who)
        target, by, moderation = request.path_params["finding"], acting(request).by, services(request).moderation
        try:
            await moderation.write(lambda tx: work(tx, target, given, by))
        except Refusal as refusal:
            return await _one_page(request, refusal)
        moderation.outbox.wake()
        return lead(f"/staff/outbox/{target}")

    handle.__name__ = f"finding_{name}"
    return handle


def _acknowledge(tx: Transaction, target: str, given: dict[str, str], by: dict[str, Any]) -> None:
    outbox.acknowledge(tx, target, given.get("reference", ""), **by)


def _withdraw(tx: Transaction, target: str, given: dict[str, str], by: dict[str, Any]) -> None:
    outbox.withdraw(tx, target, given.get("basis", ""), **by)


def _send(tx: Transaction, target: str, given: dict[str, str], by: dict[str, Any]) -> None:
    outbox.send_again(tx, target, **by)


async def finding_on_paper(request: Request) -> Response:
    """``GET /staff/outbox/{finding}/print``: the finding as it is on paper. Who looked is a line of the views; nothing else
    changes."""
    return await _paper(request)


async def _paper(request: Request, refusal: Refusal | None = None) -> Response:
    name, by, moderation = request.path_params["finding"], acting(request).by, services(request).moderation
    with stored("outbox"):
        found, document = await moderation.outbox.document(name)
    digest = hashlib.sha256(document).hexdigest()
    await moderation.write(lambda tx: tx.log_view(**by, action="finding.view", subject=name))
    authority = moderation.outbox.authorities.get(found.authority)
    return await page(
        request, "staff_finding_print.html", refusal, said=authority_words,
        found=found, paper=msgspec.json.decode(document), digest=digest,
        title=authority.title if authority else found.authority, whats=desk_words.WHAT,
    )  # fmt: skip


async def record_print(request: Request) -> Response:
    """``POST /staff/outbox/{finding}/print``: it was printed, by whom and what: a delivery by hand. What is recorded is the paper
    that the page showed, or nothing."""
    given = await read_form(request, acting(request).who)
    name, by, moderation = request.path_params["finding"], acting(request).by, services(request).moderation
    with stored("outbox"):
        _, document = await moderation.outbox.document(name)
    digest = hashlib.sha256(document).hexdigest()
    if given.get("digest", "") != digest:
        return await _paper(request, Refusal("bad_step", "it is another one by now: print it again"))
    await moderation.write(lambda tx: outbox.printed(tx, name, digest, **by))
    return lead(f"/staff/outbox/{name}")


_ONE: Final = "/staff/outbox/{finding}"
RULES: Final = (
    Rule("/staff/outbox", "GET", "outbox.view", findings),
    Rule("/staff/outbox", "POST", "outbox.send", file_finding),
    Rule(_ONE, "GET", "outbox.view", one_finding),
    Rule(f"{_ONE}/print", "GET", "outbox.send", finding_on_paper),
    Rule(f"{_ONE}/print", "POST", "outbox.send", record_print),
    Rule(f"{_ONE}/acknowledge", "POST", "outbox.send", _step(_acknowledge, "acknowledge")),
    Rule(f"{_ONE}/withdraw", "POST", "outbox.send", _step(_withdraw, "withdraw")),
    Rule(f"{_ONE}/send", "POST", "outbox.send", _step(_send, "send")),
)
