"""``/staff``: what waits, for who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from server.accounts import appeals, licences, public, vault_access
from server.http.requests import services
from server.http.screens import read
from server.http.staff_door import HOME, Rule, acting, page
from server.http.staff_forms import DAY_MS, stored
from server.moderation import queue, training, waiting
from server.moderation.team import Figures
from server.moderation.training import Training
from server.moderation.waiting import Waiting
from server.web import desk_words

if TYPE_CHECKING:
    from sqlalchemy import Connection


async def home(request: Request) -> Response:
    """``GET /staff``."""
    now_ms, me = services(request).people.clock_ms(), acting(request).member.holder

    def of_accounts(connection: Connection) -> dict[str, int]:
        coming = [each for each in public.listed(connection) if each.state in {"applied", "reviewed", "classified", "filed"}]
        ending = [each for each in licences.listed(connection, now_ms)
                  if each.state == "active" and each.valid_until_ms < now_ms + 30 * DAY_MS]  # fmt: skip
        return {
            "appeals": len(appeals.open_list(connection)), "overdue": len(appeals.overdue(connection, now_ms)),
            "public": len(coming), "licences": len(ending), "vault": len(vault_access.open_requests(connection, now_ms)),
        }  # fmt: skip

    def of_desk(connection: Connection) -> tuple[Waiting, list[Training]]:
        return waiting.waiting(connection, now_ms), training.needs(connection, me, now_ms)

    waits, missing = await services(request).moderation.look(of_desk)
    about: dict[str, Any] = {"counts": await read(request, of_accounts), "waits": waits, "missing": missing,
                             "unassessed": services(request).moderation.features.missing}  # fmt: skip
    return await page(
        request, "staff_home.html", load=await team_figures(request), queues=queue.QUEUES, desk=desk_words, **about
    )  # fmt: skip


async def team_figures(request: Request) -> Figures:
    """The load of the team, as of the last look. Raises Refusal ``storage_unavailable``."""
    with stored("the review desk"):
        return await services(request).moderation.team.recent()


RULES: Final = (Rule(HOME, "GET", "own", home),)
