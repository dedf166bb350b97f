"""server/accounts/public.py"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from server.accounts import licences, nicknames, public, tables
from server.accounts.book import Accounts, Transaction
from server.accounts.events import Category, PublicAction, PublicState, PublicStep, Topic
from server.accounts.licences import PROVIDER, Provider
from server.accounts.measures import take as take_measure
from server.accounts.public import STEPS, Label
from server.accounts.standing import Approval, Held, Standing
from server.errors import Refusal
from tests.support.accounts import DAY_MS, START_MS, Clock, add_person, book, letters, standing

ANN: Any = {"actor": "staff:ann", "role": "senior"}
BOB: Any = {"actor": "staff:bob", "role": "compliance"}
ALL_ON = Provider((Held("l", ("news", "public_accounts"), 0, 10**15),))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    """A book with one verified account, and a provider that may run public accounts."""
    with book(tmp_path, clock) as found:
        add_person(found)
        license_(found, PROVIDER, "public_accounts", "news")
        yield found


def license_(accounts: Accounts, holder: str, *features: str, days: int = 300) -> str:
    return accounts.write_now(
        lambda tx: licences.record(
            tx, holder=holder, kind="licence", number="1", issuer="CAC", features=features, valid_from_ms=START_MS,
            valid_until_ms=START_MS + days * DAY_MS, **BOB,
        )
    )  # fmt: skip


def apply_for(tx: Transaction, account: str = "a-1", **fields: Any) -> None:
    values: dict[str, Any] = {"name": "某大学", "purpose": "Courses, live.", "category": "institution", **fields}
    public.apply_for(tx, account, **values)


def walk(accounts: Accounts, until: str, account: str = "a-1", category: Category = "institution", **fields: Any) -> None:
    """Take the account's steps up to and including ``until``."""
    works: dict[str, Any] = {
        "apply": lambda tx: apply_for(tx, account, category=category, **fields),
        "review": lambda tx: public.advance(tx, account, "review", "papers seen", **ANN),
        "classify": lambda tx: public.classify(tx, account, category, "charter", **BOB),
        "file": lambda tx: public.file(tx, account, "F-2026-7", **BOB),
        "activate": lambda tx: public.advance(tx, account, "activate", "filed", **BOB),
    }
    for name, work in works.items():
        accounts.write_now(work)
        if name == until:
            return


def code_of(accounts: Accounts, work: Any) -> str:
    with pytest.raises(Refusal) as refused:
        accounts.write_now(work)
    return refused.value.code.name


def test_duty_t7_a_public_account_is_applied_for_reviewed_classified_and_filed(accounts: Accounts) -> None:
    """Each step is in the ledger with who took it as what and why, and in a letter; at the end there is a label."""
    walk(accounts, "activate")
    found = accounts.read_now(lambda connection: public.shown(connection, "a-1"))
    assert found is not None
    assert (found.state, found.category, found.label, found.filing_number) == ("active", "institution", "某大学", "F-2026-7")
    steps = accounts.write_now(
        lambda tx: [(e.event.state, e.actor, e.role) for e in tx.entries_of("a-1") if isinstance(e.event, PublicStep)]
    )
    assert steps == [
        ("applied", "a-1", "person"), ("reviewed", "staff:ann", "senior"), ("classified", "staff:bob", "compliance"),
        ("filed", "staff:bob", "compliance"), ("active", "staff:bob", "compliance"),
    ]  # fmt: skip
    assert [data["state"] for _, data in letters(accounts, "a-1")] == [state for state, _, _ in steps]
    assert standing(accounts, "a-1").kind == "public"
    assert public.label_of(standing(accounts, "a-1"), START_MS) == Label("institution", "某大学")


def test_duty_t7_review_and_classification_are_by_two_people(accounts: Accounts) -> None:
    """Who reviewed an application does not classify it."""
    walk(accounts, "review")
    same = lambda tx: public.classify(tx, "a-1", "institution", "charter", **ANN)  # noqa: E731
    assert code_of(accounts, same) == "second_person_required"
    accounts.write_now(lambda tx: public.classify(tx, "a-1", "institution", "charter", **BOB))


