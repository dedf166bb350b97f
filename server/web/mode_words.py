"""Words of pages about modes: of staff and of the owner of a room."""

from __future__ import annotations

from typing import Final

from server.web.i18n import N_

MODES: Final = {
    "open": N_("open for comments"),
    "slow": N_("slow"),
    "shield": N_("protected"),
    "review": N_("review first"),
    "read_only": N_("read only"),
    "closed": N_("closed for comments"),
}

MEANINGS: Final = {
    "open": N_("Everybody posts as their account may."),
    "slow": N_("Each author waits between two comments."),
    "shield": N_("As slow; and comments of accounts below credit level 2 wait for review."),
    "review": N_("As slow; and all comments wait for review."),
    "read_only": N_("Nobody posts for now."),
    "closed": N_("Nobody posts any more."),
}

TERMS: Final = {
    "": N_("for good"),
    "10m": N_("10 minutes"),
    "30m": N_("30 minutes"),
    "2h": N_("2 hours"),
    "1d": N_("1 day"),
}

ROLES: Final = {
    "uploader": N_("the owner"),
    "operator": N_("the operator"),
    "senior": N_("staff"),
    "program": N_("a program"),
    "system": N_("the system"),
}
