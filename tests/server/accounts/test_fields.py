"""server/accounts/fields.py"""

from __future__ import annotations

import itertools
from typing import Final

import pytest
from sqlalchemy import MetaData

from server.accounts import tables
from server.accounts.fields import FIELDS, LEAST_RECORDS_DAYS, PURPOSE, PURPOSES, TERM, TERMS, VAULT, vault_fields
from server.moderation import tables as review
from server.settings import Settings
from server.store import schema

TECHNICAL: Final = {
    # Ids that are random, times, states and counters; the author's id of the room log is what links its rows to an account.
    "accounts.accounts": "id kind origin created_ms erased_ms",
    "accounts.nicknames": "id account from_ms until_ms",
    "accounts.ledger": "id account at_ms actor role kind data",
    "accounts.claims": "kind pepper account at_ms",
    "accounts.blacklist": "kind pepper measure since_ms until_ms",
    "accounts.vault_keys": "account kek wrapped created_ms",
    "accounts.vault_items": "account field data at_ms",
    "accounts.vault_requests": "id account fields reason asked_by asked_ms decided_by decided_ms granted read_ms",
    "accounts.verifications": "id account method at_ms result strength",
    "accounts.codes": "id purpose created_ms expires_ms attempts used_ms",
    "accounts.sessions": "holder created_ms seen_ms expires_ms stepped_up_ms",
    "accounts.logins": "provider return_to created_ms expires_ms",
    "accounts.measures": "id account rung code basis clause functions room seq at_ms until_ms ended_ms ended_how actor role "
    "automated",
    "accounts.appeals": "id measure account at_ms due_ms decided_ms decided_by upheld code basis",
    "accounts.letters": "id account at_ms kind read_ms",
    "accounts.documents": "document version sha256 from_ms",
    "accounts.document_texts": "document version language sha256 text",
    "accounts.followed": "room seq",
    "accounts.withdrawals": "account asked_ms after done_ms",
    "accounts.holds": "id scope reason case_number by at_ms released_ms released_by",
    "barrage.rooms": "id name title kind mode epoch created_ms started_ms video_url news owner slow_ms until_ms standing",
    "barrage.events": "room_id seq kind at_ms pos_ms author author_id mode color size salt text_hash target code basis role "
    "removed_by notice room_mode verdict connection label label_kind until_ms slow_ms",
    "barrage.keys": "key author room_id seq",
    "barrage.screened": "id room_id author key at_ms action code verdict pos_ms mode color size author_id connection label "
    "label_kind",
    "barrage.connections": "id author opened_ms closed_ms",
    "barrage.reports": "id receipt room_id seq at_ms reason account",
}
INSTITUTIONS: Final = {
    "accounts.public_accounts",
    "accounts.licences",
    "accounts.staff",
    "accounts.passkeys",
    "accounts.access_log",
}
"""Tables about institutions and about the platform's own staff; the notice is for those who comment and read."""


def columns(metadata: MetaData, database: str) -> set[str]:
    """``database.table.column`` for every column."""
    return {f"{database}.{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns}


def test_every_column_is_named_or_known_to_be_nothing_personal() -> None:
    """duty P5(2): no field is stored without a purpose; a new column fails here until somebody has answered what it is for."""
    stored = columns(tables.metadata, "accounts") | columns(schema.metadata, "barrage")
    places = {place for field in FIELDS for place in field.where.split() if ":" not in place}
    desk = {
        place for place in places if place.startswith("review.")
    }  # its other tables: tests/server/moderation/test_retention.py
    named = places - desk
    technical = {f"{table}.{column}" for table, names in TECHNICAL.items() for column in names.split()}
    about_others = {column for column in stored if column.rpartition(".")[0] in INSTITUTIONS}
    assert named <= stored
    assert desk <= columns(review.metadata, "review")
    assert not named & technical
    assert stored - named - technical - about_others == set()


def test_every_field_has_a_purpose_a_term_and_words_in_both_languages() -> None:
    """What the notice is written from is complete."""
    for field in FIELDS:
        assert field.purpose in PURPOSE
        assert field.term in TERM
    words = [[*(f.name for f in FIELDS), *(f.method for f in FIELDS), *(f.shown for f in FIELDS), *(t.words for t in TERMS)]]
    words += [[purpose.title, purpose.words, purpose.basis] for purpose in PURPOSES]
    for each in itertools.chain.from_iterable(words):
        assert each.zh
        assert each.en
        assert any("\u4e00" <= char <= "\u9fff" for char in each.zh)
        assert not any("\u4e00" <= char <= "\u9fff" for char in each.en)
        assert each.of("zh-CN") == each.zh
        assert each.of("en") == each.en


def test_no_place_is_named_twice() -> None:
    """One column has one purpose and one term."""
    places = [place for field in FIELDS for place in field.where.split()]
    assert len(places) == len(set(places))


def test_what_asks_for_consent_stands_in_the_vault() -> None:
    """Withdrawal deletes fields of the vault: whatever rests on consent is kept there, or thrown away within a day."""
    for purpose in PURPOSES:
        if purpose.consent:
            assert vault_fields(purpose.name)
            for field in FIELDS:
                if field.purpose == purpose.name and field.term != "short":
                    assert all(place.partition(":")[2] in VAULT for place in field.where.split())


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_terms_name_settings(term: object) -> None:
    """A term with a setting has its number of days from there; the law's least is in the setting's bounds."""
    assert isinstance(term, type(TERMS[0]))
    days = term.days(Settings())
    assert (days > 0) == bool(term.setting)
    assert ("{days}" in term.words.en) == ("{days}" in term.words.zh) == bool(term.setting)
    if term.name == "records":
        assert days >= LEAST_RECORDS_DAYS
