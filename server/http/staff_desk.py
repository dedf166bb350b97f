"""What staff work on: accounts and measures, appeals, public accounts, licences, the vault, members, records.

Handlers run after the rule of their route has let the member in (:mod:`server.http.staff_door`). Whoever looks at a person's
account, appeals or vault leaves a line in the access log, in the transaction that reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import appeals, fields, lookup, measures, public, staff, vault_access
from server.accounts.book import Transaction, read_entries
from server.accounts.events import Function, Rung
from server.errors import Refusal
from server.http.account_statements import behind, text_of
from server.http.requests import SEQ_MAX, services, whole
from server.http.screens import lead, read, write
from server.http.sessions import read_form
from server.http.staff_door import Rule, acting, authorise, may, page
from server.moderation.statement import rules_of
from server.reasons import REASONS, REMOVAL_CODES
from server.web import log_words, record_words

DAY_MS: Final = 86_400_000
LEDGER_SHOWN: Final = 100
_TERMS: Final = {
    "": 0,
    "1h": 3_600_000,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "7d": 7 * DAY_MS,
    "30d": 30 * DAY_MS,
    "180d": 180 * DAY_MS,
}


# -- accounts and measures ---------------------------------------------------------------------------------------------


async def accounts(request: Request) -> Response:
    """``GET /staff/accounts?q=``: find accounts by nickname or id, or by a comment (``room`` and ``seq``)."""
    text = request.query_params.get("q", "").strip()[:64]
    room, seq = request.query_params.get("room", "").strip(), whole(request, "seq", 0, 0, SEQ_MAX)
    if room and seq:
        account = await services(request).author(room, seq)
        if not account:
            raise Refusal("comment_not_found")
        if may(request, "measures.take"):  # an account of the host platform may be known by its comments alone so far
            await write(request, lambda tx: tx.open(account, origin="host", actor="host", role="host"))
        return lead(f"/staff/accounts/{account}")

    def work(tx: Transaction) -> list[lookup.Found]:
        if text:
            tx.log_access(**acting(request).by, action="accounts.find")
        return lookup.search(tx.sql, text)

    return await page(request, "staff_accounts.html", found=await write(request, work), text=text)


async def account(request: Request) -> Response:
    """``GET /staff/accounts/{account}``."""
    return await _account_page(request)


async def _account_page(request: Request, refusal: Refusal | None = None, typed: dict[str, str] | None = None) -> Response:
    name = request.path_params["account"]

    def work(tx: Transaction) -> dict[str, Any]:
        standing = tx.standing(name)
        if not standing.last:
            raise Refusal("account_not_found")
        tx.log_access(**acting(request).by, action="accounts.view", subject=name)
        return {
            "account": name, "found": lookup.find(tx.sql, name), "standing": standing, "level": standing.level(tx.now_ms),
            "label": public.label_of(standing, tx.now_ms), "measures": measures.listed(tx.sql, name),
            "appeals": {each.measure.id: each for each in appeals.of_account(tx.sql, name)},
            "ledger": [
                (entry, type(entry.event).__struct_config__.tag) for entry in reversed(read_entries(tx.sql, name)[-LEDGER_SHOWN:])
            ],
        }  # fmt: skip

    allowed = [rung for rung in get_args(Rung) if may(request, staff.RUNG_ACTIONS[rung]) and rung not in {"refuse", "delete"}]
    codes = [REASONS[code] for code in REASONS if code in REMOVAL_CODES and code[0] != "U"]
    return await page(
        request, "staff_account.html", refusal, rungs=allowed, codes=codes, terms=_TERMS, functions=get_args(Function),
        typed=defaultdict(str, typed or {}), **await write(request, work),
    )  # fmt: skip


async def measure(request: Request) -> Response:
    """``POST /staff/accounts/{account}/measures``: take a measure; which rung it is decides who may."""
    given = await read_form(request, acting(request).who)
    name = request.path_params["account"]
    rung: Any = given.get("rung", "")
    if rung not in staff.RUNG_ACTIONS or given.get("term", "") not in _TERMS:
        raise Refusal("bad_message", "rung, term")
    by = authorise(request, staff.RUNG_ACTIONS[rung])
    functions: Any = tuple(each for each in get_args(Function) if given.get(f"function.{each}")) if rung == "restrict" else ()
    try:
        await write(
            request,
            lambda tx: measures.take(
                tx, name, rung, given.get("code", ""), given.get("basis", "").strip(), functions=functions,
                duration_ms=_TERMS[given.get("term", "")], **by,
            ),
        )  # fmt: skip
    except Refusal as refusal:
        return await _account_page(request, refusal, given)
    return lead(f"/staff/accounts/{name}#measures")


async def lift(request: Request) -> Response:
    """``POST /staff/accounts/{account}/lift``: take a measure back."""
    given = await read_form(request, acting(request).who)
    name = request.path_params["account"]
    try:
        await write(
            request,
            lambda tx: measures.lift(tx, given.get("measure", ""), "R1", given.get("basis", "").strip(), **acting(request).by),
        )
    except Refusal as refusal:
        return await _account_page(request, refusal)
    return lead(f"/staff/accounts/{name}#measures")


async def erase(request: Request) -> Response:
    """``POST /staff/accounts/{account}/erase``: on the person's request; ``comments``: theirs are removed as well."""
    given = await read_form(request, acting(request).who)
    name = request.path_params["account"]
    try:
        if given.get("sure") != "1":
            raise Refusal("bad_message", "confirm that the person has asked for it")
        comments = bool(given.get("comments"))
        await services(request).custody.erase(name, remove_comments=comments, **acting(request).by)
    except Refusal as refusal:
        return await _account_page(request, refusal)
    return lead(f"/staff/accounts/{name}")


