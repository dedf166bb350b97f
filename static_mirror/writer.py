"""The mirror: rows are appended to open pages on the hot path, whole pages are written beside it.

Threads
-------
:meth:`Mirror.append` and :meth:`Mirror.close` belong to one thread, that of the event loop, and alone touch the cache of
descriptors. :meth:`Mirror.add_room` and :meth:`Mirror.position` may be called from anywhere. The blocking methods
(:meth:`~Mirror.check`, :meth:`~Mirror.stands`, :meth:`~Mirror.clean` and those that write) run in worker threads;
a lock per room, :meth:`Mirror.exclusive`, keeps two of them from working on one room. They may run beside ``append`` of other
rooms; beside ``append`` of the same room only a *full* page and the index may be written, which are other files. Between the
threads lie, for each room, one reference (``_Room.open``, replaced whole) and, for all rooms, what the index remembers of
sealed pages (``IndexWriter``, which has a lock).

Order
-----
A removal changes a row that stands already. Its page is rewritten *before* the removal's own row is appended. So a removal
whose row stands on a page was done; one that a crash cut off has no row yet, and :func:`rebuild.repair` does it again.

Crash windows: ``append`` does not sync. When the process dies, rows that it returned for stay; a loss of power may cut the
open page anywhere, which ``check`` finds. ``write_page`` returns after everything is durable.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from static_mirror import layout
from static_mirror.files import MirrorError, explain, make_folder, read_file, read_tail, replace_file
from static_mirror.index import IndexWriter
from static_mirror.kept import Kept
from static_mirror.layout import PAGE_ROWS
from static_mirror.pages import SEAL_LIMIT, Renderer, RoomText, Span, read_seal, span_of
from static_mirror.rows import PageEvent

_STYLE: Final = resources.files("static_mirror").joinpath("assets", layout.STYLE_NAME).read_bytes()
_TRUSTED: Final = 8  # sealed pages in a row that must be whole before a cheap check believes the older ones
_WAITING: Final = 8  # full pages of a room whose rows are kept until they are sealed; further ones are sealed from the log


class _Open:
    """An open page as this process left it: what ``append`` must find before it adds to it.

    ``kept`` are all of its rows; None when they are not kept: some were written by an earlier process, or there is no room.
    """

    __slots__ = ("device", "inode", "kept", "page", "path", "position", "size")

    def __init__(self, path: str, page: int, position: int, status: os.stat_result, kept: Kept | None = None) -> None:
        self.path = path
        self.page = page
        self.position = position  # number of the last row on it, or before it
        self.size = status.st_size
        self.device = status.st_dev
        self.inode = status.st_ino
        self.kept = kept


class _Room:
    """``open`` is None while the open page is in doubt: unknown, or not as expected, or an append failed.

    ``full`` are the rows of full pages that wait for their seal. ``append`` adds to it; whoever writes such a page, from whatever
    source, takes its rows out under the lock: so they never outlive a change of the page.
    """

    __slots__ = ("folder", "full", "lock", "open", "text")

    def __init__(self, folder: Path, text: RoomText) -> None:
        self.folder = folder
        self.text = text
        self.lock = threading.RLock()
        self.open: _Open | None = None
        self.full: dict[int, Kept] = {}


class Mirror:
    """The pages folder ``root``, with times in zone ``tz`` and at most ``max_open`` page files kept open for appending.

    When one more is needed, the least recently used one is closed. Raises ValueError for an unknown zone, MirrorError when the
    folder cannot be written.
    """

    def __init__(self, root: Path, *, tz: str = "Asia/Shanghai", max_open: int = 256) -> None:
        self.root: Final = root
        self._renderer: Final = Renderer(tz)
        self._max_open: Final = max(1, max_open)
        self._rooms: Final[dict[str, _Room]] = {}
        self._descriptors: Final[OrderedDict[str, tuple[int, int]]] = OrderedDict()  # room -> descriptor, inode
        self._index: Final = IndexWriter(self._renderer)
        self._style_lock: Final = threading.Lock()
        self.write_style()

    def add_room(self, room: str, title: str) -> None:
        """Make a room known, or give it another title, which pages written from then on bear. No I/O.

        Nothing can be appended before :func:`rebuild.repair` has looked at its pages. Raises ValueError for a bad name.
        """
        text = RoomText(room, title)
        known = self._rooms.get(room)
        if known is None:
            self._rooms[room] = _Room(layout.comments_folder(self.root, room), text)
        else:
            known.text = text

    def position(self, room: str) -> int | None:
        """The number of the last row on disk; None while the room's open page is in doubt."""
        current = self._room(room).open
        return current.position if current else None

    def exclusive(self, room: str) -> contextlib.AbstractContextManager[object]:
        """Keeps other blocking work off the room's pages; for reading the log and writing a page as one step.

        Without it, rows read before a removal could be written after the page that shows it. Reentrant.
        """
        return self._room(room).lock

    def close(self) -> None:
        """Close all descriptors; idempotent. Nothing can be appended afterwards."""
        for known in list(self._rooms.values()):
            known.open = None
        for room in list(self._descriptors):
            self._release(room)

    # -- the hot path -------------------------------------------------------------------------------------------------

    def append(self, room: str, rows: Sequence[PageEvent]) -> list[int]:
        """Add rows at the end of the room's open page; return the pages that became full and are to be sealed.

        The rows have contiguous numbers. Those that stand on a page already are skipped. One write per page; nothing is synced.
        A full page stays as it is, valid and complete, until it is sealed. Raises MirrorError, after which the room must be
        repaired: its pages may hold none, some or all of the rows.
        """
        known = self._room(room)
        current = known.open
        if current is None:
            raise MirrorError(
                f"Room {room}: its open page is in doubt, nothing is appended until it was made again from the log."
            )
        full: list[int] = []
        done = max(0, current.position + 1 - rows[0].seq) if rows else 0
        try:
            while done < len(rows):
                end = (current.page + 1) * PAGE_ROWS
                chunk = rows[done : done + end - current.position]
                html = self._renderer.rows(known.text, chunk, current.position + 1)
                self._write(known, current, html)
                if current.position == current.page * PAGE_ROWS:
                    current.kept = Kept(html, chunk)
                elif current.kept is not None:
                    current.kept.add(html, chunk)
                current.position += len(chunk)
                done += len(chunk)
                if current.position == end:
                    full.append(current.page)
                    if current.kept is not None and len(known.full) < _WAITING:
                        known.full[current.page] = current.kept
                    current = self._begin(known, current.page + 1)
        except OSError as error:
            self._doubt(known)
            raise explain(error, current.path) from error
        except ValueError as error:
            self._doubt(known)
            raise MirrorError(f"Cannot append: {error}.") from error
        except BaseException:
            self._doubt(known)
            raise
        return full

    def _write(self, known: _Room, current: _Open, data: bytes) -> None:
        fd = self._descriptor(known, current)
        # Looked at by its name: this finds the file removed, moved away or replaced, and any change of its length.
        try:
            status = os.stat(current.path, follow_symlinks=False)
        except FileNotFoundError:
            raise MirrorError(f"{current.path} was removed while the server runs.") from None
        if status.st_ino != current.inode or status.st_dev != current.device:
            raise MirrorError(f"{current.path} was replaced while the server runs.")
        if status.st_size != current.size:
            raise MirrorError(f"{current.path} has {status.st_size} bytes where {current.size} were written.")
        written = os.write(fd, data)
        if written != len(data):
            # Readers need not see half a row until the page is made again; should this fail, they do.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, current.size)
            raise MirrorError(f"{current.path} took {written} of {len(data)} bytes: the disk or a quota is full. Free space.")
        current.size += written

    def _begin(self, known: _Room, page: int) -> _Open:
        """Create the page after a full one. It must not exist: what is there is not known."""
        self._release(known.text.name)
        path = str(known.folder / layout.page_name(page))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o644)
        except FileExistsError:
            raise MirrorError(f"{path} exists, though no event of it was written yet.") from None
        status = os.fstat(fd)
        self._keep(known.text.name, fd, status.st_ino)
        known.open = _Open(path, page, page * PAGE_ROWS, status)
        self._write(known, known.open, self._renderer.open_head(known.text, page))
        return known.open

    def _descriptor(self, known: _Room, current: _Open) -> int:
        room = known.text.name
        kept = self._descriptors.get(room)
        if kept is not None:
            if kept[1] == current.inode:
                self._descriptors.move_to_end(room)
                return kept[0]
            self._release(room)  # the page was rewritten since: the descriptor is that of its predecessor
        try:
            fd = os.open(current.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise MirrorError(f"{current.path} was removed while the server runs.") from None
        self._keep(room, fd, os.fstat(fd).st_ino)
        return fd

    def _keep(self, room: str, fd: int, inode: int) -> None:
        while len(self._descriptors) >= self._max_open:
            oldest = next(iter(self._descriptors))
            self._release(oldest)
            current = self._rooms[oldest].open
            if current is not None:
                current.kept = None  # the bound of descriptors is that of kept rows, too
        self._descriptors[room] = fd, inode

    def _release(self, room: str) -> None:
        kept = self._descriptors.pop(room, None)
        if kept is not None:
            os.close(kept[0])

    def _doubt(self, known: _Room) -> None:
        known.open = None
        self._release(known.text.name)

    # -- whole pages, in worker threads -------------------------------------------------------------------------------

    def write_page(self, room: str, page: int, rows: Sequence[PageEvent]) -> None:
        """Put a whole page in place, durably: sealed when it has all its rows, else open. Raises MirrorError.

        The one way in which pages are changed by removals, repaired and rebuilt, and sealed unless :meth:`seal` can. ``rows`` are
        all of the page's, in order (ValueError when not). An open page is the room's newest one, and appending goes on from it;
        so it does from the next page when the room's open page was written full.
        """
        known = self._room(room)
        with known.lock:
            if len(rows) > PAGE_ROWS:
                raise ValueError(f"a page has {PAGE_ROWS} rows, not {len(rows)}")
            full = len(rows) == PAGE_ROWS
            current = known.open
            if not full and current is not None and page < current.page:
                raise ValueError(f"page {page} of room {room} is full; it cannot be written with {len(rows)} rows")
            html = self._renderer.rows(known.text, rows, layout.first_seq(page))
            touches_open = not full or (current is not None and current.page == page)
            if touches_open:
                known.open = None
            known.full.pop(page, None)
            if full:
                self._put_sealed(known, page, html, span_of(rows))
                if touches_open:
                    self.write_page(room, page + 1, ())
            else:
                status = self._put(known, page, self._renderer.open_head(known.text, page) + html)
                kept = Kept(html, rows) if rows and current is not None and current.kept is not None else None
                path = str(known.folder / layout.page_name(page))
                known.open = _Open(path, page, page * PAGE_ROWS + len(rows), status, kept)

    def keeps(self, room: str, page: int) -> bool:
        """The page is full, stands as ``append`` wrote it, and :meth:`seal` can be used for it."""
        return page in self._room(room).full

    def seal(self, room: str, page: int) -> None:
        """Give a page that this mirror ``keeps`` its final form, durably, from the rows that were appended to it: a third of the
        work of ``write_page``. Damage that was done to the file since is gone afterwards, as it is not read.

        The caller holds ``exclusive`` since it saw in the log that none of the rows is to change. Raises MirrorError; then the
        rows are kept no longer.
        """
        known = self._room(room)
        kept = known.full.pop(page)
        self._put_sealed(known, page, kept.html, kept.span)

    def _put_sealed(self, known: _Room, page: int, html: bytes, span: Span) -> None:
        self._put(known, page, self._renderer.seal(known.text, page, html, span))
        self._index.remember(known.text, layout.page_name(page), span)

    def _put(self, known: _Room, page: int, data: bytes) -> os.stat_result:
        make_folder(known.folder)
        return replace_file(known.folder / layout.page_name(page), data)

    def check(self, room: str, head: int, *, deep: bool = False) -> list[int]:
        """The pages that are not as they must be when ``head`` is the newest event: missing, cut, not sealed, beyond the head.

        Cheap: looks at all names, at every row of the open page, and at the seals of the newest sealed pages. With ``deep``, at
        the digest of every page. Changes nothing on disk; when the open page is whole, appending goes on from it.
        """
        known = self._room(room)
        newest = layout.open_page(head)
        with known.lock:
            known.full.clear()  # a page that waits for its seal is bad, and about to be made again
            present = {page for name in _names(known.folder) if (page := layout.page_number(name)) is not None}
            bad = {page for page in present if page > newest} | (set(range(newest)) - present)
            whole = 0
            for page in range(newest - 1, -1, -1):
                whole = whole + 1 if self._is_sealed(known, page, deep=deep) else 0
                if not whole:
                    bad.add(page)
                elif whole == _TRUSTED and not deep:
                    break
            before, known.open = known.open, self._scan(known, newest, head)
            if known.open is None:
                bad.add(newest)
            elif before is not None and before.position == head:
                known.open.kept = before.kept
        return sorted(bad)

    def _is_sealed(self, known: _Room, page: int, *, deep: bool) -> bool:
        path = known.folder / layout.page_name(page)
        tail, size = read_tail(path, SEAL_LIMIT)
        seal = read_seal(tail)
        if seal is None or (seal.room, seal.page) != (known.text.name, page) or seal.size + seal.length != size:
            return False
        if seal.span.last != (page + 1) * PAGE_ROWS:
            return False
        if deep:
            data = read_file(path)
            return data is not None and hashlib.sha256(data[: seal.size]).hexdigest() == seal.sha256
        return True

    def _scan(self, known: _Room, page: int, head: int) -> _Open | None:
        """The open page when it ends with row ``head`` and each of its rows is there from its first byte to its last."""
        path = known.folder / layout.page_name(page)
        try:
            status = path.stat(follow_symlinks=False)
        except OSError:
            return None
        data = read_file(path) if stat.S_ISREG(status.st_mode) else None
        begin = self._renderer.open_head(known.text, page)
        if data is None or len(data) != status.st_size or not data.startswith(begin) or b"\0" in data:
            return None
        lines = data[len(begin) :].split(b"\n")
        first = layout.first_seq(page)
        if lines.pop() or len(lines) != head + 1 - first:
            return None
        for seq, line in enumerate(lines, first):
            if not (line.startswith(b'<article id="c%d" class="' % seq) and line.endswith(b"</article>")):
                return None
        return _Open(str(path), page, head, status)

    def clean(self, room: str, head: int) -> int:
        """Remove what a crash or another log left: temporary files, pages and blocks beyond ``head``. Returns how many pages.

        Raises MirrorError.
        """
        known = self._room(room)
        newest = layout.open_page(head)
        pages = 0
        with known.lock:
            for name in _names(known.folder):
                page, block = layout.page_number(name), layout.block_number(name)
                beyond = (page is not None and page > newest) or (block is not None and block >= layout.block_of(newest))
                if not (beyond or layout.is_temporary(name)):
                    continue
                try:
                    (known.folder / name).unlink(missing_ok=True)
                except OSError as error:
                    raise explain(error, known.folder / name) from error
                pages += page is not None
        return pages

    def write_index(self, room: str, *, fresh: bool = False) -> None:
        """Bring the room's index up to date with its sealed pages; call after sealing. Raises MirrorError.

        Cheap when nothing is to do; with ``fresh`` every file is written again. While the open page is in doubt this does
        nothing: the repair that must follow calls it.
        """
        known = self._room(room)
        with known.lock:
            current = known.open  # read once: an append in another thread may put the page in doubt at any time
            if current is not None:
                make_folder(known.folder)
                self._index.update(known.text, known.folder, current.page, fresh=fresh)

    def write_style(self) -> None:
        """Put the stylesheet of all pages in place, unless it is there. Raises MirrorError."""
        path = self.root / "assets" / layout.STYLE_NAME
        with self._style_lock:  # the one file that the workers of several rooms may write
            if read_file(path) != _STYLE:
                make_folder(path.parent)
                replace_file(path, _STYLE)

    def stands(self, room: str, page: int, rows: Sequence[PageEvent]) -> bool:
        """Is the page on disk byte by byte what ``rows`` make of it? For the open page while nothing is appended, and for sealed
        pages. A page that another version of this package wrote differs, too."""
        known = self._room(room)
        with known.lock:
            render = self._renderer.sealed if len(rows) == PAGE_ROWS else self._renderer.open
            return read_file(known.folder / layout.page_name(page)) == render(known.text, page, rows)

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _room(self, room: str) -> _Room:
        known = self._rooms.get(room)
        if known is None:
            raise MirrorError(f"Room {room!r} is not known to the mirror.")
        return known


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
