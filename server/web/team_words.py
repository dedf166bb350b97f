"""Words of the pages of the team and its training for what the records hold as names."""

from __future__ import annotations

from typing import Final

from server.web.i18n import N_

TRAINING_STATES: Final = {"draft": N_("draft"), "in_force": N_("in force"), "retired": N_("retired")}

WEEKDAYS: Final = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))

SHIFT_STATES: Final = {
    "coming": N_("planned"),
    "on": N_("on shift"),
    "absent": N_("nobody seen"),
    "attended": N_("attended"),
    "missed": N_("not attended"),
}
