"""server/accounts/agreement.py"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from filters import STARTER_PACK, rules
from server.accounts import agreement, measures, tables
from server.accounts.agreement import BOTTOM_LINES, LANGUAGES, REQUIRED, TEXTS, Agreements, clause_for, clause_of_rule
from server.accounts.book import Accounts, Transaction, read_entries
from server.accounts.credit import weight
from server.accounts.events import Counted, Erased, LessonTaken, Signed
from server.errors import ConfigError, Refusal
from server.reasons import BY_AUTHOR, REASONS, REMOVAL_CODES
from tests.support.accounts import Clock, add_person, book, letters, standing


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        add_person(found, agreement="")
        yield found


@pytest.fixture(scope="module")
def built_in() -> Agreements:
    return Agreements.load()


def own(folder: Path, change: Callable[[str], str] = str, files: str = "agreement.*") -> Path:
    """A folder with texts of an operator's own: the built-in ones, changed."""
    folder.mkdir(exist_ok=True)
    for path in TEXTS.glob(files):
        (folder / path.name).write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def next_version(source: str) -> str:
    return source.replace("version: 1\n", "version: 2\n")


def sign(accounts: Accounts, agreements: Agreements, account: str = "a-1", language: str = "en", **fields: str) -> bool:
    text = agreements.current().texts.get(language)
    given = {"version": agreements.current().version, "sha256": text.sha256 if text else "", **fields}
    return accounts.write_now(lambda tx: agreements.sign(tx, account, given["version"], given["sha256"], language))


# The texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_names_what_the_law_asks_for(built_in: Agreements, language: str) -> None:
    """Seven bottom lines in one row, the promise, and each of them with the law that it rests on."""
    text = built_in.current().text(language)
    assert text.language == language
    numbers = [text.clauses[each].number for each in BOTTOM_LINES]
    assert numbers == [f"3.{number}" for number in range(1, 8)]
    for each in (*BOTTOM_LINES, "promise", "no_spam", "news", "measures", "blacklist"):
        assert re.search(
            r"依据：《.+》" if language == "zh-CN" else r"Basis: .*(article|Law|rules)", text.clauses[each].text
        ), each
    wanted = {
        "zh-CN": ("法律法规", "社会主义制度", "国家利益", "公民合法权益", "社会公共秩序", "道德风尚", "信息真实性"),
        "en": ("laws and reg", "socialist system", "national interest", "citizens", "public order", "social moral", "truthful"),
    }  # fmt: skip
    for each, words in zip(BOTTOM_LINES, wanted[language], strict=True):
        assert words in text.clauses[each].title.lower()
    promise = text.clauses["promise"].text
    assert (
        "不发布法律法规和国家有关规定禁止的信息" if language == "zh-CN" else "not to publish information that laws"
    ) in promise


def test_the_languages_say_the_same(built_in: Agreements) -> None:
    """Both texts have the same version, and the same clauses under the same numbers in the same order."""
    zh, en = (built_in.current().texts[language] for language in LANGUAGES)
    assert zh.version == en.version == built_in.current().version
    assert [(each.id, each.number) for each in zh.clauses.values()] == [(each.id, each.number) for each in en.clauses.values()]
    assert [each.kind for each in zh.blocks] == [each.kind for each in en.blocks]
    assert set(REQUIRED) <= set(zh.clauses)
    for text in (zh, en):
        assert text.title
        assert all(each.title and len(each.text) > 10 for each in text.clauses.values())
        assert not any("{" in each.text for each in text.blocks)
    for promised in ("static_pages", "free_reading", "real_name", "credit", "appeals", "no_silence"):
        assert promised in zh.clauses


def test_hashes_are_those_of_the_files(built_in: Agreements) -> None:
    """Anybody can compute what was signed: SHA-256 of the file; of the version, that of the lines of its languages."""
    document = built_in.current()
    lines = ""
    for language in LANGUAGES:
        digest = hashlib.sha256((TEXTS / f"agreement.{language}.md").read_bytes()).hexdigest()
        assert document.texts[language].sha256 == digest
        lines += f"{language} {digest}\n"
    assert document.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_the_published_version_is_not_changed_in_silence(built_in: Agreements) -> None:
    """People have signed version 1: whoever changes its words gives it a new version, and the new hash here."""
    assert (built_in.current().version, built_in.current().sha256) == (
        "1",
        "bdf64668a6a054843f49431042dd60aff1b2f6de2d8a274b4fe389ff081f13d1",
    )


