"""The screening as the server holds it: the rules in force, exchanged by one reference while comments go on.

Compiling, checking and writing happen in threads; the exchange is an assignment on the event loop, and the last step: whatever fails
before leaves the old rules in force. ``DATA/rules`` keeps every set of rules that was in force, and the emergency terms.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from filters import STARTER_PACK
from filters.book import Change, Prepared, RuleBook, append, history, records
from filters.config import ScreeningConfig
from filters.lexicon import Lexicon
from filters.pipeline import Pipeline
from filters.rules import RuleError, loads
from server.control import DataFolderError
from server.errors import ConfigError, Refusal

EMERGENCY: Final = "emergency.jsonl"
_RETRY_MS: Final = 2000
_CATCH_UP_S: Final = 0.05
_STEP_S: Final = 0.001

log = structlog.get_logger("screening")


class Emergency(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``emergency.jsonl``, the last being in force: which terms, since when, by whom. ``source`` empty: none."""

    at_ms: int
    by: str
    source: str


class Screening:
    """Owns the rule book; implements ``server.http.services.Rules``. Belongs to the event loop; made before it serves anybody.

    ``rules_file`` (None: the starter pack) is what to start with. A file always wins at the start, since it stands in the settings;
    the pack gives way to what an operator has put into force. Raises ConfigError, DataFolderError.
    """

    def __init__(self, folder: Path, rules_file: Path | None, config: ScreeningConfig) -> None:
        self._emergency_file = folder / EMERGENCY
        self._changing = False
        self._emergency_order = asyncio.Lock()
        origin = rules_file or STARTER_PACK
        try:
            source = origin.read_text(encoding="utf-8")
            loads(source)
        except OSError as error:
            raise ConfigError(f"rules_file {origin}: cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise ConfigError(f"rules_file {origin}: {error}") from None
        try:
            past = history(folder)
            # Rules that came with a start were nobody's decision: another file, or the pack of a newer version, takes their place.
            insist = rules_file is not None or (bool(past) and past[-1].what == "start")
            self._book = RuleBook(folder, source, config, insist=insist, now_ms=_now_ms())
            emergencies = records(self._emergency_file, Emergency)
            self.emergency = emergencies[-1].source if emergencies else ""
            """The text of the emergency terms in force; empty: there are none."""
            self._book.overlay(self.emergency or None)
        except (OSError, ValueError) as error:
            raise DataFolderError(f"the rules kept in {folder} cannot be used: {error}") from None

    def current(self) -> Pipeline:
        """The pipeline in force; called for each comment."""
        return self._book.current

    async def run(self) -> None:
        """Until cancelled, do what comments left to be done after them, a millisecond at a time, so that nobody waits for it."""
        pause_s = _CATCH_UP_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = _CATCH_UP_S
            try:
                if self.current().catch_up(_STEP_S):
                    pause_s = _STEP_S
            except Exception:
                log.exception("catching up failed")

    async def reload(self, source: str, by: str) -> Change:
        """See ``Rules``."""
        return await self._exchange(lambda: source, by, "reload")

    async def rollback(self, by: str) -> Change:
        """See ``Rules``."""
        return await self._exchange(self._book.previous, by, "rollback")

    async def overlay(self, source: str | None, by: str) -> int:
        """See ``Rules``. Does not wait for a reload that is under way."""
        async with self._emergency_order:
            try:
                terms, lexicon = await asyncio.to_thread(self._keep_emergency, source, by)
            except (OSError, ValueError) as error:
                raise _refusal(error) from error
            self._book.overlay(lexicon)
            self.emergency = source or ""
        log.info("emergency terms in force", terms=terms)
        return terms

    async def history(self) -> list[Change]:
        """See ``Rules``."""
        try:
            return await asyncio.to_thread(self._book.history)
        except (OSError, ValueError) as error:
            raise _refusal(error) from error

    async def _exchange(self, find: Callable[[], str], by: str, what: str) -> Change:
        if self._changing:
            raise Refusal("rules_busy", retry_after_ms=_RETRY_MS)
        self._changing = True
        # Once it is begun it is finished, whether or not somebody waits for it: what is written down must come into force.
        return await asyncio.shield(asyncio.create_task(self._finish(find, by, what)))

    async def _finish(self, find: Callable[[], str], by: str, what: str) -> Change:
        try:
            prepared, change = await asyncio.to_thread(self._prepare, find, by, what)
            self._book.use(prepared)
        except (OSError, ValueError) as error:
            raise _refusal(error) from error
        finally:
            self._changing = False
        log.info("rules in force", rules=change.hash, previous=change.previous, pack=change.name, version=change.version)
        return change

    def _prepare(self, find: Callable[[], str], by: str, what: str) -> tuple[Prepared, Change]:
        """In a thread: the last thing that can fail is writing it down."""
        prepared = self._book.prepare(find())
        return prepared, self._book.record(prepared, by, _now_ms(), what)

    def _keep_emergency(self, source: str | None, by: str) -> tuple[int, Lexicon | None]:
        """In a thread: the number of terms, and what was compiled of them."""
        terms, lexicon = 0, None
        if source is not None:
            rules = loads(source, "emergency terms")
            terms = sum(len(rule.terms) for rule in rules.rule)
            if not terms:
                raise RuleError("emergency terms: there are none in it")
            lexicon = Lexicon(rules)
        append(self._emergency_file, Emergency(at_ms=_now_ms(), by=by, source=source or ""))
        return terms, lexicon


def _refusal(error: OSError | ValueError) -> Refusal:
    if isinstance(error, OSError):
        return Refusal("storage_unavailable", f"the rules could not be kept: {error.strerror}", retry_after_ms=_RETRY_MS)
    return Refusal("bad_rules", str(error))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
