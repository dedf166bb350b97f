"""server/moderation/scoped.py"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from server.moderation.inspection import Scope
from server.moderation.scoped import PARTS, Part, records
from tests.support.accounts import START_MS
from tests.support.inspected import COMMENTS, SECOND_MS, World, span, world


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("scoped")) as made:
        yield made


def rows(found: World, part: Part, **scope: Any) -> list[dict[str, Any]]:
    return list(records(found.sources, span(**scope), part))


def test_events_of_a_room_come_whole_and_in_order(found: World) -> None:
    """Comments with account and text, removed ones too; removals, restorations and notices with what they concern."""
    events = rows(found, "events", rooms=("a",))
    assert [event["seq"] for event in events] == list(range(1, COMMENTS + 5))
    third = events[2]
    assert (third["text"], third["account"], third["removed_by"], third["code"]) == ("text-a-3.", "cyd", COMMENTS + 1, "S1")
    removal, _, restoration, notice = events[COMMENTS:]
    assert (removal["kind"], removal["target"], removal["account"], removal["code"]) == ("removal", 3, "cyd", "S1")
    assert (restoration["kind"], restoration["target"], restoration["account"]) == ("restoration", 7, "ann")
    assert "text" not in restoration
    assert (notice["kind"], notice["text"], notice["account"]) == ("notice", "notice-a.", "")


def test_a_time_span_is_met_to_the_millisecond(found: World) -> None:
    """From its begin on, up to its end; found by halving, not by reading all."""
    since = START_MS + 100 * SECOND_MS
    events = rows(found, "events", rooms=("a",), since_ms=since, until_ms=since + 10 * SECOND_MS)
    assert [event["seq"] for event in events] == list(range(101, 111))
    assert rows(found, "events", rooms=("a",), since_ms=START_MS + 9 * 10**6, until_ms=START_MS + 10**7) == []
    assert rows(found, "events", rooms=("none",)) == []


def test_accounts_and_codes_narrow_every_kind(found: World) -> None:
    """By whose it is and by what it was removed, refused, reported or decided for; reporters and addresses are not told."""
    assert {event["account"] for event in rows(found, "events", accounts=("ann",))} == {"ann"}
    assert [(event["room"], event["seq"], event["kind"]) for event in rows(found, "events", codes=("S1",))] == [
        ("a", 3, "comment"), ("a", COMMENTS + 1, "removal"), ("b", 2, "comment"), ("b", 13, "removal"),
    ]  # fmt: skip
    for part in PARTS[1:]:
        assert len(rows(found, part, codes=("L8", "S1"))) == 2, part
        assert len(rows(found, part, codes=("L8",))) == 1, part
        assert len(rows(found, part, accounts=("ann",))) == {"reports": 2}.get(part, 1), part
    (report,) = rows(found, "reports", rooms=("a",))
    assert report["outcome"] == "upheld"
    assert not {"address", "port", "reporter"} & set(report)
    (held,) = rows(found, "screened", rooms=("b",), accounts=("ann", "bob"))
    assert (held["text"], held["action"], held["code"]) == ("held-b-bob.", "held", "L8")


def test_measures_have_no_room(found: World) -> None:
    """A scope of rooms covers one only if it names the account."""
    assert rows(found, "measures", rooms=("a",)) == []
    assert [measure["account"] for measure in rows(found, "measures", rooms=("a",), accounts=("ann",))] == ["ann"]


def test_long_lists_are_read_in_pieces(found: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a piece, the records are the same."""
    scope = Scope(since_ms=START_MS, until_ms=START_MS + 10**7, codes=("S1", "L8", "L5"))
    whole = [list(records(found.sources, scope, part)) for part in PARTS]
    monkeypatch.setattr("server.moderation.scoped._ROWS", 1)
    assert [list(records(found.sources, scope, part)) for part in PARTS] == whole
