"""Pages for people: the list of rooms, a room's page, the static pages of its comments, and the app's own files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.errors import Refusal
from server.http.api import find_room
from server.http.reader import comment_of, identity_of, reader_of
from server.http.reports import ReportForm
from server.http.requests import address, services
from server.http.screens import problem
from server.http.services import Services
from server.http.sessions import read_form, visitor
from server.store.base import Committed, Recorded, RoomInfo
from server.web.assets import Assets
from server.web.rows import PageRows, mode_words, script_config
from server.web.security import origin_of, page_headers
from server.web.views import Views
from server.web.ways import WAYS
from static_mirror import layout

ROWS: Final = 100
"""Newest entries on a room's page."""
_HISTORY_LIMIT: Final = 1000
_FOREVER: Final = "public, max-age=31536000, immutable"
_OPEN_PAGE: Final = "no-cache"
_SEALED_PAGE: Final = "public, no-cache, max-age=31536000"
"""May be kept for as long as anyone likes, by shared caches too, but a removal rewrites it: each use asks first (``no-cache`` means
just that, whatever the age), and is answered with 304 while the page is the same. A stored copy never outlives a removal."""

Handler = Callable[[Request], Awaitable[Response]]


class PageFile(NamedTuple):
    """A file of the pages folder as it was read. ``etag`` names its version: appending changes the size, rewriting the inode."""

    body: bytes
    etag: str


def read_page(path: Path) -> PageFile:
    """Read a page, also while rows are appended to it: exactly the bytes of the size that the tag names. Raises OSError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        body = file.read(status.st_size)
    return PageFile(body, f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{len(body):x}"')


class Pages:
    """The handlers. Belongs to the event loop; files are read in worker threads."""

    def __init__(self, found: Services) -> None:
        """Raises OSError, jinja2.TemplateError, ValueError when templates, catalogues or settings are damaged."""
        self._settings = found.settings
        self._assets = Assets()
        self.views = Views(found.settings, self._assets)
        self._rows = PageRows(found.settings.time_zone)
        self.reports = ReportForm(found.settings, self.views, self._rows)

    async def index(self, request: Request) -> HTMLResponse:
        """``/``: the rooms."""
        found = services(request)
        return self.views.page(request, "index.html", rooms=[(room, found.viewers(room.name)) for room in found.rooms()])

    async def room(self, request: Request) -> HTMLResponse:
        """``/rooms/{room}``: player, overlay and the newest comments, in one document that can be read without scripts."""
        return await self._room_page(request)

    async def comment(self, request: Request) -> Response:
        """``POST /rooms/{room}/comment``: what somebody signed in posts without script, through the one path of all comments. What is
        refused comes back with its reason, in the field."""
        room = find_room(request)
        who = await visitor(request)
        fields = await read_form(request, who)
        said = comment_of(room.name, fields)
        if who is None:
            return await self._room_page(request, Refusal("sign_in_required"), said.text)
        found = services(request)
        try:
            speaker = await identity_of(request, who)
            port = request.client.port if request.client is not None else 0
            outcome = await found.post(speaker, said, address(request), port)
        except Refusal as refusal:
            return await self._room_page(request, refusal, said.text)
        if isinstance(outcome, Committed):
            return RedirectResponse(f"/rooms/{room.name}?said={outcome.event.seq}#c{outcome.event.seq}", 303)
        if isinstance(outcome, Recorded) and outcome.action == "held":
            return RedirectResponse(f"/rooms/{room.name}?said=held#say", 303)
        return await self._room_page(request, Refusal(outcome.code), said.text)

    async def _room_page(self, request: Request, refusal: Refusal | None = None, text: str = "") -> HTMLResponse:
        """The page; ``refusal`` of a comment that was posted just now, and its ``text``."""
        found = services(request)
        room = find_room(request)
        events = await found.newest(room.name, ROWS)
        head = events[-1].seq if events else room.head
        language = self.views.language(request)
        folder = f"/rooms/{room.name}/comments"
        older = f"{folder}/{layout.page_name(layout.page_of(events[0].seq))}#c{events[0].seq}" if events else ""
        reader = await reader_of(request)
        config = script_config(
            room,
            language,
            head=head,
            time_zone=self._settings.time_zone,
            history_limit=min(_HISTORY_LIMIT, self._settings.history_limit_max),
            messages=self.views.messages(language),
            ways=self.views.ways(language),
            form_token=reader.token.token if reader.signed_in else "",
            missing=reader.signed_in and reader.missing is not None,
        )
        response = self.views.page(
            request,
            "room.html",
            status=refusal.code.http if refusal else 200,
            media=origin_of(room.video_url),
            room=room,
            rows=self._rows.newest_first(room, events, language),
            row_templates=self._rows.templates(room, language),
            viewers=found.viewers(room.name),
            older=older,
            index=f"{folder}/{layout.INDEX_NAME}",
            config=config,
            max_chars=self._settings.comment_max_chars,
            **self.reports.dialog(),
            reader=reader,
            key=secrets.token_hex(16),
            problem=problem(request, refusal),
            way=WAYS.get(refusal.code.name) if refusal else None,
            said=request.query_params.get("said", ""),
            mode_words=mode_words(room, self._settings.slow_mode_s, self.views.messages(language)),
            text=text,
        )
        if reader.signed_in:
            response.headers["Cache-Control"] = "private, no-store"
        return response

    async def comments_folder(self, request: Request) -> Response:
        """The folder's own address leads to its index."""
        return RedirectResponse(f"{request.url.path}{layout.INDEX_NAME}", 308)

    async def comments(self, request: Request) -> Response:
        """``/rooms/{room}/comments/...``: the static pages, as any web server could serve them; a missing one is made again."""
        found = services(request)
        room = find_room(request)
        name = request.path_params["name"]
        number = layout.page_number(name)
        if number is None and name != layout.INDEX_NAME and layout.block_number(name) is None:
            raise Refusal("not_found")
        page = await self._page(found, room, name, number)
        sealed = number is not None and number < layout.open_page(room.head)
        headers = page_headers(self._settings.frame_ancestors)
        headers["Cache-Control"] = _SEALED_PAGE if sealed else _OPEN_PAGE
        return _tagged(request, page.body, page.etag, "text/html; charset=utf-8", headers)

    async def _page(self, found: Services, room: RoomInfo, name: str, number: int | None) -> PageFile:
        """The file; when it cannot be read, once more after it was made again. Raises Refusal ``not_found`` and those of healing."""
        path = layout.comments_folder(found.pages_dir, room.name) / name
        newest = layout.open_page(room.head)
        try:
            return await to_thread.run_sync(read_page, path)
        except OSError:
            # Healing keeps the room busy: it is not for names that nothing stands under yet.
            block = layout.block_number(name)
            if (number is not None and number > newest) or (block is not None and block >= layout.block_of(newest)):
                raise Refusal("not_found") from None
        # The index is made again with any page, so the open page stands for it.
        if not await found.heal_page(room.name, newest if number is None else number):
            raise Refusal("not_found")
        try:
            return await to_thread.run_sync(read_page, path)
        except OSError as error:  # the log has it: it is only not there now, for the last healing may be that of a moment ago
            raise Refusal("storage_unavailable", "the page cannot be read", 1000) from error

    async def favicon(self, request: Request) -> Response:
        """``/favicon.ico``: what browsers ask for by themselves, on pages that name no icon."""
        return RedirectResponse(self._assets.url("icon.svg"), 302, {"Cache-Control": "public, max-age=3600"})

    async def asset(self, request: Request) -> Response:
        """``/assets/...``: the app's own files, and the style of the static pages."""
        path = request.path_params["path"]
        # Other front ends may use the modules: they hold nothing that is not public.
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
        found = self._assets.find(path)
        if found is not None:
            if found.immutable:
                headers["Cache-Control"] = _FOREVER
            return _tagged(request, found.asset.body, found.asset.etag, found.asset.content_type, headers)
        if path != layout.STYLE_NAME:
            raise Refusal("not_found")
        try:
            style = await to_thread.run_sync(read_page, services(request).pages_dir / "assets" / layout.STYLE_NAME)
        except OSError:
            raise Refusal("not_found") from None
        return _tagged(request, style.body, style.etag, "text/css; charset=utf-8", headers)


