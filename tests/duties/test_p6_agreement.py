"""Duty P6, T6: the service agreement, signed before posting, asked for again when it changes, cited by every refusal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from server.accounts import measures
from server.accounts.agreement import BOTTOM_LINES, LANGUAGES, TEXTS, Agreements
from server.accounts.book import Accounts
from server.accounts.permit import Permit
from server.errors import Refusal
from server.reasons import BY_AUTHOR, REMOVAL_CODES
from server.wire import Say
from tests.support.accounts import START_MS, Clock, add_person, book, letters, standing
from tests.support.running import running


class Token(NamedTuple):
    """What a token of this site says: nothing that counts."""

    verified: bool = False
    agreed: str = ""


def post(accounts: Accounts, agreements: Agreements) -> str:
    """Try to post: the code of the refusal, or an empty text."""
    try:
        permit = Permit(standing(accounts, "a-1"), Token(), agreements.current().version, START_MS)
        permit.check(Say(room="demo", key="k", text="hello"))
    except Refusal as refusal:
        return refusal.code.name
    return ""


def sign(accounts: Accounts, agreements: Agreements, language: str = "zh-CN") -> bool:
    document = agreements.current()
    return accounts.write_now(
        lambda tx: agreements.sign(tx, "a-1", document.version, document.texts[language].sha256, language)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_duty_p6_the_agreement_names_the_seven_bottom_lines_and_the_promise(language: str) -> None:
    """Each bottom line is a numbered clause with the law that it rests on; the promise not to publish what is prohibited stands
    beside them, with credit, measures and appeals."""
    clauses = Agreements.load().current().texts[language].clauses
    law = r"依据：《" if language == "zh-CN" else r"Basis: "
    assert len(BOTTOM_LINES) == 7
    for each in (*BOTTOM_LINES, "promise"):
        assert re.search(law, clauses[each].text), each
    assert {"real_name", "credit", "measures", "blacklist", "appeals", "complaints", "privacy"} <= set(clauses)


def test_duty_p6_nobody_posts_without_a_signature_on_the_current_text(tmp_path: Path) -> None:
    """A verified account without a signature is refused; with one on the text that was shown it posts; reading asks for neither."""
    agreements = Agreements.load()
    with book(tmp_path) as accounts:
        add_person(accounts, agreement="")
        assert post(accounts, agreements) == "agreement_required"
        with pytest.raises(Refusal):
            accounts.write_now(lambda tx: agreements.sign(tx, "a-1", "1", "0" * 64, "en"))
        assert post(accounts, agreements) == "agreement_required"
        assert sign(accounts, agreements)
        assert post(accounts, agreements) == ""
        (letter,) = letters(accounts, "a-1")
        assert letter[0] == "agreement_signed"


def test_duty_p6_a_change_asks_again_before_the_next_comment(tmp_path: Path) -> None:
    """When other words come into force, the signature on the old ones does not count, and both texts stay on record."""
    first = Agreements.load()
    folder = tmp_path / "texts"
    folder.mkdir()
    for path in TEXTS.glob("agreement.*"):
        (folder / path.name).write_text(
            path.read_text(encoding="utf-8").replace("version: 1\n", "version: 2\n"), encoding="utf-8"
        )
    second = Agreements.load(folder)
    with book(tmp_path, Clock()) as accounts:
        add_person(accounts, agreement="")
        accounts.write_now(first.establish)
        sign(accounts, first)
        accounts.write_now(second.establish)
        assert post(accounts, second) == "agreement_required"
        sign(accounts, second, "en")
        assert post(accounts, second) == ""


def test_duty_p6_a_refused_comment_is_told_the_clause(tmp_path: Path) -> None:
    """On a running server, whoever's comment the screening refuses hears the clause of the agreement that it breaks."""
    with running(tmp_path / "data") as server, server.connect(account="u1") as author:
        answer = author.ask({"op": "say", "room": "demo", "key": "k1", "text": "坏词"}, "ack", "held", "refused")
        assert (answer["op"], answer["code"]) == ("refused", "banned_content")
        assert answer["detail"] == "agreement, clause promise"


@pytest.mark.parametrize("language", LANGUAGES)
def test_duty_p6_every_refusal_and_removal_cites_its_clause(tmp_path: Path, language: str) -> None:
    """Whatever the reason code, the letter to the person names the clause, and the clause is in the text that was signed."""
    agreements = Agreements.load()
    with book(tmp_path) as accounts:
        add_person(accounts)
        for seq, code in enumerate(sorted(REMOVAL_CODES - {BY_AUTHOR}), 1):
            accounts.write_now(
                lambda tx, seq=seq, code=code: measures.count_removal(  # type: ignore[misc]
                    tx, "a-1", "demo", seq, code, "basis", actor="staff:ann", role="reviewer"
                )
            )
            cited = agreements.cite(code, language)
            assert cited is not None
            assert letters(accounts, "a-1")[-1][1]["clause"] == cited.id
            assert f"{cited.number} {{{cited.id}}} {cited.title}" in agreements.current().texts[language].source
