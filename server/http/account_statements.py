"""The statement of reasons of a measure against one's own account: facts, ground, category, and how far programs had a hand in it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import appeals, measures
from server.errors import Refusal
from server.http.requests import services
from server.http.screens import read, require_page, screen, show
from server.http.sessions import Visitor
from server.moderation import records, statement
from server.moderation.book import Decision
from server.moderation.records import Source
from server.reasons import REASONS
from server.store.found import Search
from server.web import account_words, record_words
from server.web.moments import moment_in
from server.wire import page_path


async def page(request: Request) -> Response:
    """``GET /account/statements/{measure}``."""
    who = await require_page(request)
    if not isinstance(who, Visitor):
        return who
    number = request.path_params["measure"]

    def own(connection: Any) -> tuple[measures.Record | None, appeals.Appeal | None]:
        found = measures.find(connection, number)
        if found is None or found.account != who.holder:
            return None, None
        filed = [each for each in appeals.of_account(connection, who.holder) if each.measure.id == number]
        return found, filed[0] if filed else None

    measure, appeal = await read(request, own)
    if measure is None:
        raise Refusal("measure_not_found")
    decision, source = await services(request).moderation.look(lambda sql: behind(sql, measure))
    said = await text_of(request, measure, source)
    return await show(
        request, "account_statement.html", one=statement.of_measure(measure, decision, source), measure=measure,
        appeal=appeal, said=said,
        reasons=REASONS, moment=moment_in(services(request).settings.time_zone), record_words=record_words, words=account_words,
        page_path=page_path,
    )  # fmt: skip


def behind(connection: Any, measure: measures.Record) -> tuple[Decision | None, Source | None]:
    """The decision of the desk that led to a measure, and the item that it decided; None: none did."""
    decision = records.of_measure(connection, measure)
    return decision, records.source_of(connection, decision) if decision is not None else None


async def text_of(request: Request, measure: measures.Record, source: Source | None) -> str:
    """The words of the comment that a measure is about, as its author wrote them: from the item that was decided, else from the
    room's log. Empty: it is about no comment, or the words are there no more. Raises Refusal ``storage_unavailable``."""
    if source is not None and source.account == measure.account and source.text:
        return source.text
    if not measure.seq:
        return ""
    found = await services(request).search(Search(room=measure.room, before=measure.seq + 1), 1)
    return next((hit.text for hit in found.hits if hit.seq == measure.seq and hit.author == measure.account), "")


routes = [screen("/account/statements/{measure}", page)]
