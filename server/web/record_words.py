"""Words of statements of reasons, of the decision log and of the public figures for what the records hold as names."""

from __future__ import annotations

from typing import Final

from server.web import staff_words
from server.web.i18n import N_

FAMILIES: Final = {
    "L": N_("Unlawful content"),
    "M": N_("Harm to minors"),
    "P": N_("Personal information"),
    "S": N_("Spam and paid posting"),
    "N": N_("News without permission"),
    "A": N_("Breach of the agreement"),
    "U": N_("By author or uploader"),
    "R": N_("Restoration"),
    "K": N_("Review without objection"),
    "E": N_("Operation of rooms"),
}

GROUNDS: Final = {
    "law": N_("laws and regulations"),
    "agreement": N_("the service agreement"),
    "author": N_("a right of the author or the uploader"),
    "restoration": N_("correction of an earlier decision"),
    "review": N_("review: nothing against it"),
    "operation": N_("operation of the room or the site"),
}

FOUND: Final = {
    "screening": N_("The screening held it before publication"),
    "news": N_("It was written in a news room, where everything is reviewed first"),
    "reports": N_("It was reported by the public"),
    "swarm": N_("The detection of groups brought it up"),
    "second": N_("It was drawn for the second review"),
    "own": N_("Staff came upon it, or were asked to"),
}

ROLES: Final = {
    **staff_words.ROLES,
    "system": N_("a program"),
    "uploader": N_("the uploader"),
    "author": N_("the author"),
}

ACTS: Final = {
    "inspection.ask": N_("inspection asked for"),
    "inspection.approve": N_("inspection approved"),
    "inspection.refuse": N_("inspection refused"),
    "inspection.revoke": N_("inspection revoked"),
    "finding.file": N_("finding filed"),
    "finding.withdraw": N_("finding withdrawn"),
    "case.open": N_("case opened"),
    "case.close": N_("case closed"),
    "feature.assess": N_("assessment entered"),
    "feature.revoke": N_("assessment revoked"),
    "training.publish": N_("training set published"),
    "training.retire": N_("training set retired"),
    "seats.change": N_("seats changed"),
}
"""What decisions of the kind ``record`` record, by the ``act`` of their details."""

OUTCOMES: Final = {
    "upheld": N_("upheld"),
    "unfounded": N_("unfounded"),
    "malicious": N_("in bad faith"),
}

PLOTS: Final = {
    "removed": N_("Removed or refused, by day"),
    "removed_about": N_("Days of the month; parts by kind of reason"),
    "kept": N_("May stay, by day"),
    "kept_about": N_("What was looked at and may stay or appear"),
    "waits": N_("Waiting time in minutes"),
    "waits_about": N_("The median, by queue"),
}