async def open_appeals(request: Request) -> Response:
    """``GET /staff/appeals``: appeals that wait, the oldest first."""
    return await _appeals_page(request)


async def _appeals_page(request: Request, refusal: Refusal | None = None) -> Response:
    def work(tx: Transaction) -> list[appeals.Appeal]:
        tx.log_access(**acting(request).by, action="appeals.view")
        return appeals.open_list(tx.sql)

    waiting = await write(request, work)
    sources = await services(request).moderation.look(lambda sql: [behind(sql, each.measure)[1] for each in waiting])
    said = [await text_of(request, each.measure, source) for each, source in zip(waiting, sources, strict=True)]
    return await page(
        request, "staff_appeals.html", refusal, appeals=list(zip(waiting, said, sources, strict=True)), rules_of=rules_of
    )  # fmt: skip


async def decide(request: Request) -> Response:
    """``POST /staff/appeals``: uphold an appeal, or refuse it for the measure's own reason."""
    given = await read_form(request, acting(request).who)
    upheld = given.get("outcome") == "uphold"
    code = "R2" if upheld else given.get("code", "")
    try:
        await write(
            request,
            lambda tx: appeals.decide(
                tx, given.get("appeal", ""), upheld, code, given.get("basis", "").strip(), **acting(request).by
            ),
        )
    except Refusal as refusal:
        return await _appeals_page(request, refusal)
    return lead("/staff/appeals")


# -- the vault ---------------------------------------------------------------------------------------------------------


async def vault(request: Request) -> Response:
    """``GET /staff/vault``: requests that wait for a second person, and one's own that were granted."""
    return await _vault_page(request)


async def _vault_page(request: Request, refusal: Refusal | None = None) -> Response:
    now_ms, me = services(request).people.clock_ms(), acting(request).member.holder

    def work(connection: Any) -> dict[str, Any]:
        return {
            "waiting": vault_access.open_requests(connection, now_ms),
            "granted": vault_access.readable(connection, me, now_ms),
        }

    return await page(request, "staff_vault.html", refusal, names=sorted(fields.VAULT), seen=None, **await read(request, work))


async def ask_vault(request: Request) -> Response:
    """``POST /staff/vault``: ask for fields of an account, with a reason."""
    given = await read_form(request, acting(request).who)
    names = [name for name in sorted(fields.VAULT) if given.get(f"field.{name}")]
    return await _on_vault(
        request,
        lambda tx: vault_access.request_access(
            tx, given.get("account", "").strip(), names, reason=given.get("reason", ""), **acting(request).by
        ),
    )