def test_blocks_hold_the_whole_text(built_in: Agreements) -> None:
    """What is shown is what is signed: from the blocks every line of the file can be put together again."""
    for text in built_in.current().texts.values():
        lines = [f"# {text.title}", f"version: {text.version}"]
        for block in text.blocks:
            if block.clause is None:
                lines.append(("## " if block.kind == "heading" else "") + block.text)
            else:
                stop = "。" if text.language == "zh-CN" else ". "
                lines.append(f"{block.clause.number} {{{block.clause.id}}} {block.clause.title}{stop}{block.clause.text}")
        written = [line.replace("。 ", "。") for line in text.source.splitlines() if line]
        assert [line.replace("。 ", "。") for line in lines] == written


# Clauses of refusals


def test_every_reason_code_has_its_clause(built_in: Agreements) -> None:
    """A refusal or removal cites a clause that is in the text, in both languages; recalls and restorations break none."""
    for code in REASONS:
        clause = clause_for(code)
        assert bool(clause) == (code in REMOVAL_CODES - {BY_AUTHOR}), code
        for language in LANGUAGES:
            cited = built_in.cite(code, language)
            assert (cited.id if cited else "") == clause
    assert clause_for("L1") == "socialist_system"
    cited = built_in.cite("L8", "zh-CN")
    assert cited is not None
    assert (cited.number, cited.title) == ("3.4", "公民合法权益底线")
    assert built_in.cite("nonsense", "en") is None


def test_every_rule_of_the_screening_has_its_clause(built_in: Agreements) -> None:
    """A comment that the screening refuses is refused by a clause, whatever the rule's category; ours have their own."""
    for rule in rules.load(STARTER_PACK).rule:
        clause = clause_of_rule(rule.category)
        assert clause in built_in.current().text("en").clauses
        assert (clause == "promise") == (rule.category == "suspicion"), rule.code
    assert clause_of_rule("something of an operator's own") == "promise"
    assert set(agreement._BY_CATEGORY.values()) <= set(REQUIRED)


def test_an_unknown_language_gets_the_first(built_in: Agreements) -> None:
    """Texts and lesson are there for every reader."""
    assert built_in.current().text("fr").language == LANGUAGES[0]
    assert built_in.lesson("fr") == built_in.lesson(LANGUAGES[0])


# An operator's own texts


def test_an_operators_own_texts(tmp_path: Path, built_in: Agreements) -> None:
    """A folder replaces agreement, lesson or both; what it does not have is built in."""
    found = Agreements.load(
        own(tmp_path / "own", lambda text: next_version(text).replace("7.2 {complaints}", "7.9 {complaints}"))
    )
    assert found.current().version == "2"
    assert found.current().text("en").clauses["complaints"].number == "7.9"
    assert found.lesson("en") == built_in.lesson("en")
    lesson = own(tmp_path / "lesson", lambda text: text.replace('"version": "1"', '"version": "9"'), "lesson.*")
    assert Agreements.load(lesson).lesson("en").version == "9"
    assert Agreements.load(lesson).current() == built_in.current()


@pytest.mark.parametrize("clause", REQUIRED)
def test_a_text_without_a_required_clause_is_refused(tmp_path: Path, clause: str) -> None:
    """The message names file and clause."""

    def drop(source: str) -> str:
        return "".join(line for line in source.splitlines(keepends=True) if f"{{{clause}}}" not in line)

    with pytest.raises(ConfigError, match=rf"agreement\.zh-CN\.md lacks the clauses {clause};"):
        Agreements.load(own(tmp_path / "own", drop))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("version: 1\n", ""), "must begin with"),
        (lambda text: text.replace("version: 1\n", "version: a b\n"), "must begin with"),
        (lambda text: text[2:], "must begin with"),
        (lambda text: "", "must begin with"),
        (lambda text: text.replace("3.1 {laws}", "3.1 {Laws}"), "line 23: a clause is written"),
        (lambda text: text.replace("3.2 {socialist_system}", "3.2 {laws}"), "line 24: the clause laws stands there twice"),
        (lambda text: next_version(text) if "弹幕服务协议" in text else text, "different versions: 1, 2"),
        (lambda text: "\n".join(line for line in text.splitlines() if "{" not in line or "3." not in line), "laws, socialist_system"),
    ],
)  # fmt: skip
def test_a_text_that_does_not_fit_is_refused(tmp_path: Path, change: Callable[[str], str], said: str) -> None:
    """Each mistake in a text of one's own is named with its place."""
    with pytest.raises(ConfigError, match=said):
        Agreements.load(own(tmp_path / "own", change))


