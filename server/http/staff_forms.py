"""What staff type into forms, as values: days, lists, numbers. And the faults of the books and the vault as refusals."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import zoneinfo
from collections.abc import Iterator
from typing import Final

from starlette.requests import Request

from server.accounts.vault_keys import VaultError
from server.errors import Refusal, StoreError, StoreUnknown
from server.http.requests import services

DAY_MS: Final = 86_400_000
_NUMBER: Final = re.compile(r"[0-9]{1,15}\Z", re.ASCII)


def day(request: Request, text: str, name: str = "day") -> int:
    """The begin of a day where the site is, as Unix ms. Raises Refusal ``bad_message``."""
    try:
        found = dt.date.fromisoformat(text)
        zone = zoneinfo.ZoneInfo(services(request).settings.time_zone)
        return int(dt.datetime(found.year, found.month, found.day, tzinfo=zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Refusal("bad_message", f"{name}: YYYY-MM-DD") from None


def names(text: str) -> tuple[str, ...]:
    """The words of a list, with spaces, commas or line ends between them, each once."""
    return tuple(dict.fromkeys(re.split(r"[\s,，、;；]+", text.strip()))) if text.strip() else ()


def number(text: str, name: str) -> int:
    """A whole number; 0 for an empty text. Raises Refusal ``bad_message``."""
    text = text.strip()
    if text and not _NUMBER.match(text):
        raise Refusal("bad_message", f"{name}: a whole number")
    return int(text or 0)


@contextlib.contextmanager
def stored(what: str) -> Iterator[None]:
    """Faults of a book, of the vault or of the disk, as refusals."""
    try:
        yield
    except StoreUnknown as error:
        raise Refusal("outcome_unknown", retry_after_ms=1000) from error
    except (StoreError, VaultError, OSError) as error:
        raise Refusal("storage_unavailable", what, retry_after_ms=1000) from error
