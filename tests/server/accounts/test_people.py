"""server/accounts/people.py"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from filters.verdict import Action
from server.accounts import licences
from server.accounts import people as module
from server.accounts.book import Accounts, Transaction
from server.accounts.people import People
from server.errors import ConfigError, Refusal, StoreUnavailable
from server.settings import Settings
from tests.support.accounts import Clock, person
from tests.support.waiting import eventually


@contextmanager
def opened(folder: Path) -> Iterator[People]:
    """People over a new book."""
    found = People.open(Settings(data_dir=folder), Clock())
    try:
        yield found
    finally:
        found.close()


def broken(*given: Any) -> Any:
    """A work that finds the database gone."""
    raise StoreUnavailable("the disk is gone")


async def test_a_standing_comes_from_the_book(tmp_path: Path) -> None:
    """Of an account that wrote nothing yet it is the default one, of any other what its ledger says."""
    with opened(tmp_path) as people:
        assert (await people.standing("stranger")).last == 0

        def work(tx: Transaction) -> str:
            return person(tx, "a-1")

        await people.book.write(work)
        assert (await people.standing("a-1")).verified == "phone"


async def test_what_cannot_be_read_is_refused_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the book is a temporary refusal, and readiness can say why; the next answer of the book takes it back."""
    with opened(tmp_path) as people:
        assert people.trouble == ""
        with monkeypatch.context() as patch:
            patch.setattr(people.book._file, "read_now", broken)
            with pytest.raises(Refusal) as refusal:
                await people.standing("a-1")
        assert (refusal.value.code.name, refusal.value.retry_after_ms) == ("storage_unavailable", 1000)
        assert people.trouble == "the disk is gone"
        await people.standing("a-1")
        assert people.trouble == ""


async def test_a_book_in_trouble_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No balancer sends traffic to a process that is not ready, so the book is asked without any."""
    monkeypatch.setattr(module, "PROBE_S", 0.0)
    with opened(tmp_path) as people:
        looking = asyncio.create_task(people.run())
        with monkeypatch.context() as patch:
            patch.setattr(people.book, "_transact", broken)
            with pytest.raises(StoreUnavailable):
                await people.book.write(broken)
            await asyncio.sleep(0.02)
            assert people.trouble
        await eventually(lambda: not people.trouble)
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def test_what_was_begun_is_committed_at_the_end(tmp_path: Path) -> None:
    """A drain waits for the transactions under way."""
    with opened(tmp_path) as people:
        writing = asyncio.create_task(people.book.write(lambda tx: person(tx, "a-1")))
        await asyncio.sleep(0)
        await people.drain()
        assert people.book.standings.get("a-1") is not None
        await writing


def test_a_part_that_cannot_be_built_leaves_the_book_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the threads are released, and the error is told."""
    closed: list[bool] = []

    def fail(*_: Any) -> None:
        raise ConfigError("a part")

    monkeypatch.setattr(People, "__init__", fail)
    monkeypatch.setattr(Accounts, "close", lambda book: closed.append(True))
    with pytest.raises(ConfigError):
        People.open(Settings(data_dir=tmp_path), Clock())
    assert closed == [True]


async def test_keys_of_another_data_folder_stop_the_start(tmp_path: Path) -> None:
    """When the file of the vault's keys is lost or replaced, the start fails and says what to put back, until it is there again."""
    with opened(tmp_path) as people:

        def work(tx: Transaction) -> None:
            people.vault.put(tx, person(tx, "a-1"), "phone", "+8613912345678")

        await people.book.write(work)
    keys = (tmp_path / "vault.keys").rename(tmp_path / "vault.keys.old")
    with pytest.raises(ConfigError, match="Put back the file of keys"), opened(tmp_path):
        pass
    keys.rename(tmp_path / "vault.keys")
    with opened(tmp_path) as people:
        assert people.book.read_now(lambda connection: people.vault.read(connection, "a-1", "phone")) == "+8613912345678"


def test_an_agreement_is_required_unless_the_site_says_otherwise(tmp_path: Path) -> None:
    """The version in force is what must be signed; the setting takes the condition away."""
    with opened(tmp_path) as people:
        assert people.required == people.agreements.current().version != ""
    found = People.open(Settings(data_dir=tmp_path, agreement_required=False), Clock())
    assert found.required == ""
    found.close()


def test_a_process_without_a_screening_takes_no_nickname() -> None:
    """Nobody has judged it, so it is refused."""
    assert module.refuse_all("小明").action is Action.REFUSE


async def test_the_ends_of_licences_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A licence that ends soon is told in the log; a book that fails does not end the watch, and the next look is told."""
    monkeypatch.setattr(module, "LICENCES_S", 0.0)
    with opened(tmp_path) as people, capture_logs() as logs:
        now_ms = people.clock_ms()

        def record(tx: Transaction) -> str:
            return licences.record(
                tx, holder=licences.PROVIDER, kind="news", number="1", issuer="office", features=("news",), valid_from_ms=1,
                valid_until_ms=now_ms + licences.DAY_MS // 2, actor="staff:x", role="operator",
            )  # fmt: skip

        await people.book.write(record)
        with monkeypatch.context() as patch:
            patch.setattr(people.book, "_transact", broken)
            watching = asyncio.create_task(people.watch_licences())
            await eventually(lambda: any(entry["event"] == "licences could not be looked after" for entry in logs))
        await eventually(lambda: any(entry["event"] == "a licence ends" for entry in logs))
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    events = [entry["event"] for entry in logs]
    assert "licences could not be looked after" in events
    assert events.count("a licence ends") == 1
