"""Why a comment may be reported: what people choose from, and the reason code that the choice is filed under.

Codes are those of ``server.reasons``, so that a report can become a removal of the same code.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from server.web.i18n import N_


class ReportReason(NamedTuple):
    """``code`` of the table of reason codes; ``label`` and ``help`` are messages to be translated."""

    code: str
    label: str
    help: str


REPORT_REASONS: Final = (
    ReportReason("S1", N_("Spam or advertising"), N_("advertising, contact details, floods, paid posting")),
    ReportReason("L8", N_("Insult or slander"), N_("attacks, insults or slanders someone")),
    ReportReason("L7", N_("Sexual content, gambling, violence"), N_("pornography, gambling, violence, terror, incitement to crime")),
    ReportReason("M1", N_("Harmful to minors"), N_("harms, lures or exploits minors")),
    ReportReason("P1", N_("Private information"), N_("someone's phone number, address, identity or pictures")),
    ReportReason("L6", N_("Rumour"), N_("false news that disturbs public order")),
    ReportReason("L4", N_("Ethnic hatred or discrimination"), N_("incites hatred or discrimination between ethnic groups")),
    ReportReason("L5", N_("Cults and superstition"), N_("cults, feudal superstition, against the policy on religions")),
    ReportReason("L2", N_("National security"), N_("endangers national security, leaks secrets, incites separation")),
    ReportReason("L3", N_("National honour and interests"), N_("harms the honour and interests of the nation")),
    ReportReason("L1", N_("Against the Constitution"), N_("opposes the basic principles of the Constitution")),
    ReportReason("N1", N_("Unapproved news"), N_("publishes news without permission to do so")),
    ReportReason("A1", N_("Breaks the agreement"), N_("breaks the service agreement or the rules of this room")),
    ReportReason("L9", N_("Otherwise unlawful"), N_("anything else that laws and regulations forbid")),
)  # fmt: skip

REASON_CODES: Final = frozenset(reason.code for reason in REPORT_REASONS)