def test_a_folder_that_lacks_files_is_refused(tmp_path: Path) -> None:
    """An empty folder, one language without the other, and bytes that are no UTF-8."""
    with pytest.raises(ConfigError, match=r"agreement_dir=.*: there is no agreement\.zh-CN\.md"):
        Agreements.load(tmp_path)
    folder = own(tmp_path / "own")
    (folder / "agreement.en.md").unlink()
    with pytest.raises(ConfigError, match=r"agreement\.en\.md: .*No such file"):
        Agreements.load(folder)
    (folder / "agreement.en.md").write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match=r"agreement\.en\.md: .*utf-8"):
        Agreements.load(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.update(cards=[]), "a lesson has cards"),
        (lambda found: found["questions"][0].update(right=3), "whose right answer is one of theirs"),
        (lambda found: found["questions"][0].update(right=2), "differ between the languages"),
        (lambda found: found.update(version="2"), "differ between the languages"),
        (lambda found: found.pop("title"), "missing required field `title`"),
        (lambda found: found.update(music="loud"), "unknown field `music`"),
    ],
)  # fmt: skip
def test_a_lesson_that_does_not_fit_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str) -> None:
    """A lesson of one's own is checked too."""
    folder = own(tmp_path / "own", files="lesson.*")
    path = folder / "lesson.en.json"
    lesson = json.loads(path.read_text(encoding="utf-8"))
    change(lesson)
    path.write_text(json.dumps(lesson), encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        Agreements.load(folder)


# Coming into force


def test_a_version_comes_into_force_once(accounts: Accounts, built_in: Agreements, clock: Clock) -> None:
    """The first start records version, hash, moment and exact texts; later starts change nothing."""
    begun = clock.now_ms
    assert accounts.write_now(built_in.establish)
    clock.forward(days=1)
    assert not accounts.write_now(built_in.establish)
    (row,) = accounts.read_now(lambda connection: connection.execute(select(tables.documents)).all())
    assert tuple(row) == ("agreement", "1", built_in.current().sha256, begun)
    for text in built_in.current().texts.values():
        assert accounts.read_now(lambda c, text=text: agreement.recorded_text(c, "1", text.sha256)) == text.source  # type: ignore[misc]
    assert accounts.read_now(lambda connection: agreement.recorded_text(connection, "1", "0" * 64)) is None


def test_changed_words_need_a_version_of_their_own(
    accounts: Accounts, built_in: Agreements, tmp_path: Path, clock: Clock
) -> None:
    """One letter more under a version that is in force stops the start; under a new version it comes into force beside the old."""
    accounts.write_now(built_in.establish)
    changed = Agreements.load(own(tmp_path / "own", lambda text: text + "\n"))
    with pytest.raises(ConfigError, match=r"version 1 differs .* a version of its own"):
        accounts.write_now(changed.establish)
    clock.forward(days=1)
    newer = Agreements.load(own(tmp_path / "own2", lambda text: next_version(text) + "\n"))
    assert accounts.write_now(newer.establish)
    old = built_in.current().texts["en"]
    assert accounts.read_now(lambda connection: agreement.recorded_text(connection, "1", old.sha256)) == old.source
    assert len(accounts.read_now(lambda connection: connection.execute(select(tables.documents)).all())) == 2


# Signing


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_signature_is_recorded(accounts: Accounts, built_in: Agreements, clock: Clock, language: str) -> None:
    """Version, hash of the text that was shown, language and moment are in the ledger; the person gets a receipt; once is enough."""
    assert standing(accounts, "a-1").agreement == ""
    assert sign(accounts, built_in, language=language)
    assert standing(accounts, "a-1").agreement == "1"
    entry = accounts.read_now(lambda connection: read_entries(connection, "a-1"))[-1]
    sha256 = built_in.current().texts[language].sha256
    assert entry.event == Signed(document="agreement", version="1", sha256=sha256, language=language)
    assert (entry.actor, entry.role, entry.at_ms) == ("a-1", "person", clock.now_ms)
    receipt = ("agreement_signed", {"version": "1", "sha256": sha256, "language": language})
    assert letters(accounts, "a-1") == [receipt]
    assert not sign(accounts, built_in, language=language)
    assert letters(accounts, "a-1") == [receipt]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"version": "0"}, "agreement_required"), ({"version": ""}, "agreement_required"), ({"sha256": "0" * 64}, "bad_message"),
        ({"sha256": ""}, "bad_message"), ({"language": "fr"}, "bad_message"), ({"account": "nobody"}, "account_not_found"),
    ],
)  # fmt: skip
def test_only_the_current_text_is_signed(accounts: Accounts, built_in: Agreements, fields: dict[str, str], code: str) -> None:
    """Another version, another text, a language that was never shown and an unknown account are refused; nothing is recorded."""
    with pytest.raises(Refusal, match=code):
        sign(accounts, built_in, **fields)
    with pytest.raises(Refusal, match="bad_message"):
        sign(accounts, built_in, language="en", sha256=built_in.current().texts["zh-CN"].sha256)
    assert standing(accounts, "a-1").agreement == ""
    assert letters(accounts, "a-1") == []


