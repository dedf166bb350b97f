"""Words of staff's pages for what the records hold as names."""

from __future__ import annotations

from typing import Final

from server.web.i18n import N_

ROLES: Final = {
    "operator": N_("operator"),
    "senior": N_("senior reviewer"),
    "reviewer": N_("reviewer"),
    "compliance": N_("compliance"),
    "privacy": N_("privacy officer"),
    "inspector": N_("inspector (reads only)"),
    "admin": N_("administrator of staff"),
}

STATES: Final = {
    "applied": N_("applied for"),
    "reviewed": N_("reviewed"),
    "classified": N_("classified"),
    "filed": N_("filed"),
    "active": N_("active"),
    "rejected": N_("not accepted"),
    "lapsed": N_("lapsed"),
    "revoked": N_("revoked"),
    "coming": N_("not yet in force"),
}

STEPS: Final = {
    "review": N_("Reviewed: in order"),
    "reject": N_("Do not accept"),
    "classify": N_("Classify"),
    "file": N_("Filed with the authority"),
    "activate": N_("Activate"),
    "lapse": N_("Has lapsed"),
    "revoke": N_("Revoke"),
}

TOPICS: Final = {"current_affairs": N_("current affairs"), "politics": N_("politics")}
ACTIONS: Final = {"post": N_("post"), "repost": N_("repost")}
FEATURES: Final = {"public_accounts": N_("public accounts"), "news": N_("political and current news")}
TERMS: Final = {
    "": N_("until it is lifted"),
    "1h": N_("1 hour"),
    "1d": N_("1 day"),
    "3d": N_("3 days"),
    "7d": N_("7 days"),
    "30d": N_("30 days"),
    "180d": N_("180 days"),
}
VAULT_FIELDS: Final = {
    "phone": N_("Phone number"),
    "real_name": N_("Real name"),
    "id_number": N_("Identity number"),
    "oidc_subject": N_("Identifier at the other service"),
    "guardian_name": N_("Name of the guardian"),
    "guardian_phone": N_("Phone number of the guardian"),
}
"""What the vault may hold (:data:`server.accounts.fields.VAULT`)."""
