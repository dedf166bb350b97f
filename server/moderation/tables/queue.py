"""Tables of the queue: what waits, what was decided, what follows from it in the room logs, and who looked."""

from __future__ import annotations

from typing import Final

from sqlalchemy import REAL, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, TextClause
from sqlalchemy import text as sql_text

from server.moderation.tables.base import metadata, text, whole

_ORDER: Final = (sql_text("priority DESC"), "id")
_FILTERED: Final = ("severity", "at_ms")


def _waiting(name: str, *columns: str | TextClause) -> Index:
    """An index over the open items of each queue."""
    return Index(f"ix_items_{name}", "queue", *columns, sqlite_where=sql_text("state = 'open'"))


# The decision log: append-only. ``actor`` is staff:NAME, an account, or system; ``role`` what it acted as; ``rule`` the hash of the
# rule set that stopped the comment; ``reverses`` the decision that this one takes back; ``detail`` JSON of the rest.
decisions: Final = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    whole("at_ms", None),
    text("actor", default=None),
    text("role", default=None),
    whole("automated"),
    text("what", default=None),
    text("code", default=None),
    text("basis", default=None),
    text("rule"),
    text("room"),
    whole("seq"),
    whole("item"),
    text("account"),  # whose comment, report or function it is about
    whole("reverses"),
    whole("until_ms"),
    text("request"),  # the key of the request that asked for it: the same request again decides nothing anew
    Column("detail", LargeBinary, nullable=False),
    Index("uq_decisions_request", "actor", "request", unique=True, sqlite_where=sql_text("request != ''")),
    Index("ix_decisions_reverses", "reverses", sqlite_where=sql_text("reverses != 0")),
    Index(None, "item"),
    Index(None, "room", "seq"),
    Index(None, "actor", "id"),
    Index(None, "account", "id"),
    Index(None, "what", "id"),
    Index(None, "code", "id"),
    Index(None, "at_ms"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# What a decision does in a room's log: written with the decision, done after it, again at the next start if a crash came between.
# The draft's key is made of the decision's id, so that doing it twice is doing it once.
effects: Final = Table(
    "effects",
    metadata,
    Column("decision", Integer, ForeignKey("decisions.id"), primary_key=True),
    text("kind", default=None),  # publish, remove, restore, notice
    Column("draft", LargeBinary, nullable=False),
    whole("done_ms"),
    whole("seq"),  # the event that it became
    text("failure"),  # the code of errors.py, when the log refused it for good
    Index("ix_effects_open", "decision", sqlite_where=sql_text("done_ms = 0")),
    sqlite_strict=True,
)

# What waits for a decision. ``source`` names what it is about: s:ID a held comment, c:ROOM:SEQ a reported comment, r:ROOM a room,
# w:ID a swarm, d:ID a decision to be judged again. At most one open item of a source in a queue.
items: Final = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),
    text("queue", CheckConstraint("queue IN ('held', 'news', 'report', 'swarm', 'second')", name="queue"), default=None),
    text("source", default=None),
    text("room"),
    whole("seq"),
    text("account"),
    text("author_id"),
    text("author_name"),
    text("text"),
    text("digest"),  # equal texts in a form without width, case and spaces: decided together
    text("code"),  # what stopped it, or what most reports say
    text("rule"),  # hash of the rule set
    Column("verdict", LargeBinary, nullable=False, server_default=sql_text("x''")),  # JSON: the reasons with rules and spans
    Column("draft", LargeBinary, nullable=False, server_default=sql_text("x''")),  # JSON: the comment as it would be published
    whole("severity"),  # 0 to 100
    whole("reach"),  # viewers of the room when it came
    whole("reports"),
    Column("weight", REAL, nullable=False, server_default="0"),  # sum of the reporters' accuracies
    Column("priority", REAL, nullable=False, server_default="0"),  # severity x reach x weight: the higher, the sooner
    whole("at_ms", None),
    whole("due_ms"),
    text("state", CheckConstraint("state IN ('open', 'decided', 'withdrawn')", name="state"), default="open"),
    text("claimed_by"),
    whole("claimed_ms"),  # since when: handling times are measured from it
    whole("lease_until_ms"),
    text("barred"),  # who may not decide it: the one whose decision is judged again
    whole("version"),  # counts every change of state or claim: a decision names the version that was looked at
    whole("decision"),
    whole("decided_ms"),
    # The order of a queue, whole and by each filter, with what the other filters ask for: so rows that a filter leaves out are not
    # read. The lease is in none of them: a claim changes no more than it has to.
    _waiting("next", *_ORDER, *_FILTERED, "room", "code", "author_id"),
    _waiting("of_room", "room", *_ORDER, *_FILTERED, "code", "author_id"),
    _waiting("of_code", "code", *_ORDER, *_FILTERED, "room", "author_id"),
    _waiting("of_author", "author_id", *_ORDER, *_FILTERED, "room", "code"),
    _waiting("leased", "lease_until_ms"),
    _waiting("due", "due_ms"),
    _waiting("since", "at_ms"),
    _waiting("digest", "digest"),
    Index("ix_items_claimed", "claimed_by", "lease_until_ms", sqlite_where=sql_text("state = 'open'")),
    Index("uq_items_source", "queue", "source", unique=True, sqlite_where=sql_text("state = 'open'")),
    Index(None, "room", "seq"),
    Index(None, "account", "id"),
    Index(None, "decided_ms"),
    Index(None, "at_ms", "queue"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# A report of the public, by the receipt that its sender has.
receipts: Final = Table(
    "receipts",
    metadata,
    Column("receipt", Text, primary_key=True),
    whole("item", None),
    whole("at_ms", None),
    whole("due_ms", None),
    text("reason", default=None),
    text("account"),  # of who was signed in
    text("outcome"),  # upheld, unfounded, malicious
    text("code"),
    whole("decision"),
    whole("decided_ms"),
    whole(
        "words"
    ),  # the id of the report in barrage.db if its sender wrote something, which stands there alone; 0: they did not
    Index(None, "item"),
    Index("ix_receipts_words", "item", "words", sqlite_where=sql_text("words != 0")),
    Index(None, "at_ms"),
    Index("ix_receipts_account", "account", sqlite_where=sql_text("account != ''")),
    Index("ix_receipts_due", "due_ms", sqlite_where=sql_text("decided_ms = 0")),
    sqlite_strict=True,
)

# Up to which record of barrage.db each intake has read.
places: Final = Table(
    "places",
    metadata,
    Column("name", Text, primary_key=True),
    whole("place", None),
    sqlite_strict=True,
)

# Who looked at what (inspection, patrol, search, records): append-only.
views: Final = Table(
    "views",
    metadata,
    Column("id", Integer, primary_key=True),
    whole("at_ms", None),
    text("actor", default=None),
    text("role", default=None),
    text("action", default=None),
    text("subject"),
    text("case_number"),
    text("detail"),
    Index(None, "case_number", "id"),
    Index(None, "actor", "id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
