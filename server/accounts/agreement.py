"""The service agreement: its texts, signatures on them, the clause behind each reason code, and the short lesson (duty P6).

A text is a file of lines: ``# title``, ``version: V``, then ``## heading``, ``N {id} Title. Words`` for a numbered clause, and plain
paragraphs. Ids of clauses are stable, numbers are the text's own. What somebody signs is the SHA-256 of the bytes of the file
in the language that was shown; the text itself is kept in ``document_texts``, so that a signature can be read years later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection, insert, select

from server.accounts import tables
from server.accounts.book import Transaction
from server.accounts.events import Counted, LessonTaken, Signed
from server.errors import ConfigError, Refusal

DOCUMENT: Final = "agreement"
LANGUAGES: Final = ("zh-CN", "en")
TEXTS: Final = Path(__file__).parent / "texts"

BOTTOM_LINES: Final = (
    "laws", "socialist_system", "national_interest", "citizens_rights", "public_order", "social_morality", "truthfulness",
)  # fmt: skip
"""Ids of the clauses of the seven bottom lines, in the order of the law."""

_CLAUSES: Final[dict[str, str]] = {
    "L1": "socialist_system", "L2": "national_interest", "L3": "national_interest", "L4": "public_order", "L5": "public_order",
    "L6": "truthfulness", "L7": "social_morality", "L8": "citizens_rights", "L9": "laws",
    "M1": "citizens_rights", "M2": "citizens_rights", "P1": "citizens_rights", "P2": "citizens_rights",
    "S1": "no_spam", "S2": "no_spam", "S3": "no_spam", "N1": "news", "A1": "promise", "A2": "room_rules", "U2": "room_rules",
}  # fmt: skip
"""The clause that a reason code rests on. An author's own recall and restorations break none."""

_BY_CATEGORY: Final[dict[str, str]] = {
    "advertising": "no_spam", "flood": "no_spam", "swarm": "no_spam", "fraud": "truthfulness", "rumour": "truthfulness",
    "gambling": "social_morality", "sexual": "social_morality", "violence": "social_morality", "abuse": "citizens_rights",
    "personal-data": "citizens_rights", "minors": "citizens_rights", "hatred": "public_order", "news": "news",
}  # fmt: skip
"""The clause that a rule of the screening rests on, by the rule's category; any other rests on the promise."""

REQUIRED: Final = tuple(dict.fromkeys((*BOTTOM_LINES, "promise", *_CLAUSES.values())))
"""Ids of clauses that every text must have: the bottom lines, the promise, and whatever a refusal may cite."""

_CLAUSE: Final = re.compile(r"(\d+(?:\.\d+)*) \{([a-z_]+)\} ([^.。]{1,120})[.。] ?(.+)")
_VERSION: Final = re.compile(r"version: ([0-9A-Za-z][0-9A-Za-z._-]{0,31})")


class Clause(msgspec.Struct, frozen=True):
    """A numbered clause: its stable id, its number and title in this text, and its words."""

    id: str
    number: str
    title: str
    text: str


class Block(msgspec.Struct, frozen=True):
    """A piece of a text, in the order in which it is shown. A clause's ``text`` has number and title left out."""

    kind: Literal["heading", "clause", "paragraph"]
    text: str
    clause: Clause | None = None


class Text(msgspec.Struct, frozen=True):
    """The agreement in one language. ``source`` is the exact text, whose UTF-8 bytes have the SHA-256 ``sha256`` (hex)."""

    language: str
    version: str
    title: str
    source: str
    sha256: str
    blocks: tuple[Block, ...]
    clauses: dict[str, Clause]


class Document(msgspec.Struct, frozen=True):
    """One version in all its languages. ``sha256`` is that of the lines ``LANGUAGE SHA256`` in the order of :data:`LANGUAGES`."""

    version: str
    sha256: str
    texts: dict[str, Text]

    def text(self, language: str) -> Text:
        """The text in a language, or in the first of :data:`LANGUAGES` when there is none in it."""
        return self.texts.get(language) or self.texts[LANGUAGES[0]]


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One card of the lesson."""

    title: str
    text: str


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question with its answers; ``right`` is the place of the right one, ``why`` is shown with it."""

    text: str
    answers: tuple[str, ...]
    right: int
    why: str


