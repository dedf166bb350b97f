"""server/store/found.py: what is looked for and found."""

from __future__ import annotations

from server.store.found import LOOKED_MAX, Search


def test_a_search_for_nothing_is_for_everything() -> None:
    """Each field that is left out means "whatever it is", and the bound is one that a reader gets through in a moment."""
    wanted = Search()
    assert wanted.what == "published"
    assert not any(getattr(wanted, name) for name in wanted.__struct_fields__ if name != "what")
    assert LOOKED_MAX <= 1_000_000
