"""Words of the review desk's pages for what its records hold as names."""

from __future__ import annotations

from typing import Final

from server.web.i18n import N_

QUEUES: Final = {
    "held": N_("Held comments"),
    "news": N_("News rooms"),
    "report": N_("Reports"),
    "swarm": N_("Swarms"),
    "second": N_("Second review"),
}

HEADINGS: Final = {
    "held": N_("Held comment"),
    "news": N_("Comment in a news room"),
    "report": N_("Reported"),
    "swarm": N_("Swarm"),
    "second": N_("Second review"),
}

ALLOW: Final = {
    "held": N_("Publish"),
    "news": N_("Publish"),
    "report": N_("Keep"),
    "swarm": N_("No swarm"),
    "second": N_("May stay"),
}

STOP: Final = {
    "held": N_("Refuse"),
    "news": N_("Refuse"),
    "report": N_("Remove"),
    "swarm": N_("It is one"),
    "second": N_("Should go"),
}

WHAT: Final = {
    "publish": N_("published"),
    "refuse": N_("refused"),
    "keep": N_("kept"),
    "remove": N_("removed"),
    "restore": N_("restored"),
    "mode": N_("mode of a room"),
    "site_mode": N_("mode of the site"),
    "emergency": N_("emergency terms"),
    "announce": N_("announcement"),
    "confirm": N_("confirmed in second review"),
    "differ": N_("judged otherwise in second review"),
    "warn": N_("upheld, without a removal"),
    "undo": N_("undone"),
    "record": N_("recorded"),
}

STATES: Final = {
    "open": N_("waits"),
    "decided": N_("is decided"),
    "withdrawn": N_("is withdrawn"),
    "public": N_("public"),
    "removed": N_("removed"),
    "held": N_("held"),
    "refused": N_("refused"),
}

AGES: Final = {
    "0": N_("any age"),
    "10": N_("10 minutes or more"),
    "60": N_("1 hour or more"),
    "360": N_("6 hours or more"),
    "1440": N_("1 day or more"),
}

GRAVITIES: Final = {"0": N_("any"), "50": N_("middling or grave"), "80": N_("grave")}

AGE_SPANS: Final = (
    N_("< 10 min"),
    N_("< 1 h"),
    N_("< 6 h"),
    N_("< 1 day"),
    N_("longer"),
)
CAME: Final = N_("came")
DECIDED: Final = N_("decisions")

PLOTS: Final = {
    "ages": N_("How long it has been waiting"),
    "flow": N_("What came and what was decided"),
    "decided": N_("Decisions by hour"),
    "rules": N_("What rules held, and what became of it"),
    "refused": N_("Held and refused by the screening, by code"),
    "swarms": N_("Who acts together"),
}

PLOT_NOTES: Final = {
    "ages": N_("Open items by age; each queue is a part of the bar."),
    "flow": N_("Items that came and decisions, in each of the last 24 hours."),
    "decided": N_("Decisions in each of the last 24 hours, by what they did."),
    "rules": N_("For each rule, how many of the comments that it held were published and how many refused, within 7 days."),
    "refused": N_("Comments since the server began, by the code that their authors were told."),
    "swarms": N_(
        "Each point is an account, each circle a group of the last 24 hours, each line two who were found to act together."
    ),
}
