"""server/accounts/events.py"""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from server.accounts import events
from server.accounts.events import AccountEvent, Consented, Counted, Measured, Opened, Verified

KINDS = {
    "opened", "verified", "verification_withdrawn", "signed", "lesson_taken", "consented", "consent_withdrawn", "counted",
    "discounted", "measured", "lifted", "appealed", "appeal_decided", "nickname_changed", "public_step", "public_approval", "erased",
}  # fmt: skip
"""Kinds that stand in ledgers out there: one may be added, none renamed or taken away."""


def tag(event: type[msgspec.Struct]) -> str:
    found = event.__struct_config__.tag
    assert isinstance(found, str)
    return found


def test_kinds_are_never_renamed() -> None:
    """Every kind that a ledger may hold is still known, and no two share a name."""
    tags = [tag(each) for each in get_args(AccountEvent)]
    assert len(tags) == len(set(tags))
    assert set(tags) >= KINDS


@pytest.mark.parametrize("kind", get_args(AccountEvent), ids=tag)
def test_an_event_is_read_as_it_was_written(kind: type[msgspec.Struct]) -> None:
    """Each kind, with a value in every field, comes back the same from its bytes."""
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        allowed = [each for each in get_args(field.type) if isinstance(each, str)]
        plain: dict[object, object] = {str: "x", int: 7, bool: True}
        values[field.name] = plain.get(field.type, allowed[-1] if allowed else ())
    event: AccountEvent = kind(**values)  # type: ignore[assignment] # one of the union
    data = events.encode(event)
    assert events.decode(data) == event
    assert msgspec.json.decode(data)["kind"] == tag(kind)


def test_fields_that_were_added_later_have_their_defaults() -> None:
    """Entries of an older server, without newer fields, are read; fields of a newer one are passed over."""
    assert events.decode(b'{"kind":"opened"}') == Opened()
    assert events.decode(b'{"kind":"consented","purpose":"p","version":"1","mood":"good"}') == Consented(
        purpose="p", version="1"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"kind":"nonsense"}',
        b'{"kind":"verified"}',
        b'{"kind":"verified","method":1}',
        b'{"kind":"signed","document":"x"}',
    ],
)
def test_what_is_no_event_is_not_read(data: bytes) -> None:
    """A missing or unknown kind, a missing field and a wrong type are errors."""
    with pytest.raises(msgspec.DecodeError):
        events.decode(data)


def test_an_entry_of_an_event_is_small() -> None:
    """A line of the ledger costs some hundred bytes at most."""
    assert len(events.encode(Verified(method="phone"))) < 60
    assert len(events.encode(Counted(what="removal.L", ref="m-0123456789abcdef0123"))) < 90
    measure = Measured(
        measure="m-0123456789abcdef0123", rung="suspend", code="L8", basis="b" * 40, clause="citizens_rights", until_ms=1
    )
    assert len(events.encode(measure)) < 300