def _tagged(request: Request, body: bytes, etag: str, content_type: str, headers: dict[str, str]) -> Response:
    """The body with its tag, or 304 when the reader has this very version."""
    headers["ETag"] = etag
    asked = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in asked or asked == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=content_type)


def prepare(app: Starlette) -> None:
    """Read and compile everything that pages need now; without this call, the first request does it (some 50 ms of the loop).

    ``app.state.services`` is set. Raises as :class:`Pages`.
    """
    app.state.pages = Pages(app.state.services)
    app.state.views = app.state.pages.views


def _pages(request: Request) -> Pages:
    """The pages of the request's application."""
    if not hasattr(request.app.state, "pages"):
        prepare(request.app)
    found: Pages = request.app.state.pages
    return found


def _route(path: str, pick: Callable[[Pages], Handler], *methods: str) -> Route:
    """A route whose refusals are pages, too."""

    async def endpoint(request: Request) -> Response:
        pages = _pages(request)
        try:
            return await pick(pages)(request)
        except Refusal as refusal:
            return pages.views.refusal(request, refusal)

    return Route(path, endpoint, methods=list(methods) or ["GET"])


routes: Final[list[BaseRoute]] = [
    _route("/", lambda pages: pages.index),
    _route("/rooms/{room}", lambda pages: pages.room),
    _route("/rooms/{room}/comment", lambda pages: pages.comment, "POST"),
    _route("/rooms/{room}/comments/", lambda pages: pages.comments_folder),
    _route("/rooms/{room}/comments/{name}", lambda pages: pages.comments),
    _route("/rooms/{room}/report", lambda pages: pages.reports.form),
    _route("/rooms/{room}/report", lambda pages: pages.reports.receive, "POST"),
    _route("/reports", lambda pages: pages.reports.find),
    _route("/reports/{receipt}", lambda pages: pages.reports.receipt),
    _route("/favicon.ico", lambda pages: pages.favicon),
    _route("/assets/{path:path}", lambda pages: pages.asset),
]
