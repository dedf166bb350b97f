"""Public accounts: applied for, reviewed, classified by somebody else, filed with the authority, active (duty T7).

Each step is an event of the account's ledger with the acting person, the role and a basis, and a letter to the account. What an
active account may post is one table, category x action x topic (:func:`rule`), asked by :func:`refusal` from the standing alone.
"""

from __future__ import annotations

import csv
import io
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
from sqlalchemy import Connection, RowMapping, select, update
from sqlalchemy.dialects.sqlite import insert

from server.accounts import licences, tables
from server.accounts.book import Transaction
from server.accounts.events import Category, PublicAction, PublicApproval, PublicState, PublicStep, Topic
from server.accounts.licences import Provider
from server.accounts.standing import Standing
from server.errors import Refusal

NAME_MAX_CHARS: Final = 60
LABEL_MAX_CHARS: Final = 24
PURPOSE_MAX_CHARS: Final = 500
BASIS_MAX_CHARS: Final = 300

CATEGORIES: Final[dict[Category, tuple[str, str]]] = {
    "news_unit": ("News unit", "新闻单位"),
    "licensed": ("Licensed news service", "持证新闻服务"),
    "government": ("Government", "政务"),
    "institution": ("Institution", "事业单位"),
    "media": ("Media", "媒体"),
    "company": ("Company", "企业"),
    "creator": ("Certified creator", "认证创作者"),
    "other": ("Public account", "公众账号"),
}
"""What an account can be classified as, in English and Chinese. These words are labels, so no nickname may look like one."""

BY_LICENCE: Final[frozenset[Category]] = frozenset({"news_unit", "licensed"})
"""Categories that rest on a licence for news: when it lapses, so do their label and their permissions."""
WORDS_ONLY: Final[frozenset[Category]] = frozenset({"creator", "other"})
"""Categories of natural persons: their label is the words of the category, so that no name gets into the ledger."""

TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)
ACTIONS: Final[tuple[PublicAction, ...]] = get_args(PublicAction)

Rule = Literal["free", "licence", "approval"]
"""``free``: every active public account. ``licence``: while its own licence for news is in force. ``approval``: with one."""

_NEWS: Final[dict[tuple[Category, PublicAction], Rule]] = {
    ("news_unit", "post"): "licence",
    ("news_unit", "repost"): "licence",
    ("licensed", "repost"): "licence",
}
"""For political and current news; whatever is not here needs an approval."""


class Step(NamedTuple):
    """A step leads to ``state`` from one of ``after``. ``action`` is what a member of staff needs to be allowed; empty: the account's
    own step. ``not_by``: the step before it that somebody else must have taken."""

    state: PublicState
    after: frozenset[PublicState]
    action: str
    not_by: PublicState = ""


def _after(*states: PublicState) -> frozenset[PublicState]:
    return frozenset(states)


STEPS: Final[dict[str, Step]] = {
    "apply": Step("applied", _after("", "rejected", "lapsed", "revoked"), ""),
    "withdraw": Step("rejected", _after("applied", "reviewed", "classified", "filed"), ""),
    "review": Step("reviewed", _after("applied"), "public.review"),
    "reject": Step("rejected", _after("applied", "reviewed", "classified", "filed"), "public.review"),
    "classify": Step("classified", _after("reviewed"), "public.classify", not_by="reviewed"),
    "file": Step("filed", _after("classified"), "public.file"),
    "activate": Step("active", _after("filed"), "public.activate"),
    "lapse": Step("lapsed", _after("active"), "public.revoke"),
    "revoke": Step("revoked", _after("active", "lapsed"), "public.revoke"),
}


class Label(NamedTuple):
    """What stands beside the nickname of a public account. ``kind`` is its category."""

    kind: Category
    text: str


class PublicAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A public account, or one on its way there; ``category`` is the one wished for until it is classified."""

    account: str
    state: PublicState
    category: Category
    name: str
    label: str
    purpose: str
    filing_number: str
    licence: str
    applied_ms: int
    changed_ms: int


# ---------------------------------------------------------------------------------------------------------------------
# What it may do: pure


def rule(category: Category, action: PublicAction, topic: Topic) -> Rule:
    """What a public account of the category needs for the action on the topic."""
    return "free" if topic == "general" else _NEWS.get((category, action), "approval")


def refusal(standing: Standing, action: PublicAction, topic: Topic, now_ms: int, provider: Provider) -> str:
    """Why the account may not do this at this moment: a refusal's code, or empty.

    Accounts that are not public, or not any more, may do what is general.
    """
    if standing.public == "active" and not provider.active("public_accounts", now_ms):
        return "licence_lapsed"
    if topic == "general":
        return ""
    if standing.erased or standing.public != "active":
        return "topic_not_permitted"
    if not provider.active("news", now_ms):
        return "licence_lapsed"
    if rule(standing.category, action, topic) == "licence" and licences.licensed(standing, "news", now_ms):
        return ""
    approved = any(
        (each.action, each.topic) == (action, topic) and (not each.until_ms or now_ms < each.until_ms)
        for each in standing.approvals
    )
    return "" if approved else "topic_not_permitted"


def permits(standing: Standing, action: PublicAction, topic: Topic, now_ms: int, provider: Provider) -> bool:
    """Whether :func:`refusal` has nothing against it."""
    return not refusal(standing, action, topic, now_ms, provider)


def label_of(standing: Standing, now_ms: int) -> Label | None:
    """The label at this moment: an active public account has one, while the licence holds that its category rests on."""
    if standing.public != "active" or standing.erased or not standing.label:
        return None
    if standing.category in BY_LICENCE and not licences.licensed(standing, "news", now_ms):
        return None
    return Label(standing.category, standing.label)


# ---------------------------------------------------------------------------------------------------------------------
# The steps


def apply_for(tx: Transaction, account: str, *, name: str, purpose: str, category: Category, licence: str = "") -> None:
    """The account asks to become public. ``name`` is that of the institution (a creator gives the nickname), ``licence`` the number
    of one that it says it has. Raises Refusal ``bad_message``, ``not_verified``, ``licence_lapsed``, ``bad_step``."""
    licences.require(tx, "public_accounts")
    standing = tx.standing(account)
    if standing.erased or not standing.verified:
        raise Refusal("not_verified")
    if any(measure.rung in {"suspend", "close", "blacklist"} for measure in standing.in_force(tx.now_ms)):
        raise Refusal("account_suspended")
    values = {
        "category": _category(category),
        "name": _line("name", name, NAME_MAX_CHARS),
        "purpose": _lines("purpose", purpose),
        "licence": _line("licence", licence, NAME_MAX_CHARS) if licence.strip() else "",
        "applied_ms": tx.now_ms,
        "filing_number": "",
        "label": "",
    }
    current = {"account": account, "state": "applied", "changed_ms": tx.now_ms, **values}
    query = insert(tables.public_accounts).values(current).on_conflict_do_update(index_elements=["account"], set_=current)
    step = _check(tx, standing, "apply", account)
    tx.sql.execute(query)
    _take(tx, account, step, PublicStep(state="applied", category=category), actor=account, role="person")


def withdraw(tx: Transaction, account: str) -> None:
    """The account does not want to become public any more. Raises Refusal ``bad_step``."""
    step = _check(tx, tx.standing(account), "withdraw", account)
    _take(tx, account, step, PublicStep(state="rejected", basis="withdrawn by the applicant"), actor=account, role="person")


def advance(tx: Transaction, account: str, name: str, basis: str, *, actor: str, role: str) -> None:
    """Take one of the steps that need no more than a basis: ``review``, ``reject``, ``activate``, ``lapse``, ``revoke``.

    Raises Refusal ``bad_step``, ``bad_message``, ``licence_lapsed``.
    """
    if name not in {"review", "reject", "activate", "lapse", "revoke"}:
        raise Refusal("bad_step", name)
    if name == "activate":
        licences.require(tx, "public_accounts")
    step = _check(tx, tx.standing(account), name, actor)
    event = PublicStep(state=step.state, basis=_line("basis", basis, BASIS_MAX_CHARS))
    _take(tx, account, step, event, actor=actor, role=role)
    if name == "activate":
        tx.sql.execute(update(tables.accounts).where(tables.accounts.c.id == account).values(kind="public"))


def classify(tx: Transaction, account: str, category: Category, basis: str, *, label: str = "", actor: str, role: str) -> None:
    """Say what the account is, and what its label says (the institution's name where it is not given). Somebody else than the
    reviewer does this. Raises Refusal ``second_person_required``, ``licence_lapsed`` (the category rests on a licence that the
    account does not hold), ``nickname_taken`` (another one has the label), ``bad_step``, ``bad_message``."""
    _category(category)
    standing = tx.standing(account)
    step = _check(tx, standing, "classify", actor)
    if category in BY_LICENCE and not licences.licensed(standing, "news", tx.now_ms):
        raise Refusal("licence_lapsed", "the category asks for a licence for news in the account's name")
    words = (
        CATEGORIES[category][1] if category in WORDS_ONLY else (label.strip() or _name_of(tx.sql, account)[:LABEL_MAX_CHARS])
    )
    others = (each for each in listed(tx.sql) if each.account != account and each.state != "rejected")
    if category not in WORDS_ONLY and any(words == each.label for each in others):
        raise Refusal("nickname_taken", "another public account has this label")
    event = PublicStep(
        state="classified", category=category, basis=_line("basis", basis, BASIS_MAX_CHARS),
        label=_line("label", words, LABEL_MAX_CHARS),
    )  # fmt: skip
    _take(tx, account, step, event, actor=actor, role=role, category=category, label=event.label)


def file(tx: Transaction, account: str, number: str, *, actor: str, role: str) -> None:
    """The authority has the filing: ``number`` is that of its receipt. Raises Refusal ``bad_step``, ``bad_message``."""
    step = _check(tx, tx.standing(account), "file", actor)
    receipt = _line("number", number, NAME_MAX_CHARS)
    event = PublicStep(state="filed", basis=f"receipt {receipt}")
    _take(tx, account, step, event, actor=actor, role=role, filing_number=receipt)


def approve(
    tx: Transaction, account: str, action: PublicAction, topic: Topic, basis: str, *, until_ms: int = 0, granted: bool = True,
    actor: str, role: str,
) -> None:  # fmt: skip
    """Let a public account post or repost on a topic until a moment (0: until withdrawn), or withdraw that (``granted`` False).

    Raises Refusal ``bad_step`` (no active public account), ``bad_message``.
    """
    if action not in ACTIONS or topic not in TOPICS or topic == "general":
        raise Refusal("bad_message", "action: post or repost; topic: current_affairs or politics")
    if until_ms and until_ms <= tx.now_ms:
        raise Refusal("bad_message", "until: in the future")
    if tx.standing(account).public != "active":
        raise Refusal("bad_step", "only an active public account can be given an approval")
    words = _line("basis", basis, BASIS_MAX_CHARS)
    event = PublicApproval(action=action, topic=topic, granted=granted, until_ms=until_ms if granted else 0, basis=words)
    tx.append(account, event, actor=actor, role=role)
    told = {"action": action, "topic": topic, "until_ms": until_ms, "basis": words}
    tx.tell(account, "public.approved" if granted else "public.approval_withdrawn", told)


def lapse_unlicensed(tx: Transaction) -> list[str]:
    """Active accounts whose category rests on a licence that is over: they are not public any more. Returns them.

    Label and permissions ended with the licence itself; this records it.
    """
    table = tables.public_accounts.c
    query = select(table.account).where(table.state == "active", table.category.in_(BY_LICENCE))
    found = []
    for (account,) in tx.sql.execute(query).all():
        if not licences.licensed(tx.standing(account), "news", tx.now_ms):
            advance(tx, account, "lapse", "the licence for news has ended", actor="system", role="system")
            found.append(account)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Reading, and the filing


def listed(connection: Connection, state: str = "") -> list[PublicAccount]:
    """Public accounts, and those on their way, in the order in which they changed."""
    query = select(tables.public_accounts).order_by(tables.public_accounts.c.changed_ms)
    if state:
        query = query.where(tables.public_accounts.c.state == state)
    return [_public(row) for row in connection.execute(query).mappings()]


def shown(connection: Connection, account: str) -> PublicAccount | None:
    """The public side of one account; None: it never applied."""
    query = select(tables.public_accounts).where(tables.public_accounts.c.account == account)
    row = connection.execute(query).mappings().first()
    return _public(row) if row is not None else None


FILING_FIELDS: Final = ("account", "name", "category", "category_zh", "label", "purpose", "licence", "applied_ms", "changed_ms")


def filing(connection: Connection) -> list[dict[str, Any]]:
    """What is to be filed with the authority: accounts that are classified and not filed yet, as rows of :data:`FILING_FIELDS`."""
    rows = [
        {**msgspec.structs.asdict(each), "category_zh": CATEGORIES[each.category][1]}
        for each in listed(connection, "classified")
    ]
    return [{field: row[field] for field in FILING_FIELDS} for row in rows]


def filing_csv(rows: list[dict[str, Any]]) -> str:
    """The rows of :func:`filing` as CSV (RFC 4180) that a spreadsheet reads as text: nothing in it is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FILING_FIELDS)
    for row in rows:
        writer.writerow([_harmless(str(row[field])) for field in FILING_FIELDS])
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


