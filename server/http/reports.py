"""Reports from the public: no account, no script, two actions, a receipt number, and what became of it (duty P10).

The form takes a report in one more action than reaching it; scripts of the room's page show the same form as a dialog and ask for
JSON. Abuse is bounded by address: so many reports in a time, fewer about one thing within a day. Who is signed in has one report
about a thing at a time, and is told the outcome by a letter; reports of accounts that act as a group are evidence of their own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
import orjson
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from filters.rate import Gcra
from server.accounts.permit import restriction
from server.core.address import limit_key
from server.errors import Refusal, StoreError
from server.http import errors
from server.http.api import find_room
from server.http.requests import ADDRESSES_MAX, SEQ_MAX, address, services, whole
from server.http.services import Services
from server.http.sessions import VIEWERS, read_fields, visitor
from server.moderation import receipts
from server.reasons import REASONS
from server.settings import Settings
from server.store.base import Rejected, ReportDraft, RoomInfo
from server.web.moments import moment_in
from server.web.reasons import REASON_CODES, REPORT_REASONS
from server.web.receipts import is_receipt, new_receipt, read_receipt
from server.web.rows import PageRows
from server.web.security import posted_from_here
from server.web.views import Views
from server.wire import Event, page_path

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_FRESH_MAX: Final = 10_000
"""Receipts remembered until the intake has certainly read them; older ones stand in the book."""


class _Sent(NamedTuple):
    """A report that this process recorded: when, and what about."""

    at_ms: int
    account: str
    room: str
    seq: int
    reason: str


class ReportForm:
    """The form, what it sends, and what became of it. Belongs to the event loop."""

    def __init__(self, settings: Settings, views: Views, rows: PageRows) -> None:
        self._settings = settings
        self._views = views
        self._rows = rows
        self._rate = Gcra(max(1, round(1000 / settings.reports_per_s)), settings.reports_burst, ADDRESSES_MAX)
        repeats = settings.report_repeats
        self._repeats = Gcra(_DAY_MS // repeats, repeats, ADDRESSES_MAX)
        self._fresh: OrderedDict[str, _Sent] = OrderedDict()

    # -- sending ------------------------------------------------------------------------------------------------------

    async def form(self, request: Request) -> Response:
        """``GET /rooms/{room}/report?seq=N``: the comment and the reasons. Without ``seq``: about the room."""
        return await self._show(request, find_room(request), whole(request, "seq", 0, 0, SEQ_MAX))

    async def receive(self, request: Request) -> Response:
        """``POST /rooms/{room}/report``: record the report and lead to its receipt; with ``Accept: application/json``,
        ``{receipt, url, due_ms}``, and refusals as problems. Raises Refusal."""
        if request.headers.get("accept", "") != "application/json":
            return await self._receive(request)
        try:
            return await self._receive(request, as_json=True)
        except Refusal as refusal:
            return errors.problem(refusal.code, refusal.detail, refusal.retry_after_ms)

    async def _receive(self, request: Request, *, as_json: bool = False) -> Response:
        if not posted_from_here(request.headers, request.url.netloc):
            raise Refusal("forbidden", "sent by another site")
        room = find_room(request)
        fields = await read_fields(request)
        seq = _number(fields.get("seq", "") or "0")
        text = _clean(fields.get("text", ""))
        problem = "reason" if fields.get("reason", "") not in REASON_CODES else ""
        if len(text) > self._settings.report_max_chars:
            problem = problem or "length"
        if problem and as_json:
            raise Refusal("bad_message" if problem == "reason" else "text_too_long", problem)
        if problem:
            return await self._show(request, room, seq, problem=problem, text=text)
        receipt, at_ms = await self._record(request, room.name, seq, fields["reason"], text)
        url = f"/reports/{receipt}?room={room.name}"
        if not as_json:
            return RedirectResponse(url, 303)
        body = {"receipt": receipt, "url": url, "due_ms": self._due_ms(at_ms)}
        return Response(orjson.dumps(body), 201, {"Cache-Control": "no-store"}, "application/json")

    async def _record(self, request: Request, room: str, seq: int, reason: str, text: str) -> tuple[str, int]:
        """The receipt of a report that is durable, new or sent by the account before, and when that was. Raises Refusal."""
        found = services(request)
        account = await self._account(request)
        earlier = await self._earlier(found, account, room, seq)
        if earlier:
            return earlier, self._fresh[earlier].at_ms if earlier in self._fresh else found.now_ms()
        self._limit(found, limit_key(address(request)), room, seq)
        if seq:
            await _comment(found, found.room(room), seq)
        receipt, at_ms = new_receipt(), found.now_ms()
        outcome = await found.submit(
            ReportDraft(
                receipt=receipt, room=room, seq=seq, at_ms=at_ms, reason=reason, text=text, address=address(request),
                port=request.client.port if request.client is not None else 0, account=account or None,
            )
        )  # fmt: skip
        if isinstance(outcome, Rejected):
            raise Refusal(outcome.code)
        self._fresh[receipt] = _Sent(at_ms, account, room, seq, reason)
        while len(self._fresh) > _FRESH_MAX:
            self._fresh.popitem(last=False)
        self._notice(found, account or limit_key(address(request)), room, seq)
        return receipt, at_ms

    def _notice(self, found: Services, who: str, room: str, seq: int) -> None:
        """Have those looked at who report the same things together. Addresses are known there by a pseudonym only."""
        found.moderation.swarms.reported(found.tokens.public_id(who), room, f"{room}:{seq}")

    def _limit(self, found: Services, key: str, room: str, seq: int) -> None:
        wait_ms = self._rate.allow(key, found.steady_ms()) or self._repeats.allow(f"{key}\n{room}\n{seq}", found.steady_ms())
        if wait_ms:
            raise Refusal("too_many_requests", retry_after_ms=wait_ms)

    async def _account(self, request: Request) -> str:
        """The account of who is signed in; empty: nobody is, or accounts cannot be read just now: reports are wanted then, too.

        Raises Refusal ``function_restricted``.
        """
        if VIEWERS.name not in request.cookies:
            return ""
        people = services(request).people
        try:
            who = await visitor(request)
            standing = await people.standing(who.holder) if who is not None else None
        except Refusal:
            return ""
        if who is None or standing is None:
            return ""
        refusal = restriction(standing, "report", people.clock_ms())
        if refusal is not None:
            raise refusal
        return who.holder

    async def _earlier(self, found: Services, account: str, room: str, seq: int) -> str:
        """The receipt of the account's report about the same thing that waits still, or empty."""
        if not account:
            return ""
        try:
            known = await found.moderation.book.read(lambda sql: receipts.waiting_of(sql, account, room, seq))
            if known:
                return known
            for receipt, sent in reversed(self._fresh.items()):
                if sent.at_ms < found.now_ms() - _HOUR_MS:
                    break
                if (sent.account, sent.room, sent.seq) == (account, room, seq):
                    status = await found.moderation.book.read(lambda sql: receipts.find(sql, receipt))  # noqa: B023 - awaited
                    return "" if status is not None else receipt
        except StoreError:
            pass  # the report is recorded in the log's database, which is another one
        return ""

    # -- what became of it --------------------------------------------------------------------------------------------

    async def find(self, request: Request) -> Response:
        """``GET /reports?receipt=...``: leads to the report of that number; without one, asks for it."""
        typed = request.query_params.get("receipt", "")[:64]
        receipt = read_receipt(typed)
        if receipt:
            return RedirectResponse(f"/reports/{receipt}", 303)
        return self._views.page(
            request, "report_find.html", status=422 if typed else 200, typed=typed,
            problem="form" if typed else "", answer_h=self._settings.report_answer_h,
        )  # fmt: skip

    async def receipt(self, request: Request) -> Response:
        """``GET /reports/{receipt}?room=R``: how the report stands. ``room`` leads back until the report is looked at."""
        receipt = request.path_params["receipt"]
        if not is_receipt(receipt):
            typed = read_receipt(receipt)
            return RedirectResponse(f"/reports/{quote(typed)}", 303) if typed else await self._unknown(request, receipt)
        found = services(request)
        try:
            status = await found.moderation.book.read(lambda sql: receipts.find(sql, receipt))
        except StoreError as error:
            raise Refusal("storage_unavailable", "reports cannot be looked up", retry_after_ms=1000) from error
        if status is None and receipt in self._fresh:
            sent = self._fresh[receipt]
            status = receipts.Status(
                receipt=receipt, at_ms=sent.at_ms, due_ms=self._due_ms(sent.at_ms), reason=sent.reason, room=sent.room,
                seq=sent.seq, together=1, outcome="", code="", decided_ms=0, reversed=False,
            )  # fmt: skip
        if status is None:
            return await self._unknown(request, receipt)
        response = self._views.page(
            request, "receipt.html", status=200, report=status, room=found.room(status.room), reasons=REASONS,
            late=status.late(found.now_ms()), page_path=page_path, new=request.query_params.get("room", "") == status.room,
            moment=moment_in(self._settings.time_zone),
        )  # fmt: skip
        response.headers["Cache-Control"] = "no-store"
        return response

    async def _unknown(self, request: Request, typed: str) -> Response:
        return self._views.page(
            request, "report_find.html", status=404, typed=typed[:64], problem="unknown",
            answer_h=self._settings.report_answer_h,
        )  # fmt: skip

    def _due_ms(self, at_ms: int) -> int:
        return at_ms + self._settings.report_answer_h * _HOUR_MS

    def dialog(self) -> Mapping[str, Any]:
        """What the room's page needs to show the form as a dialog."""
        return {"report_reasons": REPORT_REASONS, "report_max": self._settings.report_max_chars}

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
            answer_h=self._settings.report_answer_h,
        )


async def _comment(found: Services, room: RoomInfo | None, seq: int) -> Event:
    """The comment ``seq`` as it is now. Raises Refusal ``comment_not_found``."""
    encoded = await found.history(room.name, seq - 1, 1) if room is not None and seq <= room.head else []
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


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 16:
        raise Refusal("bad_message", "seq: a whole number")
    return int(text)


def _clean(text: str) -> str:
    """The text without what cannot be shown; line ends as one kind."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    return "\n".join("".join(c for c in line if c.isprintable() or c == "\t") for line in lines)