def test_a_new_version_asks_again(accounts: Accounts, built_in: Agreements, tmp_path: Path) -> None:
    """After a change the old signature is not the current one; the old version cannot be signed any more, the new one can."""
    sign(accounts, built_in)
    newer = Agreements.load(own(tmp_path / "own", next_version))
    assert standing(accounts, "a-1").agreement != newer.current().version
    with pytest.raises(Refusal, match="agreement_required: version 2 is in force"):
        sign(accounts, newer, version="1", sha256=built_in.current().texts["en"].sha256)
    assert sign(accounts, newer)
    assert standing(accounts, "a-1").agreement == "2"


def test_an_erased_account_signs_nothing(accounts: Accounts, built_in: Agreements) -> None:
    """Who has left has left."""
    accounts.write_now(lambda tx: tx.append("a-1", Erased(), actor="a-1", role="person"))
    with pytest.raises(Refusal, match="account_closed"):
        sign(accounts, built_in)


# The lesson


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lesson_is_short(built_in: Agreements, language: str) -> None:
    """Five cards, three questions with three answers each, a reason for the right one, and nothing long."""
    lesson = built_in.lesson(language)
    assert (len(lesson.cards), len(lesson.questions)) == (5, 3)
    assert all(len(each.answers) == 3 and each.why for each in lesson.questions)
    assert all(len(card.text) < 260 for card in lesson.cards)
    assert len({each.right for each in lesson.questions}) == 3  # guessing one column does not do


def right(agreements: Agreements) -> list[int]:
    return [each.right for each in agreements.lesson("en").questions]


def answer(
    accounts: Accounts, agreements: Agreements, answers: list[int], account: str = "a-1", version: str = "1"
) -> list[bool]:
    return accounts.write_now(lambda tx: agreements.answer(tx, account, version, answers))


def test_a_lesson_is_taken_with_all_answers_right(accounts: Accounts, built_in: Agreements) -> None:
    """A wrong answer is shown and may be tried again; with all right ones the lesson is taken, and earns nothing the first time."""
    wrong = [1 - right(built_in)[0] if right(built_in)[0] < 2 else 0, *right(built_in)[1:]]
    assert answer(accounts, built_in, wrong) == [False, True, True]
    assert standing(accounts, "a-1").lesson == ""
    assert answer(accounts, built_in, right(built_in)) == [True, True, True]
    after = standing(accounts, "a-1")
    assert (after.lesson, after.lesson_wanted, after.marks) == ("1", False, ())
    assert letters(accounts, "a-1") == [("lesson_taken", {"version": "1"})]


def test_a_lesson_after_a_measure_earns_credit_once(accounts: Accounts, built_in: Agreements) -> None:
    """It makes up for a part, once for each measure: taking it again and again earns nothing."""

    def warn(tx: Transaction) -> str:
        return measures.take(tx, "a-1", "warn", "L8", "b", actor="staff:ann", role="reviewer")

    answer(accounts, built_in, right(built_in))
    for times in (1, 2):
        accounts.write_now(warn)
        assert standing(accounts, "a-1").lesson_wanted
        for _ in range(3):
            answer(accounts, built_in, right(built_in))
        assert sum(points for _, points in standing(accounts, "a-1").marks) == times * (
            weight("measure.warn") + weight("lesson")
        )
    entries = accounts.read_now(lambda connection: read_entries(connection, "a-1"))
    assert sum(isinstance(each.event, LessonTaken) for each in entries) == 3
    assert sum(isinstance(each.event, Counted) and each.event.what == "lesson" for each in entries) == 2


def test_a_lesson_cannot_be_gamed(accounts: Accounts, built_in: Agreements) -> None:
    """Too few or too many answers, another version and an unknown account are refused."""
    for answers, version, account, code in (
        (right(built_in)[:2], "1", "a-1", "bad_message"), ([*right(built_in), 0], "1", "a-1", "bad_message"),
        ([], "1", "a-1", "bad_message"), (right(built_in), "2", "a-1", "bad_message"),
        (right(built_in), "1", "nobody", "account_not_found"),
    ):  # fmt: skip
        with pytest.raises(Refusal, match=code):
            answer(accounts, built_in, answers, account, version)
    assert answer(accounts, built_in, [-1, 99, 7]) == [False, False, False]


def test_texts_are_part_of_the_package() -> None:
    """The built-in texts stand beside the code that reads them."""
    assert sorted(path.name for path in TEXTS.iterdir()) == [
        "agreement.en.md", "agreement.zh-CN.md", "lesson.en.json", "lesson.zh-CN.json",
    ]  # fmt: skip