# ---------------------------------------------------------------------------------------------------------------------
# Parts


def _check(tx: Transaction, standing: Standing, name: str, actor: str) -> Step:
    """The step, if it may follow the present state and by this person. Raises Refusal."""
    step = STEPS[name]
    if standing.public not in step.after:
        raise Refusal("bad_step", f"{name} does not follow {standing.public or 'no application'}")
    if step.not_by:
        before = [
            entry.actor
            for entry in tx.entries_of(standing.account)
            if isinstance(entry.event, PublicStep) and entry.event.state == step.not_by
        ]
        if before[-1] == actor:
            raise Refusal("second_person_required", f"who took the step {step.not_by} does not {name}")
    return step


def _take(tx: Transaction, account: str, step: Step, event: PublicStep, *, actor: str, role: str, **columns: str) -> None:
    """Ledger, table and letter of one step."""
    tx.append(account, event, actor=actor, role=role)
    values = {"state": step.state, "changed_ms": tx.now_ms, **columns}
    tx.sql.execute(update(tables.public_accounts).where(tables.public_accounts.c.account == account).values(**values))
    told = {"state": step.state, "basis": event.basis, "category": event.category, "label": event.label}
    tx.tell(account, f"public.{step.state}", {name: value for name, value in told.items() if value})


def _name_of(connection: Connection, account: str) -> str:
    query = select(tables.public_accounts.c.name).where(tables.public_accounts.c.account == account)
    return str(connection.execute(query).scalar_one())


def _category(category: str) -> str:
    if category not in CATEGORIES:
        raise Refusal("bad_message", f"category: one of {', '.join(CATEGORIES)}")
    return category


def _line(field: str, text: str, most: int) -> str:
    line = " ".join(text.split())
    if not line or len(line) > most or not line.isprintable():
        raise Refusal("bad_message", f"{field}: 1 to {most} printable characters")
    return line


def _lines(field: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if not lines or len(lines) > PURPOSE_MAX_CHARS or not all(line.isprintable() for line in lines.split("\n")):
        raise Refusal("bad_message", f"{field}: 1 to {PURPOSE_MAX_CHARS} characters")
    return lines


def _public(row: RowMapping) -> PublicAccount:
    return PublicAccount(**row)