STATES: tuple[PublicState, ...] = get_args(PublicState)
CATEGORIES: tuple[Category, ...] = get_args(Category)


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_follows_the_states_of_the_table_alone(accounts: Accounts, name: str) -> None:
    """From every other state it is refused, and nothing is written."""
    calls: dict[str, Any] = {
        "apply": apply_for,
        "withdraw": lambda tx: public.withdraw(tx, "a-1"),
        "classify": lambda tx: public.classify(tx, "a-1", "company", "charter", **BOB),
        "file": lambda tx: public.file(tx, "a-1", "F-1", **BOB),
    }
    work = calls.get(name, lambda tx: public.advance(tx, "a-1", name, "why", **BOB))
    walk(accounts, "review")  # so that there is a row, and a reviewer

    def put(state: PublicState) -> None:
        def write(tx: Transaction) -> None:
            tx.append("a-1", PublicStep(state=state), **ANN)
            if state:
                tx.sql.execute(tables.public_accounts.update().values(state=state))

        accounts.write_now(write)

    for state in STATES:
        put(state)
        before = len(letters(accounts, "a-1"))
        if state in STEPS[name].after:
            accounts.write_now(work)
            assert standing(accounts, "a-1").public == STEPS[name].state
            row = accounts.read_now(lambda connection: public.shown(connection, "a-1"))
            assert row is not None
            assert row.state == STEPS[name].state
        else:
            assert code_of(accounts, work) == "bad_step"
            assert standing(accounts, "a-1").public == state
            assert len(letters(accounts, "a-1")) == before


def test_duty_t7_who_may_post_political_news_exhaustively() -> None:
    """Category x action x topic x approval x own licence x provider's licences x state: news units post and repost, licensed ones
    repost, all others need an approval in force; nothing without the provider's licences, and nothing for who is not active."""
    now = 1000
    approvals = {"none": None, "in force": 0, "until later": now + 1, "over": now}
    held = {"none": (), "in force": (Held("l", ("news",), 0, now + 1),), "over": (Held("l", ("news",), 0, now),)}
    providers = {
        "both": ALL_ON, "none": Provider(), "news only": Provider((Held("p", ("news",), 0, 10**9),)),
        "accounts only": Provider((Held("p", ("public_accounts",), 0, 10**9),)),
        "lapsed": Provider((Held("p", ("news", "public_accounts"), 0, now),)),
    }  # fmt: skip
    topics: tuple[Topic, ...] = get_args(Topic)
    actions: tuple[PublicAction, ...] = get_args(PublicAction)
    counted = 0
    for category, action, topic, approval, licence, provider, state in itertools.product(
        CATEGORIES, actions, topics, approvals, held, providers, STATES
    ):
        until = approvals[approval]
        given = () if until is None else (Approval(action, topic, until),)
        account = Standing(account="a", public=state, category=category, licences=held[licence], approvals=given)
        runs_public = provider in {"both", "accounts only"}
        if state == "active" and not runs_public:
            expected = "licence_lapsed"
        elif topic == "general":
            expected = ""
        elif state != "active":
            expected = "topic_not_permitted"
        elif provider != "both":
            expected = "licence_lapsed"
        else:
            own = category == "news_unit" or (category == "licensed" and action == "repost")
            allowed = (own and licence == "in force") or approval in {"in force", "until later"}
            expected = "" if allowed else "topic_not_permitted"
        assert public.refusal(account, action, topic, now, providers[provider]) == expected
        assert public.permits(account, action, topic, now, providers[provider]) is (not expected)
        counted += 1
    assert counted == 9 * 2 * 3 * 4 * 3 * 5 * 9