async def decide_vault(request: Request) -> Response:
    """``POST /staff/vault/decide``: a second person grants or denies."""
    given = await read_form(request, acting(request).who)
    granted = given.get("outcome") == "grant"
    return await _on_vault(
        request, lambda tx: vault_access.decide_access(tx, given.get("request", ""), granted, **acting(request).by)
    )


async def _on_vault(request: Request, work: Callable[[Transaction], object]) -> Response:
    try:
        await write(request, work)
    except Refusal as refusal:
        return await _vault_page(request, refusal)
    return lead("/staff/vault")


async def read_vault(request: Request) -> Response:
    """``POST /staff/vault/read``: what was granted, once; the page is kept nowhere."""
    people = services(request).people
    given = await read_form(request, acting(request).who)
    try:
        seen = await write(
            request,
            lambda tx: vault_access.read_granted(tx, people.vault, given.get("request", ""), **acting(request).by),
        )
    except Refusal as refusal:
        return await _vault_page(request, refusal)
    return await page(request, "staff_vault.html", names=[], waiting=[], granted=[], seen=seen)


# -- members and records -----------------------------------------------------------------------------------------------


async def members(request: Request) -> Response:
    """``GET /staff/members``."""
    return await _members_page(request)


async def _members_page(request: Request, refusal: Refusal | None = None, link: str = "") -> Response:
    rows = await read(request, staff.listed)
    return await page(request, "staff_members.html", refusal, members=rows, roles=list(staff.ROLES), link=link)


async def change_member(request: Request) -> Response:
    """``POST /staff/members``: add a member, give other roles, let in no more or again, enrol anew. Shows the link of an enrolment,
    once."""
    given = await read_form(request, acting(request).who)
    people, by = services(request).people, acting(request).by
    name, what = given.get("name", "").strip(), given.get("what", "")
    roles = tuple(role for role in staff.ROLES if given.get(f"role.{role}"))
    works: dict[str, Callable[[Transaction], str | None]] = {
        "add": lambda tx: staff.add(tx, name, roles, people.vault, **by),
        "enrol": lambda tx: staff.enrol_again(tx, name, people.vault, **by),
        "roles": lambda tx: staff.set_roles(tx, name, roles, **by),
        "disable": lambda tx: staff.disable(tx, name, **by),
        "enable": lambda tx: staff.enable(tx, name, **by),
    }
    try:
        if what not in works:
            raise Refusal("bad_message", "what")
        secret = await write(request, works[what])
    except Refusal as refusal:
        return await _members_page(request, refusal)
    if not secret:
        return lead("/staff/members")
    return await _members_page(request, link=f"/staff/enrol?name={name}&secret={secret}")


async def records(request: Request) -> Response:
    """``GET /staff/log``: the access log, newest first. That it was looked at is a line of it."""
    subject, before = request.query_params.get("subject", "").strip()[:128], whole(request, "before", 0, 0, SEQ_MAX)

    def work(tx: Transaction) -> list[lookup.Access]:
        found = lookup.accesses(tx.sql, subject, before)
        tx.log_access(**acting(request).by, action="log.view", subject=subject)
        return found

    lines = await write(request, work)
    return await page(request, "staff_log.html", lines=lines, subject=subject, log_words=log_words, record_words=record_words)


RULES: Final = (
    Rule("/staff/accounts", "GET", "accounts.view", accounts),
    Rule("/staff/accounts/{account}", "GET", "accounts.view", account),
    Rule("/staff/accounts/{account}/measures", "POST", "measures.take", measure),
    Rule("/staff/accounts/{account}/lift", "POST", "measures.lift", lift),
    Rule("/staff/accounts/{account}/erase", "POST", "erase", erase),
    Rule("/staff/appeals", "GET", "appeals.view", open_appeals),
    Rule("/staff/appeals", "POST", "appeals.decide", decide),
    Rule("/staff/vault", "GET", "vault.ask", vault),
    Rule("/staff/vault", "POST", "vault.ask", ask_vault),
    Rule("/staff/vault/decide", "POST", "vault.approve", decide_vault),
    Rule("/staff/vault/read", "POST", "vault.read", read_vault),
    Rule("/staff/members", "GET", "staff.view", members),
    Rule("/staff/members", "POST", "staff.change", change_member),
    Rule("/staff/log", "GET", "log.view", records),
)
