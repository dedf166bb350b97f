"""What the package asks of an event."""

from server.wire import Event
from static_mirror.rows import PageEvent


def test_the_servers_event_is_a_page_event() -> None:
    """The event of the protocol has every field that a page needs (the type checker looks at the assignment as well)."""
    event: PageEvent = Event(seq=1, kind="comment", at_ms=0)
    needed = {name for name in vars(PageEvent) if not name.startswith("_")}
    assert needed == {
        "seq", "kind", "at_ms", "pos_ms", "text", "author_name", "target", "code", "basis", "role", "removed_by", "notice",
        "room_mode", "region", "label", "label_kind", "until_ms",
    }  # fmt: skip
    assert all(hasattr(event, name) for name in needed)