def test_an_approval_is_for_its_action_and_topic_alone(accounts: Accounts, clock: Clock) -> None:
    """It begins and ends by the ledger, and can be withdrawn."""
    walk(accounts, "activate")

    def allowed() -> set[tuple[str, str]]:
        found = standing(accounts, "a-1")
        return {
            (action, topic)
            for action in public.ACTIONS
            for topic in public.TOPICS
            if topic != "general" and public.permits(found, action, topic, clock.now_ms, ALL_ON)
        }

    assert allowed() == set()
    until = START_MS + DAY_MS
    accounts.write_now(lambda tx: public.approve(tx, "a-1", "post", "politics", "letter 12", until_ms=until, **BOB))
    accounts.write_now(lambda tx: public.approve(tx, "a-1", "repost", "current_affairs", "letter 13", **BOB))
    assert allowed() == {("post", "politics"), ("repost", "current_affairs")}
    clock.forward(days=1)
    assert allowed() == {("repost", "current_affairs")}
    withdraw = lambda tx: public.approve(  # noqa: E731
        tx, "a-1", "repost", "current_affairs", "letter 14", granted=False, **BOB
    )
    accounts.write_now(withdraw)
    assert allowed() == set()
    kinds = [kind for kind, _ in letters(accounts, "a-1")][-3:]
    assert kinds == ["public.approved", "public.approved", "public.approval_withdrawn"]


def test_bad_approvals_are_refused(accounts: Accounts) -> None:
    """Of things that need none, into the past, or for accounts that are not active."""
    approve: Any = public.approve
    assert code_of(accounts, lambda tx: approve(tx, "a-1", "post", "politics", "x", **BOB)) == "bad_step"
    walk(accounts, "activate")
    for action, topic, until, basis in (
        ("post", "general", 0, "x"), ("sing", "politics", 0, "x"), ("post", "politics", START_MS, "x"), ("post", "politics", 0, ""),
    ):  # fmt: skip
        code = code_of(accounts, lambda tx, a=action, t=topic, u=until, b=basis: approve(tx, "a-1", a, t, b, until_ms=u, **BOB))
        assert code == "bad_message"


def test_duty_t7_the_label_ends_with_the_licence_behind_it(accounts: Accounts, clock: Clock) -> None:
    """A news unit is classified with a licence only; when that lapses, label and permissions are gone at once, and recorded."""
    walk(accounts, "review", category="news_unit", name="某通讯社")
    classify = lambda tx: public.classify(tx, "a-1", "news_unit", "press card", **BOB)  # noqa: E731
    assert code_of(accounts, classify) == "licence_lapsed"
    license_(accounts, "a-1", "news", days=2)
    accounts.write_now(classify)
    accounts.write_now(lambda tx: public.file(tx, "a-1", "F-1", **BOB))
    accounts.write_now(lambda tx: public.advance(tx, "a-1", "activate", "filed", **BOB))
    found = standing(accounts, "a-1")
    assert public.label_of(found, clock.now_ms) == Label("news_unit", "某通讯社")
    assert public.permits(found, "post", "politics", clock.now_ms, ALL_ON)
    assert accounts.write_now(public.lapse_unlicensed) == []
    clock.forward(days=2)
    assert public.label_of(found, clock.now_ms) is None
    assert not public.permits(found, "post", "politics", clock.now_ms, ALL_ON)
    assert accounts.write_now(public.lapse_unlicensed) == ["a-1"]
    assert standing(accounts, "a-1").public == "lapsed"


def test_natural_persons_get_the_words_of_the_category_as_label(accounts: Accounts) -> None:
    """No name of a creator gets into the ledger by way of the label."""
    walk(accounts, "activate", category="creator", name="小明")
    assert public.label_of(standing(accounts, "a-1"), START_MS) == Label("creator", "认证创作者")


