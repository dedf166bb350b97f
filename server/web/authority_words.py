"""Words of the pages for inspections, findings, cases and features, for what the records hold as names."""

from __future__ import annotations

from typing import Final

from server.web import account_words, desk_words, record_words
from server.web.i18n import N_

INSPECTION_STATES: Final = {
    "asked": N_("waits for a second person"),
    "void": N_("not decided in time"),
    "refused": N_("refused"),
    "active": N_("in force"),
    "expired": N_("over"),
    "revoked": N_("revoked"),
}
PARTS: Final = {
    "events": N_("Comments and events"),
    "screened": N_("Held and refused"),
    "decisions": N_("Decisions"),
    "reports": N_("Reports"),
    "measures": N_("Measures"),
}
KINDS: Final = {
    "comment": N_("Comment"),
    "removal": N_("Removal"),
    "restoration": N_("Restoration"),
    "notice": N_("Notice"),
}
WHATS: Final = {
    "events": KINDS,
    "screened": desk_words.STATES,
    "decisions": desk_words.WHAT,
    "reports": record_words.OUTCOMES | {"": desk_words.STATES["open"]},
    "measures": account_words.RUNGS,
}
"""What a record of a part says that it is (:data:`server.moderation.scoped.PARTS`)."""
FINDING_STATES: Final = {
    "open": N_("not sent yet"),
    "sent": N_("sent, not acknowledged"),
    "acknowledged": N_("acknowledged"),
    "withdrawn": N_("withdrawn"),
}
WAYS: Final = {"webhook": N_("by a signed request"), "sftp": N_("by a file over SSH"), "print": N_("on paper")}
HOWS: Final = {"answer": N_("by its answer"), "file": N_("by a file"), "hand": N_("entered by hand")}
CASE_KINDS: Final = {"incident": N_("incident"), "rectification": N_("rectification"), "penalty": N_("penalty case")}
SOURCES: Final = {"authority": N_("order of an authority"), "own": N_("own discovery"), "complaint": N_("complaint")}
STEPS: Final = {
    "note": N_("step"),
    "evidence": N_("evidence"),
    "penalty": N_("penalty"),
    "deadline": N_("another deadline"),
    "closed": N_("closed"),
    "reopened": N_("opened again"),
}
RESULTS: Final = {"passed": N_("passed"), "failed": N_("failed")}
