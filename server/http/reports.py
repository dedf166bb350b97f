"""Reports from the public: no account, no script, two actions, a receipt number (duty P10)."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from filters.rate import Gcra
from server.core.address import limit_key
from server.errors import Refusal
from server.http.api import find_room
from server.http.requests import ADDRESSES_MAX, SEQ_MAX, address, read_body, services, whole
from server.http.services import Services
from server.settings import Settings
from server.store.base import Rejected, ReportDraft, RoomInfo
from server.web.reasons import REASON_CODES, REPORT_REASONS
from server.web.receipts import is_receipt, new_receipt
from server.web.rows import PageRows
from server.web.security import posted_from_here
from server.web.views import Views
from server.wire import Event

_FIELDS_MAX: Final = 8


class ReportForm:
    """The form, what it sends, and the confirmation. Belongs to the event loop."""

    def __init__(self, settings: Settings, views: Views, rows: PageRows) -> None:
        self._settings = settings
        self._views = views
        self._rows = rows
        self._rate = Gcra(max(1, round(1000 / settings.reports_per_s)), settings.reports_burst, ADDRESSES_MAX)

    async def form(self, request: Request) -> Response:
        """``GET /rooms/{room}/report?seq=N``: the comment and the reasons. Without ``seq``: about the room."""
        return await self._show(request, find_room(request), whole(request, "seq", 0, 0, SEQ_MAX))

    async def receive(self, request: Request) -> Response:
        """``POST /rooms/{room}/report``: record the report and lead to its receipt. Raises Refusal."""
        if not posted_from_here(request.headers, request.url.netloc):
            raise Refusal("forbidden", "sent by another site")
        found = services(request)
        room = find_room(request)
        fields = await _fields(request)
        seq = _number(fields.get("seq", "0"))
        reason = fields.get("reason", "")
        text = _clean(fields.get("text", ""))
        if reason not in REASON_CODES:
            return await self._show(request, room, seq, problem="reason", text=text)
        if len(text) > self._settings.report_max_chars:
            return await self._show(request, room, seq, problem="length", text=text)
        wait_ms = self._rate.allow(limit_key(address(request)), found.steady_ms())
        if wait_ms:
            raise Refusal("too_many_requests", retry_after_ms=wait_ms)
        if seq:
            await _comment(found, room, seq)
        receipt = new_receipt()
        outcome = await found.submit(
            ReportDraft(
                receipt=receipt, room=room.name, seq=seq, at_ms=found.now_ms(), reason=reason, text=text,
                address=address(request), port=request.client.port if request.client is not None else 0,
            )
        )  # fmt: skip
        if isinstance(outcome, Rejected):
            raise Refusal(outcome.code)
        return RedirectResponse(f"/reports/{receipt}", 303)

    async def receipt(self, request: Request) -> Response:
        """``GET /reports/{receipt}``: the confirmation."""
        receipt = request.path_params["receipt"]
        if not is_receipt(receipt):
            raise Refusal("not_found")
        return self._views.page(request, "receipt.html", receipt=receipt)

    async def _show(self, request: Request, room: RoomInfo, seq: int, problem: str = "", text: str = "") -> Response:
        """``problem``: empty, ``reason`` (none was chosen) or ``length`` (of the text)."""
        row = Markup()
        if seq:
            event = await _comment(services(request), room, seq)
            row = self._rows.newest_first(room, [event], self._views.language(request))
        return self._views.page(
            request,
            "report.html",
            status=422 if problem else 200,
            room=room,
            seq=seq,
            row=row,
            reasons=REPORT_REASONS,
            text_max=self._settings.report_max_chars,
            problem=problem,
            text=text,
        )


async def _comment(found: Services, room: RoomInfo, seq: int) -> Event:
    """The comment ``seq`` as it is now. Raises Refusal ``comment_not_found``."""
    encoded = await found.history(room.name, seq - 1, 1) if seq <= room.head else []
    event = _decoder.decode(encoded[0]) if encoded else None
    if event is None or event.seq != seq or event.kind != "comment":
        raise Refusal("comment_not_found")
    removed = event.removed
    return Event(
        seq=seq, kind="comment", at_ms=event.at_ms, pos_ms=event.pos_ms, text=event.text, author_name=event.author.name,
        removed_by=removed.by, code=removed.code, basis=removed.basis, role=removed.role,
        region=event.region, label=event.label.text, label_kind=event.label.kind,
    )  # fmt: skip


class _Author(msgspec.Struct, frozen=True):
    name: str = ""


class _Label(msgspec.Struct, frozen=True):
    kind: str = ""
    text: str = ""


class _Removed(msgspec.Struct, frozen=True):
    by: int = 0
    code: str = ""
    basis: str = ""
    role: str = ""


class _Read(msgspec.Struct, frozen=True):
    """What a row needs of an encoded event."""

    seq: int
    kind: str
    at_ms: int
    pos_ms: int = 0
    text: str = ""
    author: _Author = _Author()
    region: str = ""
    label: _Label = _Label()
    removed: _Removed = _Removed()


_decoder: Final = msgspec.json.Decoder(_Read)


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a posted form, the first value of each. Raises Refusal ``bad_message``, ``too_large``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal("bad_message", "Content-Type: application/x-www-form-urlencoded")
    body = await read_body(request)
    try:
        parsed = parse_qs(body.decode("ascii"), max_num_fields=_FIELDS_MAX, errors="replace")
    except ValueError:
        raise Refusal("bad_message", "a form with few fields, percent-encoded") from None
    return {name: values[0] for name, values in parsed.items()}


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 16:
        raise Refusal("bad_message", "seq: a whole number")
    return int(text)


def _clean(text: str) -> str:
    """The text without what cannot be shown; line ends as one kind."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    return "\n".join("".join(c for c in line if c.isprintable() or c == "\t") for line in lines)