class Lesson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The short lesson on the bottom lines, in one language."""

    version: str
    title: str
    cards: tuple[Card, ...]
    questions: tuple[Question, ...]


def clause_for(code: str) -> str:
    """The id of the clause that a reason code rests on; empty for codes that are no breach."""
    return _CLAUSES.get(code, "")


def clause_of_rule(category: str) -> str:
    """The id of the clause that a rule of the screening rests on."""
    return _BY_CATEGORY.get(category, "promise")


class Agreements:
    """The agreement in force and the lesson; immutable once loaded."""

    def __init__(self, document: Document, lessons: Mapping[str, Lesson]) -> None:
        self._document = document
        self._lessons = dict(lessons)

    @classmethod
    def load(cls, folder: Path | None = None) -> Agreements:
        """Read ``agreement.LANGUAGE.md`` and ``lesson.LANGUAGE.json`` of ``folder``; a file that is not there is the built-in
        one, but all languages of the agreement come from one folder. Raises ConfigError that says what is missing."""
        own = folder is not None and any((folder / f"agreement.{language}.md").exists() for language in LANGUAGES)
        if folder is not None and not own and not any((folder / f"lesson.{language}.json").exists() for language in LANGUAGES):
            raise ConfigError(f"agreement_dir={folder}: there is no agreement.{LANGUAGES[0]}.md")
        source = folder if own and folder is not None else TEXTS
        found = {language: parse(_read(source / f"agreement.{language}.md"), language, source) for language in LANGUAGES}
        versions = {text.version for text in found.values()}
        if len(versions) > 1:
            raise ConfigError(f"{source}: the texts have different versions: {', '.join(sorted(versions))}")
        lines = "".join(f"{language} {found[language].sha256}\n" for language in LANGUAGES)
        document = Document(version=versions.pop(), sha256=_sha256(lines), texts=found)
        lessons = {language: _lesson(folder, language) for language in LANGUAGES}
        if len({(each.version, tuple((q.right, len(q.answers)) for q in each.questions)) for each in lessons.values()}) > 1:
            raise ConfigError("the lessons differ between the languages: version, questions and right answers must agree")
        return cls(document, lessons)

    def current(self) -> Document:
        """The version that has to be signed before posting."""
        return self._document

    def establish(self, tx: Transaction) -> bool:
        """Record the current version, its texts and the moment it came into force. Returns whether it is new.

        Raises ConfigError when the words of a recorded version were changed: what people signed stays what it was.
        """
        document = self._document
        row = tables.documents.c
        query = select(row.sha256).where(row.document == DOCUMENT, row.version == document.version)
        recorded = tx.sql.execute(query).scalar()
        if recorded == document.sha256:
            return False
        if recorded is not None:
            raise ConfigError(
                f"the text of agreement version {document.version} differs from what came into force under that version;"
                " give the changed text a version of its own"
            )
        key = {"document": DOCUMENT, "version": document.version}
        tx.sql.execute(insert(tables.documents).values(**key, sha256=document.sha256, from_ms=tx.now_ms))
        for text in document.texts.values():
            tx.sql.execute(
                insert(tables.document_texts).values(**key, language=text.language, sha256=text.sha256, text=text.source)
            )
        return True

    def sign(self, tx: Transaction, account: str, version: str, sha256: str, language: str) -> bool:
        """Record a signature on the current version; ``sha256`` is that of the text which was shown in ``language``.

        Returns False when this account has signed this version already. Raises Refusal ``account_not_found``,
        ``account_closed`` (erased), ``agreement_required`` (another version is current), ``bad_message`` (not this text).
        """
        standing = tx.standing(account)
        if not standing.last:
            raise Refusal("account_not_found")
        if standing.erased:
            raise Refusal("account_closed")
        if version != self._document.version:
            raise Refusal("agreement_required", f"version {self._document.version} is in force; show it and ask again")
        text = self._document.texts.get(language)
        if text is None or text.sha256 != sha256:
            raise Refusal("bad_message", "language, sha256: not those of a text of this version")
        if standing.agreement == version:
            return False
        signed = Signed(document="agreement", version=version, sha256=sha256, language=language)
        tx.append(account, signed, actor=account, role="person")
        tx.tell(account, "agreement_signed", {"version": version, "sha256": sha256, "language": language})
        return True

    def cite(self, code: str, language: str) -> Clause | None:
        """The clause that a reason code rests on, as it stands in the current text; None for codes that are no breach."""
        return self._document.text(language).clauses.get(clause_for(code))

    def lesson(self, language: str) -> Lesson:
        """The lesson in a language, or in the first of :data:`LANGUAGES`."""
        return self._lessons.get(language) or self._lessons[LANGUAGES[0]]

    def answer(self, tx: Transaction, account: str, version: str, answers: Sequence[int]) -> list[bool]:
        """Take the answers to the lesson's questions; which of them are right. With all of them right the lesson is taken.

        A lesson asked for after a measure earns credit, once for that measure; the first one and those taken for pleasure do not.
        Raises Refusal ``account_not_found``, ``bad_message`` (another version, or not one answer for each question).
        """
        lesson = self._lessons[LANGUAGES[0]]
        standing = tx.standing(account)
        if not standing.last:
            raise Refusal("account_not_found")
        if version != lesson.version or len(answers) != len(lesson.questions):
            raise Refusal("bad_message", f"version, answers: lesson {lesson.version} has {len(lesson.questions)} questions")
        right = [given == question.right for given, question in zip(answers, lesson.questions, strict=True)]
        if all(right) and (standing.lesson_wanted or standing.lesson != version):
            entry = tx.append(account, LessonTaken(version=version), actor=account, role="person")
            if standing.lesson_due:
                tx.append(account, Counted(what="lesson", ref=f"lesson-{entry.id}"), actor="system", role="system")
            tx.tell(account, "lesson_taken", {"version": version})
        return right


def recorded_text(connection: Connection, version: str, sha256: str) -> str | None:
    """The exact text that a signature names, whatever is in force by now."""
    row = tables.document_texts.c
    query = select(row.text).where(row.document == DOCUMENT, row.version == version, row.sha256 == sha256)
    return connection.execute(query).scalar()


def parse(source: str, language: str, where: Path = TEXTS) -> Text:
    """A text from its lines. Raises ConfigError that names what is missing or wrong, and where."""
    name = f"{where}: agreement.{language}.md"
    lines = source.splitlines()
    version = _VERSION.fullmatch(lines[1]) if len(lines) > 1 else None
    if version is None or not lines[0].startswith("# "):
        raise ConfigError(f"{name} must begin with a line `# title` and a line `version: V`")
    blocks: list[Block] = []
    clauses: dict[str, Clause] = {}
    for number, line in enumerate(lines[2:], 3):
        match = _CLAUSE.fullmatch(line)
        if match:
            clause = Clause(id=match[2], number=match[1], title=match[3], text=match[4])
            if clause.id in clauses:
                raise ConfigError(f"{name}, line {number}: the clause {clause.id} stands there twice")
            clauses[clause.id] = clause
            blocks.append(Block("clause", clause.text, clause))
        elif "{" in line:
            raise ConfigError(f"{name}, line {number}: a clause is written `3.1 {{id}} Title. Words`")
        elif line.startswith("## "):
            blocks.append(Block("heading", line[3:]))
        elif line:
            blocks.append(Block("paragraph", line))
    missing = [each for each in REQUIRED if each not in clauses]
    if missing:
        raise ConfigError(f"{name} lacks the clauses {', '.join(missing)}; the law or a refusal needs each of them")
    return Text(language, version[1], lines[0][2:], source, _sha256(source), tuple(blocks), clauses)


def _lesson(folder: Path | None, language: str) -> Lesson:
    path = TEXTS / f"lesson.{language}.json"
    if folder is not None and any((folder / f"lesson.{each}.json").exists() for each in LANGUAGES):
        path = folder / path.name
    try:
        found = msgspec.json.decode(_read(path), type=Lesson)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not found.cards or not found.questions or not all(0 <= each.right < len(each.answers) for each in found.questions):
        raise ConfigError(f"{path}: a lesson has cards, and questions whose right answer is one of theirs")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