def test_duty_t7_labels_are_reserved_and_unique(accounts: Accounts) -> None:
    """Category words, labels and names of institutions are what no nickname may look like; no two accounts share a label."""
    walk(accounts, "classify")
    add_person(accounts, "a-2")
    add_person(accounts, "a-3")
    walk(accounts, "review", "a-2", name="某大学")
    taken = lambda tx: public.classify(tx, "a-2", "institution", "charter", **BOB)  # noqa: E731
    assert code_of(accounts, taken) == "nickname_taken"
    other = lambda tx: public.classify(tx, "a-2", "institution", "charter", label="某大学工学院", **BOB)  # noqa: E731
    accounts.write_now(other)
    for name in ("某大学", "某大学 官网", "新闻单位", "News unit", "认证创作者"):
        check: Any = lambda tx, name=name: nicknames.check(tx.sql, name, tx.now_ms, account="a-3")  # noqa: E731
        assert code_of(accounts, check) == "nickname_refused", name


def test_what_is_filed_comes_as_json_and_csv(accounts: Accounts) -> None:
    """The export holds what is classified and not filed yet; no cell can be taken for a formula."""
    walk(accounts, "classify", name='=HYPERLINK("x")', purpose="line one\nline, two")
    rows = accounts.read_now(public.filing)
    assert [(row["account"], row["category_zh"], row["label"]) for row in rows] == [("a-1", "事业单位", '=HYPERLINK("x")')]
    read = list(csv.DictReader(io.StringIO(public.filing_csv(rows))))
    assert read[0]["name"] == '\'=HYPERLINK("x")'
    assert read[0]["purpose"] == "line one\nline, two"
    accounts.write_now(lambda tx: public.file(tx, "a-1", "F-1", **BOB))
    assert accounts.read_now(public.filing) == []


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": "x" * 61}, {"purpose": " "}, {"purpose": "x" * 501}, {"purpose": "a\x07"}, {"category": "party"},
     {"category": ""}, {"licence": "\u202e"}],
)  # fmt: skip
def test_bad_applications_are_refused(accounts: Accounts, fields: dict[str, Any]) -> None:
    """Each field is checked."""
    assert code_of(accounts, lambda tx: apply_for(tx, **fields)) == "bad_message"


def test_who_may_not_apply(accounts: Accounts) -> None:
    """An account without a verified identity, or with a suspension in force, does not."""
    add_person(accounts, "a-2", verified="")
    assert code_of(accounts, lambda tx: apply_for(tx, "a-2")) == "not_verified"
    accounts.write_now(
        lambda tx: take_measure(tx, "a-1", "suspend", "S1", "rule 3", actor="staff:ann", role="senior", duration_ms=DAY_MS)
    )
    assert code_of(accounts, apply_for) == "account_suspended"


def test_duty_t4_without_the_providers_licence_there_are_no_new_public_accounts(accounts: Accounts, clock: Clock) -> None:
    """When it has lapsed, nobody applies and none becomes active."""
    walk(accounts, "file")
    clock.forward(days=301)
    activate = lambda tx: public.advance(tx, "a-1", "activate", "filed", **BOB)  # noqa: E731
    assert code_of(accounts, activate) == "licence_lapsed"
    add_person(accounts, "a-2")
    assert code_of(accounts, lambda tx: apply_for(tx, "a-2")) == "licence_lapsed"


def test_unknown_steps_and_bases_are_refused(accounts: Accounts) -> None:
    """A step has a basis, and is one of those that need no more."""
    walk(accounts, "apply")
    assert code_of(accounts, lambda tx: public.advance(tx, "a-1", "classify", "x", **ANN)) == "bad_step"
    assert code_of(accounts, lambda tx: public.advance(tx, "a-1", "review", "", **ANN)) == "bad_message"


def test_the_list_can_be_narrowed_to_a_state(accounts: Accounts) -> None:
    """In the order of the last change."""
    add_person(accounts, "a-2")
    walk(accounts, "review")
    walk(accounts, "apply", "a-2")
    assert [each.account for each in accounts.read_now(public.listed)] == ["a-1", "a-2"]
    assert [each.account for each in accounts.read_now(lambda c: public.listed(c, "applied"))] == ["a-2"]
