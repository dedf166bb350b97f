"""``/staff``: all routes of staff, each from a rule that says what it needs."""

from __future__ import annotations

from typing import Final

from starlette.routing import BaseRoute

from server.http import (
    staff_cases,
    staff_desk,
    staff_figures,
    staff_home,
    staff_inspection,
    staff_live,
    staff_modes,
    staff_outbox,
    staff_patrol,
    staff_public,
    staff_queue,
    staff_queue_api,
    staff_records,
    staff_sign_in,
    staff_team,
    staff_training,
)
from server.http.staff_door import Rule, route

RULES: Final[tuple[Rule, ...]] = (
    *staff_sign_in.RULES,
    *staff_home.RULES,
    *staff_desk.RULES,
    *staff_public.RULES,
    *staff_inspection.RULES,
    *staff_outbox.RULES,
    *staff_cases.RULES,
    *staff_queue_api.RULES,
    *staff_live.RULES,
    *staff_modes.RULES,
    *staff_queue.RULES,
    *staff_patrol.RULES,
    *staff_records.RULES,
    *staff_figures.RULES,
    *staff_team.RULES,
    *staff_training.RULES,
)
routes: Final[list[BaseRoute]] = [route(rule) for rule in RULES]
