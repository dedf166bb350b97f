"""server/web/desk_words.py"""

from __future__ import annotations

from typing import get_args

from server.moderation.book import What
from server.moderation.queue import QUEUES
from server.web import desk_words


def test_every_name_of_the_records_has_words() -> None:
    """Queues, decisions, plots; a name that is added to the records fails here until it has words."""
    for words in (desk_words.QUEUES, desk_words.HEADINGS, desk_words.ALLOW, desk_words.STOP):
        assert tuple(words) == QUEUES
    assert set(get_args(What)) <= set(desk_words.WHAT)
    assert set(desk_words.PLOTS) == set(desk_words.PLOT_NOTES)
    assert len(set(desk_words.PLOTS.values())) == len(desk_words.PLOTS)
