"""Commands on a data folder that holds one verified account."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from server.__main__ import main
from server.accounts import tables
from server.accounts.book import Accounts, Transaction
from tests.support.accounts import person

Barrage = Callable[..., Result]


def barrage_on(data: Path, monkeypatch: pytest.MonkeyPatch) -> Barrage:
    """Runs a command on the folder, made here with the account a-1 (nickname 小明), as the person ``user``."""
    for name in [name for name in os.environ if name.startswith("BARRAGE_")]:
        monkeypatch.delenv(name)
    data.mkdir()

    def work(tx: Transaction) -> None:
        person(tx)
        tx.sql.execute(update(tables.accounts).values(nickname="小明"))

    in_book(data, work)

    def run(*arguments: str, code: int = 0, user: str = "alice") -> Result:
        monkeypatch.setattr("server.cli.getpass.getuser", lambda: user)
        result = CliRunner().invoke(main, [*arguments, "--data", str(data)], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


def in_book(data: Path, work: Callable[[Transaction], object]) -> None:
    """Write into the folder's book of accounts, while no command runs."""
    book = Accounts(data / "accounts.db", lambda: int(time.time() * 1000))
    try:
        book.write_now(work)
    finally:
        book.close()
