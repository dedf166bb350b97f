"""server/moderation/inspecting.py"""

from __future__ import annotations

import os
import random
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.errors import Refusal
from server.moderation import inspection
from server.moderation.bundle_check import verify
from server.moderation.inspecting import PAGE_RECORDS
from server.moderation.inspection import Scope
from tests.support.accounts import START_MS
from tests.support.inspected import APPROVED, ASKED, COMMENTS, INSPECTOR, SECOND_MS, World, span, world


@pytest.fixture
def found(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def lines(bundle: Path, name: str) -> list[dict[str, Any]]:
    with zipfile.ZipFile(bundle) as archive:
        return [orjson.loads(line) for line in archive.read(name).splitlines()]


async def test_pages_are_short_and_each_is_recorded(found: World) -> None:
    """Page by page to the end, each a line of the record before it is read."""
    name = found.allow(span(rooms=("a",)))
    seen, after, more = [], 0, True
    while more:
        page = await found.inspections.page(name, "events", after, **INSPECTOR)
        seen += [record["seq"] for record in page.records]
        after, more = len(seen), page.more
    assert seen == list(range(1, COMMENTS + 5))
    views = found.sources.book.read_now(lambda c: inspection.views_of(c, "网信检〔2026〕7号"))
    assert [view.detail for view in reversed(views)] == [f"from {at + 1}" for at in range(0, len(seen), PAGE_RECORDS)]
    for part, after, code in (("secrets", 0, "not_found"), ("events", 10**9, "bad_message")):
        with pytest.raises(Refusal) as caught:
            await found.inspections.page(name, part, after, **INSPECTOR)
        assert caught.value.code.name == code


async def test_duty_p5_8_a_bundle_holds_what_is_within_the_scope_and_verifies(found: World) -> None:
    """Records and pages of it, signed; it is recorded who took it, and who does not may not."""
    name = found.allow(span(rooms=("a",), until_ms=START_MS + 10 * SECOND_MS))
    made = await found.inspections.export(name, **ASKED)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    check = verify(made.path, found.inspections.key.public)
    assert check.problems == []
    assert check.manifest is not None
    assert check.manifest.counts == made.counts == {
        "events": 10, "screened": 0, "decisions": 0, "reports": 0, "measures": 0,
    }  # fmt: skip
    about = check.manifest.about
    assert (about["case_number"], about["asked_by"], about["decided_by"], about["made_by"]) == (
        "网信检〔2026〕7号", "staff:carl", "staff:olga", "staff:carl",
    )  # fmt: skip
    assert [event["text"] for event in lines(made.path, "events.jsonl")] == [f"text-a-{at}." for at in range(1, 11)]
    (record,) = found.sources.book.read_now(lambda c: inspection.exports_of(c, name))
    assert (record.manifest_sha256, record.records, record.actor) == (check.manifest_sha256, 10, "staff:carl")
    with pytest.raises(Refusal):
        await found.inspections.export(name, actor="staff:ivo", role="inspector")


async def test_duty_p5_8_nothing_outside_the_scope_is_in_a_bundle(found: World) -> None:
    """Over random scopes, each text that was ever written is in the bundle exactly when its room, account, time and code are within
    the scope: in records and in pages."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(12):
        since = START_MS + chance.choice((-1, 0, 50, 250, 399)) * SECOND_MS
        scope = Scope(
            since_ms=since, until_ms=since + chance.choice((10, 200, 1_000)) * SECOND_MS,
            rooms=chance.choice(((), ("a",), ("b",), ("a", "b"))), accounts=chance.choice(((), ("ann",), ("bob", "cyd"))),
            codes=chance.choice(((), (), ("S1",), ("L8",))),
        )  # fmt: skip
        if not (scope.rooms or scope.accounts or scope.codes):
            continue
        made = await found.inspections.export(found.allow(scope), **ASKED)
        assert verify(made.path).problems == []
        data = made.path.read_bytes()
        for text, (room, account, at_ms, codes) in found.texts.items():
            within = (
                scope.since_ms <= at_ms < scope.until_ms
                and (not scope.accounts or account in scope.accounts)
                and (not scope.rooms or room in scope.rooms or (not room and account in scope.accounts))
                and (not scope.codes or bool(codes & set(scope.codes)))
            )
            assert (text.encode() in data) == within, (seed, scope, text)
        made.path.unlink()


async def test_pages_of_a_bundle_are_the_sites_own(found: World) -> None:
    """A page that is wholly within the scope is there as it is, with its seal; of another the other rows are left out, and said."""
    made = await found.inspections.export(found.allow(span(rooms=("a", "b"))), **ASKED)
    original = (found.data_dir / "pages/rooms/a/comments/0.html").read_bytes()
    with zipfile.ZipFile(made.path) as archive:
        assert archive.read("pages/rooms/a/comments/0.html") == original
        assert b"notice-a." in archive.read("pages/rooms/a/comments/1.html")
        assert archive.read("pages/assets/pages.css") == (found.data_dir / "pages/assets/pages.css").read_bytes()
    part = await found.inspections.export(found.allow(span(rooms=("a",), accounts=("ann",))), **ASKED)
    with zipfile.ZipFile(part.path) as archive:
        page = archive.read("pages/rooms/a/comments/0.html")
    assert b"text-a-1." in page
    assert b"text-a-2." not in page
    assert b"left out: not within the scope" in page


async def test_a_bundle_that_was_not_recorded_is_not_there(found: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revoked meanwhile, too much, or not to be read: nothing stays in the folder; what a crash left goes at the next start."""
    name = found.allow(span(rooms=("a",)))
    monkeypatch.setattr("server.moderation.inspecting.RECORDS_MAX", 10)
    with pytest.raises(Refusal) as caught:
        await found.inspections.export(name, **ASKED)
    assert caught.value.code.name == "too_large"
    monkeypatch.undo()

    def revoke(*given: Any) -> None:
        found.sources.book.write_now(lambda tx: inspection.revoke(tx, name, "stop", **APPROVED))

    monkeypatch.setattr(found.inspections, "_add_pages", revoke)
    with pytest.raises(Refusal) as caught:
        await found.inspections.export(name, **ASKED)
    assert caught.value.code.name == "forbidden"
    assert list((found.data_dir / "exports").iterdir()) == []
    left = found.data_dir / "exports" / "left.zip"
    left.write_bytes(b"half")
    monkeypatch.undo()
    renewed = found.allow(span(rooms=("a",)))
    (await found.inspections.export(renewed, **ASKED)).path.unlink()
    assert left.exists()
    os.utime(left, (1, 1))
    (await found.inspections.export(renewed, **ASKED)).path.unlink()
    assert not left.exists()
    left.write_bytes(b"half")
    type(found.inspections)(found.sources, found.inspections.key, found.data_dir, "x").close()
    assert list((found.data_dir / "exports").iterdir()) == []
