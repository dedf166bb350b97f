"""Inspections at work: scoped pages for those who may look, and bundles for the authority.

Reading goes through whole logs, so it has a thread of its own; one bundle is made at a time. A view is recorded before anything is
read for it, and a bundle before anybody gets it. Bundles lie in ``exports`` of the data folder until they are fetched. What a crash
left there is deleted at the next start, what a broken download left when a bundle is made :data:`LEFT_S` later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from server.errors import Refusal
from server.moderation import inspection
from server.moderation.bundle import BundleWriter
from server.moderation.inspection import Inspection
from server.moderation.scoped import PARTS, Part, Record, Sources, records
from server.signing import SigningKey
from static_mirror.excerpt import excerpt
from static_mirror.layout import PAGE_ROWS, STYLE_NAME, comments_folder, page_name, page_of

PAGE_RECORDS: Final = 50
RECORDS_MAX: Final = 500_000
"""Records of one kind in a bundle, and how far pages go; more ask for a narrower scope."""
LEFT_S: Final = 3600.0
"""No download of a bundle takes longer to begin; one that goes on keeps its file open."""


class Seen(NamedTuple):
    """One page of records. ``more``: there are further ones."""

    inspection: Inspection
    records: list[Record]
    more: bool


class Made(NamedTuple):
    """A bundle that was made and recorded; whoever gets it deletes ``path``."""

    path: Path
    manifest_sha256: str
    counts: dict[str, int]


class Inspections:
    """Belongs to the event loop. ``key`` signs; ``site`` is the site's name or address, as bundles state it."""

    def __init__(self, sources: Sources, key: SigningKey, data_dir: Path, site: str) -> None:
        self.key: Final = key
        self._sources = sources
        self._pages = data_dir / "pages"
        self._exports = data_dir / "exports"
        self._site = site
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inspections")
        self._one = asyncio.Lock()
        for left in self._exports.glob("*.zip"):
            left.unlink()

    async def page(self, name: str, part: str, after: int, *, actor: str, role: str) -> Seen:
        """Up to :data:`PAGE_RECORDS` records of a kind, after so many others; the view is recorded first.

        Raises Refusal ``not_found``, ``forbidden``, ``bad_message``; StoreError.
        """
        kind = _part(part)
        if after > RECORDS_MAX:
            raise Refusal("bad_message", "after: narrow the scope")
        detail = f"from {after + 1}"
        found = await self._sources.book.write(lambda tx: inspection.look(tx, name, kind, detail, actor=actor, role=role))

        def read() -> list[Record]:
            return list(islice(records(self._sources, found.scope, kind), after, after + PAGE_RECORDS + 1))

        rows = await asyncio.get_running_loop().run_in_executor(self._thread, read)
        return Seen(found, rows[:PAGE_RECORDS], len(rows) > PAGE_RECORDS)

    async def export(self, name: str, *, actor: str, role: str) -> Made:
        """Make a bundle of everything within the scope. Raises Refusal ``not_found``, ``forbidden``, ``too_large`` (narrow the
        scope); StoreError; OSError when the disk does not take it."""
        loop = asyncio.get_running_loop()
        async with self._one:
            found = await self._sources.book.write(
                lambda tx: inspection.look(tx, name, "export", "begun", actor=actor, role=role)
            )
            made_ms = await self._sources.book.write(lambda tx: tx.now_ms)
            path = self._exports / f"{found.id}-{made_ms}.zip"
            try:
                made = await loop.run_in_executor(self._thread, lambda: self._make(path, found, made_ms, actor))
                total = sum(made.counts.values())
                await self._sources.book.write(
                    lambda tx: inspection.exported(tx, name, made.manifest_sha256, total, actor=actor, role=role)
                )
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            return made

    def _make(self, path: Path, found: Inspection, made_ms: int, actor: str) -> Made:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        for left in self._exports.glob("*.zip"):
            with contextlib.suppress(FileNotFoundError):  # fetched and deleted at this moment
                if left.stat().st_mtime < time.time() - LEFT_S:
                    left.unlink()
        seen: dict[str, set[int]] = {}
        with BundleWriter(path) as writer:
            path.chmod(0o600)
            for part in PARTS:
                writer.add_records(f"{part}.jsonl", self._bounded(found, part, seen))
            self._add_pages(writer, seen)
            about = _about(found) | {"made_by": actor}
            manifest, digest = writer.finish(self._site, made_ms, about, self.key)
        return Made(path, digest, manifest.counts)

    def _bounded(self, found: Inspection, part: Part, seen: dict[str, set[int]]) -> Iterator[Record]:
        """The records of one kind; of events, ``seen`` learns which they are, by room."""
        for count, record in enumerate(records(self._sources, found.scope, part)):
            if count >= RECORDS_MAX:
                raise Refusal("too_large", f"more than {RECORDS_MAX} {part}: narrow the scope")
            if part == "events":
                seen.setdefault(record["room"], set()).add(record["seq"])
            yield record

    def _add_pages(self, writer: BundleWriter, seen: dict[str, set[int]]) -> None:
        style = self._pages / "assets" / STYLE_NAME
        if seen and style.is_file():
            writer.add_file(f"pages/assets/{STYLE_NAME}", style.read_bytes())
        for room in sorted(seen):
            kept, folder = seen[room], comments_folder(self._pages, room)
            for number in sorted({page_of(seq) for seq in kept}):
                page = (folder / page_name(number)).read_bytes()
                first = number * PAGE_ROWS
                whole = all(seq in kept for seq in range(first + 1, first + PAGE_ROWS + 1))
                writer.add_file(
                    f"pages/rooms/{room}/comments/{page_name(number)}", page if whole else excerpt(page, kept.__contains__)
                )

    def close(self) -> None:
        """Release the thread; what it is at ends first."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def _part(name: str) -> Part:
    for part in PARTS:
        if part == name:
            return part
    raise Refusal("not_found", "no such part of an inspection")


def _about(found: Inspection) -> dict[str, Any]:
    """What a manifest says of the inspection."""
    plain: dict[str, Any] = msgspec.to_builtins(found)
    names = ("id", "case_number", "reason", "scope", "asked_by", "asked_ms", "decided_by", "decided_ms", "expires_ms")
    return {"inspection" if name == "id" else name: plain[name] for name in names}
