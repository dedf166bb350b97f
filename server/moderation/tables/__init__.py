"""The tables of ``review.db``, as the newest migration leaves them; a test compares the two. One module for each part of the desk.

No personal data stand here: accounts by their ids, staff as ``staff:NAME``, comments by room and number. The text of a comment
that waits for a decision is here until its term is over (:mod:`server.moderation.retention`).
Times are Unix milliseconds, 0 for "not (yet)".
"""

from server.moderation.tables.base import APPEND_ONLY, REVISION, metadata
from server.moderation.tables.cases import case_steps, cases
from server.moderation.tables.features import assessments
from server.moderation.tables.inspection import exports, inspections
from server.moderation.tables.outbox import deliveries, findings
from server.moderation.tables.queue import decisions, effects, items, places, receipts, views
from server.moderation.tables.second import draws, seconds
from server.moderation.tables.swarms import swarm_members, swarms
from server.moderation.tables.team import (
    seats,
    shifts,
    training_attempts,
    training_marks,
    training_questions,
    training_sets,
)

__all__ = [
    "APPEND_ONLY",
    "REVISION",
    "assessments",
    "case_steps",
    "cases",
    "decisions",
    "deliveries",
    "draws",
    "effects",
    "exports",
    "findings",
    "inspections",
    "items",
    "metadata",
    "places",
    "receipts",
    "seats",
    "seconds",
    "shifts",
    "swarm_members",
    "swarms",
    "training_attempts",
    "training_marks",
    "training_questions",
    "training_sets",
    "views",
]
